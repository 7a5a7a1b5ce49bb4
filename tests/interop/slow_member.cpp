// A member whose work takes time, for the interop tests: it can be made to drain for as long as a test needs, and keeps on
// trying to commit what it has ever done, also of partitions that it has given up.
//
//   slow_member BOOTSTRAP TOPIC GROUP SECONDS [property=value ...]
//
// A batch takes SECONDS, its records are done one after another meanwhile. Lines on standard input:
//   hold                 no batch ends any more
//   release PARTITION... but of these they do
//   release              all end, and work takes no time any more
//   tell                 where each partition stands and what happened last, on standard error
// Lines on standard output, as verifiable_consumer's: partitions_assigned, revoking, partitions_revoked (after the drain), done,
// holding and commits_refused. SIGTERM closes.

#include "../../examples/event_line.hpp"
#include "../support/member_program.hpp"

#include <kawait/kawait.hpp>
#include <kawait/log_observer.hpp>

#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

/// What happened last, for who wants to know why a member stands still.
class flight_recorder final : public kawait::log_observer {
 public:
  flight_recorder() : log_observer([this](kawait::log_level, std::string_view line) { keep(std::string(line)); }) {}

  void on_fetched(const fetched& e) override {
    keep("fetched " + std::to_string(e.bytes) + " bytes from " + std::to_string(e.node) + (e.failed ? ": " + e.failed.message() : ""));
  }
  void on_delivered(const delivered& e) override {
    keep("delivered " + e.partition.to_string() + " " + std::to_string(e.first_offset) + ".." + std::to_string(e.next_offset));
  }
  void tell() const {
    for (const std::string& line : last_) std::cerr << line << std::endl;
  }

 private:
  void keep(std::string line) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    last_.push_back(std::to_string(now.count()) + " " + std::move(line));
    if (last_.size() > 60) last_.pop_front();
  }

  std::deque<std::string> last_;
};

class slow_member {
 public:
  slow_member(asio::io_context& context, kawait::config c, std::string topic, std::chrono::milliseconds work)
      : context_(context),
        topic_(std::move(topic)),
        work_(work),
        consumer_(context.get_executor(), c.add_observer(recorder_)),
        signals_(context, SIGTERM),
        orders_(context) {}

  int run() {
    event_line("startup_complete").print();
    consumer_.subscribe(topic_);
    spawn(run_consumer());
    spawn(follow_assignment());
    spawn(follow_orders());
    spawn(commit_everything());
    signals_.async_wait([this](std::error_code ec, int) {
      if (!ec) spawn(close());
    });
    context_.run();
    event_line("shutdown_complete").print();
    return failed_ ? 1 : 0;
  }

 private:
  void spawn(asio::awaitable<void> coroutine) { kawait::tests::spawn(context_, std::move(coroutine)); }

  void report(const std::exception& e) {
    failed_ = true;
    std::cerr << "slow_member: " << e.what() << std::endl;
  }

  asio::awaitable<void> close() {
    is_held_ = false;
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
    over_ = true;
    signals_.cancel();
    orders_.close();
  }

  void tell(const char* name, const std::vector<kawait::partition>& partitions) {
    event_line line(name);
    line.open_list("partitions");
    for (const kawait::partition& p : partitions) line.open_element(p.name()).close_element();
    line.close_list().add("epoch", consumer_.member_epoch()).print();
  }

  asio::awaitable<void> follow_assignment() {
    try {
      for (;;) {
        const kawait::event change = co_await consumer_.async_next_event();
        if (change.what == kawait::event::kind::assigned) {
          tell("partitions_assigned", change.partitions);
          for (const kawait::partition& p : change.partitions) {
            done_.erase(p.name());
            spawn(read(p));
          }
          continue;
        }
        if (change.revocation) {
          tell("revoking", change.partitions);
          co_await consumer_.async_incremental_unassign(change.revocation);
        }
        tell("partitions_revoked", change.partitions);
      }
    } catch (const kawait::error& e) {
      if (e.code() != kawait::errc::closed) report(e);
    }
  }

  asio::awaitable<void> read(kawait::partition p) {
    try {
      for (;;) {
        doing_[p.name()] = "waits for a batch";
        auto batch = co_await p.async_next();
        if (!batch) break;
        doing_[p.name()] = "works on " + std::to_string(batch->next_offset() - 1);
        co_await work(*batch);
      }
      doing_.erase(p.name());
    } catch (const kawait::error& e) {
      doing_[p.name()] = "ended: " + std::string(e.what());
      if (e.code() != asio::error::operation_aborted) report(e);
    }
  }

  bool is_held(std::int32_t partition) const { return is_held_ && !released_.contains(partition); }

  asio::awaitable<void> work(kawait::batch& batch) {
    const kawait::topic_partition name(batch.topic(), batch.partition());
    // At most fifty steps a batch, so that a long backlog is not slower than it says.
    const std::size_t steps = std::clamp<std::size_t>(batch.size_hint(), 1, 50);
    const std::size_t stride = std::max<std::size_t>(1, batch.size_hint() / steps);
    std::size_t count = 0;
    for (const kawait::record& r : batch) {
      // The last is done only when the batch is.
      if (++count % stride != 0 || r.offset() + 1 == batch.next_offset()) continue;
      if (work_ > 0ms) co_await kawait::sleep_for(work_ / steps);
      batch.done_through(r);
      tell_done(name, r.offset() + 1);
    }
    if (is_held(name.partition)) {
      event_line line("holding");
      line.add("topic", name.topic).add("partition", name.partition).print();
    }
    while (is_held(name.partition)) co_await kawait::sleep_for(10ms);
    batch.done();
    tell_done(name, batch.next_offset());
  }

  void tell_done(const kawait::topic_partition& name, std::int64_t next) {
    done_[name] = next;
    event_line line("done");
    line.add("topic", name.topic).add("partition", name.partition).add("offset", next).print();
  }

  asio::awaitable<void> follow_orders() {
    while (const auto line = co_await orders_.async_next()) {
      std::istringstream words(*line);
      std::string order;
      words >> order;
      if (order == "tell") {
        tell_standing();
      } else if (order == "hold") {
        released_.clear();
        is_held_ = true;
      } else {
        std::int32_t partition = -1;
        bool any = false;
        for (; words >> partition; any = true) released_.insert(partition);
        if (!any) {
          is_held_ = false;
          work_ = 0ms;
        }
      }
    }
  }

  void tell_standing() const {
    recorder_->tell();
    for (const kawait::partition& p : consumer_.assignment()) {
      const auto doing = doing_.find(p.name());
      std::cerr << p.name().to_string() << " at " << p.position().value_or(-1) << ", lag " << p.lag().value_or(-1) << ", "
                << (doing == doing_.end() ? "not read" : doing->second) << std::endl;
    }
    event_line("told").print();
  }

  // Whatever we have ever done, ours or not: of what is not, nothing may reach the broker.
  asio::awaitable<void> commit_everything() {
    while (!over_) {
      co_await kawait::sleep_for(20ms);
      if (done_.empty()) continue;
      std::error_code ec;
      auto token = asio::redirect_error(asio::use_awaitable, ec);
      const kawait::commit_result result = co_await consumer_.async_commit(done_, token);
      event_line line("commits_refused");
      line.open_list("partitions");
      bool any = false;
      for (const kawait::commit_status& s : result) {
        if (!s.code) continue;
        any = true;
        line.open_element(s.partition).add("offset", s.offset).add("error", s.code.message());
        line.add_flag("not_ours", s.code == kawait::errc::not_assigned).close_element();
      }
      if (any) line.close_list().print();
    }
  }

  asio::io_context& context_;
  std::string topic_;
  std::chrono::milliseconds work_;
  std::shared_ptr<flight_recorder> recorder_ = std::make_shared<flight_recorder>();
  kawait::consumer consumer_;
  asio::signal_set signals_;
  kawait::tests::order_lines orders_;
  kawait::offset_map done_;
  std::map<kawait::topic_partition, std::string> doing_;
  std::set<std::int32_t> released_;
  bool is_held_ = false;
  bool over_ = false;
  bool failed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  const auto make = [argv](asio::io_context& context, const kawait::config& c) {
    const std::chrono::duration<double> work(std::stod(argv[4]));
    return slow_member(context, c, argv[2], std::chrono::duration_cast<std::chrono::milliseconds>(work));
  };
  const std::span words(argv, static_cast<std::size_t>(argc));
  return kawait::tests::member_main("slow_member BOOTSTRAP TOPIC GROUP SECONDS [property=value ...]", 1, words, make);
}
