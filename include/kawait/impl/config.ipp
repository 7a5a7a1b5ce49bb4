#pragma once

#include <kawait/config.hpp>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <utility>

#include <kawait/detail/edit_distance.hpp>
#include <kawait/detail/iso_duration.hpp>

namespace kawait {

namespace detail {

/// Whether the value may be a secret: errors are logged. Names of Java's that are no property here (ssl.keystore.password) have some.
inline bool may_be_secret(std::string_view name) {
  if (const property_info* const known = find_property(name)) return known->type == property_type::password;
  return name.starts_with("sasl.") || name.starts_with("ssl.");
}

[[noreturn]] inline void refuse_setting(std::string_view name, std::string_view value, std::string_view why) {
  const std::string shown(may_be_secret(name) ? "***" : value);
  throw error(errc::invalid_config, std::string(name) + " = '" + shown + "': " + std::string(why));
}

[[noreturn]] inline void refuse_range(std::string_view name, std::string_view value) {
  const property_info& p = *find_property(name);
  refuse_setting(name, value, "must be from " + std::to_string(p.min) + " to " + std::to_string(p.max));
}

/// The value, if the property's range has it.
template <class Int>
Int checked(std::string_view name, Int value) {
  const property_info& p = *find_property(name);
  // A size beyond what is signed is beyond every range.
  if (!std::in_range<std::int64_t>(value) || std::cmp_less(value, p.min) || std::cmp_greater(value, p.max)) {
    refuse_range(name, std::to_string(value));
  }
  return value;
}

inline std::chrono::milliseconds checked_time(std::string_view name, std::chrono::milliseconds t) {
  return std::chrono::milliseconds(checked(name, t.count()));
}

inline void check_text(std::string_view name, std::string_view text) {
  const property_info& p = *find_property(name);
  if (std::cmp_less(text.size(), p.min)) refuse_setting(name, text, "must not be empty");
  if (std::cmp_greater(text.size(), p.max)) {
    refuse_setting(name, std::string(text.substr(0, 32)) + "...", "is longer than " + std::to_string(p.max) + " bytes");
  }
}

inline std::string checked_text(std::string_view name, std::string_view text) {
  check_text(name, text);
  return std::string(text);
}

/// Letters of ASCII only: no locale has a say in what a file means.
inline char in_lower_case(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline bool is_same_word(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return in_lower_case(x) == in_lower_case(y); });
}

/// One of a choice's words, in whatever case it is given: librdkafka takes every choice so and Java some, and one file is to do for all.
inline std::string_view checked_choice(std::string_view name, std::string_view value, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (is_same_word(word, value)) return word;
  }
  refuse_setting(name, value, "must be " + std::string(find_property(name)->choices));
}

inline std::int64_t parse_number(std::string_view name, std::string_view value) {
  std::int64_t number = 0;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool is_number = ec != std::errc::invalid_argument && end == value.data() + value.size();
  if (!is_number) refuse_setting(name, value, "is not a whole number");
  if (ec != std::errc()) refuse_range(name, value);
  return number;
}

inline std::int32_t parse_int32(std::string_view name, std::string_view value) {
  return static_cast<std::int32_t>(checked(name, parse_number(name, value)));
}

inline std::size_t parse_size(std::string_view name, std::string_view value) {
  return static_cast<std::size_t>(checked(name, parse_number(name, value)));
}

inline std::chrono::milliseconds parse_time(std::string_view name, std::string_view value) {
  return std::chrono::milliseconds(parse_number(name, value));
}

inline bool parse_bool(std::string_view name, std::string_view value) {
  if (is_same_word(value, "true")) return true;
  if (is_same_word(value, "false")) return false;
  refuse_setting(name, value, "must be true or false");
}

/// by_duration:PT1H
inline std::chrono::milliseconds parse_reset_duration(std::string_view name, std::string_view value) {
  constexpr std::string_view prefix = "by_duration:";
  if (!is_same_word(value.substr(0, prefix.size()), prefix) || value.size() == prefix.size()) {
    refuse_setting(name, value, "by_duration wants an ISO-8601 duration behind it, as by_duration:PT1H");
  }
  const auto back = iso_duration::parse(value.substr(prefix.size()));
  if (!back) refuse_setting(name, value, "is no ISO-8601 duration of days, hours, minutes and seconds, as by_duration:P1DT12H");
  if (back->count() < 0) refuse_setting(name, value, "must not be negative");
  return *back;
}

/// What the consumer protocol has no use for, and what to set instead.
inline std::string_view replacement_of(std::string_view name) {
  if (name == "session.timeout.ms") return "the broker's group.consumer.session.timeout.ms (or the group's consumer.session.timeout.ms)";
  if (name == "heartbeat.interval.ms") {
    return "the broker's group.consumer.heartbeat.interval.ms (or the group's consumer.heartbeat.interval.ms)";
  }
  if (name == "partition.assignment.strategy" || name == "partitionAssigners") return "group.remote.assignor";
  return {};
}

/// Java's and librdkafka's names of what is no setting here, and what it is.
inline std::string_view meaning_of(std::string_view name) {
  if (name == "max.poll.records") return "nothing is polled: a batch is what a fetch brought of a partition, bounded by max.partition.fetch.bytes";
  if (name == "key.deserializer" || name == "value.deserializer") return "records are bytes: record::key() and record::value()";
  if (name == "interceptor.classes" || name == "metric.reporters" || name == "statistics.interval.ms") return "see config::add_observer";
  if (name == "allow.auto.create.topics") return "reading creates no topic";
  if (name == "enable.auto.offset.store") return "what is done is said by done(), done_through() or done(record)";
  if (name == "enable.partition.eof") return "see partition::async_next_or_end";
  if (name == "ssl.keystore.password" || name == "ssl.truststore.password") return "files in PEM have none; ssl.key.password is the key's";
  if (name == "ssl.protocol" || name == "ssl.enabled.protocols") return "TLS 1.3 is spoken, or 1.2 where the broker has no better";
  if (name == "enable.ssl.certificate.verification") return "certificates are always verified";
  if (name.starts_with("sasl.kerberos.")) return "GSSAPI (Kerberos) is not supported";
  if (name.starts_with("sasl.oauthbearer.") || name.starts_with("sasl.login.callback.")) {
    return "see sasl.oauthbearer.token.endpoint.url and config::sasl_oauth_token";
  }
  return {};
}

}  // namespace detail

struct config::setter {
  std::string_view name;
  void (*apply)(config&, std::string_view name, std::string_view value);
};

KAWAIT_DECL const std::vector<config::setter>& config::setters() {
  static const std::vector<setter> all = [] {
    std::vector<setter> list = basic_setters();
    add_tls_setters(list);
    add_sasl_setters(list);
    add_oidc_setters(list);
    return list;
  }();
  return all;
}

KAWAIT_DECL std::vector<config::setter> config::basic_setters() {
  using sv = std::string_view;
  return {
      {"bootstrap.servers", [](config& c, sv, sv v) { c.bootstrap_servers(v); }},
      {"client.id", [](config& c, sv, sv v) { c.client_id(v); }},
      {"client.rack", [](config& c, sv, sv v) { c.client_rack(v); }},
      {"group.id", [](config& c, sv, sv v) { c.group_id(v); }},
      {"group.instance.id", [](config& c, sv, sv v) { c.group_instance_id(v); }},
      {"group.protocol",
       [](config&, sv n, sv v) {
         if (detail::checked_choice(n, v, {"classic", "consumer"}) == "consumer") return;
         detail::refuse_setting(n, v, "the classic protocol is not supported yet; use consumer");
       }},
      {"group.protocol.type",
       [](config& c, sv n, sv v) {
         detail::checked_text(n, v);
         c.warn(std::string(n) + " = '" + std::string(v) + "' is ignored: the broker knows the group's type");
       }},
      {"group.remote.assignor", [](config& c, sv, sv v) { c.remote_assignor(v); }},
      {"max.poll.interval.ms", [](config& c, sv n, sv v) { c.max_poll_interval(detail::parse_time(n, v)); }},
      {"rebalance.timeout.ms", [](config& c, sv n, sv v) { c.rebalance_timeout(detail::parse_time(n, v)); }},
      {"enable.auto.commit", [](config& c, sv n, sv v) { c.auto_commit(detail::parse_bool(n, v)); }},
      {"auto.commit.interval.ms", [](config& c, sv n, sv v) { c.auto_commit_interval(detail::parse_time(n, v)); }},
      {"auto.offset.reset",
       [](config& c, sv n, sv v) {
         constexpr sv by_time = "by_duration";
         if (detail::is_same_word(v.substr(0, by_time.size()), by_time)) {
           c.auto_offset_reset(by_duration(detail::parse_reset_duration(n, v)));
           return;
         }
         v = detail::checked_choice(n, v, {"earliest", "latest", "none"});
         c.auto_offset_reset(v == "earliest" ? offset_reset::earliest : v == "latest" ? offset_reset::latest : offset_reset::none);
       }},
      {"isolation.level",
       [](config& c, sv n, sv v) {
         v = detail::checked_choice(n, v, {"read_committed", "read_uncommitted"});
         c.isolation(v == "read_committed" ? isolation_level::read_committed : isolation_level::read_uncommitted);
       }},
      {"check.crcs", [](config& c, sv n, sv v) { c.check_crcs(detail::parse_bool(n, v)); }},
      {"fetch.min.bytes", [](config& c, sv n, sv v) { c.fetch_min_bytes(detail::parse_int32(n, v)); }},
      {"fetch.max.bytes", [](config& c, sv n, sv v) { c.fetch_max_bytes(detail::parse_int32(n, v)); }},
      {"fetch.max.wait.ms", [](config& c, sv n, sv v) { c.fetch_max_wait(detail::parse_time(n, v)); }},
      {"max.partition.fetch.bytes", [](config& c, sv n, sv v) { c.max_partition_fetch_bytes(detail::parse_int32(n, v)); }},
      {"fetch.buffer.bytes", [](config& c, sv n, sv v) { c.fetch_buffer_bytes(detail::parse_size(n, v)); }},
      {"decompression.limit.bytes", [](config& c, sv n, sv v) { c.decompression_limit(detail::parse_size(n, v)); }},
      {"metadata.max.age.ms", [](config& c, sv n, sv v) { c.metadata_max_age(detail::parse_time(n, v)); }},
      {"request.timeout.ms", [](config& c, sv n, sv v) { c.request_timeout(detail::parse_time(n, v)); }},
      {"default.api.timeout.ms", [](config& c, sv n, sv v) { c.default_api_timeout(detail::parse_time(n, v)); }},
      {"socket.connection.setup.timeout.ms", [](config& c, sv n, sv v) { c.connection_setup_timeout(detail::parse_time(n, v)); }},
      {"reconnect.backoff.ms", [](config& c, sv n, sv v) { c.reconnect_backoff(detail::parse_time(n, v)); }},
      {"reconnect.backoff.max.ms", [](config& c, sv n, sv v) { c.reconnect_backoff_max(detail::parse_time(n, v)); }},
      {"retry.backoff.ms", [](config& c, sv n, sv v) { c.retry_backoff(detail::parse_time(n, v)); }},
      {"retry.backoff.max.ms", [](config& c, sv n, sv v) { c.retry_backoff_max(detail::parse_time(n, v)); }},
  };
}

KAWAIT_DECL config& config::set(const std::map<std::string, std::string>& properties) {
  config all = *this;  // all or nothing
  for (const auto& [name, value] : properties) all.set(name, value);
  return *this = std::move(all);
}

KAWAIT_DECL config& config::set(std::string_view name, std::string_view value) {
  // Kafka trims what its clients are told, so that one file gives all of them the same group.
  const auto first = value.find_first_not_of(" \t\r\n\f");
  value = first == std::string_view::npos ? std::string_view() : value.substr(first, value.find_last_not_of(" \t\r\n\f") - first + 1);
  for (const setter& s : setters()) {
    if (s.name != name) continue;
    s.apply(*this, name, value);
    return *this;
  }
  if (const auto instead = detail::replacement_of(name); !instead.empty()) {
    detail::refuse_setting(name, value, "has no meaning under group.protocol=consumer; set " + std::string(instead));
  }
  if (const auto meaning = detail::meaning_of(name); !meaning.empty()) {
    detail::refuse_setting(name, value, "is no setting here: " + std::string(meaning));
  }
  const auto& all = properties();
  const auto nearest = std::min_element(all.begin(), all.end(), [&](const property_info& a, const property_info& b) {
    return detail::edit_distance(name, a.name) < detail::edit_distance(name, b.name);
  });
  // Without its value: a slip in the name does not make a password less of a secret.
  throw error(errc::invalid_config, std::string(name) + ": no such property; the nearest known is " + std::string(nearest->name));
}

KAWAIT_DECL void config::warn(std::string words) {
  auto& all = values_.warnings;
  if (std::find(all.begin(), all.end(), words) == all.end()) all.push_back(std::move(words));
}

KAWAIT_DECL config& config::bootstrap_servers(std::string_view list) {
  auto parsed = net::parse_bootstrap_servers(detail::checked_text("bootstrap.servers", list));
  if (!parsed) detail::refuse_setting("bootstrap.servers", list, parsed.error().words);
  values_.bootstrap = *std::move(parsed);
  return *this;
}

KAWAIT_DECL config& config::client_id(std::string_view id) {
  values_.client_id = detail::checked_text("client.id", id);
  return *this;
}

KAWAIT_DECL config& config::client_rack(std::string_view rack) {
  values_.client_rack = detail::checked_text("client.rack", rack);
  return *this;
}

KAWAIT_DECL config& config::group_id(std::string_view id) {
  values_.group_id = detail::checked_text("group.id", id);
  return *this;
}

KAWAIT_DECL config& config::group_instance_id(std::string_view id) {
  values_.group_instance_id = detail::checked_text("group.instance.id", id);
  return *this;
}

KAWAIT_DECL config& config::remote_assignor(std::string_view name) {
  values_.remote_assignor = detail::checked_text("group.remote.assignor", name);
  return *this;
}

KAWAIT_DECL config& config::rebalance_timeout(milliseconds t) {
  values_.rebalance_timeout = detail::checked_time("rebalance.timeout.ms", t);
  return *this;
}

KAWAIT_DECL config& config::max_poll_interval(milliseconds t) {
  values_.max_poll_interval = detail::checked_time("max.poll.interval.ms", t);
  return *this;
}

KAWAIT_DECL config& config::auto_offset_reset(by_duration d) {
  if (d.back.count() < 0) {
    detail::refuse_setting("auto.offset.reset", "by_duration of " + std::to_string(d.back.count()) + " ms", "must not be negative");
  }
  values_.auto_offset_reset = offset_reset::latest;
  values_.auto_offset_reset_back = d.back;
  return *this;
}

KAWAIT_DECL config& config::auto_commit_interval(milliseconds t) {
  values_.auto_commit_interval = detail::checked_time("auto.commit.interval.ms", t);
  return *this;
}

KAWAIT_DECL config& config::fetch_min_bytes(std::int32_t bytes) {
  values_.fetch_min_bytes = detail::checked("fetch.min.bytes", bytes);
  return *this;
}

KAWAIT_DECL config& config::fetch_max_bytes(std::int32_t bytes) {
  values_.fetch_max_bytes = detail::checked("fetch.max.bytes", bytes);
  return *this;
}

KAWAIT_DECL config& config::fetch_max_wait(milliseconds t) {
  values_.fetch_max_wait = detail::checked_time("fetch.max.wait.ms", t);
  return *this;
}

KAWAIT_DECL config& config::max_partition_fetch_bytes(std::int32_t bytes) {
  values_.max_partition_fetch_bytes = detail::checked("max.partition.fetch.bytes", bytes);
  return *this;
}

KAWAIT_DECL config& config::fetch_buffer_bytes(std::size_t bytes) {
  values_.fetch_buffer_bytes = detail::checked("fetch.buffer.bytes", bytes);
  return *this;
}

KAWAIT_DECL config& config::decompression_limit(std::size_t bytes) {
  values_.decompression_limit = detail::checked("decompression.limit.bytes", bytes);
  return *this;
}

KAWAIT_DECL config& config::metadata_max_age(milliseconds t) {
  values_.metadata_max_age = detail::checked_time("metadata.max.age.ms", t);
  return *this;
}

KAWAIT_DECL config& config::request_timeout(milliseconds t) {
  values_.request_timeout = detail::checked_time("request.timeout.ms", t);
  return *this;
}

KAWAIT_DECL config& config::default_api_timeout(milliseconds t) {
  values_.default_api_timeout = detail::checked_time("default.api.timeout.ms", t);
  return *this;
}

KAWAIT_DECL config& config::connection_setup_timeout(milliseconds t) {
  values_.connection_setup_timeout = detail::checked_time("socket.connection.setup.timeout.ms", t);
  return *this;
}

KAWAIT_DECL config& config::reconnect_backoff(milliseconds t) {
  values_.reconnect_backoff = detail::checked_time("reconnect.backoff.ms", t);
  return *this;
}

KAWAIT_DECL config& config::reconnect_backoff_max(milliseconds t) {
  values_.reconnect_backoff_max = detail::checked_time("reconnect.backoff.max.ms", t);
  return *this;
}

KAWAIT_DECL config& config::retry_backoff(milliseconds t) {
  values_.retry_backoff = detail::checked_time("retry.backoff.ms", t);
  return *this;
}

KAWAIT_DECL config& config::retry_backoff_max(milliseconds t) {
  values_.retry_backoff_max = detail::checked_time("retry.backoff.max.ms", t);
  return *this;
}

KAWAIT_DECL void config::check() const {
  if (values_.bootstrap.empty()) throw error(errc::invalid_config, "bootstrap.servers is required");
  const auto ordered = [](std::string_view name, milliseconds from, std::string_view max_name, milliseconds to) {
    if (from <= to) return;
    const std::string words = "is less than " + std::string(name) + " = '" + std::to_string(from.count()) + '\'';
    detail::refuse_setting(max_name, std::to_string(to.count()), words);
  };
  ordered("reconnect.backoff.ms", values_.reconnect_backoff, "reconnect.backoff.max.ms", values_.reconnect_backoff_max);
  ordered("retry.backoff.ms", values_.retry_backoff, "retry.backoff.max.ms", values_.retry_backoff_max);
  check_tls();
  check_sasl();
}

}  // namespace kawait
