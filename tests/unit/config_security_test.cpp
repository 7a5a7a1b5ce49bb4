#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/config.hpp>

#include "config_support.hpp"

namespace config_security_tests {

using config_support::contains;
using config_support::refusal;
using kawait::config;
using kawait::secret;

std::string protocol_of(const config& c) {
  switch (c.values().security.protocol) {
    case kawait::security_protocol::plaintext: return "PLAINTEXT";
    case kawait::security_protocol::ssl: return "SSL";
    case kawait::security_protocol::sasl_plaintext: return "SASL_PLAINTEXT";
    case kawait::security_protocol::sasl_ssl: return "SASL_SSL";
  }
  return "?";
}

std::string mechanism_of(const config& c) {
  const auto& m = c.values().security.sasl.mechanism;
  if (!m) return "";
  switch (*m) {
    case kawait::sasl_mechanism::plain: return "PLAIN";
    case kawait::sasl_mechanism::scram_sha_256: return "SCRAM-SHA-256";
    case kawait::sasl_mechanism::scram_sha_512: return "SCRAM-SHA-512";
    case kawait::sasl_mechanism::oauthbearer: return "OAUTHBEARER";
  }
  return "?";
}

std::string shown(const kawait::net::pem_source& s) { return s.location + std::string(s.text.reveal()); }

/// A property, how its value is read back, good values and bad ones.
struct property_row {
  std::string name;
  std::function<std::string(const config&)> get;
  std::vector<std::string> good, bad;
};

std::vector<property_row> property_rows() {
  const auto ca = [](const config& c) { return shown(c.values().security.tls.ca); };
  const auto certificate = [](const config& c) { return shown(c.values().security.tls.certificate); };
  const auto key = [](const config& c) { return shown(c.values().security.tls.key); };
  const auto both = [](const config& c) {
    const auto& tls = c.values().security.tls;
    return tls.certificate.location == tls.key.location ? tls.key.location : "(they differ)";
  };
  const auto pem = [](const config&) { return std::string("PEM"); };
  const auto password = [](const config& c) { return std::string(c.values().security.sasl.password.reveal()); };
  const auto oidc_id = [](const config& c) { return c.values().security.sasl.oidc.client_id; };
  const auto oidc_secret = [](const config& c) { return std::string(c.values().security.sasl.oidc.client_secret.reveal()); };
  const auto oidc_ca = [](const config& c) { return shown(c.values().security.sasl.oidc.ca); };
  const auto oidc_extensions = [](const config& c) {
    std::string all;
    for (const auto& [name, value] : c.values().security.sasl.oidc.extensions) all += (all.empty() ? "" : ",") + name + "=" + value;
    return all;
  };
  const std::string too_long(32768, 'x'), far_too_long((1 << 20) + 1, 'x');
  return {
      {"security.protocol", protocol_of, {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, {"", "TLS", "PLAINTEXT,SSL"}},
      {"ssl.ca.location", ca, {"/etc/ca.pem", "ca dir"}, {"", too_long}},
      {"ssl.ca.pem", ca, {"-----BEGIN"}, {"", far_too_long}},
      {"ssl.truststore.location", ca, {"/etc/ca.pem"}, {"", too_long}},
      {"ssl.truststore.certificates", ca, {"-----BEGIN"}, {"", far_too_long}},
      {"ssl.truststore.type", pem, {"PEM"}, {"", "JKS", "PKCS12", "pem"}},
      {"ssl.certificate.location", certificate, {"c.pem"}, {"", too_long}},
      {"ssl.certificate.pem", certificate, {"-----BEGIN"}, {"", far_too_long}},
      {"ssl.keystore.certificate.chain", certificate, {"-----BEGIN"}, {"", far_too_long}},
      {"ssl.key.location", key, {"k.pem"}, {"", too_long}},
      {"ssl.key.pem", key, {"-----BEGIN"}, {"", far_too_long}},
      {"ssl.keystore.key", key, {"-----BEGIN"}, {"", far_too_long}},
      {"ssl.key.password", [](const config& c) { return std::string(c.values().security.tls.key_password.reveal()); }, {"word"}, {"", too_long}},
      {"ssl.keystore.location", both, {"both.pem"}, {"", too_long}},
      {"ssl.keystore.type", pem, {"PEM"}, {"", "JKS", "PKCS12"}},
      {"ssl.cipher.suites", [](const config& c) { return c.values().security.tls.cipher_suites; }, {"TLS_AES_128_GCM_SHA256"}, {"", too_long}},
      {"ssl.endpoint.identification.algorithm",
       [](const config& c) { return std::string(c.values().security.tls.verify_host ? "https" : "none"); },
       {"none", "https"},
       {"", "false", "ldaps"}},
      {"sasl.mechanism", mechanism_of, {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}, {"", "GSSAPI", "SCRAM-SHA-1", "plain"}},
      {"sasl.mechanisms", mechanism_of, {"PLAIN", "SCRAM-SHA-512"}, {"", "GSSAPI", "PLAIN,SCRAM-SHA-256"}},
      {"sasl.username", [](const config& c) { return c.values().security.sasl.username; }, {"alice", "a,b=c"}, {"", too_long, std::string("a\0b", 3)}},
      {"sasl.password", password, {"word", "\"; ' =,"}, {"", too_long, std::string("a\0b", 3)}},
      {"sasl.jaas.config",
       [](const config& c) { return "L required username=\"" + c.values().security.sasl.username + "\""; },
       {},
       {"", too_long, "L", "x.PlainLoginModule required;"}},
      {"sasl.allow.cleartext",
       [](const config& c) { return std::string(c.values().security.sasl.allow_cleartext ? "true" : "false"); },
       {"true", "false"},
       {"", "yes"}},
      {"sasl.login.attempts", [](const config& c) { return std::to_string(c.values().security.sasl.login_attempts); },
       {"1", "2147483647"}, {"0", "-1", "2147483648", "", "x"}},
      {"sasl.oauthbearer.method",
       [](const config& c) { return std::string(c.values().security.sasl.oidc.required ? "oidc" : "default"); },
       {"oidc", "default"},
       {"", "jwt"}},
      {"sasl.oauthbearer.token.endpoint.url", [](const config& c) { return c.values().security.sasl.oidc.endpoint; },
       {"https://idp/token", "http://localhost:8080/?q"}, {"", "idp", "ftp://idp/", "https://", too_long}},
      {"sasl.oauthbearer.client.id", oidc_id, {"billing"}, {"", too_long}},
      {"sasl.oauthbearer.client.credentials.client.id", oidc_id, {"billing"}, {"", too_long}},
      {"sasl.oauthbearer.client.secret", oidc_secret, {"word"}, {"", too_long}},
      {"sasl.oauthbearer.client.credentials.client.secret", oidc_secret, {"word"}, {"", too_long}},
      {"sasl.oauthbearer.scope", [](const config& c) { return c.values().security.sasl.oidc.scope; }, {"kafka read"}, {"", too_long}},
      {"sasl.oauthbearer.header.urlencode",
       [](const config& c) { return std::string(c.values().security.sasl.oidc.encode_header ? "true" : "false"); },
       {"true", "false"},
       {"", "yes"}},
      {"sasl.oauthbearer.extensions", oidc_extensions, {"a=b", "a=b=c,cD= e"}, {"", "a", "a=", "=b", "a1=b", "auth=b", "a=b,", "a=b,a=c", too_long}},
      {"https.ca.location", oidc_ca, {"/etc/ca.pem"}, {"", too_long}},
      {"https.ca.pem", oidc_ca, {"-----BEGIN"}, {"", far_too_long}},
  };
}

TEST_CASE("config: every property of TLS and SASL takes good values, and refuses bad ones without showing secrets") {
  std::set<std::string_view> tested, known;
  const auto all = property_rows();
  CHECK(contains(refusal([] { config().set("sasl.mechanism", "GSSAPI"); }), "Kerberos is not supported"));
  for (const property_row& r : all) {
    CAPTURE(r.name);
    tested.insert(r.name);
    const kawait::property_info* const info = kawait::find_property(r.name);
    REQUIRE(info);
    const std::string standard = r.get(config());
    if (r.name != "sasl.jaas.config") CHECK(standard == info->standard);
    for (const std::string& value : r.good) {
      config c;
      CHECK(refusal([&] { c.set(r.name, value); }) == "");
      CHECK(r.get(c) == value);
    }
    for (const std::string& value : r.bad) {
      config c;
      const std::string words = refusal([&] { c.set(r.name, value); });
      CHECK(contains(words, r.name));
      CHECK(words.size() < 300);
      CHECK(r.get(c) == standard);
      const bool is_secret = info->type == kawait::property_type::password;
      if (value.size() > 1 && value.size() < 100) CHECK(contains(words, is_secret ? "'***'" : "'" + value + "'"));
      if (is_secret && value.size() > 1) CHECK(!contains(words, value.substr(0, 10)));
    }
  }
  for (const kawait::property_info& p : kawait::properties()) {
    if (p.name.starts_with("ssl.") || p.name.starts_with("sasl.") || p.name.starts_with("https.") || p.name == "security.protocol") known.insert(p.name);
  }
  CHECK(known == tested);
}

TEST_CASE("config: a choice's word may be written in any case, a mechanism's name as it is registered") {
  config c;
  for (const char* const word : {"CONSUMER", "Consumer"}) CHECK(refusal([&] { c.set("group.protocol", word); }) == "");
  CHECK(contains(refusal([&] { c.set("group.protocol", "CLASSIC"); }), "not supported yet"));
  c.set("auto.offset.reset", "Earliest");
  CHECK(c.values().auto_offset_reset == kawait::offset_reset::earliest);
  c.set("auto.offset.reset", "NONE");
  CHECK(c.values().auto_offset_reset == kawait::offset_reset::none);
  c.set("auto.offset.reset", "By_Duration:PT1H");
  CHECK(c.values().auto_offset_reset_back == std::chrono::hours(1));
  c.set("isolation.level", "READ_COMMITTED");
  CHECK(c.values().isolation == kawait::isolation_level::read_committed);
  c.set("security.protocol", "sasl_Ssl");
  CHECK(protocol_of(c) == "SASL_SSL");
  c.set("ssl.endpoint.identification.algorithm", "None");
  CHECK(!c.values().security.tls.verify_host);
  c.set("ssl.endpoint.identification.algorithm", "HTTPS");
  CHECK(c.values().security.tls.verify_host);
  c.set("sasl.oauthbearer.method", "OIDC");
  CHECK(c.values().security.sasl.oidc.required);
  CHECK(contains(refusal([&] { c.set("sasl.mechanism", "plain"); }), "sasl.mechanism = 'plain': is written in capitals"));
}

TEST_CASE("config: sasl.jaas.config") {
  struct row {
    std::string text, user, password;
  };
  const std::string plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
  const std::string scram = "org.apache.kafka.common.security.scram.ScramLoginModule";
  const row good[] = {
      {plain + " required username=\"alice\" password=\"word\";", "alice", "word"},
      {scram + " required username='alice' password='wo\"rd' ;", "alice", "wo\"rd"},
      {"  " + plain + "\n\trequired\n  password = \"a \\\"b\\\\\"\n  username=alice;\n", "alice", "a \"b\\"},
      {plain + " required username=\"alice\" password=\"x;y=z\" debug=true;", "alice", "x;y=z"},
      {scram + " required username=\"alice\" password=\"\\w\\\\\";", "alice", "w\\"},
  };
  for (const row& test : good) {
    CAPTURE(test.text);
    config c;
    c.set("sasl.jaas.config", test.text);
    CHECK(c.values().security.sasl.username == test.user);
    CHECK(c.values().security.sasl.password.reveal() == test.password);
    CHECK(c.warnings().size() == (contains(test.text, "debug") ? 1u : 0u));
  }
  const std::pair<std::string, std::string> bad[] = {
      {plain, "is not of the form"},
      {plain + " required username=\"hunter1\" password=\"hunter2\"", "is not of the form"},
      {plain + " required username=\"hunter1\" password=\"hunter2;", "is not of the form"},
      {plain + " required username=\"hunter1\" password=;", "is not of the form"},
      {plain + " required username password=\"hunter2\";", "is not of the form"},
      {plain + " needed username=\"hunter1\" password=\"hunter2\";", "is not of the form"},
      {plain + " required username=\"hunter1\" password=\"hunter2\"; " + plain + " required;", "is not of the form"},
      {plain + " required username=\"hunter1\" password=\"hunter2\\", "is not of the form"},
      {plain + " required username=\"hunter1\";", "username and password"},
      {plain + " required password=\"hunter2\";", "username and password"},
      {plain + " required username=\"\" password=\"hunter2\";", "sasl.username"},
      {scram + " required username=\"hunter1\" password=\"hunter2\" tokenauth=\"true\";", "delegation tokens"},
      {"com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true;", "Kerberos"},
      {"org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required ;", "sasl_oauth_token"},
      {"my.LoginModule required username=\"hunter1\" password=\"hunter2\";", "PlainLoginModule or ScramLoginModule"},
  };
  for (const auto& [text, why] : bad) {
    CAPTURE(text);
    config c;
    const std::string words = refusal([&, &t = text] { c.set("sasl.jaas.config", t); });
    CHECK(contains(words, why));
    CHECK(!contains(words, "hunter"));
    CHECK(c.values().security.sasl.username.empty());
  }
}

TEST_CASE("config: what of TLS and SASL does not fit together is refused when a consumer takes it") {
  struct row {
    std::vector<std::pair<std::string, std::string>> set;
    std::string words;  // "": it fits
  };
  const std::string jaas = "x.PlainLoginModule required username=u password=hunter2;";
  const row rows[] = {
      {{{"security.protocol", "SSL"}}, ""},
      {{{"security.protocol", "SSL"}, {"ssl.ca.location", "x"}, {"ssl.keystore.location", "k"}, {"ssl.key.password", "p"}}, ""},
      {{{"ssl.ca.location", "x"}}, "nothing would be encrypted"},
      {{{"ssl.key.password", "x"}}, "ssl.key.password is set"},
      {{{"security.protocol", "SASL_PLAINTEXT"}, {"ssl.cipher.suites", "x"}}, "ssl.cipher.suites is set"},
      {{{"security.protocol", "SSL"}, {"ssl.ca.location", "x"}, {"ssl.ca.pem", "y"}}, "ssl.ca.location and ssl.ca.pem exclude"},
      {{{"security.protocol", "SSL"}, {"ssl.key.pem", "x"}}, "ssl.key.location (or ssl.key.pem, ssl.keystore.key) is set without ssl.certificate.location"},
      {{{"security.protocol", "SSL"}, {"ssl.certificate.pem", "x"}}, "ssl.keystore.certificate.chain) is set without ssl.key.location (or ssl.key.pem, ssl.keystore.key)"},
      {{{"security.protocol", "SSL"}, {"ssl.key.password", "x"}}, "without ssl.key"},
      {{{"security.protocol", "SASL_SSL"}}, "sasl.mechanism is required; GSSAPI"},
      {{{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "PLAIN"}, {"sasl.username", "u"}}, "sasl.username and sasl.password are required"},
      {{{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "PLAIN"}, {"sasl.jaas.config", jaas}}, ""},
      {{{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "SCRAM-SHA-256"}, {"sasl.jaas.config", jaas}}, "needs a ScramLoginModule"},
      {{{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanism", "PLAIN"}, {"sasl.jaas.config", jaas}}, "sasl.allow.cleartext"},
      {{{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanism", "PLAIN"}, {"sasl.jaas.config", jaas}, {"sasl.allow.cleartext", "true"}}, ""},
      {{{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanisms", "SCRAM-SHA-512"}, {"sasl.username", "u"}, {"sasl.password", "hunter2"}}, ""},
      {{{"sasl.mechanism", "PLAIN"}, {"sasl.jaas.config", jaas}}, "none would be sent"},
      {{{"security.protocol", "SSL"}, {"sasl.mechanism", "PLAIN"}, {"sasl.jaas.config", jaas}}, "none would be sent"},
      {{{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "OAUTHBEARER"}}, "sasl_oauth_token is required"},
      {{{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "OAUTHBEARER"}, {"sasl.username", "u"}}, "sasl_oauth_token is required"},
  };
  for (const row& test : rows) {
    config c("a:1");
    std::string text;
    for (const auto& [name, value] : test.set) {
      c.set(name, value);
      text += name + '=' + value + ' ';
    }
    CAPTURE(text);
    const std::string words = refusal([&] { c.check(); });
    if (test.words.empty()) CHECK(words == "");
    CHECK(contains(words, test.words));
    CHECK(!contains(words, "hunter2"));
  }
  config token("a:1");
  token.security_protocol(kawait::security_protocol::sasl_ssl).sasl_mechanism(kawait::sasl_mechanism::oauthbearer);
  token.sasl_oauth_token([]() -> asio::awaitable<kawait::oauth_token> { co_return kawait::oauth_token(secret("t")); });
  CHECK(refusal([&] { token.check(); }) == "");
  CHECK(contains(refusal([&] { config(token).sasl_username("u").check(); }), "takes no sasl.username"));
  CHECK(contains(refusal([&] { config(token).sasl_allow_cleartext(false).security_protocol(kawait::security_protocol::sasl_plaintext).check(); }), "token"));
  CHECK(contains(refusal([&] { config(token).sasl_mechanism(kawait::sasl_mechanism::plain).check(); }), "is not OAUTHBEARER"));
}

TEST_CASE("config: OIDC by properties alone, in librdkafka's names and in Java's") {
  using settings = std::map<std::string, std::string>;
  const settings basic = {{"security.protocol", "SASL_SSL"},
                          {"sasl.mechanism", "OAUTHBEARER"},
                          {"sasl.oauthbearer.method", "oidc"},
                          {"sasl.oauthbearer.token.endpoint.url", "https://idp/token"},
                          {"sasl.oauthbearer.client.id", "billing"},
                          {"sasl.oauthbearer.client.secret", "hunter2"}};
  const auto words_with = [&](const settings& more, const std::string& without = {}) {
    settings all = more;
    all.insert(basic.begin(), basic.end());
    if (!without.empty()) all.erase(without);
    config c("b:1");
    c.set(all);
    const std::string words = refusal([&] { c.check(); });
    CHECK(!contains(words, "hunter"));
    return words;
  };
  CHECK(words_with({}) == "");
  CHECK(words_with({}, "sasl.oauthbearer.method") == "");
  CHECK(words_with({{"https.ca.location", "ca.pem"}, {"sasl.oauthbearer.extensions", "logicalCluster=lkc-1"}}) == "");
  CHECK(contains(words_with({}, "sasl.oauthbearer.token.endpoint.url"), "token.endpoint.url is required"));
  CHECK(contains(words_with({}, "sasl.oauthbearer.client.id"), "client.id and sasl.oauthbearer.client.secret are required"));
  CHECK(contains(words_with({}, "sasl.oauthbearer.client.secret"), "client.id and sasl.oauthbearer.client.secret are required"));
  CHECK(words_with({{"sasl.oauthbearer.client.credentials.client.secret", "hunter3"}}, "sasl.oauthbearer.client.secret") == "");
  CHECK(contains(words_with({{"sasl.oauthbearer.client.id", "a:b"}}), "urlencode"));
  CHECK(words_with({{"sasl.oauthbearer.client.id", "a:b"}, {"sasl.oauthbearer.header.urlencode", "true"}}) == "");
  CHECK(contains(words_with({{"https.ca.location", "x"}, {"https.ca.pem", "y"}}), "exclude each other"));
  CHECK(contains(words_with({{"sasl.mechanism", "PLAIN"}}), "sasl.mechanism is not OAUTHBEARER"));
  CHECK(contains(words_with({{"security.protocol", "SSL"}}), "none would be sent"));
  CHECK(words_with({{"sasl.oauthbearer.token.endpoint.url", "http://localhost:8080/token"}}) == "");
  CHECK(contains(words_with({{"sasl.oauthbearer.token.endpoint.url", "http://idp/token"}}), "is of http"));
  CHECK(words_with({{"sasl.oauthbearer.token.endpoint.url", "http://idp/token"}, {"sasl.allow.cleartext", "true"}}) == "");
}

TEST_CASE("config: names of TLS and SASL that are no settings say what is") {
  for (const auto& [name, meaning] : std::vector<std::pair<std::string, std::string>>{
           {"ssl.keystore.password", "ssl.key.password"},
           {"ssl.enabled.protocols", "TLS 1.3"},
           {"enable.ssl.certificate.verification", "always verified"},
           {"sasl.kerberos.service.name", "not supported"},
           {"sasl.login.callback.handler.class", "sasl.oauthbearer.token.endpoint.url"}}) {
    CAPTURE(name);
    const std::string words = refusal([&, &n = name] { config().set(n, "hunter2"); });
    CHECK(contains(words, meaning));
  }
}

}  // namespace config_security_tests
