#pragma once

/// The library compiled once: define KAWAIT_SEPARATE_COMPILATION everywhere, include this in exactly one translation unit;
/// or in 5, which compile side by side: each defines KAWAIT_SRC_PART as one of the numbers from 1 first.
/// Written by tests/layering/check.py --write-src.

#include <kawait/detail/config.hpp>

#if !defined(KAWAIT_SEPARATE_COMPILATION)
#error "kawait/src.hpp needs KAWAIT_SEPARATE_COMPILATION, in every translation unit"
#endif

#if !defined(KAWAIT_SRC_PART) || KAWAIT_SRC_PART == 1
#include <kawait/core/impl/error.ipp>
#include <kawait/core/impl/kafka_error.ipp>
#include <kawait/core/impl/types.ipp>
#include <kawait/wire/impl/compression.ipp>
#include <kawait/wire/impl/compression_codecs.ipp>
#include <kawait/wire/impl/crc32c.ipp>
#include <kawait/wire/impl/record.ipp>
#include <kawait/wire/impl/record_batch.ipp>
#include <kawait/protocol/impl/codec.ipp>
#include <kawait/protocol/impl/decoder.ipp>
#include <kawait/protocol/impl/encoder.ipp>
#include <kawait/protocol/impl/header.ipp>
#include <kawait/protocol/impl/versions.ipp>
#include <kawait/machine/impl/backoff.ipp>
#include <kawait/machine/impl/cluster.ipp>
#include <kawait/machine/impl/cluster_known.ipp>
#include <kawait/machine/impl/commit.ipp>
#include <kawait/machine/impl/coordinator.ipp>
#include <kawait/machine/impl/fetch_session.ipp>
#include <kawait/machine/impl/heartbeat.ipp>
#include <kawait/machine/impl/http_answer.ipp>
#include <kawait/machine/impl/membership.ipp>
#include <kawait/machine/impl/membership_answers.ipp>
#include <kawait/machine/impl/membership_poll.ipp>
#include <kawait/machine/impl/offset_query.ipp>
#include <kawait/machine/impl/offset_tracker.ipp>
#include <kawait/machine/impl/poll_watch.ipp>
#include <kawait/machine/impl/position_finder.ipp>
#include <kawait/machine/impl/position_finder_answers.ipp>
#include <kawait/machine/impl/scram.ipp>
#include <kawait/machine/impl/token_answer.ipp>
#endif

#if !defined(KAWAIT_SRC_PART) || KAWAIT_SRC_PART == 2
#include <kawait/net/impl/broker_pool.ipp>
#include <kawait/net/impl/broker_pool_any.ipp>
#include <kawait/net/impl/connection.ipp>
#include <kawait/net/impl/connection_read.ipp>
#include <kawait/net/impl/environment.ipp>
#include <kawait/net/impl/handshake.ipp>
#include <kawait/net/impl/network.ipp>
#include <kawait/net/impl/oidc.ipp>
#include <kawait/net/impl/sasl.ipp>
#include <kawait/net/impl/tcp.ipp>
#include <kawait/net/impl/timer.ipp>
#include <kawait/net/impl/tls.ipp>
#include <kawait/net/impl/tls_context.ipp>
#endif

#if !defined(KAWAIT_SRC_PART) || KAWAIT_SRC_PART == 3
#include <kawait/runtime/impl/buffer_pool.ipp>
#include <kawait/runtime/impl/commit_driver.ipp>
#include <kawait/runtime/impl/coordinator_driver.ipp>
#include <kawait/runtime/impl/engine.ipp>
#include <kawait/runtime/impl/engine_commits.ipp>
#include <kawait/runtime/impl/engine_hosts.ipp>
#include <kawait/runtime/impl/engine_observed.ipp>
#include <kawait/runtime/impl/engine_reading.ipp>
#include <kawait/runtime/impl/engine_streams.ipp>
#include <kawait/runtime/impl/engine_subscription.ipp>
#include <kawait/runtime/impl/engine_watch.ipp>
#include <kawait/runtime/impl/fetch_scheduler.ipp>
#include <kawait/runtime/impl/fetcher.ipp>
#include <kawait/runtime/impl/group_driver.ipp>
#include <kawait/runtime/impl/handler_slots.ipp>
#include <kawait/runtime/impl/lease.ipp>
#include <kawait/runtime/impl/metadata_driver.ipp>
#include <kawait/runtime/impl/partition_stream.ipp>
#include <kawait/runtime/impl/partition_stream_hand_out.ipp>
#include <kawait/runtime/impl/position_driver.ipp>
#include <kawait/runtime/impl/read_ahead.ipp>
#endif

#if !defined(KAWAIT_SRC_PART) || KAWAIT_SRC_PART == 4
#include <kawait/impl/batch.ipp>
#include <kawait/impl/config.ipp>
#include <kawait/impl/config_security.ipp>
#include <kawait/impl/config_sources.ipp>
#include <kawait/impl/config_tokens.ipp>
#include <kawait/impl/consumer.ipp>
#include <kawait/impl/for_each.ipp>
#include <kawait/impl/for_each_batch.ipp>
#include <kawait/impl/for_each_options.ipp>
#include <kawait/impl/for_each_record.ipp>
#include <kawait/impl/for_each_work.ipp>
#include <kawait/impl/log_observer.ipp>
#include <kawait/impl/metrics_observer.ipp>
#include <kawait/impl/partition.ipp>
#include <kawait/impl/properties.ipp>
#include <kawait/impl/record_crew.ipp>
#endif

#if !defined(KAWAIT_SRC_PART) || KAWAIT_SRC_PART == 5
#include <kawait/testing/impl/assignor.ipp>
#include <kawait/testing/impl/batch_writer.ipp>
#include <kawait/testing/impl/broker.ipp>
#include <kawait/testing/impl/broker_connections.ipp>
#include <kawait/testing/impl/broker_core.ipp>
#include <kawait/testing/impl/broker_faults.ipp>
#include <kawait/testing/impl/broker_fetch.ipp>
#include <kawait/testing/impl/broker_groups.ipp>
#include <kawait/testing/impl/broker_produce.ipp>
#include <kawait/testing/impl/broker_refusals.ipp>
#include <kawait/testing/impl/broker_requests.ipp>
#include <kawait/testing/impl/broker_sasl.ipp>
#include <kawait/testing/impl/broker_topics.ipp>
#include <kawait/testing/impl/cluster_state.ipp>
#include <kawait/testing/impl/consumer_group.ipp>
#include <kawait/testing/impl/event_trace.ipp>
#include <kawait/testing/impl/fault.ipp>
#include <kawait/testing/impl/fault_catalogue.ipp>
#include <kawait/testing/impl/fault_errors.ipp>
#include <kawait/testing/impl/fault_groups.ipp>
#include <kawait/testing/impl/fault_logs.ipp>
#include <kawait/testing/impl/fault_nodes.ipp>
#include <kawait/testing/impl/fault_requests.ipp>
#include <kawait/testing/impl/faults.ipp>
#include <kawait/testing/impl/faults_state.ipp>
#include <kawait/testing/impl/fetch_sessions.ipp>
#include <kawait/testing/impl/group_coordinator.ipp>
#include <kawait/testing/impl/group_coordinator_offsets.ipp>
#include <kawait/testing/impl/group_coordinator_scripts.ipp>
#include <kawait/testing/impl/group_offsets.ipp>
#include <kawait/testing/impl/group_reconciliation.ipp>
#include <kawait/testing/impl/group_subscriptions.ipp>
#include <kawait/testing/impl/memory_network.ipp>
#include <kawait/testing/impl/partition_log.ipp>
#include <kawait/testing/impl/partition_log_read.ipp>
#include <kawait/testing/impl/producer_state.ipp>
#include <kawait/testing/impl/record_faults.ipp>
#include <kawait/testing/impl/scram_server.ipp>
#include <kawait/testing/impl/topic_pattern.ipp>
#include <kawait/testing/impl/topic_table.ipp>
#include <kawait/testing/impl/world.ipp>
#endif
