// A properties file with anything in it: a configuration, or an error that says where.

#include <kawait/config.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("properties", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  fuzz::check(file >= 0 && ::ftruncate(file, 0) == 0 && ::pwrite(file, data, size, 0) == static_cast<ssize_t>(size), "a file in memory");
  kawait::config c("127.0.0.1:9092");
  try {
    c.load_file(path);
  } catch (const kawait::error& e) {
    fuzz::check(std::string(e.what()).find(path) != std::string::npos, "the words name the file");
  }
  return 0;
}
