#pragma once

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <system_error>

#include <kawait/testing/memory_network.hpp>

namespace kawait::testing {
namespace detail {

inline constexpr std::size_t segment_size = 1460;  // of a slow link

/// The bytes under way in one direction.
struct memory_stream {
  struct segment {
    net::time_point at;    // when it arrives
    std::size_t size = 0;  // what of it was not read yet
  };
  struct written {
    net::time_point at;
    std::uint64_t end = 0;  // of all that was put under way
  };

  memory_stream(const asio::any_io_executor& executor, std::string n, link_options l, event_trace* t)
      : env(net::environment::of(executor)), name(std::move(n)), link(l), trace(t), readable(executor), writable(executor) {}

  std::size_t size() const noexcept { return bytes.size() - begin; }
  /// How many bytes have arrived.
  KAWAIT_DECL std::size_t arrived() const;
  KAWAIT_DECL void take(std::size_t n);
  /// What waits for its turn on a slow link is dropped.
  KAWAIT_DECL void drop_unsent();
  /// Puts bytes under way; false if the connection was cut meanwhile.
  KAWAIT_DECL bool send(std::span<const std::byte> b);
  void notify_all() {
    readable.notify_all();
    writable.notify_all();
  }

  net::environment& env;
  std::string name;  // of the connection, with the direction
  link_options link;
  event_trace* trace;
  std::vector<std::byte> bytes;
  std::size_t begin = 0;
  std::uint64_t sent = 0;
  std::uint64_t kept = 0, taken = 0;  // what was put under way, and read
  std::vector<written> writes;        // those of which something was not read yet: few
  net::time_point wrote{};            // the last byte that was read
  std::deque<segment> segments;  // of a link that delays
  net::time_point free_at{};     // the link is busy until then
  bool writer_closed = false;
  bool reader_closed = false;
  bool cut = false;
  net::condition readable;
  net::condition writable;
};

KAWAIT_DECL std::size_t memory_stream::arrived() const {
  if (!link.delays()) return size();
  std::size_t n = 0;
  for (const segment& s : segments) {
    if (s.at > env.now()) break;
    n += s.size;
  }
  return n;
}

KAWAIT_DECL void memory_stream::take(std::size_t n) {
  if (n == 0) return;
  begin += n;
  taken += n;
  const auto last = std::find_if(writes.begin(), writes.end(), [this](const written& w) { return w.end >= taken; });
  wrote = last->at;
  writes.erase(writes.begin(), last->end == taken ? last + 1 : last);
  if (begin == bytes.size()) {
    bytes.clear();
    begin = 0;
  }
  while (n > 0 && !segments.empty()) {
    const std::size_t part = std::min(n, segments.front().size);
    n -= part;
    segments.front().size -= part;
    if (segments.front().size == 0) segments.pop_front();
  }
}

KAWAIT_DECL void memory_stream::drop_unsent() {
  while (!segments.empty() && segments.back().at > env.now() + link.latency) {
    bytes.resize(bytes.size() - segments.back().size);
    kept -= segments.back().size;
    segments.pop_back();
  }
}

KAWAIT_DECL bool memory_stream::send(std::span<const std::byte> b) {
  if (trace) trace->add(env.now(), name, "bytes", b.size(), b);
  std::uint64_t here = b.size();
  const std::uint64_t before = std::exchange(sent, sent + here);
  if (link.cut_at) here = std::min(here, *link.cut_at - std::min(*link.cut_at, before));
  if (link.lose_from) here = std::min(here, *link.lose_from - std::min(*link.lose_from, before));
  bytes.insert(bytes.end(), b.begin(), b.begin() + static_cast<std::ptrdiff_t>(here));
  kept += here;
  written w;
  w.at = env.now();
  w.end = kept;
  if (here != 0) writes.push_back(w);
  for (std::uint64_t done = 0; link.delays() && done < here;) {
    const std::uint64_t part = link.bytes_per_second == 0 ? here : std::min<std::uint64_t>(segment_size, here - done);
    free_at = std::max(free_at, env.now());
    if (link.bytes_per_second != 0) {
      const auto nanoseconds = static_cast<std::int64_t>(part * 1'000'000'000 / link.bytes_per_second);
      free_at += std::chrono::duration_cast<net::duration>(std::chrono::nanoseconds(nanoseconds));
    }
    segment s;
    s.at = free_at + link.latency;
    s.size = static_cast<std::size_t>(part);
    segments.push_back(s);
    done += part;
  }
  if (here != 0) readable.notify_all();
  return !link.cut_at || sent < *link.cut_at;
}

class memory_transport final : public net::transport {
 public:
  memory_transport(std::shared_ptr<memory_stream> in, std::shared_ptr<memory_stream> out, std::string peer,
                   const pipe_options& options)
      : in_(std::move(in)),
        out_(std::move(out)),
        peer_(std::move(peer)),
        chunk_(options.chunk),
        capacity_(options.capacity),
        takes_at_once_(options.takes_at_once) {}
  ~memory_transport() override { memory_transport::close(); }

  KAWAIT_DECL asio::awaitable<std::size_t> read_some(std::span<std::byte> room, std::error_code& ec) override;
  KAWAIT_DECL asio::awaitable<void> write(std::span<const std::byte> bytes, std::error_code& ec) override;
  KAWAIT_DECL std::size_t try_write(std::span<const std::byte> bytes) noexcept override;
  KAWAIT_DECL void close() noexcept override;
  KAWAIT_DECL void abort() noexcept override;
  std::string peer() const override { return peer_; }
  memory_peer other_end() const {
    memory_peer p;
    p.wrote = in_->wrote;
    p.has_closed = in_->writer_closed;
    return p;
  }

 private:
  KAWAIT_DECL std::size_t push(std::span<const std::byte> bytes);

  std::shared_ptr<memory_stream> in_;
  std::shared_ptr<memory_stream> out_;
  std::string peer_;
  std::size_t chunk_;
  std::size_t capacity_;
  bool takes_at_once_;
};

// Who writes across a cut is told so by the next write, as by TCP.
KAWAIT_DECL std::size_t memory_transport::push(std::span<const std::byte> bytes) {
  const std::size_t size = std::min(bytes.size(), capacity_ - std::min(capacity_, out_->size()));
  if (size == 0 || out_->send(bytes.first(size))) return size;
  if (out_->trace) out_->trace->add(out_->env.now(), out_->name, "cut at", *out_->link.cut_at);
  for (memory_stream* s : {in_.get(), out_.get()}) {
    s->cut = true;
    s->notify_all();
  }
  return size;
}

// What is under way when a connection is cut or closed still arrives.
KAWAIT_DECL asio::awaitable<std::size_t> memory_transport::read_some(std::span<std::byte> room, std::error_code& ec) {
  const auto in = in_;
  const std::size_t most = std::min(room.size(), chunk_);
  ec = {};
  std::size_t arrived = 0;
  while (!in->reader_closed && (arrived = in->arrived()) == 0) {
    if (in->size() != 0) {
      const std::error_code ignored = co_await in->readable.wait_until(in->segments.front().at);
      (void)ignored;
      continue;
    }
    if (in->cut) ec = asio::error::connection_reset;
    if (!ec && in->writer_closed) ec = asio::error::eof;
    if (ec) co_return std::size_t(0);
    co_await in->readable.wait();
  }
  if (in->reader_closed) {
    ec = asio::error::operation_aborted;
    co_return std::size_t(0);
  }
  const std::size_t size = std::min(most, arrived);
  std::memcpy(room.data(), in->bytes.data() + in->begin, size);
  in->take(size);
  in->writable.notify_all();
  co_return size;
}

KAWAIT_DECL asio::awaitable<void> memory_transport::write(std::span<const std::byte> bytes, std::error_code& ec) {
  const auto out = out_;
  ec = {};
  for (;;) {
    if (out->writer_closed) ec = asio::error::operation_aborted;
    if (!ec && out->cut) ec = asio::error::connection_reset;
    if (!ec && out->reader_closed) ec = asio::error::broken_pipe;
    if (ec) co_return;
    bytes = bytes.subspan(push(bytes));
    if (bytes.empty()) co_return;
    co_await out->writable.wait();
  }
}

KAWAIT_DECL std::size_t memory_transport::try_write(std::span<const std::byte> bytes) noexcept {
  if (!takes_at_once_ || out_->writer_closed || out_->reader_closed || out_->cut) return 0;
  return push(bytes);
}

KAWAIT_DECL void memory_transport::close() noexcept {
  if (!out_->writer_closed && out_->trace) out_->trace->add(out_->env.now(), out_->name, "closed after", out_->sent);
  in_->reader_closed = true;
  out_->writer_closed = true;
  for (const auto& s : {in_, out_}) s->notify_all();
}

KAWAIT_DECL void memory_transport::abort() noexcept {
  out_->drop_unsent();
  out_->cut = true;
  close();
}

// `serve` is kept: the coroutine of a lambda refers to the lambda.
inline asio::awaitable<void> run_acceptor(std::shared_ptr<memory_network::acceptor> serve,
                                          std::unique_ptr<net::transport> stream) {
  auto coroutine = (*serve)(std::move(stream));
  co_await std::move(coroutine);
}

}  // namespace detail

KAWAIT_DECL std::optional<memory_peer> peer_of(const net::transport& end) {
  const auto* const in_memory = dynamic_cast<const detail::memory_transport*>(&end);
  return in_memory ? std::optional(in_memory->other_end()) : std::nullopt;
}

KAWAIT_DECL memory_pipe::memory_pipe(const asio::any_io_executor& executor, std::string first_name, std::string second_name,
                                     pipe_options options, event_trace* trace) {
  const auto there = std::make_shared<detail::memory_stream>(executor, first_name + " >", options.up, trace);
  const auto back = std::make_shared<detail::memory_stream>(executor, first_name + " <", options.down, trace);
  first = std::make_unique<detail::memory_transport>(back, there, std::move(second_name), options);
  second = std::make_unique<detail::memory_transport>(there, back, std::move(first_name), options);
}

KAWAIT_DECL std::uint64_t memory_network::listen(const std::string& host, std::uint16_t port, acceptor serve,
                                                 pipe_options options) {
  if (is_taken(host, port)) {
    throw std::system_error(std::error_code(asio::error::address_in_use), net::host_port(host, port).to_string());
  }
  listener& l = listeners_[key(host, port)];
  l.serve = std::make_shared<acceptor>(std::move(serve));
  l.options = options;
  l.number = ++last_listener_;
  return l.number;
}

KAWAIT_DECL void memory_network::stop_listening(const std::string& host, std::uint16_t port) {
  listeners_.erase(key(host, port));
}

KAWAIT_DECL void memory_network::stop_listening(const std::string& host, std::uint16_t port, std::uint64_t number) {
  const auto found = listeners_.find(key(host, port));
  if (found != listeners_.end() && found->second.number == number) listeners_.erase(found);
}

KAWAIT_DECL bool memory_network::is_taken(const std::string& host, std::uint16_t port) const {
  const auto found = listeners_.find(key(host, port));
  return found != listeners_.end() && found->second.serve;
}

KAWAIT_DECL void memory_network::black_hole(const std::string& host, std::uint16_t port) {
  listeners_[key(host, port)] = listener();
}

KAWAIT_DECL void memory_network::set_connection_faults(const std::string& host, std::uint16_t port, connection_decision decide) {
  if (decide) {
    decisions_[key(host, port)] = std::move(decide);
  } else {
    decisions_.erase(key(host, port));
  }
}

KAWAIT_DECL void memory_network::add_name(const std::string& name, std::vector<std::string> ips) {
  names_[name] = std::move(ips);
}

KAWAIT_DECL std::size_t memory_network::attempts(const std::string& host, std::uint16_t port) const {
  const auto it = attempts_.find(key(host, port));
  return it == attempts_.end() ? 0 : it->second;
}

KAWAIT_DECL asio::awaitable<result<std::vector<net::address>>> memory_network::resolve(net::host_port where, net::time_point) {
  std::vector<net::address> found;
  const auto named = names_.find(where.host);
  if (named == names_.end()) {
    found.emplace_back(where.host, where.host, where.port);
  } else {
    for (const std::string& ip : named->second) found.emplace_back(where.host, ip, where.port);
  }
  if (found.empty()) co_return failure(errc::unresolved_host, where.to_string());
  co_return std::move(found);
}

KAWAIT_DECL asio::awaitable<failure> memory_network::follow(connection_plan plan, net::address where, net::time_point deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  net::environment& env = net::environment::of(executor);
  const bool never = plan.what == connection_plan::outcome::black_hole || plan.delay > deadline - env.now();
  if (never || plan.delay.count() > 0) {
    net::timer wait(executor);
    wait.expires_at(never ? deadline : env.now() + plan.delay);
    std::error_code ec = co_await wait.async_wait();
    if (!ec && never) ec = std::make_error_code(std::errc::timed_out);
    if (ec) co_return failure(ec, where.to_string());
  }
  if (plan.what == connection_plan::outcome::refused) co_return failure(plan.error, where.to_string());
  co_return failure();
}

KAWAIT_DECL asio::awaitable<result<std::unique_ptr<net::transport>>> memory_network::connect(net::address where,
                                                                                             net::time_point deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  net::environment& env = net::environment::of(executor);
  const key place(where.ip, where.port);
  connection_attempt attempt;
  attempt.where = net::host_port(where.ip, where.port);
  attempt.number = ++attempts_[place];
  attempt.at = env.now();
  trace_.add(attempt.at, where.ip, "port", where.port);
  connection_plan plan;
  const auto listening = listeners_.find(place);
  if (listening != listeners_.end()) {
    plan.options = listening->second.options;
    if (!listening->second.serve) plan.what = connection_plan::outcome::black_hole;
  }
  const auto decision = decisions_.find(place);
  if (decision != decisions_.end()) {
    const connection_decision decide = decision->second;  // it may replace itself while it runs
    decide(attempt, plan);
  }
  const failure why = co_await follow(plan, where, deadline);
  if (why) co_return why;
  // Only now: it may have been stopped meanwhile.
  const auto found = listeners_.find(place);
  if (found == listeners_.end() || !found->second.serve) co_return failure(asio::error::connection_refused, where.to_string());
  std::string name = "client:";
  name += std::to_string(next_port_++);
  trace_.add(env.now(), name, "connected to port", where.port);
  memory_pipe pipe(executor, std::move(name), where.to_string(), plan.options, &trace_);
  asio::co_spawn(executor, detail::run_acceptor(found->second.serve, std::move(pipe.second)), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
  co_return std::move(pipe.first);
}

}  // namespace kawait::testing
