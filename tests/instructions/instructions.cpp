// Work for run.sh to count instructions of: each call of measured() is one figure's, and the line printed for it says by what to divide.
// `instructions NAME` does one figure's work only: for `valgrind --tool=callgrind --toggle-collect=measured`, to see where it goes.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <kawait/kawait.hpp>
#include <kawait/machine/scram.hpp>

#include "batch_builder.hpp"
#include "support/prepared_broker.hpp"
#include "support/record_walk.hpp"

/// callgrind counts what happens within, and begins anew afterwards.
extern "C" [[gnu::noinline]] void measured(const std::function<void()>& work) {
  work();
  asm volatile("" ::: "memory");  // no tail call, or the count would not end here
}

namespace {

using namespace kawait;
using prepared::shape;
using prepared::stage;

constexpr std::size_t rounds = 200, records_of_many = 1000, rounds_of_brokers = 10'000;
volatile std::uint64_t sink;
const char* only = nullptr;

bool is_wanted(std::string_view name) { return !only || name == only; }

void measure(const char* name, std::size_t divisor, const std::function<void()>& work) {
  if (!is_wanted(name)) return;
  measured(work);
  std::printf("%s %zu\n", name, divisor);
}

std::uint64_t touch(const record& r) {
  const auto key = *r.key();
  const auto value = *r.value();
  return static_cast<std::uint64_t>(r.offset()) + static_cast<unsigned char>(key.front()) + static_cast<unsigned char>(value.back());
}

// ---- Without a consumer: 5,000 records of 16 + 100 bytes in ten batches.

void measure_bytes() {
  constexpr std::size_t batches = 10, records = 500;
  tests::byte_vector bytes;
  for (std::size_t b = 0; b < batches; ++b) {
    tests::batch_builder builder(static_cast<std::int64_t>(b * records));
    for (std::size_t r = 0; r < records; ++r) builder.add(std::string(16, 'k'), std::string(100, 'v'), {}, static_cast<std::int64_t>(r % 3));
    tests::append(bytes, builder.build());
  }
  measure("walk", batches * records, [&] { sink = tests::walk_records(bytes, [](const wire::record& r) { return touch(r); }); });
  const auto check = [&] { sink = tests::check_crcs(bytes); };
  check();  // chooses the instructions
  measure("crc", bytes.size() / 1024, check);
}

// ---- Comparing with what is secret: where it differs must cost nothing, or whoever measures it learns the secret byte by byte.

void measure_signature(const char* name, std::size_t wrong) {
  constexpr std::string_view nonce = "rOprNGfwEbeRWgbNEkqO";
  std::string signature = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";  // RFC 7677's
  signature[wrong] = 'x';
  machine::scram s(machine::scram::hash::sha_256, "user", secret("pencil"), nonce);
  const auto proof = s.client_final("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  if (!proof) std::abort();
  const auto finish = [&] {
    if (!s.finish("v=" + signature)) std::abort();
  };
  measure(name, 1, finish);
}

void measure_secret(const char* name, std::size_t wrong) {
  const secret one(std::string(64, 'a'));
  std::string text(64, 'a');
  text[wrong] = 'x';
  const secret other(text);
  measure(name, 1, [&] { sink = one == other; });
}

// ---- A consumer's rounds: the answer read and decoded, queued, handed out, done, released, the next request.

void measure_batches(const char* name, const shape& what, bool check_crcs, std::size_t times = rounds) {
  if (!is_wanted(name)) return;
  stage s(what, check_crcs);
  const auto each = [&](const batch& b) {
    std::uint64_t sum = 0;
    for (const record& r : b) sum += touch(r);
    sink = sum;
  };
  const auto read = [&](partition p) { return prepared::read_batches(s, std::move(p), each); };
  s.start(for_each_partition(s.consumer(), read));
  s.run(times);
  measure(name, times, [&] { s.run(times); });
}

template <class Handler>
void measure_records(const char* name, const Handler& handle) {
  if (!is_wanted(name)) return;
  stage s(shape(1, records_of_many), false);
  const auto each = [&s, &handle](const record& r) {
    if (r.ordinal() + 1 == records_of_many) s.on_work();
    return handle(r);
  };
  s.start(for_each_record(s.consumer(), each));
  s.run(rounds);
  measure(name, rounds, [&] { s.run(rounds); });
}

asio::awaitable<void> touch_in_a_coroutine(const record& r) {
  sink = touch(r);
  co_return;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) only = argv[1];
  measure_bytes();
  // Each in place of an R: how long decoding takes depends on which characters there are, and those are no secret.
  measure_signature("signature_warm", 5);
  measure_signature("signature_first", 5);
  measure_signature("signature_last", 35);
  measure_secret("secret_first", 0);
  measure_secret("secret_last", 63);
  measure_batches("one", shape(1, 1), true);
  shape among_idle(1, 1);
  among_idle.partitions = 1000;
  measure_batches("among_idle", among_idle, true);
  shape of_brokers(1, 1);
  of_brokers.brokers = 100;
  measure_batches("brokers", of_brokers, true, rounds_of_brokers);
  measure_batches("many", shape(64, 1), true);
  measure_batches("one_unchecked", shape(1, 1), false);
  measure_batches("loop", shape(1, records_of_many), false);
  measure_records("plain", [](const record& r) { sink = touch(r); });
  measure_records("coroutine", touch_in_a_coroutine);
}
