#include "plan.hpp"

#include <algorithm>
#include <ostream>

namespace seeds {
namespace {

using kawait::testing::fault_info;
using kawait::testing::fault_outcome;
using kawait::testing::fault_scope;
using kawait::testing::kafka_generation;

/// A consumer has to report it, or may.
bool is_hostile(const fault_info& f) { return f.outcome == fault_outcome::reported || f.outcome == fault_outcome::any; }

std::vector<std::string> some_topics(dice& d, const plan& p) {
  std::vector<std::string> names;
  for (const topic_plan& t : p.topics) {
    if (names.empty() || d.chance(60)) names.push_back(t.name);
  }
  return names;
}

void draw_cluster(dice& d, plan& p) {
  p.generation = d.pick(std::vector<kafka_generation>{kafka_generation::v4_0, kafka_generation::v4_2, kafka_generation::v4_3,
                                                      kafka_generation::v4_3});
  p.nodes = d.between(1, 3);
  p.by_name = d.chance(25);
  p.committed_only = d.chance(40);
  p.slow_assignor = p.generation == kafka_generation::v4_3 && d.chance(30);
  p.turmoil_ms = d.between(12, 30) * 1000;
  p.ends_abruptly = d.chance(5);
  if (d.chance(5)) p.outage_ms = 90'000;
  p.small_fetches = d.chance(30);
  p.small_answers = p.small_fetches && p.seed % 5 == 3;  // not drawn: other seeds mean what they meant
  const int count = d.between(1, 10) <= 6 ? 1 : d.between(2, 3);
  for (int i = 0; i < count; ++i) {
    topic_plan t;
    t.name = "t" + std::to_string(i);
    t.partitions = d.between(1, count == 1 ? 4 : 2);
    p.topics.push_back(std::move(t));
  }
}

void draw_handler(dice& d, member_plan& m) {
  m.how = d.chance(20) ? style::partitions : static_cast<style>(d.between(0, static_cast<int>(style::pulls)));
  if (d.chance(50)) m.work_ms = d.pick(std::vector<int>{1, 20, 200, 1000, 3000});
  if (m.how >= style::records && m.how <= style::records_any_order) m.work_ms /= 8;
  if (d.chance(25)) m.stuck_percent = d.between(1, 15);
  if (d.chance(15)) m.throws_percent = d.between(1, 8);
  if (d.chance(35) && m.how == style::partitions) m.seeks_percent = d.between(3, 60);
  if (d.chance(25) && m.how == style::partitions) m.pauses_percent = d.between(5, 30);
  m.stubborn = d.chance(25);
  if (m.stubborn && d.chance(60)) m.stuck_percent = d.between(10, 40);
  m.by_record = d.chance(30);
  m.elsewhere = d.chance(30);
  m.manual = d.chance(20) && (m.how == style::partitions || m.how == style::pulls || m.how == style::events);
  m.retries = d.chance(40);
  if (d.chance(40)) m.commits_ms = d.between(50, 500);
}

void draw_life(dice& d, plan& p, member_plan& m, int index) {
  m.starts_ms = index == 0 || d.chance(40) ? d.between(0, 300) : d.between(300, p.turmoil_ms * 2 / 3);
  if (d.chance(20)) m.instance = "i" + std::to_string(index);
  m.topics = some_topics(d, p);
  m.pattern = d.chance(15);
  if (d.chance(45)) {
    m.what = static_cast<interruption>(d.between(1, 4));
    m.interrupted_ms = m.starts_ms + d.between(500, 10'000);
    m.lasts_ms = d.chance(50) ? d.between(100, 3'000) : d.between(3'000, 15'000);
  }
  if (d.chance(15)) {
    m.changes_ms = m.starts_ms + d.between(500, 10'000);
    m.changed = some_topics(d, p);
  }
}

void draw_members(dice& d, plan& p) {
  const int count = d.pick(std::vector<int>{1, 2, 2, 3, 3, 4});
  for (int i = 0; i < count; ++i) {
    member_plan m;
    m.name = "m" + std::to_string(i);
    draw_handler(d, m);
    draw_life(d, p, m, i);
    p.members.push_back(std::move(m));
  }
}

void draw_load(dice& d, plan& p) {
  using codec = kawait::wire::codec;
  const int batches = d.between(4, 24);
  for (int i = 0; i < batches; ++i) {
    load_plan l;
    const topic_plan& t = d.pick(p.topics);
    l.at_ms = d.chance(25) ? 0 : d.between(0, p.turmoil_ms);
    l.topic = t.name;
    l.partition = d.between(0, t.partitions - 1);
    l.records = d.pick(std::vector<int>{1, 1, 3, 5, 10, 20});
    if (d.chance(30)) l.codec = static_cast<codec>(d.between(1, 4));
    if (d.chance(25)) {
      l.how = d.chance(50) ? load_plan::end::committed : load_plan::end::aborted;
      l.open_ms = d.chance(50) ? 0 : d.between(1, 3'000);
    }
    if (d.chance(10)) l.hole = d.between(1, 30);
    p.loads.push_back(std::move(l));
  }
  std::stable_sort(p.loads.begin(), p.loads.end(), [](const load_plan& a, const load_plan& b) { return a.at_ms < b.at_ms; });
}

fault_plan draw_fault(dice& d, const plan& p, const fault_info& f) {
  fault_plan one;
  one.name = std::string(f.name);
  one.scope = f.scope;
  one.at_ms = d.chance(30) ? 0 : d.between(200, p.turmoil_ms);
  if (f.scope != fault_scope::cluster) {
    one.percent = d.pick(std::vector<int>{2, 10, 30, 100});
    one.times = d.between(1, 4);
  }
  if (is_hostile(f)) one.times = d.between(1, 2);
  return one;
}

void draw_faults(dice& d, plan& p) {
  const auto& all = kawait::testing::fault_catalogue();
  // One seed in six is calm: what goes wrong there is nobody's but ours.
  const int count = d.chance(16) ? 0 : d.between(1, 8);
  const bool hostile = d.chance(20);
  const bool lossy = d.chance(25);
  if (lossy && count > 0) {
    static const std::vector<std::string_view> losses{"log-truncated", "records-deleted", "log-compacted", "topic-missing",
                                                      "topic-recreated", "out-of-range"};
    p.faults.push_back(draw_fault(d, p, kawait::testing::find_fault(d.pick(losses))));
  }
  if (hostile && count > 0) {
    std::vector<const fault_info*> reported;
    for (const fault_info& f : all) {
      if (f.outcome == fault_outcome::reported) reported.push_back(&f);
    }
    for (int i = d.between(1, 2); i > 0; --i) p.faults.push_back(draw_fault(d, p, *d.pick(reported)));
  }
  while (static_cast<int>(p.faults.size()) < count) {
    const fault_info& f = all[d.next() % all.size()];
    if (is_hostile(f) && !hostile) continue;
    if (f.outcome == fault_outcome::loss && !lossy) continue;
    p.faults.push_back(draw_fault(d, p, f));
  }
  const bool any = std::any_of(p.faults.begin(), p.faults.end(),
                               [](const fault_plan& f) { return f.scope == fault_scope::connection; });
  if (!any && d.chance(25)) p.latency_ms = d.between(1, 80);
  if (d.chance(25)) p.answers_lost_percent = d.pick(std::vector<int>{5, 20, 50});
  std::stable_sort(p.faults.begin(), p.faults.end(), [](const fault_plan& a, const fault_plan& b) { return a.at_ms < b.at_ms; });
}

/// More than a consumer may hold, and a member whose handlers keep it from going on.
void draw_bulk(dice& d, plan& p) {
  p.bulky = true;
  p.small_fetches = p.small_answers = false;
  for (member_plan& m : p.members) m.work_ms = std::min(m.work_ms, 20);
  p.members.front().stuck_percent = std::max(p.members.front().stuck_percent, d.between(5, 30));
  for (int i = 0; i < 300; ++i) {
    load_plan l;
    const topic_plan& t = d.pick(p.topics);
    l.at_ms = d.between(0, p.turmoil_ms / 3);
    l.topic = t.name;
    l.partition = d.between(0, t.partitions - 1);
    l.padding = bulk;
    p.loads.push_back(std::move(l));
  }
  std::stable_sort(p.loads.begin(), p.loads.end(), [](const load_plan& a, const load_plan& b) { return a.at_ms < b.at_ms; });
}

}  // namespace

bool plan::has_fault(std::string_view name) const {
  return std::any_of(faults.begin(), faults.end(), [&](const fault_plan& f) { return f.name == name; });
}

bool plan::is_hostile() const {
  return std::any_of(faults.begin(), faults.end(),
                     [](const fault_plan& f) { return seeds::is_hostile(kawait::testing::find_fault(f.name)); });
}

plan make_plan(std::uint64_t seed) {
  plan p;
  p.seed = seed;
  dice d(seed * 0x2545F4914F6CDD1Du + 1);
  draw_cluster(d, p);
  draw_members(d, p);
  draw_load(d, p);
  draw_faults(d, p);
  // By dice of its own, so that the plans of the seeds that were kept stay what they are.
  dice other(seed * 0x9E3779B97F4A7C15u + 15);
  p.fences_unheard = p.answers_lost_percent > 0 && other.chance(20);
  if (seed % 16 == 9) draw_bulk(other, p);
  return p;
}

namespace {

void print(std::ostream& out, const member_plan& m) {
  static constexpr const char* styles[] = {"partitions",           "batches", "records", "records by key",
                                           "records in any order", "events",  "pulls"};
  static constexpr const char* interruptions[] = {"", "closes", "crashes", "is frozen", "unsubscribes"};
  out << "  member " << m.name << ": " << styles[static_cast<int>(m.how)];
  if (!m.instance.empty()) out << ", static " << m.instance;
  if (m.commits_ms != 1000) out << ", commits every " << m.commits_ms << " ms";
  if (m.manual) out << ", manual commits";
  if (m.elsewhere) out << ", elsewhere";
  if (m.by_record) out << ", done by record";
  if (m.stubborn) out << ", stubborn";
  if (m.retries) out << ", retries";
  if (m.work_ms > 0) out << ", works " << m.work_ms << " ms";
  if (m.stuck_percent > 0) out << ", stuck " << m.stuck_percent << " %";
  if (m.throws_percent > 0) out << ", throws " << m.throws_percent << " %";
  if (m.seeks_percent > 0) out << ", seeks " << m.seeks_percent << " %";
  if (m.pauses_percent > 0) out << ", pauses " << m.pauses_percent << " %";
  out << "; from " << m.starts_ms << " ms" << (m.pattern ? ", by pattern" : "");
  for (const std::string& t : m.topics) out << ' ' << t;
  if (m.what != interruption::none) {
    out << "; " << interruptions[static_cast<int>(m.what)] << " at " << m.interrupted_ms << " for " << m.lasts_ms;
  }
  if (m.changes_ms > 0) {
    out << "; from " << m.changes_ms;
    for (const std::string& t : m.changed) out << ' ' << t;
  }
  out << '\n';
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const plan& p) {
  static constexpr const char* generations[] = {"4.0", "4.2", "4.3"};
  static constexpr const char* ends[] = {"", ", committed", ", aborted"};
  out << "seed " << p.seed << ": Kafka " << generations[static_cast<int>(p.generation)] << ", " << p.nodes << " nodes"
      << (p.by_name ? " by name" : "") << (p.committed_only ? ", read_committed" : "")
      << (p.slow_assignor ? ", slow assignor" : "") << ", " << p.turmoil_ms << " ms of turmoil"
      << (p.outage_ms > 0 ? ", then an outage" : "")
      << (p.small_fetches ? ", small fetches" : "") << (p.small_answers ? ", small answers" : "") << (p.bulky ? ", bulky" : "")
      << (p.ends_abruptly ? ", an abrupt end" : "") << '\n';
  for (const topic_plan& t : p.topics) out << "  topic " << t.name << " of " << t.partitions << '\n';
  for (const member_plan& m : p.members) print(out, m);
  for (const load_plan& l : p.loads) {
    out << "  load at " << l.at_ms << ": " << l.records << " to " << l.topic << '-' << l.partition << ", codec "
        << static_cast<int>(l.codec) << ends[static_cast<int>(l.how)];
    if (l.open_ms > 0) out << " after " << l.open_ms;
    if (l.hole > 0) out << ", then a hole of " << l.hole;
    if (l.padding > 0) out << ", padded by " << l.padding;
    out << '\n';
  }
  for (const fault_plan& f : p.faults) {
    out << "  fault " << f.name << " at " << f.at_ms;
    if (f.scope != kawait::testing::fault_scope::cluster) out << ", " << f.percent << " %, " << f.times << " times";
    out << '\n';
  }
  if (p.latency_ms > 0) out << "  latency " << p.latency_ms << " ms\n";
  if (p.answers_lost_percent > 0) {
    out << "  answers to commits lost: " << p.answers_lost_percent << " %";
    out << (p.fences_unheard ? ", and who waits is fenced" : "") << '\n';
  }
  return out;
}

}  // namespace seeds
