// What a broker may say in SCRAM: its first answer, a null byte, its last. Refused, or a message that follows from it; never the password.

#include <kawait/machine/scram.hpp>

#include <string>
#include <string_view>

#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using kawait::machine::scram;
  constexpr std::string_view nonce = "rOprNGfwEbeRWgbNEkqO", password = "pencil";
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view first = input.substr(0, input.find('\0'));
  const std::string_view last = first.size() == size ? std::string_view() : input.substr(first.size() + 1);

  kawait::machine::detail::scram_challenge challenge;
  const bool is_well = kawait::machine::detail::read_challenge(first, nonce, challenge).empty();
  if (is_well) {
    fuzz::check(challenge.nonce.size() > nonce.size() && !challenge.salt.empty(), "a nonce and a salt of the broker's");
    fuzz::check(challenge.iterations >= scram::least_iterations && challenge.iterations <= scram::most_iterations, "iterations");
    if (challenge.iterations > 2 * scram::least_iterations) return 0;  // a second of hashing finds nothing
  }
  scram s(scram::hash::sha_256, "user", kawait::secret(password), nonce);
  const auto proof = s.client_final(first);
  fuzz::check(static_cast<bool>(proof) == is_well, "what is read is answered");
  const kawait::failure f = s.finish(last);
  fuzz::check(f || is_well, "no signature without a challenge");
  if (input.find(password) != input.npos) return 0;  // a broker that says it itself, in the words of its refusal
  fuzz::check(f.words.find(password) == std::string::npos, "no secret in the words");
  if (!proof) fuzz::check(proof.error().words.find(password) == std::string::npos, "nor in these");
  return 0;
}
