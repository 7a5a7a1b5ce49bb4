#include <kawait/kawait.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/world.hpp>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>  // version 3: link Catch2::Catch2WithMain
#else
#define CATCH_CONFIG_MAIN  // version 2
#include <catch2/catch.hpp>
#endif

using namespace std::chrono_literals;

// Yours: what runs in production.
asio::awaitable<void> bill(kawait::partition orders) {
  while (auto batch = co_await orders.async_next()) {
    for (const kawait::record& r : *batch) {
      if (r.value() == "expensive") co_await kawait::sleep_for(3s);  // in the test these seconds take no time
    }
    batch->done();
  }
}

TEST_CASE("orders are billed, also when another member joins") {
  kawait::testing::world world;          // virtual time, a network in memory, randomness from a seed
  kawait::testing::broker kafka(world);  // an embedded Kafka
  kafka.create_topic("orders", 2);
  kafka.append("orders", 0, {"cheap", "expensive"});

  kawait::config config(kafka.bootstrap());
  config.group_id("billing").auto_offset_reset(kawait::offset_reset::earliest).auto_commit_interval(1s);
  kawait::consumer consumer(world.executor(), config);
  consumer.subscribe("orders");
  world.spawn(kawait::for_each_partition(consumer, bill));

  world.advance(2s);
  CHECK(consumer.assignment().size() == 2);
  CHECK(!kafka.committed("billing", "orders", 0));  // the expensive one is not done yet

  CHECK(!kafka.add_member("billing", kawait::testing::scripted_member("another", {"orders"})));
  world.advance(5s);
  CHECK(kafka.committed("billing", "orders", 0) == 2);
  CHECK(consumer.assignment().size() == 1);
}
