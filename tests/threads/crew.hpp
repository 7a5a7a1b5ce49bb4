#pragma once

// Threads that work on what a test gives them.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <kawait/testing/world.hpp>

namespace threaded {

inline constexpr std::size_t workers = 8;

/// Until it is so: virtual time goes on while the threads work. False after a minute of real time.
template <class Predicate>
bool until(kawait::testing::world& w, Predicate predicate) {
  using namespace std::chrono_literals;
  const auto limit = std::chrono::steady_clock::now() + 60s;
  while (!predicate()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    w.advance(10ms);
    std::this_thread::sleep_for(50us);
  }
  return true;
}

/// A queue between threads. Closed and empty, it gives nothing.
template <class T>
class mailbox {
 public:
  void put(T t) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(t));
    changed_.notify_one();
  }
  std::optional<T> get() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !items_.empty(); });
    if (items_.empty()) return std::nullopt;
    std::optional<T> t(std::move(items_.front()));
    items_.pop_front();
    return t;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> items_;
  bool closed_ = false;
};

/// Eight threads that do something with all that is put into their mailbox.
template <class T>
class crew {
 public:
  template <class Work>
  explicit crew(Work work) {
    for (std::size_t i = 0; i < workers; ++i) {
      threads_.emplace_back([this, work] {
        while (auto item = box.get()) work(std::move(*item));
      });
    }
  }
  ~crew() { finish(); }
  void finish() {
    box.close();
    for (auto& t : threads_) t.join();
    threads_.clear();
  }

  mailbox<T> box;

 private:
  std::vector<std::thread> threads_;
};

}  // namespace threaded
