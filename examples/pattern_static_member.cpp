// A static member of a group that reads all topics whose names match a pattern, those made later included. Restarted within the
// session time-out (the broker's group.consumer.session.timeout.ms), it gets its partitions back and no other member notices:
// rolling restarts without rebalances.
//
//   pattern_static_member BOOTSTRAP PATTERN GROUP INSTANCE
//
// PATTERN: of whole names, as RE2/J has it: 'orders.*'. INSTANCE: unlike those of the group's other members, and the same after a
// restart: a host's name, a StatefulSet's pod. Ends by SIGINT and SIGTERM. Prints what is assigned, revoked and lost.

#include <kawait/kawait.hpp>

#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>

#include <iostream>
#include <utility>

asio::awaitable<void> read(kawait::partition p) {
  while (auto batch = co_await p.async_next()) batch->done();  // the work
}

// The second way to read: events tell what comes and goes, and each partition's reader is started by us.
class member {
 public:
  member(asio::io_context& context, const kawait::config& config, const char* pattern)
      : context_(&context), consumer_(context.get_executor(), config), signals_(context, SIGINT, SIGTERM) {
    consumer_.subscribe_pattern(pattern);
  }

  int run() {
    const auto ended = [this](std::exception_ptr thrown) {
      signals_.cancel();  // nothing is left to close
      report(thrown);
    };
    asio::co_spawn(*context_, consumer_.async_run(), ended);
    start(follow());
    start(close_on_signal());
    context_->run();
    return status_;
  }

 private:
  asio::awaitable<void> follow() {
    for (;;) {
      std::error_code ended;
      kawait::event e = co_await consumer_.async_next_event(asio::redirect_error(asio::use_awaitable, ended));
      if (ended) co_return;  // with async_run, which says why
      const bool is_new = e.what == kawait::event::kind::assigned;
      std::cout << (is_new ? "assigned" : e.what == kawait::event::kind::revoked ? "revoked" : "lost");
      for (const kawait::partition& p : e.partitions) std::cout << ' ' << p.name().to_string();
      std::cout << std::endl;
      if (is_new) {
        for (const kawait::partition& p : e.partitions) start(read(p));
      } else if (e.revocation) {
        start(give_up(e.revocation));
      }
    }
  }

  // Completes once the readers have released their batches and what is done is committed; then the broker is told. Where that
  // fails (errc::lost, commit_failed, revocation_deadline) the partitions are gone all the same, and their next owner reads some of
  // it again: this member goes on.
  asio::awaitable<void> give_up(kawait::revocation r) {
    try {
      co_await consumer_.async_incremental_unassign(r);
    } catch (const kawait::error& e) {
      std::cerr << "given up: " << e.what() << std::endl;
    }
  }

  asio::awaitable<void> close_on_signal() {
    std::error_code ended;
    co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    if (!ended) begin_close();
  }

  // A static member that closes says "back soon" (KIP-345): nothing moves while its session lasts. To go for good:
  // async_close(kawait::leave_kind::leave_group).
  void begin_close() {
    if (!std::exchange(closing_, true)) start(consumer_.async_close());
  }

  // A member of which a part has failed, a partition's reader most likely, closes. A supervisor may start us again.
  void start(asio::awaitable<void> coroutine) {
    asio::co_spawn(*context_, std::move(coroutine), [this](std::exception_ptr thrown) {
      if (report(thrown)) begin_close();
    });
  }

  bool report(std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
      return false;
    } catch (const std::exception& e) {
      std::cerr << e.what() << std::endl;
    }
    status_ = 1;
    return true;
  }

  asio::io_context* context_;
  kawait::consumer consumer_;
  asio::signal_set signals_;
  bool closing_ = false;
  int status_ = 0;
};

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: pattern_static_member BOOTSTRAP PATTERN GROUP INSTANCE\n";
    return 2;
  }
  try {
    asio::io_context context(1);
    kawait::config config(argv[1]);
    config.group_id(argv[3]).group_instance_id(argv[4]).auto_offset_reset(kawait::offset_reset::earliest);
    member m(context, config, argv[2]);
    return m.run();
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
