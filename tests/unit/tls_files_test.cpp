// Certificates and keys in files: what is wrong with them, and that they may change.

#include "tls_support.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace tls_tests {

TEST_CASE("tls: files that are missing, broken, or do not fit are told by property", "[tls]") {
  const certificate a = trusted().issue("a", {}), b = trusted().issue("b", {}), locked = trusted().issue("c", {}, validity(), "hunter2");
  struct row {
    const char* what;
    std::function<void(net::tls_options&)> set;
    std::string words;
  };
  const row rows[] = {
      {"no such file", [](net::tls_options& o) { o.ca.location = "/no/such/file"; }, "ssl.ca.location = '/no/such/file': cannot be read"},
      {"nothing of PEM", [](net::tls_options& o) { o.ca.text = secret("hello"); }, "ssl.ca.pem: holds no certificates in PEM"},
      {"one broken certificate behind a good one",
       [&](net::tls_options& o) { o.ca.text = secret({a.text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}); },
       "ssl.ca.pem"},
      {"no certificate", [&](net::tls_options& o) { o.certificate.text = secret(a.key); }, "ssl.certificate.pem: holds no certificate"},
      {"no key", [&](net::tls_options& o) { identify(o, a.text, a.text); }, "ssl.key.pem: holds no private key"},
      {"another's key", [&](net::tls_options& o) { identify(o, a.text, b.key); }, "ssl.key.pem: is not that of the certificate"},
      {"no password", [&](net::tls_options& o) { identify(o, locked.text, locked.key); }, "ssl.key.password is wrong"},
      {"a wrong password",
       [&](net::tls_options& o) {
         identify(o, locked.text, locked.key);
         o.key_password = secret("hunter3");
       },
       "ssl.key.password is wrong"},
      {"no such cipher", [](net::tls_options& o) { o.cipher_suites = "NO_SUCH_CIPHER"; }, "ssl.cipher.suites = 'NO_SUCH_CIPHER'"},
      {"one that is none", [](net::tls_options& o) { o.cipher_suites = "AES128-SHA, NO_SUCH"; }, "ssl.cipher.suites = 'NO_SUCH'"},
      {"none of TLS 1.3", [](net::tls_options& o) { o.cipher_suites = "TLS_AES_128_GCM_SHA256:TLS_NO_SUCH"; }, "= 'TLS_NO_SUCH'"},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    net::tls_options o;
    test.set(o);
    const auto made = net::tls_context::create(o);
    REQUIRE(!made);
    CAPTURE(made.error().words);
    CHECK(made.error().code == errc::invalid_config);
    CHECK(made.error().words.find(test.words) != std::string::npos);
    CHECK(made.error().words.find("hunter") == std::string::npos);
    CHECK(made.error().words.find("PRIVATE") == std::string::npos);
  }
  net::tls_options both;
  both.cipher_suites = "TLS_AES_128_GCM_SHA256, ECDHE-ECDSA-AES128-GCM-SHA256, HIGH:!aNULL:@STRENGTH";
  CHECK(net::tls_context::create(both));
}

TEST_CASE("tls: PEM may be on one line, with blanks where its lines end", "[tls]") {
  const certificate own = trusted().issue("a", {}), locked = trusted().issue("c", {}, validity(), "hunter2");
  const auto on_one_line = [](std::string pem, std::string_view blanks) {
    std::string line;
    for (const char c : pem) line += c == '\n' ? std::string(blanks) : std::string(1, c);
    return line.substr(0, line.find_last_not_of(blanks) + 1);  // properties are trimmed
  };
  for (const std::string_view blanks : {" ", "   ", "\t", " \r\n ", ""}) {
    CAPTURE(std::string(blanks));
    net::tls_options o;
    o.ca.text = secret("two of them: " + on_one_line(own.text + locked.text, blanks));
    identify(o, on_one_line(own.text + locked.text, blanks), on_one_line(own.key, blanks));
    CHECK(net::tls_context::create(o));
    identify(o, on_one_line(locked.text, blanks), on_one_line(locked.key, blanks));
    o.key_password = secret("hunter2");
    CHECK(net::tls_context::create(o));
  }
  // One of two is cut short.
  const net::tls_options broken = trusting(on_one_line(own.text + own.text.substr(0, own.text.size() - 20), " "));
  CHECK(!net::tls_context::create(broken));
}

// What Java calls a suite of TLS 1.2, OpenSSL takes for its list of TLS 1.3, and goes on with all that it has of 1.2.
TEST_CASE("tls: suites by Java's names are the only ones, whichever version they are of", "[tls]") {
  const auto offered = [](const std::string& names) {
    net::tls_options o;
    o.cipher_suites = names;
    const auto made = net::tls_context::create(o);
    REQUIRE(made);
    const auto context = (*made)->current();
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), &SSL_free);
    std::set<std::string> all;
    STACK_OF(SSL_CIPHER)* const ciphers = SSL_get1_supported_ciphers(ssl.get());
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i) all.emplace(SSL_CIPHER_standard_name(sk_SSL_CIPHER_value(ciphers, i)));
    sk_SSL_CIPHER_free(ciphers);
    return all;
  };
  const std::string newer = "TLS_AES_256_GCM_SHA384", older = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
  CHECK(offered(newer + "," + older) == std::set<std::string>{newer, older});
  CHECK(offered(newer) == std::set<std::string>{newer});
  const auto with_defaults = offered(older);
  CHECK(with_defaults.contains(newer));
  CHECK(std::count_if(with_defaults.begin(), with_defaults.end(), [](const auto& n) { return n.find("_WITH_") != n.npos; }) == 1);
}

TEST_CASE("tls: files that change are read for the next connection", "[tls]") {
  const std::string path = (std::filesystem::temp_directory_path() / ("kawait-ca-" + std::to_string(::getpid()) + ".pem")).string();
  const authority first("first"), second("second");
  kawait::tests::write_file(path, first.text());
  net::tls_options o;
  o.ca.location = path;
  auto made = net::tls_context::create(o);
  REQUIRE(made);
  net::tls_context& context = **made;
  const auto before = context.current();
  CHECK(context.current() == before);
  kawait::tests::write_file(path, second.text() + first.text());
  const auto after = context.current();
  CHECK(after != before);
  CHECK(!context.reload_failure());
  kawait::tests::write_file(path, "half a fil");
  CHECK(context.current() == after);
  CHECK(context.reload_failure().words.find(path) != std::string::npos);
  std::filesystem::remove(path);
  CHECK(context.current() == after);
  kawait::tests::write_file(path, first.text());
  CHECK(context.current() != after);
  CHECK(!context.reload_failure());
  std::filesystem::remove(path);
}

}  // namespace tls_tests
