#pragma once

#include <algorithm>
#include <cstring>

#include <kawait/testing/memory_network.hpp>

namespace kawait::testing {
namespace detail {

/// The bytes under way in one direction.
struct memory_stream {
  explicit memory_stream(const asio::any_io_executor& executor) : readable(executor), writable(executor) {}

  std::size_t size() const noexcept { return bytes.size() - begin; }

  std::vector<std::byte> bytes;
  std::size_t begin = 0;
  bool writer_closed = false;
  bool reader_closed = false;
  net::condition readable;
  net::condition writable;
};

class memory_transport final : public net::transport {
 public:
  memory_transport(std::shared_ptr<memory_stream> in, std::shared_ptr<memory_stream> out, std::string peer, pipe_options options)
      : in_(std::move(in)), out_(std::move(out)), peer_(std::move(peer)), options_(options) {}
  ~memory_transport() override { memory_transport::close(); }

  KAWAIT_DECL asio::awaitable<std::size_t> read_some(std::span<std::byte> room, std::error_code& ec) override;
  KAWAIT_DECL asio::awaitable<void> write(std::span<const std::byte> bytes, std::error_code& ec) override;
  KAWAIT_DECL std::size_t try_write(std::span<const std::byte> bytes) noexcept override;
  KAWAIT_DECL void close() noexcept override;
  std::string peer() const override { return peer_; }

 private:
  std::size_t push(std::span<const std::byte> bytes) {
    const std::size_t size = std::min(bytes.size(), options_.capacity - std::min(options_.capacity, out_->size()));
    out_->bytes.insert(out_->bytes.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    if (size != 0) out_->readable.notify_all();
    return size;
  }

  std::shared_ptr<memory_stream> in_;
  std::shared_ptr<memory_stream> out_;
  std::string peer_;
  pipe_options options_;
};

KAWAIT_DECL asio::awaitable<std::size_t> memory_transport::read_some(std::span<std::byte> room, std::error_code& ec) {
  const auto in = in_;
  const std::size_t most = std::min(room.size(), options_.chunk);
  while (in->size() == 0 && !in->writer_closed && !in->reader_closed) co_await in->readable.wait();
  ec = {};
  if (in->reader_closed) ec = asio::error::operation_aborted;
  if (!ec && in->size() == 0) ec = asio::error::eof;
  if (ec) co_return std::size_t(0);
  const std::size_t size = std::min(most, in->size());
  std::memcpy(room.data(), in->bytes.data() + in->begin, size);
  in->begin += size;
  if (in->begin == in->bytes.size()) {
    in->bytes.clear();
    in->begin = 0;
  }
  in->writable.notify_all();
  co_return size;
}

KAWAIT_DECL asio::awaitable<void> memory_transport::write(std::span<const std::byte> bytes, std::error_code& ec) {
  const auto out = out_;
  ec = {};
  for (;;) {
    if (out->writer_closed) ec = asio::error::operation_aborted;
    if (!ec && out->reader_closed) ec = asio::error::broken_pipe;
    if (ec) co_return;
    bytes = bytes.subspan(push(bytes));
    if (bytes.empty()) co_return;
    co_await out->writable.wait();
  }
}

KAWAIT_DECL std::size_t memory_transport::try_write(std::span<const std::byte> bytes) noexcept {
  if (!options_.takes_at_once || out_->writer_closed || out_->reader_closed) return 0;
  return push(bytes);
}

KAWAIT_DECL void memory_transport::close() noexcept {
  in_->reader_closed = true;
  out_->writer_closed = true;
  for (const auto& s : {in_, out_}) {
    s->readable.notify_all();
    s->writable.notify_all();
  }
}

// `serve` is kept: the coroutine of a lambda refers to the lambda.
inline asio::awaitable<void> run_acceptor(std::shared_ptr<memory_network::acceptor> serve,
                                          std::unique_ptr<net::transport> stream) {
  auto coroutine = (*serve)(std::move(stream));
  co_await std::move(coroutine);
}

}  // namespace detail

KAWAIT_DECL memory_pipe::memory_pipe(const asio::any_io_executor& executor, std::string first_name, std::string second_name,
                                     pipe_options options) {
  const auto there = std::make_shared<detail::memory_stream>(executor);
  const auto back = std::make_shared<detail::memory_stream>(executor);
  first = std::make_unique<detail::memory_transport>(back, there, std::move(second_name), options);
  second = std::make_unique<detail::memory_transport>(there, back, std::move(first_name), options);
}

KAWAIT_DECL void memory_network::listen(const std::string& host, std::uint16_t port, acceptor serve, pipe_options options) {
  listener& l = listeners_[key(host, port)];
  l.serve = std::make_shared<acceptor>(std::move(serve));
  l.options = options;
}

KAWAIT_DECL void memory_network::stop_listening(const std::string& host, std::uint16_t port) {
  listeners_.erase(key(host, port));
}

KAWAIT_DECL void memory_network::black_hole(const std::string& host, std::uint16_t port) {
  listeners_[key(host, port)].serve.reset();
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

KAWAIT_DECL asio::awaitable<result<std::unique_ptr<net::transport>>> memory_network::connect(net::address where,
                                                                                             net::time_point deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const key place(where.ip, where.port);
  ++attempts_[place];
  const auto found = listeners_.find(place);
  if (found == listeners_.end()) co_return failure(asio::error::connection_refused, where.to_string());
  if (!found->second.serve) {
    net::timer wait(executor);
    wait.expires_at(deadline);
    std::error_code ec = co_await wait.async_wait();
    if (!ec) ec = std::make_error_code(std::errc::timed_out);
    co_return failure(ec, where.to_string());
  }
  std::string name = "client:";
  name += std::to_string(next_port_++);
  memory_pipe pipe(executor, std::move(name), where.to_string(), found->second.options);
  asio::co_spawn(executor, detail::run_acceptor(found->second.serve, std::move(pipe.second)), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
  co_return std::move(pipe.first);
}

}  // namespace kawait::testing
