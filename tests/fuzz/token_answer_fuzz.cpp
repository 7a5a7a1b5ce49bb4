// What a token endpoint may answer: HTTP that is read alike however it comes, and JSON within.

#include <kawait/machine/http_answer.hpp>
#include <kawait/machine/token_answer.hpp>

#include <string_view>

#include "fuzz/fuzz.hpp"

using kawait::machine::http_answer;

namespace {

/// Whether it was refused.
bool read(http_answer& a, std::string_view input, std::size_t step) {
  kawait::failure f;
  for (std::size_t at = 0; at < input.size() && !f; at += step) f = a.take(input.substr(at, step));
  if (!f) f = a.end();
  return static_cast<bool>(f);
}

void look(std::string_view json) {
  const auto answer = kawait::machine::token_answer::parse(json);
  if (!answer) return;
  fuzz::check(!answer->token.empty() && answer->token.size() < json.size(), "a token of the text's");
  for (const char c : answer->token.reveal()) fuzz::check(c >= ' ' && c <= '~', "that can be shown");
  fuzz::check(answer->lifetime.count() >= 0, "and has a time");
  (void)kawait::machine::token_refusal(json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  http_answer whole, pieces;
  const bool refused = read(whole, input, size + 1);
  fuzz::check(read(pieces, input, 1) == refused, "the same in pieces");
  if (!refused) {
    fuzz::check(whole.is_complete() && whole.status() >= 200 && whole.status() <= 599, "a status");
    fuzz::check(whole.status() == pieces.status() && whole.body() == pieces.body(), "the same answer");
    look(whole.body());
  }
  look(input);
  return 0;
}
