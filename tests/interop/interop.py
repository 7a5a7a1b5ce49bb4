"""interop.py BOOTSTRAP LIBS BIN_DIR DIR [CASE...]: one group with members of ours, Java's and librdkafka's. Started by run.sh."""
import subprocess
import sys
import time
import traceback
from pathlib import Path

from confluent_kafka import Producer

import checks
from group_log import read_group_log
from kafka_side import Kafka, Load, OffsetWatch
from members import JAVA, PATIENCE, Cast, await_settled, await_that, die_with_parent, poll_until

ALL = set(range(6))


def expect(problems, what):
    """No problems, or all of them in the message."""
    if problems:
        raise AssertionError("\n  ".join([f"{what}:"] + [str(p) for p in problems[:10]]))


def expect_equal(a, b, what):
    if a != b:
        raise AssertionError(f"{what}:\n  {a}\n  {b}")


class World:
    def __init__(self, bootstrap, libs, bin_dir, directory, case):
        self.kafka = Kafka(bootstrap)
        self.cast = Cast(bootstrap, libs, bin_dir, Path(directory) / case)
        self.watch = self.load = None

    def end(self):
        self.cast.end()
        for thread in (self.watch, self.load):
            if thread is not None:
                thread.stopped.set()


def await_progress(members, count=100):
    """Each shows so many records more."""
    before = {m: len(m.named("record_data")) for m in members}
    await_that(lambda: all(len(m.named("record_data")) >= before[m] + count for m in members), f"{count} records more", members)


def await_committed_to_the_end(world, group, ends, members):
    poll_until(lambda: world.kafka.committed(group) == ends, "the committed offsets to be the log's ends", members)


def leave(member):
    """SIGTERM to a verifiable consumer: its exit status and its last line."""
    status = member.terminate()
    # Java ends by a signal's status whatever its shutdown hook has done.
    expect_equal(status, 143 if member.name.startswith("java") else 0, f"exit status of {member.name}")
    expect_equal(member.events[-1]["name"], "shutdown_complete", f"last line of {member.name}")


def check_members(members, ours, ends):
    """What holds however members come, go and die."""
    every = []
    for m in members:
        its, strangers = checks.ownerships(m.name, m.events)
        every += its
        if m in ours:
            expect(strangers, "shown without being owned")
            expect(checks.holes(its), "holes in an ownership of ours")
    expect(checks.unseen([e for m in members for e in m.events], ends), "lost records")
    expect(checks.overlaps(every), "two owners at once")
    expect(checks.repeats(every, {m.name for m in ours}), "shown again though given up in order")
    return every


def case_group_of_three(world):
    """Ours, Java's and librdkafka's join one after another under load, and leave in another order."""
    topic, cast = "three", world.cast
    world.kafka.create(topic)
    world.load = Load(world.kafka, topic)
    ours = cast.ours("ours", topic, topic, "--verbose")
    await_settled([ours], ALL)
    await_progress([ours])
    java = cast.java("java", topic, topic, "--verbose")
    await_settled([ours, java], ALL)
    await_progress([ours, java])
    confluent = cast.confluent("confluent", topic, topic)
    await_settled([ours, java, confluent], ALL)
    await_progress([ours, java, confluent])
    seen = {tuple(sorted(owned)) for _, owned, _ in world.kafka.members(topic).values()}
    expect_equal(seen, {tuple(sorted(m.owned)) for m in cast.members}, "assignments, as the broker and as the members say")
    leave(java)
    await_settled([ours, confluent], ALL)
    await_progress([ours, confluent])
    leave(ours)
    await_settled([confluent], ALL)
    await_progress([confluent])
    ends = world.load.stop()
    await_committed_to_the_end(world, topic, ends, [confluent])
    leave(confluent)
    every = check_members(cast.members, [ours], ends)
    expect(checks.refused_commits("ours", ours.events), "commits of ours that were refused")
    handed = [(a.member, b.member) for a, b in checks.handovers(every)]
    for pair in [("ours", "java"), ("ours", "confluent"), ("java", "ours")]:
        expect([] if pair in handed else [handed], f"no partition went from {pair[0]} to {pair[1]}")
    print(f"    {sum(ends.values())} records, {len(handed)} hand-overs")


def case_kill_9(world):
    """Ours is killed: after the session time-out the others have its partitions. Killed again, and replaced at once."""
    topic, cast = "killed", world.cast
    world.kafka.create(topic)
    world.load = Load(world.kafka, topic)
    first = cast.ours("first", topic, topic, "--verbose", "--enable-autocommit")
    java = cast.java("java", topic, topic, "--verbose")
    confluent = cast.confluent("confluent", topic, topic)
    await_settled([first, java, confluent], ALL)
    await_progress([first, java, confluent])
    first.kill()
    began = time.monotonic()
    await_settled([java, confluent], ALL)
    print(f"    taken over after {time.monotonic() - began:.1f} s")
    await_progress([java, confluent])
    second = cast.ours("second", topic, topic, "--verbose", "--enable-autocommit")
    await_settled([second, java, confluent], ALL)
    await_progress([second])
    second.kill()
    third = cast.ours("third", topic, topic, "--verbose", "--enable-autocommit")
    await_settled([third, java, confluent], ALL)
    await_progress([third, java, confluent])
    ends = world.load.stop()
    await_committed_to_the_end(world, topic, ends, [third, java, confluent])
    for member in (third, confluent, java):
        leave(member)
    check_members(cast.members, [first, second, third], ends)


class Attempt:
    """The three-member scenario once: an epoch of ours that does not move."""

    def __init__(self, world, name):
        self.world, self.group = world, name
        cast, kafka = world.cast, world.kafka
        kafka.create(name)
        world.load = Load(kafka, name)
        world.watch = OffsetWatch(kafka, name)
        self.ours = cast.slow(f"{name}-ours", name, name, 1, "auto.commit.interval.ms=50")
        self.set_up()
        self.contend()
        self.wind_up()

    def revocation(self, n):
        await_that(lambda: len(self.ours.named("revoking")) > n, f"revocation {n + 1} of ours", self.world.cast.members)
        event = self.ours.named("revoking")[n]
        return {p["partition"] for p in event["partitions"]}, event["epoch"]

    def await_given_up(self, partitions):
        await_that(lambda: not partitions & self.ours.owned, f"ours to have given up {partitions}", self.world.cast.members)

    def set_up(self):
        """Ours holds all, work in hand on each; librdkafka's joins; while ours drains for it, Java's joins and gets a target."""
        cast, ours = self.world.cast, self.ours
        await_that(lambda: ours.owned == ALL, "ours to own all", [ours])
        poll_until(lambda: set(self.world.kafka.committed(self.group)) == ALL, "ours to have committed everywhere", [ours])
        ours.order("hold")
        await_that(lambda: {e["partition"] for e in ours.named("holding")} == ALL, "work in hand on each partition", [ours])
        self.ids = {"ours": self.world.kafka.members(self.group)["kawait"][0]}
        self.confluent = cast.confluent(f"{self.group}-confluent", self.group, self.group)
        self.first, self.epoch = self.revocation(0)
        self.java = cast.java(f"java-{self.group}", self.group, self.group, "--verbose")

        def java_has_a_target():
            others = {c: m for c, m in self.world.kafka.members(self.group).items() if c not in ("kawait", "confluent")}
            return any(target for _, _, target in others.values()) and others
        others = poll_until(java_has_a_target, "Java's member to have a target", cast.members)
        self.ids["java"] = next(iter(others.values()))[0]
        self.ids["confluent"] = self.world.kafka.members(self.group)["confluent"][0]

    def contend(self):
        """The first revocation is acknowledged, the second is held, new owners commit where ours keeps on trying to."""
        ours, members = self.ours, self.world.cast.members
        ours.order("release " + " ".join(map(str, self.first)))
        self.await_given_up(self.first)
        self.second, self.second_epoch = self.revocation(1)
        self.await_new_commits(self.first)
        refused = len(ours.named("commits_refused"))
        await_that(lambda: len(ours.named("commits_refused")) >= refused + 50, "ours to try fifty times more", members)
        ours.order("release")
        self.await_given_up(self.second)
        self.await_new_commits(self.second)

    def await_new_commits(self, partitions):
        """Another has each of these, and has committed it beyond what ours has done."""
        def committed(p):
            done = max(e["offset"] for e in self.ours.named("done") if e["partition"] == p)
            return any(o["partition"] == p and o["offset"] > done
                       for m in (self.java, self.confluent) for e in m.named("offsets_committed") if e["success"]
                       for o in e["offsets"])
        await_that(lambda: all(map(committed, partitions)), f"commits of new owners on {partitions}", self.world.cast.members)

    def wind_up(self):
        cast = self.world.cast
        await_settled([self.ours, self.confluent, self.java], ALL)
        self.ends = self.world.load.stop()
        await_committed_to_the_end(self.world, self.group, self.ends, cast.members)
        # Ours first: what it had once been given back, it would commit the old offsets with right.
        for member in (self.ours, self.java, self.confluent):
            leave(member)
        self.seen = self.world.watch.stop()
        self.log = read_group_log(self.world.kafka.bootstrap, self.group)
        self.standstill = checks.same_epoch_revocations(self.log, self.ids["ours"])

    def check(self):
        java = {p: [o["offset"] for e in self.java.named("offsets_committed") if e["success"] for o in e["offsets"]
                    if o["partition"] == p] for p in ALL}
        expect(checks.foreign_commits(self.log, self.ids["ours"], self.ids["confluent"], self.ids["java"], java),
               "commits by another than the owner")
        commits = {p: [r["offset"] for r in self.log if r["kind"] == "commit" and r["partition"] == p] for p in ALL}
        expect(checks.backward(commits), "commits in the group's log that go backwards")
        expect(checks.backward(self.seen), "committed offsets that an admin client saw going backwards")
        # What was tried on given-up partitions was refused here, for that reason and no other.
        refused = [p for e in self.ours.named("commits_refused") for p in e["partitions"]]
        expect([p for p in refused if not p["not_ours"]], "commits of ours that were refused for another reason")
        expect([p for p in self.first if p not in {r["partition"] for r in refused}], "given up, but never tried to commit")
        expect_equal({p: offsets[-1] for p, offsets in self.seen.items()}, self.ends, "what was committed last")
        expect([p for p in ALL if len(self.seen[p]) < 50], "partitions that were looked at less than fifty times")
        print(f"    epoch {self.epoch}: revoked {sorted(self.first)}, then {sorted(self.second)}; "
              f"{sum(map(len, commits.values()))} commits in the log, {len(refused)} refused by us, "
              f"{max(map(len, self.seen.values()))} looks")


def case_epoch_that_does_not_move(world):
    """Ours acknowledges, the same epoch brings another revocation, and no late commit reaches a new owner's partition."""
    for n in range(3):
        attempt = Attempt(world, f"standstill-{n}")
        if attempt.standstill and attempt.epoch == attempt.second_epoch:
            attempt.check()
            return
        print(f"    attempt {n}: epochs {attempt.epoch} and {attempt.second_epoch}: again")
    raise AssertionError("the broker moved the epoch each time")


# Values and keys of the conformance test: what JSON has to escape, what is no UTF-8, what is null.
WORDS = [b"plain", b"", None, b'quo"te\\back/slash', "\u00e4\u20ac\U0001f600".encode(), b"\x00\x01\t\r\n\x1f\x7f",
         b"bad \xff\xfe bytes", "\u2028".encode(), b"\xc0\x80 overlong", b"a" * 300]


def fill(world, topic, count):
    world.kafka.create(topic, 3)
    producer = Producer({"bootstrap.servers": world.kafka.bootstrap})
    for n in range(count):
        for p in range(3):
            producer.produce(topic, partition=p, key=WORDS[(n + p) % len(WORDS)], value=WORDS[n % len(WORDS)])
    producer.flush(60)


def run_both(world, topic, label, *arguments, only_ours=()):
    both = {"java": world.cast.java(f"java-{label}", topic, f"java-{label}", *arguments),
            "ours": world.cast.ours(f"ours-{label}", topic, f"ours-{label}", *arguments, *only_ours)}
    for m in both.values():
        m.ending = True
    return both


def records(member):
    """What was shown, by partition: all but when."""
    shown = {}
    for e in member.named("record_data"):
        shown.setdefault(e["partition"], []).append({k: v for k, v in e.items() if k != "timestamp"})
    return shown


def events_to_compare(member):
    """Java's of 4.2 and newer tells shutdown_requested at a signal, and after shutdown_complete without one: ours need not."""
    return [e for e in member.events if e["name"] != "shutdown_requested"]


def first_occurrences(member):
    return list(dict.fromkeys(e["name"] for e in events_to_compare(member)))


def case_conformance(world):
    """Ours and Java's VerifiableConsumer with the same arguments on the same records: the same lines."""
    fill(world, "shapes", 40)
    properties = world.cast.directory / "properties"
    properties.write_text("# overridden by the arguments\nenable.auto.commit=true\n\nfetch.min.bytes = 1\n")
    runs = {
        # Java's of 4.3 refuses --session-timeout under this protocol, ours has to bear it as earlier ones did.
        "all": run_both(world, "shapes", "all", "--verbose", "--max-messages", "120", "--reset-policy", "earliest",
                        "--assignment-strategy", "org.apache.kafka.clients.consumer.RoundRobinAssignor",
                        only_ours=["--session-timeout", "20000"]),
        "cut": run_both(world, "shapes", "cut", "--max-messages", "50", "--group-remote-assignor", "range",
                        "--command-config", str(properties)),
        "auto": run_both(world, "shapes", "auto", "--max-messages", "120", "--enable-autocommit"),
    }
    for label, both in runs.items():
        for who, m in both.items():
            await_that(lambda: not m.reader.is_alive(), f"{m.name} to have read all", [m])
            expect_equal(m.process.returncode, 0, f"exit status of {m.name}: {m.tail()}")
        expect_equal(first_occurrences(both["ours"]), first_occurrences(both["java"]), f"{label}: names, in their order")
        expect_equal(*(checks.shapes(events_to_compare(both[who])) for who in ("ours", "java")), f"{label}: fields and types")
    both = runs["all"]
    expect_equal(sorted(records(both["ours"])), [0, 1, 2], "partitions shown")
    for p, shown in records(both["java"]).items():
        expect([f"{a}\n  {b}" for a, b in zip(records(both["ours"])[p], shown) if a != b], "records shown otherwise than by Java")
        expect_equal(len(records(both["ours"])[p]), len(shown), f"records of {p}")
    for label, count in (("all", 120), ("cut", 50)):
        for who in ("java", "ours"):
            expect_equal(sum(world.kafka.committed(f"{who}-{label}").values()), count, f"committed by {who}, {label}")


def case_conformance_of_refusals(world):
    """Arguments that the original refuses are refused alike: status 1, nothing on standard output."""
    for arguments in (["--no-such-argument"], ["--topic", "t", "--group-id", "g"]):
        for command in ([str(world.cast.bin / "verifiable_consumer")],
                        [*JAVA, f"{world.cast.libs}/*", "org.apache.kafka.tools.VerifiableConsumer"]):
            answer = subprocess.run(command + arguments, capture_output=True, timeout=PATIENCE)
            expect_equal((answer.returncode, answer.stdout), (1, b""), f"{command[0]} {arguments}: {answer.stderr[-300:]}")
            expect([] if answer.stderr else ["nothing"], "said on standard error")


def case_checks_can_fail(_):
    """The checks of these cases see what they are there to see."""
    checks.self_test()


def main():
    die_with_parent()
    bootstrap, libs, bin_dir, directory, *wanted = sys.argv[1:]
    cases = {name[5:]: f for name, f in globals().items() if name.startswith("case_") and (not wanted or name[5:] in wanted)}
    failed = []
    for name, case in cases.items():
        print(f"{name}: {case.__doc__}")
        world, began = World(bootstrap, libs, bin_dir, directory, name), time.monotonic()
        try:
            case(world)
            verdict = "passed"
        except Exception:
            traceback.print_exc()
            failed.append(name)
            verdict = "FAILED"
        finally:
            world.end()
        print(f"    {verdict} {name}, {time.monotonic() - began:.1f} s", flush=True)
    print(f"{len(cases) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
