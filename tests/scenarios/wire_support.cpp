#include "wire_support.hpp"

#include <algorithm>
#include <map>

namespace kawait::tests {

bool passes(std::int16_t code) {
  const auto e = static_cast<kafka_error>(code);
  return e == kafka_error::coordinator_not_available || e == kafka_error::coordinator_load_in_progress ||
         e == kafka_error::not_coordinator;
}

namespace {

std::string in_order(const std::map<std::int32_t, std::string>& by_partition) {
  std::string line;
  for (const auto& [partition, text] : by_partition) line += (line.empty() ? "" : " ") + text;
  return line;
}

}  // namespace

std::string code_name(std::int16_t code) { return std::string(name_of(static_cast<kafka_error>(code))); }

std::string beat_answer::words() const {
  std::string text = code_name(code);
  if (code != 0) return text;
  text += ", epoch " + std::to_string(epoch);
  return text + (assigned ? ", " + std::to_string(assigned->size()) + " partitions" : "");
}

wire_member::request wire_member::full() {
  names_.clear();
  for (const auto& t : topics) names_.push_back(stage_.topic(t));
  request r;
  r.group_id = group;
  r.member_id = id;
  r.member_epoch = epoch;
  if (!instance.empty()) r.instance_id = instance;
  r.rebalance_timeout_ms = rebalance_timeout;
  r.subscribed_topic_names.emplace(names_.begin(), names_.end());
  if (!regex.empty()) r.subscribed_topic_regex = regex;
  if (!assignor.empty()) r.server_assignor = assignor;
  auto& list = r.topic_partitions.emplace();
  std::map<uuid, std::vector<std::int32_t>> by_topic;
  for (const auto& p : owned) by_topic[p.topic_id].push_back(p.partition);
  for (const auto& [topic, partitions] : by_topic) {
    auto& t = list.emplace_back();
    t.topic_id = topic;
    t.partitions = partitions;
  }
  return r;
}

asio::awaitable<beat_answer> wire_member::send(request r) {
  for (;;) {
    auto c = co_await stage_.connection();
    const auto answer = co_await c->async_request(r);
    if (!answer) throw std::runtime_error("heartbeat of " + id + ": " + answer.error().to_string());
    const auto& m = answer->message;
    if (passes(m.error_code)) {
      co_await moment();
      continue;
    }
    beat_answer told;
    told.code = m.error_code;
    told.epoch = m.member_epoch;
    if (m.assignment) {
      told.assigned.emplace();
      for (const auto& t : m.assignment->topic_partitions) {
        for (const auto p : t.partitions) told.assigned->emplace_back(t.topic_id, p);
      }
    }
    co_return told;
  }
}

asio::awaitable<beat_answer> wire_member::beat(bool accepts) {
  const auto r = full();
  auto told = co_await send(r);
  if (told.code == 0) {
    epoch = told.epoch;
    if (accepts && told.assigned) owned = *told.assigned;
  }
  co_return told;
}

asio::awaitable<void> wire_member::owns(std::size_t count) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto told = co_await beat();
    if (told.code != 0) throw std::runtime_error(id + ": " + told.words());
    const auto g = co_await stage_.describe();
    if (owned.size() == count && g.target_epoch == g.epoch && epoch == g.epoch) break;
    if (std::chrono::steady_clock::now() > limit) {
      throw std::runtime_error(id + " is not given " + std::to_string(count) + ": " + told.words() + " of group epoch " +
                               std::to_string(g.epoch));
    }
    co_await sleep_for(20ms);
  }
  stage_.tell(id + " owns " + std::to_string(count) + " at epoch " + std::to_string(epoch));
}

asio::awaitable<void> wire_member::is_told(std::size_t count) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto told = co_await beat(false);
    if (told.code != 0) throw std::runtime_error(id + ": " + told.words());
    const auto g = co_await stage_.describe();
    if (told.assigned && told.assigned->size() == count && g.target_epoch == g.epoch) break;
    if (std::chrono::steady_clock::now() > limit) throw std::runtime_error(id + " is told " + told.words());
    co_await sleep_for(20ms);
  }
  stage_.tell(id + " is to own " + std::to_string(count) + " and is at epoch " + std::to_string(epoch));
}

asio::awaitable<void> wire_member::leave(std::int32_t with) {
  request r;
  r.group_id = group;
  r.member_id = id;
  r.member_epoch = with;
  if (!instance.empty()) r.instance_id = instance;
  const auto told = co_await send(r);
  stage_.tell(id + " leaves: " + told.words());
}

asio::awaitable<std::string> commit(stage& s, commit_parts what) {
  protocol::offset_commit_request r;
  r.group_id = what.group.empty() ? std::string_view(s.group()) : std::string_view(what.group);
  r.member_id = what.member;
  r.generation_id_or_member_epoch = what.epoch;
  auto& t = r.topics.emplace_back();
  t.name = what.topic;
  t.topic_id = what.topic_id;
  for (const auto p : what.partitions) {
    auto& out = t.partitions.emplace_back();
    out.partition_index = p;
    out.committed_offset = what.offset;
    out.committed_metadata = what.metadata;
  }
  auto c = co_await s.connection();
  const auto answer = co_await c->async_request(r);
  if (!answer) throw std::runtime_error("commit: " + answer.error().to_string());
  std::map<std::int32_t, std::string> codes;  // which comes first is nobody's business
  for (const auto& topic : answer->message.topics) {
    for (const auto& p : topic.partitions) codes[p.partition_index] = code_name(p.error_code);
  }
  co_return in_order(codes);
}

asio::awaitable<std::string> fetch_offsets(stage& s, commit_parts what) {
  protocol::offset_fetch_request r;
  r.require_stable = true;
  auto& g = r.groups.emplace_back();
  g.group_id = what.group.empty() ? std::string_view(s.group()) : std::string_view(what.group);
  if (!what.member.empty()) g.member_id = what.member;
  g.member_epoch = what.epoch;
  auto& t = g.topics->emplace_back();
  t.name = what.topic;
  t.topic_id = what.topic_id;
  t.partition_indexes = what.partitions;
  auto c = co_await s.connection();
  const auto answer = co_await c->async_request(r);
  if (!answer) throw std::runtime_error("offset fetch: " + answer.error().to_string());
  const auto& told = answer->message.groups.at(0);
  if (told.error_code != 0) co_return code_name(told.error_code);
  std::map<std::int32_t, std::string> offsets;
  for (const auto& topic : told.topics) {
    for (const auto& p : topic.partitions) {
      std::string& line = offsets[p.partition_index];
      line = std::to_string(p.committed_offset);
      if (p.metadata && !p.metadata->empty()) line += " \"" + std::string(*p.metadata) + "\"";
      if (p.error_code != 0) line += " " + code_name(p.error_code);
    }
  }
  co_return in_order(offsets);
}

}  // namespace kawait::tests
