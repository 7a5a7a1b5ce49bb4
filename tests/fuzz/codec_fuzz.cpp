// What one codec makes of any bytes: all of it within the limit, or an error. A codec each, all in one program.

#include <kawait/wire/compression.hpp>

#include "fuzz/fuzz.hpp"

namespace {

using namespace kawait::wire;

template <codec which>
int decompress(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t limit = 256 << 10;
  static decompressor all;
  static heap_slabs heap;
  fuzz::check(is_supported(which), "the build has the codec");
  slab_ref out;
  std::size_t got = 0;
  const kawait::failure why = all.decompress(which, fuzz::bytes(data, size), limit, heap, out, got);
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

constexpr fuzz::one_of codecs[] = {
    {"gzip", decompress<codec::gzip>},
    {"snappy", decompress<codec::snappy>},
    {"lz4", decompress<codec::lz4>},
    {"zstd", decompress<codec::zstd>},
};
const fuzz::one_of* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char*** argv) {
  chosen = &fuzz::called(codecs, (*argv)[0]);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { return chosen->run(data, size); }
