#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

// Each *_fuzz.cpp defines what libFuzzer calls with every input; those that are several fuzzers, what it calls first.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace fuzz {

inline std::span<const std::byte> bytes(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// What must hold whatever the input is; the fuzzer keeps the input that breaks it.
inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

/// One of several fuzzers in a program, by the name that the program is called by: fuzz_NAME.
struct one_of {
  std::string_view name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};

template <std::size_t N>
const one_of& called(const one_of (&all)[N], std::string_view program) {
  program.remove_prefix(program.rfind('/') + 1);  // 0 where there is none
  for (const one_of& each : all) {
    if (program.starts_with("fuzz_") && program.substr(5) == each.name) return each;
  }
  std::fprintf(stderr, "call it fuzz_NAME, with one of these names:\n");
  for (const one_of& each : all) std::fprintf(stderr, "  %.*s\n", static_cast<int>(each.name.size()), each.name.data());
  std::exit(2);
}

}  // namespace fuzz
