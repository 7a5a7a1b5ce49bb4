#include "sasl_support.hpp"

#include <set>

namespace sasl_tests {

using namespace scripted;

TEST_CASE("sasl: PLAIN says user and password, once", "[net][sasl]") {
  testing::world w;
  std::string said;
  listen(w, [&](peer& p) -> asio::awaitable<void> {
    (void)co_await p.shake_hands();
    (void)co_await accept_mechanism(p, "PLAIN");
    const incoming r = co_await p.next();
    CHECK(r.version == 2);
    said = message_of(r);
    co_await say(p, r, "");
    co_await p.drain();
  });
  auto c = open(w, with(login(sasl_mechanism::plain)));
  REQUIRE(c);
  CHECK(said == std::string("\0alice\0hunter2", 14));
  (*c)->close();
}

TEST_CASE("sasl: SCRAM against a broker that knows the password, and one that has another", "[net][sasl]") {
  for (const std::string password : {"hunter2", "hunter3"}) {
    CAPTURE(password);
    testing::world w;
    listen(w, [&](peer& p) { return serve_scram(p, password, 4096); });
    auto c = open(w, with(login(sasl_mechanism::scram_sha_256)));
    CHECK(static_cast<bool>(c) == (password == "hunter2"));
    if (c) {
      (*c)->close();
      continue;
    }
    CHECK(c.error().code == errc::authentication_failed);
    CHECK(c.error().words.find("10.0.0.1:9092: SCRAM-SHA-256: Authentication failed during authentication") == 0);
    CHECK(c.error().words.find("hunter") == std::string::npos);
  }
}

TEST_CASE("sasl: SCRAM has a long nonce of its own each time", "[net][sasl]") {
  std::set<std::string> nonces;
  for (int i = 0; i < 3; ++i) {
    testing::world w;  // of one seed each time: the nonce is not of the environment's randomness
    listen(w, [&](peer& p) -> asio::awaitable<void> {
      (void)co_await p.shake_hands();
      (void)co_await accept_mechanism(p, "SCRAM-SHA-256");
      const incoming r = co_await p.next();
      const std::string first = message_of(r);
      CHECK(first.starts_with("n,,n=alice,r="));
      CHECK(first.size() >= 13 + 22);  // 128 bits in base64
      nonces.insert(first);
      co_await refuse(p, r, "no");
    });
    CHECK(!open(w, with(login(sasl_mechanism::scram_sha_256))));
  }
  CHECK(nonces.size() == 3);
}

TEST_CASE("sasl: what goes wrong is told, with the broker", "[net][sasl]") {
  struct row {
    const char* what;
    sasl_mechanism mechanism;
    play script;  // from behind ApiVersions
    std::error_code code;
    std::string words;
  };
  const auto refuse_mechanism = [](kafka_error code) {
    return [code](peer& p) -> asio::awaitable<void> {
      const incoming r = co_await p.next();
      protocol::sasl_handshake_response response;
      response.error_code = static_cast<std::int16_t>(code);
      if (code == kafka_error::unsupported_sasl_mechanism) response.mechanisms = {"PLAIN", "OAUTHBEARER"};
      co_await p.answer(r, response);
    };
  };
  const auto forge = [](std::string first_part, std::string last) {
    return [first_part, last](peer& p) -> asio::awaitable<void> {
      (void)co_await accept_mechanism(p, "SCRAM-SHA-256");
      const incoming first = co_await p.next();
      const scram_server server(message_of(first), "hunter2");
      const std::string challenge = first_part.empty() ? server.first() : first_part;
      co_await say(p, first, challenge);
      const incoming r = co_await p.next();
      if (!r.end) co_await say(p, r, last);
    };
  };
  const auto answer_plain = [](play rest) {
    return [rest](peer& p) -> asio::awaitable<void> {
      (void)co_await accept_mechanism(p, "PLAIN");
      co_await rest(p);
    };
  };
  const row rows[] = {
      {"the mechanism is not enabled", sasl_mechanism::scram_sha_512, refuse_mechanism(kafka_error::unsupported_sasl_mechanism),
       errc::authentication_failed, "SCRAM-SHA-512: the broker has not enabled it; it has PLAIN, OAUTHBEARER"},
      {"the listener has no SASL", sasl_mechanism::plain, refuse_mechanism(kafka_error::illegal_sasl_state), errc::authentication_failed,
       "the listener asks for no authentication"},
      {"more mechanisms than there are bytes", sasl_mechanism::plain, [](peer& p) -> asio::awaitable<void> {
         const incoming r = co_await p.next();
         co_await p.send_header(10, r.id);
         co_await p.send_text(std::string("\0\x21\x7f\xff\xff\xff", 6));
       },
       errc::malformed_response, "SaslHandshake"},
      {"another error", sasl_mechanism::plain, refuse_mechanism(kafka_error::invalid_request), kafka_error::invalid_request, "SaslHandshake"},
      {"no signature", sasl_mechanism::scram_sha_256, forge("", ""), errc::authentication_failed, "no signature"},
      {"a wrong signature", sasl_mechanism::scram_sha_256, forge("", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
       errc::authentication_failed, "signature is wrong"},
      {"a nonce of its own", sasl_mechanism::scram_sha_256, forge("r=abc,s=AAAA,i=4096", ""), errc::authentication_failed, "nonce"},
      {"a wrong password", sasl_mechanism::plain, answer_plain([](peer& p) -> asio::awaitable<void> {
         const incoming r = co_await p.next();
         co_await refuse(p, r, "Authentication failed: Invalid username or password");
       }),
       errc::authentication_failed, "10.0.0.1:9092: PLAIN: Authentication failed: Invalid username or password"},
      {"a question where none belongs", sasl_mechanism::plain, answer_plain([](peer& p) -> asio::awaitable<void> {
         const incoming r = co_await p.next();
         co_await say(p, r, "more?");
       }),
       errc::authentication_failed, "asks for more"},
      {"an answer that is too large before it knows us", sasl_mechanism::plain, answer_plain([](peer& p) -> asio::awaitable<void> {
         const incoming r = co_await p.next();
         co_await p.send_header(65537, r.id);
       }),
       errc::frame_too_large, "a frame of 65537 bytes"},
      {"bytes that are no answer", sasl_mechanism::plain, answer_plain([](peer& p) -> asio::awaitable<void> {
         const incoming r = co_await p.next();
         co_await p.send_header(9, r.id);
         co_await p.send_text("hello");
       }),
       errc::malformed_response, "SaslAuthenticate"},
      {"silence", sasl_mechanism::plain, answer_plain([](peer& p) { return p.drain(); }), errc::request_timeout, "no answer"},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    testing::world w;
    bool closed = false;
    listen(w, [&](peer& p) -> asio::awaitable<void> {
      (void)co_await p.shake_hands();
      co_await test.script(p);
      co_await p.drain();
      closed = true;
    });
    auto c = open(w, with(login(test.mechanism)));
    REQUIRE(!c);
    CAPTURE(c.error().words);
    CHECK(c.error().code == test.code);
    CHECK(c.error().words.starts_with("10.0.0.1:9092: "));
    CHECK(c.error().words.find(test.words) != std::string::npos);
    CHECK(c.error().words.find("hunter") == std::string::npos);
    w.poll();
    CHECK(closed);
  }
}

net::connection_options with_token(kawait::oauth_token_source source, std::function<void()> refused = {}) {
  net::sasl_options o;
  o.token_refused = std::move(refused);
  o.mechanism = sasl_mechanism::oauthbearer;
  o.token = std::move(source);
  return with(std::move(o));
}

asio::awaitable<kawait::oauth_token> give_token() {
  kawait::oauth_token token(secret("ey.J0.token"));
  token.extensions["logicalCluster"] = "lkc-1";
  co_return token;
}

TEST_CASE("sasl: OAUTHBEARER shows a token, and tells why it was refused", "[net][sasl]") {
  for (const bool good : {true, false}) {
    testing::world w;
    std::vector<std::string> said;
    int refusals = 0;
    listen(w, [&](peer& p) -> asio::awaitable<void> {
      (void)co_await p.shake_hands();
      (void)co_await accept_mechanism(p, "OAUTHBEARER");
      const incoming r = co_await p.next();
      said.push_back(message_of(r));
      co_await say(p, r, good ? "" : "{\"status\":\"invalid_token\"}");
      if (!good) {
        const incoming last = co_await p.next();
        said.push_back(message_of(last));
        co_await refuse(p, last, "{\"status\":\"invalid_token\"}");
      }
      co_await p.drain();
    });
    auto c = open(w, with_token(give_token, [&] { ++refusals; }));
    CHECK(static_cast<bool>(c) == good);
    CHECK(refusals == (good ? 0 : 1));
    REQUIRE(said.size() == (good ? 1u : 2u));
    CHECK(said[0] == "n,,\x01" "auth=Bearer ey.J0.token\x01logicalCluster=lkc-1\x01\x01");
    if (c) {
      (*c)->close();
      continue;
    }
    CHECK(said[1] == "\x01");
    CHECK(c.error().code == errc::authentication_failed);
    CHECK(c.error().words.find("invalid_token") != std::string::npos);
    CHECK(c.error().words.find("ey.J0") == std::string::npos);
  }
}

asio::awaitable<kawait::oauth_token> fail_to_give() {
  throw std::runtime_error("the identity provider is away");
  co_return kawait::oauth_token();
}

asio::awaitable<kawait::oauth_token> fail_for_now() {
  throw kawait::error(std::make_error_code(std::errc::connection_refused), "no endpoint");
  co_return kawait::oauth_token();
}

TEST_CASE("sasl: a source of tokens that throws, gives nonsense, or never ends", "[net][sasl]") {
  testing::world w;
  listen(w, [](peer& p) -> asio::awaitable<void> {
    (void)co_await p.shake_hands();
    (void)co_await accept_mechanism(p, "OAUTHBEARER");
    co_await p.drain();
  });
  auto thrown = open(w, with_token(fail_to_give));
  REQUIRE(!thrown);
  CHECK(thrown.error().code == errc::authentication_failed);
  CHECK(thrown.error().words == "10.0.0.1:9092: OAUTHBEARER: no token: the identity provider is away");
  auto passing = open(w, with_token(fail_for_now));
  REQUIRE(!passing);
  CHECK(passing.error().code == std::errc::connection_refused);  // no refusal, which would be counted
  CHECK(passing.error().words == "10.0.0.1:9092: OAUTHBEARER: no token: no endpoint");

  for (const std::string text : {"", "two\x01parts", "new\nline"}) {
    auto nonsense = open(w, with_token([text]() -> asio::awaitable<kawait::oauth_token> { co_return kawait::oauth_token(secret(text)); }));
    REQUIRE(!nonsense);
    CHECK(nonsense.error().code == errc::authentication_failed);
  }

  bool cancelled = false;
  const auto begin = w.now();
  auto late = open(w, with_token([&]() -> asio::awaitable<kawait::oauth_token> {
    try {
      co_await net::async_sleep_for(std::chrono::hours(1));
    } catch (const std::system_error&) {
      cancelled = true;
    }
    co_return kawait::oauth_token(secret("t"));
  }));
  REQUIRE(!late);
  CHECK(late.error().code == std::errc::timed_out);
  CHECK(w.now() - begin == 10s);
  w.poll();
  CHECK(cancelled);
}

}  // namespace sasl_tests
