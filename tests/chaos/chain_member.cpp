// A member of the chaos test's chain: hands each batch to whoever reads its standard output, and calls it done when told to.
//
//   chain_member BOOTSTRAP TOPIC GROUP [property=value ...]
//
// An ownership is a partition from its assignment to its end, and has a number of its own. Lines on standard output:
//   own OWNERSHIP PARTITION
//   batch OWNERSHIP OFFSET:VALUE ...
//   end OWNERSHIP REASON            0 none, 1 revoked, 2 lost, 3 closed, 4 failed
// A line on standard input is the number of an ownership: the batch it has in hand is done. Without automatic commits that one is
// committed at once. SIGTERM closes. Exit status 1: an error ended the consumer.

#include "../support/member_program.hpp"

#include <kawait/kawait.hpp>
#include <kawait/log_observer.hpp>

#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace {

using namespace std::chrono_literals;

// Not by stdio: who reads may be slow, SIGTERM interrupts a write that waits for him, and stdio drops the line's rest.
void print(std::string line) {
  line += '\n';
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t written = ::write(STDOUT_FILENO, line.data() + at, line.size() - at);
    if (written < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "standard output");
    if (written > 0) at += static_cast<std::size_t>(written);
  }
}

class chain_member {
 public:
  chain_member(asio::io_context& context, const kawait::config& c, const std::string& topic)
      : context_(context),
        commits_itself_(!c.values().auto_commit),
        consumer_(context.get_executor(), c),
        signals_(context, SIGTERM),
        orders_(context) {
    consumer_.subscribe(topic);
  }

  int run() {
    spawn(run_consumer());
    spawn(follow_orders());
    signals_.async_wait([this](std::error_code ec, int) {
      if (!ec) spawn(close());
    });
    context_.run();
    return failed_ ? 1 : 0;
  }

 private:
  /// Tells its end, however the handler ends.
  class ownership {
   public:
    ownership(chain_member& m, const kawait::partition& p) : member_(m), partition_(p), number_(++m.last_), wake_(m.context_) {
      member_.owned_[number_] = this;
      print("own " + std::to_string(number_) + ' ' + std::to_string(p.index()));
    }
    ownership(const ownership&) = delete;
    ownership& operator=(const ownership&) = delete;
    ~ownership() {
      member_.owned_.erase(number_);
      print("end " + std::to_string(number_) + ' ' + std::to_string(static_cast<int>(partition_.end_reason())));
    }

    void show(const kawait::batch& batch) {
      is_done_ = false;
      wake_.expires_at(asio::steady_timer::time_point::max());
      std::string line = "batch " + std::to_string(number_);
      for (const kawait::record& r : batch) {
        line += ' ' + std::to_string(r.offset()) + ':';
        line += r.value().value_or("");
      }
      print(std::move(line));
    }

    void order() {
      is_done_ = true;
      wake_.cancel();
    }

    asio::awaitable<void> wait_for_order() {
      std::error_code ec;
      auto token = asio::redirect_error(asio::use_awaitable, ec);
      if (!is_done_) co_await wake_.async_wait(token);
      // Else it is the handler that was cancelled: the partition is lost.
      if (!is_done_) throw std::system_error(asio::error::operation_aborted);
    }

   private:
    chain_member& member_;
    kawait::partition partition_;
    std::int64_t number_;
    asio::steady_timer wake_;
    bool is_done_ = false;
  };

  void spawn(asio::awaitable<void> coroutine) { kawait::tests::spawn(context_, std::move(coroutine)); }

  asio::awaitable<void> close() {
    try {
      co_await consumer_.async_close();
    } catch (const kawait::error& e) {
      // Closed it is nevertheless; with a coordinator that is away, not everything could be told to it.
      std::cerr << "chain_member: close: " << e.what() << std::endl;
    }
  }

  asio::awaitable<void> run_consumer() {
    try {
      auto handler = [this](kawait::partition p) { return move_on(std::move(p)); };
      co_await kawait::for_each_partition(consumer_, handler);
    } catch (const std::exception& e) {
      failed_ = true;
      std::cerr << "chain_member: " << e.what() << std::endl;
    }
    signals_.cancel();
    orders_.close();
  }

  asio::awaitable<void> move_on(kawait::partition p) {
    ownership mine(*this, p);
    while (auto batch = co_await p.async_next()) {
      mine.show(*batch);
      co_await mine.wait_for_order();
      batch->done();
      if (commits_itself_) co_await commit(p);
    }
  }

  // A commit that a fault ate is tried again: nothing else commits what is done.
  asio::awaitable<void> commit(kawait::partition p) {
    for (;;) {
      std::error_code ec;
      auto token = asio::redirect_error(asio::use_awaitable, ec);
      co_await p.async_commit(token);
      if (!ec || p.is_stale() || !p.is_running()) co_return;
      co_await kawait::sleep_for(50ms);
    }
  }

  asio::awaitable<void> follow_orders() {
    while (const auto line = co_await orders_.async_next()) {
      const auto found = owned_.find(std::stoll(*line));
      if (found != owned_.end()) found->second->order();
    }
  }

  asio::io_context& context_;
  bool commits_itself_;
  kawait::consumer consumer_;
  asio::signal_set signals_;
  kawait::tests::order_lines orders_;
  std::map<std::int64_t, ownership*> owned_;
  std::int64_t last_ = 0;
  bool failed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  const auto make = [argv](asio::io_context& context, kawait::config& c) {
    c.add_observer(std::make_shared<kawait::log_observer>(kawait::log_level::info));
    return chain_member(context, c, argv[2]);
  };
  const std::span words(argv, static_cast<std::size_t>(argc));
  return kawait::tests::member_main("chain_member BOOTSTRAP TOPIC GROUP [property=value ...]", 0, words, make);
}
