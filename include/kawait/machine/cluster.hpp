#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/machine/backoff.hpp>
#include <kawait/machine/effect.hpp>
#include <kawait/machine/time.hpp>
#include <kawait/protocol/metadata.hpp>

namespace kawait::machine {

/// What is known of the cluster: brokers, the wanted topics' names and ids, and who leads their partitions; and when to ask
/// again.
///
/// A refresh of everything wanted is due at the start, after request_refresh(), and by age. While a wanted topic, or a leader
/// of its partitions, is unknown, only that is asked for again. Both are backed off when they repeat; what is newly wanted is
/// asked for at once.
class cluster {
 public:
  struct options {
    milliseconds max_age{300'000};  ///< metadata.max.age.ms
    backoff_options backoff;

    options() = default;
    options(milliseconds age, const backoff_options& b) : max_age(age), backoff(b) {}
  };

  struct broker {
    std::int32_t id = -1;
    std::string host;
    std::int32_t port = 0;
    std::string rack;  ///< Empty: none.

    broker() = default;
    broker(std::int32_t i, std::string h, std::int32_t p, std::string r = {})
        : id(i), host(std::move(h)), port(p), rack(std::move(r)) {}

    friend bool operator==(const broker&, const broker&) = default;
  };

  struct leader {
    std::int32_t node = -1;
    std::int32_t epoch = -1;

    leader() = default;
    leader(std::int32_t n, std::int32_t e) : node(n), epoch(e) {}

    friend bool operator==(const leader&, const leader&) = default;
  };

  /// A Metadata request is due, to any broker. It names topics or ids, never both: a broker that sees an id ignores the names.
  struct fetch_metadata {
    std::vector<std::string> names;  ///< Sorted.
    std::vector<uuid> ids;           ///< Sorted. Both empty: only the brokers are asked for.

    /// Refers to the names of this effect.
    KAWAIT_DECL protocol::metadata_request request() const;
  };

  using effect = std::variant<idle, fetch_metadata>;

  struct outcome {
    bool changed = false;      ///< Something that brokers(), leader_of() and the like say is different now.
    bool rebootstrap = false;  ///< KIP-1102: forget all connections and begin again with the bootstrap addresses.
    failure why;               ///< Why the answer as a whole is useless, if it is. It is asked again after a pause.
  };

  explicit cluster(const options& o) : options_(o), repeat_(o.backoff), retry_(o.backoff) {}
  cluster() : cluster(options()) {}

  /// The topics that are wanted by name; replaces those named before.
  KAWAIT_DECL void want_names(std::vector<std::string> names);
  /// These, too, until each is released as often as it was held: a question about topics that nobody reads.
  KAWAIT_DECL void hold_names(const std::vector<std::string>& names);
  KAWAIT_DECL void release_names(const std::vector<std::string>& names);
  /// The topics that are wanted by id, because they are assigned; replaces those named before.
  KAWAIT_DECL void want_ids(std::vector<uuid> ids);
  KAWAIT_DECL void add_id(const uuid& id);
  KAWAIT_DECL void remove_id(const uuid& id);

  /// An error said that what we know is stale.
  void request_refresh() noexcept { requested_ = true; }
  /// Begin again with the bootstrap addresses: the brokers are forgotten, leader epochs are not.
  KAWAIT_DECL void rebootstrap();

  /// What to do now. A fetch_metadata counts as sent.
  KAWAIT_DECL effect poll(time_point now);
  KAWAIT_DECL outcome on_metadata(const protocol::metadata_response& response, const fetch_metadata& asked, time_point now,
                                  std::uint64_t random_bits);
  /// The answer to the request in flight will not come.
  KAWAIT_DECL void on_disconnected(time_point now, std::uint64_t random_bits);

  /// A Fetch answer named a newer leader (KIP-951). Believed only if its epoch is newer; returns whether it was.
  KAWAIT_DECL bool on_leader_hint(const topic_id_partition& partition, std::int32_t node, std::int32_t epoch);
  KAWAIT_DECL void on_broker_hint(const broker& b);

  /// Sorted by id.
  const std::vector<broker>& brokers() const noexcept { return brokers_; }
  KAWAIT_DECL const broker* find_broker(std::int32_t id) const;
  /// The leader, if it is known and its address is.
  KAWAIT_DECL std::optional<leader> leader_of(const topic_id_partition& partition) const;
  /// Also for topics that are deleted since. The view is valid until the next on_metadata().
  KAWAIT_DECL std::optional<std::string_view> name_of(const uuid& id) const;
  /// The newest id that is known for the name.
  KAWAIT_DECL std::optional<uuid> id_of(std::string_view name) const;
  KAWAIT_DECL std::size_t partition_count(const uuid& id) const;
  /// What the brokers last said of a wanted topic.
  KAWAIT_DECL kafka_error topic_error(std::string_view name) const;
  KAWAIT_DECL kafka_error topic_error(const uuid& id) const;
  /// The wanted names that may not be described.
  KAWAIT_DECL std::vector<std::string> denied_topics() const;
  /// Counts the changes of all of the above.
  std::uint64_t version() const noexcept { return version_; }

 private:
  struct topic {
    std::string name;
    std::map<std::int32_t, leader> partitions;
  };

  KAWAIT_DECL void update_names();
  KAWAIT_DECL void refresh_all();
  KAWAIT_DECL bool is_covered(const uuid& id) const;
  KAWAIT_DECL bool is_resolved(const uuid& id) const;
  KAWAIT_DECL bool is_resolved(const std::string& name) const;
  KAWAIT_DECL bool find_unresolved();
  KAWAIT_DECL fetch_metadata send();
  KAWAIT_DECL bool replace_brokers(const protocol::metadata_response& response);
  KAWAIT_DECL bool on_topic_error(const protocol::metadata_response::topic& t, const fetch_metadata& asked);
  KAWAIT_DECL bool on_topic(const protocol::metadata_response::topic& t, const fetch_metadata& asked);
  KAWAIT_DECL bool map_name(const std::string& name, const uuid& id, bool by_name);
  KAWAIT_DECL static bool merge(topic& known, const protocol::metadata_response::topic& t);
  KAWAIT_DECL void forget_asked(const fetch_metadata& asked);
  KAWAIT_DECL void on_round_answer(time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void prune();
  KAWAIT_DECL bool remember_name(const uuid& id, const std::string& name);
  KAWAIT_DECL void note_change();
  bool has_to_ask() const noexcept { return ask_brokers_ || !ask_names_.empty() || !ask_ids_.empty(); }

  options options_;
  std::set<std::string> read_names_;             // by want_names()
  std::map<std::string, std::size_t> held_names_;
  std::set<std::string> want_names_;             // both
  std::set<uuid> want_ids_;

  // What is known.
  std::vector<broker> brokers_;
  std::unordered_map<uuid, topic> topics_;
  std::map<std::string, uuid, std::less<>> by_name_;
  std::map<std::string, kafka_error, std::less<>> name_errors_;
  std::unordered_map<uuid, kafka_error> id_errors_;
  std::unordered_map<uuid, std::string> names_;  // outlives the topics
  std::deque<uuid> names_in_order_;
  std::uint64_t version_ = 0;

  // A round: what is to be asked before anything is asked again. It empties by answers, not by requests.
  std::set<std::string> ask_names_;
  std::set<uuid> ask_ids_;
  bool ask_brokers_ = true;
  bool refreshing_ = true;  // the round is about everything
  bool answered_ = false;   // part of the round is answered
  bool in_flight_ = false;
  bool requested_ = false;
  bool unresolved_ = false;
  bool unresolved_is_current_ = false;
  std::optional<time_point> refreshed_;  // when a round about everything was answered
  time_point answered_at_{};
  milliseconds pause_{0};   // after the round
  time_point repeat_at_{};  // not before it is what is known to be stale, or missing, asked for again
  time_point retry_at_{};   // nothing is asked before it: a request failed
  backoff repeat_;
  backoff retry_;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/cluster.ipp>
#include <kawait/machine/impl/cluster_known.ipp>
#endif
