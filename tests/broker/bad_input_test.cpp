// What can be wrong with an address, a broker or a name: told from async_run within its time-out, in words that name it.

#include "member_support.hpp"

#include <array>
#include <atomic>
#include <thread>

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace kawait::tests {
namespace {

/// Listens on a loopback port, answers the first bytes of every connection with `answer` (nothing if it is empty), and keeps it open.
class listener {
 public:
  explicit listener(std::string answer) : answer_(std::move(answer)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(socket_, 16) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &size) != 0) {
      throw std::runtime_error("listener");
    }
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;
  ~listener() {
    stopping_ = true;
    thread_.join();
    for (const pollfd& p : polled_) ::close(p.fd);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  void serve() {
    polled_.push_back(pollfd{socket_, POLLIN, 0});
    while (!stopping_) {
      if (::poll(polled_.data(), static_cast<nfds_t>(polled_.size()), 20) <= 0) continue;
      for (std::size_t i = polled_.size(); i-- > 1;) {
        if (polled_[i].revents == 0) continue;
        std::array<char, 4096> bytes;
        const auto n = ::recv(polled_[i].fd, bytes.data(), bytes.size(), 0);
        if (n > 0 && !answer_.empty()) (void)!::send(polled_[i].fd, answer_.data(), answer_.size(), MSG_NOSIGNAL);
        if (n > 0) continue;
        ::close(polled_[i].fd);
        polled_.erase(polled_.begin() + static_cast<std::ptrdiff_t>(i));
      }
      if (polled_[0].revents != 0) polled_.push_back(pollfd{::accept(socket_, nullptr, nullptr), POLLIN, 0});
    }
  }

  std::string answer_;
  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
  std::vector<pollfd> polled_;
};

double cpu_seconds() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

struct verdict {
  std::error_code code;
  std::string words;
  clock::duration took{};
  double cpu = 0;
};

asio::awaitable<void> run_to_end(kawait::consumer& c, verdict& v) {
  const auto began = clock::now();
  const double cpu = cpu_seconds();
  try {
    co_await c.async_run();
  } catch (const error& e) {
    v.code = e.code();
    v.words = e.words();
  }
  v.took = clock::now() - began;
  v.cpu = cpu_seconds() - cpu;
}

constexpr auto short_timeout = 1s;
// Beyond the time-out: what a busy machine needs, and far from the defaults (10, 30 and 60 s).
constexpr auto margin = 4s;

/// async_run of a consumer that is subscribed to a topic at `bootstrap`.
verdict run_at(const std::string& bootstrap) {
  scenario s(bootstrap);
  config c(bootstrap);
  c.group_id("group").default_api_timeout(short_timeout);
  kawait::consumer consumer(s.executor(), c);
  consumer.subscribe("topic");
  verdict v;
  s.run(run_to_end(consumer, v));
  CHECK(v.took < short_timeout + margin);
  CHECK(v.cpu < 1.0);  // waits, and does not spin
  return v;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("bad input: an unknown host") {
  const verdict v = run_at("no-such-host.invalid:9092");
  CAPTURE(v.code, v.words);
  CHECK(v.code == errc::unresolved_host);
  CHECK(contains(v.words, "no-such-host.invalid"));
}

TEST_CASE("bad input: a refused port") {
  const std::string where = "127.0.0.1:" + std::to_string(closed_port());
  const verdict v = run_at(where);
  CAPTURE(v.code, v.words);
  CHECK(v.code == errc::bootstrap_failed);
  CHECK(contains(v.words, where));
  CHECK(contains(v.words, "refused"));
}

TEST_CASE("bad input: a port that speaks something else") {
  const std::vector<std::string> answers = {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", std::string(64, '\0'),
                                            std::string("\0\0\0\4zzzz", 8), "x", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"};
  for (const auto& answer : answers) {
    listener other(answer);
    const verdict v = run_at(other.address());
    CAPTURE(answer.size(), v.code, v.words);
    // One byte is not yet wrong: that one says nothing more.
    if (answer.size() > 1) {
      CHECK(v.code == errc::not_kafka);
    } else {
      CHECK((v.code == errc::not_kafka || v.code == errc::bootstrap_failed));
    }
    CHECK(contains(v.words, other.address()));
  }
}

TEST_CASE("bad input: a port that says nothing") {
  listener silent("");
  const verdict v = run_at(silent.address());
  CAPTURE(v.code, v.words);
  CHECK((v.code == errc::not_kafka || v.code == errc::bootstrap_failed));
  CHECK(contains(v.words, silent.address()));
}

TEST_CASE("bad input: a good address among bad ones is found") {
  const std::string bootstrap = "127.0.0.1:" + std::to_string(closed_port()) + "," + one_node().bootstrap();
  scenario s(one_node().bootstrap());
  const std::string topic = unique_name("among");
  config c(bootstrap);
  c.group_id(unique_name("group")).auto_offset_reset(offset_reset::earliest);
  member& m = s.subscribe("member", c, topic);
  struct body {
    static asio::awaitable<void> run(scenario& sc, member& mem, std::string name) {
      co_await sc.admin.create_topic(name, 1);
      load& l = sc.make<load>(sc.admin, name, 1);
      co_await l.add(5);
      mem.start();
      EVENTUALLY(l.is_consumed(sc.log) || mem.has_ended());
      co_await mem.close();
    }
  };
  s.run(body::run(s, m, topic));
  CHECK(s.log.records() == 5);
}

TEST_CASE("bad input: a broker without the consumer protocol") {
  cluster old(1, {"group.coordinator.rebalance.protocols=classic"});
  scenario s(old.bootstrap());
  config c(old.bootstrap());
  c.group_id("group").default_api_timeout(20s);
  kawait::consumer consumer(s.executor(), c);
  consumer.subscribe("topic");
  verdict v;
  s.run(run_to_end(consumer, v));
  CAPTURE(v.code, v.code.message(), v.words);
  CHECK((v.code == errc::unsupported_broker || v.code == kafka_error::unsupported_version));
  CHECK(contains(v.words, "ConsumerGroupHeartbeat"));
  CHECK(contains(v.words, "4.0"));
}

asio::awaitable<void> unknown_topic(scenario& s) {
  config c = s.settings();
  c.default_api_timeout(short_timeout);
  const std::string known = unique_name("known");
  co_await s.admin.create_topic(known, 2);
  const std::vector<topic_partition> wrong = {topic_partition("no-such-topic", 0), topic_partition(known, 7)};
  for (const auto& name : wrong) {
    kawait::consumer consumer(s.executor(), c);
    const std::vector<topic_partition> one = {name};
    consumer.assign(one);
    verdict v;
    co_await run_to_end(consumer, v);
    CAPTURE(v.code, v.words);
    CHECK(v.code == kafka_error::unknown_topic_or_partition);
    CHECK(contains(v.words, name.to_string()));
    CHECK(v.took < short_timeout + margin);
    CHECK(v.cpu < 1.0);
  }
}

TEST_CASE("bad input: an unknown topic or partition in assign") {
  scenario s;
  s.run(&unknown_topic);
}

asio::awaitable<void> unknown_assignor(scenario& s) {
  config c = s.settings(unique_name("group"));
  c.remote_assignor("no-such-assignor");
  kawait::consumer consumer(s.executor(), c);
  consumer.subscribe("topic");
  verdict v;
  co_await run_to_end(consumer, v);
  CAPTURE(v.code, v.words);
  CHECK(v.code == kafka_error::unsupported_assignor);
  CHECK(contains(v.words, "no-such-assignor"));
  CHECK(contains(v.words, "uniform"));  // what there is, in the broker's words
}

TEST_CASE("bad input: an assignor that the broker does not have", "[membership]") {
  scenario s;
  s.run(&unknown_assignor);
}

TEST_CASE("bad input: what no broker need be asked about") {
  asio::io_context context(1);
  const auto refused = [](const auto& call) {
    try {
      call();
    } catch (const error& e) {
      return e.code();
    }
    return std::error_code();
  };
  const auto make = [&](const config& c) { return kawait::consumer(context.get_executor(), c); };
  config c("127.0.0.1:1");
  CHECK(refused([&] { make(config()); }) == errc::invalid_config);
  CHECK(refused([&] { make(config("not an address")); }) == errc::invalid_config);
  CHECK(refused([&] { make(c).subscribe("topic"); }) == errc::group_required);
  c.group_id("group");
  CHECK(refused([&] { make(c).subscribe("no/such:name"); }) == kafka_error::invalid_topic_exception);
  CHECK(refused([&] { make(c).subscribe(""); }) == kafka_error::invalid_topic_exception);
  CHECK(refused([&] { make(c).subscribe(std::vector<std::string>()); }) == errc::not_subscribed);
  CHECK(refused([&] {
          auto consumer = make(c);
          consumer.subscribe("topic");
          consumer.assign(std::vector<topic_partition>(1, topic_partition("topic", 0)));
        }) == errc::not_in_manual_mode);
  auto idle = make(c);
  std::error_code code;
  idle.async_run([&code](std::error_code ec) { code = ec; });
  context.run();
  CHECK(code == errc::not_subscribed);
}

}  // namespace
}  // namespace kawait::tests
