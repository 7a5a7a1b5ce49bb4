// Prints every declared message and field as a line of JSON, for compare_declarations.py.
#include <concepts>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

#include "protocol/all_messages.hpp"

namespace {

using kawait::protocol::field;

template <class T>
std::string type_of() {
  using value = kawait::protocol::without_optional<T>;
  if constexpr (kawait::protocol::is_array<value>) {
    return "[]" + type_of<typename value::value_type>();
  } else if constexpr (kawait::protocol::structure<value>) {
    return "struct";
  } else if constexpr (std::same_as<value, std::string_view>) {
    return "string";
  } else if constexpr (std::same_as<value, kawait::protocol::bytes_view>) {
    return "records";
  } else if constexpr (std::same_as<value, kawait::uuid>) {
    return "uuid";
  } else if constexpr (std::same_as<value, bool>) {
    return "bool";
  } else {
    static_assert(std::signed_integral<value>);
    return "int" + std::to_string(sizeof(value) * 8);
  }
}

template <class T>
std::string default_of(const T& value) {
  if constexpr (kawait::protocol::is_optional<T>) {
    return value ? default_of(*value) : "null";
  } else if constexpr (std::same_as<T, std::string_view>) {
    return std::string(value);
  } else if constexpr (kawait::protocol::is_array<T> || std::same_as<T, kawait::protocol::bytes_view>) {
    return value.empty() ? "empty" : "not empty";
  } else if constexpr (kawait::protocol::structure<T>) {
    return "struct";
  } else if constexpr (std::same_as<T, kawait::uuid>) {
    return value.is_zero() ? "zero" : value.to_string();
  } else if constexpr (std::same_as<T, bool>) {
    return value ? "true" : "false";
  } else {
    return std::to_string(value);
  }
}

/// The struct that an array, or something nullable, holds in the end; void if none.
template <class T>
struct innermost {
  using type = T;
};
template <class T>
struct innermost<std::optional<T>> : innermost<T> {};
template <class T>
struct innermost<std::vector<T>> : innermost<T> {};

template <class Message>
struct printer {
  const std::string& message;
  std::string prefix;
  Message defaults{};

  template <class T>
  void operator()(const field& f, T Message::*member) {
    const std::string path = prefix + f.name();
    std::cout << "{\"message\": \"" << message << "\", \"path\": \"" << path << "\", \"type\": \"" << type_of<T>()
              << "\", \"optional\": " << (kawait::protocol::is_optional<T> ? "true" : "false") << ", \"first\": " << f.first()
              << ", \"last\": " << f.last() << ", \"first_nullable\": " << f.first_nullable() << ", \"tag\": " << f.tag()
              << ", \"ignorable\": " << (f.is_ignorable() ? "true" : "false") << ", \"default\": \""
              << default_of(defaults.*member) << "\"}\n";
    using inner = typename innermost<T>::type;
    if constexpr (kawait::protocol::structure<inner>) {
      printer<inner> nested{message, path + "."};
      inner::fields(nested);
    }
  }
};

}  // namespace

int main() {
  kawait::test::for_each_message([]<class Message>() {
    const std::string name = kawait::test::kafka_name<Message>();
    std::cout << "{\"message\": \"" << name << "\", \"api_key\": " << Message::api_key << ", \"min\": " << Message::min_version
              << ", \"max\": " << Message::max_version << ", \"flexible\": " << Message::first_flexible_version << "}\n";
    printer<Message> print{name, ""};
    Message::fields(print);
  });
}
