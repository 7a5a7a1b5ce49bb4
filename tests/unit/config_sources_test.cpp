#include <kawait/config.hpp>

#include <cstdlib>
#include <fstream>
#include <string>

#include <unistd.h>

#include "config_support.hpp"

// Settings out of files and the environment.

namespace config_sources_tests {

using config_support::contains;
using config_support::refusal;
using kawait::config;

/// A file of this text, while it lives.
struct written {
  explicit written(const std::string& text) {
    const int fd = ::mkstemp(path.data());
    REQUIRE(fd >= 0);
    ::close(fd);
    std::ofstream(path, std::ios::binary) << text;
  }
  written(const written&) = delete;
  written& operator=(const written&) = delete;
  ~written() { ::unlink(path.c_str()); }

  std::string path = "/tmp/kawait-properties-XXXXXX";
};

/// A variable of the environment, while it lives.
struct exported {
  exported(const char* n, const char* value) : name(n) { ::setenv(n, value, 1); }
  exported(const exported&) = delete;
  exported& operator=(const exported&) = delete;
  ~exported() { ::unsetenv(name); }

  const char* name;
};

TEST_CASE("config: a file in Java's format") {
  const written file(
      "# a comment\n"
      "! another\n"
      "\n"
      "bootstrap.servers=a:1,\\\n"
      "    b:2\r\n"
      "  group.id : orders\n"
      "client.id   billing service  \n"
      "client.rack=caf\\u00e9\\u20ac\\u0041\n"
      "group.instance.id=a\\=b\\:c\\\\d\\te\n"
      "fetch.min.bytes=1\n"
      "fetch.min.bytes=2\n"
      "auto.offset.reset=earliest");
  config c;
  c.load_file(file.path);
  const auto& v = c.values();
  REQUIRE(v.bootstrap.size() == 2);
  CHECK(v.bootstrap[1].to_string() == "b:2");
  CHECK(v.group_id == "orders");
  CHECK(v.client_id == "billing service");
  CHECK(v.client_rack == "caf\xc3\xa9\xe2\x82\xac" "A");
  CHECK(v.group_instance_id == "a=b:c\\d\te");
  CHECK(v.fetch_min_bytes == 2);
  CHECK(v.auto_offset_reset == kawait::offset_reset::earliest);
}

TEST_CASE("config: what is wrong in a file is named with its line, and nothing of the file is taken") {
  struct row {
    std::string text, place, words;
  };
  const row rows[] = {
      {"group.id=g\n\nfetch.min.bytes=many\n", ":3: ", "fetch.min.bytes = 'many'"},
      {"# c\ngroup.id=g\\\n  h\ngroupid=x\n", ":4: ", "nearest known is group.id"},
      {"check.crcs=\\\n  \\\n  maybe\n", ":1: ", "check.crcs = 'maybe'"},
      {"session.timeout.ms=45000\n", ":1: ", "group.consumer.session.timeout.ms"},
      {"client.id\n", ":1: ", "client.id = ''"},
      {"client.id=\\u12\n", ":1: ", "hexadecimal"},
      {"client.id=\\ud800\n", ":1: ", "hexadecimal"},
  };
  for (const row& r : rows) {
    CAPTURE(r.text);
    const written file(r.text);
    config c;
    c.group_id("mine");
    const std::string words = refusal([&] { c.load_file(file.path); });
    CHECK(words.starts_with(file.path + r.place));
    CHECK(contains(words, r.words));
    CHECK(c.values().group_id == "mine");
  }
  CHECK(refusal([] { config().load_file("/nowhere/at.all"); }) ==
        "/nowhere/at.all: cannot be read: No such file or directory");
  CHECK(refusal([] { config().load_file("/"); }).starts_with("/: cannot be read"));
  const written marked("\xef\xbb\xbfgroup.id=marked\n");  // by an editor, with a byte order mark
  config from_editor;
  CHECK(from_editor.load_file(marked.path).values().group_id == "marked");
  // Ends within a continued line.
  const written cut("group.id=orders\\");
  config c;
  CHECK(c.load_file(cut.path).values().group_id == "orders");
}

TEST_CASE("config: the environment") {
  const exported group("KAWAIT_CONFIG_GROUP_ID", "orders"), wait("KAWAIT_CONFIG_FETCH_MAX_WAIT_MS", "7"), other("MINE_CHECK_CRCS", "false");
  config c;
  c.load_environment();
  CHECK(c.values().group_id == "orders");
  CHECK(c.values().fetch_max_wait == std::chrono::milliseconds(7));
  CHECK(c.values().check_crcs);
  c.load_environment("MINE_");
  CHECK(!c.values().check_crcs);
  {
    const exported bad("KAWAIT_CONFIG_CHECK_CRCS", "perhaps");
    CHECK(refusal([&] { c.load_environment(); }) == "KAWAIT_CONFIG_CHECK_CRCS: check.crcs = 'perhaps': must be true or false");
  }
  const exported unknown("KAWAIT_CONFIG_GROUPID", "x");
  CHECK(refusal([&] { c.load_environment(); }).starts_with("KAWAIT_CONFIG_GROUPID: groupid: no such property"));
}

}  // namespace config_sources_tests
