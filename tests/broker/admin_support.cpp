#include "admin_support.hpp"

#include <stdexcept>

#include <kawait/testing/messages/groups.hpp>

namespace kawait::tests {

namespace {

using std::chrono::milliseconds;

/// What an attempt came to: Kafka's error, 0 if there is none or no answer; and words.
struct outcome {
  std::int16_t code = 0;
  std::string words;

  explicit outcome(std::string w) : words(std::move(w)) {}
  explicit outcome(std::int16_t c, std::optional<std::string_view> w = std::nullopt) : code(c), words(w.value_or("")) {}
};

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
  options.request_timeout = milliseconds(40'000);  // beyond a produce's own
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

// Asks again until an answer is right: `where` finds the connection, null if there is none now; `read` takes from the answer what
// is wanted and gives its error; `note` hears of what is tried again.
template <class Request, class Where, class Read, class Note>
asio::awaitable<void> admin::ask(std::string what, Where where, const Request& request, Read read, Note note) {
  attempts round(std::move(what));
  for (;;) {
    outcome told("no connection");
    connection_ptr c = co_await where();
    if (c) {
      auto answer = co_await c->async_request(request);
      if (answer) {
        told = read(answer->message);
        if (told.code == 0) co_return;
      } else {
        told.words = answer.error().to_string();
      }
    }
    note(told);
    co_await round.again(told.code, told.words);
  }
}

template <class Request, class Where, class Read>
asio::awaitable<void> admin::ask(std::string what, Where where, const Request& request, Read read) {
  return ask(std::move(what), where, request, read, [](const outcome&) {});
}

asio::awaitable<uuid> admin::create_topic(std::string name, std::int32_t partitions, settings configs) {
  create_topics_request request;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = partitions;
  topic.replication_factor = -1;
  for (const auto& [key, value] : configs) {
    auto& config = topic.configs.emplace_back();
    config.name = key;
    config.value = value;
  }
  uuid id;
  const auto where = [this] { return any(); };
  const auto read = [&id](const auto& answer) {
    const auto& made = answer.topics.at(0);
    id = made.topic_id;
    return outcome(made.error_code, made.error_message);
  };
  co_await ask("create topic " + name, where, request, read);
  for (std::int32_t p = 0; p < partitions; ++p) {
    if (!leaders_.contains({name, p})) co_await leader_of(name, p);
  }
  co_return id;
}

asio::awaitable<void> admin::configure(std::int8_t type, const std::string& resource, const std::string& name, const std::string& value) {
  const alter_configs_request request(type, resource, name, value);
  const auto where = [this] { return any(); };
  const auto read = [](const auto& answer) {
    return outcome(answer.responses.at(0).error_code, answer.responses.at(0).error_message);
  };
  co_await ask("configure " + resource, where, request, read);
}

asio::awaitable<void> admin::set_group(std::string group, std::string name, std::string value) {
  co_await configure(alter_configs_request::of_group, group, name, value);
}

asio::awaitable<void> admin::set_broker(std::int32_t id, std::string name, std::string value) {
  const std::string broker = std::to_string(id);
  co_await configure(alter_configs_request::of_broker, broker, name, value);
}

asio::awaitable<void> admin::add_rule(const acl_creation& rule) {
  create_acls_request request;
  request.creations.push_back(rule);
  const auto where = [this] { return any(); };
  const auto read = [](const auto& answer) { return outcome(answer.results.at(0).error_code, answer.results.at(0).error_message); };
  co_await ask("rule for " + std::string(rule.resource_name), where, request, read);
}

asio::awaitable<void> admin::deny_topic(std::string topic) {
  const acl_creation nobody(acl_creation::of_topic, topic, "User:*", acl_creation::describe, acl_creation::deny);
  co_await add_rule(nobody);
}

asio::awaitable<void> admin::grant(std::string principal, std::int8_t type, std::string name) {
  const acl_creation rule(type, name, principal, acl_creation::read, acl_creation::allow);
  co_await add_rule(rule);
}

asio::awaitable<void> admin::allow_topic(std::string topic) {
  delete_acls_request request;
  request.filters.emplace_back().resource_name = topic;
  const auto where = [this] { return any(); };
  const auto read = [](const auto& answer) {
    return outcome(answer.filter_results.at(0).error_code, answer.filter_results.at(0).error_message);
  };
  co_await ask("allow " + topic, where, request, read);
}

asio::awaitable<admin::connection_ptr> admin::leader_connection(std::string topic, std::int32_t partition) {
  const std::int32_t leader = co_await leader_of(topic, partition);
  co_return co_await node(leader);
}

asio::awaitable<void> admin::delete_records(std::string topic, std::int32_t partition, std::int64_t offset) {
  delete_records_request request;
  auto& t = request.topics.emplace_back();
  t.name = topic;
  auto& p = t.partitions.emplace_back();
  p.index = partition;
  p.offset = offset;
  const auto where = [this, &topic, partition] { return leader_connection(topic, partition); };
  const auto read = [](const auto& answer) { return outcome(answer.topics.at(0).partitions.at(0).error_code); };
  co_await ask("delete records of " + topic, where, request, read);
}

asio::awaitable<std::int64_t> admin::end_offset(std::string topic, std::int32_t partition) {
  protocol::list_offsets_request request;
  request.replica_id = -1;
  auto& t = request.topics.emplace_back();
  t.name = topic;
  auto& p = t.partitions.emplace_back();
  p.partition_index = partition;
  p.timestamp = protocol::list_offsets_request::latest;
  std::int64_t offset = -1;
  const auto where = [this, &topic, partition] { return leader_connection(topic, partition); };
  const auto read = [&offset](const auto& answer) {
    const auto& told = answer.topics.at(0).partitions.at(0);
    offset = told.offset;
    return outcome(told.error_code);
  };
  co_await ask("end offset of " + topic, where, request, read);
  co_return offset;
}

asio::awaitable<std::int32_t> admin::coordinator_of(std::string key, std::int8_t type) {
  protocol::find_coordinator_request request;
  request.key_type = type;
  request.coordinator_keys.push_back(key);
  std::int32_t id = -1;
  const auto where = [this] { return any(); };
  const auto read = [this, &id](const auto& answer) {
    const auto& found = answer.coordinators.at(0);
    if (found.error_code == 0) {
      id = found.node_id;
      brokers_[id] = net::host_port(std::string(found.host), static_cast<std::uint16_t>(found.port));
    }
    return outcome(found.error_code, found.error_message);
  };
  co_await ask("coordinator of " + key, where, request, read);
  co_return id;
}

asio::awaitable<std::size_t> admin::member_count(std::string group) {
  testing::messages::consumer_group_describe_request request;
  request.group_ids.push_back(group);
  std::size_t count = 0;
  const auto where = [this, &group] { return coordinator_connection(group, 0); };
  const auto read = [&count](const auto& answer) {
    const auto& told = answer.groups.at(0);
    count = told.members.size();
    return outcome(told.error_code, told.error_message);
  };
  co_await ask("members of " + group, where, request, read);
  co_return count;
}

asio::awaitable<std::int64_t> admin::produce(std::string topic, std::int32_t partition, byte_vector batch) {
  return produce(std::move(topic), partition, std::move(batch), std::nullopt);
}

asio::awaitable<admin::connection_ptr> admin::known_leader_connection(std::string topic, std::int32_t partition) {
  const auto known = leaders_.find({topic, partition});
  if (known == leaders_.end()) co_return co_await leader_connection(topic, partition);
  co_return co_await node(known->second);
}

asio::awaitable<std::int64_t> admin::produce(std::string topic, std::int32_t partition, byte_vector batch,
                                             std::optional<std::string> transactional_id) {
  produce_request request;
  if (transactional_id) request.transactional_id = *transactional_id;
  auto& t = request.topics.emplace_back();
  t.name = topic;
  auto& p = t.partitions.emplace_back();
  p.index = partition;
  p.records = protocol::bytes_view(batch);
  std::int64_t offset = -1;
  bool first = true;
  const auto where = [&] {
    // Again: another leader, perhaps.
    if (!std::exchange(first, false)) leaders_.erase({topic, partition});
    return known_leader_connection(topic, partition);
  };
  const auto read = [&](const auto& answer) {
    const auto& told = answer.responses.at(0).partitions.at(0);
    offset = told.base_offset;
    return outcome(told.error_code, told.error_message);
  };
  const auto note = [&](const outcome& told) {
    const auto e = static_cast<kafka_error>(told.code);
    if (e == kafka_error::not_leader_or_follower || e == kafka_error::unknown_topic_or_partition) return;
    retried_.push_back("produce to " + topic + ": " + std::string(told.code == 0 ? "" : name_of(e)) + " " + told.words);
  };
  co_await ask("produce to " + topic, where, request, read, note);
  co_return offset;
}

asio::awaitable<producer_identity> admin::idempotent_producer() {
  const init_producer_id_request request;
  producer_identity who;
  const auto where = [this] { return any(); };
  const auto read = [&who](const auto& answer) {
    who.id = answer.producer_id;
    who.epoch = answer.producer_epoch;
    return outcome(answer.error_code);
  };
  co_await ask("InitProducerId", where, request, read);
  co_return who;
}

asio::awaitable<admin::connection_ptr> admin::coordinator_connection(std::string key, std::int8_t type) {
  const std::int32_t id = co_await coordinator_of(std::move(key), type);
  co_return co_await node(id);
}

asio::awaitable<producer_identity> admin::begin_transactions(std::string transactional_id) {
  init_producer_id_request request;
  request.transactional_id = transactional_id;
  producer_identity who;
  who.transactional_id = transactional_id;
  const auto where = [this, &transactional_id] { return coordinator_connection(transactional_id, 1); };
  const auto read = [&who](const auto& answer) {
    who.id = answer.producer_id;
    who.epoch = answer.producer_epoch;
    return outcome(answer.error_code);
  };
  co_await ask("InitProducerId " + transactional_id, where, request, read);
  co_return who;
}

asio::awaitable<void> admin::add_to_transaction(producer_identity who, std::string topic, std::int32_t partition) {
  add_partitions_to_txn_request request;
  request.transactional_id = who.transactional_id;
  request.producer_id = who.id;
  request.producer_epoch = who.epoch;
  auto& t = request.topics.emplace_back();
  t.name = topic;
  t.partitions.push_back(partition);
  const auto where = [this, &who] { return coordinator_connection(who.transactional_id, 1); };
  const auto read = [](const auto& answer) { return outcome(answer.topics.at(0).partitions.at(0).error_code); };
  co_await ask("AddPartitionsToTxn " + who.transactional_id, where, request, read);
}

asio::awaitable<void> admin::end_transaction(producer_identity who, bool commit) {
  end_txn_request request;
  request.transactional_id = who.transactional_id;
  request.producer_id = who.id;
  request.producer_epoch = who.epoch;
  request.committed = commit;
  const auto where = [this, &who] { return coordinator_connection(who.transactional_id, 1); };
  const auto read = [](const auto& answer) { return outcome(answer.error_code); };
  co_await ask("EndTxn " + who.transactional_id, where, request, read);
}

}  // namespace kawait::tests
