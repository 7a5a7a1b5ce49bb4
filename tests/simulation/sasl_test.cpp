// Whole consumers that authenticate, against the embedded cluster.

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

testing::broker_options guarded(std::chrono::milliseconds lifetime = 0ms) {
  testing::broker_options o = nodes(2, 1);
  o.users["alice"] = "hunter2";
  o.session_lifetime = lifetime;
  return o;
}

kawait::config alice(const testing::broker& b, const char* mechanism, const char* password = "hunter2") {
  kawait::config c = member_of(b);
  c.set({{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanism", mechanism}, {"sasl.username", "alice"}, {"sasl.password", password}});
  return c.sasl_allow_cleartext(true);
}

class broken_connections final : public kawait::observer {
 public:
  void on_disconnected(const disconnected& e) override {
    if (e.reason.code != kawait::errc::closed) words.push_back(e.reason.to_string());
  }
  std::vector<std::string> words;
};

TEST_CASE("a member authenticates at every broker, and sessions that end are renewed under it", "[sasl]") {
  for (const char* mechanism : {"PLAIN", "SCRAM-SHA-256"}) {
    CAPTURE(mechanism);
    testing::world w;
    testing::broker b(w, guarded(3s));
    b.create_topic("orders", 4);
    const auto broken = std::make_shared<broken_connections>();
    kawait::config c = alice(b, mechanism);
    c.add_observer(broken);
    reader m(w, c);
    m.consumer.subscribe("orders");
    m.run();
    m.read_all();
    for (int second = 0; second < 60; ++second) {
      for (std::int32_t p = 0; p < 4; ++p) b.append("orders", p, numbers(2));
      w.advance(1s);
    }
    w.advance(2s);
    CHECK(m.total() == 480);
    for (std::int32_t p = 0; p < 4; ++p) CHECK(m.seen[p] == range(0, 120));
    CHECK(m.errors.empty());
    CHECK(broken->words.empty());
    m.close();
    w.advance(5s);
    CHECK(m.ended.has_value());
  }
}

TEST_CASE("a member with a wrong password ends after as many tries as are allowed", "[sasl]") {
  for (const std::uint32_t attempts : {1u, 5u}) {
    testing::world w;
    testing::broker b(w, guarded());
    b.create_topic("orders", 1);
    kawait::config c = alice(b, "SCRAM-SHA-256", "hunter3");
    c.sasl_login_attempts(attempts);
    reader m(w, c);
    m.consumer.subscribe("orders");
    m.run();
    w.advance(30s);
    REQUIRE(m.ended.has_value());
    CHECK(*m.ended == kawait::errc::authentication_failed);
    CHECK(b.count(api_key::sasl_handshake) == attempts);
  }
}

// Nothing of the work in hand is committed any more, and who closes is who has to know.
TEST_CASE("a close during which the login is refused for good tells so", "[sasl]") {
  testing::world w;
  testing::broker b(w, guarded(3s));
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(10));
  reader m(w, alice(b, "PLAIN"));
  m.consumer.subscribe("orders");
  m.handle([](kawait::partition p) -> asio::awaitable<void> {
    auto batch = co_await p.async_next();
    co_await kawait::sleep_for(20s);
    batch->done();
  });
  w.advance(2s);
  b.set_faults([&](const testing::request_view& r) {
    return r.api == api_key::sasl_authenticate ? fault::answer_with(kafka_error::sasl_authentication_failed) : fault();
  });
  m.close();
  REQUIRE(w.run_until([&] { return m.closed.has_value(); }, 1min));
  CHECK(*m.closed == kawait::errc::authentication_failed);
  CHECK(b.committed("g", "orders", 0).value_or(0) == 0);
}

TEST_CASE("a password that is changed and changed back is forgiven, within the tries", "[sasl]") {
  testing::world w;
  testing::broker b(w, guarded());
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(10));
  int refused = 0;
  b.set_faults([&](const testing::request_view& r) {
    if (r.api != api_key::sasl_authenticate || refused == 2) return fault();
    ++refused;
    return fault::answer_with(kafka_error::sasl_authentication_failed);
  });
  reader m(w, alice(b, "PLAIN"));
  m.consumer.subscribe("orders");
  m.run();
  m.read_all();
  w.advance(30s);
  CHECK(refused == 2);
  CHECK(m.total() == 10);
  CHECK(!m.ended.has_value());
  m.close();
  w.advance(5s);
}

}  // namespace
}  // namespace embedded
