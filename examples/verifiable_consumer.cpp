// Kafka's system-test consumer: what a group's member does, as one JSON object a line on standard output, so that others' tests
// can drive kawait. The arguments and the lines are those of org.apache.kafka.tools.VerifiableConsumer.
//
// SIGTERM and SIGINT drain, commit, leave and exit 0. A fatal error exits 1 with its name on standard error.

#include "event_line.hpp"

#include <kawait/kawait.hpp>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

const char usage[] =
    "usage: verifiable_consumer --bootstrap-server HOST:PORT[,HOST:PORT...] --topic TOPIC --group-id GROUP\n"
    "  --group-protocol consumer    the default; classic is not supported yet\n"
    "  --group-remote-assignor NAME uniform or range; default: the broker decides\n"
    "  --group-instance-id ID       a static member\n"
    "  --max-messages N             stop after so many records; -1, the default: until a signal\n"
    "  --verbose                    a record_data line for each record\n"
    "  --enable-autocommit          else each batch is committed, and told by an offsets_committed line\n"
    "  --reset-policy POLICY        earliest (the default), latest or none\n"
    "  --command-config FILE        properties; the arguments have precedence. --consumer.config is its old name\n"
    "  --session-timeout MS, --assignment-strategy NAME   ignored: the consumer protocol has no use for them\n";

// ---- Arguments.

struct usage_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::int64_t parse_number(const std::string& name, std::string_view text) {
  std::int64_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec == std::errc() && end == text.data() + text.size()) return number;
  throw usage_error(name + " " + std::string(text) + ": is not a whole number");
}

struct arguments {
  kawait::config config;
  std::string topic;
  std::int64_t max_messages = -1;
  bool verbose = false;
  bool auto_commit = false;

  static arguments parse(const std::vector<std::string>& words);
};

/// --name value and --name=value; flags have no value.
std::map<std::string, std::string> split_arguments(const std::vector<std::string>& words) {
  const std::set<std::string> flags = {"--verbose", "--enable-autocommit"};
  const std::set<std::string> valued = {"--bootstrap-server",  "--topic",           "--group-id",        "--group-protocol",
                                        "--group-remote-assignor", "--group-instance-id", "--max-messages", "--session-timeout",
                                        "--reset-policy",      "--assignment-strategy", "--consumer.config", "--command-config"};
  std::map<std::string, std::string> given;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    if (flags.contains(name) && equals == std::string::npos) {
      given[name] = "true";
    } else if (!valued.contains(name)) {
      throw usage_error("unknown argument '" + words[i] + "'");
    } else if (equals != std::string::npos) {
      given[name] = words[i].substr(equals + 1);
    } else if (++i < words.size()) {
      given[name] = words[i];
    } else {
      throw usage_error(name + ": a value is expected");
    }
  }
  return given;
}

arguments arguments::parse(const std::vector<std::string>& words) {
  const auto given = split_arguments(words);
  for (const char* required : {"--bootstrap-server", "--topic", "--group-id"}) {
    if (!given.contains(required)) throw usage_error(std::string(required) + " is required");
  }
  if (given.contains("--consumer.config") && given.contains("--command-config")) {
    throw usage_error("--consumer.config and --command-config exclude each other");
  }
  arguments a;
  for (const auto& [name, value] : given) {
    if (name == "--consumer.config" || name == "--command-config") a.config.load_file(value);
  }
  a.config.set("auto.offset.reset", "earliest");
  a.config.set("enable.auto.commit", "false");
  for (const auto& [name, value] : given) {
    if (name == "--bootstrap-server") a.config.set("bootstrap.servers", value);
    if (name == "--topic") a.topic = value;
    if (name == "--group-id") a.config.set("group.id", value);
    if (name == "--group-remote-assignor") a.config.set("group.remote.assignor", value);
    if (name == "--group-instance-id") a.config.set("group.instance.id", value);
    if (name == "--max-messages") a.max_messages = parse_number(name, value);
    if (name == "--session-timeout") parse_number(name, value);  // must be a number, as in the original
    if (name == "--verbose") a.verbose = true;
    if (name == "--enable-autocommit") a.config.set("enable.auto.commit", value);
    if (name == "--reset-policy") a.config.set("auto.offset.reset", value);
    if (name == "--group-protocol") {
      std::string lower = value;
      std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
      a.config.set("group.protocol", lower);
    }
  }
  a.auto_commit = given.contains("--enable-autocommit");
  return a;
}

// ---- The consumer.

/// Read by events, since those tell partitions together, as the original's listener does, and let "revoked" be printed when the
/// revocation is complete. A batch is held until all that is printed about it is printed: the revocation waits for that.
class verifiable_consumer {
 public:
  verifiable_consumer(asio::io_context& context, const arguments& a)
      : context_(context), arguments_(a), consumer_(context.get_executor(), a.config), signals_(context, SIGINT, SIGTERM) {}

  /// The process's exit status.
  int run() {
    event_line("startup_complete").print();
    try {
      consumer_.subscribe(arguments_.topic);
      spawn(run_consumer());
      spawn(follow_assignment());
      signals_.async_wait([this](std::error_code ec, int) {
        if (!ec) begin_close();
      });
      if (is_finished()) begin_close();  // --max-messages 0
      context_.run();
    } catch (const std::exception& e) {
      report(e);
    }
    event_line("shutdown_complete").print();
    return failed_ ? 1 : 0;
  }

 private:
  void spawn(asio::awaitable<void> coroutine) {
    asio::co_spawn(context_, std::move(coroutine), [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
  }

  void report(const std::exception& e) {
    if (!std::exchange(failed_, true)) std::cerr << "verifiable_consumer: " << e.what() << std::endl;
  }

  void begin_close() {
    if (!std::exchange(closing_, true)) spawn(close());
  }

  asio::awaitable<void> close() {
    try {
      co_await consumer_.async_close();
    } catch (const kawait::error& e) {
      report(e);
    }
  }

  asio::awaitable<void> run_consumer() {
    try {
      co_await consumer_.async_run();
    } catch (const kawait::error& e) {
      report(e);
    }
    signals_.cancel();
  }

  asio::awaitable<void> follow_assignment() {
    try {
      for (;;) {
        const kawait::event change = co_await consumer_.async_next_event();
        if (change.what == kawait::event::kind::assigned) {
          take_over(change.partitions);
        } else {
          if (change.revocation) co_await drain(change.revocation);
          give_back(change.partitions);
        }
      }
    } catch (const kawait::error& e) {
      if (e.code() != kawait::errc::closed) report(e);
    }
  }

  void take_over(const std::vector<kawait::partition>& partitions) {
    event_line line("partitions_assigned");
    line.open_list("partitions");
    for (const kawait::partition& p : partitions) {
      ours_.insert(p.name());
      line.open_element(p.name()).close_element();
    }
    line.close_list().print();
    for (const kawait::partition& p : partitions) spawn(read(p));
  }

  asio::awaitable<void> drain(kawait::revocation revocation) {
    try {
      co_await consumer_.async_incremental_unassign(revocation);
    } catch (const kawait::error& e) {
      std::cerr << "verifiable_consumer: revocation: " << e.what() << std::endl;
    }
  }

  // Also what is lost, which the original tells as revoked. What is lost while it drains comes twice.
  void give_back(const std::vector<kawait::partition>& partitions) {
    event_line line("partitions_revoked");
    line.open_list("partitions");
    bool any = false;
    for (const kawait::partition& p : partitions) {
      if (ours_.erase(p.name()) == 0) continue;
      any = true;
      line.open_element(p.name()).close_element();
    }
    if (any) line.close_list().print();
  }

  asio::awaitable<void> read(kawait::partition p) {
    try {
      while (auto batch = co_await p.async_next()) {
        // Lost between its hand-out and here, and perhaps told already: the next owner shows the records.
        if (batch->is_stale()) continue;
        const bool some = consume(*batch);
        if (some && !arguments_.auto_commit) co_await commit(p, *batch);
        if (!is_finished()) continue;
        // What is left of the batch is never done, but for automatic commits the stream has ended before it is released.
        begin_close();
        co_await p.async_wait_end();
      }
    } catch (const kawait::error& e) {
      if (e.code() == asio::error::operation_aborted) co_return;
      report(e);
      begin_close();
    }
  }

  bool is_finished() const { return arguments_.max_messages >= 0 && consumed_ >= arguments_.max_messages; }

  /// Shows the records, as many as are wanted yet. False: none.
  bool consume(kawait::batch& batch) {
    const std::int64_t wanted =
        arguments_.max_messages < 0 ? std::numeric_limits<std::int64_t>::max() : arguments_.max_messages - consumed_;
    const kawait::topic_partition name(batch.topic(), batch.partition());
    std::int64_t count = 0;
    std::int64_t first = -1;
    kawait::record last;
    for (const kawait::record& r : batch) {
      if (count == wanted) break;
      if (count++ == 0) first = r.offset();
      last = r;
      if (arguments_.verbose) print_record(name, r);
    }
    if (count == 0) return false;
    consumed_ += count;
    event_line line("records_consumed");
    line.add("count", count).open_list("partitions").open_element(name).add("count", count);
    line.add("minOffset", first).add("maxOffset", last.offset()).close_element().close_list().print();
    if (is_finished()) {
      batch.done_through(last);
    } else {
      batch.done();
    }
    return true;
  }

  static void print_record(const kawait::topic_partition& name, const kawait::record& r) {
    event_line line("record_data");
    line.add_nullable("key", r, false).add_nullable("value", r, true);
    line.add("topic", name.topic).add("partition", name.partition).add("offset", r.offset()).print(false);
  }

  asio::awaitable<void> commit(const kawait::partition& p, const kawait::batch& batch) {
    event_line line("offsets_committed");
    line.open_list("offsets");
    std::string error;
    try {
      const kawait::commit_result result = co_await p.async_commit();
      for (const kawait::commit_status& s : result) line.open_element(s.partition).add("offset", s.offset).close_element();
    } catch (const kawait::error& e) {
      error = e.what();
      line.open_element(p.name()).add("offset", batch.next_offset()).close_element();
    }
    line.close_list();
    if (!error.empty()) line.add("error", error);
    line.add_flag("success", error.empty()).print();
  }

  asio::io_context& context_;
  const arguments& arguments_;
  kawait::consumer consumer_;
  asio::signal_set signals_;
  std::set<kawait::topic_partition> ours_;
  std::int64_t consumed_ = 0;
  bool closing_ = false;
  bool failed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "-h" || words[0] == "--help") {
    std::cout << usage;
    return 0;
  }
  try {
    const arguments a = arguments::parse(words);
    for (const std::string& warning : a.config.warnings()) std::cerr << "verifiable_consumer: " << warning << '\n';
    asio::io_context context(1);
    verifiable_consumer consumer(context, a);
    return consumer.run();
  } catch (const usage_error& e) {
    std::cerr << usage << "verifiable_consumer: " << e.what() << '\n';
  } catch (const std::exception& e) {
    std::cerr << "verifiable_consumer: " << e.what() << '\n';
  }
  return 1;
}
