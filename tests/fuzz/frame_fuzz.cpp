// A connection to something that says anything: how large each piece is, then the bytes. It opens or fails, a request on it is answered or
// fails, and nothing hangs.

#include <kawait/net/connection.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/testing/world.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <asio/awaitable.hpp>

#include "fuzz/fuzz.hpp"

namespace {

namespace net = kawait::net;
namespace testing = kawait::testing;

asio::awaitable<void> serve(std::unique_ptr<net::transport> stream, std::span<const std::byte> input) {
  const std::size_t piece = 1 + std::to_integer<std::size_t>(input.front());
  input = input.subspan(1);
  std::error_code ec;
  while (!input.empty() && !ec) {
    const auto next = input.first(std::min(piece, input.size()));
    co_await stream->write(next, ec);
    input = input.subspan(next.size());
  }
  co_await net::async_sleep_for(std::chrono::minutes(1));  // silence then, not the end
}

asio::awaitable<void> use(testing::world& w, bool& ended) {
  net::address where("10.0.0.1", "10.0.0.1", 9092);
  net::connection_options options;
  options.request_timeout = std::chrono::seconds(10);
  auto c = co_await net::connection::open(w.executor(), std::move(where), std::move(options), net::time_point::max());
  if (c) {
    const kawait::protocol::metadata_request request;
    const auto answer = co_await (*c)->async_request(request);
    (void)answer;
    (*c)->close();
  }
  ended = true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  testing::world w;
  const auto input = fuzz::bytes(data, size);
  w.network().listen("10.0.0.1", 9092, [input](std::unique_ptr<net::transport> stream) { return serve(std::move(stream), input); });
  bool ended = false;
  w.spawn(use(w, ended));
  fuzz::check(w.run_until([&] { return ended; }, std::chrono::minutes(1)), "a connection ends within its time-outs");
  return 0;
}
