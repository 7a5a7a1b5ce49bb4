#include "admin_support.hpp"

#include <charconv>
#include <stdexcept>

namespace kawait::tests {

namespace {

using std::chrono::milliseconds;

/// Goes round until an attempt succeeds, the error is final, or a minute has passed.
class attempts {
 public:
  explicit attempts(std::string what) : what_(std::move(what)) {}

  /// To be called after a failed attempt.
  asio::awaitable<void> again(std::int16_t code, std::string words) {
    const auto e = static_cast<kafka_error>(code);
    const bool may_pass = code == 0 || is_retriable(e) || e == kafka_error::concurrent_transactions;
    if (!may_pass || std::chrono::steady_clock::now() > limit_) {
      throw std::runtime_error(what_ + ": " + std::string(name_of(e)) + " " + words);
    }
    co_await net::async_sleep_for(milliseconds(50));
  }

 private:
  std::string what_;
  std::chrono::steady_clock::time_point limit_ = std::chrono::steady_clock::now() + std::chrono::minutes(1);
};

}  // namespace

std::int64_t wall_clock_ms() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

batch_builder numbered(std::int64_t first, std::int64_t count, std::size_t size, wire::codec how) {
  batch_builder b;
  b.codec(how);
  b.header.base_timestamp = b.header.max_timestamp = wall_clock_ms();
  for (std::int64_t n = first; n < first + count; ++n) {
    std::string value = "r" + std::to_string(n);
    if (value.size() < size) value.resize(size, '.');
    b.add(std::nullopt, value);
  }
  return b;
}

std::int64_t number_of(std::string_view value) {
  std::int64_t n = -1;
  if (value.empty() || value.front() != 'r') return -1;
  std::from_chars(value.data() + 1, value.data() + value.size(), n);
  return n;
}

admin::admin(asio::any_io_executor executor, std::string bootstrap)
    : executor_(std::move(executor)), bootstrap_(*net::parse_bootstrap_servers(bootstrap)) {}

admin::~admin() {
  for (auto& [name, c] : connections_) c->close();
}

asio::awaitable<admin::connection_ptr> admin::connect(net::host_port where) {
  auto& slot = connections_[where.to_string()];
  if (slot && slot->is_open()) co_return slot;
  net::connection_options options;
  options.client_id = "test";
  options.request_timeout = milliseconds(15'000);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  auto opened = co_await net::connection::open(executor_, where, options, deadline);
  if (!opened) co_return nullptr;
  slot = *opened;
  co_return slot;
}

asio::awaitable<admin::connection_ptr> admin::any() {
  for (const auto& where : bootstrap_) {
    auto c = co_await connect(where);
    if (c) co_return c;
  }
  co_return nullptr;
}

asio::awaitable<admin::connection_ptr> admin::node(std::int32_t id) {
  const auto it = brokers_.find(id);
  if (it == brokers_.end()) co_return nullptr;
  co_return co_await connect(it->second);
}

asio::awaitable<std::int32_t> admin::look_up_leader(std::string topic, std::int32_t partition) {
  auto c = co_await any();
  if (!c) co_return -1;
  protocol::metadata_request request;
  request.allow_auto_topic_creation = false;
  request.topics->emplace_back().name = topic;
  auto answer = co_await c->async_request(request);
  if (!answer) co_return -1;
  for (const auto& b : answer->message.brokers) {
    brokers_[b.node_id] = net::host_port(std::string(b.host), static_cast<std::uint16_t>(b.port));
  }
  for (const auto& t : answer->message.topics) {
    for (const auto& p : t.partitions) {
      if (p.error_code == 0 && p.leader_id >= 0) {
        leaders_[{topic, p.partition_index}] = p.leader_id;
      } else {
        leaders_.erase({topic, p.partition_index});
      }
    }
  }
  const auto it = leaders_.find({topic, partition});
  co_return it == leaders_.end() ? -1 : it->second;
}

asio::awaitable<bool> admin::is_in_sync(std::string topic) {
  auto c = co_await any();
  if (!c) co_return false;
  protocol::metadata_request request;
  request.allow_auto_topic_creation = false;
  request.topics->emplace_back().name = topic;
  auto answer = co_await c->async_request(request);
  if (!answer || answer->message.topics.size() != 1) co_return false;
  for (const auto& p : answer->message.topics[0].partitions) {
    if (p.leader_id < 0 || p.isr_nodes.size() < p.replica_nodes.size()) co_return false;
  }
  co_return true;
}

asio::awaitable<std::int32_t> admin::leader_of(std::string topic, std::int32_t partition) {
  attempts round("leader of " + topic);
  for (;;) {
    const std::int32_t id = co_await look_up_leader(topic, partition);
    if (id >= 0) co_return id;
    co_await round.again(0, "no leader");
  }
}

asio::awaitable<uuid> admin::create_topic(std::string name, std::int32_t partitions) {
  return create_topic(std::move(name), partitions, settings());
}

asio::awaitable<uuid> admin::create_topic(std::string name, std::int32_t partitions, settings configs) {
  attempts round("create topic " + name);
  uuid id;
  for (;;) {
    auto c = co_await any();
    std::int16_t code = 0;
    std::string words = "no connection";
    if (c) {
      create_topics_request request;
      auto& topic = request.topics.emplace_back();
      topic.name = name;
      topic.num_partitions = partitions;
      for (const auto& [key, value] : configs) {
        auto& config = topic.configs.emplace_back();
        config.name = key;
        config.value = value;
      }
      auto answer = co_await c->async_request(request);
      if (answer && answer->message.topics.size() == 1) {
        const auto& made = answer->message.topics[0];
        code = made.error_code;
        words = std::string(made.error_message.value_or(""));
        if (code == 0) {
          id = made.topic_id;
          break;
        }
      } else if (!answer) {
        words = answer.error().to_string();
      }
    }
    co_await round.again(code, words);
  }
  for (std::int32_t p = 0; p < partitions; ++p) {
    if (!leaders_.contains({name, p})) co_await leader_of(name, p);
  }
  co_return id;
}

asio::awaitable<void> admin::set_group(std::string group, std::string name, std::string value) {
  attempts round("configure group " + group);
  for (;;) {
    auto c = co_await any();
    std::int16_t code = 0;
    std::string words = "no connection";
    if (c) {
      alter_configs_request request;
      auto& resource = request.resources.emplace_back();
      resource.name = group;
      auto& config = resource.configs.emplace_back();
      config.name = name;
      config.value = value;
      auto answer = co_await c->async_request(request);
      if (answer && answer->message.responses.size() == 1) {
        code = answer->message.responses[0].error_code;
        if (code == 0) co_return;
        words = std::string(answer->message.responses[0].error_message.value_or(""));
      } else if (!answer) {
        words = answer.error().to_string();
      }
    }
    co_await round.again(code, words);
  }
}

asio::awaitable<void> admin::delete_records(std::string topic, std::int32_t partition, std::int64_t offset) {
  attempts round("delete records of " + topic);
  for (;;) {
    const std::int32_t leader = co_await leader_of(topic, partition);
    auto c = co_await node(leader);
    std::int16_t code = 0;
    if (c) {
      delete_records_request request;
      auto& t = request.topics.emplace_back();
      t.name = topic;
      auto& p = t.partitions.emplace_back();
      p.index = partition;
      p.offset = offset;
      auto answer = co_await c->async_request(request);
      if (answer) {
        code = answer->message.topics.at(0).partitions.at(0).error_code;
        if (code == 0) co_return;
      }
    }
    co_await round.again(code, "");
  }
}

asio::awaitable<std::int64_t> admin::end_offset(std::string topic, std::int32_t partition) {
  attempts round("end offset of " + topic);
  for (;;) {
    const std::int32_t leader = co_await leader_of(topic, partition);
    auto c = co_await node(leader);
    std::int16_t code = 0;
    if (c) {
      protocol::list_offsets_request request;
      request.replica_id = -1;
      auto& t = request.topics.emplace_back();
      t.name = topic;
      auto& p = t.partitions.emplace_back();
      p.partition_index = partition;
      p.timestamp = protocol::list_offsets_request::latest;
      auto answer = co_await c->async_request(request);
      if (answer) {
        const auto& told = answer->message.topics.at(0).partitions.at(0);
        code = told.error_code;
        if (code == 0) co_return told.offset;
      }
    }
    co_await round.again(code, "");
  }
}

asio::awaitable<std::int32_t> admin::coordinator_of(std::string key, std::int8_t type) {
  attempts round("coordinator of " + key);
  for (;;) {
    auto c = co_await any();
    std::int16_t code = 0;
    std::string words = "no connection";
    if (c) {
      protocol::find_coordinator_request request;
      request.key_type = type;
      request.coordinator_keys.push_back(key);
      auto answer = co_await c->async_request(request);
      if (answer && answer->message.coordinators.size() == 1) {
        const auto& found = answer->message.coordinators[0];
        code = found.error_code;
        words = std::string(found.error_message.value_or(""));
        if (code == 0) {
          brokers_[found.node_id] = net::host_port(std::string(found.host), static_cast<std::uint16_t>(found.port));
          co_return found.node_id;
        }
      } else if (!answer) {
        words = answer.error().to_string();
      }
    }
    co_await round.again(code, words);
  }
}

asio::awaitable<std::int64_t> admin::produce(std::string topic, std::int32_t partition, byte_vector batch) {
  return produce(std::move(topic), partition, std::move(batch), std::nullopt);
}

asio::awaitable<std::int64_t> admin::produce(std::string topic, std::int32_t partition, byte_vector batch,
                                             std::optional<std::string> transactional_id) {
  attempts round("produce to " + topic);
  for (;;) {
    const auto known = leaders_.find({topic, partition});
    std::int32_t leader = -1;
    if (known != leaders_.end()) {
      leader = known->second;
    } else {
      leader = co_await leader_of(topic, partition);
    }
    auto c = co_await node(leader);
    std::int16_t code = 0;
    std::string words = "no connection";
    if (c) {
      produce_request request;
      if (transactional_id) request.transactional_id = *transactional_id;
      auto& t = request.topics.emplace_back();
      t.name = topic;
      auto& p = t.partitions.emplace_back();
      p.index = partition;
      p.records = batch;
      auto answer = co_await c->async_request(request);
      if (answer) {
        const auto& told = answer->message.responses.at(0).partitions.at(0);
        code = told.error_code;
        words = std::string(told.error_message.value_or(""));
        if (code == 0) co_return told.base_offset;
      } else {
        words = answer.error().to_string();
      }
    }
    leaders_.erase({topic, partition});
    const auto e = static_cast<kafka_error>(code);
    if (e != kafka_error::not_leader_or_follower && e != kafka_error::unknown_topic_or_partition) {
      retried_.push_back("produce to " + topic + ": " + std::string(code == 0 ? "" : name_of(e)) + " " + words);
    }
    co_await round.again(code, words);
  }
}

asio::awaitable<producer_identity> admin::idempotent_producer() {
  attempts round("InitProducerId");
  for (;;) {
    auto c = co_await any();
    std::int16_t code = 0;
    if (c) {
      const init_producer_id_request request;
      auto answer = co_await c->async_request(request);
      if (answer) {
        code = answer->message.error_code;
        if (code == 0) {
          producer_identity who;
          who.id = answer->message.producer_id;
          who.epoch = answer->message.producer_epoch;
          co_return who;
        }
      }
    }
    co_await round.again(code, "");
  }
}

asio::awaitable<producer_identity> admin::begin_transactions(std::string transactional_id) {
  attempts round("InitProducerId " + transactional_id);
  for (;;) {
    const std::int32_t id = co_await coordinator_of(transactional_id, 1);
    auto c = co_await node(id);
    std::int16_t code = 0;
    if (c) {
      init_producer_id_request request;
      request.transactional_id = transactional_id;
      auto answer = co_await c->async_request(request);
      if (answer) {
        code = answer->message.error_code;
        if (code == 0) {
          producer_identity who;
          who.transactional_id = transactional_id;
          who.id = answer->message.producer_id;
          who.epoch = answer->message.producer_epoch;
          co_return who;
        }
      }
    }
    co_await round.again(code, "");
  }
}

asio::awaitable<void> admin::add_to_transaction(producer_identity who, std::string topic, std::int32_t partition) {
  attempts round("AddPartitionsToTxn " + who.transactional_id);
  for (;;) {
    const std::int32_t id = co_await coordinator_of(who.transactional_id, 1);
    auto c = co_await node(id);
    std::int16_t code = 0;
    if (c) {
      add_partitions_to_txn_request request;
      request.transactional_id = who.transactional_id;
      request.producer_id = who.id;
      request.producer_epoch = who.epoch;
      auto& t = request.topics.emplace_back();
      t.name = topic;
      t.partitions.push_back(partition);
      auto answer = co_await c->async_request(request);
      if (answer) {
        code = answer->message.topics.at(0).partitions.at(0).error_code;
        if (code == 0) co_return;
      }
    }
    co_await round.again(code, "");
  }
}

asio::awaitable<void> admin::end_transaction(producer_identity who, bool commit) {
  attempts round("EndTxn " + who.transactional_id);
  for (;;) {
    const std::int32_t id = co_await coordinator_of(who.transactional_id, 1);
    auto c = co_await node(id);
    std::int16_t code = 0;
    if (c) {
      end_txn_request request;
      request.transactional_id = who.transactional_id;
      request.producer_id = who.id;
      request.producer_epoch = who.epoch;
      request.committed = commit;
      auto answer = co_await c->async_request(request);
      if (answer) {
        code = answer->message.error_code;
        if (code == 0) co_return;
      }
    }
    co_await round.again(code, "");
  }
}

}  // namespace kawait::tests
