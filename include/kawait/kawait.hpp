#pragma once

/// kawait: a coroutine framework for consuming Apache Kafka, by the consumer group protocol of KIP-848.

#include <kawait/batch.hpp>
#include <kawait/config.hpp>
#include <kawait/consumer.hpp>
#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/event.hpp>
#include <kawait/for_each.hpp>
#include <kawait/for_each_batch.hpp>
#include <kawait/for_each_options.hpp>
#include <kawait/for_each_record.hpp>
#include <kawait/partition.hpp>
#include <kawait/record.hpp>
#include <kawait/time.hpp>
