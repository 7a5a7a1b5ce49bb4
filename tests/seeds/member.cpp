#include "member.hpp"

#include <asio/co_spawn.hpp>

#include <kawait/for_each.hpp>
#include <kawait/time.hpp>

namespace seeds {

using namespace std::chrono_literals;

namespace {

client& new_client(stage& s, const member_plan& p, int number) {
  return s.watch.add_client(p.name + "." + std::to_string(number), p);
}

std::uint64_t seed_of(const stage& s, const client& c) {
  std::uint64_t seed = s.script.seed;
  for (const char l : c.name) seed = seed * 31 + static_cast<unsigned char>(l);
  return seed;
}

std::string pattern_of(const std::vector<std::string>& topics) {
  std::string all;
  for (const std::string& t : topics) all.append(all.empty() ? "" : "|").append(t);
  return all;
}

}  // namespace

life::life(stage& s, const member_plan& p, int number)
    : stage_(s),
      plan_(p),
      client_(new_client(s, p, number)),
      dice_(seed_of(s, client_)),
      freezer_(std::make_shared<freezer>(s.world.context().get_executor())),
      executor_(p.what == interruption::freeze ? asio::any_io_executor(freezing_executor(freezer_)) : s.world.executor()) {}

kawait::config life::settings() const {
  kawait::config c(stage_.broker.bootstrap());
  c.client_id(client_.name).group_id(group).auto_offset_reset(kawait::offset_reset::earliest);
  c.rebalance_timeout(rebalance_timeout).max_poll_interval(10s);
  c.auto_commit(!plan_.manual).auto_commit_interval(plan_.commits_ms * 1ms);
  c.fetch_max_wait(2s).fetch_buffer_bytes(fetch_buffer_bytes).decompression_limit(decompression_limit).metadata_max_age(20s);
  c.request_timeout(request_timeout).default_api_timeout(api_timeout).connection_setup_timeout(3s).retry_backoff_max(500ms);
  c.isolation(stage_.script.committed_only ? kawait::isolation_level::read_committed : kawait::isolation_level::read_uncommitted);
  if (stage_.script.small_fetches) c.max_partition_fetch_bytes(300);
  if (stage_.script.small_answers) c.fetch_max_bytes(600);
  if (!plan_.instance.empty()) c.group_instance_id(plan_.instance);
  c.add_observer(stage_.watch.watch(client_));
  return c;
}

std::shared_ptr<pending> life::begin(std::string what, std::chrono::milliseconds timeout) {
  auto p = std::make_shared<pending>();
  p->what = client_.name + ": " + what;
  p->begun = stage_.world.now();
  // One that stands still, or whose clock jumps, is late.
  const bool is_punctual = plan_.what != interruption::freeze && !stage_.script.has_fault("clients-stopped");
  if (is_punctual && timeout > 0ms) p->limit = timeout + 50ms;
  pending_.push_back(p);
  return p;
}

void life::complete(const std::shared_ptr<pending>& p) {
  if (++p->completed > 1) stage_.watch.fail(invariant::completes_once, p->what + " completed twice");
  if (p->limit > 0ms && stage_.world.now() > p->begun + p->limit) {
    stage_.watch.fail(invariant::completes_once, p->what + " completed after its deadline");
  }
}

void life::spawn(asio::awaitable<void> what, std::string name) {
  const auto one = begin(std::move(name));
  asio::co_spawn(executor_, std::move(what), [self = shared_from_this(), one](std::exception_ptr thrown) {
    self->complete(one);
    // As for_each_* does with what a handler throws.
    if (thrown && !self->client_.closing && !self->has_ended()) self->close(5s);
  });
}

void life::start() {
  consumer_ = std::make_unique<kawait::consumer>(executor_, settings());
  client_.consumer = consumer_.get();
  stage_.watch.note(client_.name, "starts");
  subscribe(stage_.healed ? std::vector<std::string>() : plan_.topics, plan_.pattern && !stage_.healed);
  if (plan_.how == style::events || plan_.how == style::pulls) {
    run_consumer();
  } else {
    run_each();
  }
}

void life::run_each() {
  const auto one = begin("for_each");
  asio::co_spawn(executor_, each(shared_from_this()), [self = shared_from_this(), one](std::exception_ptr) {
    self->complete(one);
    self->ended_ = self->stage_.world.now();
  });
}

void life::run_consumer() {
  const auto one = begin("async_run");
  consumer_->async_run([self = shared_from_this(), one](std::error_code) {
    self->complete(one);
    self->ended_ = self->stage_.world.now();
  });
  spawn(plan_.how == style::events ? listen(shared_from_this()) : pull(shared_from_this()), "reading");
}

/// No topics: all.
void life::subscribe(const std::vector<std::string>& topics, bool pattern) {
  if (!consumer_ || has_ended() || client_.closing) return;
  std::vector<std::string> names = topics;
  if (names.empty()) {
    for (const topic_plan& t : stage_.script.topics) names.push_back(t.name);
  }
  try {
    if (pattern) {
      consumer_->subscribe_pattern(pattern_of(names));
    } else {
      consumer_->subscribe(names);
    }
  } catch (const kawait::error& e) {
    stage_.watch.note(client_.name, e.what());
  }
}

void life::close(std::chrono::milliseconds timeout) {
  if (!consumer_) return;
  client_.closing = true;
  client_.closes = std::min(client_.closes, stage_.world.now() + timeout * 9 / 10);  // the rest is for the leave
  was_member_ = stage_.broker.group().member(group, client_.id).has_value();
  const auto one = begin("async_close", timeout);
  consumer_->async_close(kawait::close_options(timeout), [self = shared_from_this(), one](std::error_code ec) {
    self->complete(one);
    self->closed_ = ec;
    self->stage_.watch.reach("close: " + (ec ? ec.message() : "well"));
  });
}

void life::leave() {
  if (!consumer_ || has_ended() || client_.closing) return;
  constexpr auto timeout = 8s;
  client_.closes = std::min(client_.closes, stage_.world.now() + std::chrono::milliseconds(timeout) * 9 / 10);
  const auto one = begin("async_unsubscribe", timeout);
  consumer_->async_unsubscribe(timeout, [self = shared_from_this(), one](std::error_code ec) {
    self->complete(one);
    self->stage_.watch.reach("unsubscribe: " + (ec ? ec.message() : "well"));
    if (!self->client_.closing) self->client_.closes = time_point::max();
  });
}

void life::destroy() {
  if (!consumer_) return;
  thaw();
  stage_.watch.note(client_.name, "is destroyed");
  stage_.watch.check_buffers(client_);
  if (closed_ && !*closed_) stage_.watch.check_given_back(client_);
  client_.consumer = nullptr;
  consumer_.reset();
  stage_.watch.on_gone(client_);
}

void life::check_completed() {
  for (const auto& p : pending_) {
    if (p->completed == 0) stage_.watch.fail(invariant::completes_once, p->what + " has not completed");
  }
}

void life::check_left() {
  // A topic is deleted while a batch of it is in hand, and revoked therefore; the consumer is closed; only then is the batch done. Its
  // offset cannot be recorded anywhere any more, and who closes is told.
  const bool is_of_gone_topic = closed_ && *closed_ == kawait::errc::commit_failed && client_.only_of_gone.value_or(false);
  // Who was expelled before all was well may hear of it only in closing.
  if (closed_ && *closed_ && was_member_ && !is_of_gone_topic) {
    stage_.watch.fail(invariant::leaves, client_.name + " has not closed well: " + closed_->message());
  }
  if (!closed_ || *closed_ || client_.id.empty()) return;
  const auto m = stage_.broker.group().member(group, client_.id);
  if (m && (plan_.instance.empty() || m->epoch != -2)) {
    stage_.watch.fail(invariant::leaves, client_.name + " has closed well, and is a member still");
  }
}

void member::begin_life() {
  lives_.push_back(std::make_shared<life>(stage_, plan_, static_cast<int>(lives_.size())));
  lives_.back()->start();
}

void member::interrupt() {
  life& l = *lives_.back();
  interrupted_ = away_ = true;
  switch (plan_.what) {
    case interruption::none: break;
    case interruption::close: return l.close(5s);
    case interruption::crash: return l.destroy();
    case interruption::freeze: return l.freeze();
    case interruption::leave: return l.leave();
  }
}

void member::resume() {
  resumed_ = true;
  away_ = false;
  life& l = *lives_.back();
  l.thaw();
  if (plan_.what == interruption::leave) l.subscribe(plan_.topics, plan_.pattern);
  // One that is closed, or gone, is followed by another with the next look.
}

void member::tick(int now_ms) {
  if (now_ms < plan_.starts_ms && !stage_.healed) return;
  if (lives_.empty()) return begin_life();
  const bool interrupts = plan_.what != interruption::none && !interrupted_ && !stage_.healed;
  if (interrupts && now_ms >= plan_.interrupted_ms) interrupt();
  if (interrupted_ && !resumed_ && (stage_.healed || now_ms >= plan_.interrupted_ms + plan_.lasts_ms)) resume();
  if (away_) return;
  life& l = *lives_.back();
  if (plan_.changes_ms > 0 && !changed_ && !stage_.healed && now_ms >= plan_.changes_ms) {
    changed_ = true;
    l.subscribe(plan_.changed, false);
  }
  const bool is_over = !l.consumer() || (l.has_ended() && stage_.world.now() > *l.ended() + 500ms);
  if (!is_over) return;
  l.destroy();
  begin_life();
}

void member::heal() {
  stage_.world.poll();  // what was begun last: operations start where the consumer runs
  tick(0);
  if (life* l = current()) l->subscribe({}, false);
}

}  // namespace seeds
