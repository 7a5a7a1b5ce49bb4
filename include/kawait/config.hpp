#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/core/observer.hpp>
#include <kawait/properties.hpp>
#include <kawait/runtime/options.hpp>

namespace kawait {

/// auto.offset.reset: where a partition starts for which the group has no committed offset, or one that is out of range.
using offset_reset = machine::position_finder::reset_policy;

/// auto.offset.reset=by_duration:PT1H (KIP-1106): the first record that is no older than so long; the end, if there is none.
struct by_duration {
  std::chrono::milliseconds back;

  template <class Rep, class Period>
  explicit by_duration(std::chrono::duration<Rep, Period> d) : back(runtime::saturated(d, std::chrono::milliseconds::max())) {}
};

/// A consumer's settings, typed or by Kafka's property names. Every setter checks at once and throws kawait::error of
/// errc::invalid_config, whose words name the property, the value and what is allowed (properties() has the ranges), and leaves the
/// settings as they were. Copyable; a consumer copies it.
class config {
 public:
  using milliseconds = std::chrono::milliseconds;

  config() = default;
  /// "host:port,host:port"
  explicit config(std::string_view bootstrap_servers) { this->bootstrap_servers(bootstrap_servers); }

  /// One property by Kafka's name ("bootstrap.servers", "group.id", ...); properties() lists them. Blanks around the value are not part of
  /// it. Unknown names are errors that tell the
  /// nearest known one; names that the consumer protocol has no use for (session.timeout.ms, ...) tell what takes their place.
  KAWAIT_DECL config& set(std::string_view name, std::string_view value);
  /// Several, in no particular order; all or none.
  KAWAIT_DECL config& set(const std::map<std::string, std::string>& properties);
  /// Those of a file in Java's format: a line each, `name=value`, also with `:` or blanks between; comments begin with # or !, a
  /// backslash at the end continues a line, and \t \n \r \f \uXXXX and \ before any other character are known. Of a name that comes
  /// twice the last counts. The words of errors begin with the file and the line: "orders.properties:12: ...".
  KAWAIT_DECL config& load_file(const std::string& path);
  /// Those of the environment's variables that begin with the prefix: KAWAIT_CONFIG_GROUP_ID is group.id. The words of errors begin
  /// with the variable's name. An unknown property's variable is an error, too, so the prefix should be nobody else's.
  KAWAIT_DECL config& load_environment(std::string_view prefix = "KAWAIT_CONFIG_");

  /// bootstrap.servers. Required.
  KAWAIT_DECL config& bootstrap_servers(std::string_view list);
  /// client.id, in the broker's logs and quotas. Default "kawait".
  KAWAIT_DECL config& client_id(std::string_view id);
  /// client.rack: where this consumer is, as the brokers' broker.rack says of them. Leaders that select replicas by rack
  /// (replica.selector.class on the brokers) name a follower that is nearer, which is fetched from for metadata.max.age.ms or until it
  /// refuses or fails (KIP-392); lag() and at_end() are then as that follower knows. Told to the group, too, for rack-aware
  /// assignors (those of Kafka 4.3 do not read it). Default none.
  KAWAIT_DECL config& client_rack(std::string_view rack);
  /// group.id. Required by subscribe() and by commits.
  KAWAIT_DECL config& group_id(std::string_view id);
  /// group.instance.id: a static member (KIP-345), whose partitions wait for its return while the session lasts. Default none.
  KAWAIT_DECL config& group_instance_id(std::string_view id);
  /// group.remote.assignor: "uniform", "range" or another that the broker has. Default: the broker decides.
  KAWAIT_DECL config& remote_assignor(std::string_view name);
  /// How long the group waits for revoked partitions (KIP-848). Default max.poll.interval.ms, as in Java.
  KAWAIT_DECL config& rebalance_timeout(milliseconds t);
  /// max.poll.interval.ms. A partition with data waiting or a batch in hand, not paused, and for so long no async_next, done or
  /// keep_alive: the member leaves the group, then all its partitions are lost, and it joins again as soon as that partition's
  /// application moves (calls, releases the batch, or its handler returns). Noticed up to an eighth late. In the mode of
  /// consumer.async_next() each call counts for all partitions. Default 5 minutes.
  KAWAIT_DECL config& max_poll_interval(milliseconds t);

  /// enable.auto.commit. Default true: what is done is committed every auto.commit.interval.ms, at revocation and at close.
  config& auto_commit(bool on) {
    values_.auto_commit = on;
    return *this;
  }
  /// auto.commit.interval.ms. Default 5 s.
  KAWAIT_DECL config& auto_commit_interval(milliseconds t);
  /// auto.offset.reset. Default latest. A log that was truncated below the position is gone back to, with a last_warning() of
  /// errc::log_truncated; under none it is an error of async_next.
  ///
  /// latest is where the log ends when the partition is first read. That goes for partitions that are added to a topic, too: what was
  /// written to them before is not read, as with Java's consumer. earliest or by_duration() read it.
  config& auto_offset_reset(offset_reset policy) {
    values_.auto_offset_reset = policy;
    values_.auto_offset_reset_back.reset();
    return *this;
  }
  /// Counted back, by this machine's clock, from when the offset is asked for. Negative ones are refused.
  KAWAIT_DECL config& auto_offset_reset(by_duration d);
  /// isolation.level. Default read_uncommitted.
  config& isolation(isolation_level level) {
    values_.isolation = level;
    return *this;
  }
  /// check.crcs. Default true.
  config& check_crcs(bool on) {
    values_.check_crcs = on;
    return *this;
  }

  /// fetch.min.bytes. Default 1, at least 0.
  KAWAIT_DECL config& fetch_min_bytes(std::int32_t bytes);
  /// fetch.max.bytes of one response. Default 50 MiB; a request asks for no more than its share of fetch.buffer.bytes.
  KAWAIT_DECL config& fetch_max_bytes(std::int32_t bytes);
  /// fetch.max.wait.ms. Default 500 ms, at least 0.
  KAWAIT_DECL config& fetch_max_wait(milliseconds t);
  /// max.partition.fetch.bytes. Default 1 MiB.
  KAWAIT_DECL config& max_partition_fetch_bytes(std::int32_t bytes);
  /// fetch.buffer.bytes: fetched and decompressed data of all partitions, read or not. Default 32 MiB, 1 MiB to 1 TiB. Half of it is
  /// shared out evenly among the partitions, a quarter goes round among those that have more and are being read, which are fetched
  /// ahead. May be exceeded by one response, by the record batch that is being decompressed, and by record batches, decompressed or not,
  /// that are larger than a partition's share: each partition may hold one that reaches beyond it (a broker sends at least one record
  /// batch, whatever its size), or those whose batches nobody releases would stop the rest. What is held on to of a partition that was
  /// given up is in nobody's share any more; nor is what was handed out before further partitions were assigned and the shares became
  /// smaller: half the buffer at most, each time.
  KAWAIT_DECL config& fetch_buffer_bytes(std::size_t bytes);

  /// decompression.limit.bytes: the most that one record batch may decompress to; more is errc::decompression_limit. Default 64 MiB, at
  /// least 1 MiB.
  KAWAIT_DECL config& decompression_limit(std::size_t bytes);

  /// metadata.max.age.ms. Default 5 minutes.
  KAWAIT_DECL config& metadata_max_age(milliseconds t);
  /// request.timeout.ms. Default 30 s.
  KAWAIT_DECL config& request_timeout(milliseconds t);
  /// default.api.timeout.ms: of commits and queries, and of reaching the cluster at all. Default 60 s.
  KAWAIT_DECL config& default_api_timeout(milliseconds t);
  /// socket.connection.setup.timeout.ms: of connecting to one address, with the handshake. Default 10 s.
  KAWAIT_DECL config& connection_setup_timeout(milliseconds t);
  /// reconnect.backoff.ms: before a broker is tried again; doubled each time, with jitter. Default 50 ms.
  KAWAIT_DECL config& reconnect_backoff(milliseconds t);
  /// reconnect.backoff.max.ms. Default 1 s.
  KAWAIT_DECL config& reconnect_backoff_max(milliseconds t);
  /// retry.backoff.ms: before a request is said again; doubled each time, with jitter. Default 100 ms.
  KAWAIT_DECL config& retry_backoff(milliseconds t);
  /// retry.backoff.max.ms. Default 1 s.
  KAWAIT_DECL config& retry_backoff_max(milliseconds t);

  /// security.protocol. Default PLAINTEXT. Certificates, keys, cipher suites and credentials that are set and not spoken are an error
  /// when a consumer takes them.
  config& security_protocol(kawait::security_protocol p) {
    values_.security.protocol = p;
    return *this;
  }
  /// ssl.ca.location: a file in PEM, or a directory as OpenSSL hashes it. Default: the system's. Files are read when a consumer takes
  /// the settings, and again for the first connection after they have changed; one that cannot be read then is told where that
  /// connection fails, and what was read before is in use until it can.
  KAWAIT_DECL config& ssl_ca_location(std::string_view path);
  /// ssl.ca.pem: the same as text.
  KAWAIT_DECL config& ssl_ca_pem(std::string_view pem);
  /// ssl.certificate.location: the client's certificate, for brokers that ask for one, and those that it was signed by, in this order.
  KAWAIT_DECL config& ssl_certificate_location(std::string_view path);
  /// ssl.certificate.pem
  KAWAIT_DECL config& ssl_certificate_pem(std::string_view pem);
  /// ssl.key.location: the certificate's private key.
  KAWAIT_DECL config& ssl_key_location(std::string_view path);
  /// ssl.key.pem
  KAWAIT_DECL config& ssl_key_pem(secret pem);
  /// ssl.key.password
  KAWAIT_DECL config& ssl_key_password(secret password);
  /// ssl.cipher.suites, by OpenSSL's names or Java's.
  KAWAIT_DECL config& ssl_cipher_suites(std::string_view names);
  /// ssl.endpoint.identification.algorithm: whether the certificate has to be of the host (a name or an address) that was connected to.
  /// Default true (https).
  config& ssl_endpoint_identification(bool on) {
    values_.security.tls.verify_host = on;
    return *this;
  }
  /// sasl.mechanism. Required with SASL.
  config& sasl_mechanism(kawait::sasl_mechanism m) {
    values_.security.sasl.mechanism = m;
    return *this;
  }
  /// sasl.username, of PLAIN and SCRAM.
  KAWAIT_DECL config& sasl_username(std::string_view name);
  /// sasl.password, of PLAIN and SCRAM.
  KAWAIT_DECL config& sasl_password(secret password);
  /// Where OAUTHBEARER's tokens come from, if not from sasl.oauthbearer.token.endpoint.url. No property. Copies of the settings share
  /// what it holds, as with add_observer().
  config& sasl_oauth_token(oauth_token_source source) {
    values_.security.sasl.token = std::move(source);
    return *this;
  }
  /// sasl.allow.cleartext: PLAIN and OAUTHBEARER without TLS are refused otherwise. Default false.
  config& sasl_allow_cleartext(bool on) {
    values_.security.sasl.allow_cleartext = on;
    return *this;
  }
  /// sasl.login.attempts: after so many in a row that a broker refused, async_run() ends with errc::authentication_failed. Between them
  /// it waits as reconnect_backoff() says. Default 3.
  KAWAIT_DECL config& sasl_login_attempts(std::uint32_t attempts);

  /// Hears of all that a consumer of these settings does; several may. No property. A null pointer is ignored. Copies of the settings
  /// share it: where their consumers run on several threads, it is called on all of them at once.
  config& add_observer(std::shared_ptr<observer> o) {
    if (o) values_.observers.add(std::move(o));
    return *this;
  }

  /// Throws unless what is required is there, and neither retry.backoff.max.ms nor reconnect.backoff.max.ms is below the time that it
  /// limits, and what is set of TLS and SASL is what security.protocol needs. Called by the consumer's constructor.
  KAWAIT_DECL void check() const;
  const runtime::options& values() const noexcept { return values_; }
  /// What was set and has no effect, in words. A consumer warns of it as it starts (observer::on_warned, errc::invalid_config).
  const std::vector<std::string>& warnings() const noexcept { return values_.warnings; }

 private:
  struct setter;
  KAWAIT_DECL static const std::vector<setter>& setters();
  KAWAIT_DECL static std::vector<setter> basic_setters();
  KAWAIT_DECL static void add_tls_setters(std::vector<setter>& all);
  KAWAIT_DECL static void add_sasl_setters(std::vector<setter>& all);
  KAWAIT_DECL static void add_oidc_setters(std::vector<setter>& all);
  KAWAIT_DECL void warn(std::string words);
  KAWAIT_DECL void take_jaas(std::string_view name, std::string_view text);
  KAWAIT_DECL void check_tls() const;
  KAWAIT_DECL void check_sasl() const;
  KAWAIT_DECL void check_oidc() const;

  runtime::options values_;
  std::string jaas_module_;  // of sasl.jaas.config
};

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/config.ipp>
#include <kawait/impl/config_security.ipp>
#include <kawait/impl/config_sources.ipp>
#include <kawait/impl/config_tokens.ipp>
#endif
