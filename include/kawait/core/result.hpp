#pragma once

#include <utility>
#include <variant>

#include <kawait/core/error.hpp>

namespace kawait {

/// A value or a failure (std::expected is C++23). Test it before the value is used.
template <class T>
class [[nodiscard]] result {
 public:
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(failure f) : state_(std::in_place_index<1>, std::move(f)) {}
  result(std::error_code code) : state_(std::in_place_index<1>, code) {}
  result(errc e) : result(make_error_code(e)) {}
  result(kafka_error e) : result(make_error_code(e)) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }

  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }

  failure& error() & { return std::get<1>(state_); }
  const failure& error() const& { return std::get<1>(state_); }
  failure&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, failure> state_;
};

}  // namespace kawait
