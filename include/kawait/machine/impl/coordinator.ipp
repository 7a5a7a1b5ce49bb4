#pragma once

#include <kawait/machine/coordinator.hpp>

namespace kawait::machine {

KAWAIT_DECL void coordinator::forget() {
  if (const auto* f = std::get_if<found>(&state_)) {
    state_ = searching{f->again};
  } else if (std::holds_alternative<failed>(state_)) {
    state_ = searching{time_point::min()};
  }
  // Already searching or asking: the answer will be newer than what is forgotten.
}

KAWAIT_DECL void coordinator::on_disconnected(time_point now, std::uint64_t random) {
  if (std::holds_alternative<failed>(state_)) return;
  state_ = searching{now + pause_.next(random)};
}

KAWAIT_DECL void coordinator::on_found(const protocol::find_coordinator_response& response, time_point now,
                                       std::uint64_t random) {
  if (!std::holds_alternative<asking>(state_)) return;
  for (const auto& c : response.coordinators) {
    if (c.key != group_id_) continue;
    if (c.error_code != 0) return refuse(c.error_code, c.error_message.value_or(std::string_view()), now, random);
    if (c.node_id < 0 || c.host.empty() || c.port < 1 || c.port > 65535) break;
    return accept(known(c.node_id, std::string(c.host), static_cast<std::uint16_t>(c.port)), now, random);
  }
  // An answer without our key, or with an address that cannot be one, is as good as none.
  on_disconnected(now, random);
}

KAWAIT_DECL void coordinator::accept(known node, time_point now, std::uint64_t random) {
  // "Repeats" means that the last node named did not last: what it was good for is not told, but time tells.
  const bool lasted = last_found_ == time_point::min() || now - last_found_ > 2 * retry_.max;
  if (lasted) pause_.reset();
  const time_point again = lasted ? now : now + pause_.next(random);
  last_found_ = now;
  state_ = found{std::move(node), again};
}

KAWAIT_DECL void coordinator::refuse(std::int16_t code, std::string_view words, time_point now, std::uint64_t random) {
  const auto error = static_cast<kafka_error>(code);
  if (is_retriable(error)) return on_disconnected(now, random);
  std::string text = "group '" + group_id_ + "': its coordinator cannot be looked up";
  if (!words.empty()) text.append(": ").append(words.substr(0, 1024));
  if (error == kafka_error::group_authorization_failed) text += " (the principal needs READ, or DESCRIBE, on the group)";
  state_ = failed(failure(error, std::move(text)));
}

KAWAIT_DECL coordinator::effect coordinator::poll(time_point now) {
  if (const auto* f = std::get_if<found>(&state_)) return f->node;
  if (const auto* f = std::get_if<failed>(&state_)) return *f;
  if (const auto* s = std::get_if<searching>(&state_)) {
    if (now < s->from) return idle{s->from};
    state_ = asking{};
    return look_up{};
  }
  return idle{};
}

}  // namespace kawait::machine
