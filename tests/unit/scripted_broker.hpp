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

  asio::awaitable<bool> read(std::byte* to, std::size_t size) {
    std::size_t done = 0;
    while (done < size) {
      std::error_code ec;
      const std::span<std::byte> room(to + done, size - done);
      const std::size_t n = co_await stream_->read_some(room, ec);
      if (ec) co_return false;
      done += n;
    }
    co_return true;
  }

  /// `end` is set when the client has closed the connection.
  asio::awaitable<incoming> next() {
    incoming r;
    std::byte length[4];
    const bool more = co_await read(length, 4);
    if (!more) co_return r;
    r.frame.resize(static_cast<std::size_t>(kawait::wire::load_big_endian<std::int32_t>(length)));
    const bool whole = co_await read(r.frame.data(), r.frame.size());
    if (!whole) co_return r;
    std::span<const std::byte> rest(r.frame);
    const auto header = protocol::read_request_header(rest);
    if (!header) co_return r;
    r.end = false;
    r.key = header->api_key;
    r.version = header->api_version;
    r.id = header->correlation_id;
    r.client_id = std::string(header->client_id.value_or(""));
    r.body = r.frame.size() - rest.size();
    co_return r;
  }

  /// Reads on until the client closes the connection, and answers nothing.
  asio::awaitable<void> drain() {
    for (bool end = false; !end;) {
      const incoming r = co_await next();
      end = r.end;
    }
  }

  asio::awaitable<void> send(std::vector<std::byte> bytes) {
    std::error_code ec;
    co_await stream_->write(bytes, ec);
  }
  asio::awaitable<void> send_text(std::string text) {
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    std::vector<std::byte> bytes(data, data + text.size());
    co_await send(std::move(bytes));
  }
  /// A frame header: a length and a correlation id, whatever they are.
  asio::awaitable<void> send_header(std::int32_t length, std::int32_t id) {
    std::vector<std::byte> bytes;
    kawait::wire::writer w(bytes);
    w.write(length);
    w.write(id);
    co_await send(std::move(bytes));
  }

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
  asio::awaitable<bool> shake_hands() {
    const incoming hello = co_await next();
    if (hello.end || hello.key != 18) co_return false;
    co_await answer(hello, kafka_43());
    co_return true;
  }

  static protocol::api_versions_response kafka_43() {
    protocol::api_versions_response r;
    add(r, 18, 0, 4);
    add(r, 3, 0, 13);
    add(r, 1, 4, 18);
    return r;
  }
  static void add(protocol::api_versions_response& r, std::int16_t key, std::int16_t min, std::int16_t max) {
    r.api_keys.emplace_back();
    r.api_keys.back().api_key = key;
    r.api_keys.back().min_version = min;
    r.api_keys.back().max_version = max;
  }

  void close() { stream_->close(); }

 private:
  std::unique_ptr<net::transport> stream_;
};

/// A cluster of one broker, told apart by its id.
inline protocol::metadata_response metadata_of(std::int32_t node, std::string_view host = "broker") {
  protocol::metadata_response r;
  r.controller_id = node;
  r.brokers.emplace_back();
  r.brokers.back().node_id = node;
  r.brokers.back().host = host;
  r.brokers.back().port = 9092;
  return r;
}

/// A broker that answers every Metadata request at once: its controller id is the count of the request on its connection.
inline asio::awaitable<void> serve_metadata(std::unique_ptr<net::transport> stream) {
  peer p(std::move(stream));
  const bool ready = co_await p.shake_hands();
  if (!ready) co_return;
  for (std::int32_t count = 1;; ++count) {
    const incoming request = co_await p.next();
    if (request.end) co_return;
    protocol::metadata_response r = metadata_of(count);
    co_await p.answer(request, std::move(r));
  }
}

using opened = kawait::result<std::shared_ptr<net::connection>>;

inline opened open(testing::world& w, net::connection_options options = net::connection_options()) {
  net::address where("10.0.0.1", "10.0.0.1", 9092);
  return w.run(net::connection::open(w.executor(), std::move(where), std::move(options), net::time_point::max()));
}

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

inline std::shared_ptr<exchange> ask(testing::world& w, const std::shared_ptr<net::connection>& c,
                                     std::chrono::milliseconds timeout = 30s, asio::cancellation_slot slot = {}) {
  const auto e = std::make_shared<exchange>();
  protocol::metadata_request request;
  auto operation = c->async_request(request, timeout);
  const auto wait = [](testing::world& world, asio::awaitable<metadata_answer> op,
                       std::shared_ptr<exchange> x) -> asio::awaitable<void> {
    auto r = co_await std::move(op);
    x->end.emplace(std::move(r));
    x->at = world.now();
  };
  asio::co_spawn(w.executor(), wait(w, std::move(operation), e),
                 asio::bind_cancellation_slot(slot, [e](std::exception_ptr error) {
                   e->error = error;
                   e->finished = true;
                 }));
  return e;
}

}  // namespace scripted
