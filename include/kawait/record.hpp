#pragma once

#include <kawait/wire/record.hpp>

namespace kawait {

/// One record of a batch; a view, valid as long as its batch is held. See wire/record.hpp.
using wire::record;
/// One header of a record.
using wire::header;
/// Where a record's timestamp comes from: the producer's clock or the broker's.
using wire::timestamp_type;

}  // namespace kawait
