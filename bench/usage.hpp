#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace bench {

/// What this process has used so far.
struct usage {
  std::chrono::steady_clock::time_point at = std::chrono::steady_clock::now();
  double user = 0;
  double system = 0;
  long max_rss_kb = 0;

  static usage now() {
    rusage r{};
    getrusage(RUSAGE_SELF, &r);
    usage u;
    u.user = seconds(r.ru_utime);
    u.system = seconds(r.ru_stime);
    u.max_rss_kb = r.ru_maxrss;
    return u;
  }

 private:
  static double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; }
};

/// What this process has in memory now.
inline long resident_kb() {
  long total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/// An argument, or a std::runtime_error that names it.
inline std::size_t number(const char* name, const char* text) {
  char* end = nullptr;
  const unsigned long n = std::strtoul(text, &end, 10);
  if (n == 0 || *end != '\0') throw std::runtime_error(std::string(name) + " '" + text + "' is not a positive number");
  return n;
}

/// The JSON line that run.sh reads.
inline void print(const char* name, const std::string& topic, std::uint64_t records, std::uint64_t bytes, std::uint64_t sum,
                  const usage& start, const usage& first, const usage& last) {
  const std::chrono::duration<double> before = first.at - start.at, after = last.at - first.at;
  const usage end = usage::now();
  std::printf("{\"name\":\"%s\",\"topic\":\"%s\",\"records\":%" PRIu64 ",\"bytes\":%" PRIu64
              ",\"first_s\":%.6f,\"wall_s\":%.6f,\"user_s\":%.6f,\"sys_s\":%.6f,\"cpu_all_s\":%.6f"
              ",\"maxrss_kb\":%ld,\"sum\":%" PRIu64 "}\n",
              name, topic.c_str(), records, bytes, before.count(), after.count(), last.user - first.user, last.system - first.system,
              end.user + end.system, end.max_rss_kb, sum);
}

}  // namespace bench
