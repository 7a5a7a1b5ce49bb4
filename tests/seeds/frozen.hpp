#pragma once

#include <deque>
#include <memory>
#include <type_traits>
#include <utility>

#include <asio/execution.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

namespace seeds {

/// Says whether a process stands still, and keeps what it would have run meanwhile.
class freezer {
 public:
  explicit freezer(asio::io_context::executor_type inner) : inner_(inner) {}

  bool is_frozen() const noexcept { return frozen_; }
  void freeze() noexcept { frozen_ = true; }
  void thaw() {
    frozen_ = false;
    for (auto& f : std::exchange(kept_, {})) {
      asio::post(inner_, [f = std::move(f)] { f->run(); });
    }
  }
  template <class Function>
  void keep(Function f) {
    kept_.push_back(std::make_unique<kept_one<Function>>(std::move(f)));
  }
  const asio::io_context::executor_type& inner() const noexcept { return inner_; }

 private:
  struct kept {
    virtual ~kept() = default;
    virtual void run() = 0;
  };
  template <class Function>
  struct kept_one final : kept {
    explicit kept_one(Function f) : function(std::move(f)) {}
    void run() override { std::move(function)(); }
    Function function;
  };

  asio::io_context::executor_type inner_;
  bool frozen_ = false;
  std::deque<std::unique_ptr<kept>> kept_;
};

/// An executor of a world whose consumer can be stopped as by SIGSTOP: the network and the other members go on.
class freezing_executor {
 public:
  explicit freezing_executor(std::shared_ptr<freezer> f) : freezer_(std::move(f)) {}

  asio::execution_context& query(asio::execution::context_t) const noexcept { return freezer_->inner().context(); }
  static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
    return asio::execution::blocking.never;
  }

  template <class Function>
  void execute(Function&& function) const {
    using value = std::decay_t<Function>;
    asio::post(freezer_->inner(), resumption<value>(freezer_, std::forward<Function>(function)));
  }

  friend bool operator==(const freezing_executor& a, const freezing_executor& b) noexcept { return a.freezer_ == b.freezer_; }
  friend bool operator!=(const freezing_executor& a, const freezing_executor& b) noexcept { return !(a == b); }

 private:
  template <class Function>
  struct resumption {
    resumption(std::shared_ptr<freezer> f, Function what) : owner(std::move(f)), function(std::move(what)) {}
    std::shared_ptr<freezer> owner;
    Function function;

    void operator()() {
      if (!owner->is_frozen()) return std::move(function)();
      const auto keeper = owner;
      keeper->keep(std::move(*this));
    }
  };

  std::shared_ptr<freezer> freezer_;
};

}  // namespace seeds
