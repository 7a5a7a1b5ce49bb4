#include "pool.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace seeds {
namespace {


void send(int fd, const std::string& text) {
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t n = ::write(fd, text.data() + sent, text.size() - sent);
    if (n <= 0) ::_exit(3);
    sent += static_cast<std::size_t>(n);
  }
}

std::string one_line(std::string words) {
  std::replace(words.begin(), words.end(), '\n', ' ');
  return words;
}

void add(std::map<std::string, std::size_t>& to, const std::map<std::string, std::size_t>& from) {
  for (const auto& [name, n] : from) to[name] += n;
}

void send_counts(int fd, summary& counts) {
  for (const auto& [name, n] : counts.hits) send(fd, "h " + std::to_string(n) + " " + name + "\n");
  for (const auto& [name, n] : counts.reached) send(fd, "r " + std::to_string(n) + " " + one_line(name) + "\n");
  counts = summary();
}

/// In the child. A line each: b(egun) seed, v(iolated) seed invariant words, d(one) seed, h(its) and r(eached) count name.
[[noreturn]] void work(int fd, const std::vector<std::uint64_t>& mine, const std::function<outcome(std::uint64_t)>& one) {
  summary counts;
  for (const std::uint64_t seed : mine) {
    const std::string number = std::to_string(seed);
    send(fd, "b " + number + "\n");
    try {
      const outcome o = one(seed);
      for (const violation& v : o.violations) {
        send(fd, "v " + number + " " + std::to_string(static_cast<int>(v.what)) + " " + one_line(v.words) + "\n");
      }
      add(counts.hits, o.hits);
      add(counts.reached, o.reached);
    } catch (const std::exception& e) {
      send(fd, "v " + number + " 0 threw: " + one_line(e.what()) + "\n");
    }
    send(fd, "d " + number + "\n");
    if (++counts.run == 100) send_counts(fd, counts);
  }
  send_counts(fd, counts);
  std::exit(0);  // not _exit: leaks are looked for
}

/// Not the clock on the wall: on a busy machine a process may wait for long.
std::chrono::nanoseconds cpu_time_of(pid_t process) {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return {};
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

class worker {
 public:
  worker(std::vector<std::uint64_t> seeds, const std::function<outcome(std::uint64_t)>& one, const pool_options& o)
      : left_(std::move(seeds)), one_(one), options_(o) {
    start();
  }

  bool is_over() const noexcept { return pid_ < 0; }
  int fd() const noexcept { return fd_; }

  void read(summary& s) {
    char buffer[65536];
    const ssize_t n = ::read(fd_, buffer, sizeof buffer);
    if (n <= 0) return end(s);
    text_.append(buffer, static_cast<std::size_t>(n));
    for (std::size_t at; (at = text_.find('\n')) != std::string::npos; text_.erase(0, at + 1)) on_line(text_.substr(0, at), s);
  }
  void look(summary& s) {
    if (is_over() || cpu_time_of(pid_) < since_ + options_.hang) return;
    hung_ = true;
    ::kill(pid_, SIGKILL);
    end(s);
  }
  void stop() {
    if (is_over()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(fd_);
    pid_ = -1;
  }

 private:
  void start() {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("no process");
    if (pid_ == 0) {
      ::close(ends[0]);
      if (options_.quiet) {
        const int nowhere = ::open("/dev/null", O_WRONLY);
        ::dup2(nowhere, 2);
      }
      if (options_.prepare) options_.prepare();
      work(ends[1], left_, one_);
    }
    ::close(ends[1]);
    fd_ = ends[0];
    text_.clear();
    running_ = 0;
    is_running_ = hung_ = false;
    since_ = {};
  }

  void on_line(const std::string& line, summary& s) {
    std::istringstream in(line.substr(2));
    std::size_t n = 0;
    since_ = cpu_time_of(pid_);
    if (line[0] == 'h' || line[0] == 'r') {
      in >> n;
      std::string name;
      std::getline(in >> std::ws, name);
      (line[0] == 'h' ? s.hits : s.reached)[name] += n;
      return;
    }
    in >> running_;
    is_running_ = line[0] != 'd';
    if (line[0] == 'v') {
      failed_seed f;
      f.seed = running_;
      in >> f.invariant;
      std::getline(in >> std::ws, f.words);
      s.failed.push_back(std::move(f));
    }
    if (line[0] == 'd') ++s.run;
  }

  void end(summary& s) {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ::close(fd_);
    pid_ = -1;
    const bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (is_well && !is_running_) return;
    failed_seed f;
    f.seed = running_;
    f.words = hung_ ? "hung" : "crashed, status " + std::to_string(status);
    if (!is_running_) f.words += ", at the end of its process: all since the last such end may be why";
    s.failed.push_back(std::move(f));
    const auto at = std::find(left_.begin(), left_.end(), running_);
    if (at == left_.end()) return;
    left_.erase(left_.begin(), at + 1);
    if (!left_.empty() && s.failed.size() < options_.failures) start();
  }

  std::vector<std::uint64_t> left_;
  const std::function<outcome(std::uint64_t)>& one_;
  const pool_options& options_;
  pid_t pid_ = -1;
  int fd_ = -1;
  std::string text_;
  std::uint64_t running_ = 0;
  bool is_running_ = false, hung_ = false;
  std::chrono::nanoseconds since_{};  // its CPU time when it last said something
};

}  // namespace

summary run_seeds(const std::vector<std::uint64_t>& all, const std::function<outcome(std::uint64_t)>& one, const pool_options& o) {
  summary s;
  std::vector<worker> workers;
  for (std::size_t i = 0; i < std::min(o.jobs, all.size()); ++i) {
    std::vector<std::uint64_t> mine;
    for (std::size_t k = i; k < all.size(); k += o.jobs) mine.push_back(all[k]);
    workers.emplace_back(std::move(mine), one, o);
  }
  for (;;) {
    std::vector<pollfd> waits;
    std::vector<worker*> of;
    for (worker& w : workers) {
      if (w.is_over()) continue;
      waits.push_back(pollfd{w.fd(), POLLIN, 0});
      of.push_back(&w);
    }
    if (waits.empty()) break;
    if (::poll(waits.data(), waits.size(), 1000) < 0 && errno != EINTR) throw std::runtime_error("no poll");
    for (std::size_t i = 0; i < of.size(); ++i) {
      if (waits[i].revents != 0) {
        of[i]->read(s);
      } else {
        of[i]->look(s);
      }
    }
    if (s.failed.size() >= o.failures) break;
  }
  for (worker& w : workers) w.stop();
  std::sort(s.failed.begin(), s.failed.end(), [](const failed_seed& a, const failed_seed& b) { return a.seed < b.seed; });
  return s;
}

}  // namespace seeds
