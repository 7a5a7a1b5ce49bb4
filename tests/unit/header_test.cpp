#include <kawait/protocol/header.hpp>

#include <cstddef>
#include <initializer_list>
#include <span>
#include <vector>

#include "catch.hpp"
#include "protocol/all_messages.hpp"

namespace header_tests {

using namespace kawait::protocol;
using bytes = std::vector<std::byte>;

bytes of(std::initializer_list<unsigned> values) {
  bytes b;
  for (const unsigned v : values) b.push_back(static_cast<std::byte>(v));
  return b;
}

TEST_CASE("headers: tags of a response, none for ApiVersions, version 1 where not flexible", "[protocol][header]") {
  bytes out;
  find_coordinator_response found;
  REQUIRE_FALSE(encode_response(out, found, 4, 77));
  CHECK(out == of({0, 0, 0, 11, 0, 0, 0, 77, 0, 0, 0, 0, 0, 1, 0}));
  // A broker may put a tag into the header.
  const bytes tagged = of({1, 5, 2, 0xaa, 0xbb, 0, 0, 0, 0, 1, 0});
  CHECK_FALSE(decode_response(found, tagged, 4));

  out.clear();
  api_versions_response versions;
  REQUIRE_FALSE(encode_response(out, versions, 4, 77));
  CHECK(out == of({0, 0, 0, 12, 0, 0, 0, 77, 0, 0, 1, 0, 0, 0, 0, 0}));
  CHECK_FALSE(decode_response(versions, std::span<const std::byte>(out).subspan(8), 4));

  out.clear();
  REQUIRE_FALSE(encode_request(out, api_versions_request{}, 0, 3, "me"));
  CHECK(out == of({0, 0, 0, 12, 0, 18, 0, 0, 0, 0, 0, 3, 0, 2, 'm', 'e'}));
}

TEST_CASE("a request's header is read back, and every cut of it is malformed", "[protocol][header]") {
  bytes out;
  REQUIRE_FALSE(encode_request(out, offset_fetch_request{}, 9, -5, "client"));
  std::span<const std::byte> frame = std::span<const std::byte>(out).subspan(4);
  for (std::size_t n = 0; n < 10 + 6; ++n) {
    std::span<const std::byte> cut = frame.first(n);
    const auto header = read_request_header(cut);
    CHECK_FALSE(header);
  }
  const auto header = read_request_header(frame);
  REQUIRE(header);
  CHECK(header->api_key == 9);
  CHECK(header->api_version == 9);
  CHECK(header->correlation_id == -5);
  CHECK(header->client_id == "client");
  offset_fetch_request m;
  CHECK_FALSE(decode_request(m, frame, 9));
}

}  // namespace header_tests
