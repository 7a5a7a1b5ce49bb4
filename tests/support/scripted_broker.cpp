#include "unit/scripted_broker.hpp"

#include <kawait/protocol/fetch.hpp>

namespace scripted {
namespace {

std::byte pattern(std::size_t i) { return static_cast<std::byte>((i * 2654435761u) >> 13); }

}  // namespace

asio::awaitable<bool> peer::read(std::byte* to, std::size_t size) {
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

asio::awaitable<incoming> peer::next() {
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

asio::awaitable<void> peer::drain() {
  for (bool end = false; !end;) {
    const incoming r = co_await next();
    end = r.end;
  }
}

asio::awaitable<void> peer::send(std::vector<std::byte> bytes) {
  std::error_code ec;
  co_await stream_->write(bytes, ec);
}

asio::awaitable<void> peer::send_text(std::string text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  std::vector<std::byte> bytes(data, data + text.size());
  co_await send(std::move(bytes));
}

asio::awaitable<void> peer::send_header(std::int32_t length, std::int32_t id) {
  std::vector<std::byte> bytes;
  kawait::wire::writer w(bytes);
  w.write(length);
  w.write(id);
  co_await send(std::move(bytes));
}

asio::awaitable<bool> peer::shake_hands() {
  const incoming hello = co_await next();
  if (hello.end || hello.key != 18) co_return false;
  co_await answer(hello, kafka_43());
  co_return true;
}

protocol::api_versions_response peer::kafka_43() {
  protocol::api_versions_response r;
  add(r, 18, 0, 4);
  add(r, 3, 0, 13);
  add(r, 1, 4, 18);
  add(r, 17, 0, 1);
  add(r, 36, 0, 2);
  return r;
}

void peer::add(protocol::api_versions_response& r, std::int16_t key, std::int16_t min, std::int16_t max) {
  r.api_keys.emplace_back();
  r.api_keys.back().api_key = key;
  r.api_keys.back().min_version = min;
  r.api_keys.back().max_version = max;
}

protocol::metadata_response metadata_of(std::int32_t node, std::string_view host) {
  protocol::metadata_response r;
  r.controller_id = node;
  r.brokers.emplace_back();
  r.brokers.back().node_id = node;
  r.brokers.back().host = host;
  r.brokers.back().port = 9092;
  return r;
}

asio::awaitable<void> serve_metadata(std::unique_ptr<net::transport> stream) {
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

asio::awaitable<void> serve_fetches(peer& p, std::vector<std::size_t> sizes) {
  (void)co_await p.shake_hands();
  for (const std::size_t size : sizes) {
    const incoming r = co_await p.next();
    if (r.end) co_return;
    std::vector<std::byte> records(size);
    for (std::size_t i = 0; i < size; ++i) records[i] = pattern(i);
    protocol::fetch_response response;
    response.responses.emplace_back();
    response.responses.back().partitions.emplace_back();
    response.responses.back().partitions.back().records = records;
    co_await p.answer(r, std::move(response));
  }
  co_await p.drain();
}

std::size_t wrong_bytes(std::span<const std::byte> records) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < records.size(); ++i) wrong += records[i] != pattern(i);
  return wrong;
}

opened open(testing::world& w, net::connection_options options) {
  net::address where("10.0.0.1", "10.0.0.1", 9092);
  return w.run(net::connection::open(w.executor(), std::move(where), std::move(options), net::time_point::max()));
}

std::shared_ptr<exchange> ask(testing::world& w, const std::shared_ptr<net::connection>& c,
                              std::chrono::milliseconds timeout, asio::cancellation_slot slot) {
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
