#include "simulation/member.hpp"

namespace simulated {

void member::start(handler h) {
  auto run = [](member& m, handler work) -> asio::awaitable<void> { co_await kawait::for_each_partition(m.consumer, work); };
  asio::co_spawn(world.executor(), run(*this, std::move(h)), asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr e) {
                   ended = true;
                   thrown = e;
                 }));
}

void member::start(std::chrono::milliseconds work) {
  start([this, work](kawait::partition p) -> asio::awaitable<void> {
    running.insert(p.index());
    while (auto batch = co_await p.async_next()) {
      for (const kawait::record& r : *batch) seen[p.index()].push_back(r.offset());
      if (work > 0ms) co_await kawait::sleep_for(work);
      batch->done();
    }
    ends[p.index()] = p.end_reason();
    running.erase(p.index());
  });
}

std::error_code member::error() const {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const std::system_error& e) {
    return e.code();
  } catch (...) {
    return std::make_error_code(std::errc::state_not_recoverable);
  }
  return {};
}

void member::close() {
  asio::co_spawn(world.executor(), consumer.async_close(), [this](std::exception_ptr) { closed = true; });
}

}  // namespace simulated
