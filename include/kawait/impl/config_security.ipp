#pragma once

#include <kawait/config.hpp>

#include <kawait/detail/jaas.hpp>

namespace kawait {

namespace detail {

inline std::string_view checked_view(std::string_view name, std::string_view text) {
  check_text(name, text);
  return text;
}

inline secret checked_secret(std::string_view name, secret s) {
  check_text(name, s.reveal());
  return s;
}

/// A name or password that PLAIN can say: it has null characters between them.
inline void check_no_null(std::string_view name, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) refuse_setting(name, text, "holds a null character");
}

inline security_protocol parse_security_protocol(std::string_view name, std::string_view value) {
  value = checked_choice(name, value, {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"});
  if (value == "SSL") return security_protocol::ssl;
  if (value == "SASL_SSL") return security_protocol::sasl_ssl;
  return value == "SASL_PLAINTEXT" ? security_protocol::sasl_plaintext : security_protocol::plaintext;
}

/// Names that RFCs register and brokers are told: as in Java and librdkafka they are written as they are there.
inline sasl_mechanism parse_mechanism(std::string_view name, std::string_view value) {
  if (value == "GSSAPI") refuse_setting(name, value, "Kerberos is not supported");
  if (checked_choice(name, value, {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}) != value) {
    refuse_setting(name, value, "is written in capitals");
  }
  if (value == "PLAIN") return sasl_mechanism::plain;
  if (value == "OAUTHBEARER") return sasl_mechanism::oauthbearer;
  return value == "SCRAM-SHA-256" ? sasl_mechanism::scram_sha_256 : sasl_mechanism::scram_sha_512;
}

inline void check_store_type(std::string_view name, std::string_view value) {
  if (value == "PEM") return;
  refuse_setting(name, value, "only PEM is read; keytool and openssl convert JKS and PKCS12");
}

inline constexpr std::string_view names_of_key = "ssl.key.location (or ssl.key.pem, ssl.keystore.key)";

[[noreturn]] inline void refuse_together(const std::string& words) { throw error(errc::invalid_config, words); }

inline void check_either(const net::pem_source& s, std::string_view what) {
  if (s.location.empty() || s.text.empty()) return;
  const std::string name = "ssl." + std::string(what);
  refuse_together(name + ".location and " + name + ".pem exclude each other");
}

/// The name of something of TLS that was set; empty: nothing was.
inline std::string_view first_of_tls(const net::tls_options& tls) {
  if (!tls.ca.empty()) return "ssl.ca.location (or ssl.ca.pem)";
  if (!tls.certificate.empty()) return "ssl.certificate.location (or ssl.certificate.pem)";
  if (!tls.key.empty()) return "ssl.key.location (or ssl.key.pem)";
  if (!tls.key_password.empty()) return "ssl.key.password";
  if (!tls.cipher_suites.empty()) return "ssl.cipher.suites";
  return {};
}

}  // namespace detail

KAWAIT_DECL void config::add_tls_setters(std::vector<setter>& all) {
  using sv = std::string_view;
  const std::initializer_list<setter> list = {
      {"security.protocol", [](config& c, sv n, sv v) { c.security_protocol(detail::parse_security_protocol(n, v)); }},
      {"ssl.ca.location", [](config& c, sv, sv v) { c.ssl_ca_location(v); }},
      {"ssl.ca.pem", [](config& c, sv, sv v) { c.ssl_ca_pem(v); }},
      {"ssl.truststore.location", [](config& c, sv n, sv v) { c.ssl_ca_location(detail::checked_view(n, v)); }},
      {"ssl.truststore.certificates", [](config& c, sv n, sv v) { c.ssl_ca_pem(detail::checked_view(n, v)); }},
      {"ssl.truststore.type", [](config&, sv n, sv v) { detail::check_store_type(n, v); }},
      {"ssl.certificate.location", [](config& c, sv, sv v) { c.ssl_certificate_location(v); }},
      {"ssl.certificate.pem", [](config& c, sv, sv v) { c.ssl_certificate_pem(v); }},
      {"ssl.keystore.certificate.chain", [](config& c, sv n, sv v) { c.ssl_certificate_pem(detail::checked_view(n, v)); }},
      {"ssl.key.location", [](config& c, sv, sv v) { c.ssl_key_location(v); }},
      {"ssl.key.pem", [](config& c, sv, sv v) { c.ssl_key_pem(secret(v)); }},
      {"ssl.keystore.key", [](config& c, sv n, sv v) { c.ssl_key_pem(secret(detail::checked_view(n, v))); }},
      {"ssl.key.password", [](config& c, sv, sv v) { c.ssl_key_password(secret(v)); }},
      {"ssl.keystore.location",
       [](config& c, sv n, sv v) { c.ssl_certificate_location(detail::checked_view(n, v)).ssl_key_location(v); }},
      {"ssl.keystore.type", [](config&, sv n, sv v) { detail::check_store_type(n, v); }},
      {"ssl.cipher.suites", [](config& c, sv, sv v) { c.ssl_cipher_suites(v); }},
      {"ssl.endpoint.identification.algorithm",
       [](config& c, sv n, sv v) { c.ssl_endpoint_identification(detail::checked_choice(n, v, {"https", "none"}) == "https"); }},
  };
  all.insert(all.end(), list);
}

KAWAIT_DECL void config::add_sasl_setters(std::vector<setter>& all) {
  using sv = std::string_view;
  const std::initializer_list<setter> list = {
      {"sasl.mechanism", [](config& c, sv n, sv v) { c.sasl_mechanism(detail::parse_mechanism(n, v)); }},
      {"sasl.mechanisms", [](config& c, sv n, sv v) { c.sasl_mechanism(detail::parse_mechanism(n, v)); }},
      {"sasl.username", [](config& c, sv, sv v) { c.sasl_username(v); }},
      {"sasl.password", [](config& c, sv, sv v) { c.sasl_password(secret(v)); }},
      {"sasl.jaas.config", [](config& c, sv n, sv v) { c.take_jaas(n, v); }},
      {"sasl.allow.cleartext", [](config& c, sv n, sv v) { c.sasl_allow_cleartext(detail::parse_bool(n, v)); }},
      {"sasl.login.attempts",
       [](config& c, sv n, sv v) { c.sasl_login_attempts(static_cast<std::uint32_t>(detail::parse_int32(n, v))); }},
  };
  all.insert(all.end(), list);
}

KAWAIT_DECL config& config::ssl_ca_location(std::string_view path) {
  values_.security.tls.ca.location = detail::checked_text("ssl.ca.location", path);
  return *this;
}

KAWAIT_DECL config& config::ssl_ca_pem(std::string_view pem) {
  values_.security.tls.ca.text = secret(detail::checked_text("ssl.ca.pem", pem));
  return *this;
}

KAWAIT_DECL config& config::ssl_certificate_location(std::string_view path) {
  values_.security.tls.certificate.location = detail::checked_text("ssl.certificate.location", path);
  return *this;
}

KAWAIT_DECL config& config::ssl_certificate_pem(std::string_view pem) {
  values_.security.tls.certificate.text = secret(detail::checked_text("ssl.certificate.pem", pem));
  return *this;
}

KAWAIT_DECL config& config::ssl_key_location(std::string_view path) {
  values_.security.tls.key.location = detail::checked_text("ssl.key.location", path);
  return *this;
}

KAWAIT_DECL config& config::ssl_key_pem(secret pem) {
  values_.security.tls.key.text = detail::checked_secret("ssl.key.pem", std::move(pem));
  return *this;
}

KAWAIT_DECL config& config::ssl_key_password(secret password) {
  values_.security.tls.key_password = detail::checked_secret("ssl.key.password", std::move(password));
  return *this;
}

KAWAIT_DECL config& config::ssl_cipher_suites(std::string_view names) {
  values_.security.tls.cipher_suites = detail::checked_text("ssl.cipher.suites", names);
  return *this;
}

KAWAIT_DECL config& config::sasl_username(std::string_view name) {
  detail::check_no_null("sasl.username", name);
  values_.security.sasl.username = detail::checked_text("sasl.username", name);
  return *this;
}

KAWAIT_DECL config& config::sasl_password(secret password) {
  detail::check_no_null("sasl.password", password.reveal());
  values_.security.sasl.password = detail::checked_secret("sasl.password", std::move(password));
  return *this;
}

KAWAIT_DECL config& config::sasl_login_attempts(std::uint32_t attempts) {
  values_.security.sasl.login_attempts = detail::checked("sasl.login.attempts", attempts);
  return *this;
}

// The class that it names belongs to a mechanism; check() compares it with sasl.mechanism, which may be set later.
KAWAIT_DECL void config::take_jaas(std::string_view name, std::string_view text) {
  detail::check_text(name, text);
  auto parsed = detail::jaas_entry::parse(text);
  if (!parsed) {
    detail::refuse_setting(name, text, "is not of the form: some.LoginModule required username=\"...\" password=\"...\";");
  }
  const std::string_view module = std::string_view(parsed->module).substr(parsed->module.rfind('.') + 1);
  if (module == "OAuthBearerLoginModule") {
    detail::refuse_setting(name, text, "tokens come from sasl.oauthbearer.token.endpoint.url or config::sasl_oauth_token");
  }
  if (module == "Krb5LoginModule") detail::refuse_setting(name, text, "Kerberos is not supported");
  if (module != "PlainLoginModule" && module != "ScramLoginModule") {
    detail::refuse_setting(name, text, "the login module must be Kafka's PlainLoginModule or ScramLoginModule");
  }
  auto& given = parsed->options;
  if (given.contains("tokenauth")) detail::refuse_setting(name, text, "delegation tokens are not supported");
  const auto user = given.find("username"), password = given.find("password");
  if (user == given.end() || password == given.end()) detail::refuse_setting(name, text, "must give username and password");
  config both = *this;
  both.sasl_username(user->second.reveal()).sasl_password(std::move(password->second));
  both.jaas_module_ = module;
  for (const auto& [option, value] : given) {
    if (option == "username" || option == "password") continue;
    both.warn(std::string(name) + ": the option " + option + " is ignored");
  }
  *this = std::move(both);
}

KAWAIT_DECL void config::check_tls() const {
  const net::tls_options& tls = values_.security.tls;
  if (!values_.security.has_tls()) {
    const std::string_view set = detail::first_of_tls(tls);
    if (set.empty()) return;
    detail::refuse_together(std::string(set) + " is set, and security.protocol is not SSL or SASL_SSL: nothing would be encrypted");
  }
  detail::check_either(tls.ca, "ca");
  detail::check_either(tls.certificate, "certificate");
  detail::check_either(tls.key, "key");
  if (tls.certificate.empty() != tls.key.empty()) {
    const std::string_view certificate = "ssl.certificate.location (or ssl.certificate.pem, ssl.keystore.certificate.chain)";
    const std::string_view key = detail::names_of_key;
    const auto without = [](std::string_view set, std::string_view missing) {
      return std::string(set) + " is set without " + std::string(missing);
    };
    detail::refuse_together(tls.key.empty() ? without(certificate, key) : without(key, certificate));
  }
  if (tls.key.empty() && !tls.key_password.empty()) {
    detail::refuse_together("ssl.key.password is set without " + std::string(detail::names_of_key));
  }
}

KAWAIT_DECL void config::check_sasl() const {
  const net::sasl_options& sasl = values_.security.sasl;
  const bool has_login = !sasl.username.empty() || !sasl.password.empty();
  const bool has_oidc = sasl.oidc.is_set();
  if (!values_.security.has_sasl()) {
    if (!sasl.mechanism && !has_login && !sasl.token && !has_oidc) return;
    detail::refuse_together("credentials are set (sasl.*), and security.protocol is not SASL_SSL or SASL_PLAINTEXT: none would be sent");
  }
  if (!sasl.mechanism) detail::refuse_together("sasl.mechanism is required; GSSAPI, Kafka's default, is not supported");
  const bool is_plain = *sasl.mechanism == kawait::sasl_mechanism::plain;
  const bool is_token = *sasl.mechanism == kawait::sasl_mechanism::oauthbearer;
  if (has_oidc) check_oidc();
  if (is_token && !sasl.token && !has_oidc) {
    detail::refuse_together("sasl.mechanism = 'OAUTHBEARER': sasl.oauthbearer.token.endpoint.url or config::sasl_oauth_token is required");
  }
  if (is_token && has_login) detail::refuse_together("sasl.mechanism = 'OAUTHBEARER' takes no sasl.username and sasl.password");
  if (!is_token && sasl.token) detail::refuse_together("a source of tokens is set, and sasl.mechanism is not OAUTHBEARER");
  if (!is_token && (sasl.username.empty() || sasl.password.empty())) {
    detail::refuse_together("sasl.username and sasl.password are required by sasl.mechanism");
  }
  const std::string_view expected = is_plain ? "PlainLoginModule" : "ScramLoginModule";
  if (!jaas_module_.empty() && jaas_module_ != expected) {
    detail::refuse_together("sasl.jaas.config has a " + jaas_module_ + ", and sasl.mechanism needs a " + std::string(expected));
  }
  if ((is_plain || is_token) && !values_.security.has_tls() && !sasl.allow_cleartext) {
    detail::refuse_together("security.protocol = 'SASL_PLAINTEXT' sends the " + std::string(is_plain ? "password" : "token") +
                            " for everybody on the way to read; use SASL_SSL, or set sasl.allow.cleartext to true");
  }
}

}  // namespace kawait
