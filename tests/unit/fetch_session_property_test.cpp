#include "fetch_session_support.hpp"

#include <cstdint>
#include <optional>
#include <random>

#include "catch.hpp"

namespace fetch_session_property_tests {

using namespace fetch_session_support;

// What a broker keeps of fetch sessions, as KIP-227 describes it.
class broker_model {
 public:
  explicit broker_model(std::mt19937_64& random) : random_(random) {}

  /// Serves a request. `served` is then what it reads from, if it is in a position to read.
  fetch_response serve(const fetch_request& request) {
    served.reset();
    if (request.session_epoch <= 0) return serve_full(request);
    if (session_ && chance(25)) session_.reset();  // evicted
    if (!session_ || request.session_id != id_) return answer(0, kafka_error::fetch_session_id_not_found);
    if (chance(25)) ++epoch_;  // a request that somebody sent twice
    if (chance(40)) return answer(0, kafka_error::fetch_session_topic_id_error);
    if (request.session_epoch != epoch_) return answer(0, kafka_error::invalid_fetch_session_epoch);
    for (const auto& [p, offset] : as_map(request)) (*session_)[p] = offset;
    for (const auto& p : forgotten(request)) CHECK(session_->erase(p) == 1);
    served = *session_;
    if (session_->empty()) {
      session_.reset();
      return answer(0);
    }
    epoch_ = kawait::machine::detail::next_session_epoch(epoch_);
    return answer(id_);
  }

  std::optional<offsets> served;

 private:
  fetch_response serve_full(const fetch_request& request) {
    if (session_ && request.session_id == id_) session_.reset();
    served = as_map(request);
    CHECK(forgotten(request).empty());
    if (request.session_epoch == -1 || served->empty() || chance(5)) return answer(0);  // throttled, or no room
    if (session_) return answer(0);                                                  // one of ours is still there
    session_ = served;
    epoch_ = 1;
    return answer(++id_);
  }
  bool chance(std::uint64_t one_in) { return random_() % one_in == 0; }

  std::mt19937_64& random_;
  std::optional<offsets> session_;
  std::int32_t id_ = 100;
  std::int32_t epoch_ = 0;
};

struct tally {
  int delivered = 0, absorbed = 0, lost = 0, incremental = 0;
};

void run_seed(std::uint64_t seed, tally& count) {
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  broker_model broker(random);
  fetch_session session;
  offsets wanted;
  const auto change = [&] {
    for (std::uint64_t n = random() % 4; n > 0; --n) {
      const auto p = part(static_cast<int>(random() % 3), static_cast<std::int32_t>(random() % 4));
      if (random() % 3 == 0) {
        session.remove(p);
        wanted.erase(p);
      } else {
        const auto offset = static_cast<std::int64_t>(random() % 5);
        session.set(p, at(offset));
        wanted[p] = offset;
      }
    }
  };
  for (int step = 0; step < 60; ++step) {
    change();
    CHECK(session.wants_any() == !wanted.empty());
    CHECK(session.size() == wanted.size());
    if (!session.wants_any() && random() % 2 == 0) continue;
    const auto& request = session.next(some_limits());
    const offsets asked = wanted;
    const bool incremental = request.session_epoch > 0;
    if (random() % 15 == 0) {  // lost on the way there
      session.on_disconnected();
      ++count.lost;
      continue;
    }
    const auto response = broker.serve(request);
    // What matters: whoever reads for us reads exactly what we want, from where we want it.
    if (broker.served) CHECK(*broker.served == asked);
    change();
    if (random() % 15 == 0) {  // lost on the way back
      session.on_disconnected();
      ++count.lost;
      continue;
    }
    const auto verdict = session.on_response(response);
    CHECK(verdict.what == (broker.served ? kind::deliver : kind::absorbed));
    if (verdict.what != kind::deliver) {
      ++count.absorbed;
      continue;
    }
    ++count.delivered;
    count.incremental += incremental;
    for (const auto& [p, offset] : asked) {
      if (wanted.count(p) != 0) {
        CHECK(session.asked_offset(p) == offset);
      } else {
        CHECK_FALSE(session.asked_offset(p));
      }
    }
  }
}

TEST_CASE("fetch_session: the broker always reads what is wanted, whatever gets lost", "[fetch_session]") {
  tally count;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) run_seed(seed, count);
  // A run that never gets anywhere would prove nothing.
  CHECK(count.delivered > 40'000);
  CHECK(count.incremental > 15'000);
  CHECK(count.absorbed > 2'000);
  CHECK(count.lost > 5'000);
}

}  // namespace fetch_session_property_tests
