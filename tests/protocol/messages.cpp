// The C++ side of the byte comparison with Java's encoder.
//   messages generate SEED [COUNT]   prints COUNT frames of every message and version: "FetchRequest 17 <hex>"
//   messages verify                  decodes such lines from the standard input, encodes again, and compares
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/all_messages.hpp"
#include "protocol/fill.hpp"

namespace {

using kawait::failure;
using bytes = std::vector<std::byte>;

std::string to_hex(std::span<const std::byte> in) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const std::byte b : in) {
    out += digits[std::to_integer<unsigned>(b) >> 4];
    out += digits[std::to_integer<unsigned>(b) & 15u];
  }
  return out;
}

bytes from_hex(const std::string& text) {
  bytes out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return out;
}

template <class Message>
void generate(std::uint64_t seed, int count) {
  for (std::int16_t version = Message::min_version; version <= Message::max_version; ++version) {
    for (int i = 0; i < count; ++i) {
      kawait::test::filler fill(seed * 1'000'003 + static_cast<std::uint64_t>(i));
      const Message m = i == 0 ? Message{} : fill.make<Message>(version);
      const auto correlation = static_cast<std::int32_t>(fill.below(1u << 31));
      bytes frame;
      failure f;
      if constexpr (kawait::protocol::request<Message>) {
        f = kawait::protocol::encode_request(frame, m, version, correlation, i % 2 == 0 ? "" : "a client \xcf\x80");
      } else {
        f = kawait::protocol::encode_response(frame, m, version, correlation);
      }
      const std::string name = kawait::test::kafka_name<Message>();
      if (f) {
        std::cerr << name << " v" << version << ": not encoded: " << f.to_string() << "\n";
        std::exit(1);
      }
      std::cout << name << ' ' << version << ' ' << to_hex(frame) << '\n';
    }
  }
}

/// Decodes a frame and encodes what it held; a failure to do so is returned as words.
template <class Message>
std::string again(std::int16_t version, const bytes& in, bytes& out) {
  std::span<const std::byte> rest = std::span<const std::byte>(in).subspan(4);
  Message m;
  failure f;
  if constexpr (kawait::protocol::request<Message>) {
    const kawait::result<kawait::protocol::request_header> header = kawait::protocol::read_request_header(rest);
    if (!header) return header.error().to_string();
    if (header->api_key != Message::api_key || header->api_version != version) return "wrong API or version in the header";
    f = kawait::protocol::decode_request(m, rest, version);
    if (f) return f.to_string();
    f = kawait::protocol::encode_request(out, m, version, header->correlation_id, header->client_id.value_or(""));
  } else {
    kawait::wire::reader header(rest);
    const auto correlation = header.read<std::int32_t>();
    f = kawait::protocol::decode_response(m, rest.subspan(4), version);
    if (f) return f.to_string();
    f = kawait::protocol::encode_response(out, m, version, correlation);
  }
  return f ? f.to_string() : std::string();
}

struct declaration {
  std::int16_t min, max;
  std::function<std::string(std::int16_t, const bytes&, bytes&)> again;
};

/// By every declaration of the message (the client's and the embedded broker's) that has the version.
std::string check(const std::vector<declaration>& all, std::int16_t version, const bytes& in) {
  bool any = false;
  for (const declaration& d : all) {
    if (version < d.min || version > d.max) continue;
    any = true;
    bytes out;
    std::string problem = d.again(version, in, out);
    if (problem.empty() && in != out) problem = "encoded differently: " + to_hex(out);
    if (!problem.empty()) return problem;
  }
  return any ? "" : "unknown version";
}

int verify() {
  std::map<std::string, std::vector<declaration>> known;
  kawait::test::for_each_message([&]<class Message>() {
    known[kawait::test::kafka_name<Message>()].push_back({Message::min_version, Message::max_version, again<Message>});
  });
  int lines = 0;
  for (std::string line; std::getline(std::cin, line); ++lines) {
    std::istringstream words(line);
    std::string name, hex;
    std::int16_t version = 0;
    words >> name >> version >> hex;
    const bytes in = from_hex(hex);
    const auto at = known.find(name);
    std::string problem = "unknown message";
    if (at != known.end()) problem = in.size() < 8 ? "no frame" : check(at->second, version, in);
    if (!problem.empty()) {
      std::cerr << name << " v" << version << ": " << problem << "\n  from Java: " << hex << "\n";
      return 1;
    }
  }
  std::cout << lines << " messages of Java's decoded and encoded identically\n";
  return lines > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "verify") return verify();
  if (mode != "generate" || argc < 3) {
    std::cerr << "usage: messages generate SEED [COUNT] | messages verify\n";
    return 2;
  }
  const auto seed = static_cast<std::uint64_t>(std::atoll(argv[2]));
  const int count = argc > 3 ? std::atoi(argv[3]) : 20;
  kawait::test::for_each_message([&]<class Message>() { generate<Message>(seed, count); });
  return 0;
}
