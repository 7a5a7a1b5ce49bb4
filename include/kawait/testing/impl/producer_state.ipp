#pragma once

#include <kawait/testing/producer_state.hpp>

#include <algorithm>
#include <limits>

namespace kawait::testing {
namespace producer_detail {

/// Sequence numbers wrap from 2^31-1 to 0.
inline std::int32_t advance(std::int32_t sequence, std::int32_t by) {
  return static_cast<std::int32_t>((std::int64_t{sequence} + by) & std::numeric_limits<std::int32_t>::max());
}

}  // namespace producer_detail

KAWAIT_DECL producer_state::verdict producer_state::check(const wire::batch_header& h) const {
  verdict v;
  if (!h.has_producer_id()) return v;
  const auto found = producers_.find(h.producer_id);
  if (found == producers_.end()) return v;  // its state may have expired: any number is as good
  const producer& p = found->second;
  if (h.producer_epoch < p.epoch) {
    v.error = kafka_error::invalid_producer_epoch;
    return v;
  }
  if (h.is_control() || h.base_sequence < 0) return v;
  if (h.producer_epoch > p.epoch) {
    if (h.base_sequence != 0) v.error = kafka_error::out_of_order_sequence_number;
    return v;
  }
  const std::int32_t last = producer_detail::advance(h.base_sequence, h.last_offset_delta);
  for (const batch& b : p.last) {
    if (b.first_sequence != h.base_sequence || b.last_sequence != last) continue;
    v.duplicate_of = b.offset;
    return v;
  }
  const bool follows = p.last.empty() || h.base_sequence == producer_detail::advance(p.last.back().last_sequence, 1);
  if (!follows) v.error = kafka_error::out_of_order_sequence_number;
  return v;
}

KAWAIT_DECL void producer_state::appended(const wire::batch_header& h, std::int64_t offset) {
  if (!h.has_producer_id()) return;
  producer& p = producers_[h.producer_id];
  if (h.producer_epoch != p.epoch) p.last.clear();
  p.epoch = h.producer_epoch;
  if (h.base_sequence >= 0) {
    p.last.push_back(batch{h.base_sequence, producer_detail::advance(h.base_sequence, h.last_offset_delta), offset});
    if (p.last.size() > 5) p.last.pop_front();
  }
  if (h.is_transactional() && !h.is_control() && !p.transaction) p.transaction = offset;
}

KAWAIT_DECL std::optional<std::int64_t> producer_state::ended(std::int64_t producer_id, std::int16_t producer_epoch) {
  producer& p = producers_[producer_id];
  if (producer_epoch > p.epoch) {
    p.epoch = producer_epoch;
    p.last.clear();
  }
  const std::optional<std::int64_t> first = p.transaction;
  p.transaction.reset();
  return first;
}

KAWAIT_DECL std::optional<std::int64_t> producer_state::first_undecided() const {
  std::optional<std::int64_t> first;
  for (const auto& [id, p] : producers_) {
    if (p.transaction && (!first || *p.transaction < *first)) first = p.transaction;
  }
  return first;
}

KAWAIT_DECL std::map<std::int64_t, std::int64_t> producer_state::undecided() const {
  std::map<std::int64_t, std::int64_t> open;
  for (const auto& [id, p] : producers_) {
    if (p.transaction) open.emplace(id, *p.transaction);
  }
  return open;
}

}  // namespace kawait::testing
