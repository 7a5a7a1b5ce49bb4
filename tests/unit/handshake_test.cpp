#include "catch.hpp"

#include "scripted_broker.hpp"

namespace handshake_tests {

using namespace scripted;
using kawait::errc;
using kawait::kafka_error;

TEST_CASE("a connection shakes hands and knows the broker's versions", "[net]") {
  testing::world w;
  std::string client_id;
  std::int16_t hello_version = -1;
  std::string software;
  w.network().listen("10.0.0.1", 9092, [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    const incoming r = co_await p.next();
    client_id = r.client_id;
    hello_version = r.version;
    protocol::api_versions_request request;
    if (!protocol::decode_request(request, r.rest(), r.version)) software = std::string(request.client_software_name);
    co_await p.answer(r, peer::kafka_43());
    co_await p.drain();
  });
  net::connection_options options;
  options.client_id = "orders";
  options.software_name = "apache-kafka";
  auto c = open(w, options);
  REQUIRE(c);
  CHECK((*c)->is_open());
  CHECK(client_id == "orders");
  CHECK(software == "apache-kafka");
  CHECK(hello_version == 4);
  CHECK(*(*c)->versions().choose<protocol::metadata_request>() == 13);
  CHECK((*c)->peer_name() == "10.0.0.1:9092");
  (*c)->close();
  CHECK(!(*c)->is_open());
  CHECK((*c)->why_closed().code == errc::closed);
}

TEST_CASE("ApiVersions falls back as old brokers need it", "[net]") {
  struct row {
    const char* what;
    std::int16_t names_itself;  // The maximum of ApiVersions in the answer, -1: the answer is empty.
    std::vector<std::int16_t> asked;
  };
  const row rows[] = {
      {"2.4 to 3.x name version 3", 3, {4, 3}},
      {"no range at all", -1, {4, 0}},
      {"a range that is no help", 9, {4, 3, 2, 1, 0}},
      {"an old one", 1, {4, 1}},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    testing::world w;
    std::vector<std::int16_t> asked;
    w.network().listen("10.0.0.1", 9092, [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
      peer p(std::move(stream));
      for (;;) {
        const incoming r = co_await p.next();
        if (r.end) co_return;
        asked.push_back(r.version);
        const bool known = r.version == test.asked.back();
        if (known) {
          co_await p.answer(r, peer::kafka_43());
          continue;
        }
        protocol::api_versions_response refusal;
        refusal.error_code = static_cast<std::int16_t>(kafka_error::unsupported_version);
        if (test.names_itself >= 0) peer::add(refusal, 18, 0, test.names_itself);
        co_await p.answer(r, std::move(refusal), 0);
      }
    });
    auto c = open(w);
    REQUIRE(c);
    CHECK(asked == test.asked);
    CHECK((*c)->versions().choose<protocol::metadata_request>());
  }
}

TEST_CASE("a handshake fails with words that name the address", "[net]") {
  struct row {
    const char* what;
    std::function<asio::awaitable<void>(peer&, const incoming&)> script;
    std::error_code code;
    std::string words;
  };
  const auto say = [](const char* text) {
    return [text](peer& p, const incoming&) -> asio::awaitable<void> { co_await p.send_text(text); };
  };
  const row rows[] = {
      {"a web server", say("HTTP/1.1 400 Bad Request\r\n\r\n"), errc::not_kafka, "a frame of 1213486160 bytes"},
      {"a TLS alert", say("\x15\x03\x03\x7f"), errc::not_kafka, "the listener speaks TLS"},
      {"a mail server", say("220 mail ESMTP"), errc::not_kafka, "a frame of"},
      {"negative length", [](peer& p, const incoming&) -> asio::awaitable<void> { co_await p.send_header(-1, 0); },
       errc::not_kafka, "a frame of -1 bytes"},
      {"more than a handshake may have",
       [](peer& p, const incoming&) -> asio::awaitable<void> { co_await p.send_header(65537, 0); }, errc::not_kafka,
       "a frame of 65537 bytes"},
      {"wrong id", [](peer& p, const incoming&) -> asio::awaitable<void> { co_await p.send_header(100, 77); }, errc::not_kafka,
       "correlation id 77 instead of 0"},
      {"garbage in the right frame",
       [](peer& p, const incoming& r) -> asio::awaitable<void> {
         co_await p.send_header(14, r.id);
         co_await p.send_text("qwertyuiop");
       },
       errc::not_kafka, "ApiVersions"},
      {"an error",
       [](peer& p, const incoming& r) -> asio::awaitable<void> {
         protocol::api_versions_response refusal;
         refusal.error_code = static_cast<std::int16_t>(kafka_error::invalid_request);
         co_await p.answer(r, std::move(refusal));
       },
       kafka_error::invalid_request, "ApiVersions"},
      {"closes",
       [](peer& p, const incoming&) -> asio::awaitable<void> {
         p.close();
         co_return;
       },
       errc::connection_closed, "End of file"},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    testing::world w;
    bool closed_by_client = false;
    w.network().listen("10.0.0.1", 9092, [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
      peer p(std::move(stream));
      const incoming r = co_await p.next();
      co_await test.script(p, r);
      co_await p.drain();
      closed_by_client = true;
    });
    auto c = open(w);
    REQUIRE(!c);
    CAPTURE(c.error().words);
    CHECK(c.error().code == test.code);
    CHECK(c.error().words.starts_with("10.0.0.1:9092: "));
    CHECK(c.error().words.find(test.words) != std::string::npos);
    w.poll();
    CHECK(closed_by_client);
  }
}

TEST_CASE("connecting and the handshake share one time-out", "[net]") {
  testing::world w;
  const auto begin = w.now();
  SECTION("no answer to the first packet") {
    w.network().black_hole("10.0.0.1", 9092);
    auto c = open(w);
    REQUIRE(!c);
    CHECK(c.error().code == std::errc::timed_out);
    CHECK(c.error().words == "10.0.0.1:9092");
  }
  SECTION("no answer to ApiVersions") {
    w.network().listen("10.0.0.1", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
      peer p(std::move(stream));
      co_await p.drain();
    });
    auto c = open(w);
    REQUIRE(!c);
    CHECK(c.error().code == errc::request_timeout);
  }
  CHECK(w.now() - begin == 10s);
}

TEST_CASE("nobody listens", "[net]") {
  testing::world w;
  auto c = open(w);
  REQUIRE(!c);
  CHECK(c.error().code == asio::error::connection_refused);
  CHECK(c.error().words == "10.0.0.1:9092");
}

TEST_CASE("every address of a name is tried", "[net]") {
  testing::world w;
  w.network().add_name("kafka", {"10.0.0.1", "10.0.0.2"});
  const net::host_port where("kafka", 9092);
  SECTION("the second answers") {
    w.network().listen("10.0.0.2", 9092, serve_metadata);
    auto c = w.run(net::connection::open(w.executor(), where, net::connection_options(), net::time_point::max()));
    REQUIRE(c);
    CHECK((*c)->peer_name() == "kafka:9092 (10.0.0.2)");
    (*c)->close();
  }
  SECTION("none does") {
    w.network().black_hole("10.0.0.2", 9092);
    auto c = w.run(net::connection::open(w.executor(), where, net::connection_options(), net::time_point::max()));
    REQUIRE(!c);
    const std::string words = c.error().to_string();
    CAPTURE(words);
    CHECK(words.find("kafka:9092 (10.0.0.1): Connection refused; kafka:9092 (10.0.0.2): ") == 0);
    CHECK(words.find("timed out") != std::string::npos);
  }
}

}  // namespace handshake_tests
