// CRC32C of buffers as long as record batches are, in every variant. One line of JSON for each; the checksum proves the work.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <kawait/wire/crc32c.hpp>

#include "best.hpp"

int main() {
  for (const std::size_t size : {200u, 1u << 10, 16u << 10, 64u << 10, 1u << 20}) {
    std::vector<std::byte> data(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>(i * 131 + (i >> 8));
    for (const kawait::wire::crc32c_variant& v : kawait::wire::crc32c_variants()) {
      if (!v.supported) continue;
      const std::size_t rounds = (std::size_t{256} << 20) / size / 4;
      std::uint32_t crc = 0;
      const double seconds = bench::best_seconds(7, [&] {
        for (std::size_t i = 0; i < rounds; ++i) crc = v.compute(data.data(), data.size(), crc);
      });
      std::printf("{\"bench\":\"crc32c\",\"variant\":\"%s\",\"bytes\":%zu,\"gb_per_s\":%.2f,\"ns_per_call\":%.1f,\"check\":%u}\n",
                  v.name, size, static_cast<double>(size * rounds) / seconds / 1e9, seconds / static_cast<double>(rounds) * 1e9,
                  crc);
    }
  }
}
