// Whole groups of consumers on an embedded cluster in virtual time, as seeds will have it, held against what must be true of them.
//
//     simulate --seed 42                    # one, told line by line; the last line is the trace's hash
//     simulate --seeds 1..10000 --jobs 2    # many; what broke, and how often each fault struck
//     simulate --kept seeds.txt             # those that broke something once
//
// The exit status is 1 if an invariant broke, or if many seeds never met some fault of the catalogue.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <kawait/testing/fault_catalogue.hpp>

#include "pool.hpp"
#include "run.hpp"

namespace seeds {
namespace {

/// Of those one in this many is run twice.
constexpr std::uint64_t repeated = 50;

struct arguments {
  std::optional<std::uint64_t> seed;
  std::vector<std::uint64_t> many;
  std::size_t jobs = std::max(1u, std::thread::hardware_concurrency());
};

int usage() {
  std::cerr << "usage: simulate --seed N | --seeds A..B | --kept FILE [--jobs N]\n";
  return 2;
}

void add_range(std::vector<std::uint64_t>& to, const std::string& range) {
  const std::size_t dots = range.find("..");
  if (dots == range.npos) throw std::invalid_argument(range);
  const std::uint64_t last = std::stoull(range.substr(dots + 2));
  for (std::uint64_t s = std::stoull(range.substr(0, dots)); s <= last; ++s) to.push_back(s);
}

/// A seed a line, and behind it why.
void add_kept(std::vector<std::uint64_t>& to, const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::invalid_argument(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::uint64_t seed = 0;
    if (words >> seed) to.push_back(seed);
  }
}

arguments parse(int argc, char** argv) {
  arguments a;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--seed") {
      a.seed = std::stoull(value);
    } else if (name == "--seeds") {
      add_range(a.many, value);
    } else if (name == "--kept") {
      add_kept(a.many, value);
    } else if (name == "--jobs") {
      a.jobs = std::max<std::size_t>(1, std::stoul(value));
    } else {
      throw std::invalid_argument(name);
    }
  }
  if (argc % 2 == 0 || (!a.seed && a.many.empty())) throw std::invalid_argument("");
  return a;
}

void tell(const violation& v) {
  std::cout << "VIOLATED " << static_cast<int>(v.what) << " (" << words_of(v.what) << "): " << v.words << '\n';
}

int replay(std::uint64_t seed) {
  const plan p = make_plan(seed);
  std::cout << p;
  const outcome o = play(p, &std::cout);
  for (const violation& v : o.violations) tell(v);
  std::cout << "trace hash: " << std::hex << o.hash << std::endl;
  return o.violations.empty() ? 0 : 1;
}

outcome run_one(std::uint64_t seed) {
  const plan p = make_plan(seed);
  outcome o = play(p);
  if (seed % repeated == 0 && play(p).hash != o.hash) {
    o.violations.push_back(violation{invariant::deterministic, "two runs differ"});
  }
  return o;
}

void report(const summary& s, std::chrono::duration<double> took) {
  std::cout << s.run << " seeds in " << took.count() << " s, one in " << repeated << " of them twice\n\nfaults\n";
  for (const auto& f : kawait::testing::fault_catalogue()) {
    const auto hits = s.hits.find(std::string(f.name));
    std::cout << (hits == s.hits.end() ? 0 : hits->second) << '\t' << f.name << '\n';
  }
  std::cout << "\nreached\n";
  for (const auto& [name, n] : s.reached) std::cout << n << '\t' << name << '\n';
  std::cout << '\n' << s.failed.size() << " failed\n";
  for (const failed_seed& f : s.failed) {
    std::cout << "seed " << f.seed << ": ";
    if (f.invariant == 0) {
      std::cout << f.words << '\n';
    } else {
      tell(violation{static_cast<invariant>(f.invariant), f.words});
    }
    std::cout << "  simulate --seed " << f.seed << '\n';
  }
}

/// With fewer seeds chance may leave some out.
constexpr std::size_t many_seeds = 10'000;

/// What so many seeds must have got to: else they do not test what they are said to.
std::vector<std::string> missing(const summary& s) {
  static constexpr std::string_view states[] = {
      "commit: done", "drained: well", "drained: in-flight work was not drained before the revocation's deadline", "event: lost",
      "event: throttled", "heartbeat: FENCED_MEMBER_EPOCH", "heartbeat: UNKNOWN_MEMBER_ID", "heartbeat: UNRELEASED_INSTANCE_ID",
      "membership: reconciling", "membership: resigning", "membership: stalled", "request: a commit served after its time",
      "request: offset_for_leader_epoch", "warning: OFFSET_OUT_OF_RANGE", "warning: the log was truncated below the position",
      "warning: no sign of work for max.poll.interval.ms", "close: well", "unsubscribe: well"};
  std::vector<std::string> all;
  for (const auto& f : kawait::testing::fault_catalogue()) {
    if (!s.hits.contains(std::string(f.name))) all.push_back("the fault " + std::string(f.name));
  }
  for (const std::string_view state : states) {
    if (!s.reached.contains(std::string(state))) all.push_back(std::string(state));
  }
  return all;
}

int run_many(const arguments& a) {
  pool_options o;
  o.jobs = a.jobs;
  const auto begun = std::chrono::steady_clock::now();
  const summary s = run_seeds(a.many, run_one, o);
  report(s, std::chrono::steady_clock::now() - begun);
  bool is_well = s.failed.empty() && s.run == a.many.size();
  if (s.run >= many_seeds) {
    for (const std::string& what : missing(s)) {
      std::cout << "NEVER: " << what << '\n';
      is_well = false;
    }
  }
  return is_well ? 0 : 1;
}

}  // namespace
}  // namespace seeds

int main(int argc, char** argv) {
  seeds::arguments a;
  try {
    a = seeds::parse(argc, argv);
  } catch (const std::logic_error&) {
    return seeds::usage();
  }
  return a.seed ? seeds::replay(*a.seed) : seeds::run_many(a);
}
