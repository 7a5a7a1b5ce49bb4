#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include <kawait/core/kafka_error.hpp>
#include <kawait/net/network.hpp>
#include <kawait/testing/api_table.hpp>

namespace kawait::testing {

/// A request as it arrives at a node, before anything is done about it.
struct request_view {
  std::int32_t node = 0;
  api_key api = api_key::api_versions;
  std::int16_t version = 0;
  std::uint64_t connection = 0;          ///< Counts from 1, over all nodes.
  std::size_t number = 0;                ///< This is the n-th request of this API, from 1, over all nodes.
  std::size_t number_on_connection = 0;  ///< And of this connection.
  std::string_view client_id;
  net::time_point at{};
  std::span<const std::byte> body;       ///< The message, behind its header.
};

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
    corrupt_records, ///< It is served; a byte of the first record batch of a fetch is inverted that its CRC covers.
    stall_answer,    ///< It is served; after `bytes` of the answer nothing more comes, of this or later answers. It stays open.
    wrong_length,    ///< It is served; the answer's length is `bytes`, which may be negative or huge, and the connection stays.
    silence          ///< Nothing is done for this request or any later one of the connection, which stays open.
  };
  kind what = kind::none;
  kafka_error error = kafka_error::none;
  std::size_t bytes = 0;
  std::chrono::milliseconds delay{0};         ///< Before it is served, if at all. Later requests of the connection wait.
  std::chrono::milliseconds answer_delay{0};  ///< After it was served.

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
  static fault stall_after(std::size_t n) {
    fault f(kind::stall_answer);
    f.bytes = n;
    return f;
  }
  static fault length(std::int32_t n) {
    fault f(kind::wrong_length);
    f.bytes = static_cast<std::uint32_t>(n);
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
