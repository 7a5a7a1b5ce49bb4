#pragma once

#include <limits>
#include <utility>

#include <kawait/testing/faults_state.hpp>

namespace kawait::testing::faults_detail {

// Connections; answers that are lost, late or wrong; records that are.

using apis = std::vector<api_key>;
using kind = fault::kind;

inline void add_request_fault(std::vector<entry>& all, std::string_view name, fault_outcome outcome, std::string_view meaning,
                              apis of, std::function<fault(state&)> make) {
  entry& e = all.emplace_back();
  e.info = fault_info{name, fault_scope::request, outcome, meaning};
  e.apis = std::move(of);
  e.make = std::move(make);
}

inline void add_connection_fault(std::vector<entry>& all, std::string_view name, std::string_view meaning,
                                 std::function<void(state&, connection_plan&)> plan) {
  entry& e = all.emplace_back();
  e.info = fault_info{name, fault_scope::connection, fault_outcome::survived, meaning};
  e.plan = std::move(plan);
}

/// One of the two directions.
inline link_options& any_link(state& s, connection_plan& p) { return s.below(2) == 0 ? p.options.up : p.options.down; }

KAWAIT_DECL void add_connection_faults(std::vector<entry>& all) {
  using outcome = connection_plan::outcome;
  add_connection_fault(all, "refused", "a connection is refused", [](state&, connection_plan& p) { p.what = outcome::refused; });
  add_connection_fault(all, "host-unreachable", "an attempt to connect is told that there is no way to the host",
                       [](state&, connection_plan& p) {
                         p.what = outcome::refused;
                         p.error = asio::error::host_unreachable;
                       });
  add_connection_fault(all, "no-descriptors", "an attempt to connect fails with EMFILE: this process has too many open files",
                       [](state&, connection_plan& p) {
                         p.what = outcome::refused;
                         p.error = asio::error::no_descriptors;
                       });
  add_connection_fault(all, "black-hole", "an attempt to connect gets no answer",
                       [](state&, connection_plan& p) { p.what = outcome::black_hole; });
  add_connection_fault(all, "slow-connect", "connecting takes up to 15 seconds",
                       [](state& s, connection_plan& p) { p.delay = s.between(10, 15'000); });
  add_connection_fault(all, "connection-cut", "a connection is reset at some byte of either direction, mostly early",
                       [](state& s, connection_plan& p) {
                         const std::size_t reach = std::size_t{16} << s.below(12);
                         any_link(s, p).cut_at = 1 + s.below(reach);
                       });
  add_connection_fault(all, "half-open", "from some byte of either direction on, all bytes vanish and nobody is told",
                       [](state& s, connection_plan& p) {
                         const std::size_t reach = std::size_t{16} << s.below(12);
                         any_link(s, p).lose_from = s.below(reach);
                       });
  add_connection_fault(all, "one-byte-segments", "every read yields one byte",
                       [](state&, connection_plan& p) { p.options.chunk = 1; });
  add_connection_fault(all, "small-window", "a writer has to wait after every 1 to 256 bytes", [](state& s, connection_plan& p) {
    p.options.capacity = 1 + s.below(256);
    p.options.takes_at_once = s.below(2) == 0;
  });
  add_connection_fault(all, "latency", "bytes take up to 2 seconds in each direction", [](state& s, connection_plan& p) {
    p.options.up.latency = s.between(1, 2'000);
    p.options.down.latency = s.between(1, 2'000);
  });
  add_connection_fault(all, "slow-link", "answers come at 2 to 64 KiB a second",
                       [](state& s, connection_plan& p) { p.options.down.bytes_per_second = std::uint64_t{2048} << s.below(6); });
}

KAWAIT_DECL void add_record_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  const auto add = [&](std::string_view name, fault_outcome outcome, std::string_view meaning, record_fault what,
                       wire::codec codec = wire::codec::none) {
    add_request_fault(all, name, outcome, meaning, apis{api_key::fetch},
                      [what, codec](state&) { return fault::spoilt(what, codec); });
  };
  add("bad-crc", reported, "a fetched batch's CRC is wrong", record_fault::bad_crc);
  add("unknown-magic", reported, "a fetched batch is of magic 3", record_fault::unknown_magic);
  add("unknown-codec", reported, "a fetched batch is compressed by codec 7", record_fault::unknown_codec);
  add("negative-batch-length", reported, "a fetched batch's length is negative", record_fault::negative_length);
  add("huge-batch-length", reported, "a fetched batch says that it is 2 GiB long", record_fault::huge_length);
  add("truncated-batch", survived, "the last of several fetched batches is cut, as brokers do", record_fault::truncated);
  add("hostile-record-count", reported, "a fetched batch says that it has 2^31 - 1 records", record_fault::hostile_count);
  add("hostile-varint", reported, "a fetched record's length does not end", record_fault::hostile_varint);
  add("doubled-abort", survived, "an aborted transaction is listed twice", record_fault::doubled_abort);
  const auto bomb = [&](std::string_view name, std::string_view meaning, wire::codec c) {
    if (wire::is_supported(c)) add(name, reported, meaning, record_fault::bomb, c);
  };
  bomb("gzip-bomb", "a fetched batch of gzip decompresses to more than the limit", wire::codec::gzip);
  bomb("snappy-bomb", "a fetched batch of snappy decompresses to more than the limit", wire::codec::snappy);
  bomb("lz4-bomb", "a fetched batch of lz4 decompresses to more than the limit", wire::codec::lz4);
  bomb("zstd-bomb", "a fetched batch of zstd decompresses to more than the limit", wire::codec::zstd);
}

KAWAIT_DECL void add_wire_faults(std::vector<entry>& all) {
  const auto add = [&](std::string_view name, std::string_view meaning, std::function<fault(state&)> make) {
    add_request_fault(all, name, fault_outcome::survived, meaning, apis(), std::move(make));
  };
  add("lost-request", "a request is neither served nor answered", [](state&) { return fault(kind::drop_request); });
  add("lost-answer", "a request is served, its answer is lost", [](state&) { return fault(kind::drop_answer); });
  add("close-before", "the connection is closed instead of serving a request", [](state&) { return fault(kind::close_before); });
  add("close-after", "a request is served and the connection closed instead of an answer",
      [](state&) { return fault(kind::close_after); });
  add("cut-answer", "the connection is closed within the first 200 bytes of an answer",
      [](state& s) { return fault::cut_after(s.below(200)); });
  add_request_fault(all, "cut-fetch", fault_outcome::survived, "the connection is closed somewhere in a fetch's answer",
                    apis{api_key::fetch}, [](state& s) { return fault::cut_after(s.below(std::size_t{64} << s.below(11))); });
  add("partial-answer", "a part of an answer, then silence", [](state& s) {
    fault f(kind::partial_answer);
    f.bytes = s.below(1000);
    return f;
  });
  add("silence", "nothing of the connection is served any more; it stays open", [](state&) { return fault(kind::silence); });
  add("slow-request", "a request is served up to 10 seconds late", [](state& s) { return fault::delayed(s.between(1, 10'000)); });
  add("slow-answer", "a request is answered up to 10 seconds late",
      [](state& s) { return fault::answered_late(s.between(1, 10'000)); });
  add("late-answer", "an answer comes after 31 seconds: later than request.timeout.ms, if that is as by default",
      [](state&) { return fault::answered_late(std::chrono::milliseconds(31'000)); });
  add("wrong-correlation-id", "an answer bears another request's correlation id", [](state&) { return fault(kind::wrong_id); });
  add("negative-frame-length", "an answer's frame has a negative length",
      [](state& s) { return fault::with_length(-1 - static_cast<std::int32_t>(s.below(1'000'000))); });
  add("huge-frame-length", "an answer's frame announces 2 GiB",
      [](state&) { return fault::with_length(std::numeric_limits<std::int32_t>::max()); });
  add("short-answer", "an answer ends in the middle of its fields", [](state& s) {
    fault f(kind::short_answer);
    f.bytes = s.below(1000);
    return f;
  });
  add("repeated-answer", "a request is answered twice", [](state&) { return fault(kind::repeat_answer); });
  add("hostile-count", "the first count or length of an answer says four thousand millions",
      [](state&) { return fault(kind::hostile_count); });
  add_request_fault(all, "flipped-byte", fault_outcome::any,
                    "a byte of an answer is inverted: only the bytes of records have a checksum", apis(),
                    [](state& s) { return fault::corrupt(s.below(1000)); });
}

}  // namespace kawait::testing::faults_detail
