// TLS and SASL as a real Kafka has them: one node with a listener of every kind, certificates of the test's own, SCRAM's users made by
// Kafka's tool. Whatever is a secret here begins with "hunter2", and the run's output is searched for it (security/run.sh).

#include "member_support.hpp"

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <openssl/evp.h>
#include <unistd.h>

#include "support/certificates.hpp"

#include <kawait/log_observer.hpp>

namespace kawait::tests::secured {
namespace {

namespace fs = std::filesystem;

/// Ports of the node's listeners, above that of the plaintext one.
enum class listener : int { plaintext = 0, ssl = 10, mutual, elsewhere, expired, sasl_plaintext, sasl_ssl, renewed };

const char* const password = "hunter2-scram";
const char* const key_password = "hunter2-key";
const char* const common_part = "hunter2";

/// The node, its certificates in files, and where its listeners are.
class secure_node {
 public:
  secure_node() : node_(1, properties()) {}
  ~secure_node() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  const std::string& plaintext() const noexcept { return node_.bootstrap(); }
  std::string at(listener l) const {
    const std::size_t colon = node_.bootstrap().rfind(':');
    return "127.0.0.1:" + std::to_string(std::stoi(node_.bootstrap().substr(colon + 1)) + static_cast<int>(l));
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  const authority& clients() const noexcept { return clients_; }

 private:
  static fs::path make_folder() {
    std::string name = (fs::temp_directory_path() / "kawait-security-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp " + name);
    return name;
  }
  void write_store(const std::string& name, const certificate& c) const { write_file(file(name), c.key + c.text); }

  std::vector<std::string> properties() const {
    using seconds = std::chrono::seconds;
    write_file(file("ca.pem"), brokers_.text());
    write_file(file("clients.pem"), clients_.text());
    write_file(file("other.pem"), authority("somebody else").text());
    write_store("broker.pem", brokers_.issue("broker", {"IP:127.0.0.1"}));
    write_store("elsewhere.pem", brokers_.issue("elsewhere", {"DNS:elsewhere"}));
    write_store("expired.pem", brokers_.issue("broker", {"IP:127.0.0.1"}, validity(seconds(-7200), seconds(-60))));
    const certificate own = clients_.issue("alice", {}, validity(), key_password);
    write_file(file("alice.pem"), own.text);
    write_file(file("alice.key"), own.key);

    const std::vector<std::pair<std::string, int>> names = {{"SSL", 11},     {"MUTUAL", 12},         {"ELSEWHERE", 13}, {"EXPIRED", 14},
                                                            {"SASL_PLAINTEXT", 15}, {"SASL_SSL", 16}, {"RENEWED", 17}};
    std::string all = "PLAINTEXT://127.0.0.1:@1@";
    for (const auto& [name, port] : names) all += "," + name + "://127.0.0.1:@" + std::to_string(port) + "@";
    std::vector<std::string> p = {
        "listeners=" + all + ",CONTROLLER://127.0.0.1:@101@",
        "advertised.listeners=" + all,
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,MUTUAL:SSL,ELSEWHERE:SSL,EXPIRED:SSL,"
        "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,RENEWED:SASL_PLAINTEXT",
        "ssl.keystore.type=PEM",
        "ssl.keystore.location=" + file("broker.pem"),
        "ssl.truststore.type=PEM",
        "ssl.truststore.location=" + file("clients.pem"),
        "listener.name.mutual.ssl.client.auth=required",
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.renewed.sasl.enabled.mechanisms=SCRAM-SHA-256",
        "listener.name.renewed.scram-sha-256.connections.max.reauth.ms=3000",
        std::string("scram-user=alice:") + password,
    };
    for (const std::string name : {"elsewhere", "expired"}) {
      p.push_back("listener.name." + name + ".ssl.keystore.type=PEM");
      p.push_back("listener.name." + name + ".ssl.keystore.location=" + file(name + ".pem"));
    }
    const std::string module = "org.apache.kafka.common.security.";
    for (const std::string name : {"sasl_plaintext", "sasl_ssl", "renewed"}) {
      const std::string of = "listener.name." + name + ".";
      for (const std::string hash : {"256", "512"}) {
        p.push_back(of + "scram-sha-" + hash + ".sasl.jaas.config=" + module + "scram.ScramLoginModule required;");
      }
      p.push_back(of + "plain.sasl.jaas.config=" + module + "plain.PlainLoginModule required user_alice=\"hunter2-plain\";");
      p.push_back(of + "oauthbearer.sasl.jaas.config=" + module +
                  "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";");
    }
    return p;
  }

  fs::path folder_ = make_folder();
  authority brokers_{"brokers"}, clients_{"clients"};
  cluster node_;
};

secure_node& node() {
  static secure_node shared;
  return shared;
}

using settings = std::map<std::string, std::string>;

/// What a client of the listener needs, by Kafka's names.
settings for_tls(settings more = {}) {
  more.insert({{"security.protocol", "SSL"}, {"ssl.ca.location", node().file("ca.pem")}});
  return more;
}
settings for_sasl(const std::string& mechanism, settings more = {}) {
  more.insert({{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanism", mechanism}, {"sasl.username", "alice"}, {"sasl.password", password}});
  return more;
}
settings for_both(const std::string& mechanism, settings more = {}) {
  more["security.protocol"] = "SASL_SSL";
  more["ssl.ca.location"] = node().file("ca.pem");
  return for_sasl(mechanism, std::move(more));
}
settings of_client() {
  return {{"ssl.certificate.location", node().file("alice.pem")},
          {"ssl.key.location", node().file("alice.key")},
          {"ssl.key.password", key_password}};
}

config at(const scenario& s, listener l, const settings& more) {
  config c = s.settings(unique_name("group"));
  c.bootstrap_servers(node().at(l)).set(more);
  c.add_observer(std::make_shared<log_observer>(log_level::debug));
  return c;
}

std::string base64url(const std::string& in) {
  std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(in.data()),
                                   static_cast<int>(in.size()));
  out.resize(static_cast<std::size_t>(size));
  while (!out.empty() && out.back() == '=') out.pop_back();
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

/// A token that nobody has signed, as the broker takes them by default.
asio::awaitable<oauth_token> unsigned_token() {
  const std::int64_t now = wall_clock_ms() / 1000;
  const std::string claims = "{\"sub\":\"alice\",\"iat\":" + std::to_string(now) + ",\"exp\":" + std::to_string(now + 3600) + "}";
  co_return oauth_token(secret(base64url("{\"alg\":\"none\"}") + "." + base64url(claims) + "."));
}

asio::awaitable<load*> some_records(scenario& s, std::int64_t count) {
  const std::string topic = unique_name("secured");
  co_await s.admin.create_topic(topic, 2);
  load* const records = &s.make<load>(s.admin, topic, 2);
  co_await records->add(count);
  co_return records;
}

// ---- Every listener.

asio::awaitable<void> consume(scenario& s, config c, history& h, load* records) {
  member& m = s.make<member>(s.executor(), h, "member", std::move(c));
  m.consumer().subscribe(records->topic());
  m.start();
  EVENTUALLY(records->is_consumed(h) || m.has_ended());
  co_await m.close();
  CAPTURE(joined(h.violations()));
  CHECK(h.violations().empty());
  CHECK(records->is_consumed(h));
}

asio::awaitable<void> every_listener(scenario& s) {
  load* const records = co_await some_records(s, 500);
  settings jaas = {{"security.protocol", "SASL_SSL"}, {"ssl.truststore.location", node().file("ca.pem")}, {"ssl.truststore.type", "PEM"}};
  jaas["sasl.mechanism"] = "PLAIN";
  jaas["sasl.jaas.config"] = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"hunter2-plain\";";
  const settings cleartext = {{"sasl.allow.cleartext", "true"}, {"sasl.password", "hunter2-plain"}};
  std::vector<std::pair<std::string, config>> all;
  all.emplace_back("TLS", at(s, listener::ssl, for_tls()));
  all.emplace_back("mutual TLS", at(s, listener::mutual, for_tls(of_client())));
  all.emplace_back("any host", at(s, listener::elsewhere, for_tls({{"ssl.endpoint.identification.algorithm", "none"}})));
  all.emplace_back("one cipher", at(s, listener::ssl, for_tls({{"ssl.cipher.suites", "TLS_AES_128_GCM_SHA256"}})));
  all.emplace_back("SCRAM-256", at(s, listener::sasl_plaintext, for_sasl("SCRAM-SHA-256")));
  all.emplace_back("SCRAM-512", at(s, listener::sasl_ssl, for_both("SCRAM-SHA-512")));
  all.emplace_back("PLAIN", at(s, listener::sasl_plaintext, for_sasl("PLAIN", cleartext)));
  all.emplace_back("PLAIN by JAAS", at(s, listener::sasl_ssl, jaas));
  config token = at(s, listener::sasl_ssl, for_tls({{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "OAUTHBEARER"}}));
  all.emplace_back("OAUTHBEARER", token.sasl_oauth_token(unsigned_token));
  for (const auto& [what, c] : all) {
    CAPTURE(what);
    history& h = s.make<history>();
    co_await consume(s, c, h, records);
    h.forget_handles();
  }
}

TEST_CASE("security: a group consumes over every listener", "[security]") {
  scenario s(node().plaintext());
  s.run(&every_listener);
}

// ---- What is refused.

struct verdict {
  std::error_code code;
  std::string words;
};

asio::awaitable<void> run_to_end(kawait::consumer& c, verdict& v) {
  try {
    co_await c.async_run();
  } catch (const error& e) {
    v.code = e.code();
    v.words = e.words();
  }
}

TEST_CASE("security: what is refused is told, and where", "[security]") {
  struct row {
    const char* what;
    listener where;
    settings more;
    std::error_code code;
    std::string words;
  };
  const settings wrong = {{"sasl.password", "hunter2-wrong"}};
  const row rows[] = {
      {"an authority that is not ours", listener::ssl, for_tls({{"ssl.ca.location", node().file("other.pem")}}), errc::certificate_rejected,
       "unable to get local issuer certificate"},
      {"another's certificate", listener::elsewhere, for_tls(), errc::certificate_rejected, "it is not one of '127.0.0.1'"},
      {"one that has expired", listener::expired, for_tls(), errc::certificate_rejected, "certificate has expired"},
      {"no certificate of ours", listener::mutual, for_tls(), errc::tls_failed, "alert bad certificate"},
      {"no cipher in common", listener::ssl, for_tls({{"ssl.cipher.suites", "TLS_AES_128_CCM_SHA256"}}), errc::tls_failed, "handshake failure"},
      {"a plaintext listener", listener::plaintext, for_tls(), errc::tls_failed, "does its listener speak TLS?"},
      {"a TLS listener in plaintext", listener::ssl, {}, errc::not_kafka, "the listener speaks TLS"},
      {"a wrong password", listener::sasl_ssl, for_both("SCRAM-SHA-512", wrong), errc::authentication_failed,
       "SCRAM-SHA-512: Authentication failed during authentication due to invalid credentials"},
      {"a wrong password in PLAIN", listener::sasl_ssl, for_both("PLAIN", wrong), errc::authentication_failed,
       "PLAIN: Authentication failed: Invalid username or password"},
      {"a mechanism that is not enabled", listener::renewed, for_sasl("SCRAM-SHA-512"), errc::authentication_failed,
       "SCRAM-SHA-512: the broker has not enabled it; it has SCRAM-SHA-256"},
      {"a listener with SASL", listener::sasl_plaintext, {}, errc::connection_closed, "a listener that asks for SASL"},
      {"a listener without SASL", listener::plaintext, for_sasl("SCRAM-SHA-256"), errc::authentication_failed, "asks for no authentication"},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    scenario s(node().plaintext());
    config c = at(s, test.where, test.more);
    c.default_api_timeout(2s);
    kawait::consumer consumer(s.executor(), c);
    consumer.subscribe("topic");
    verdict v;
    s.run(run_to_end(consumer, v));
    CAPTURE(v.words);
    CHECK(v.code == test.code);
    CHECK(v.words.find(test.words) != std::string::npos);
    CHECK(v.words.find(node().at(test.where)) != std::string::npos);
    CHECK(v.words.find(common_part) == std::string::npos);
  }
}

// ---- Files that change.

asio::awaitable<void> rotation(scenario& s) {
  load* const records = co_await some_records(s, 200);
  const std::string ca = node().file("rotated.pem"), own = node().file("rotated-own.pem"), key = node().file("rotated-own.key");
  const certificate stranger = authority("strangers").issue("alice", {});
  const certificate good = node().clients().issue("alice", {});
  write_file(ca, authority("the old one").text());
  write_file(own, stranger.text);
  write_file(key, stranger.key);
  const settings files = {{"ssl.ca.location", ca}, {"ssl.certificate.location", own}, {"ssl.key.location", key}};
  member& m = s.subscribe("rotated", at(s, listener::mutual, for_tls(files)), records->topic());
  m.start();
  EVENTUALLY(m.consumer().last_warning().words.find("local issuer certificate") != std::string::npos);
  fs::copy_file(node().file("ca.pem"), ca, fs::copy_options::overwrite_existing);
  EVENTUALLY(m.consumer().last_warning().code == errc::tls_failed);  // ours is a stranger's
  write_file(key, good.key);
  EVENTUALLY(m.consumer().last_warning().words.find("the changed files could not be read: ssl.key.location") != std::string::npos);
  write_file(own, good.text);
  EVENTUALLY(records->is_consumed(s.log) || m.has_ended());
  co_await m.close();
}

TEST_CASE("security: certificates and keys that are replaced are used by the next connection", "[security]") {
  scenario s(node().plaintext());
  s.run(&rotation);
}

// ---- Sessions that end.

class disconnections final : public observer {
 public:
  void on_disconnected(const disconnected& e) override {
    if (e.reason.code != errc::closed) reasons.push_back(e.reason.to_string());
  }
  std::vector<std::string> reasons;
};

asio::awaitable<void> renewals(scenario& s) {
  const char* const asked = std::getenv("KAWAIT_RENEWAL_SECONDS");
  const std::chrono::seconds duration(asked ? std::atoi(asked) : 8);
  load* const records = co_await some_records(s, 10);
  const auto seen = std::make_shared<disconnections>();
  config c = at(s, listener::renewed, for_sasl("SCRAM-SHA-256"));
  c.add_observer(seen);
  member& m = s.subscribe("renewing", c, records->topic());
  m.start();
  EVENTUALLY(records->is_consumed(s.log) || m.has_ended());
  s.spawn(records->run());
  co_await sleep_for(duration);
  co_await records->stop();
  EVENTUALLY(records->is_consumed(s.log) || m.has_ended());
  co_await m.close();
  CAPTURE(joined(seen->reasons), joined(s.log.violations()));
  CHECK(seen->reasons.empty());
  CHECK(s.log.violations().empty());
  CHECK(s.log.repeated() == 0);
  CHECK(records->is_consumed(s.log));
}

TEST_CASE("security: sessions of three seconds are renewed under load without a connection lost or a record", "[security]") {
  scenario s(node().plaintext());
  s.run(&renewals);
}

}  // namespace
}  // namespace kawait::tests::secured
