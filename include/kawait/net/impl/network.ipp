#pragma once

#include <charconv>

#include <kawait/net/network.hpp>

namespace kawait::net {
namespace detail {

inline std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

inline failure bad_address(std::string_view text, std::string_view why) {
  std::string words = "\"";
  words.append(text).append("\": ").append(why).append(" (host:port is expected)");
  return failure(errc::invalid_config, std::move(words));
}

inline std::string join(const std::string& host, std::uint16_t port) {
  const bool literal_v6 = host.find(':') != std::string::npos;
  std::string text = literal_v6 ? '[' + host + ']' : host;
  return text + ':' + std::to_string(port);
}

inline bool is_host_character(char c) {
  // Names may hold underscores (Docker's do) and, once punycoded or not, bytes above 127; a scope id (fe80::1%eth0) a per cent
  // sign.
  return c > ' ' && c != '/' && c != '@' && c != '[' && c != ']' && c != '"' && c != '\'' && c != 127;
}

}  // namespace detail

KAWAIT_DECL result<host_port> host_port::parse(std::string_view given) {
  const std::string_view text = detail::trim(given);
  if (text.find("://") != std::string_view::npos) return detail::bad_address(text, "no protocol belongs in front of the host");
  std::string_view host;
  std::string_view rest;
  if (!text.empty() && text.front() == '[') {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return detail::bad_address(text, "the closing ] is missing");
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return detail::bad_address(text, "only :port may follow the ]");
  } else {
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (rest.find(':', 1) != std::string_view::npos) return detail::bad_address(text, "an IPv6 address belongs in brackets");
  }
  if (host.empty()) return detail::bad_address(text, "the host is missing");
  for (const char c : host) {
    if (!detail::is_host_character(c)) return detail::bad_address(text, "the host holds a character that no host name has");
  }
  if (rest.size() < 2) return detail::bad_address(text, "the port is missing");
  rest.remove_prefix(1);
  std::uint16_t port = 0;
  const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), port);
  if (ec != std::errc() || end != rest.data() + rest.size() || port == 0) {
    return detail::bad_address(text, "the port is not a number from 1 to 65535");
  }
  return host_port(std::string(host), port);
}

KAWAIT_DECL std::string host_port::to_string() const { return detail::join(host, port); }

KAWAIT_DECL result<std::vector<host_port>> parse_bootstrap_servers(std::string_view text) {
  std::vector<host_port> list;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto comma = std::min(text.find(',', begin), text.size());
    const auto entry = detail::trim(text.substr(begin, comma - begin));
    begin = comma + 1;
    if (entry.empty()) continue;  // a trailing comma
    auto parsed = host_port::parse(entry);
    if (!parsed) return std::move(parsed).error();
    list.push_back(*std::move(parsed));
  }
  if (list.empty()) return failure(errc::invalid_config, "no host:port is given");
  return list;
}

KAWAIT_DECL std::string address::to_string() const {
  std::string text = detail::join(host, port);
  if (ip != host) text += " (" + ip + ')';
  return text;
}

}  // namespace kawait::net
