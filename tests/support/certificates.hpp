#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

struct ssl_ctx_st;

namespace kawait::tests {

/// Both in PEM.
struct certificate {
  std::string text;
  std::string key;
};

/// When a certificate is good, from now.
struct validity {
  std::chrono::seconds from{-3600};
  std::chrono::seconds until{86400};

  validity() = default;
  validity(std::chrono::seconds f, std::chrono::seconds u) : from(f), until(u) {}
};

/// Signs certificates for a test; its own is what has to be trusted.
class authority {
 public:
  explicit authority(std::string name);

  const std::string& text() const noexcept { return own_.text; }
  /// `subjects`: "DNS:localhost", "IP:127.0.0.1". With a password the key is encrypted.
  certificate issue(const std::string& name, const std::vector<std::string>& subjects, validity when = validity(),
                    const std::string& key_password = {}) const;

 private:
  std::string name_;
  certificate own_;
};

/// For the broker's end of a connection. `clients`: whose certificates a client has to show; empty: none.
std::shared_ptr<ssl_ctx_st> server_context(const certificate& own, const std::string& clients = {});

/// Writes it anew, so that readers see the old file or the new one.
void write_file(const std::string& path, const std::string& text);

}  // namespace kawait::tests
