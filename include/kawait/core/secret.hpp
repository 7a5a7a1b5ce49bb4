#pragma once

#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kawait {

namespace detail {

/// Overwrites memory that is about to be given back: volatile, so that no compiler takes it for useless.
inline void cleanse(void* memory, std::size_t size) noexcept {
  volatile unsigned char* const bytes = static_cast<volatile unsigned char*>(memory);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = 0;
}

/// The same for all that a buffer ever held; it is empty then.
inline void cleanse(std::vector<std::byte>& buffer) noexcept {
  buffer.resize(buffer.capacity());
  cleanse(buffer.data(), buffer.size());
  buffer.clear();
}

/// Whether they are alike, in a time that depends on the first's size alone.
inline bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
  unsigned differences = a.size() == b.size() ? 0u : 1u;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = i < b.size() ? b[i] : '\0';
    differences |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return differences == 0;
}

}  // namespace detail

/// A password, a token, a private key: text that no log, error or observer gets to see, and whose memory is overwritten before it is
/// given back. Copies are as secret; what reveal() gives is not.
class secret {
 public:
  secret() noexcept = default;
  explicit secret(std::string_view text) : secret({text}) {}
  /// Of parts, put together.
  secret(std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) size_ += part.size();
    if (size_ == 0) return;
    text_ = std::make_unique<char[]>(size_);
    char* to = text_.get();
    for (const std::string_view part : parts) {
      if (!part.empty()) std::memcpy(to, part.data(), part.size());
      to += part.size();
    }
  }
  secret(const secret& other) : secret({other.reveal()}) {}
  secret(secret&& other) noexcept : text_(std::move(other.text_)), size_(std::exchange(other.size_, 0)) {}
  secret& operator=(secret other) noexcept {
    std::swap(text_, other.text_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~secret() {
    if (text_) detail::cleanse(text_.get(), size_);
  }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  /// The text itself, for as long as this object is neither changed nor destroyed.
  std::string_view reveal() const noexcept { return {text_.get(), size_}; }
  /// "***"
  std::string to_string() const { return "***"; }

  /// In constant time, but for the size.
  friend bool operator==(const secret& a, const secret& b) noexcept {
    return detail::equal_in_constant_time(a.reveal(), b.reveal());
  }
  template <class Traits>
  friend std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const secret&) {
    return out << "***";
  }

 private:
  std::unique_ptr<char[]> text_;
  std::size_t size_ = 0;
};

}  // namespace kawait
