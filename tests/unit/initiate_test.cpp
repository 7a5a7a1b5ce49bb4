#include "catch.hpp"

#include <asio/bind_executor.hpp>

#include <kawait/testing/world.hpp>

namespace initiate_tests {

using namespace std::chrono_literals;
namespace net = kawait::net;
using kawait::testing::world;

const std::error_code aborted = asio::error::operation_aborted;

asio::awaitable<kawait::result<int>> answer_after(net::duration d, int value) {
  co_await net::async_sleep_for(d);
  if (value < 0) co_return kawait::failure(kawait::errc::closed, "as asked");
  co_return value;
}

TEST_CASE("a coroutine becomes an operation with any token", "[net]") {
  world w;
  const auto operation = [&](net::duration d, int value, auto&& token, kawait::diagnostics* words = nullptr) {
    return kawait::detail::initiate<int>(
        w.executor(), [d, value] { return answer_after(d, value); }, std::forward<decltype(token)>(token), words);
  };
  SECTION("a callback") {
    std::error_code code = aborted;
    int got = 0;
    operation(1s, 42, [&](std::error_code ec, int value) {
      code = ec;
      got = value;
    });
    CHECK(got == 0);
    w.advance(1s);
    CHECK(got == 42);
    CHECK(!code);
  }
  SECTION("use_awaitable") {
    const auto script = [&]() -> asio::awaitable<int> {
      auto op = operation(1s, 42, asio::use_awaitable);
      const int value = co_await std::move(op);
      co_return value;
    };
    CHECK(w.run(script()) == 42);
  }
  SECTION("a failure and its words") {
    kawait::diagnostics words;
    std::error_code code;
    operation(1s, -1, [&](std::error_code ec, int) { code = ec; }, &words);
    w.advance(1s);
    CHECK(code == kawait::errc::closed);
    CHECK(words.text() == "as asked");
  }
  SECTION("cancelled, by whatever type") {
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
      asio::cancellation_signal stop;
      std::error_code code;
      operation(1h, 1, asio::bind_cancellation_slot(stop.slot(), [&](std::error_code ec, int) { code = ec; }));
      w.advance(1s);
      stop.emit(type);
      w.poll();
      CHECK(code == aborted);
    }
  }
  SECTION("cancelled before it has started, by whatever type") {
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
      asio::cancellation_signal stop;
      std::error_code code;
      bool called = false;
      kawait::detail::initiate<int>(
          w.executor(),
          [&called] {
            called = true;
            return answer_after(1h, 1);
          },
          asio::bind_cancellation_slot(stop.slot(), [&](std::error_code ec, int) { code = ec; }));
      stop.emit(type);
      w.poll();
      CHECK(code == aborted);
      CHECK(!called);
    }
  }
  SECTION("cancelled in its first step") {
    asio::cancellation_signal stop;
    std::error_code code;
    kawait::detail::initiate<int>(
        w.executor(),
        [&stop] {
          stop.emit(asio::cancellation_type::partial);
          return answer_after(1h, 1);
        },
        asio::bind_cancellation_slot(stop.slot(), [&](std::error_code ec, int) { code = ec; }));
    w.poll();
    CHECK(code == aborted);
  }
  SECTION("cancelled when it has ended, or with its context gone") {
    asio::cancellation_signal late, orphan;
    int ends = 0;
    operation(1s, 1, asio::bind_cancellation_slot(late.slot(), [&](std::error_code, int) { ++ends; }));
    w.advance(1s);
    late.emit(asio::cancellation_type::total);
    operation(1h, 1, asio::bind_cancellation_slot(orphan.slot(), [&](std::error_code, int) { ++ends; }));
    w.advance(1s);
    w.destroy_context();
    late.emit(asio::cancellation_type::total);
    orphan.emit(asio::cancellation_type::total);
    CHECK(ends == 1);
  }
  SECTION("its handler runs on the handler's executor") {
    asio::io_context other(1);
    bool done = false;
    operation(1s, 1, asio::bind_executor(other.get_executor(), [&](std::error_code, int) { done = true; }));
    w.advance(1s);
    CHECK(!done);
    other.run();
    CHECK(done);
  }
  SECTION("pending when the context is destroyed") {
    operation(1h, 1, [](std::error_code, int) { FAIL("never"); });
    w.poll();
    w.destroy_context();
  }
}

TEST_CASE("operations without a value", "[net]") {
  world w;
  std::vector<std::error_code> codes;
  const auto note = [&](std::error_code ec) { codes.push_back(ec); };
  const auto plain = []() -> asio::awaitable<void> { co_return; };
  const auto throwing = []() -> asio::awaitable<void> {
    co_await net::async_sleep_for(1s);
    throw kawait::error(kawait::errc::lost, "words");
  };
  const auto coded = []() -> asio::awaitable<std::error_code> { co_return make_error_code(kawait::errc::not_assigned); };
  const auto failing = []() -> asio::awaitable<kawait::failure> { co_return kawait::failure(kawait::errc::closed, "why"); };
  const auto starved = []() -> asio::awaitable<void> {
    co_await net::async_sleep_for(2s);
    throw std::bad_alloc();
  };
  kawait::diagnostics words;
  kawait::diagnostics thrown;
  kawait::detail::initiate<void>(w.executor(), plain, note);
  kawait::detail::initiate<void>(w.executor(), coded, note);
  kawait::detail::initiate<void>(w.executor(), failing, note, &words);
  kawait::detail::initiate<void>(w.executor(), throwing, note, &thrown);
  kawait::detail::initiate<void>(w.executor(), starved, note);
  w.advance(5s);
  const std::vector<std::error_code> expected = {std::error_code(), kawait::errc::not_assigned, kawait::errc::closed,
                                                 kawait::errc::lost, std::make_error_code(std::errc::not_enough_memory)};
  CHECK(codes == expected);
  CHECK(words.text() == "why");
  CHECK(thrown.text() == "words");
}

}  // namespace initiate_tests
