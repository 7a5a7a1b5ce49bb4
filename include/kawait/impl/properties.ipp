#pragma once

#include <algorithm>

#include <kawait/properties.hpp>

namespace kawait {

namespace property_table {

using enum property_type;

constexpr std::int64_t int_max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t longest_text = 32'767;
constexpr std::int64_t mebibyte = std::int64_t{1} << 20;
constexpr std::int64_t tebibyte = std::int64_t{1} << 40;

inline void add_group_properties(std::vector<property_info>& all) {
  all.insert(
      all.end(),
      {
          {"bootstrap.servers", list, "", 1, longest_text, "",
           "host:port of some brokers, separated by commas; the others are learnt from them. Required."},
          {"client.id", text, "kawait", 1, longest_text, "", "How the brokers' logs and quotas call the client."},
          {"client.rack", text, "", 1, longest_text, "",
           "Where this consumer is: leaders that select replicas by rack (replica.selector.class) let it fetch from a follower that is nearer "
           "(KIP-392). Told to the group, too, for rack-aware assignors (those of Kafka 4.3 do not read it)."},
          {"group.id", text, "", 1, longest_text, "", "The consumer group. Required by subscribe() and by commits."},
          {"group.instance.id", text, "", 1, longest_text, "",
           "Makes the member static (KIP-345): its partitions wait for its return while the session lasts."},
          {"group.protocol", choice, "consumer", 0, 0, "classic or consumer",
           "The group's protocol: consumer is KIP-848's. classic is not supported yet."},
          {"group.protocol.type", text, "", 0, longest_text, "", "Accepted with a warning: the broker knows the group's type."},
          {"group.remote.assignor", text, "", 1, longest_text, "",
           "uniform, range or another that the broker has; by default the broker decides."},
          {"max.poll.interval.ms", milliseconds, "300000", 1, int_max, "",
           "A partition with data waiting or in hand, and for so long no sign of work: the member leaves until there is one."},
          {"rebalance.timeout.ms", milliseconds, "", 1, int_max, "",
           "How long the group waits for partitions that are to be given up. Default: max.poll.interval.ms, as in Java."},
          {"enable.auto.commit", boolean, "true", 0, 0, "",
           "What is done is committed every auto.commit.interval.ms, at revocation and at close; else only by async_commit()."},
          {"auto.commit.interval.ms", milliseconds, "5000", 1, int_max, "", "Between automatic commits."},
          {"auto.offset.reset", choice, "latest", 0, 0, "earliest, latest, none, or by_duration with an ISO-8601 duration: by_duration:PT1H",
           "Where a partition starts for which the group has no committed offset, or one that is out of range; none: with an error; "
           "by_duration: with what is no older. latest skips what is in a partition when it is first read, in one that was added, too, "
           "as in Java."},
      });
}

inline void add_fetch_properties(std::vector<property_info>& all) {
  all.insert(
      all.end(),
      {
          {"isolation.level", choice, "read_uncommitted", 0, 0, "read_uncommitted or read_committed",
           "Whether records of transactions are shown before they are committed, and if they are aborted."},
          {"check.crcs", boolean, "true", 0, 0, "", "Whether each record batch's checksum is checked."},
          {"fetch.min.bytes", number, "1", 0, int_max, "", "A broker waits for so much data, up to fetch.max.wait.ms."},
          {"fetch.max.bytes", bytes, "52428800", 1, int_max, "",
           "Of one response. A request asks for no more than its share of fetch.buffer.bytes."},
          {"fetch.max.wait.ms", milliseconds, "500", 0, int_max, "", "How long a broker may wait for fetch.min.bytes."},
          {"max.partition.fetch.bytes", bytes, "1048576", 1, int_max, "", "Of one partition in one response."},
          {"fetch.buffer.bytes", bytes, "33554432", mebibyte, tebibyte, "",
           "Fetched and decompressed data of all partitions, read or not. May be exceeded by one response, the batch that is being "
           "decompressed, and batches larger than a partition's share: one a partition."},
          {"decompression.limit.bytes", bytes, "67108864", mebibyte, tebibyte, "",
           "The most that one record batch may decompress to; more is an error."},
      });
}

inline void add_network_properties(std::vector<property_info>& all) {
  all.insert(
      all.end(),
      {
          {"metadata.max.age.ms", milliseconds, "300000", 1, int_max, "", "Metadata is asked for again at least so often."},
          {"request.timeout.ms", milliseconds, "30000", 1, int_max, "", "How long a request waits for its answer."},
          {"default.api.timeout.ms", milliseconds, "60000", 1, int_max, "",
           "Of commits and queries with all their retries, and of reaching the cluster at all."},
          {"socket.connection.setup.timeout.ms", milliseconds, "10000", 1, int_max, "", "Of connecting to one address, with the handshake."},
          {"reconnect.backoff.ms", milliseconds, "50", 1, int_max, "",
           "Before a broker is tried again; doubled each time, with jitter, up to reconnect.backoff.max.ms."},
          {"reconnect.backoff.max.ms", milliseconds, "1000", 1, int_max, "", "At least reconnect.backoff.ms."},
          {"retry.backoff.ms", milliseconds, "100", 1, int_max, "",
           "Before a request is said again; doubled each time, with jitter, up to retry.backoff.max.ms."},
          {"retry.backoff.max.ms", milliseconds, "1000", 1, int_max, "", "At least retry.backoff.ms."},
      });
}

inline void add_tls_properties(std::vector<property_info>& all) {
  all.insert(
      all.end(),
      {
          {"security.protocol", choice, "PLAINTEXT", 0, 0, "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
           "Whether TLS (1.2 or 1.3) is spoken, and SASL."},
          {"ssl.ca.location", text, "", 1, longest_text, "",
           "File of the certificates (PEM), or OpenSSL's directory of them, that the brokers' are trusted by. Default: the system's. Files "
           "are read again when they change."},
          {"ssl.ca.pem", text, "", 1, mebibyte, "", "The same as text."},
          {"ssl.truststore.location", text, "", 1, longest_text, "", "Java's name of ssl.ca.location."},
          {"ssl.truststore.certificates", text, "", 1, mebibyte, "", "Java's name of ssl.ca.pem."},
          {"ssl.truststore.type", choice, "PEM", 0, 0, "PEM", "JKS and PKCS12 are not read: keytool and openssl convert them."},
          {"ssl.certificate.location", text, "", 1, longest_text, "",
           "File of the client's certificate and those that it was signed by (PEM), for brokers that ask for one."},
          {"ssl.certificate.pem", text, "", 1, mebibyte, "", "The same as text."},
          {"ssl.keystore.certificate.chain", text, "", 1, mebibyte, "", "Java's name of ssl.certificate.pem."},
          {"ssl.key.location", text, "", 1, longest_text, "", "File of the certificate's private key (PEM)."},
          {"ssl.key.pem", password, "", 1, mebibyte, "", "The same as text."},
          {"ssl.keystore.key", password, "", 1, mebibyte, "", "Java's name of ssl.key.pem."},
          {"ssl.key.password", password, "", 1, longest_text, "", "Of a private key that is encrypted."},
          {"ssl.keystore.location", text, "", 1, longest_text, "", "File of both the certificate and its key (PEM)."},
          {"ssl.keystore.type", choice, "PEM", 0, 0, "PEM", "As ssl.truststore.type."},
          {"ssl.cipher.suites", text, "", 1, longest_text, "",
           "OpenSSL's or Java's names, separated by colons or commas. With none of TLS 1.3 its default ones stay, with none of TLS 1.2 it is "
           "not spoken. Default: OpenSSL's."},
          {"ssl.endpoint.identification.algorithm", choice, "https", 0, 0, "https or none",
           "none: any certificate that is trusted will do, whosever it is. Anybody who has one can then be the broker."},
      });
}

inline void add_sasl_properties(std::vector<property_info>& all) {
  all.insert(
      all.end(),
      {
          {"sasl.mechanism", choice, "", 0, 0, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
           "Required with SASL. OAUTHBEARER takes its tokens from config::sasl_oauth_token or sasl.oauthbearer.token.endpoint.url. GSSAPI is "
           "not supported."},
          {"sasl.mechanisms", choice, "", 0, 0, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", "librdkafka's name of sasl.mechanism."},
          {"sasl.username", text, "", 1, longest_text, "", "Of PLAIN and SCRAM."},
          {"sasl.password", password, "", 1, longest_text, "", "Of PLAIN and SCRAM."},
          {"sasl.jaas.config", password, "", 1, longest_text, "",
           "Java's way to say both: PlainLoginModule or ScramLoginModule required username=\"...\" password=\"...\";"},
          {"sasl.allow.cleartext", boolean, "false", 0, 0, "",
           "Whether PLAIN's password, OAUTHBEARER's token and what it is asked for with may be sent without TLS, for everybody on the way to "
           "read."},
          {"sasl.login.attempts", number, "3", 1, int_max, "",
           "So many refusals in a row end the consumer, so that no account is locked by trying."},
      });
}

inline void add_oidc_properties(std::vector<property_info>& all) {
  all.insert(
      all.end(),
      {
          {"sasl.oauthbearer.method", choice, "default", 0, 0, "default or oidc",
           "librdkafka's switch; here sasl.oauthbearer.token.endpoint.url is enough."},
          {"sasl.oauthbearer.token.endpoint.url", text, "", 1, longest_text, "",
           "Where OAUTHBEARER's tokens are had for OIDC's client credentials (KIP-768): https://host[:port]/path. http:// on this machine "
           "only, or with sasl.allow.cleartext. A token is used until a fifth of its time is left."},
          {"sasl.oauthbearer.client.id", text, "", 1, longest_text, "", "Who asks for a token."},
          {"sasl.oauthbearer.client.secret", password, "", 1, longest_text, "", "The password of who asks."},
          {"sasl.oauthbearer.client.credentials.client.id", text, "", 1, longest_text, "", "Java's name of sasl.oauthbearer.client.id."},
          {"sasl.oauthbearer.client.credentials.client.secret", password, "", 1, longest_text, "",
           "Java's name of sasl.oauthbearer.client.secret."},
          {"sasl.oauthbearer.scope", text, "", 1, longest_text, "", "What the token is for, as the endpoint calls it."},
          {"sasl.oauthbearer.header.urlencode", boolean, "false", 0, 0, "",
           "Whether client id and secret are encoded as in a form before they are sent, as RFC 6749 has it; most endpoints do not ask for it."},
          {"sasl.oauthbearer.extensions", text, "", 1, longest_text, "",
           "Shown to brokers with the token (KIP-342): name=value,name=value. Confluent's cloud wants logicalCluster and identityPoolId."},
          {"https.ca.location", text, "", 1, longest_text, "",
           "As ssl.ca.location, for the token endpoint. Default: the system's; what is set for brokers is not used."},
          {"https.ca.pem", text, "", 1, mebibyte, "", "The same as text."},
      });
}

}  // namespace property_table

KAWAIT_DECL const std::vector<property_info>& properties() {
  static const std::vector<property_info> all = [] {
    std::vector<property_info> list;
    property_table::add_group_properties(list);
    property_table::add_fetch_properties(list);
    property_table::add_network_properties(list);
    property_table::add_tls_properties(list);
    property_table::add_sasl_properties(list);
    property_table::add_oidc_properties(list);
    return list;
  }();
  return all;
}

KAWAIT_DECL const property_info* find_property(std::string_view name) {
  const auto& all = properties();
  const auto found = std::find_if(all.begin(), all.end(), [name](const property_info& p) { return p.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace kawait
