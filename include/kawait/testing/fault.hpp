#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include <kawait/core/kafka_error.hpp>
#include <kawait/net/network.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/testing/api_table.hpp>
#include <kawait/testing/record_faults.hpp>

namespace kawait::testing {

/// A request as it arrives at a node, before anything is done about it. Its strings and bytes are valid during the call that it
/// is given to; copy what is to be kept.
struct request_view {
  std::int32_t node = 0;
  api_key api = api_key::api_versions;
  std::int16_t version = 0;
  std::uint64_t connection = 0;          ///< Counts from 1, over all nodes.
  std::size_t number = 0;                ///< This is the n-th request of this API, from 1, over all nodes.
  std::size_t number_on_connection = 0;  ///< And of this connection.
  std::string_view client_id;
  net::time_point at{};                  ///< When it is served.
  net::time_point came{};                ///< Before that, where a node was frozen.
  net::time_point sent{};                ///< By its client, where that is in the same memory; else as `came`.
  std::span<const std::byte> body;       ///< The message, behind its header.
};

/// What a heartbeat of a group's member is for.
enum class heartbeat_kind : std::uint8_t {
  none,             ///< It is no heartbeat.
  join,             ///< Member epoch 0: for the first time, or anew.
  keep_alive,       ///< Nothing is new.
  acknowledgement,  ///< It says what the member owns: partitions given up or taken over.
  leave             ///< Member epoch -1, or -2 of a static member that will be back.
};

/// What this request is for, by its body.
KAWAIT_DECL heartbeat_kind heartbeat_kind_of(const request_view& r);

/// What goes wrong with a request.
struct fault {
  enum class kind {
    none,
    drop_request,    ///< Nothing is done and nothing answered; the connection stays.
    drop_answer,     ///< It is served, the answer is lost; the connection stays.
    answer_error,    ///< Nothing is done; the answer says `error` wherever the API has a place for it.
    close_before,    ///< Nothing is done; the connection is closed.
    close_after,     ///< It is served; the connection is closed instead of an answer.
    cut_answer,      ///< It is served; after `bytes` of the answer the connection is closed.
    corrupt_answer,  ///< It is served; the byte `bytes` of the answer (modulo its size, the length not counted) is inverted.
    silence,         ///< Nothing is done for this request or any later one of the connection, which stays open.
    partial_answer,  ///< It is served; 1 + `bytes` of the answer (modulo its size less 1), then silence on the open connection.
    wrong_id,        ///< It is served; the answer bears the correlation id of another request.
    wrong_length,    ///< It is served; the answer's frame announces `length` bytes.
    short_answer,    ///< It is served; a sound frame with `bytes` (modulo its size) of the answer's body.
    repeat_answer,   ///< It is served and answered twice.
    hostile_count,   ///< It is served; the first count or length in the answer says four thousand millions.
    edit_heartbeat,  ///< A heartbeat is served, then `edit` changes its answer.
    spoil_records    ///< `records` is wrong with the first records fetched over the connection, by this request or a later one.
  };
  kind what = kind::none;
  kafka_error error = kafka_error::none;
  std::size_t bytes = 0;
  std::int32_t length = 0;
  record_fault records = record_fault::bad_crc;
  wire::codec codec = wire::codec::none;      ///< Of a record_fault::bomb.
  /// False if it found nothing to change.
  std::function<bool(protocol::consumer_group_heartbeat_response&)> edit;
  std::chrono::milliseconds delay{0};         ///< Before it is served, if at all. Later requests of the connection wait.
  std::chrono::milliseconds answer_delay{0};  ///< After it was served.
  std::function<void()> struck;               ///< Called when it has its effect, which for want of an answer may be never.

  fault() = default;
  fault(kind k) : what(k) {}

  static fault answer_with(kafka_error e) {
    fault f(kind::answer_error);
    f.error = e;
    return f;
  }
  static fault cut_after(std::size_t n) {
    fault f(kind::cut_answer);
    f.bytes = n;
    return f;
  }
  static fault corrupt(std::size_t at) {
    fault f(kind::corrupt_answer);
    f.bytes = at;
    return f;
  }
  static fault with_length(std::int32_t announced) {
    fault f(kind::wrong_length);
    f.length = announced;
    return f;
  }
  static fault spoilt(record_fault what, wire::codec codec = wire::codec::none) {
    fault f(kind::spoil_records);
    f.records = what;
    f.codec = codec;
    return f;
  }
  static fault edited(std::function<bool(protocol::consumer_group_heartbeat_response&)> how) {
    fault f(kind::edit_heartbeat);
    f.edit = std::move(how);
    return f;
  }
  static fault delayed(std::chrono::milliseconds d) {
    fault f;
    f.delay = d;
    return f;
  }
  static fault answered_late(std::chrono::milliseconds d) {
    fault f;
    f.answer_delay = d;
    return f;
  }
};

/// Decides about every request that arrives.
using fault_decision = std::function<fault(const request_view&)>;

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/fault.ipp>
#endif
