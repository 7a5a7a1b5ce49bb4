// What one codec, FUZZ_CODEC, makes of any bytes: all of it within the limit, or an error.

#include <kawait/wire/compression.hpp>

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kawait::wire;
  constexpr std::size_t limit = 256 << 10;
  static decompressor codecs;
  static heap_slabs heap;
  fuzz::check(is_supported(codec::FUZZ_CODEC), "the build has the codec");
  slab_ref out;
  std::size_t got = 0;
  const kawait::failure why = codecs.decompress(codec::FUZZ_CODEC, fuzz::bytes(data, size), limit, heap, out, got);
  if (why) {
    fuzz::check(!out, "what failed leaves nothing");
    return 0;
  }
  fuzz::check(got <= limit, "the limit holds");
  fuzz::check(got == 0 || (out && out->capacity() >= got), "what came out is there");
  std::byte last{};
  for (std::size_t i = 0; i < got; ++i) last ^= out->data()[i];  // and was written
  volatile std::byte touched = last;
  (void)touched;
  return 0;
}
