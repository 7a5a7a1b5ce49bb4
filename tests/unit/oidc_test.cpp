#include "catch.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "support/certificates.hpp"

#include <kawait/machine/http_answer.hpp>
#include <kawait/machine/token_answer.hpp>
#include <kawait/net/oidc.hpp>
#include <kawait/testing/world.hpp>

namespace oidc_tests {

using namespace std::chrono_literals;
using kawait::errc;
using kawait::secret;
using kawait::machine::http_answer;
using kawait::machine::token_answer;
using kawait::tests::authority;
namespace net = kawait::net;
namespace testing = kawait::testing;

/// "200 body", in which case it is complete, or the failure's words; "..." if it needs more.
std::string read(std::string_view all, std::size_t step, bool ends) {
  http_answer a;
  kawait::failure f;
  for (std::size_t at = 0; at < all.size() && !f; at += step) f = a.take(all.substr(at, step));
  if (!f && ends) f = a.end();
  if (f) return f.code == errc::malformed_response ? f.words : "another code";
  return a.is_complete() ? std::to_string(a.status()) + " " + std::string(a.body()) : "...";
}

TEST_CASE("http answer: taken whole, however it comes, or refused") {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string not_http = "the answer is not HTTP", too_long = "the answer is longer than 1 MiB";
  struct row {
    std::string text, expected;
    bool ends = false;
  };
  const row rows[] = {
      {ok + "Content-Length: 2\r\n\r\nhi", "200 hi"},
      {ok + "content-length:2 \r\nX: y\r\n\r\nhi and more", "200 hi"},
      {ok + "Content-Length: 0\r\n\r\n", "200 "},
      {ok + "Content-Length: 2\r\n\r\nh", "..."},
      {ok + "Content-Length: 2\r\n\r\nh", "the answer ends too early", true},
      {ok + "\r\nto the end", "200 to the end", true},
      {ok + "\r\nto the end", "..."},
      {"HTTP/1.0 401\r\n\r\n", "401 ", true},
      {"HTTP/1.1 204 \r\n\r\nmore", "204 "},
      {"HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx", "200 x"},
      {ok + "Transfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n", "200 abc0123456789"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", "..."},
      {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "a chunk is longer than it says"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "the size of a chunk is none"},
      {ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "the size of a chunk is none"},
      {ok + "Transfer-Encoding: chunked\r\n\r\n100001\r\n", too_long},
      {ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "the answer has two lengths"},
      {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", "the answer has an encoding that was not asked for"},
      {ok + "Content-Encoding: gzip\r\n\r\n", "the answer has an encoding that was not asked for"},
      {ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "the answer's Content-Length is none"},
      {ok + "Content-Length: +2\r\n\r\nhi", "the answer's Content-Length is none"},
      {ok + "Content-Length: 1048577\r\n\r\n", too_long},
      {ok + "Content-Length: 1048576\r\n\r\n", "..."},
      {ok + "\r\n" + std::string(http_answer::longest_body + 1, 'x'), too_long},
      {ok + "A: " + std::string(http_answer::longest_head, 'x'), "the answer's head is longer than 16 KiB"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "the answer changes the protocol"},
      {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", not_http},
      {"HTTP/2 200\r\n\r\n", not_http},
      {"HTTP/1.1 20\r\n", not_http},
      {"HTTP/1.1 2000\r\n", not_http},
      {"HTTP/1.1 \r\n", not_http},
      {std::string("\x15\x03\x03\0\x02\x02\x46\r\n", 9), not_http},
      {ok + "no colon\r\n", not_http},
      {ok + "Content-Length : 2\r\n", not_http},
      {ok + " folded\r\n", not_http},
      {ok + "A: \x01\r\n", not_http},
      {"", "the answer ends too early", true},
  };
  for (const row& test : rows) {
    CAPTURE(test.text.substr(0, 100));
    for (const std::size_t step : {std::size_t{1}, std::size_t{4096}}) CHECK(read(test.text, step, test.ends) == test.expected);
  }
}

std::string repeated(std::string_view what, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += what;
  return all;
}

TEST_CASE("token answer: strict JSON with a token that can be shown, and for how long") {
  struct row {
    std::string json, token;  // "": refused
    std::int64_t seconds = 0;
  };
  const auto with = [](std::string_view more) { return "{\"access_token\":\"ey.J0\"," + std::string(more) + "}"; };
  const row rows[] = {
      {R"({"access_token":"ey.J0","token_type":"bearer","expires_in":3600})", "ey.J0", 3600},
      {" {\n\"expires_in\" : \"60\" , \"x\":[1,-0.5e+3,{\"a\":[]},true,false,null,{}],\t\"access_token\":\"a\\/\\u0062\\\"\\\\\"}\r\n", "a/b\"\\", 60},
      {with(R"("scope":"ü \ud83d\ude00")"), "ey.J0"},
      {with("\"expires_in\":99999999999999999999"), "ey.J0", 365 * 86400},
      {with("\"x\":" + repeated("[", 31) + repeated("]", 31)), "ey.J0"},
      {with("\"x\":" + repeated("[", 32) + repeated("]", 32)), ""},
      {with("\"x\":" + repeated("[", 100'000)), ""},
      {repeated("{\"a\":", 100'000), ""},
      {with("\"expires_in\":-1"), ""},
      {with("\"expires_in\":1.5"), ""},
      {with("\"expires_in\":{}"), ""},
      {with("\"expires_in\":null"), ""},
      {with("\"token_type\":\"mac\""), ""},
      {with("\"access_token\":\"another\""), ""},
      {with("\"x\":01"), ""},
      {with("\"x\":1."), ""},
      {with("\"x\":.5"), ""},
      {with("\"x\":+1"), ""},
      {with("\"x\":NaN"), ""},
      {with("\"x\":truely"), ""},
      {with("\"x\":\"\n\""), ""},
      {with("\"x\":\"\\x\""), ""},
      {with("\"x\":\"\\u12g4\""), ""},
      {with("\"x\":[1,]"), ""},
      {with("\"x\":1,"), ""},
      {with("x:1"), ""},
      {with("\"x\":1") + "{}", ""},
      {R"({"access_token":"")", ""},
      {R"({"access_token":""})", ""},
      {R"({"access_token":"a\n"})", ""},
      {R"({"access_token":"\u00fc"})", ""},
      {R"({"access_token":"ü"})", ""},
      {R"({"access_token":{"access_token":"a"}})", ""},
      {R"({"access_token":7})", ""},
      {R"({"x":{"access_token":"a"}})", ""},
      {R"(["access_token","a"])", ""},
      {"{}", ""},
      {"", ""},
      {"<html>", ""},
  };
  for (const row& test : rows) {
    CAPTURE(test.json.substr(0, 120));
    const auto a = token_answer::parse(test.json);
    CHECK(static_cast<bool>(a) == !test.token.empty());
    if (a) {
      CHECK(a->token.reveal() == test.token);
      CHECK(a->lifetime == std::chrono::seconds(test.seconds));
    } else {
      CHECK(a.error().code == errc::authentication_failed);
      CHECK(a.error().words.find("ey.J0") == std::string::npos);
    }
    for (std::size_t size = 0; size < test.json.size() && test.json.size() < 200; ++size) {
      (void)token_answer::parse(test.json.substr(0, size));  // ends within memory that is its own
    }
  }
  CHECK(kawait::machine::token_refusal(R"({"error":"invalid_client","error_description":"hunter2"})") == "invalid_client");
  CHECK(kawait::machine::token_refusal(R"({"error":"hunter2"})") == "");
  CHECK(kawait::machine::token_refusal("hunter2") == "");
}

TEST_CASE("token endpoint: its URL") {
  struct row {
    std::string text, shown, target;  // shown "": refused
    bool is_loopback = false;
  };
  const row rows[] = {
      {"https://idp.example/token", "https://idp.example:443/token", "/token"},
      {"https://idp.example:8443", "https://idp.example:8443/", "/"},
      {"https://idp.example?a=b", "https://idp.example:443/", "/?a=b"},
      {"http://localhost:80/t?q=hunter2", "http://localhost:80/t", "/t?q=hunter2", true},
      {"http://127.0.0.2/", "http://127.0.0.2:80/", "/", true},
      {"http://[::1]/t", "http://[::1]:80/t", "/t", true},
      {"https://[2001:db8::1]:444/t", "https://[2001:db8::1]:444/t", "/t"},
      {"http://localhost.example/", "http://localhost.example:80/", "/"},
      {"HTTPS://idp/", "", ""},
      {"ftp://idp/", "", ""},
      {"https://", "", ""},
      {"https://:443/", "", ""},
      {"https://idp:/", "", ""},
      {"https://idp:0/", "", ""},
      {"https://idp:65536/", "", ""},
      {"https://u:hunter2@idp/", "", ""},
      {"https://idp/#f", "", ""},
      {"https://idp/a b", "", ""},
      {"https://idp/\r\nX: y", "", ""},
      {"", "", ""},
  };
  for (const row& test : rows) {
    CAPTURE(test.text);
    const auto url = net::endpoint_url::parse(test.text);
    REQUIRE(static_cast<bool>(url) == !test.shown.empty());
    if (!url) {
      CHECK(url.error().code == errc::invalid_config);
      CHECK(url.error().words.find("hunter2") == std::string::npos);
      continue;
    }
    CHECK(url->shown == test.shown);
    CHECK(url->target == test.target);
    CHECK(url->is_loopback() == test.is_loopback);
    CHECK(url->has_tls == test.text.starts_with("https"));
  }
}

// ---- The client, in a simulated network.

/// Gives its answers one after another, the last for ever; keeps what it was asked. "" keeps silent, "-" closes.
struct endpoint {
  std::vector<std::string> answers, asked;

  asio::awaitable<void> serve(std::unique_ptr<net::transport> stream) {
    std::string request;
    std::vector<std::byte> room(4096);
    std::error_code ec;
    while (request.find("client_credentials") == std::string::npos && !ec) {
      const std::size_t size = co_await stream->read_some(room, ec);
      request.append(reinterpret_cast<const char*>(room.data()), size);
    }
    asked.push_back(request);
    const std::string answer = answers.at(std::min(asked.size(), answers.size()) - 1);
    if (!answer.empty() && answer != "-") co_await stream->write(std::as_bytes(std::span<const char>(answer)), ec);
    while (!ec && answer != "-") (void)co_await stream->read_some(room, ec);
    stream->close();
  }
};

std::string answer(std::string_view status, std::string_view body) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string token_for(int seconds, std::string_view token = "ey.J0") {
  return answer("200 OK", "{\"access_token\":\"" + std::string(token) + "\",\"expires_in\":" + std::to_string(seconds) + "}");
}

net::oidc_options options_for(std::string url) {
  net::oidc_options o;
  o.endpoint = std::move(url);
  o.client_id = "billing";
  o.client_secret = secret("hunter2 +/");
  return o;
}

struct given {
  std::string token;
  std::error_code code;
  std::string words;
};

asio::awaitable<given> ask(std::shared_ptr<net::oidc_client> client) {
  given g;
  try {
    const kawait::oauth_token t = co_await client->token();
    g.token = t.value.reveal();
    for (const auto& [name, value] : t.extensions) g.token += " " + name + "=" + value;
  } catch (const kawait::error& e) {
    g.code = e.code();
    g.words = e.words();
  }
  co_return g;
}

std::shared_ptr<net::oidc_client> client_of(const net::oidc_options& o) {
  auto made = net::oidc_client::create(o, 9000ms);
  REQUIRE(made);
  return *made;
}

void listen(testing::world& w, endpoint& e, std::uint16_t port = 80) {
  w.network().listen("10.0.0.9", port, [&e](std::unique_ptr<net::transport> stream) { return e.serve(std::move(stream)); });
}

const std::string plain_url = "http://10.0.0.9/realms/r/token?x=1";

TEST_CASE("oidc: what is asked, and that a token is used until a fifth of its time is left", "[net]") {
  testing::world w;
  endpoint idp;
  idp.answers = {token_for(100), token_for(100, "second"), "-", token_for(100, "third")};
  listen(w, idp);
  net::oidc_options o = options_for(plain_url);
  o.scope = "kafka read";
  o.extensions["logicalCluster"] = "lkc-1";
  const auto client = client_of(o);
  CHECK(w.run(ask(client)).token == "ey.J0 logicalCluster=lkc-1");
  REQUIRE(idp.asked.size() == 1);
  CHECK(idp.asked[0] ==
        "POST /realms/r/token?x=1 HTTP/1.1\r\nHost: 10.0.0.9\r\nAuthorization: Basic YmlsbGluZzpodW50ZXIyICsv\r\nAccept: application/json\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 48\r\nUser-Agent: kawait/" KAWAIT_VERSION
        "\r\nConnection: close\r\n\r\ngrant_type=client_credentials&scope=kafka%20read");
  w.advance(79s);
  CHECK(w.run(ask(client)).token == "ey.J0 logicalCluster=lkc-1");
  CHECK(idp.asked.size() == 1);
  w.advance(1s);
  CHECK(w.run(ask(client)).token == "second logicalCluster=lkc-1");
  CHECK(idp.asked.size() == 2);
  w.advance(81s);  // the endpoint is away for a moment
  CHECK(w.run(ask(client)).token == "second logicalCluster=lkc-1");
  CHECK(w.run(ask(client)).token == "third logicalCluster=lkc-1");

  client->forget();
  CHECK(w.run(ask(client)).token == "third logicalCluster=lkc-1");
  CHECK(idp.asked.size() == 5);

  o.encode_header = true;
  CHECK(w.run(ask(client_of(o))).token == "third logicalCluster=lkc-1");
  CHECK(idp.asked.back().find("Basic YmlsbGluZzpodW50ZXIyJTIwJTJCJTJG\r\n") != std::string::npos);
}

TEST_CASE("oidc: what the endpoint refuses or answers wrongly is told once, what may pass is tried again", "[net]") {
  const std::string good = token_for(100);
  struct row {
    const char* what;
    std::vector<std::string> answers;
    std::error_code code;  // none: there is a token
    std::string words;
    std::size_t asked;
  };
  const auto again = std::make_error_code(std::errc::resource_unavailable_try_again);
  const row rows[] = {
      {"busy", {answer("503 busy", "hunter2"), answer("429 Too Many", ""), answer("408", ""), good}, {}, "", 4},
      {"closed without a word", {"-", good}, {}, "", 2},
      {"refused", {answer("401 No", R"({"error":"invalid_client","error_description":"hunter2"})"), good}, errc::authentication_failed,
       "HTTP status 401 (invalid_client)", 1},
      {"refused without a reason", {answer("403 hunter2", "hunter2"), good}, errc::authentication_failed, "HTTP status 403", 1},
      {"a redirect", {answer("302 Found\r\nLocation: http://10.0.0.10/", ""), good}, errc::authentication_failed, "no redirect is followed", 1},
      {"a page", {answer("200 OK", "<html>hunter2</html>"), good}, errc::authentication_failed, "not an object of JSON", 1},
      {"no HTTP", {"hunter2\r\n", good}, errc::malformed_response, "not HTTP", 1},
      {"a bomb", {"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", good}, errc::malformed_response, "longer than 1 MiB", 1},
      {"busy for ever", {answer("503", "")}, again, "HTTP status 503", 0},
      {"silent", {""}, std::make_error_code(std::errc::timed_out), "", 1},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    testing::world w;
    endpoint idp;
    idp.answers = test.answers;
    listen(w, idp);
    const auto begin = w.now();
    const given g = w.run(ask(client_of(options_for(plain_url))));
    CAPTURE(g.words);
    CHECK(g.code == test.code);
    CHECK(g.token == (test.code ? "" : "ey.J0"));
    CHECK(w.now() - begin <= 9s);
    if (test.asked != 0) CHECK(idp.asked.size() == test.asked);
    if (!test.code) continue;
    CHECK(g.words.starts_with("token endpoint http://10.0.0.9:80/realms/r/token"));
    CHECK(g.words.find(test.words) != std::string::npos);
    CHECK(g.words.find("hunter") == std::string::npos);
    CHECK(g.words.find("x=1") == std::string::npos);
  }
  testing::world w;  // nobody listens
  const given g = w.run(ask(client_of(options_for(plain_url))));
  CHECK(g.code == asio::error::connection_refused);
}

TEST_CASE("oidc: an address that does not answer leaves time for the next", "[net]") {
  testing::world w;
  endpoint idp;
  idp.answers = {token_for(100)};
  listen(w, idp);
  w.network().add_name("idp", {"10.0.0.8", "10.0.0.9"});
  w.network().black_hole("10.0.0.8", 80);
  const auto began = w.now();
  CHECK(w.run(ask(client_of(options_for("http://idp/token")))).token == "ey.J0");
  CHECK(w.now() - began < 8s);
}

TEST_CASE("oidc: https has to be of the endpoint's name and of an authority that is trusted", "[net][tls]") {
  const authority trusted("the endpoint's authority"), other("another");
  const auto own = trusted.issue("idp", {"DNS:idp.test"});
  struct row {
    std::string ca, url;
    std::error_code code;
  };
  const row rows[] = {{trusted.text(), "https://idp.test/token", {}},
                      {other.text(), "https://idp.test/token", errc::certificate_rejected},
                      {trusted.text(), "https://10.0.0.9/token", errc::certificate_rejected}};
  for (const row& test : rows) {
    CAPTURE(test.url);
    testing::world w;
    endpoint idp;
    idp.answers = {token_for(100)};
    w.network().add_name("idp.test", {"10.0.0.9"});
    const auto context = kawait::tests::server_context(own);
    w.network().listen("10.0.0.9", 443, [&idp, context](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
      auto secured = std::make_unique<net::tls_transport>(std::move(stream), context, net::tls_transport::side::server);
      const kawait::failure f = co_await secured->shake_hands();
      if (!f) co_await idp.serve(std::move(secured));
    });
    net::oidc_options o = options_for(test.url);
    o.ca.text = secret(test.ca);
    const given g = w.run(ask(client_of(o)));
    CAPTURE(g.words);
    CHECK(g.code == test.code);
    CHECK(idp.asked.size() == (test.code ? 0u : 1u));
    if (!test.code) CHECK(idp.asked.at(0).find("Host: idp.test\r\n") != std::string::npos);
  }
}

}  // namespace oidc_tests
