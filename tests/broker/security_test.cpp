// TLS and SASL as a real Kafka has them: one node with a listener of every kind, certificates of the test's own, SCRAM's users made by
// Kafka's tool. Whatever is a secret here begins with "hunter2", and the run's output is searched for it (security/run.sh).

#include "security_support.hpp"

#include <algorithm>
#include <deque>
#include <iostream>

#include <kawait/log_observer.hpp>
#include <kawait/metrics_observer.hpp>

#include "token_support.hpp"

namespace kawait::tests::secured {
namespace {

const std::shared_ptr<metrics_observer>& metrics() {
  static const auto shared = std::make_shared<metrics_observer>();
  return shared;
}

config at(const scenario& s, listener l, const settings& more) {
  config c = s.settings(unique_name("group"));
  c.bootstrap_servers(node().at(l)).set(more);
  c.add_observer(std::make_shared<log_observer>(log_level::debug)).add_observer(metrics());
  return c;
}

asio::awaitable<load*> some_records(scenario& s, std::int64_t count) {
  const std::string topic = unique_name("secured");
  co_await s.admin.create_topic(topic, 2);
  load* const records = &s.make<load>(s.admin, topic, 2);
  co_await records->add(count);
  co_return records;
}

struct verdict {
  std::error_code code;
  std::string words;
  bool ended = false;
};

asio::awaitable<void> all_ended(const std::deque<verdict>& all) {
  EVENTUALLY(std::all_of(all.begin(), all.end(), [](const verdict& v) { return v.ended; }));
}

asio::awaitable<void> run_to_end(kawait::consumer& c, verdict& v) {
  try {
    co_await c.async_run();
  } catch (const error& e) {
    v.code = e.code();
    v.words = e.words();
  }
  v.ended = true;
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
  all.emplace_back("mutual TLS, of version 1.2", at(s, listener::mutual, for_tls(of_client())));
  all.emplace_back("any host, version 1.3", at(s, listener::elsewhere, for_tls({{"ssl.endpoint.identification.algorithm", "none"}})));
  all.emplace_back("one cipher", at(s, listener::ssl, for_tls({{"ssl.cipher.suites", "TLS_AES_128_GCM_SHA256"}})));
  all.emplace_back("SCRAM-256", at(s, listener::sasl_plaintext, for_sasl("SCRAM-SHA-256")));
  all.emplace_back("SCRAM-512", at(s, listener::sasl_ssl, for_both("SCRAM-SHA-512")));
  all.emplace_back("PLAIN", at(s, listener::sasl_plaintext, for_sasl("PLAIN", cleartext)));
  all.emplace_back("PLAIN by JAAS", at(s, listener::sasl_ssl, jaas));
  config token = at(s, listener::sasl_ssl, for_tls({{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "OAUTHBEARER"}}));
  all.emplace_back("OAUTHBEARER", token.sasl_oauth_token(unsigned_token));
  auto& endpoint = s.make<asio::ip::tcp::acceptor>(s.executor(), asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  s.spawn(serve_tokens(endpoint));
  all.emplace_back("OAUTHBEARER by OIDC", at(s, listener::sasl_ssl, for_oidc(endpoint, "hunter2-oidc")));
  for (const auto& [what, c] : all) {
    CAPTURE(what);
    history& h = s.make<history>();
    co_await consume(s, c, h, records);
    h.forget_handles();
  }
  kawait::consumer stranger(s.executor(), at(s, listener::sasl_ssl, for_oidc(endpoint, "hunter2-wrong")));
  stranger.subscribe(records->topic());
  verdict v;
  co_await run_to_end(stranger, v);
  CAPTURE(v.words);
  CHECK(v.code == errc::authentication_failed);
  CHECK(v.words.find("/token: HTTP status 401 (invalid_client)") != std::string::npos);
  endpoint.close();
}

TEST_CASE("security: a group consumes over every listener", "[security]") {
  scenario s(node().plaintext());
  s.run(&every_listener);
  std::cout << metrics()->prometheus();  // which is searched, too
}

// ---- What is refused.

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
  // Together: what another try might mend takes all the time there is.
  scenario s(node().plaintext());
  std::deque<verdict> verdicts;
  for (const row& test : rows) {
    config c = at(s, test.where, test.more);
    c.default_api_timeout(3s);
    auto& consumer = s.make<kawait::consumer>(s.executor(), c);
    consumer.subscribe("topic");
    s.spawn(run_to_end(consumer, verdicts.emplace_back()));
  }
  s.run(all_ended(verdicts));
  std::cout << metrics()->prometheus();
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    const row& test = rows[i];
    const verdict& v = verdicts[i];
    CAPTURE(test.what, v.words);
    CHECK(v.code == test.code);
    CHECK(v.words.find(test.words) != std::string::npos);
    CHECK(v.words.find(node().at(test.where)) != std::string::npos);
    CHECK(v.words.find(common_part) == std::string::npos);
  }
}

TEST_CASE("security: what cannot be used is told before anything is connected", "[security]") {
  scenario s(node().plaintext());
  settings wrong_key = of_client();
  wrong_key["ssl.key.password"] = "hunter2-wrong";
  const std::pair<settings, std::string> rows[] = {
      {{{"ssl.cipher.suites", "TLS_AES_128_GCM_SHA256:TLS_NO_SUCH"}}, "ssl.cipher.suites = 'TLS_NO_SUCH'"},
      {{{"ssl.cipher.suites", "NO_SUCH"}}, "ssl.cipher.suites = 'NO_SUCH'"},
      {wrong_key, "ssl.key.password is wrong"},
      {{{"ssl.certificate.location", node().file("alice.pem")}, {"ssl.key.location", "no.key"}}, "ssl.key.location = 'no.key': cannot be read"},
  };
  for (const auto& [more, expected] : rows) {
    std::string words;
    try {
      kawait::consumer refused(s.executor(), at(s, listener::mutual, for_tls(more)));
    } catch (const error& e) {
      CHECK(e.code() == errc::invalid_config);
      words = e.words();
    }
    CAPTURE(expected, words);
    CHECK(words.find(expected) != std::string::npos);
  }
}

class disconnections final : public observer {
 public:
  void on_disconnected(const disconnected& e) override {
    if (e.reason.code != errc::closed) reasons.push_back(e.reason.to_string());
  }
  std::vector<std::string> reasons;
};

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

// Each certificate of the broker's is known to be in use by what it makes of somebody who is not let in yet.
asio::awaitable<void> replacement(scenario& s) {
  load* const records = co_await some_records(s, 50);
  const auto seen = std::make_shared<disconnections>();
  config first = at(s, listener::rotated, for_tls({{"ssl.ca.location", node().file("both.pem")}}));
  const config second = config(first).set(for_tls());
  first.add_observer(seen);
  const auto says = [](member& m, const char* words) { return m.consumer().last_warning().words.find(words) != std::string::npos; };
  member& a = s.subscribe("a", first, records->topic());
  a.start();
  EVENTUALLY(says(a, "certificate has expired"));
  co_await node().show(s.admin, "next.pem");
  EVENTUALLY(records->is_consumed(s.log) || a.has_ended());
  member& b = s.subscribe("b", second, records->topic());
  b.start();
  EVENTUALLY(says(b, "local issuer certificate"));
  co_await node().show(s.admin, "expired.pem");
  EVENTUALLY(says(b, "certificate has expired"));
  co_await records->add(50);
  EVENTUALLY(records->is_consumed(s.log) || a.has_ended());
  co_await node().show(s.admin, "broker.pem");
  EVENTUALLY(a.owned().size() == 1 && b.owned().size() == 1);
  co_await records->add(50);
  EVENTUALLY(records->is_consumed(s.log) || a.has_ended() || b.has_ended());
  CAPTURE(joined(seen->reasons), joined(s.log.violations()));
  CHECK(seen->reasons.empty());
  co_await a.close();
  co_await b.close();
  CHECK(s.log.violations().empty());
  CHECK(s.log.repeated() == 0);
}

TEST_CASE("security: a broker's certificate that expires or is replaced keeps nobody from reading who is there", "[security]") {
  scenario s(node().plaintext());
  s.run(&replacement);
}

// By the clock: who is there stays, who comes is refused. The certificate is of an authority of its own, so that whoever is let in has
// seen it; should a machine be so slow that it expires before, there is another, which lasts longer.
asio::awaitable<void> expiry(scenario& s) {
  load* const records = co_await some_records(s, 50);
  const authority signer("of a few seconds");
  write_file(node().file("brief-ca.pem"), signer.text());
  const auto seen = std::make_shared<disconnections>();
  config c = at(s, listener::rotated, for_tls({{"ssl.ca.location", node().file("brief-ca.pem")}}));
  c.default_api_timeout(60s).add_observer(seen);
  member& a = s.subscribe("a", c, records->topic());
  member& b = s.subscribe("b", c, records->topic());
  a.start();
  auto end = clock::now();
  for (std::chrono::seconds life = 4s; !records->is_consumed(s.log); life *= 2) {
    const std::string name = "brief" + std::to_string(life.count()) + ".pem";
    node().write_store(name, signer.issue("broker", {"IP:127.0.0.1"}, validity(-3600s, life)));
    co_await node().show(s.admin, name);
    end = clock::now() + life + 1s;  // certificates know whole seconds
    EVENTUALLY(records->is_consumed(s.log) || clock::now() > end);
  }
  EVENTUALLY(clock::now() > end);
  b.start();
  EVENTUALLY(b.consumer().last_warning().words.find("certificate has expired") != std::string::npos);
  co_await records->add(50);
  EVENTUALLY(records->is_consumed(s.log) || a.has_ended());
  co_await a.close();
  CAPTURE(joined(seen->reasons), joined(s.log.violations()));
  CHECK(seen->reasons.empty());
  CHECK(s.log.violations().empty());
  CHECK(s.log.repeated() == 0);
  co_await b.close();
  co_await node().show(s.admin, "expired.pem");
}

TEST_CASE("security: a certificate that expires under a member keeps out who comes after, and nobody else", "[security]") {
  scenario s(node().plaintext());
  s.run(&expiry);
}

// ---- What a principal may.

asio::awaitable<void> permissions(scenario& s) {
  load* const open = co_await some_records(s, 50);
  load* const closed = co_await some_records(s, 50);
  const std::string group = unique_name("group");
  config c = at(s, listener::sasl_plaintext, for_sasl("SCRAM-SHA-256", {{"sasl.username", "bob"}, {"sasl.password", "hunter2-bob"}}));
  c.group_id(group);
  kawait::consumer stranger(s.executor(), c);
  stranger.subscribe(open->topic());
  verdict v;
  co_await run_to_end(stranger, v);
  CAPTURE(v.words);
  CHECK(v.code == kafka_error::group_authorization_failed);
  CHECK(v.words.find("'" + group + "'") != std::string::npos);

  co_await s.admin.grant("User:bob", acl_creation::of_group, group);
  co_await s.admin.grant("User:bob", acl_creation::of_topic, open->topic());
  member& m = s.subscribe("bob", c, open->topic());
  m.start();
  EVENTUALLY(open->is_consumed(s.log) || m.has_ended());
  m.consumer().subscribe(open->topic(), closed->topic());
  EVENTUALLY(m.consumer().last_warning().code == kafka_error::topic_authorization_failed || m.has_ended());
  const std::string words = m.consumer().last_warning().words;
  CAPTURE(words);
  CHECK(words.find(": " + closed->topic() + ": ") != std::string::npos);
  CHECK(words.find(open->topic()) == std::string::npos);
  co_await s.admin.grant("User:bob", acl_creation::of_topic, closed->topic());
  EVENTUALLY(closed->is_consumed(s.log) || m.has_ended());
  co_await m.close();
  CHECK(s.log.violations().empty());
}

TEST_CASE("security: who may not read is told what: the group, or the topic", "[security]") {
  scenario s(node().plaintext());
  s.run(&permissions);
}

// ---- Sessions that end.

/// The logins and the connections of a member with tokens: those that are no connection's first are renewals.
struct logins final : observer {
  void on_connected(const connected& e) override { connections += e.outcome ? 0 : 1; }
  int asked = 0, connections = 0;
};

/// A source of tokens that counts.
struct counted_tokens {
  std::shared_ptr<logins> count;
  asio::awaitable<oauth_token> operator()() const {
    ++count->asked;
    return unsigned_token();
  }
};

// Each has a partition. Nobody sees SCRAM's logins; but its connections are the older ones, and their sessions are as short.
asio::awaitable<void> renewals(scenario& s) {
  load* const records = co_await some_records(s, 10);
  const auto seen = std::make_shared<disconnections>();
  const auto tokens = std::make_shared<logins>();
  config by_scram = at(s, listener::renewed, for_sasl("SCRAM-SHA-256"));
  by_scram.add_observer(seen);
  config by_token = at(s, listener::renewed, {{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanism", "OAUTHBEARER"}});
  by_token.sasl_allow_cleartext(true).sasl_oauth_token(counted_tokens{tokens}).add_observer(seen).add_observer(tokens);
  by_token.group_id(*by_scram.values().group_id);
  member& a = s.subscribe("scram", by_scram, records->topic());
  member& b = s.subscribe("token", by_token, records->topic());
  a.start();
  EVENTUALLY(records->is_consumed(s.log) || a.has_ended());
  b.start();
  EVENTUALLY((a.owned().size() == 1 && b.owned().size() == 1) || a.has_ended() || b.has_ended());
  s.spawn(records->run());
  // Two of each connection, on the average.
  EVENTUALLY(tokens->asked >= 3 * tokens->connections || a.has_ended() || b.has_ended());
  CHECK(tokens->connections > 0);
  co_await records->stop();
  EVENTUALLY(records->is_consumed(s.log) || a.has_ended() || b.has_ended());
  CAPTURE(tokens->asked, tokens->connections, joined(seen->reasons), joined(s.log.violations()));
  CHECK(a.owned().size() == 1);
  CHECK(b.owned().size() == 1);
  co_await a.close();
  co_await b.close();
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
