#pragma once

#include <kawait/runtime/metadata_driver.hpp>

namespace kawait::runtime {

KAWAIT_DECL metadata_driver::metadata_driver(asio::any_io_executor executor, net::broker_pool& brokers, metadata_host& host,
                                             const options& o)
    : environment_(net::environment::of(executor)),
      brokers_(brokers),
      host_(host),
      cluster_(machine::cluster::options(o.metadata_max_age, machine::backoff_options(o.retry_backoff, o.retry_backoff_max))),
      changed_(executor) {}

KAWAIT_DECL void metadata_driver::stop() {
  stopped_ = true;
  changed_.notify_all();
}

KAWAIT_DECL asio::awaitable<void> metadata_driver::run() {
  while (!stopped_) {
    auto effect = cluster_.poll(environment_.now());
    if (auto* const what = std::get_if<machine::cluster::fetch_metadata>(&effect)) {
      machine::cluster::fetch_metadata wanted = std::move(*what);
      co_await fetch(std::move(wanted));
    } else {
      co_await changed_.wait_until(std::get<machine::idle>(effect).until);
    }
  }
}

KAWAIT_DECL asio::awaitable<void> metadata_driver::fetch(machine::cluster::fetch_metadata what) {
  auto connection = co_await brokers_.async_any();
  if (stopped_) co_return;
  failure why;
  if (connection) {
    const auto request = what.request();
    auto answer = co_await (*connection)->async_request(request);
    if (stopped_) co_return;
    if (answer) {
      const auto outcome = cluster_.on_metadata(answer->message, what, environment_.now(), environment_.random());
      if (outcome.rebootstrap) {
        cluster_.rebootstrap();
        brokers_.rebootstrap();
      } else if (outcome.why) {
        host_.on_cluster_unreachable(outcome.why);
      } else {
        std::vector<net::broker> brokers;
        for (const auto& b : cluster_.brokers()) brokers.emplace_back(b.id, b.host, static_cast<std::uint16_t>(b.port));
        brokers_.set_brokers(brokers);
        host_.on_metadata();
      }
      co_return;
    }
    why = std::move(answer).error();
  } else {
    why = std::move(connection).error();
  }
  cluster_.on_disconnected(environment_.now(), environment_.random());
  host_.on_cluster_unreachable(std::move(why));
}

}  // namespace kawait::runtime
