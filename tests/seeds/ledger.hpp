#pragma once

// What was appended to the logs, by whom it was done: the truth that deliveries and commits are held against.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/testing/broker.hpp>

namespace seeds {

enum class fate { open, committed, aborted };

struct entry {
  std::uint64_t serial = 0;
  kawait::topic_id_partition where;
  std::int64_t offset = -1;
  std::int64_t timestamp = -1;
  fate what = fate::committed;
  std::int64_t marker = -1;  ///< Of its transaction's end.
  bool done = false;      ///< A handler said so.
  bool excused = false;   ///< Nobody has to: it was sought past, or is gone.
  bool replaced = false;  ///< The log was truncated below it.

  std::size_t padding = 0;

  std::string key() const { return "k" + std::to_string(serial % 5); }
  /// Says where it is; `p` is the name of that.
  std::string value(const kawait::topic_partition& p) const {
    std::string all = std::to_string(serial) + "/" + where.topic_id.to_string() + "/" + p.to_string() + "/" + std::to_string(offset);
    all.append(padding, '.');
    return all;
  }
};

/// One partition of one topic id.
struct book {
  kawait::topic_partition name;
  std::map<std::int64_t, entry*> at;  ///< What the log holds now, as far as we wrote it and it was not compacted.
  std::int64_t end = 0;
  bool truncated = false;
  bool sought = false;  ///< By a handler.
  bool reset = false;   ///< A consumer has told that it goes on elsewhere.
  bool gone = false;  ///< The topic id is.
  bool inherits = false;  ///< A commit was taken late that is of an earlier topic's of its name (before Kafka 4.2).
  /// A commit was taken late, behind this one, which was newer: its sender had given it up. Until that much is committed again, who
  /// begins may have been told the one or the other.
  std::optional<std::int64_t> fell_from;
};

class ledger {
 public:
  ledger(kawait::testing::broker& b, bool committed_only) : broker_(b), committed_only_(committed_only) {}
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;

  /// Looks at what faults have done to topics and logs.
  void look();
  /// Appends records whose values tell where they are; none if the topic is not there.
  void append(const kawait::topic_partition& p, int count, const kawait::testing::append_options& how,
              std::size_t padding = 0);
  void decide(std::int64_t producer, bool commit);

  /// The record whose value this is.
  entry* find(std::string_view value);
  book* find(const kawait::topic_id_partition& p);
  /// By name; null without such a topic.
  book* current(const kawait::topic_partition& p);
  std::optional<kawait::topic_id_partition> current_id(const kawait::topic_partition& p) const;
  std::optional<kawait::topic_partition> name_of(const kawait::topic_id_partition& p);

  /// The first record in [from, to) that ought to be delivered (and was not done, unless `even_done`). Null: none. What is not in the
  /// log any more is excused.
  entry* first_missing(const kawait::topic_id_partition& p, std::int64_t from, std::int64_t to, bool even_done = false);
  bool is_wanted(const entry& e) const { return !e.replaced && !e.excused && (!committed_only_ || e.what != fate::aborted); }
  std::map<kawait::topic_id_partition, book>& books() noexcept { return books_; }

 private:
  bool is_in_log(const book& b, std::int64_t offset);

  kawait::testing::broker& broker_;
  bool committed_only_;
  std::map<std::string, kawait::uuid> ids_;
  std::map<kawait::topic_id_partition, book> books_;
  std::vector<std::unique_ptr<entry>> entries_;  // by serial
  std::unordered_map<std::int64_t, std::vector<entry*>> open_;
};

}  // namespace seeds
