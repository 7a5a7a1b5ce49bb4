#pragma once

#include <algorithm>
#include <chrono>

#include <sys/socket.h>

#include <kawait/net/tcp.hpp>
#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/memory_network.hpp>

namespace kawait::testing::broker_detail {

inline constexpr std::int32_t max_frame = 100 * 1024 * 1024;  // socket.request.max.bytes
inline constexpr std::size_t frame_step = 1024 * 1024;
inline constexpr std::size_t max_seen = 100'000;

/// Keeps a connection among those of the cluster while its coroutine lives, however that ends.
class enrolment {
 public:
  enrolment(core& owner, std::shared_ptr<connection> c) : owner_(owner), connection_(std::move(c)) {
    owner_.connections.emplace(connection_->id, connection_);
  }
  enrolment(const enrolment&) = delete;
  enrolment& operator=(const enrolment&) = delete;
  ~enrolment() {
    connection_->close();
    owner_.connections.erase(connection_->id);
  }

 private:
  core& owner_;
  std::shared_ptr<connection> connection_;
};

KAWAIT_DECL void core::listen(std::int32_t id) {
  cluster_node& n = *cluster.node(id);
  if (!options.loopback) {
    const std::weak_ptr<core> weak = weak_from_this();
    auto serve_node = [weak, id](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
      std::shared_ptr<core> self = weak.lock();
      if (!self) co_return;
      auto serving = serve(std::move(self), id, std::move(stream));
      co_await std::move(serving);
    };
    memory_listeners[id] = memory().listen(n.host, n.port, std::move(serve_node));
    return;
  }
  auto l = std::make_shared<loopback_listener>(executor);
  const asio::ip::tcp::endpoint where(asio::ip::make_address(n.host), n.port);
  l->acceptor.open(where.protocol());
  l->acceptor.set_option(asio::socket_base::reuse_address(true));
  l->acceptor.bind(where);
  l->acceptor.listen();
  n.port = l->acceptor.local_endpoint().port();
  listeners[id] = l;
  kawait::detail::spawn(executor, accept_loop(shared_from_this(), id, l));
}

// Not acceptor.close() under an accept: see net::tcp_transport::close(). A shutdown wakes it, and the loop closes.
KAWAIT_DECL void core::stop_listening(std::int32_t id) {
  cluster_node& n = *cluster.node(id);
  if (!options.loopback) {
    auto* memory = dynamic_cast<memory_network*>(&env.net());
    const auto own = memory_listeners.find(id);
    if (!memory || own == memory_listeners.end()) return;
    memory->stop_listening(n.host, n.port, own->second);  // another broker may have taken the address since
    memory_listeners.erase(own);
    return;
  }
  const auto found = listeners.find(id);
  if (found == listeners.end()) return;
  const std::shared_ptr<loopback_listener> l = found->second;
  listeners.erase(found);
  l->closed = true;
  if (l->accepting) {
    ::shutdown(l->acceptor.native_handle(), SHUT_RDWR);
    return;
  }
  std::error_code ignored;
  l->acceptor.close(ignored);
}

KAWAIT_DECL asio::awaitable<void> core::accept_loop(std::shared_ptr<core> self, std::int32_t node,
                                                    std::shared_ptr<loopback_listener> l) {
  while (!l->closed) {
    asio::ip::tcp::socket socket(self->executor);
    l->accepting = true;
    const auto [ec] = co_await l->acceptor.async_accept(socket, kawait::detail::use_tuple);
    l->accepting = false;
    if (l->closed) break;
    if (ec) {  // out of descriptors, say
      co_await net::async_sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    std::string name = "client";
    std::unique_ptr<net::transport> stream = std::make_unique<net::tcp_transport>(std::move(socket), std::move(name));
    kawait::detail::spawn(self->executor, serve(self, node, std::move(stream)));
  }
  std::error_code ignored;
  l->acceptor.close(ignored);
}

KAWAIT_DECL void core::cut(std::int32_t node) {
  const auto all = connections;
  for (const auto& [id, c] : all) {
    if (node == 0 || c->node == node) c->close();
  }
  touch();
}

KAWAIT_DECL asio::awaitable<void> core::serve(std::shared_ptr<core> self, std::int32_t node,
                                              std::unique_ptr<net::transport> stream) {
  const auto c = std::make_shared<connection>();
  c->id = ++self->last_connection;
  c->node = node;
  c->stream = std::move(stream);
  c->used = self->env.now();
  const enrolment enrolled(*self, c);
  while (!c->closed && !self->closed) {
    incoming in;
    in.node = node;
    const bool whole = co_await self->read_frame(*c, in.frame);
    if (!whole || c->closed) break;
    std::span<const std::byte> rest(in.frame);
    const auto header = protocol::read_request_header(rest);
    if (!header) break;
    in.key = header->api_key;
    in.version = header->api_version;
    in.correlation_id = header->correlation_id;
    in.client_id = header->client_id.value_or("");
    in.body = rest;
    c->busy = true;
    if (!c->silent) co_await self->serve_one(*c, in);
    c->busy = false;
    c->used = self->env.now();
  }
}

/// False when the client has closed the connection or sends no Kafka. Memory grows with what arrives, not with what is announced.
KAWAIT_DECL asio::awaitable<bool> core::read_frame(connection& c, std::vector<std::byte>& frame) {
  std::byte length[4] = {};
  std::error_code ec;
  for (std::size_t done = 0; done < sizeof length;) {
    const std::span<std::byte> room(length + done, sizeof length - done);
    done += co_await c.stream->read_some(room, ec);
    if (ec) co_return false;
  }
  const auto announced = wire::load_big_endian<std::int32_t>(length);
  if (announced < 8 || announced > max_frame) co_return false;
  const auto size = static_cast<std::size_t>(announced);
  for (std::size_t done = 0; done < size;) {
    if (done == frame.size()) frame.resize(std::min(size, done + frame_step));
    const std::span<std::byte> room(frame.data() + done, frame.size() - done);
    done += co_await c.stream->read_some(room, ec);
    if (ec) co_return false;
  }
  co_return true;
}

KAWAIT_DECL fault core::decide(connection& c, const incoming& in) {
  const auto api = static_cast<api_key>(in.key);
  request_view v;
  v.node = in.node;
  v.api = api;
  v.version = in.version;
  v.connection = c.id;
  v.number = ++counts[api];
  v.number_on_connection = ++c.counts[api];
  v.client_id = in.client_id;
  v.at = env.now();
  v.came = in.came;
  v.sent = in.sent;
  v.body = in.body;
  seen_request& s = seen.emplace_back();
  s.at = v.at;
  s.node = v.node;
  s.connection = v.connection;
  s.api = v.api;
  s.version = v.version;
  s.client_id = std::string(in.client_id);
  if (seen.size() > max_seen) seen.pop_front();
  if (trace && trace->is_read()) {
    std::string words("asks node ");
    words.append(std::to_string(v.node)).append(": ").append(name_of(api)).append(" v").append(std::to_string(v.version));
    trace->note(v.at, c.stream->peer(), words);
  }
  if (!faults) return fault();
  const fault_decision asked = faults;  // it may give the broker another, while it runs
  return asked(v);
}

KAWAIT_DECL void core::end_faults() {
  ++fault_era;
  const auto all = connections;
  for (const auto& [id, c] : all) {
    c->spoils.reset();
    if (c->silent) c->close();
  }
}

/// Faults of which it shows only with the answer whether they have any effect.
inline bool strikes_answer(fault::kind k) {
  switch (k) {
    case fault::kind::none:
    case fault::kind::drop_request:
    case fault::kind::answer_error:
    case fault::kind::close_before:
    case fault::kind::silence:
    case fault::kind::edit_heartbeat:
    case fault::kind::spoil_records: return false;
    default: return true;
  }
}
inline bool strikes_later(fault::kind k) {
  return k == fault::kind::edit_heartbeat || k == fault::kind::spoil_records || strikes_answer(k);
}

KAWAIT_DECL asio::awaitable<void> core::while_frozen(connection& c) {
  while (cluster.node(c.node)->frozen && !c.closed && !closed) co_await changed.wait();
}

KAWAIT_DECL asio::awaitable<void> core::serve_one(connection& c, incoming& in) {
  in.came = env.now();
  const auto client = peer_of(*c.stream);
  in.sent = client ? client->wrote : in.came;
  co_await while_frozen(c);
  fault f = decide(c, in);
  const std::uint64_t era = fault_era;
  if (f.struck && !strikes_later(f.what)) f.struck();
  if (f.delay.count() > 0) co_await net::async_sleep_for(f.delay);
  if (era != fault_era) f = fault();
  if (c.closed || f.what == fault::kind::drop_request) co_return;
  if (f.what == fault::kind::close_before) {
    c.close();
    co_return;
  }
  c.silent = f.what == fault::kind::silence;
  if (c.silent) co_return;
  if (f.what == fault::kind::answer_error) in.refused = f.error;
  if (f.what == fault::kind::edit_heartbeat) in.edits = &f;
  if (f.what == fault::kind::spoil_records) c.spoils = f;
  reply out;
  co_await answer(c, in, out);
  if (f.answer_delay.count() > 0) co_await net::async_sleep_for(f.answer_delay);
  co_await while_frozen(c);
  if (c.closed) co_return;
  // A fetch may have waited long: were its answer cut short after heal(), the connection would be mute all the same.
  if (era != fault_era) f = fault();
  if (strikes_answer(f.what) && (!out.bytes.empty() || f.what == fault::kind::close_after)) {
    distort(c, in, out, f);
    if (f.struck) f.struck();
  }
  co_await send(c, out);
  // Told to wait, the client is not heard until then.
  if (out.throttled.count() > 0 && !c.closed) co_await net::async_sleep_for(out.throttled);
}

KAWAIT_DECL asio::awaitable<void> core::send(connection& c, reply& r) {
  if (!r.bytes.empty()) {
    std::error_code ec;
    co_await c.stream->write(r.bytes, ec);
    if (ec) r.close = true;
  }
  if (r.close) c.close();
}

KAWAIT_DECL asio::awaitable<void> core::run_group(std::shared_ptr<core> self) {
  while (!self->closed) {
    self->groups.tick(self->env.now());
    const std::optional<net::time_point> next = self->groups.next();
    const std::error_code ignored = co_await self->group_changed.wait_until(next.value_or(net::time_point::max()));
    (void)ignored;
  }
}

}  // namespace kawait::testing::broker_detail
