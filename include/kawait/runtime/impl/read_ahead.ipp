#pragma once

#include <kawait/runtime/read_ahead.hpp>

namespace kawait::runtime {

KAWAIT_DECL bool read_ahead::has_more(const partition_stream& stream, isolation_level isolation) {
  const auto next = stream.fetch_position();
  return next && !stream.is_paused() && next->offset < stream.end_of_log(isolation);
}

// Who holds more than his share keeps his place, though he may be fetched no further: the bytes are there.
KAWAIT_DECL bool read_ahead::is_vacant(const std::shared_ptr<partition_stream>& holder, isolation_level isolation) {
  if (!holder) return true;
  return holder->held_bytes() <= holder->quota() && (holder->ahead() == 0 || !has_more(*holder, isolation));
}

KAWAIT_DECL bool read_ahead::is_awaited(isolation_level isolation) const {
  const auto first = awaited_.lock();
  return first && first->ahead() == 0 && has_more(*first, isolation);
}

// Brokers are not equally near: who is answered sooner would have each place that becomes vacant, but for who found none first.
KAWAIT_DECL read_ahead::place* read_ahead::find(const partition_stream& stream, isolation_level isolation) {
  place* own = nullptr;
  place* vacant = nullptr;
  for (place& p : places_) {
    const auto holder = p.lock();
    if (holder.get() == &stream) {
      own = &p;
    } else if (is_vacant(holder, isolation)) {
      vacant = &p;
    }
  }
  const bool is_others = is_awaited(isolation) && awaited_.lock().get() != &stream;
  if (is_others) return vacant ? own : nullptr;
  return own ? own : vacant;
}

KAWAIT_DECL std::shared_ptr<partition_stream> read_ahead::on_answered(partition_stream& stream, isolation_level isolation) {
  const bool is_ample = stream.quota() >= each_;
  if (stream.ahead() > 0) {
    // His turn is over; what he has is read first.
    if (is_ample || is_awaited(isolation)) stream.set_ahead(0);
    return nullptr;
  }
  if (is_ample || !stream.is_moving() || !has_more(stream, isolation)) return nullptr;
  place* const given = find(stream, isolation);
  if (!given) {
    if (!is_awaited(isolation)) awaited_ = stream.weak_from_this();
    return nullptr;
  }
  auto before = given->lock();
  *given = stream.weak_from_this();
  stream.set_ahead(each_);
  if (awaited_.lock().get() == &stream) awaited_.reset();
  if (!before || before.get() == &stream || before->ahead() == 0) return nullptr;
  before->set_ahead(0);
  if (before->is_ended()) before.reset();
  return before;
}

}  // namespace kawait::runtime
