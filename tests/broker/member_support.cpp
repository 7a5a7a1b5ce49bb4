#include "member_support.hpp"

#include <atomic>
#include <thread>

namespace kawait::tests {

// ---- history

ownership& history::begin(const std::string& member, const kawait::partition& p) {
  for (const ownership& other : ownerships_) {
    if (other.open && other.name == p.name() && !other.handle.is_stale()) {
      violations_.push_back(p.name().to_string() + ": " + member + " begins while " + other.member + " still works");
    }
  }
  ownership& o = ownerships_.emplace_back();
  o.member = member;
  o.handle = p;
  o.name = p.name();
  o.began = clock::now();
  return o;
}

void history::deliver(ownership& o, const batch& b) {
  const std::string where = o.member + " " + o.name.to_string();
  if (o.read == clock::time_point()) o.read = clock::now();
  if (o.handle.is_stale()) violations_.push_back(where + ": a batch after the revocation completed");
  if (o.handle.end_reason() != end_reason::none) violations_.push_back(where + ": a batch after the stream ended");
  for (const ownership& other : ownerships_) {
    if (&other != &o && other.open && other.name == o.name && other.began > o.began) {
      violations_.push_back(where + ": a batch while " + other.member + " has taken over");
    }
  }
  auto& seen = seen_[o.name];
  for (const record& r : b) {
    if (o.first < 0) o.first = o.next = r.offset();
    if (offsets_are_dense ? r.offset() != o.next : r.offset() < o.next) {
      violations_.push_back(where + ": offset " + std::to_string(r.offset()) + " in place of " + std::to_string(o.next));
    }
    if (values_are_offsets && (!r.value() || number_of(*r.value()) != r.offset())) {
      violations_.push_back(where + ": offset " + std::to_string(r.offset()) + " has another's value");
    }
    o.next = r.offset() + 1;
    ++seen[r.offset()];
    ++records_;
  }
}

void history::end(ownership& o, end_reason why) {
  o.open = false;
  o.ended = clock::now();
  o.why = why;
}

bool history::has_all(const topic_partition& p, std::int64_t end) {
  const auto& seen = seen_[p];
  if (static_cast<std::int64_t>(seen.size()) < end) return false;
  std::int64_t expected = 0;
  for (const auto& [offset, times] : seen) {
    if (offset != expected++) return false;
    if (expected == end) break;
  }
  return true;
}

std::size_t history::repeated() const {
  std::size_t n = 0;
  for (const auto& [p, seen] : seen_) {
    for (const auto& [offset, times] : seen) n += times > 1 ? 1 : 0;
  }
  return n;
}

std::set<std::int32_t> history::open_partitions(const std::string& member) const {
  std::set<std::int32_t> all;
  for (const ownership& o : ownerships_) {
    if (o.open && o.member == member) all.insert(o.name.partition);
  }
  return all;
}

std::size_t history::open_count() const {
  std::size_t n = 0;
  for (const ownership& o : ownerships_) n += o.open ? 1 : 0;
  return n;
}

std::vector<const ownership*> history::of(const topic_partition& p) const {
  std::vector<const ownership*> all;
  for (const ownership& o : ownerships_) {
    if (o.name == p) all.push_back(&o);
  }
  return all;
}

void history::forget_handles() {
  for (ownership& o : ownerships_) o.handle = kawait::partition();
}

// ---- member

member::member(asio::any_io_executor executor, history& h, std::string name, config c)
    : executor_(executor), history_(h), name_(std::move(name)), consumer_(std::move(executor), std::move(c)) {}

void member::start() { start_with(handler{this}); }

asio::awaitable<void> member::work(kawait::partition p) {
  open_ownership own(history_, name_, p);
  for (;;) {
    auto next = co_await p.async_next();
    if (!next) break;
    history_.deliver(*own, *next);
    if (work_time) {
      const auto time = work_time(*next);
      co_await sleep_for(time);
    }
    if (finish) {
      own->done = finish(*next);
    } else {
      next->done();
      own->done = next->next_offset();
    }
  }
  own.why = p.end_reason();
}

asio::awaitable<void> member::close() {
  co_await consumer_.async_close();
  co_await ended();
  if (thrown_) std::rethrow_exception(thrown_);
}

asio::awaitable<void> member::ended() { EVENTUALLY(ended_); }

std::error_code member::outcome() const {
  if (!thrown_) return {};
  try {
    std::rethrow_exception(thrown_);
  } catch (const std::system_error& e) {
    return e.code();
  }
}

// ---- load

asio::awaitable<void> load::add(std::int64_t count, std::int64_t per_batch, std::size_t size) {
  if (who_.id < 0) who_ = co_await admin_.idempotent_producer();
  for (std::int32_t p = 0; p < partitions(); ++p) {
    std::int64_t& produced = produced_[static_cast<std::size_t>(p)];
    for (std::int64_t left = count; left > 0;) {
      const std::int64_t n = std::min(left, per_batch);
      auto b = numbered(produced, n, size);
      b.producer(who_.id, who_.epoch, static_cast<std::int32_t>(produced));
      auto bytes = b.build();
      co_await admin_.produce(topic_, p, std::move(bytes));
      produced += n;
      left -= n;
    }
  }
}

asio::awaitable<void> load::run() {
  running_ = true;
  while (!stopping_) {
    co_await add(batch_size, batch_size);
    co_await sleep_for(pause);
  }
  running_ = false;
}

asio::awaitable<void> load::stop() {
  stopping_ = true;
  EVENTUALLY(!running_);
  stopping_ = false;
}

std::int64_t load::total() const {
  std::int64_t n = 0;
  for (const std::int64_t p : produced_) n += p;
  return n;
}

bool load::is_consumed(history& h) const {
  for (std::int32_t p = 0; p < partitions(); ++p) {
    if (!h.has_all(topic_partition(topic_, p), produced(p))) return false;
  }
  return true;
}

// ---- scenario

scenario::scenario(std::string bootstrap) : bootstrap_(std::move(bootstrap)), admin(make<tests::admin>(executor(), bootstrap_)) {}

scenario::~scenario() {
  while (!kept_.empty()) kept_.pop_back();
  log.forget_handles();
}

void scenario::spawn(asio::awaitable<void> beside) {
  asio::co_spawn(context_, std::move(beside), [this](std::exception_ptr e) {
    if (!e) return;
    thrown_ = e;
    context_.stop();
  });
}

void scenario::run(asio::awaitable<void> test, std::chrono::seconds limit) {
  asio::co_spawn(context_, std::move(test), [this](std::exception_ptr e) {
    thrown_ = e;
    ended_ = true;
    context_.stop();
  });
  // Not run_for(): on io_uring, with Asio 1.22.1 and liburing 2.3, it asks the kernel to take its time-out back by requests that carry
  // the address of an earlier operation. Once the ring has gone round, that one is completed a second time, under the kernel's hands.
  asio::steady_timer end(context_, limit);
  end.async_wait([this](std::error_code ec) {
    if (!ec) context_.stop();
  });
  context_.run();
  if (thrown_) std::rethrow_exception(thrown_);
  CAPTURE(joined(admin.retried()));
  CHECK((nodes_die || admin.retried().empty()));
  if (!ended_) throw std::runtime_error("the test did not end within " + std::to_string(limit.count()) + " s");
}

void scenario::run(asio::awaitable<void> (*test)(scenario&), std::chrono::seconds limit) { run(test(*this), limit); }

config scenario::settings() const {
  config c(bootstrap_);
  c.auto_offset_reset(offset_reset::earliest).default_api_timeout(30s).request_timeout(15s);
  return c;
}

config scenario::settings(const std::string& group) const {
  config c = settings();
  c.group_id(group).auto_commit_interval(200ms);
  return c;
}

member& scenario::subscribe(const std::string& name, config c, const std::string& topic) {
  member& m = make<member>(executor(), log, name, std::move(c));
  m.consumer().subscribe(topic);
  return m;
}

asio::awaitable<std::vector<std::int64_t>> scenario::committed(std::string group, std::string topic, std::int32_t partitions) {
  kawait::consumer reader(executor(), settings(group));
  std::vector<topic_partition> names;
  for (std::int32_t p = 0; p < partitions; ++p) names.emplace_back(topic, p);
  const auto offsets = co_await reader.async_committed(names);
  std::vector<std::int64_t> told;
  for (const auto& n : names) {
    const auto it = offsets.find(n);
    told.push_back(it == offsets.end() ? -1 : it->second);
  }
  co_return told;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < lines.size() && i < 10; ++i) text += lines[i] + "\n";
  if (lines.size() > 10) text += "... " + std::to_string(lines.size()) + " in all\n";
  return text;
}

// ---- background

struct background::state {
  std::thread thread;
  std::atomic<bool> done{false};
  std::exception_ptr thrown;
};

background::background(std::function<void()> work) : state_(std::make_shared<state>()) {
  state_->thread = std::thread([s = state_.get(), work = std::move(work)] {
    try {
      work();
    } catch (...) {
      s->thrown = std::current_exception();
    }
    s->done = true;
  });
}

background::~background() {
  if (state_->thread.joinable()) state_->thread.join();
}

bool background::is_done() const { return state_->done; }

void background::get() {
  if (state_->thread.joinable()) state_->thread.join();
  if (state_->thrown) std::rethrow_exception(state_->thrown);
}

}  // namespace kawait::tests
