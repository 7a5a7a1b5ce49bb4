#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <kawait/wire/compression.hpp>

namespace kawait::testing {

/// What is wrong with fetched records. The log itself stays as it is: fetched again, they are right.
enum class record_fault : std::uint8_t {
  bad_crc,          ///< Of the first batch.
  unknown_magic,    ///< The first batch is of magic 3.
  unknown_codec,    ///< The first batch is compressed by codec 7; its CRC is right, as in all that follow.
  negative_length,  ///< The first batch's length.
  huge_length,      ///< The first batch says that it is 2 GiB long.
  truncated,        ///< The last of several batches is cut, which brokers do and which is no error.
  hostile_count,    ///< The first batch says that it has 2^31 - 1 records.
  hostile_varint,   ///< The first record's length does not end.
  bomb,             ///< The first batch decompresses to more than the default limit (wire::default_decompression_limit).
  doubled_abort     ///< Every aborted transaction is listed twice.
};

/// Spoils records as a fetch answers them. False if they are not of the kind that can be spoilt so, and nothing was done: no
/// whole batch, for `truncated` only one; never for doubled_abort, which is no matter of the records.
KAWAIT_DECL bool spoil_records(std::vector<std::byte>& records, record_fault what, wire::codec codec = wire::codec::none);

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/record_faults.ipp>
#endif
