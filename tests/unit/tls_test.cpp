#include "tls_support.hpp"

#include <cstdlib>
#include <filesystem>

#include <unistd.h>

#include <openssl/pem.h>

#include <kawait/protocol/fetch.hpp>

namespace tls_tests {

TEST_CASE("tls: who the broker has to be", "[net][tls]") {
  const authority other("another authority");
  using seconds = std::chrono::seconds;
  const certificate expired = trusted().issue("broker", {"IP:10.0.0.1"}, validity(seconds(-7200), seconds(-3600)));
  const certificate early = trusted().issue("broker", {"IP:10.0.0.1"}, validity(seconds(3600), seconds(7200)));
  const certificate nobodys = trusted().issue("10.0.0.1", {});
  struct row {
    const char* what;
    std::string ca;
    certificate own;
    std::string host;
    bool verify_host;
    std::string words;  // "": all is well
  };
  const std::string ca = trusted().text();
  const row rows[] = {
      {"an address", ca, of_broker(), "10.0.0.1", true, ""},
      {"a name", ca, of_broker(), "broker", true, ""},
      {"a name with a final dot", ca, of_broker(), "broker.", true, ""},
      {"a wildcard", ca, of_broker(), "b1.kafka.test", true, ""},
      {"two labels for a wildcard", ca, of_broker(), "b1.x.kafka.test", true, "it is not one of 'b1.x.kafka.test'"},
      {"another name", ca, of_broker(), "other", true, "it is not one of 'other'"},
      {"an address of version 6", ca, of_broker(), "fd00::1", true, ""},
      {"another address of version 6", ca, of_broker(), "fd00::2", true, "it is not one of 'fd00::2'"},
      {"another address", ca, of_broker(), "10.0.0.2", true, "it is not one of '10.0.0.2'"},
      {"an address as common name alone", ca, nobodys, "10.0.0.1", true, "it is not one of '10.0.0.1'"},
      {"another name, by explicit word", ca, of_broker(), "other", false, ""},
      {"another authority's", other.text(), of_broker(), "10.0.0.1", true, "unable to get local issuer certificate"},
      {"another authority's, and any name", other.text(), of_broker(), "10.0.0.1", false, "unable to get local issuer certificate"},
      {"none of the system's", "", of_broker(), "10.0.0.1", true, "unable to get local issuer certificate"},
      {"expired", ca, expired, "10.0.0.1", true, "certificate has expired"},
      {"not yet valid", ca, early, "10.0.0.1", true, "certificate is not yet valid"},
      {"trusted itself", of_broker().text, of_broker(), "10.0.0.1", true, ""},
      {"a host that is none", ca, of_broker(), std::string("a\0b", 3), true, "no host"},
  };
  for (const row& test : rows) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      CAPTURE(test.what, version);
      testing::world w;
      std::string shown;
      listen_in_tls(w, test.own, serve_once, testing::pipe_options(), {}, &shown, version);
      net::tls_options tls = trusting(test.ca);
      tls.verify_host = test.verify_host;
      auto c = open_at(w, net::address(test.host, "10.0.0.1", 9093), with(tls));
      CAPTURE(c ? std::string() : c.error().words);
      CHECK(static_cast<bool>(c) == test.words.empty());
      if (c) {
        const bool is_address = test.host.starts_with("10.") || test.host.starts_with("fd00:");
        CHECK(shown == (is_address ? "" : test.host == "broker." ? "broker" : test.host));
        (*c)->close();
        continue;
      }
      CHECK(c.error().words.find(test.words) != std::string::npos);
      CHECK(c.error().words.starts_with(net::address(test.host, "10.0.0.1", 9093).to_string() + ": "));
      if (test.words != "no host") CHECK(c.error().code == errc::certificate_rejected);
    }
  }
}

// What the user allows of ciphers brings no version back.
TEST_CASE("tls: versions 1.2 and 1.3 are spoken, 1.1 is not, whatever the ciphers", "[net][tls]") {
  for (const std::string ciphers : {"", "ALL:@SECLEVEL=0"}) {
    for (const int version : {TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
      CAPTURE(ciphers, version);
      testing::world w;
      listen_in_tls(w, of_broker(), serve_once, testing::pipe_options(), {}, nullptr, version);
      net::tls_options tls = trusting(trusted().text());
      tls.cipher_suites = ciphers;
      auto c = open_at(w, by_ip, with(tls));
      CHECK(static_cast<bool>(c) == (version != TLS1_1_VERSION));
      if (c) {
        (*c)->close();
        continue;
      }
      CAPTURE(c.error().words);
      CHECK(c.error().code == errc::tls_failed);
      CHECK(c.error().words.find("protocol version") != std::string::npos);
    }
  }
}

/// The name that OpenSSL looks for in a directory of authorities.
std::string name_in_directory(const std::string& text) {
  BIO* const in = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  X509* const x = PEM_read_bio_X509(in, nullptr, nullptr, nullptr);
  char name[16];
  std::snprintf(name, sizeof name, "%08lx.0", X509_subject_name_hash(x));
  X509_free(x);
  BIO_free(in);
  return name;
}

TEST_CASE("tls: who is trusted: the system's authorities, those of a directory", "[net][tls]") {
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("kawait-authorities-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::string file = folder / name_in_directory(trusted().text());
  kawait::tests::write_file(file, trusted().text());
  net::tls_options tls;
  bool is_trusted = true;
  SECTION("the system's: where OpenSSL says that they are") { ::setenv("SSL_CERT_FILE", file.c_str(), 1); }
  SECTION("a directory") { tls.ca.location = folder; }
  SECTION("a directory without it") {
    tls.ca.location = folder;
    std::filesystem::remove(file);
    is_trusted = false;
  }
  testing::world w;
  listen_in_tls(w, of_broker(), serve_once);
  auto c = open_at(w, by_ip, with(tls));
  ::unsetenv("SSL_CERT_FILE");
  std::filesystem::remove_all(folder);
  REQUIRE(static_cast<bool>(c) == is_trusted);
  if (c) (*c)->close();
}

TEST_CASE("tls: a peer that does not speak it, or not ours", "[net][tls]") {
  struct row {
    const char* what;
    script play;
    std::string words;
  };
  const row rows[] = {
      {"a plaintext broker, which takes the greeting for a frame that is too long",
       [](peer& p) -> asio::awaitable<void> {
         std::byte first{};
         (void)co_await p.read(&first, 1);
         p.close();
       },
       "does its listener speak TLS?"},
      {"a web server", [](peer& p) -> asio::awaitable<void> { co_await p.send_text("HTTP/1.1 400 Bad Request\r\n\r\n"); },
       "plaintext listener?"},
      {"an alert", [](peer& p) -> asio::awaitable<void> { co_await p.send_text(std::string("\x15\x03\x03\0\x02\x02\x28", 7)); },
       "handshake failure"},
      {"noise", [](peer& p) -> asio::awaitable<void> { co_await p.send_text(std::string(300, '\x5a')); }, "plaintext listener?"},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    testing::world w;
    listen_in_the_clear(w, test.play);
    auto c = open_at(w, by_ip, with(trusting(trusted().text())));
    REQUIRE(!c);
    CAPTURE(c.error().words);
    CHECK(c.error().code == errc::tls_failed);
    CHECK(c.error().words.find(test.words) != std::string::npos);
  }
  testing::world w;
  const auto begin = w.now();
  listen_in_the_clear(w, [](peer&) -> asio::awaitable<void> { co_return; });
  auto c = open_at(w, by_ip, with(trusting(trusted().text())));
  REQUIRE(!c);
  CHECK(c.error().code == std::errc::timed_out);
  CHECK(w.now() - begin == 10s);
}

TEST_CASE("tls: a plaintext client is told that the listener speaks TLS", "[net][tls]") {
  testing::world w;
  kawait::failure expected;
  SECTION("by an alert") {
    listen_in_the_clear(w, [](peer& p) -> asio::awaitable<void> { co_await p.send_text(std::string("\x15\x03\x03\0\x02\x02\x46", 7)); });
    expected = kawait::failure(errc::not_kafka, "the listener speaks TLS");
  }
  SECTION("by an end without a word") {
    listen_in_tls(w, of_broker(), serve_once);
    expected = kawait::failure(errc::connection_closed, "a listener that speaks TLS");
  }
  auto c = open_at(w, by_ip, net::connection_options());
  REQUIRE(!c);
  CHECK(c.error().code == expected.code);
  CHECK(c.error().words.find(expected.words) != std::string::npos);
}

TEST_CASE("tls: a client's certificate", "[net][tls]") {
  const authority clients("clients");
  const certificate own = clients.issue("client", {}, validity(), "hunter2");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    testing::world w;
    listen_in_tls(w, of_broker(), serve_once, testing::pipe_options(), clients.text(), nullptr, version);
    auto without = open_at(w, by_ip, with(trusting(trusted().text())));
    REQUIRE(!without);
    CAPTURE(without.error().words);
    CHECK(without.error().code == errc::tls_failed);
    CHECK(without.error().words.find(version == TLS1_3_VERSION ? "certificate required" : "handshake failure") != std::string::npos);

    net::tls_options tls = trusting(trusted().text());
    identify(tls, own.text, own.key);
    tls.key_password = secret("hunter2");
    auto c = open_at(w, by_ip, with(tls));
    REQUIRE(c);
    (*c)->close();
  }
}

/// Keeps the last slab that a response was read into.
class one_slab_each final : public kawait::wire::slab_source {
 public:
  kawait::wire::slab_ref acquire(std::size_t bytes) override {
    ++count;
    last = kawait::wire::slab_ref(kawait::wire::slab::create(bytes));
    return last;
  }

  std::size_t count = 0;
  kawait::wire::slab_ref last;
};

TEST_CASE("tls: responses arrive whole, however the bytes come and requests leave", "[net][tls]") {
  const std::vector<std::size_t> sizes = {0, 4000, 16 * 1024, 16 * 1024 + 1, 100'000, 1'000'000, 3};
  struct row {
    const char* what;
    std::size_t chunk, capacity;
    bool takes_at_once;
  };
  const row rows[] = {{"at once", SIZE_MAX, 1 << 20, true}, {"in pieces", 1000, 1 << 20, true}, {"writers wait", SIZE_MAX, 1 << 20, false},
                      {"a narrow pipe", 7, 64, true}, {"a narrow pipe whose writers wait", 100, 64, false}};
  for (const row& test : rows) {
    CAPTURE(test.what);
    testing::world w;
    testing::pipe_options pipe;
    pipe.chunk = test.chunk;
    pipe.capacity = test.capacity;
    pipe.takes_at_once = test.takes_at_once;
    listen_in_tls(w, of_broker(), [&](peer& p) { return serve_fetches(p, sizes); }, pipe);
    auto c = open_at(w, by_ip, with(trusting(trusted().text())));
    REQUIRE(c);
    for (const std::size_t size : sizes) {
      CAPTURE(size);
      protocol::fetch_request request;
      one_slab_each slabs;
      auto a = w.run((*c)->async_request(request, 20s, slabs));
      REQUIRE(a);
      const auto& records = a->message.responses.at(0).partitions.at(0).records;
      REQUIRE(records->size() == size);
      // Decrypted to where they stay.
      CHECK(slabs.count == 1);
      CHECK(records->data() >= slabs.last->data());
      CHECK(records->data() + size <= slabs.last->data() + slabs.last->capacity());
      CHECK(wrong_bytes(*records) == 0);
    }
    (*c)->close();
  }
}

}  // namespace tls_tests
