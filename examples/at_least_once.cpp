// A sink that loses nothing: records are appended to a file, and done only once they are on the disk. Kill it when you like: what was
// not on the disk was not committed, and comes again. (What was on the disk and not committed yet comes twice: at least once.)
//
//   at_least_once BOOTSTRAP TOPIC GROUP FILE
//
// FILE is this process's alone. SIGINT and SIGTERM end it in order. One line a record: partition, offset, value.

#include <kawait/kawait.hpp>

#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/thread_pool.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>

// Blocks while the disk works, so it is run on a thread of its own. Move-only, as what it owns.
class file_sink {
 public:
  explicit file_sink(const std::string& path) : file_sink(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
    if (file_ < 0 || ::flock(file_, LOCK_EX | LOCK_NB) != 0) fail(path);
    whole_ = ::lseek(file_, 0, SEEK_END);
    if (whole_ < 0) fail(path);
    // Who was killed may have left half a line. Its record comes again.
    for (char last = 0; whole_ > 0; --whole_) {
      if (::pread(file_, &last, 1, whole_ - 1) != 1) fail(path);
      if (last == '\n') break;
    }
  }
  file_sink(file_sink&& other) noexcept : file_(std::exchange(other.file_, -1)), whole_(other.whole_) {}
  file_sink& operator=(file_sink&&) = delete;
  ~file_sink() {
    if (file_ >= 0) ::close(file_);
  }

  // What for_each_batch calls: a plain function. What it throws (a disk that is full) is tried again.
  void operator()(const kawait::batch& orders) {
    std::string lines;
    for (const kawait::record& r : orders) {
      lines += std::to_string(orders.partition()) + ' ' + std::to_string(r.offset()) + ' ';
      lines += r.value().value_or("");
      lines += '\n';
    }
    // Whatever an attempt that failed has written is cut off by the next.
    if (::ftruncate(file_, whole_) != 0) fail("ftruncate");
    for (std::string_view left = lines; !left.empty();) {
      const ::ssize_t n = ::write(file_, left.data(), left.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write");
      left.remove_prefix(static_cast<std::size_t>(n));
    }
    if (::fdatasync(file_) != 0) fail("fdatasync");
    whole_ += static_cast<::off_t>(lines.size());
  }  // returning is done: from now on it may be committed

 private:
  explicit file_sink(int file) : file_(file) {}
  [[noreturn]] static void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

  int file_;
  ::off_t whole_ = 0;  // so much of the file are lines that are on the disk, or were there before us
};

asio::awaitable<void> run(kawait::consumer& consumer, file_sink sink, asio::any_io_executor disk, asio::signal_set& signals) {
  const kawait::on there(disk);
  const kawait::retry again(10);  // after 100 ms, 200 ms, ... 10 s
  co_await kawait::for_each_batch(consumer, std::move(sink), there, again);
  signals.cancel();
}

asio::awaitable<void> close_on_signal(kawait::consumer& consumer, asio::signal_set& signals) {
  std::error_code ended;
  co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  if (!ended) co_await consumer.async_close();
}

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: at_least_once BOOTSTRAP TOPIC GROUP FILE\n";
    return 2;
  }
  try {
    asio::thread_pool disk(1);
    asio::io_context context(1);
    kawait::config config(argv[1]);
    config.group_id(argv[3]).auto_offset_reset(kawait::offset_reset::earliest).auto_commit_interval(std::chrono::seconds(1));
    kawait::consumer consumer(context.get_executor(), config);
    consumer.subscribe(argv[2]);

    asio::signal_set signals(context, SIGINT, SIGTERM);
    int status = 0;
    const auto report = [&](std::exception_ptr thrown) {
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        status = 1;
        signals.cancel();
      }
    };
    asio::co_spawn(context, run(consumer, file_sink(argv[4]), disk.get_executor(), signals), report);
    asio::co_spawn(context, close_on_signal(consumer, signals), report);
    context.run();
    return status;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
