#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/protocol/field.hpp>
#include <kawait/wire/reader.hpp>

namespace kawait::protocol {

/// Reads a message of one version. Afterwards the reader says whether it was sound, and path() which field was not.
class decoder {
 public:
  decoder(wire::reader& in, std::int16_t version, bool flexible) noexcept : in_(in), version_(version), flexible_(flexible) {}

  /// "Responses.Partitions.Records", or empty where a section of tags as a whole did not decode.
  const std::string& path() const noexcept { return path_; }

  /// `m` is freshly constructed: fields that the version lacks are left alone.
  template <structure Message>
  void read_struct(Message& m) {
    fields_of<Message> visit{*this, m};
    Message::fields(visit);
    if (flexible_) read_tags(m);
  }

 private:
  template <class Message>
  struct fields_of {
    decoder& self;
    Message& m;

    template <class T>
    void operator()(const field& f, T Message::*member) {
      if (f.is_tagged() || !f.in(self.version_)) return;
      self.read_field(f, m.*member);
    }
  };

  /// Reads the one field that has the tag, if this version knows it.
  template <class Message>
  struct tag_of {
    decoder& self;
    Message& m;
    std::uint32_t tag;
    bool found = false;

    template <class T>
    void operator()(const field& f, T Message::*member) {
      if (!f.is_tagged() || static_cast<std::uint32_t>(f.tag()) != tag || !f.in(self.version_)) return;
      found = true;
      T& value = m.*member;
      value = T{};
      self.read_field(f, value);
    }
  };

  template <class Message>
  void read_tags(Message& m) {
    for (std::uint32_t n = in_.read_uvarint(); n > 0 && !in_.bad(); --n) {
      const std::uint32_t tag = in_.read_uvarint();
      const std::uint32_t size = in_.read_uvarint();
      const std::byte* const end = in_.narrow(size);
      tag_of<Message> visit{*this, m, tag};
      if (!in_.bad()) Message::fields(visit);
      if (!visit.found) in_.read_bytes(in_.left());
      in_.widen(end);
    }
  }

  template <class T>
  void read_field(const field& f, T& value) {
    if (in_.bad()) return;
    read_value(value, f.is_nullable(version_));
    if (in_.bad()) [[unlikely]] note(f.name());
  }

  /// Called from the inside out: the innermost field first.
  KAWAIT_DECL void note(const char* name);

  template <class T>
  void read_value(T& value, bool nullable) {
    if constexpr (is_optional<T>) {
      read_optional(value, nullable);
    } else if constexpr (std::same_as<T, std::string_view>) {
      if (const std::optional<std::string_view> s = in_.read_string(flexible_)) value = *s; else in_.fail();
    } else if constexpr (std::same_as<T, bytes_view>) {
      if (const std::optional<bytes_view> b = in_.read_sized_bytes(flexible_)) value = *b; else in_.fail();
    } else if constexpr (is_array<T>) {
      if (const std::optional<std::size_t> n = count_of<T>()) read_elements(value, *n); else in_.fail();
    } else if constexpr (structure<T>) {
      read_struct(value);
    } else if constexpr (std::same_as<T, uuid>) {
      value = in_.read_uuid();
    } else {
      value = in_.read<T>();
    }
  }

  template <class T>
  void read_optional(std::optional<T>& value, bool nullable) {
    bool null = false;
    if constexpr (std::same_as<T, std::string_view>) {
      value = in_.read_string(flexible_);
      null = !value;
    } else if constexpr (std::same_as<T, bytes_view>) {
      value = in_.read_sized_bytes(flexible_);
      null = !value;
    } else if constexpr (is_array<T>) {
      const std::optional<std::size_t> n = count_of<T>();
      null = !n;
      if (n) {
        read_elements(value.emplace(), *n);
      } else {
        value.reset();
      }
    } else {
      static_assert(structure<T>);
      // A struct that may be null has a byte in front of it where it may: negative for null (KIP-893).
      null = nullable && in_.read<std::int8_t>() < 0;
      if (null || in_.bad()) {
        value.reset();
      } else {
        read_struct(value.emplace());
      }
    }
    if (null && !nullable) in_.fail();
  }

  template <class Array>
  std::optional<std::size_t> count_of() {
    return in_.read_count(flexible_, detail::smallest<typename Array::value_type>(version_, flexible_));
  }

  template <class T>
  void read_elements(std::vector<T>& values, std::size_t n) {
    values.clear();
    values.resize(n);
    for (T& value : values) {
      read_value(value, false);
      if (in_.bad()) return;
    }
  }

  wire::reader& in_;
  std::int16_t version_;
  bool flexible_;
  std::string path_;
};

}  // namespace kawait::protocol

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/protocol/impl/decoder.ipp>
#endif
