#!/usr/bin/env python3
"""chaos.py BIN_DIR DIRECTORY RECORDS SECONDS SEED: see run.sh, which ends what this one leaves.

Numbered records go stage0 -> group g0 -> stage1 -> g1 -> stage2 -> g2 -> sink, partition to partition, fed evenly over SECONDS.
Meanwhile, by the seed: of the members' connections most are cut 50 to 150 ms old (proxy.py); one node at a time is killed and
started again, or stopped and continued; members join, close, are killed, and stopped, sometimes past their session, and some of
their work takes its time. The producer and who looks at the groups' offsets have a listener of their own, which is not cut: what
they see is what the members did."""

import heapq
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from chain import Carrier, Member, die_with_parent
from ledger import Stage, self_test

HERE = Path(__file__).resolve().parent
KAFKA = HERE.parent / "kafka"
NODES, STAGES, PARTITIONS, MOST_MEMBERS, SESSION = 3, 3, 6, 3, 5


def is_free(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


def pick_base():
    """As kafka-up does, with the ports of the members' listeners and of the proxy between its own."""
    for _ in range(50):
        base = random.SystemRandom().randrange(10000, 32000)
        if all(is_free(base + more + n) for more in (0, 25, 50, 100) for n in range(1, NODES + 1)):
            return base
    raise RuntimeError("no free ports")


class Cluster:
    def __init__(self, directory, seed):
        self.directory = directory / "kafka"
        self.starting = {}  # node: the process of kafka-up --again
        self.stopped = set()
        base = pick_base()
        pairs = [f"{base + 25 + n}:{base + 50 + n}" for n in range(1, NODES + 1)]
        self.proxy = subprocess.Popen([sys.executable, "-B", HERE / "proxy.py", str(seed), *pairs], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        if self.proxy.stdout.readline() != "ready\n":
            raise RuntimeError("the proxy did not start")
        self.cut_bootstrap = ",".join(f"127.0.0.1:{pair.split(':')[0]}" for pair in pairs)
        own = []
        for n in range(1, NODES + 1):
            own += [f"{n}:listeners=DIRECT://127.0.0.1:{base + n},PLAINTEXT://127.0.0.1:{base + 50 + n},"
                    f"CONTROLLER://127.0.0.1:{base + 100 + n}",
                    f"{n}:advertised.listeners=DIRECT://127.0.0.1:{base + n},PLAINTEXT://127.0.0.1:{base + 25 + n}"]
        self.bootstrap = subprocess.run(
            [KAFKA / "kafka-up", self.directory, str(NODES), str(base), *own, "inter.broker.listener.name=DIRECT",
             "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT", "min.insync.replicas=2",
             # A node that stopped is missed after three seconds, a member after SESSION.
             "broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500", "replica.lag.time.max.ms=3000",
             f"group.consumer.session.timeout.ms={SESSION * 1000}", "group.consumer.heartbeat.interval.ms=500",
             "auto.create.topics.enable=false"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def _signal(self, node, which):
        os.kill(int((self.directory / f"{node}.pid").read_text()), which)

    def kill(self, node):
        self._signal(node, signal.SIGKILL)

    def stop(self, node):
        self._signal(node, signal.SIGSTOP)
        self.stopped.add(node)

    def go_on(self, node):
        self.stopped.discard(node)
        self._signal(node, signal.SIGCONT)

    def start_again(self, node):
        self.starting[node] = subprocess.Popen([KAFKA / "kafka-up", "--again", self.directory, str(node)])

    def is_up(self):
        """False while a node is away by our doing."""
        for node, process in list(self.starting.items()):
            if process.poll() is None:
                return False
            if process.returncode != 0:
                raise RuntimeError(f"node {node} did not start again")
            del self.starting[node]
        return not self.stopped

    def heal(self):
        self.proxy.stdin.write("heal\n")
        self.proxy.stdin.flush()

    def end_proxy(self):
        """(connections, cuts)"""
        return tuple(map(int, self.proxy.communicate("", timeout=30)[0].split()))


class Offsets:
    """The groups' committed offsets, twice a second, and the topics' ends. (AdminClient would crash while a group is loaded.)"""

    def __init__(self, bootstrap, stages):
        self.stages = stages
        self.consumers = [Consumer({"bootstrap.servers": bootstrap, "group.id": f"g{n}", "log_level": 2,
                                    "enable.auto.commit": False}) for n in range(len(stages))]
        self.locks = [threading.Lock() for _ in stages]  # what is asked first is looked at first
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def committed(self, n):
        asked = [TopicPartition(self.stages[n].name, p) for p in range(PARTITIONS)]
        with self.locks[n]:
            offsets = {t.partition: max(0, t.offset) for t in self.consumers[n].committed(asked, timeout=5) if t.error is None}
            self.stages[n].look(offsets)
        return offsets

    def ends(self, n):
        return {p: self.consumers[n].get_watermark_offsets(TopicPartition(self.stages[n].name, p), timeout=5)[1]
                for p in range(PARTITIONS)}

    def is_at_end(self, n):
        try:
            return self.committed(n) == self.ends(n)
        except KafkaException:
            return False

    def _watch(self):
        while not self.stopped.wait(0.5):
            for n in range(len(self.stages)):
                try:
                    self.committed(n)
                except KafkaException:
                    pass  # no coordinator at the moment

    def stop(self):
        self.stopped.set()
        self.thread.join()


class Chaos:
    def __init__(self, bin_dir, directory, records, seconds, seed):
        self.bin, self.directory, self.records, self.seconds = Path(bin_dir), Path(directory), records, seconds
        self.random = random.Random(seed)
        self.count = dict.fromkeys(["node kills", "node stops", "members joined", "members closed", "members killed",
                                    "members stopped", "members stopped past their session"], 0)
        self.agenda, self.sequence = [], 0
        self.members, self.ended_badly = [], []
        self.at_end = [False] * STAGES
        self.decks = {}  # of draw()
        self.cluster = Cluster(self.directory, seed)
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap})
        topics = [f"stage{n}" for n in range(STAGES)] + ["sink"]
        for future in admin.create_topics([NewTopic(t, PARTITIONS, NODES) for t in topics]).values():
            future.result()
        self.stages = [Stage(f"stage{n}", PARTITIONS) for n in range(STAGES)]
        self.carrier = Carrier(self.cluster.bootstrap)
        self.offsets = Offsets(self.cluster.bootstrap, self.stages)

    # ---- What happens when.

    def later(self, seconds, action, *arguments):
        self.sequence += 1
        heapq.heappush(self.agenda, (time.monotonic() + seconds, self.sequence, action, arguments))

    def run_until(self, deadline, is_over=lambda: False):
        """The agenda, by this thread alone."""
        while time.monotonic() < deadline and not is_over():
            while self.agenda and self.agenda[0][0] <= time.monotonic():
                _, _, action, arguments = heapq.heappop(self.agenda)
                action(*arguments)
            for member in self.members[:]:
                if not member.is_alive():
                    self.bury(member)
            time.sleep(0.02)

    def bury(self, member):
        self.members.remove(member)
        member.reader.join()
        if not member.ending or member.process.returncode != (-signal.SIGKILL if member.killed else 0):
            said = member.errors.read_text(errors="replace").splitlines()[-5:]
            self.ended_badly.append(f"{member.name}, status {member.process.returncode}: {' | '.join(said)}")

    def feed(self, began, fed=0):
        due = min(self.records, int(self.records * (time.monotonic() - began) / self.seconds))
        for number in range(fed, due):
            self.carrier.carry("stage0", number % PARTITIONS, [str(number)], lambda: None)
        if due < self.records:
            self.later(0.1, self.feed, began, due)

    def draw(self, *kinds):
        """Each as often as the others, in any order: a short run has all of them."""
        deck = self.decks.setdefault(kinds, [])
        if not deck:
            deck.extend(self.random.sample(kinds, len(kinds)))
        return deck.pop()

    def join(self, stage):
        self.count["members joined"] += 1
        topics = [s.name for s in self.stages] + ["sink"]
        following = topics[topics.index(stage.name) + 1]
        # Every other one commits by itself.
        manner = "enable.auto.commit=false" if self.count["members joined"] % 2 else "auto.commit.interval.ms=300"
        command = [self.bin / "chain_member", self.cluster.cut_bootstrap, stage.name, f"g{self.stages.index(stage)}", manner,
                   "max.partition.fetch.bytes=65536"]
        # Seldom it is slow: done lags behind then, revocations wait, and a member that is killed has something in hand.
        dice = random.Random(self.random.random())
        self.members.append(Member(self.count["members joined"], command, self.directory, stage,
                                   lambda: dice.uniform(0.1, 1.5) if dice.random() < 0.1 else 0,
                                   lambda *what: self.carrier.carry(following, *what)))

    def disturb_nodes(self):
        """One at a time, so that the quorum and two replicas are there, but for a moment."""
        if not self.cluster.is_up():
            return self.later(0.2, self.disturb_nodes)
        node = self.random.randint(1, NODES)
        if self.draw("kill", "stop") == "kill":
            self.count["node kills"] += 1
            self.cluster.kill(node)
            self.later(self.random.uniform(0.5, 2), self.cluster.start_again, node)
            self.later(2.5, self.disturb_nodes)
        else:
            self.count["node stops"] += 1
            self.cluster.stop(node)
            away = self.random.uniform(0.5, 5)
            self.later(away, self.cluster.go_on, node)
            self.later(away + self.random.uniform(0.5, 2), self.disturb_nodes)

    def disturb_members(self):
        stage = self.random.choice(self.stages)
        there = [m for m in self.members if m.stage is stage and not m.ending]
        free = [m for m in there if not m.is_stopped]
        what = self.draw("join", "close", "kill", "stop", "stop long")
        if what == "join" or not free:
            if len(there) < MOST_MEMBERS:
                self.join(stage)
        elif what in ("close", "kill"):
            self.count["members closed" if what == "close" else "members killed"] += 1
            self.random.choice(free).end(kill=what == "kill")
            if len(there) == 1:
                self.later(self.random.uniform(0, 2), self.join, stage)
        else:
            self.stop_member(self.random.choice(free), long=what == "stop long")
        self.later(self.random.uniform(0.3, 2), self.disturb_members)

    def stop_somebody_long(self):
        free = [m for m in self.members if not m.ending and not m.is_stopped and m.owned]
        if free:
            self.stop_member(free[0], long=True)
        else:
            self.later(0.5, self.stop_somebody_long)

    def stop_member(self, member, long):
        self.count["members stopped past their session" if long else "members stopped"] += 1
        member.stop()
        self.later(SESSION + 2 if long else self.random.uniform(0.2, 3), Member.go_on, member)

    # ---- The test.

    def settle(self):
        """No more faults: what was stopped goes on, what was killed is back. Then the chain runs dry."""
        kept = [(when, n, action, arguments) for when, n, action, arguments in self.agenda
                if action in (Member.go_on, self.cluster.go_on, self.cluster.start_again, self.feed)]
        heapq.heapify(kept)
        self.agenda = kept
        self.cluster.heal()
        began = time.monotonic()
        self.run_until(began + 60, lambda: not self.agenda and self.cluster.is_up())
        for stage in self.stages:
            if not any(m.stage is stage and not m.ending for m in self.members):
                self.join(stage)
        # A generous bound: of 1,000 records a second, and a minute more.
        deadline = time.monotonic() + 60 + self.records / 1000
        self.run_until(deadline, self.is_dry)
        return time.monotonic() - began

    def is_dry(self):
        # In the order of the chain: what the producer has not sent yet is in no topic's end, and what a group has not committed may not
        # be in the next one's.
        if not self.carrier.is_idle():
            return False
        self.at_end = [self.offsets.is_at_end(n) for n in range(STAGES)]
        return all(self.at_end)

    def run(self):
        began = time.monotonic()
        for stage in self.stages * 2:
            self.join(stage)
        self.feed(began)
        self.later(3, self.disturb_nodes)
        self.later(2, self.disturb_members)
        # One at least, whatever the seed.
        self.later(4, self.stop_somebody_long)
        self.run_until(began + self.seconds)
        self.count["seconds until all was through"] = round(self.settle())
        for member in self.members:
            if not member.ending:
                member.end()
        self.run_until(time.monotonic() + 45, lambda: not self.members)
        late = [f"{m.name} has not closed" for m in self.members]
        self.offsets.stop()
        for n in range(STAGES):
            self.offsets.committed(n)  # the last word: what closing committed
        unsent = self.carrier.stop()
        numbers, copies = self.read_sink()
        self.count["connections"], self.count["connections cut"] = self.cluster.end_proxy()
        return self.judge(late, unsent, numbers, copies)

    def read_sink(self):
        reader = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": "reader", "log_level": 2,
                           "enable.auto.commit": False})
        ends = {p: reader.get_watermark_offsets(TopicPartition("sink", p), timeout=30)[1] for p in range(PARTITIONS)}
        reader.assign([TopicPartition("sink", p, 0) for p in range(PARTITIONS)])
        seen, left, deadline = bytearray(self.records), sum(ends.values()), time.monotonic() + 120
        copies = left
        while left > 0 and time.monotonic() < deadline:
            for message in reader.consume(10000, timeout=1):
                if message.error() is None:
                    seen[int(message.value())] = 1
                    left -= 1
        reader.close()
        return sum(seen), copies

    def judge(self, late, unsent, numbers, copies):
        self.count["ownerships"] = sum(s.ownerships for s in self.stages)
        self.count["partitions lost"] = sum(s.lost for s in self.stages)
        self.count["looks at committed offsets"] = sum(s.looks for s in self.stages)
        # No check: a coordinator that was stopped may answer once more with what it knew.
        self.count["committed seen to move back"] = sum(s.moved_back for s in self.stages)
        for stage in self.stages:
            self.count[f"delivered again of {stage.name}"] = stage.delivered - sum(map(len, stage.values))
        self.count["copies in the sink"] = copies - numbers
        for what, number in self.count.items():
            print(f"{number:>10}  {what}")

        def complaints(rule):
            return [c for s in self.stages for c in s.told_of(rule)]

        hit = [f"no {what}" for what in ("node kills", "node stops", "members closed", "members killed", "members stopped",
                                         "members stopped past their session", "partitions lost", "connections cut")
               if not self.count[what]]
        checks = {
            "these checks can fail": self_test(),
            "every number is in the sink": [] if numbers == self.records else [f"{numbers} of {self.records}"],
            "an ownership is given its records in order, without a hole, and nothing after its end": complaints("order"),
            "an ownership begins where all before is done": complaints("start"),
            "an ownership begins no lower than what was committed before it": [
                c for s in self.stages for c in s.began_low()],
            "a record is the same however often it comes": complaints("bytes"),
            "committed is never past done": complaints("committed") + [
                f"{s.name} was never looked at" for s in self.stages if not s.looks],
            "every group is at its topic's end once the faults are over": [
                f"{s.name} is not" for s, is_there in zip(self.stages, self.at_end) if not is_there],
            "members end when told to, with status 0": self.ended_badly + late,
            "the producer had no error": self.carrier.failures[:5] + ([f"{unsent} unsent"] if unsent else []),
            "faults were hit": hit,
        }
        failed = 0
        for name, wrong in checks.items():
            print(f"{'FAILED' if wrong else 'passed'}  {name}")
            for words in wrong[:15]:
                print(f"        {words}")
            failed += bool(wrong)
        print(f"{len(checks) - failed} passed, {failed} failed")
        return 1 if failed else 0


def main():
    die_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bin_dir, directory, records, seconds, seed = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    print(f"{records} records, {seconds} s of faults, seed {seed}")
    chaos = None
    try:
        chaos = Chaos(bin_dir, directory, records, seconds, seed)
        return chaos.run()
    finally:
        if chaos:
            for process in chaos.cluster.starting.values():
                process.wait()


if __name__ == "__main__":
    sys.exit(main())
