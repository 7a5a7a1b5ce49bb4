// An embedded Kafka cluster as a program, for tests of clients in any language.
//   embedded_broker [--port P] [--nodes N] [--generation 4.0|4.2|4.3] [--topic NAME:PARTITIONS[:REPLICAS]]...
//                   [--auto-create PARTITIONS] [--session-timeout-ms T] [--heartbeat-interval-ms T]
// Listens on 127.0.0.1, the nodes on consecutive ports from P on (0, the default: any that are free). When it is ready it prints
// one line, the bootstrap addresses; SIGTERM or SIGINT ends it.

#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

#include <kawait/testing/broker.hpp>

namespace {

constexpr const char* usage =
    "usage: embedded_broker [--port P] [--nodes N] [--generation 4.0|4.2|4.3] [--topic NAME:PARTITIONS[:REPLICAS]]...\n"
    "                       [--auto-create PARTITIONS] [--session-timeout-ms T] [--heartbeat-interval-ms T]\n";

struct topic {
  std::string name;
  std::int32_t partitions = 1;
  std::int32_t replicas = 0;
};

std::int32_t number(std::string_view text, std::int32_t least, std::int32_t most) {
  std::int32_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    throw std::invalid_argument("\"" + std::string(text) + "\" is no number from " + std::to_string(least) + " to " +
                                std::to_string(most));
  }
  return value;
}

topic parse_topic(std::string_view text) {
  topic t;
  const auto colon = text.find(':');
  t.name = std::string(text.substr(0, colon));
  if (t.name.empty()) throw std::invalid_argument("--topic wants NAME:PARTITIONS");
  if (colon == std::string_view::npos) return t;
  const std::string_view rest = text.substr(colon + 1);
  const auto second = rest.find(':');
  t.partitions = number(rest.substr(0, second), 1, 100'000);
  if (second != std::string_view::npos) t.replicas = number(rest.substr(second + 1), 1, 1000);
  return t;
}

kawait::testing::kafka_generation generation(std::string_view text) {
  using kawait::testing::kafka_generation;
  if (text == "4.0") return kafka_generation::v4_0;
  if (text == "4.2") return kafka_generation::v4_2;
  if (text == "4.3") return kafka_generation::v4_3;
  throw std::invalid_argument("--generation is one of 4.0, 4.2 and 4.3");
}

void parse(int argc, char** argv, kawait::testing::broker_options& options, std::vector<topic>& topics) {
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 >= argc) throw std::invalid_argument(std::string(name) + " wants a value");
    const std::string_view value = argv[i + 1];
    if (name == "--port") {
      options.port = static_cast<std::uint16_t>(number(value, 0, 65535));
    } else if (name == "--nodes") {
      options.nodes = number(value, 1, 1000);
    } else if (name == "--generation") {
      options.group.generation = generation(value);
    } else if (name == "--topic") {
      topics.push_back(parse_topic(value));
    } else if (name == "--auto-create") {
      options.auto_create_partitions = number(value, 0, 10'000);
    } else if (name == "--session-timeout-ms") {
      options.group.session_timeout = std::chrono::milliseconds(number(value, 1, 3'600'000));
    } else if (name == "--heartbeat-interval-ms") {
      options.group.heartbeat_interval = std::chrono::milliseconds(number(value, 1, 3'600'000));
    } else {
      throw std::invalid_argument("there is no option " + std::string(name));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  kawait::testing::broker_options options;
  options.loopback = true;
  std::vector<topic> topics;
  try {
    parse(argc, argv, options, topics);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "embedded_broker: %s\n%s", e.what(), usage);
    return 2;
  }
  try {
    asio::io_context context(1);
    kawait::testing::broker broker(context.get_executor(), options);
    for (const topic& t : topics) broker.create_topic(t.name, t.partitions, t.replicas);
    asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](std::error_code, int) { broker.close(); });
    std::printf("%s\n", broker.bootstrap().c_str());
    std::fflush(stdout);
    context.run();  // until the last connection has seen that it is over
  } catch (const std::exception& e) {
    std::fprintf(stderr, "embedded_broker: %s\n", e.what());
    return 1;
  }
  return 0;
}
