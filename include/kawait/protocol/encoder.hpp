#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/protocol/field.hpp>
#include <kawait/wire/reader.hpp>
#include <kawait/wire/writer.hpp>

namespace kawait::protocol {

/// Writes a message of one version. What the version cannot carry is refused, not dropped: failed() says so, path() names the
/// field and reason() the cause; the bytes written are then worthless.
class encoder {
 public:
  encoder(wire::writer& out, std::int16_t version, bool flexible) noexcept : out_(out), version_(version), flexible_(flexible) {}

  bool failed() const noexcept { return reason_ != nullptr; }
  const std::string& path() const noexcept { return path_; }
  const char* reason() const noexcept { return reason_; }
  /// errc::unsupported_broker where a newer version could carry the value, errc::invalid_config where none can.
  errc code() const noexcept { return code_; }

  template <structure Message>
  void write_struct(const Message& m) {
    fields_of<Message> visit{*this, m};
    Message::fields(visit);
    if (!flexible_ || failed()) return;
    out_.write_uvarint(visit.tags);
    if (visit.tags == 0) return;
    tags_of<Message> tagged{*this, m};
    Message::fields(tagged);
  }

 private:
  /// Writes what is not tagged, and counts the tags that will follow.
  template <class Message>
  struct fields_of {
    encoder& self;
    const Message& m;
    std::uint32_t tags = 0;

    template <class T>
    void operator()(const field& f, T Message::*member) {
      if (self.failed()) return;
      const T& value = m.*member;
      if (!f.in(self.version_)) {
        if (!f.is_ignorable() && !is_default(value, defaults_of<Message>().*member)) {
          self.refuse("the version lacks the field", errc::unsupported_broker);
        }
      } else if (f.is_tagged()) {
        if (!is_default(value, defaults_of<Message>().*member)) ++tags;
      } else {
        self.write_value(value, f.is_nullable(self.version_));
      }
      if (self.failed()) [[unlikely]] self.note(f.name());
    }
  };

  template <class Message>
  struct tags_of {
    encoder& self;
    const Message& m;

    template <class T>
    void operator()(const field& f, T Message::*member) {
      if (self.failed() || !f.is_tagged() || !f.in(self.version_)) return;
      const T& value = m.*member;
      if (is_default(value, defaults_of<Message>().*member)) return;
      self.out_.write_uvarint(static_cast<std::uint32_t>(f.tag()));
      const std::size_t begin = self.out_.size();
      self.write_value(value, f.is_nullable(self.version_));
      self.out_.insert_size(begin);
      if (self.failed()) [[unlikely]] self.note(f.name());
    }
  };

  void refuse(const char* reason, errc code) noexcept {
    reason_ = reason;
    code_ = code;
  }
  /// Called from the inside out: the innermost field first.
  KAWAIT_DECL void note(const char* name);

  template <class T>
  void write_value(const T& value, bool nullable) {
    if constexpr (is_optional<T>) {
      if (value) {
        if constexpr (structure<without_optional<T>>) {
          if (nullable) out_.write(std::int8_t{1});
        }
        write_value(*value, false);
      } else if (!nullable) {
        refuse("null is not allowed in this version", errc::unsupported_broker);
      } else if constexpr (std::same_as<without_optional<T>, std::string_view>) {
        out_.write_null_string(flexible_);
      } else if constexpr (structure<without_optional<T>>) {
        out_.write(std::int8_t{-1});
      } else {
        out_.write_null(flexible_);
      }
    } else if constexpr (std::same_as<T, std::string_view>) {
      if (value.size() > wire::max_string_size) return refuse("longer than 32767 bytes", errc::invalid_config);
      out_.write_string(value, flexible_);
    } else if constexpr (std::same_as<T, bytes_view>) {
      if (!write_count(value.size())) return;
      out_.write_bytes(value);
    } else if constexpr (is_array<T>) {
      if (!write_count(value.size())) return;
      for (const auto& element : value) {
        write_value(element, false);
        if (failed()) return;
      }
    } else if constexpr (structure<T>) {
      write_struct(value);
    } else if constexpr (std::same_as<T, uuid>) {
      out_.write_uuid(value);
    } else {
      out_.write(value);
    }
  }

  bool write_count(std::size_t n) {
    if (n >= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      refuse("longer than a frame", errc::invalid_config);
      return false;
    }
    out_.write_count(n, flexible_);
    return true;
  }

  wire::writer& out_;
  std::int16_t version_;
  bool flexible_;
  errc code_ = errc::unsupported_broker;
  const char* reason_ = nullptr;
  std::string path_;
};

}  // namespace kawait::protocol

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/protocol/impl/encoder.ipp>
#endif
