#include "catch.hpp"

#include <algorithm>
#include <thread>

#include <sys/socket.h>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include "scripted_broker.hpp"
#include "tcp_support.hpp"

#include <kawait/net/tcp.hpp>
#include <kawait/protocol/fetch.hpp>

namespace tcp_tests {

using namespace scripted;
using kawait::errc;
using tcp = asio::ip::tcp;

/// A broker in a context of its own, so that the client's is the only one that is tested.
class loopback {
 public:
  using script = std::function<asio::awaitable<void>(peer&)>;

  explicit loopback(script serve) : serve_(std::move(serve)), acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    acceptor_.async_accept([this](std::error_code ec, tcp::socket socket) {
      if (ec) return;
      asio::co_spawn(io_, run(std::move(socket)), asio::detached);
    });
    thread_ = std::thread([this] { io_.run(); });
  }
  ~loopback() {
    asio::post(io_, [this] { acceptor_.close(); });
    thread_.join();
  }

  std::uint16_t port() { return port_; }

 private:
  asio::awaitable<void> run(tcp::socket socket) {
    peer p(std::make_unique<net::tcp_transport>(std::move(socket), "client"));
    co_await serve_(p);
  }

  script serve_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  std::uint16_t port_ = acceptor_.local_endpoint().port();
  std::thread thread_;
};

opened connect(asio::io_context& io, std::uint16_t port) {
  const net::host_port where("127.0.0.1", port);
  return run(io, net::connection::open(io.get_executor(), where, net::connection_options(), net::time_point::max()));
}

/// Counts slabs and bytes asked for.
class counting_slabs final : public kawait::wire::slab_source {
 public:
  kawait::wire::slab_ref acquire(std::size_t bytes) override {
    ++slabs;
    asked += bytes;
    return kawait::wire::slab_ref(kawait::wire::slab::create(bytes));
  }

  std::size_t slabs = 0;
  std::size_t asked = 0;
};

int socket_option(int socket, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0);
  return value;
}

TEST_CASE("a read waits for half of what is missing", "[net][tcp]") {
  asio::io_context io(1);
  const connected_pair pair(io);
  struct row {
    std::size_t missing;
    int low_water;
  };
  const row rows[] = {{0, 1},           {32'767, 1},         {32'768, 32'768},      {65'536, 65'536},
                      {100'000, 65'536}, {300'000, 150'000}, {1 << 20, 512 * 1024}, {4 << 20, 512 * 1024}};
  for (const row& r : rows) {
    CAPTURE(r.missing);
    pair.transport->expect(r.missing);
    CHECK(socket_option(pair.descriptor, SO_RCVLOWAT) == r.low_water);
  }
  pair.transport->close();
  pair.transport->expect(100'000);  // of a body that nobody reads any more
}

asio::awaitable<void> read_once(net::transport& t, std::span<std::byte> room, std::optional<std::size_t>& got) {
  std::error_code ec;
  const std::size_t size = co_await t.read_some(room, ec);
  got = ec ? 0 : size;
}

TEST_CASE("what is read in parts lands in its place", "[net][tcp]") {
  std::vector<std::byte> out(400'000);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 7 + i / 251);
  // Around a part's size, and all.
  for (const std::size_t size : {40'000u, 131'071u, 131'072u, 131'073u, 262'144u, 400'000u}) {
    CAPTURE(size);
    asio::io_context io(1);
    connected_pair pair(io);
    std::thread writer;
    std::vector<std::byte> in(size);
    std::size_t all = 0;
    while (all < size) {
      pair.transport->expect(size - all);
      std::optional<std::size_t> got;
      asio::co_spawn(io, read_once(*pair.transport, std::span(in).subspan(all), got), asio::detached);
      io.restart();
      io.poll();
      // The read waits by now, so that it finds more than one part when it is woken.
      if (all == 0) writer = std::thread([&] { asio::write(pair.peer, asio::buffer(out.data(), size)); });
      while (!got && io.run_one() != 0) {
      }
      REQUIRE(got.value_or(0) > 0);
      all += *got;
    }
    writer.join();
    CHECK(std::equal(in.begin(), in.end(), out.begin()));
    pair.transport->close();
  }
}

TEST_CASE("a large response arrives whole, in one slab", "[net][tcp]") {
  // Around the staging buffer, around the low-water mark, and large ones with small ones behind them.
  const std::vector<std::size_t> sizes = {0, 4000,    4096, 5000, 32 * 1024, 512 * 1024, 512 * 1024 + 1, 20 * 1024 * 1024,
                                          1, 700'000, 3};
  loopback broker([&](peer& p) { return serve_fetches(p, sizes); });
  asio::io_context io(1);
  auto c = connect(io, broker.port());
  REQUIRE(c);
  for (const std::size_t size : sizes) {
    CAPTURE(size);
    counting_slabs slabs;
    protocol::fetch_request request;
    auto a = run(io, (*c)->async_request(request, 20s, slabs));
    REQUIRE(a);
    CHECK(slabs.slabs == 1);
    CHECK(slabs.asked >= size);
    CHECK(slabs.asked <= size + 200);
    const auto& records = a->message.responses.at(0).partitions.at(0).records;
    REQUIRE(records.has_value());
    REQUIRE(records->size() == size);
    CHECK(wrong_bytes(*records) == 0);
    if (size != 0) {
      CHECK(records->data() >= a->buffer->data());
      CHECK(records->data() + size <= a->buffer->data() + a->buffer->capacity());
    }
  }
  (*c)->close();
  io.restart();
  io.run();  // nothing is left
}

TEST_CASE("pipelined responses of all sizes over TCP", "[net][tcp]") {
  const std::vector<std::size_t> sizes = {100'000, 10, 3'000'000, 5'000, 10};
  loopback broker([&](peer& p) { return serve_fetches(p, sizes); });
  asio::io_context io(1);
  auto c = connect(io, broker.port());
  REQUIRE(c);
  std::vector<std::size_t> got;
  protocol::fetch_request request;
  const auto wait = [&](asio::awaitable<kawait::result<net::answer<protocol::fetch_request>>> op) -> asio::awaitable<void> {
    auto r = co_await std::move(op);
    got.push_back(r ? r->message.responses.at(0).partitions.at(0).records->size() : 0);
    if (got.size() == sizes.size()) (*c)->close();
  };
  for (std::size_t i = 0; i < sizes.size(); ++i) asio::co_spawn(io, wait((*c)->async_request(request)), asio::detached);
  io.restart();
  io.run();
  CHECK(got == sizes);
}

TEST_CASE("a refused port, a name that is none, localhost", "[net][tcp]") {
  asio::io_context io(1);
  std::uint16_t port = 0;
  {
    tcp::acceptor taken(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    port = taken.local_endpoint().port();
  }
  auto refused = connect(io, port);
  REQUIRE(!refused);
  CHECK(refused.error().code == asio::error::connection_refused);
  CHECK(refused.error().words == "127.0.0.1:" + std::to_string(port));

  net::network& network = net::environment::of(io).net();
  const auto deadline = [] { return std::chrono::steady_clock::now() + 20s; };
  auto literal = run(io, network.resolve(net::host_port("::1", 9092), deadline()));
  REQUIRE(literal);
  CHECK(literal->size() == 1);
  CHECK(literal->at(0).to_string() == "[::1]:9092");
  auto local = run(io, network.resolve(net::host_port("localhost", 9092), deadline()));
  REQUIRE(local);
  CHECK(!local->empty());
  CHECK(local->at(0).host == "localhost");
  auto none = run(io, network.resolve(net::host_port("no-such-host.invalid", 9092), deadline()));
  REQUIRE(!none);
  CHECK(none.error().code == errc::unresolved_host);
  CHECK(none.error().words.find("no-such-host.invalid:9092") == 0);
}

TEST_CASE("a silent peer ends at the connection's own time-out", "[net][tcp]") {
  loopback broker([](peer& p) { return p.drain(); });
  asio::io_context io(1);
  net::connection_options options;
  options.setup_timeout = 100ms;
  const net::host_port where("127.0.0.1", broker.port());
  auto c = run(io, net::connection::open(io.get_executor(), where, options, net::time_point::max()));
  REQUIRE(!c);
  CHECK(c.error().code == errc::request_timeout);
}

TEST_CASE("a broker that goes fails what is in flight", "[net][tcp]") {
  loopback broker([](peer& p) -> asio::awaitable<void> {
    (void)co_await p.shake_hands();
    const incoming r = co_await p.next();
    co_await p.send_header(10'000'000, r.id);
    co_await p.send_text(std::string(100'000, 'x'));
    p.close();
  });
  asio::io_context io(1);
  auto c = connect(io, broker.port());
  REQUIRE(c);
  protocol::fetch_request request;
  auto a = run(io, (*c)->async_request(request));
  REQUIRE(!a);
  CHECK(a.error().code == errc::connection_closed);
  CHECK(!(*c)->is_open());
}

asio::awaitable<opened> replace(std::shared_ptr<net::connection> old, asio::any_io_executor executor, net::host_port where) {
  old->close();
  old.reset();
  const net::connection_options options;
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  co_return co_await net::connection::open(executor, where, options, deadline);
}

// The next socket has the closed one's number, in the same turn of the loop: nothing of the old one's read may be left by then.
TEST_CASE("a connection that is closed while it reads leaves the next one alone", "[net][tcp]") {
  const auto serve = [](peer& p) -> asio::awaitable<void> {
    (void)co_await p.shake_hands();
    co_await p.drain();
  };
  std::vector<std::unique_ptr<loopback>> brokers;
  for (int i = 0; i < 5; ++i) brokers.push_back(std::make_unique<loopback>(serve));
  asio::io_context io(1);
  auto c = connect(io, brokers[0]->port());
  for (std::size_t i = 1; i < brokers.size(); ++i) {
    REQUIRE(c);
    std::shared_ptr<net::connection> old = std::move(*c);
    const net::host_port where("127.0.0.1", brokers[i]->port());
    c = run(io, replace(std::move(old), io.get_executor(), where));
    CAPTURE(i);
    CHECK(c);
  }
  if (c) (*c)->close();
  run_a_while(io, 100ms);
}

asio::awaitable<void> read_once(net::tcp_transport& t) {
  std::array<std::byte, 1> room;
  std::error_code ec;
  (void)co_await t.read_some(room, ec);
}

TEST_CASE("what has not got through when a stream is closed still does; when it is aborted, never", "[net][tcp]") {
  const bool aborts = GENERATE(false, true), reads = GENERATE(false, true);
  CAPTURE(aborts, reads);
  asio::io_context io(1);
  tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  tcp::socket client(io), server(io);
  client.connect(acceptor.local_endpoint());
  acceptor.accept(server);
  net::tcp_transport stream(std::move(client), "broker");
  const std::vector<std::byte> block(64 * 1024);
  std::size_t sent = 0;
  while (const std::size_t n = stream.try_write(block)) sent += n;
  if (reads) asio::co_spawn(io, read_once(stream), asio::detached);
  io.poll();
  aborts ? stream.abort() : stream.close();
  io.restart();
  io.run();
  std::size_t got = 0;
  std::error_code ec;
  std::vector<std::byte> room(1 << 20);
  while (!ec) got += server.read_some(asio::buffer(room), ec);
  CHECK((got == sent) == !aborts);
  CHECK(ec == (aborts ? std::error_code(asio::error::connection_reset) : std::error_code(asio::error::eof)));
}

TEST_CASE("a context with sockets may be destroyed with anything pending", "[net][tcp]") {
  loopback broker([](peer& p) -> asio::awaitable<void> {
    (void)co_await p.shake_hands();
    const incoming r = co_await p.next();
    co_await p.send_header(1'000'000, r.id);
    co_await p.send_text(std::string(100'000, 'x'));
    co_await p.drain();
  });
  auto io = std::make_unique<asio::io_context>(1);
  auto c = connect(*io, broker.port());
  REQUIRE(c);
  protocol::fetch_request request;
  bool ended = false;
  const auto wait = [&](asio::awaitable<kawait::result<net::answer<protocol::fetch_request>>> op) -> asio::awaitable<void> {
    auto r = co_await std::move(op);
    (void)r;
    ended = true;
  };
  asio::co_spawn(*io, wait((*c)->async_request(request)), asio::detached);
  c = opened(errc::closed);
  run_a_while(*io, 20ms);
  CHECK(!ended);
  io.reset();
  CHECK(!ended);
}

}  // namespace tcp_tests
