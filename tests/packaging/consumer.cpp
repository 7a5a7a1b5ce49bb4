#include <kawait/kawait.hpp>

#include <iostream>

// What a program of somebody else's is, at its smallest: the headers, the backend and an error of ours.
int main() {
  asio::io_context context(1);
  asio::post(context, [] { std::cout << "kawait " KAWAIT_VERSION ": " << make_error_code(kawait::errc::lost).message() << '\n'; });
  return context.run() == 1 ? 0 : 1;
}
