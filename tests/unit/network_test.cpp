#include "catch.hpp"

#include <kawait/net/network.hpp>

namespace network_tests {

namespace net = kawait::net;
using kawait::errc;

TEST_CASE("host:port is parsed", "[net]") {
  struct row {
    const char* text;
    const char* host;
    int port;
    const char* words;
  };
  const row rows[] = {
      {"broker:9092", "broker", 9092, ""},
      {"  broker:9092\t", "broker", 9092, ""},
      {"127.0.0.1:1", "127.0.0.1", 1, ""},
      {"[::1]:65535", "::1", 65535, ""},
      {"[fe80::1%eth0]:9092", "fe80::1%eth0", 9092, ""},
      {"my_broker.example:19092", "my_broker.example", 19092, ""},
      {"", nullptr, 0, "the host is missing"},
      {":9092", nullptr, 0, "the host is missing"},
      {"[]:9092", nullptr, 0, "the host is missing"},
      {"broker", nullptr, 0, "the port is missing"},
      {"broker:", nullptr, 0, "the port is missing"},
      {"[::1]", nullptr, 0, "the port is missing"},
      {"[::1", nullptr, 0, "the closing ] is missing"},
      {"[::1]9092", nullptr, 0, "only :port may follow the ]"},
      {"::1:9092", nullptr, 0, "an IPv6 address belongs in brackets"},
      {"broker:0", nullptr, 0, "the port is not a number from 1 to 65535"},
      {"broker:65536", nullptr, 0, "the port is not a number from 1 to 65535"},
      {"broker:-1", nullptr, 0, "the port is not a number from 1 to 65535"},
      {"broker:9092x", nullptr, 0, "the port is not a number from 1 to 65535"},
      {"PLAINTEXT://broker:9092", nullptr, 0, "no protocol belongs in front of the host"},
      {"bro ker:9092", nullptr, 0, "the host holds a character that no host name has"},
      {"user@broker:9092", nullptr, 0, "the host holds a character that no host name has"},
  };
  for (const row& test : rows) {
    CAPTURE(test.text);
    const auto parsed = net::host_port::parse(test.text);
    REQUIRE(static_cast<bool>(parsed) == (test.host != nullptr));
    if (parsed) {
      CHECK(parsed->host == test.host);
      CHECK(parsed->port == test.port);
      const auto again = net::host_port::parse(parsed->to_string());
      REQUIRE(again);
      CHECK(*again == *parsed);
    } else {
      CHECK(parsed.error().code == errc::invalid_config);
      CAPTURE(parsed.error().words);
      CHECK(parsed.error().words.find(test.words) != std::string::npos);
      CHECK(parsed.error().words.find(std::string("\"")) == 0);
    }
  }
}

TEST_CASE("bootstrap.servers is a list", "[net]") {
  const auto two = net::parse_bootstrap_servers("a:1, [::1]:2 ,");
  REQUIRE(two);
  CHECK(*two == std::vector<net::host_port>{net::host_port("a", 1), net::host_port("::1", 2)});
  for (const char* text : {"", " ", ",", "a:1,b", "a:1;b:2"}) {
    CAPTURE(text);
    const auto none = net::parse_bootstrap_servers(text);
    REQUIRE(!none);
    CHECK(none.error().code == errc::invalid_config);
    CHECK(none.error().words.find("host:port is") != std::string::npos);
  }
  CHECK(net::parse_bootstrap_servers("a:1,b").error().words.find("\"b\": the port is missing") != std::string::npos);
}

}  // namespace network_tests
