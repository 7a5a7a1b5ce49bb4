// What is left of secrets in memory that is given back.

#include <string>
#include <vector>

#include "allocations/count_support.hpp"
#include "catch.hpp"

#include <kawait/core/secret.hpp>
#include <kawait/machine/scram.hpp>

namespace {

using kawait::secret;
using kawait::machine::scram;

// RFC 7677's exchange, but for the password.
void exchange(const secret& password) {
  scram s(scram::hash::sha_256, "user", password, "rOprNGfwEbeRWgbNEkqO");
  REQUIRE(s.client_final("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
  CHECK(s.finish("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

TEST_CASE("memory that a secret gives back holds nothing of it") {
  constexpr std::string_view text = "a password which is longer than what a string holds in place";
  counted::look_for(text);
  {
    secret a(text);
    secret b = a;
    const std::vector<secret> many(10, b);
    const secret moved = std::move(b);
    exchange(moved);
    a = secret("another");
  }
  CHECK(counted::found() == 0);
  { const std::string none(text); }
  CHECK(counted::found() == 1);  // or nobody has looked
  counted::look_for({});
}

}  // namespace
