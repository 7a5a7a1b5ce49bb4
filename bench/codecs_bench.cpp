// Decompressing record batches of 16 and 64 KiB of JSON-like records into pooled slabs. One line of JSON for each codec.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include <kawait/wire/compression.hpp>
#include <kawait/wire/record.hpp>

#include "batch_builder.hpp"
#include "best.hpp"

namespace {

using namespace kawait;

/// Gives the same slab again, as the consumer's pool does once it is warm.
class reusing_slabs final : public wire::slab_source, public wire::slab_owner {
 public:
  ~reusing_slabs() {
    if (spare_) wire::slab::destroy(spare_);
  }
  wire::slab_ref acquire(std::size_t bytes) override {
    if (spare_ && spare_->capacity() >= bytes) return wire::slab_ref(std::exchange(spare_, nullptr));
    ++created;
    return wire::slab_ref(wire::slab::create(bytes, this));
  }
  void recycle(wire::slab* s) noexcept override {
    if (spare_ && spare_->capacity() > s->capacity()) std::swap(s, spare_);
    if (spare_) wire::slab::destroy(spare_);
    spare_ = s;
  }
  std::size_t created = 0;

 private:
  wire::slab* spare_ = nullptr;
};

tests::batch_builder batch(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  tests::batch_builder builder(0);
  while (builder.records().size() < bytes) {
    std::string key = "user-" + std::to_string(10'000'000'000 + random() % 1'000'000);
    std::string value = "{\"order\":" + std::to_string(random()) + ",\"customer\":\"" + key + "\",\"amount\":" +
                        std::to_string(random() % 100'000) + ",\"status\":\"" + (random() % 2 ? "paid" : "open") +
                        "\",\"note\":\"";
    while (value.size() < 98) value += static_cast<char>('a' + random() % 26);
    builder.add(key, value + "\"}");
  }
  return builder;
}

void measure(wire::codec how, tests::codec_flavour flavour, const char* flavour_name, std::size_t bytes) {
  std::vector<tests::byte_vector> inputs;
  std::size_t records = 0, plain = 0, packed = 0;
  for (unsigned i = 0; i < 16; ++i) {
    const tests::batch_builder b = batch(bytes, i);
    inputs.push_back(tests::compress(how, b.records(), flavour));
    records += static_cast<std::size_t>(b.header.record_count);
    plain += b.records().size();
    packed += inputs.back().size();
  }
  wire::decompressor d;
  reusing_slabs slabs;
  std::uint64_t check = 0;
  const double best = bench::best_seconds(15, [&] {
    for (const tests::byte_vector& in : inputs) {
      wire::slab_ref out;
      std::size_t size = 0;
      if (d.decompress(how, in, wire::default_decompression_limit, slabs, out, size)) std::abort();
      check += size + static_cast<unsigned char>(out->data()[size - 1]);
    }
  });
  std::printf("{\"bench\":\"codecs\",\"codec\":\"%s\",\"flavour\":\"%s\",\"batch_bytes\":%zu,\"ratio\":%.2f,\"gb_per_s\":%.2f,"
              "\"ns_per_record\":%.1f,\"slabs_created\":%zu,\"check\":%llu}\n",
              std::string(wire::name_of(how)).c_str(), flavour_name, bytes,
              static_cast<double>(plain) / static_cast<double>(packed),
              static_cast<double>(plain) / best / 1e9, best / static_cast<double>(records) * 1e9, slabs.created,
              static_cast<unsigned long long>(check));
}

}  // namespace

int main() {
  for (const std::size_t bytes : {std::size_t{16} << 10, std::size_t{64} << 10, std::size_t{512} << 10}) {
    for (const wire::codec how : {wire::codec::gzip, wire::codec::snappy, wire::codec::lz4, wire::codec::zstd}) {
      measure(how, tests::codec_flavour::usual, "usual", bytes);
      measure(how, tests::codec_flavour::simple, "simple", bytes);
    }
  }
}
