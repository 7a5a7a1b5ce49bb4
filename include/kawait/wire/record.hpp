#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include <kawait/core/error.hpp>
#include <kawait/core/mutation.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/wire/record_batch.hpp>
#include <kawait/wire/varint.hpp>

namespace kawait::wire {

/// Bytes that may be null, which Kafka tells apart from empty: a std::optional<std::string_view> of half the size. Borrowed:
/// valid as long as the batch that they come from.
class nullable_view {
 public:
  constexpr nullable_view() noexcept = default;
  constexpr nullable_view(const std::byte* data, std::int32_t size) noexcept : data_(data), size_(size) {}

  constexpr bool has_value() const noexcept { return size_ >= 0; }
  constexpr explicit operator bool() const noexcept { return has_value(); }
  constexpr bool is_null() const noexcept { return size_ < 0; }

  /// The bytes as text; empty where they are null.
  std::string_view operator*() const noexcept { return {reinterpret_cast<const char*>(data_), size()}; }
  std::string_view value_or(std::string_view otherwise) const noexcept { return has_value() ? **this : otherwise; }
  /// The bytes; empty where they are null.
  constexpr std::span<const std::byte> bytes() const noexcept { return {data_, size()}; }
  /// In bytes; 0 where they are null.
  constexpr std::size_t size() const noexcept { return size_ < 0 ? 0 : static_cast<std::size_t>(size_); }
  constexpr const std::byte* data() const noexcept { return data_; }

  operator std::optional<std::string_view>() const noexcept {
    return has_value() ? std::optional<std::string_view>(**this) : std::nullopt;
  }
  friend bool operator==(const nullable_view& a, const nullable_view& b) noexcept {
    return a.has_value() == b.has_value() && *a == *b;
  }
  friend bool operator==(const nullable_view& a, std::string_view b) noexcept { return a.has_value() && *a == b; }

 private:
  const std::byte* data_ = nullptr;
  std::int32_t size_ = -1;
};

/// One header of a record (KIP-82). Keys need not be unique.
struct header {
  std::string_view key;
  nullable_view value;
};

/// A record's headers in the producer's order, decoded while iterating.
class header_range {
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using iterator_concept = std::forward_iterator_tag;
    using value_type = header;
    using difference_type = std::ptrdiff_t;
    using reference = const header&;
    using pointer = const header*;

    iterator() = default;
    reference operator*() const noexcept { return header_; }
    pointer operator->() const noexcept { return &header_; }
    iterator& operator++() noexcept {
      if (--left_ != 0) load();
      return *this;
    }
    iterator operator++(int) noexcept {
      iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const iterator& a, const iterator& b) noexcept { return a.left_ == b.left_; }

   private:
    friend class header_range;
    iterator(const std::byte* at, const std::byte* end, std::uint32_t left) noexcept : at_(at), end_(end), left_(left) {
      if (left_ != 0) load();
    }
    KAWAIT_DECL void load() noexcept;

    const std::byte* at_ = nullptr;
    const std::byte* end_ = nullptr;
    std::uint32_t left_ = 0;
    header header_;
  };
  using const_iterator = iterator;

  header_range() = default;
  /// `bytes` hold exactly `count` headers (record_reader has checked it).
  header_range(std::span<const std::byte> bytes, std::uint32_t count) noexcept : bytes_(bytes), count_(count) {}

  iterator begin() const noexcept { return iterator(bytes_.data(), bytes_.data() + bytes_.size(), count_); }
  iterator end() const noexcept { return iterator(nullptr, nullptr, 0); }
  std::size_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }
  /// The last header of that key, as Java's lastHeader. Looks at all of them.
  KAWAIT_DECL std::optional<header> last(std::string_view key) const noexcept;

 private:
  std::span<const std::byte> bytes_;
  std::uint32_t count_ = 0;
};

/// A view of one record inside its batch: cheap to copy, and valid as long as the batch is held.
class record {
 public:
  using time_point = std::chrono::sys_time<std::chrono::milliseconds>;

  /// Its place in the partition. The position to commit once it is done is offset() + 1.
  std::int64_t offset() const noexcept { return offset_; }
  /// As timestamp_type() says, the producer's or the broker's. Without one (-1) it is a millisecond before the epoch.
  time_point timestamp() const noexcept { return time_point(std::chrono::milliseconds(timestamp_)); }
  /// Milliseconds since the epoch; -1: none.
  std::int64_t timestamp_ms() const noexcept { return timestamp_; }
  wire::timestamp_type timestamp_type() const noexcept { return timestamp_type_; }

  /// Null differs from empty: test with has_value() or `if`, read with * (text) or bytes().
  nullable_view key() const noexcept { return {key_, key_size_}; }
  /// A null value is a tombstone in a compacted topic.
  nullable_view value() const noexcept {
    if (KAWAIT_MUTANT(cuts_values) && value_size_ > 0) return {value_, value_size_ - 1};
    return {value_, value_size_};
  }
  header_range headers() const noexcept { return {{headers_, headers_size_}, header_count_}; }

  /// Its number within its record batch, from 0: dense where compaction left holes in the offsets.
  std::uint32_t ordinal() const noexcept { return ordinal_; }

 private:
  friend class record_reader;

  std::int64_t offset_ = -1;
  std::int64_t timestamp_ = -1;
  const std::byte* key_ = nullptr;
  const std::byte* value_ = nullptr;
  const std::byte* headers_ = nullptr;
  std::int32_t key_size_ = -1;
  std::int32_t value_size_ = -1;
  std::uint32_t headers_size_ = 0;
  std::uint32_t header_count_ = 0;
  std::uint32_t ordinal_ = 0;
  wire::timestamp_type timestamp_type_ = timestamp_type::create_time;
};

/// Walks the records of one batch. Every record is checked as it is reached; headers are checked to lie inside it, and left
/// encoded.
class record_reader {
 public:
  record_reader() = default;
  /// `records` are the bytes behind the header's count, uncompressed; they must outlive the records read. Records below
  /// `from_offset` are skipped: a broker may begin a response with a batch that starts below the offset asked for.
  record_reader(const batch_header& header, std::span<const std::byte> records,
                std::int64_t from_offset = std::numeric_limits<std::int64_t>::min()) noexcept;

  /// The next record. False at the end and on an error; see error().
  bool next(record& out) noexcept;

  /// After next() returned false: errc::corrupt_batch unless the bytes held exactly the header's count of records, with offsets
  /// that ascend within the batch's range. The words name the record.
  failure error() const { return flaw_ == flaw::none ? failure() : describe(flaw_, read_, count_, base_offset_); }

 private:
  enum class flaw : std::uint8_t { none, count, length, truncated, offset, key_size, value_size, headers, excess, left_over };
  static constexpr std::ptrdiff_t slack = 32;

  template <class Unsigned>
  struct raw_varint {
    const std::byte* end;
    Unsigned value;
  };
  template <class Unsigned>
  static raw_varint<Unsigned> decode_short(const std::byte* p, const std::byte* end) noexcept;
  template <class Unsigned>
  static raw_varint<Unsigned> decode_long(const std::byte* p, const std::byte* end) noexcept;
  static const std::byte* take_bytes(raw_varint<std::uint32_t> size, const std::byte* record_end, const std::byte*& data,
                                     std::int32_t& data_size) noexcept;
  void accept(record& out, const std::byte* record_end, std::int32_t offset_delta, std::int64_t timestamp_delta) noexcept;
  bool fail(flaw what) noexcept {
    flaw_ = what;
    stop_ = read_;
    return false;
  }
  bool finish() noexcept {
    if (flaw_ == flaw::none && at_ != end_) flaw_ = flaw::left_over;
    return false;
  }
  bool next_near_end(record& out) noexcept;
  // What is out of line works on copies (or is static): a reader whose address never escapes is kept in registers.
  KAWAIT_DECL bool next_carefully(record& out) noexcept;
  KAWAIT_DECL void skip_below(std::int64_t from_offset) noexcept;
  KAWAIT_DECL static flaw check_headers(const std::byte* p, const std::byte* end, std::int32_t count) noexcept;
  KAWAIT_DECL static failure describe(flaw what, std::int32_t read, std::int32_t count, std::int64_t base_offset);

  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  std::int64_t base_offset_ = 0;
  std::int64_t base_timestamp_ = 0;
  std::int64_t delta_mask_ = 0;  // none of its bits if the broker's append time replaces the records' own
  std::int32_t last_delta_ = 0;
  std::int32_t previous_delta_ = -1;
  std::int32_t read_ = 0;
  std::int32_t stop_ = 0;  // the count, or read_ once there is a flaw
  std::int32_t count_ = 0;
  wire::timestamp_type timestamp_type_ = timestamp_type::create_time;
  flaw flaw_ = flaw::none;
};

/// Reads what a control batch says: the key of its first record. `records` are its records, uncompressed. A batch that compaction
/// has emptied, or of a kind yet unknown, is control_type::other.
KAWAIT_DECL failure parse_control(const batch_header& header, std::span<const std::byte> records, control_type& out);

/// Out of line, so that the rare case does not crowd the common one.
template <class Unsigned>
[[gnu::noinline]] record_reader::raw_varint<Unsigned> record_reader::decode_long(const std::byte* p,
                                                                                 const std::byte* end) noexcept {
  Unsigned value = 0;
  p = decode_unsigned(p, end, value);
  return {p, value};
}

/// One and two bytes by predictable branches: nearly all varints of a record are that short, and neighbours are alike. The caller
/// has checked that two bytes are there. By value, so that nothing has to live in memory for the rare call's sake.
template <class Unsigned>
[[gnu::always_inline]] inline record_reader::raw_varint<Unsigned> record_reader::decode_short(const std::byte* p,
                                                                                              const std::byte* end) noexcept {
  const auto first = std::to_integer<std::uint32_t>(p[0]);
  if (first < 0x80) [[likely]] return {p + 1, first};
  const auto second = std::to_integer<std::uint32_t>(p[1]);
  if (second < 0x80) [[likely]] return {p + 2, (first & 0x7f) | (second << 7)};
  return decode_long<Unsigned>(p, end);
}

inline record_reader::record_reader(const batch_header& header, std::span<const std::byte> records,
                                    std::int64_t from_offset) noexcept
    : at_(records.data()),
      end_(records.data() + records.size()),
      base_offset_(header.base_offset),
      last_delta_(header.last_offset_delta),
      stop_(header.record_count),
      count_(header.record_count),
      timestamp_type_(header.timestamp_type()) {
  const bool own_timestamps = timestamp_type_ == timestamp_type::create_time;
  base_timestamp_ = own_timestamps ? header.base_timestamp : header.max_timestamp;
  delta_mask_ = own_timestamps ? -1 : 0;
  const bool sane_offsets = base_offset_ >= 0 && base_offset_ <= std::numeric_limits<std::int64_t>::max() - (1LL << 31);
  if (!sane_offsets) {
    fail(flaw::offset);
  } else if (count_ < 0 || count_ > (end_ - at_) / smallest_record_size) {
    fail(flaw::count);
  } else if (from_offset > base_offset_) {
    record_reader copy = *this;
    copy.skip_below(from_offset);
    *this = copy;
  }
}

inline bool record_reader::next_near_end(record& out) noexcept {
  record_reader copy = *this;
  record found;
  const bool there = copy.next_carefully(found);
  *this = copy;
  if (there) out = found;
  return there;
}

// Half of a consumer's work on small records, hence no checks but those that decide something. With `slack` bytes of buffer
// behind the record all its numbers (at most 1 + 10 + 4 * 5 bytes beside key and value) can be read before anyone asks whether
// they were the record's own; that the last ends at the record's end, neither before nor behind it, settles it for all of them.
// Sizes and offsets stay in zigzag form: the lowest bit is the sign, and of all negative numbers only -1, for null, is valid.
[[gnu::always_inline]] inline bool record_reader::next(record& out) noexcept {
  if (read_ == stop_) [[unlikely]] return finish();
  if (end_ - at_ < slack) [[unlikely]] return next_near_end(out);
  const auto length = decode_short<std::uint32_t>(at_, end_);
  if (!length.end || (length.value & 1) != 0 || length.value == 0) [[unlikely]] return fail(flaw::length);
  if (length.value >> 1 > end_ - length.end - slack) [[unlikely]] return next_near_end(out);
  const std::byte* const record_end = length.end + (length.value >> 1);
  const auto timestamp = decode_short<std::uint64_t>(length.end + 1, end_);  // behind the attributes, which have no meaning yet
  if (!timestamp.end) [[unlikely]] return fail(flaw::truncated);
  const auto offset = decode_short<std::uint32_t>(timestamp.end, end_);
  if (!offset.end) [[unlikely]] return fail(flaw::truncated);
  const auto offset_delta = static_cast<std::int32_t>(offset.value >> 1);
  if ((offset.value & 1) != 0 || offset_delta <= previous_delta_ || offset_delta > last_delta_) [[unlikely]] {
    return fail(flaw::offset);
  }
  const auto key = decode_short<std::uint32_t>(offset.end, end_);
  const std::byte* p = take_bytes(key, record_end, out.key_, out.key_size_);
  if (!p) [[unlikely]] return fail(flaw::key_size);
  const auto value = decode_short<std::uint32_t>(p, end_);
  p = take_bytes(value, record_end, out.value_, out.value_size_);
  if (!p) [[unlikely]] return fail(flaw::value_size);
  const auto headers = decode_short<std::uint32_t>(p, end_);
  if (headers.end != record_end || headers.value != 0) [[unlikely]] {
    if (const flaw what = check_headers(headers.end, record_end, unzigzag(headers.value)); what != flaw::none) return fail(what);
  }
  out.headers_ = headers.end;
  out.headers_size_ = static_cast<std::uint32_t>(record_end - headers.end);
  out.header_count_ = headers.value >> 1;
  accept(out, record_end, offset_delta, unzigzag(timestamp.value));
  return true;
}

/// Null if the bytes do not end inside the record.
[[gnu::always_inline]] inline const std::byte* record_reader::take_bytes(raw_varint<std::uint32_t> size,
                                                                         const std::byte* record_end, const std::byte*& data,
                                                                         std::int32_t& data_size) noexcept {
  data = size.end;
  if ((size.value & 1) != 0) [[unlikely]] {
    data_size = -1;
    return size.value == 1 ? size.end : nullptr;
  }
  data_size = static_cast<std::int32_t>(size.value >> 1);
  if (!size.end || data_size > record_end - size.end) [[unlikely]] return nullptr;
  return size.end + data_size;
}

inline void record_reader::accept(record& out, const std::byte* record_end, std::int32_t offset_delta,
                                  std::int64_t timestamp_delta) noexcept {
  out.offset_ = base_offset_ + offset_delta;
  // Unsigned, since a hostile delta may overflow.
  out.timestamp_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(base_timestamp_) +
                                             static_cast<std::uint64_t>(timestamp_delta & delta_mask_));
  out.timestamp_type_ = timestamp_type_;
  out.ordinal_ = static_cast<std::uint32_t>(read_);
  previous_delta_ = offset_delta;
  ++read_;
  at_ = record_end;
}

}  // namespace kawait::wire

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/wire/impl/record.ipp>
#endif
