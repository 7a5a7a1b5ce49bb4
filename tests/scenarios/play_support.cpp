// Where scripts are played: the two clusters, set up alike.

#include <cstdlib>
#include <exception>
#include <optional>

#include <asio/co_spawn.hpp>
#include <asio/steady_timer.hpp>

#include "stage_support.hpp"

namespace kawait::tests {

testing::kafka_generation release() {
  const char* const name = std::getenv("KAFKA_VERSION");
  const std::string version = name != nullptr ? name : "4.3.1";
  if (version.starts_with("4.0.")) return testing::kafka_generation::v4_0;
  if (version.starts_with("4.2.")) return testing::kafka_generation::v4_2;
  return testing::kafka_generation::v4_3;
}

namespace {

// Both coordinators are told the same; short, so that a session can end while a test waits for it.
constexpr std::chrono::milliseconds session_timeout{4000}, heartbeat_interval{250}, assignment_interval{200};
constexpr int max_size = 5;

cluster& kafka() {
  static cluster shared(1, {"group.consumer.session.timeout.ms=" + std::to_string(session_timeout.count()),
                            "group.consumer.min.heartbeat.interval.ms=100",
                            "group.consumer.heartbeat.interval.ms=" + std::to_string(heartbeat_interval.count()),
                            "group.consumer.assignment.interval.ms=" + std::to_string(assignment_interval.count()),
                            "group.consumer.max.size=" + std::to_string(max_size),
                            "offsets.topic.num.partitions=1"});  // see stage::heard_of()
  return shared;
}

testing::broker_options same_options() {
  auto o = testing::broker_options::on_loopback();
  o.group = testing::group_options(release());
  o.group.session_timeout = session_timeout;
  o.group.heartbeat_interval = heartbeat_interval;
  if (testing::traits_of(release()).assignment_interval.count() > 0) o.group.assignment_interval = assignment_interval;
  o.group.max_size = max_size;
  return o;
}

struct played {
  std::exception_ptr thrown;
  bool ended = false;

  std::string words() const {
    if (!ended) return "it did not end";
    if (!thrown) return "";
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      return e.what();
    }
  }
};

asio::awaitable<void> run(stage& s, asio::awaitable<void> (*script)(stage&)) {
  co_await s.open();
  co_await script(s);
  co_await s.close();
}

void spawn(asio::io_context& context, stage& s, asio::awaitable<void> (*script)(stage&), played& o, int& left) {
  asio::co_spawn(context, run(s, script), [&context, &o, &left](std::exception_ptr e) {
    o.thrown = e;
    o.ended = true;
    if (--left == 0) context.stop();
  });
}

}  // namespace

void play(const char* scenario, asio::awaitable<void> (*script)(stage&)) {
  cluster& real = kafka();
  // What members wrote outlives the context, which destroys coroutines that refer to it.
  std::optional<stage> here, there;
  played embedded_outcome, real_outcome;
  {
    asio::io_context context(1);
    testing::broker embedded(context.get_executor(), same_options());
    here.emplace(context.get_executor(), scenario, embedded.bootstrap());
    there.emplace(context.get_executor(), scenario, real.bootstrap());
    int left = 2;
    spawn(context, *here, script, embedded_outcome, left);
    spawn(context, *there, script, real_outcome, left);
    asio::steady_timer end(context, std::chrono::seconds(90));
    end.async_wait([&context](std::error_code ec) {
      if (!ec) context.stop();
    });
    context.run();
    here->drop();
    there->drop();
    embedded.close();
    end.cancel();
    context.restart();
    context.poll();
  }
  const std::string embedded = here->transcript(), kafka = there->transcript();
  INFO("--- on the embedded broker:\n" << embedded << "--- on Kafka:\n" << kafka);
  CHECK(embedded_outcome.words() == "");
  CHECK(real_outcome.words() == "");
  const bool same = embedded == kafka;
  CHECK(same);
}

}  // namespace kawait::tests
