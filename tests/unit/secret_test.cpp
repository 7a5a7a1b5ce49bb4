#include "catch.hpp"

#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include <kawait/core/secret.hpp>

namespace secret_tests {

using kawait::secret;

TEST_CASE("secret: shows stars, whatever prints it") {
  const secret s("swordfish");
  std::ostringstream out;
  out << s << ' ' << secret();
  CHECK(out.str() == "*** ***");
  CHECK(s.to_string() == "***");
  CHECK(s.reveal() == "swordfish");
  CHECK(!std::is_convertible_v<secret, std::string>);
  CHECK(!std::is_convertible_v<secret, std::string_view>);
  CHECK(!std::is_convertible_v<const char*, secret>);
}

TEST_CASE("secret: copies, moves, parts") {
  secret a({"user", "", ":", "word"});
  CHECK(a.reveal() == "user:word");
  CHECK(a.size() == 9);
  secret b = a;
  CHECK(b == a);
  CHECK(b.reveal().data() != a.reveal().data());
  const secret c = std::move(b);
  CHECK(c == a);
  CHECK(b.empty());
  CHECK(b.reveal().empty());
  a = secret("else");
  CHECK(a.reveal() == "else");
  CHECK(secret({"", ""}).empty());
}

TEST_CASE("secret: equality") {
  struct row {
    std::string_view a, b;
    bool same;
  };
  const row rows[] = {{"", "", true}, {"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"", "a", false}, {"ab", "a", false},
                      {"a", "ab", false}, {std::string_view("a\0b", 3), std::string_view("a\0c", 3), false}, {"same", "same", true}};
  for (const row& test : rows) {
    CAPTURE(test.a, test.b);
    CHECK((secret(test.a) == secret(test.b)) == test.same);
  }
}

TEST_CASE("secret: memory is overwritten, also what a buffer held beyond its size") {
  char text[] = "swordfish";
  kawait::detail::cleanse(text, sizeof text - 1);
  CHECK(std::string(text, sizeof text - 1) == std::string(9, '\0'));

  std::vector<std::byte> buffer(100, std::byte{42});
  buffer.resize(3);
  kawait::detail::cleanse(buffer);
  CHECK(buffer.empty());
  CHECK(buffer.capacity() >= 100);
}

}  // namespace secret_tests
