#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <kawait/net/connection.hpp>
#include <kawait/protocol/api_versions.hpp>
#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/testing/world.hpp>
#include <kawait/wire/reader.hpp>

namespace scripted {

using namespace std::chrono_literals;
namespace net = kawait::net;
namespace protocol = kawait::protocol;
namespace testing = kawait::testing;

/// A request as a broker sees it.
struct incoming {
  bool end = true;
  std::int16_t key = -1;
  std::int16_t version = -1;
  std::int32_t id = -1;
  std::string client_id;
  std::vector<std::byte> frame;
  std::size_t body = 0;

  incoming() = default;
  std::span<const std::byte> rest() const { return std::span<const std::byte>(frame).subspan(body); }
};

/// The broker's end of a connection, for a test's script.
class peer {
 public:
  explicit peer(std::unique_ptr<net::transport> stream) : stream_(std::move(stream)) {}

  asio::awaitable<bool> read(std::byte* to, std::size_t size);

  /// `end` is set when the client has closed the connection.
  asio::awaitable<incoming> next();

  /// Reads on until the client closes the connection, and answers nothing.
  asio::awaitable<void> drain();

  asio::awaitable<void> send(std::vector<std::byte> bytes);
  asio::awaitable<void> send_text(std::string text);
  /// A frame header: a length and a correlation id, whatever they are.
  asio::awaitable<void> send_header(std::int32_t length, std::int32_t id);

  template <class Response>
  asio::awaitable<void> answer(const incoming& to, Response response, std::int16_t version) {
    std::vector<std::byte> bytes;
    (void)protocol::encode_response(bytes, response, version, to.id);
    co_await send(std::move(bytes));
  }
  template <class Response>
  asio::awaitable<void> answer(const incoming& to, Response response) {
    co_await answer(to, std::move(response), to.version);
  }

  /// Answers ApiVersions with what a Kafka 4.3 broker has, as far as these tests need it. False: it was something else.
  asio::awaitable<bool> shake_hands();

  static protocol::api_versions_response kafka_43();
  static void add(protocol::api_versions_response& r, std::int16_t key, std::int16_t min, std::int16_t max);

  void close() { stream_->close(); }

 private:
  std::unique_ptr<net::transport> stream_;
};

/// A cluster of one broker, told apart by its id.
protocol::metadata_response metadata_of(std::int32_t node, std::string_view host = "broker");

/// A broker that answers every Metadata request at once: its controller id is the count of the request on its connection.
asio::awaitable<void> serve_metadata(std::unique_ptr<net::transport> stream);

/// Shakes hands, and answers one Fetch after another with records of so many bytes; wrong_bytes() tells whether they came as they left.
asio::awaitable<void> serve_fetches(peer& p, std::vector<std::size_t> sizes);
std::size_t wrong_bytes(std::span<const std::byte> records);

using opened = kawait::result<std::shared_ptr<net::connection>>;

opened open(testing::world& w, net::connection_options options = net::connection_options());

/// A coroutine whose result nobody looks at.
template <class T>
asio::awaitable<void> drop(asio::awaitable<T> coroutine) {
  const auto unused = co_await std::move(coroutine);
  (void)unused;
}

using metadata_answer = kawait::result<net::answer<protocol::metadata_request>>;

/// A request whose end the test looks at.
struct exchange {
  std::optional<metadata_answer> end;
  net::time_point at{};
  std::exception_ptr error;
  bool finished = false;
};

std::shared_ptr<exchange> ask(testing::world& w, const std::shared_ptr<net::connection>& c,
                              std::chrono::milliseconds timeout = 30s, asio::cancellation_slot slot = {});

}  // namespace scripted
