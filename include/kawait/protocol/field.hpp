#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::protocol {

/// What Kafka's message definitions say about one field. A message lists its fields once, in the order of the wire, in
/// `template <class Visitor> static void fields(Visitor&& visit)` by calls `visit(field("KafkaName"), &message::member)`;
/// encoding, decoding, and the tests' comparison with Kafka's own definitions are visitors of that list.
/// A field's default is that of a default-constructed message; its type follows from the member's.
class field {
 public:
  static constexpr std::int16_t last_version = std::numeric_limits<std::int16_t>::max();

  constexpr explicit field(const char* name) noexcept : name_(name) {}

  /// The first version that has the field (default 0), and the last.
  constexpr field since(std::int16_t first) const noexcept {
    field f = *this;
    f.first_ = first;
    return f;
  }
  constexpr field until(std::int16_t last) const noexcept {
    field f = *this;
    f.last_ = last;
    return f;
  }
  /// The first version in which it may be null.
  constexpr field nullable(std::int16_t first = 0) const noexcept {
    field f = *this;
    f.nullable_ = first;
    return f;
  }
  /// Sent as a tagged field (KIP-482). A message lists its tags in ascending order.
  constexpr field tagged(std::int16_t tag) const noexcept {
    field f = *this;
    f.tag_ = tag;
    return f;
  }
  /// Left out without complaint in versions that lack it, whatever its value.
  constexpr field ignorable() const noexcept {
    field f = *this;
    f.ignorable_ = true;
    return f;
  }

  constexpr const char* name() const noexcept { return name_; }
  constexpr std::int16_t first() const noexcept { return first_; }
  constexpr std::int16_t last() const noexcept { return last_; }
  constexpr bool in(std::int16_t version) const noexcept { return first_ <= version && version <= last_; }
  constexpr bool is_nullable(std::int16_t version) const noexcept { return version >= nullable_; }
  constexpr std::int16_t first_nullable() const noexcept { return nullable_; }
  constexpr bool is_tagged() const noexcept { return tag_ >= 0; }
  constexpr std::int16_t tag() const noexcept { return tag_; }
  constexpr bool is_ignorable() const noexcept { return ignorable_; }

 private:
  const char* name_;
  std::int16_t first_ = 0;
  std::int16_t last_ = last_version;
  std::int16_t nullable_ = last_version;
  std::int16_t tag_ = -1;
  bool ignorable_ = false;
};

/// Bytes or records of a message: a view of the buffer it was decoded from.
using bytes_view = std::span<const std::byte>;

namespace detail {

struct any_visitor {
  template <class Message, class T>
  void operator()(const field&, T Message::*) const noexcept {}
};

template <class T>
struct optional_of : std::false_type {
  using value_type = T;
};
template <class T>
struct optional_of<std::optional<T>> : std::true_type {
  using value_type = T;
};

template <class T>
struct vector_of : std::false_type {};
template <class T>
struct vector_of<std::vector<T>> : std::true_type {
  using element_type = T;
};

}  // namespace detail

/// A message, or a struct within one.
template <class T>
concept structure = requires(const detail::any_visitor& v) { T::fields(v); };

/// A member that can be null, and what it holds.
template <class T>
inline constexpr bool is_optional = detail::optional_of<T>::value;
template <class T>
using without_optional = typename detail::optional_of<T>::value_type;

template <class T>
inline constexpr bool is_array = detail::vector_of<T>::value;

/// A default-constructed T: holds the defaults of its fields.
template <class T>
const T& defaults_of() {
  static const T value{};
  return value;
}

/// Whether a member has its default value; for arrays and bytes, as for Kafka, whether it is as empty.
template <class T>
bool is_default(const T& value, const T& initial) {
  if constexpr (is_optional<T>) {
    if (!value || !initial) return value.has_value() == initial.has_value();
    if constexpr (structure<without_optional<T>>) {
      return false;  // the default of every struct that may be null is null
    } else {
      return is_default(*value, *initial);
    }
  } else if constexpr (is_array<T> || std::same_as<T, bytes_view>) {
    return value.empty();
  } else {
    return value == initial;
  }
}

namespace detail {

template <structure T>
std::size_t smallest_struct(std::int16_t version, bool flexible);

/// The fewest bytes that a value can take: what bounds an array's count before anything is allocated for it.
template <class T>
std::size_t smallest(std::int16_t version, bool flexible) {
  using value = without_optional<T>;
  if constexpr (structure<value>) {
    return is_optional<T> ? 1 : smallest_struct<value>(version, flexible);
  } else if constexpr (std::same_as<value, std::string_view>) {
    return flexible ? 1 : 2;
  } else if constexpr (is_array<value> || std::same_as<value, bytes_view>) {
    return flexible ? 1 : 4;
  } else {
    return sizeof(value);  // integers, bool, uuid
  }
}

struct smallest_visitor {
  std::int16_t version;
  bool flexible;
  std::size_t size = 0;

  template <class Message, class T>
  void operator()(const field& f, T Message::*) {
    if (f.in(version) && !f.is_tagged()) size += smallest<T>(version, flexible);
  }
};

template <structure T>
std::size_t smallest_struct(std::int16_t version, bool flexible) {
  smallest_visitor visit{version, flexible};
  T::fields(visit);
  const std::size_t size = visit.size + (flexible ? 1 : 0);
  return size == 0 ? 1 : size;  // a divisor
}

}  // namespace detail
}  // namespace kawait::protocol
