#pragma once

#include <cstdint>

#include <kawait/protocol/field.hpp>

namespace kawait::testing::messages {

/// A message of kawait/protocol in older versions than the client speaks, for a broker that serves older clients. Its fields
/// must be declared for those versions too, which the protocol tests check.
template <class Message, std::int16_t Min>
struct since_version : Message {
  static constexpr std::int16_t min_version = Min;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    Message::fields([&]<class T>(const protocol::field& f, T Message::*member) {
      visit(f, static_cast<T since_version::*>(member));
    });
  }
};
template <class Message, std::int16_t Min>
  requires requires { typename Message::response; }
struct since_version<Message, Min> : Message {
  static constexpr std::int16_t min_version = Min;
  using response = since_version<typename Message::response, Min>;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    Message::fields([&]<class T>(const protocol::field& f, T Message::*member) {
      visit(f, static_cast<T since_version::*>(member));
    });
  }
};

/// The constants of a message.
template <std::int16_t Key, std::int16_t Min, std::int16_t Max, std::int16_t Flexible>
struct api {
  static constexpr std::int16_t api_key = Key, min_version = Min, max_version = Max, first_flexible_version = Flexible;
};

}  // namespace kawait::testing::messages
