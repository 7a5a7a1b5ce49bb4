#include "catch.hpp"

#include <kawait/runtime/serial.hpp>

#include <thread>

namespace {

using kawait::runtime::serial;

TEST_CASE("a second thread inside is found, the same thread again is not") {
  serial s;
  const auto violated_on_another_thread = [&s] {
    bool violated = false;
    std::thread([&] { violated = serial::section(s).is_violated(); }).join();
    return violated;
  };
  {
    const serial::section outer(s);
    CHECK(!outer.is_violated());
    CHECK(!serial::section(s).is_violated());
    CHECK(violated_on_another_thread());
    CHECK(violated_on_another_thread());  // the intruder's end did not let the next in
  }
  CHECK(!violated_on_another_thread());
}

}  // namespace
