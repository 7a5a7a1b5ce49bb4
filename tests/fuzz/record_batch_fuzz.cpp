// One partition's records, as a fetch response carries them: batches, headers, records, control batches, compressed or not.

#include <kawait/wire/compression.hpp>
#include <kawait/wire/record.hpp>
#include <kawait/wire/record_batch.hpp>

#include <optional>

#include "fuzz/fuzz.hpp"

namespace {

using namespace kawait::wire;

bool lies_in(nullable_view inner, std::span<const std::byte> outer) {
  if (!inner.has_value()) return true;
  const auto b = inner.bytes();
  return b.empty() || (b.data() >= outer.data() && b.data() + b.size() <= outer.data() + outer.size());
}

void read(const batch_header& header, std::span<const std::byte> records) {
  record_reader reader(header, records);
  record r;
  std::int64_t last = header.base_offset - 1;
  std::int32_t count = 0;
  while (reader.next(r)) {
    fuzz::check(r.offset() > last && r.offset() <= header.last_offset(), "offsets ascend within the batch");
    fuzz::check(lies_in(r.key(), records) && lies_in(r.value(), records), "key and value are views of the batch");
    for (const auto& h : r.headers()) fuzz::check(lies_in(h.value, records), "so are headers");
    last = r.offset();
    ++count;
  }
  fuzz::check(reader.error() || count == header.record_count, "all records, or an error");
  control_type type{};
  if (header.is_control()) (void)parse_control(header, records, type);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static decompressor codecs;
  static heap_slabs heap;
  const auto input = fuzz::bytes(data, size);
  records_summary summary;
  const kawait::failure bad = summarize(input, summary);
  batch_cursor cursor(input);
  batch_view batch;
  std::size_t batches = 0;
  std::optional<std::int64_t> next;
  while (cursor.next(batch)) {
    ++batches;
    fuzz::check(!next || batch.header.base_offset >= *next, "batches ascend");
    next = batch.header.next_offset();
    (void)check_crc(batch);  // hardly ever right; what follows must be safe without it
    if (batch.header.codec() == codec::none) {
      read(batch.header, batch.records());
      continue;
    }
    slab_ref out;
    std::size_t got = 0;
    if (!codecs.decompress(batch.header.codec(), batch.records(), 256 << 10, heap, out, got)) {
      read(batch.header, out ? std::span<const std::byte>(out->data(), got) : std::span<const std::byte>());
    }
  }
  fuzz::check(summary.batches == batches, "the summary counts what the cursor finds");
  fuzz::check(static_cast<bool>(bad) == static_cast<bool>(cursor.error()), "and they fail alike");
  fuzz::check(batches == 0 || summary.next_offset == *next, "the position is behind the last whole batch");
  return 0;
}
