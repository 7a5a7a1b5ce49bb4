#include <algorithm>

#include "sasl_support.hpp"

#include <kawait/net/broker_pool.hpp>

namespace sasl_session_tests {

using namespace scripted;

/// A broker whose sessions last ten seconds: closes on whom it sees without another authentication by then. What it sees in order is "m"
/// for a request, "A" for an authentication.
struct strict_broker {
  std::string seen;
  std::string password = "hunter2";
  net::duration answers_after{0};

  asio::awaitable<void> serve(testing::world& w, peer& p) {
    const bool hello = co_await p.shake_hands();
    if (!hello) co_return;
    const bool in = co_await log_in_scram(p, password, 4096, 10'000);
    if (!in) co_return;
    auto session_end = w.now() + 10s;
    for (;;) {
      const incoming r = co_await p.next();
      if (r.end) co_return;
      if (r.key == metadata_key) {
        seen += 'm';
        if (w.now() > session_end) co_return p.close();
        if (answers_after.count() > 0) co_await net::async_sleep_for(answers_after);
        co_await p.answer(r, metadata_of(1));
        continue;
      }
      CHECK(r.key == handshake_key);
      const protocol::sasl_handshake_response response;
      co_await p.answer(r, response);
      const bool renewed = co_await renew(p);
      if (!renewed) continue;
      seen += 'A';
      session_end = w.now() + 10s;
    }
  }

  asio::awaitable<bool> renew(peer& p) {
    const incoming first = co_await p.next();
    CHECK(first.key == authenticate_key);
    const scram_server server(message_of(first), password);
    co_await net::async_sleep_for(100ms);
    co_await say(p, first, server.first());
    const incoming last = co_await p.next();
    CHECK(last.key == authenticate_key);  // nothing comes in between
    co_await net::async_sleep_for(100ms);
    const std::string answer = server.final(message_of(last));
    if (answer.empty()) {
      co_await refuse(p, last, "not any more");
      co_return false;
    }
    co_await say(p, last, answer, 10'000);
    co_return true;
  }
};

TEST_CASE("sasl: sessions are renewed in time, and every request is answered", "[net][sasl]") {
  testing::world w;
  strict_broker broker;
  broker.answers_after = 40ms;
  listen(w, [&](peer& p) { return broker.serve(w, p); });
  auto c = open(w, with(login(sasl_mechanism::scram_sha_256)));
  REQUIRE(c);
  std::vector<std::pair<net::time_point, std::shared_ptr<exchange>>> all;
  for (int i = 0; i < 1200; ++i) {  // a minute of one every 50 ms, at times two
    for (int twice = i % 10 == 0 ? 2 : 1; twice > 0; --twice) all.emplace_back(w.now(), ask(w, *c));
    w.advance(50ms);
  }
  w.advance(1s);
  net::duration longest{};
  for (const auto& [asked, e] : all) {
    REQUIRE(e->end.has_value());
    CHECK(*e->end);
    longest = std::max(longest, e->at - asked);
  }
  // An authentication is two answers of 100 ms, and what was held back meanwhile is answered one by one.
  CHECK(longest > 200ms);
  CHECK(longest <= 500ms);
  const auto renewals = std::count(broker.seen.begin(), broker.seen.end(), 'A');
  CAPTURE(broker.seen);
  CHECK(renewals >= 5);
  CHECK(renewals <= 7);
  CHECK((*c)->is_open());
  (*c)->close();
}

TEST_CASE("sasl: a request that was cancelled while a session is renewed is sent and forgotten", "[net][sasl]") {
  testing::world w;
  strict_broker broker;
  listen(w, [&](peer& p) { return broker.serve(w, p); });
  auto c = open(w, with(login(sasl_mechanism::scram_sha_256)));
  REQUIRE(c);
  REQUIRE(w.run_until([&] { return (*c)->requests_in_flight() > 0; }, 10s));  // the renewal has begun
  asio::cancellation_signal stop;
  const auto cancelled = ask(w, *c, 30s, stop.slot());
  const auto kept = ask(w, *c);
  w.poll();
  CHECK(broker.seen.empty());
  stop.emit(asio::cancellation_type::terminal);
  w.advance(1s);
  CHECK(broker.seen == "Amm");
  CHECK(cancelled->finished);
  REQUIRE(kept->end.has_value());
  CHECK(*kept->end);
  (*c)->close();
}

TEST_CASE("sasl: a session that is not renewed ends the connection, and what waits for it", "[net][sasl]") {
  testing::world w;
  strict_broker broker;
  listen(w, [&](peer& p) { return broker.serve(w, p); });
  auto c = open(w, with(login(sasl_mechanism::scram_sha_256)));
  REQUIRE(c);
  broker.password = "changed";
  REQUIRE(w.run_until([&] { return (*c)->requests_in_flight() > 0; }, 10s));
  const auto waiting = ask(w, *c);
  w.advance(1s);
  REQUIRE(waiting->end.has_value());
  REQUIRE(!*waiting->end);
  CHECK(waiting->end->error().code == errc::authentication_failed);
  CHECK(waiting->end->error().words.find("not any more") != std::string::npos);
  CHECK(!(*c)->is_open());
  // And one that is closed within leaves nothing behind.
  broker.password = "hunter2";
  auto again = open(w, with(login(sasl_mechanism::scram_sha_256)));
  REQUIRE(again);
  REQUIRE(w.run_until([&] { return (*again)->requests_in_flight() > 0; }, 10s));
  const auto held = ask(w, *again);
  (*again)->close();
  w.poll();
  REQUIRE(held->end.has_value());
  CHECK(held->end->error().code == errc::closed);
}

/// A token that is fetched slowly, a new one each time.
struct slow_tokens {
  int fetched = 0;

  asio::awaitable<kawait::oauth_token> fetch() {
    co_await net::async_sleep_for(2s);
    co_return kawait::oauth_token(secret("token" + std::to_string(++fetched)));
  }
};

TEST_CASE("sasl: requests are answered while a new token is fetched", "[net][sasl]") {
  testing::world w;
  std::string seen;
  listen(w, [&](peer& p) -> asio::awaitable<void> {
    (void)co_await p.shake_hands();
    for (;;) {
      const incoming r = co_await p.next();
      if (r.end) co_return;
      if (r.key == metadata_key) {
        seen += 'm';
        co_await p.answer(r, metadata_of(1));
      } else if (r.key == handshake_key) {
        const protocol::sasl_handshake_response response;
        co_await p.answer(r, response);
      } else {
        seen += message_of(r).substr(16, 6);
        co_await say(p, r, "", 20'000);
      }
    }
  });
  slow_tokens tokens;
  net::sasl_options o;
  o.mechanism = sasl_mechanism::oauthbearer;
  o.token = [&] { return tokens.fetch(); };
  auto c = open(w, with(std::move(o)));
  REQUIRE(c);
  w.advance(17s);  // 85 % of the session at the least
  const auto before = ask(w, *c);
  w.advance(1900ms);
  const auto within = ask(w, *c);
  w.poll();
  REQUIRE(before->end.has_value());
  REQUIRE(within->end.has_value());
  CHECK(*within->end);
  w.advance(2200ms);
  CHECK(seen == "token1mmtoken2");
  (*c)->close();
}

TEST_CASE("sasl: a wrong password is tried so often and no more, whatever the brokers and addresses", "[net][sasl]") {
  testing::world w;
  std::size_t logins = 0;
  std::vector<net::time_point> times;
  const auto serve = [&](peer& p) -> asio::awaitable<void> {
    (void)co_await p.shake_hands();
    (void)co_await accept_mechanism(p, "PLAIN");
    const incoming r = co_await p.next();
    ++logins;
    times.push_back(w.now());
    co_await refuse(p, r, "no");
    co_await p.drain();
  };
  w.network().add_name("kafka", {"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  for (const char* host : {"10.0.0.1", "10.0.0.2", "10.0.0.3", "other"}) listen(w, serve, host);
  std::vector<net::host_port> bootstrap;
  bootstrap.emplace_back("kafka", std::uint16_t{9092});
  bootstrap.emplace_back("other", std::uint16_t{9092});
  net::broker_pool pool(w.executor(), with(login(sasl_mechanism::plain)), net::broker_pool::default_reconnect(), bootstrap);
  std::size_t told = 0;
  pool.on_refused([&](const kawait::failure& f) {
    ++told;
    CHECK(f.code == errc::authentication_failed);
  });
  for (std::size_t i = 1; i <= 3; ++i) {
    auto any = w.run(pool.async_any());
    REQUIRE(!any);
    CHECK(any.error().code == errc::authentication_failed);
    CHECK(logins == i);
    CHECK(told == (i == 3 ? 1u : 0u));
  }
  CHECK(times[1] - times[0] >= 40ms);
  CHECK(times[2] - times[1] >= 80ms);
  auto after = w.run(pool.async_any());
  REQUIRE(!after);
  CHECK(after.error().code == errc::authentication_failed);
  CHECK(logins == 3);
  CHECK(told == 1);
}

}  // namespace sasl_session_tests
