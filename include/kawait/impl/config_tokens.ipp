#pragma once

#include <kawait/config.hpp>

#include <algorithm>

#include <kawait/net/oidc.hpp>

namespace kawait {

namespace detail {

/// One with a user's password in it is refused, too, and not shown.
inline net::endpoint_url checked_endpoint(std::string_view url) {
  auto parsed = net::endpoint_url::parse(url);
  if (parsed) return *std::move(parsed);
  const std::string_view shown = url.find('@') == std::string_view::npos ? url : "***";
  refuse_setting("sasl.oauthbearer.token.endpoint.url", shown, parsed.error().words);
}

/// name=value,name=value, as SASL can say them (KIP-342).
inline std::map<std::string, std::string> parse_extensions(std::string_view name, std::string_view list) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  std::map<std::string, std::string> all;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string_view one = list.substr(begin, end - begin);
    const std::string_view key = one.substr(0, one.find('=')), value = one.substr(std::min(key.size() + 1, one.size()));
    begin = end + 1;
    const bool good = !key.empty() && !value.empty() && std::all_of(key.begin(), key.end(), is_letter) &&
                      std::all_of(value.begin(), value.end(), is_printable) && key != "auth";
    if (!good || !all.emplace(key, value).second) {
      refuse_setting(name, list, "must be name=value,name=value: different names of letters only, not auth; printable values");
    }
  }
  return all;
}

}  // namespace detail

KAWAIT_DECL void config::add_oidc_setters(std::vector<setter>& all) {
  using sv = std::string_view;
  const auto id = [](config& c, sv n, sv v) { c.values_.security.sasl.oidc.client_id = detail::checked_text(n, v); };
  const auto password = [](config& c, sv n, sv v) { c.values_.security.sasl.oidc.client_secret = detail::checked_secret(n, secret(v)); };
  const std::initializer_list<setter> list = {
      {"sasl.oauthbearer.method",
       [](config& c, sv n, sv v) { c.values_.security.sasl.oidc.required = detail::checked_choice(n, v, {"default", "oidc"}) == "oidc"; }},
      {"sasl.oauthbearer.token.endpoint.url",
       [](config& c, sv n, sv v) {
         detail::check_text(n, v);
         (void)detail::checked_endpoint(v);
         c.values_.security.sasl.oidc.endpoint = v;
       }},
      {"sasl.oauthbearer.client.id", id},
      {"sasl.oauthbearer.client.credentials.client.id", id},
      {"sasl.oauthbearer.client.secret", password},
      {"sasl.oauthbearer.client.credentials.client.secret", password},
      {"sasl.oauthbearer.scope", [](config& c, sv n, sv v) { c.values_.security.sasl.oidc.scope = detail::checked_text(n, v); }},
      {"sasl.oauthbearer.header.urlencode",
       [](config& c, sv n, sv v) { c.values_.security.sasl.oidc.encode_header = detail::parse_bool(n, v); }},
      {"sasl.oauthbearer.extensions",
       [](config& c, sv n, sv v) { c.values_.security.sasl.oidc.extensions = detail::parse_extensions(n, detail::checked_view(n, v)); }},
      {"https.ca.location", [](config& c, sv n, sv v) { c.values_.security.sasl.oidc.ca.location = detail::checked_text(n, v); }},
      {"https.ca.pem", [](config& c, sv n, sv v) { c.values_.security.sasl.oidc.ca.text = detail::checked_secret(n, secret(v)); }},
  };
  all.insert(all.end(), list);
}

// Called if anything of it is set.
KAWAIT_DECL void config::check_oidc() const {
  const net::sasl_options& sasl = values_.security.sasl;
  const net::oidc_options& oidc = sasl.oidc;
  if (sasl.mechanism != kawait::sasl_mechanism::oauthbearer) {
    detail::refuse_together("sasl.oauthbearer.* or https.ca.* is set, and sasl.mechanism is not OAUTHBEARER");
  }
  if (sasl.token) detail::refuse_together("config::sasl_oauth_token and sasl.oauthbearer.* exclude each other");
  if (oidc.endpoint.empty()) detail::refuse_together("sasl.oauthbearer.token.endpoint.url is required by what is set of sasl.oauthbearer.*");
  if (oidc.client_id.empty() || oidc.client_secret.empty()) {
    detail::refuse_together("sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret are required by the token endpoint");
  }
  if (!oidc.encode_header && oidc.client_id.find(':') != std::string::npos) {
    detail::refuse_together("sasl.oauthbearer.client.id holds a ':', which needs sasl.oauthbearer.header.urlencode");
  }
  if (!oidc.ca.location.empty() && !oidc.ca.text.empty()) detail::refuse_together("https.ca.location and https.ca.pem exclude each other");
  const net::endpoint_url url = detail::checked_endpoint(oidc.endpoint);
  if (!url.has_tls && !url.is_loopback() && !sasl.allow_cleartext) {
    detail::refuse_together("sasl.oauthbearer.token.endpoint.url is of http: the secret could be read by everybody on the way; use https, or "
                            "set sasl.allow.cleartext to true");
  }
}

}  // namespace kawait
