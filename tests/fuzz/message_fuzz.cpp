// A response of one API, of any version: the first byte, then what follows the correlation id. FUZZ_HEADER and FUZZ_RESPONSE name it.

#include FUZZ_HEADER

#include <kawait/protocol/codec.hpp>

#include <vector>

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kawait::protocol;
  using response = FUZZ_RESPONSE;
  if (size == 0) return 0;
  const auto version = static_cast<std::int16_t>(data[0] % (response::max_version + 1));
  if (version < response::min_version) return 0;
  response first;
  if (decode_response(first, fuzz::bytes(data + 1, size - 1), version)) return 0;
  // What was understood can be said again, and means the same.
  std::vector<std::byte> said, again;
  if (encode_body(said, first, version)) return 0;  // null, perhaps, where only a later version has it
  response second;
  fuzz::check(!decode_body(second, said, version), "an encoded message decodes");
  fuzz::check(!encode_body(again, second, version), "a decoded message is encoded again");
  fuzz::check(said == again, "a message comes back as it was");
  return 0;
}
