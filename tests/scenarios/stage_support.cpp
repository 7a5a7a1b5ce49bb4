#include "stage_support.hpp"

#include <algorithm>

#include <kawait/protocol/offset_fetch.hpp>
#include <kawait/testing/messages/groups.hpp>
#include <kawait/testing/messages/topics.hpp>

#include "actor_support.hpp"
#include "wire_support.hpp"

namespace kawait::tests {

namespace {

/// "the request" with the same answer from both, or an exception.
template <class Request>
asio::awaitable<net::answer<Request>> ask(stage& s, const Request& request) {
  auto c = co_await s.connection();
  auto answer = co_await c->async_request(request);
  if (!answer) throw std::runtime_error(std::string(Request::api_name) + ": " + answer.error().to_string());
  co_return std::move(*answer);
}

}  // namespace

stage::stage(asio::any_io_executor executor, std::string scenario, std::string bootstrap)
    : executor_(std::move(executor)),
      scenario_(std::move(scenario)),
      bootstrap_(std::move(bootstrap)),
      group_(scenario_ + "-group"),
      admin_(std::make_unique<admin>(executor_, bootstrap_)) {}

stage::~stage() = default;

asio::awaitable<std::shared_ptr<net::connection>> stage::connection() {
  if (connection_ && connection_->is_open()) co_return connection_;
  const auto where = net::parse_bootstrap_servers(bootstrap_);
  net::connection_options options;
  options.client_id = "scenario";
  const auto deadline = std::chrono::steady_clock::now() + patience;
  auto opened = co_await net::connection::open(executor_, where->front(), options, deadline);
  if (!opened) throw std::runtime_error("no connection: " + opened.error().to_string());
  connection_ = *opened;
  co_return connection_;
}

// --- Topics.

asio::awaitable<void> stage::create(std::string name, std::int32_t partitions) {
  topic_state made;
  made.id = co_await admin_->create_topic(topic(name), partitions);
  made.ends.assign(static_cast<std::size_t>(partitions), 0);
  topics_[name] = made;
  co_await heard_of(name, partitions);
}

// All groups are of one partition of the offsets topic, so that what one knows they all do.
asio::awaitable<void> stage::heard_of(std::string name, std::int32_t partitions) {
  wire_member scout(*this, "scout");
  scout.group = scenario_ + "-scout";
  scout.topics.push_back(name);
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (scout.owned.size() != static_cast<std::size_t>(partitions)) {
    co_await scout.beat();
    if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("the coordinator does not hear of " + name);
    co_await moment();
  }
  auto leave = scout.full();
  leave.member_epoch = -1;
  co_await scout.send(leave);
}

asio::awaitable<void> stage::grow(std::string name, std::int32_t total) {
  const std::string full = topic(name);
  testing::messages::create_partitions_request request;
  auto& t = request.topics.emplace_back();
  t.name = full;
  t.count = total;
  t.assignments.reset();
  request.timeout_ms = 10'000;
  const auto answer = co_await ask(*this, request);
  const std::int16_t code = answer.message.results.at(0).error_code;
  if (code != 0) throw std::runtime_error("CreatePartitions: " + std::string(name_of(static_cast<kafka_error>(code))));
  topics_.at(name).ends.resize(static_cast<std::size_t>(total), 0);
  co_await admin_->leader_of(full, total - 1);
}

asio::awaitable<void> stage::remove(std::string name) {
  const std::string full = topic(name);
  testing::messages::delete_topics_request request;
  request.topics.emplace_back().name = full;
  request.timeout_ms = 10'000;
  const auto answer = co_await ask(*this, request);
  const std::int16_t code = answer.message.responses.at(0).error_code;
  if (code != 0) throw std::runtime_error("DeleteTopics: " + std::string(name_of(static_cast<kafka_error>(code))));
  topics_.erase(name);
}

asio::awaitable<void> stage::append(std::string name, std::int64_t count) {
  auto& ends = topics_.at(name).ends;
  for (std::size_t p = 0; p < ends.size(); ++p) {
    auto bytes = numbered_batch(ends[p], count);
    co_await admin_->produce(topic(name), static_cast<std::int32_t>(p), std::move(bytes));
    ends[p] += count;
  }
}

asio::awaitable<void> stage::all_read() {
  for (const auto& [name, t] : topics_) {
    for (std::size_t i = 0; i < t.ends.size(); ++i) {
      const topic_partition p(topic(name), static_cast<std::int32_t>(i));
      const std::int64_t end = t.ends[i];
      if (end == 0) continue;
      UNTIL(std::any_of(actors_.begin(), actors_.end(), [&](const auto& a) { return a->is_at(p, end); }));
    }
  }
}

// --- The group.

actor& stage::join(std::string name, const actor_options& how) {
  actor& a = *actors_.emplace_back(std::make_unique<actor>(*this, std::move(name), how));
  a.start();
  return a;
}

asio::awaitable<described_group> stage::describe() {
  testing::messages::consumer_group_describe_request request;
  request.group_ids.push_back(group_);
  described_group told;
  for (;;) {
    const auto answer = co_await ask(*this, request);
    const auto& g = answer.message.groups.at(0);
    if (passes(g.error_code)) {
      co_await moment();
      continue;
    }
    told.error = g.error_code;
    told.state = std::string(g.group_state);
    told.assignor = std::string(g.assignor_name);
    told.epoch = g.group_epoch;
    told.target_epoch = g.assignment_epoch;
    for (const auto& m : g.members) {
      auto& out = told.members.emplace_back();
      out.id = std::string(m.member_id);
      out.instance = std::string(m.instance_id.value_or(""));
      out.epoch = m.member_epoch;
      std::set<topic_id_partition> assigned, target;
      for (const auto& t : m.assigned.topic_partitions) {
        for (const auto p : t.partitions) assigned.emplace(t.topic_id, p);
      }
      for (const auto& t : m.target.topic_partitions) {
        for (const auto p : t.partitions) target.emplace(t.topic_id, p);
      }
      out.assigned = assigned.size();
      out.at_target = assigned == target;
    }
    co_return told;
  }
}

namespace {

bool agree(const actor& a, const described_group& g) {
  for (const auto& m : g.members) {
    if (m.id == a.id()) return m.epoch == g.epoch && a.epoch() == g.epoch && m.assigned == a.share && m.at_target;
  }
  return false;
}

std::string words(const described_group& g) {
  if (g.error != 0) return std::string(name_of(static_cast<kafka_error>(g.error))) + ", " + g.state;
  return g.state + ", epoch " + std::to_string(g.epoch) + ", target of " + std::to_string(g.target_epoch) + ", " +
         g.assignor + ", " + std::to_string(g.members.size()) + " members";
}

}  // namespace

asio::awaitable<void> stage::settled() {
  const auto limit = std::chrono::steady_clock::now() + patience;
  described_group g;
  for (bool done = false; !done;) {
    done = std::all_of(actors_.begin(), actors_.end(), [](const auto& a) {
      return !a->running() || (a->joined() && a->draining() == 0 && a->owned().size() == a->share);
    });
    if (done) {
      g = co_await describe();
      done = g.error == 0 && g.epoch == g.target_epoch &&
             std::all_of(actors_.begin(), actors_.end(), [&](const auto& a) { return !a->running() || agree(*a, g); });
    }
    if (done) break;
    if (std::chrono::steady_clock::now() > limit) {
      tell("never settled: " + words(g));
      for (const auto& a : actors_) tell(a->settle());
      throw std::runtime_error("the group does not settle");
    }
    co_await sleep_for(20ms);
  }
  tell("settled: " + words(g));
  for (const auto& a : actors_) {
    if (a->running()) tell("  " + a->settle());
  }
}

asio::awaitable<void> stage::tell_group() {
  const auto g = co_await describe();
  tell("group: " + words(g));
  std::vector<std::string> members;
  for (const auto& m : g.members) {
    members.push_back("  " + (m.instance.empty() ? "a member" : m.instance) + ": epoch " + std::to_string(m.epoch) + ", " +
                      std::to_string(m.assigned) + " partitions" + (m.at_target ? "" : ", not at its target"));
  }
  std::sort(members.begin(), members.end());
  for (auto& line : members) tell(std::move(line));
}

asio::awaitable<void> stage::tell_committed(std::string name) {
  const std::string full = topic(name);
  const auto& t = topics_.at(name);
  protocol::offset_fetch_request request;
  auto& g = request.groups.emplace_back();
  g.group_id = group_;
  auto& asked = g.topics->emplace_back();
  asked.name = full;
  asked.topic_id = t.id;
  for (std::size_t p = 0; p < t.ends.size(); ++p) asked.partition_indexes.push_back(static_cast<std::int32_t>(p));
  for (;;) {
    const auto answer = co_await ask(*this, request);
    const auto& told = answer.message.groups.at(0);
    if (passes(told.error_code)) {
      co_await moment();
      continue;
    }
    std::string line = "committed of " + name + ":";
    if (told.error_code != 0) line += " " + std::string(name_of(static_cast<kafka_error>(told.error_code)));
    for (const auto& topic : told.topics) {
      for (const auto& p : topic.partitions) {
        line += " " + std::to_string(p.committed_offset);
        if (p.error_code != 0) line += " " + std::string(name_of(static_cast<kafka_error>(p.error_code)));
        if (p.metadata && !p.metadata->empty()) line += " \"" + std::string(*p.metadata) + "\"";
      }
    }
    tell(std::move(line));
    co_return;
  }
}

asio::awaitable<std::int16_t> stage::delete_group() {
  testing::messages::delete_groups_request request;
  request.groups.push_back(group_);
  for (;;) {
    const auto answer = co_await ask(*this, request);
    const std::int16_t code = answer.message.results.at(0).error_code;
    if (!passes(code)) co_return code;
    co_await moment();
  }
}

std::string stage::transcript() const {
  if (record_) return *record_;
  std::string all;
  for (const auto& line : lines_) all += line + "\n";
  for (const auto& a : actors_) {
    all += a->name() + ":\n";
    for (const auto& line : a->transcript()) all += "  " + line + "\n";
  }
  return all;
}

asio::awaitable<void> stage::open() { co_await admin_->coordinator_of(group_, 0); }

// What one is given when another has gone, before it goes itself, is left to timing.
asio::awaitable<void> stage::close() {
  record_ = transcript();
  for (const auto& a : actors_) {
    if (!a->running()) continue;
    co_await a->close();
    *record_ += "in the end " + a->name() + " " + a->outcome() + "\n";
  }
}

void stage::drop() {
  for (const auto& a : actors_) a->drop();
  admin_.reset();
  if (connection_) connection_->close();
  connection_.reset();
}

}  // namespace kawait::tests
