#include <kawait/kawait.hpp>

#include <iostream>

const std::error_category& category_of_two();

// What a program of somebody else's is, at its smallest: the headers, the backend and an error of ours. With two.cpp, since programs have
// several files: one category object in both says that the inline definitions were merged, not merely accepted by the linker.
int main() {
  asio::io_context context(1);
  asio::post(context, [] { std::cout << "kawait " KAWAIT_VERSION ": " << make_error_code(kawait::errc::lost).message() << '\n'; });
  return context.run() == 1 && &category_of_two() == &kawait::kawait_category() ? 0 : 1;
}
