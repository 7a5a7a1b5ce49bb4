#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <kawait/detail/config.hpp>
#include <kawait/machine/backoff.hpp>
#include <kawait/machine/effect.hpp>
#include <kawait/protocol/find_coordinator.hpp>

namespace kawait::machine {

/// Send FindCoordinator for the group to any broker; tell on_found or on_disconnected what came of it.
struct look_up {};

/// The group's coordinator. poll() says so as long as it holds.
struct known {
  std::int32_t node_id = -1;
  std::string host;
  std::uint16_t port = 0;

  known() = default;
  known(std::int32_t n, std::string h, std::uint16_t p) : node_id(n), host(std::move(h)), port(p) {}

  friend bool operator==(const known&, const known&) = default;
};

/// Which broker coordinates one group. It never gives up by itself: only what no retry can mend is `failed`.
class coordinator {
 public:
  using effect = std::variant<idle, look_up, known, failed>;

  coordinator(std::string group_id, const backoff_options& retry)
      : group_id_(std::move(group_id)), retry_(retry), pause_(retry), state_(searching{time_point::min()}) {}

  /// The broker says it is not the coordinator, or is not there. The first time it is looked up again at once; where look-ups
  /// keep naming the same stale node, with growing pauses. Also leaves `failed`.
  KAWAIT_DECL void forget();

  /// The look-up was not answered, or the coordinator cannot be reached.
  KAWAIT_DECL void on_disconnected(time_point now, std::uint64_t random);

  /// The answer to look_up. What it says of other keys is ignored.
  KAWAIT_DECL void on_found(const protocol::find_coordinator_response& response, time_point now, std::uint64_t random);

  KAWAIT_DECL effect poll(time_point now);

  bool is_known() const noexcept { return std::holds_alternative<found>(state_); }
  /// The coordinator, if it is known.
  const known* node() const noexcept {
    const auto* const f = std::get_if<found>(&state_);
    return f ? &f->node : nullptr;
  }

 private:
  struct searching {
    time_point from;
  };
  struct asking {};
  struct found {
    known node;
    time_point again;  // no look-up before this
  };

  KAWAIT_DECL void accept(known node, time_point now, std::uint64_t random);
  KAWAIT_DECL void refuse(std::int16_t code, std::string_view words, time_point now, std::uint64_t random);

  std::string group_id_;
  backoff_options retry_;
  backoff pause_;
  time_point last_found_ = time_point::min();
  std::variant<searching, asking, found, failed> state_;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/coordinator.ipp>
#endif
