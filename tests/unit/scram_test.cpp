#include "catch.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/machine/scram.hpp>

namespace scram_tests {

using kawait::errc;
using kawait::secret;
using kawait::machine::scram;
using hash = scram::hash;

// RFC 7677's exchange; of SHA-512, for which it has none, the same by Python's hashlib.
constexpr std::string_view nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view whole_nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

struct exchange {
  hash h;
  std::string user, password, client_nonce, server_nonce, salt;
  int iterations;
  std::string proof, signature;

  std::string server_first() const { return "r=" + server_nonce + ",s=" + salt + ",i=" + std::to_string(iterations); }
};

const exchange& rfc() {
  static const exchange e{hash::sha_256, "user", "pencil", std::string(nonce), std::string(whole_nonce), "W22ZaJ0SNY7soEsUEjb6gQ==", 4096,
                          "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};
  return e;
}

TEST_CASE("scram: known exchanges") {
  const exchange rows[] = {
      rfc(),
      {hash::sha_512, "user", "pencil", std::string(nonce), std::string(whole_nonce), "Yin2FuHTt/M0kJWb0t9OI32n2VmOGi3m+JfjOvuDF88=",
       4096, "/3obeUE1tHCJjbQttd+ChF5ox2IU1rNjj2wVDnbQ5LdNT126oy4QgLz2tHw/Uj7Gwb6PRuHOS3HC+45exxT58A==",
       "5AwW78p+EVPirB3A5lrHcvrN8pVKRlR3opLuRoxXrN9ubKokkPzVPzWNNNuBbrtZrv5mpfKZ7+QCDSZWeZQEqw=="},
      {hash::sha_256, "a=b,c", "p,=d", "abc", "abcXYZ", "AAAA", 5000, "lCAhUh+c1a9wvYC31Ff0m8r52pdN1kZo4uQlaxuDX74=",
       "oufOQaCdYIPL3KsO29+oQQEkBwDkwAm+73HAWl/mO68="},
  };
  for (const exchange& e : rows) {
    CAPTURE(e.user);
    scram s(e.h, e.user, secret(e.password), e.client_nonce);
    const std::string user = e.user == "user" ? "user" : "a=3Db=2Cc";
    CHECK(s.client_first() == "n,,n=" + user + ",r=" + e.client_nonce);
    const auto final = s.client_final(e.server_first());
    REQUIRE(final);
    CHECK(*final == "c=biws,r=" + e.server_nonce + ",p=" + e.proof);
    CHECK(!s.finish("v=" + e.signature));
  }
}

TEST_CASE("scram: extensions of the broker's are left alone, and signed") {
  scram s(hash::sha_256, "user", secret("pencil"), nonce);
  const auto final = s.client_final(rfc().server_first() + ",x=whatever");
  REQUIRE(final);
  CHECK(final->find(rfc().proof) == std::string::npos);
}

TEST_CASE("scram: first answers that are forged or broken") {
  const std::string r = "r=" + std::string(whole_nonce);
  const std::string salt = ",s=W22ZaJ0SNY7soEsUEjb6gQ==";
  struct row {
    const char* what;
    std::string answer, words;
  };
  const row rows[] = {
      {"empty", "", "malformed"},
      {"no attribute", "hello", "malformed"},
      {"an unknown extension that must be understood", "m=x," + r + salt + ",i=4096", "malformed"},
      {"no salt", r + ",i=4096", "malformed"},
      {"no iterations", r + salt, "malformed"},
      {"in another order", "s=AAAA," + r + ",i=4096", "malformed"},
      {"another's nonce", "r=XXprNGfwEbeRWgbNEkqO%hvYD" + salt + ",i=4096", "nonce"},
      {"nothing of its own in the nonce", "r=" + std::string(nonce) + salt + ",i=4096", "nonce"},
      {"the nonce cut short", "r=rOpr" + salt + ",i=4096", "nonce"},
      {"an empty nonce", "r=" + salt + ",i=4096", "nonce"},
      {"an empty salt", r + ",s=,i=4096", "salt"},
      {"a salt of padding", r + ",s=====,i=4096", "salt"},
      {"a salt that is no base64", r + ",s=W22Z*J0S,i=4096", "salt"},
      {"a salt with a blank", r + ",s= W22ZaJ0,i=4096", "salt"},
      {"a salt cut short", r + ",s=W22ZaJ0SN,i=4096", "salt"},
      {"padding within the salt", r + ",s=W2==aJ0S,i=4096", "salt"},
      {"too few iterations", r + salt + ",i=4095", "fewer than 4096"},
      {"one iteration", r + salt + ",i=1", "fewer than 4096"},
      {"none", r + salt + ",i=0", "fewer than 4096"},
      {"too many iterations", r + salt + ",i=1000001", "more than 1000000"},
      {"far too many iterations", r + salt + ",i=4294967295", "more than 1000000"},
      {"more than fit", r + salt + ",i=4294971392", "iterations is malformed"},
      {"negative ones", r + salt + ",i=-4096", "iterations is malformed"},
      {"no number", r + salt + ",i=4096x", "iterations is malformed"},
      {"nothing", r + salt + ",i=", "iterations is malformed"},
      {"a bomb", r + std::string(5000, 'x') + salt + ",i=4096", "too long"},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    scram s(hash::sha_256, "user", secret("pencil"), nonce);
    const auto final = s.client_final(test.answer);
    REQUIRE(!final);
    CAPTURE(final.error().words);
    CHECK(final.error().code == errc::authentication_failed);
    CHECK(final.error().words.find(test.words) != std::string::npos);
    CHECK(final.error().words.find("pencil") == std::string::npos);
    CHECK(s.finish("v=" + rfc().signature).code == errc::authentication_failed);
  }
}

TEST_CASE("scram: last answers that are forged or broken") {
  std::string flipped = rfc().signature;
  flipped[3] = flipped[3] == 'A' ? 'B' : 'A';
  struct row {
    const char* what;
    std::string answer, words;
  };
  const row rows[] = {
      {"empty", "", "no signature"},
      {"an empty signature", "v=", "signature is wrong"},
      {"another signature", "v=" + flipped, "signature is wrong"},
      {"a prefix of the signature", "v=6rriTRBi23WpRR/w", "signature is wrong"},
      {"more than the signature", "v=" + std::string(rfc().signature).replace(43, 1, "A") + "AAAA", "signature is wrong"},
      {"no base64", "v=!!!!", "signature is wrong"},
      {"our proof sent back", "v=" + rfc().proof, "signature is wrong"},
      {"the attribute of another message", "p=" + rfc().signature, "no signature"},
      {"upper case", "V=" + rfc().signature, "no signature"},
      {"an error", "e=invalid-proof", "the broker says invalid-proof"},
      {"an error and a signature", "e=other-error,v=" + rfc().signature, "the broker says other-error"},
      {"an error with a line of its own", "e=x\nERROR all is well", "none of SCRAM's"},
      {"too long", "v=" + std::string(5000, 'A'), "too long"},
  };
  for (const row& test : rows) {
    CAPTURE(test.what);
    scram s(hash::sha_256, "user", secret("pencil"), nonce);
    REQUIRE(s.client_final(rfc().server_first()));
    const kawait::failure f = s.finish(test.answer);
    CAPTURE(f.words);
    CHECK(f.code == errc::authentication_failed);
    CHECK(f.words.find(test.words) != std::string::npos);
    // One exchange, one answer: a second try at the signature is none.
    CHECK(s.finish("v=" + rfc().signature).code == errc::authentication_failed);
  }
}

/// One change of a byte, an insertion, or a cut, as the seed has it.
std::string mutated(std::string text, std::uint64_t seed) {
  const auto next = [&seed](std::size_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(seed >> 33) % below;
  };
  const std::size_t at = next(text.size()), how = next(4);
  const char other = static_cast<char>(next(256));
  if (how == 0) text.resize(at);
  if (how == 1) text.insert(at, 1, other);
  if (how == 2) text.erase(at, 1 + next(8));
  if (how == 3) text[at] = other;
  return text;
}

TEST_CASE("scram: answers with anything changed in them are refused, or lead to another proof") {
  const std::string first = rfc().server_first(), last = "v=" + rfc().signature;
  scram s(hash::sha_256, "user", secret("pencil"), nonce);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    const std::string answer = mutated(first, seed);
    const auto proof = s.client_final(answer);
    if (answer != first && proof) {
      CHECK(proof->find(rfc().proof) == std::string::npos);
      CHECK(s.finish(last).code == errc::authentication_failed);
    }
    scram other(hash::sha_256, "user", secret("pencil"), nonce);
    REQUIRE(other.client_final(first));
    const std::string forged = mutated(last, seed);
    // What follows a comma is an extension.
    if (!forged.starts_with(last)) CHECK(other.finish(forged).code == errc::authentication_failed);
  }
}

TEST_CASE("scram: no signature before the challenge, none for another password, the most iterations") {
  scram early(hash::sha_256, "user", secret("pencil"), nonce);
  CHECK(early.finish("v=" + rfc().signature).code == errc::authentication_failed);
  // Not even that of a key of nothing but zeros.
  CHECK(early.finish("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").code == errc::authentication_failed);

  scram other(hash::sha_256, "user", secret("pencils"), nonce);
  REQUIRE(other.client_final(rfc().server_first()));
  CHECK(other.finish("v=" + rfc().signature).code == errc::authentication_failed);

  scram most(hash::sha_256, "user", secret(), nonce);
  CHECK(most.client_final("r=" + std::string(whole_nonce) + ",s=AAAA,i=1000000"));
}

}  // namespace scram_tests
