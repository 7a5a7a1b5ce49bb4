#pragma once

#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>
#include <asio/cancellation_signal.hpp>

#include <kawait/batch.hpp>
#include <kawait/detail/cancellation.hpp>
#include <kawait/for_each_record.hpp>
#include <kawait/machine/key_order.hpp>
#include <kawait/net/timer.hpp>

namespace kawait::detail {

/// Works on several records of one partition at once: reads batches, and lets up to so many coroutines each take the next record that
/// may begin. All of it on the executor of the partition's handlers. Batches are held until all of their records are done.
class record_crew : public std::enable_shared_from_this<record_crew> {
 public:
  KAWAIT_DECL record_crew(std::shared_ptr<record_host> host, partition p, asio::any_io_executor executor);
  record_crew(const record_crew&) = delete;
  record_crew& operator=(const record_crew&) = delete;

  /// Until the stream has ended, or a handler threw, and the last handler has ended.
  KAWAIT_DECL static asio::awaitable<void> run(std::shared_ptr<record_crew> self);

 private:
  struct held_batch {
    explicit held_batch(batch b) : what(std::move(b)), at(what.begin()) {}
    batch what;
    batch::iterator at;      ///< The next record to be handed to a handler.
    std::size_t open = 0;    ///< Handed on, and not done.
  };
  using held = std::list<held_batch>::iterator;
  struct item {
    item(held b, const record& r) : from(b), what(r) {}
    held from;
    record what;
  };
  using work = machine::key_order<item>::work;

  // As objects, since a lambda with captures in a coroutine's arguments is destroyed twice by g++ 12.
  struct worker_operation {
    worker_operation(std::shared_ptr<record_crew> c, std::shared_ptr<cancellation_relay> r) : crew(std::move(c)), cancel(std::move(r)) {}
    std::shared_ptr<record_crew> crew;
    std::shared_ptr<cancellation_relay> cancel;
    asio::awaitable<void> operator()() { return work_on(std::move(crew), cancel); }  // see handler_host::handler_operation
  };
  /// A worker that has begun, also if its coroutine is destroyed.
  class present {
   public:
    explicit present(record_crew& c) : crew_(c) {}
    present(const present&) = delete;
    present& operator=(const present&) = delete;
    ~present() {
      --crew_.workers_;
      crew_.changed_.notify_all();
    }

   private:
    record_crew& crew_;
  };

  KAWAIT_DECL asio::awaitable<void> read();
  KAWAIT_DECL bool hand_on();
  KAWAIT_DECL void start_read();
  KAWAIT_DECL void on_read(std::error_code code, std::optional<batch> next);
  KAWAIT_DECL asio::awaitable<void> wait();
  KAWAIT_DECL void start_worker();
  KAWAIT_DECL static asio::awaitable<void> work_on(std::shared_ptr<record_crew> self, std::shared_ptr<cancellation_relay> cancel);
  KAWAIT_DECL asio::awaitable<bool> handle(const item& one, work_turn& turn);
  KAWAIT_DECL void on_done(const item& one);
  KAWAIT_DECL void close_if_done(held b);
  KAWAIT_DECL void fail(std::exception_ptr why);
  KAWAIT_DECL void cancel_workers();
  bool is_over() const noexcept { return thrown_ || cancelled_ || partition_.end_reason() != end_reason::none; }

  std::shared_ptr<record_host> host_;
  partition partition_;
  asio::any_io_executor executor_;
  std::size_t most_;
  std::size_t window_;  // of records that wait for a worker or behind their key
  machine::key_order<item> order_;
  std::list<held_batch> in_hand_;
  net::condition changed_;
  std::size_t workers_ = 0;
  std::vector<std::weak_ptr<cancellation_relay>> cancels_;
  asio::cancellation_signal read_cancel_;
  diagnostics words_;
  bool is_reading_ = false;
  bool has_ended_ = false;       // no further batch comes
  bool quota_is_full_ = false;   // until a batch in hand is released
  bool has_closed_ = false;      // a batch in hand was released since the last read began
  bool cancelled_ = false;       // by the host, which expects operation_aborted
  bool has_cancelled_workers_ = false;
  std::exception_ptr thrown_;
};

}  // namespace kawait::detail

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/record_crew.ipp>
#endif
