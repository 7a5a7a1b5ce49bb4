// The cheapest client that there can be, for bench_consume and bench_latency to be held against: one connection, one thread that blocks,
// all partitions of a topic from offset 0. It receives into one buffer, half a megabyte a wake-up (SO_RCVLOWAT), checks CRCs,
// decompresses, walks the records and touches every value's last byte. No group, no errors that pass, no second broker; what is wrong
// ends it.
//
//   bench_floor BOOTSTRAP TOPIC COUNT
//   bench_floor BOOTSTRAP TOPIC WARM_UP SECONDS
//
// Prints what bench_consume does, or bench_latency.

#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/wire/compression.hpp>
#include <kawait/wire/record.hpp>
#include <kawait/wire/record_batch.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "latencies.hpp"
#include "usage.hpp"

namespace {

using namespace kawait;

void demand(const failure& f) {
  if (f) throw std::runtime_error(f.to_string());
}
void demand(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

class wire_end {
 public:
  explicit wire_end(const std::string& bootstrap) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto colon = bootstrap.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(bootstrap.substr(colon + 1))));
    demand(::inet_pton(AF_INET, bootstrap.substr(0, colon).c_str(), &to.sin_addr) == 1, "BOOTSTRAP is not ADDRESS:PORT");
    demand(::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "cannot connect");
    const int yes = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  wire_end(const wire_end&) = delete;
  wire_end& operator=(const wire_end&) = delete;
  ~wire_end() { ::close(socket_); }

  template <class Request>
  void send(const Request& request, std::int16_t version) {
    out_.clear();
    demand(protocol::encode_request(out_, request, version, ++correlation_id_, "floor"));
    for (std::size_t at = 0; at < out_.size();) {
      const auto sent = ::send(socket_, out_.data() + at, out_.size() - at, MSG_NOSIGNAL);
      demand(sent > 0, "the broker is gone");
      at += static_cast<std::size_t>(sent);
    }
  }

  /// What follows the correlation id of the next answer, until the next call.
  std::span<const std::byte> receive() {
    std::byte head[8];
    read(head, sizeof head);
    wire::reader r(head);
    const auto size = static_cast<std::size_t>(r.read<std::int32_t>()) - 4;
    demand(r.read<std::int32_t>() == correlation_id_ && size < buffer_size, "an answer to something else");
    read(buffer_.get(), size);
    return {buffer_.get(), size};
  }

 private:
  static constexpr std::size_t buffer_size = 64 << 20;

  void read(std::byte* to, std::size_t size) {
    while (size > 0) {
      wait_for(size);
      const auto got = ::recv(socket_, to, size, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) {
        // Not in recv itself: that has taken what there was, and is not woken for a rest below the low-water mark.
        pollfd readable{socket_, POLLIN, 0};
        ::poll(&readable, 1, -1);
        continue;
      }
      demand(got > 0, "the broker is gone");
      to += got;
      size -= static_cast<std::size_t>(got);
    }
  }
  void wait_for(std::size_t missing) {
    const int wanted = missing < (64 << 10) ? 1 : static_cast<int>(std::min<std::size_t>(missing, 512 << 10));
    if (wanted == low_water_) return;
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted);
    low_water_ = wanted;
  }

  int socket_;
  int low_water_ = 1;
  std::int32_t correlation_id_ = 0;
  std::vector<std::byte> out_;
  std::unique_ptr<std::byte[]> buffer_{new std::byte[buffer_size]};
};

class reading {
 public:
  explicit reading(std::uint64_t wanted) : wanted_(wanted) {}

  void read(std::span<const std::byte> records) {
    wire::batch_cursor cursor(records);
    wire::batch_view batch;
    while (left() > 0 && cursor.next(batch)) {
      demand(wire::check_crc(batch));
      if (batch.header.is_control()) continue;
      if (batch.header.codec() == wire::codec::none) {
        walk(batch.header, batch.records());
      } else {
        wire::slab_ref out;
        std::size_t size = 0;
        demand(codecs_.decompress(batch.header.codec(), batch.records(), 64 << 20, *this_slab_, out, size));
        walk(batch.header, {out->data(), size});
      }
    }
    demand(cursor.error());
  }
  std::uint64_t left() const { return wanted_ - records_; }
  std::uint64_t records() const { return records_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t sum() const { return sum_; }

 private:
  /// The same slab again and again.
  class one_slab final : public wire::slab_source {
   public:
    wire::slab_ref acquire(std::size_t bytes) override {
      if (!slab_ || slab_->capacity() < bytes) slab_ = wire::slab_ref(wire::slab::create(bytes));
      return slab_;
    }

   private:
    wire::slab_ref slab_;
  };

  void walk(const wire::batch_header& header, std::span<const std::byte> bytes) {
    wire::record_reader reader(header, bytes);
    wire::record r;
    std::uint64_t left = this->left(), size = 0, sum = 0;
    const std::uint64_t before = left;
    while (left > 0 && reader.next(r)) {
      const auto value = r.value().bytes();
      size += r.key().size() + value.size();
      if (!value.empty()) sum += std::to_integer<std::uint64_t>(value.back());
      --left;
    }
    if (left > 0) demand(reader.error());
    records_ += before - left;
    bytes_ += size;
    sum_ += sum;
  }

  std::uint64_t wanted_, records_ = 0, bytes_ = 0, sum_ = 0;
  wire::decompressor codecs_;
  std::unique_ptr<one_slab> this_slab_ = std::make_unique<one_slab>();
};

protocol::fetch_request first_request(wire_end& broker, const std::string& topic) {
  protocol::metadata_request ask;
  ask.topics.emplace();
  ask.topics->emplace_back();
  ask.topics->back().name = topic;
  broker.send(ask, 13);
  protocol::metadata_response known;
  demand(protocol::decode_response(known, broker.receive(), 13));
  demand(known.topics.size() == 1 && known.topics[0].error_code == 0, "no such topic");
  protocol::fetch_request request;
  request.max_wait_ms = 500;
  request.min_bytes = 1;
  request.max_bytes = 50 << 20;
  auto& wanted = request.topics.emplace_back();
  wanted.topic_id = known.topics[0].topic_id;
  for (const auto& p : known.topics[0].partitions) {
    auto& mine = wanted.partitions.emplace_back();
    mine.partition = p.partition_index;
    mine.partition_max_bytes = 1 << 20;
  }
  return request;
}

/// Moves the positions behind what the answer has. The next request leaves before its records are read.
void advance(protocol::fetch_request& request, const protocol::fetch_response& answer) {
  demand(answer.error_code == 0 && answer.responses.size() <= 1, "Fetch failed");
  for (const auto& topic : answer.responses) {
    for (const auto& p : topic.partitions) {
      demand(p.error_code == 0, "Fetch of a partition failed");
      wire::records_summary seen;
      demand(wire::summarize(p.records.value_or(std::span<const std::byte>()), seen));
      if (seen.batches == 0) continue;
      auto& all = request.topics[0].partitions;
      const auto mine = std::find_if(all.begin(), all.end(), [&](const auto& m) { return m.partition == p.partition_index; });
      mine->fetch_offset = seen.next_offset;
      std::rotate(mine, mine + 1, all.end());  // who had something comes last, as a session has it
    }
  }
}

constexpr std::int16_t version = 17;

void run(const std::string& bootstrap, const std::string& topic, std::uint64_t count) {
  const bench::usage start = bench::usage::now();
  wire_end broker(bootstrap);
  protocol::fetch_request request = first_request(broker, topic);
  reading all(count);
  bench::usage first = start;
  broker.send(request, version);
  while (all.left() > 0) {
    protocol::fetch_response answer;
    const auto body = broker.receive();
    if (all.records() == 0) first = bench::usage::now();
    demand(protocol::decode_response(answer, body, version));
    advance(request, answer);
    broker.send(request, version);
    for (const auto& t : answer.responses) {
      for (const auto& p : t.partitions) all.read(p.records.value_or(std::span<const std::byte>()));
    }
  }
  bench::print("floor", topic, all.records(), all.bytes(), all.sum(), start, first, bench::usage::now());
}

void read_live(std::span<const std::byte> records, std::int32_t partition, bench::latencies& all) {
  wire::batch_cursor cursor(records);
  wire::batch_view batch;
  wire::record r;
  while (cursor.next(batch)) {
    demand(wire::check_crc(batch));
    wire::record_reader reader(batch.header, batch.records());
    while (reader.next(r)) all.read(r, partition);
    demand(reader.error());
  }
  demand(cursor.error());
}

void run_live(const std::string& bootstrap, const std::string& topic, bench::latencies all) {
  wire_end broker(bootstrap);
  protocol::fetch_request request = first_request(broker, topic);
  broker.send(request, version);
  while (!all.is_over()) {
    protocol::fetch_response answer;
    demand(protocol::decode_response(answer, broker.receive(), version));
    advance(request, answer);
    broker.send(request, version);
    for (const auto& t : answer.responses) {
      for (const auto& p : t.partitions) read_live(p.records.value_or(std::span<const std::byte>()), p.partition_index, all);
    }
  }
  all.print("floor");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::cerr << "usage: bench_floor ADDRESS:PORT TOPIC COUNT\n       bench_floor ADDRESS:PORT TOPIC WARM_UP SECONDS\n";
    return 2;
  }
  try {
    if (argc == 4) {
      run(argv[1], argv[2], std::stoull(argv[3]));
    } else {
      run_live(argv[1], argv[2], bench::latencies(argv[3], argv[4]));
    }
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "bench_floor: " << e.what() << '\n';
    return 1;
  }
}
