#pragma once

#include <kawait/runtime/read_ahead.hpp>

#include <utility>

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

KAWAIT_DECL std::shared_ptr<partition_stream> read_ahead::on_answered(partition_stream& stream, isolation_level isolation) {
  if (stream.ahead() > 0) {
    // His turn is over; what he has is read first.
    if (is_awaited_) stream.set_ahead(0);
    is_awaited_ = false;
    return nullptr;
  }
  if (!stream.is_moving() || stream.quota() >= each_ || !has_more(stream, isolation)) return nullptr;
  place* vacant = nullptr;
  std::shared_ptr<partition_stream> before;
  for (place& p : places_) {
    auto holder = p.lock();
    if (holder.get() == &stream) {
      if (!is_awaited_) stream.set_ahead(each_);  // nobody wanted it since
      return nullptr;
    }
    if (vacant || !is_vacant(holder, isolation)) continue;
    vacant = &p;
    before = std::move(holder);
  }
  is_awaited_ = !vacant;
  if (!vacant) return nullptr;
  *vacant = stream.weak_from_this();
  stream.set_ahead(each_);
  if (!before || before->ahead() == 0) return nullptr;
  before->set_ahead(0);
  return before;
}

}  // namespace kawait::runtime
