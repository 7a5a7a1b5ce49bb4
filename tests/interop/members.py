"""Members of a group as processes that tell what they do, one JSON object a line; and waiting for what they tell."""
import ctypes
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE = 60  # seconds; for anything that is only a question of time
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp"]

# Notified at every event of every member.
changed = threading.Condition()
libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    PR_SET_PDEATHSIG = 1
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Member:
    """A process. `events` are its lines, each with `name` and `timestamp` (ms); `owned` the partitions it says are its own."""

    def __init__(self, name, command, directory):
        self.name = name
        self.events = []
        self.owned = set()
        self.ending = False  # told to, or allowed to
        self.tells = False  # knows the order "tell"
        self.stderr_path = Path(directory) / f"{name}.err"
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                            preexec_fn=die_with_parent)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"name": "not_json", "timestamp": 0, "line": line.decode(errors="replace")}
            with changed:
                self.events.append(event)
                if event["name"] in ("partitions_assigned", "partitions_revoked"):
                    partitions = {p["partition"] for p in event["partitions"]}
                    self.owned = self.owned | partitions if event["name"] == "partitions_assigned" else self.owned - partitions
                changed.notify_all()
        self.process.wait()
        with changed:
            changed.notify_all()

    def is_alive(self):
        return self.process.poll() is None

    def named(self, name):
        return [e for e in list(self.events) if e["name"] == name]

    def order(self, words):
        self.process.stdin.write(words.encode() + b"\n")
        self.process.stdin.flush()

    def terminate(self):
        """Asks it to leave, waits for its last word, gives its exit status."""
        self.ending = True
        self.process.terminate()
        await_that(lambda: not self.reader.is_alive(), f"{self.name} to end after SIGTERM", [])
        return self.process.returncode

    def kill(self):
        self.ending = True
        self.process.kill()
        self.reader.join()

    def errors(self):
        text = self.stderr_path.read_text(errors="replace")
        return [line for line in text.splitlines() if line and "SLF4J" not in line]

    def _await_told(self):
        """Asks a slow_member where it stands; it says so on standard error."""
        told = len(self.named("told"))
        self.order("tell")
        deadline = time.monotonic() + 3
        with changed:
            while len(self.named("told")) == told and time.monotonic() < deadline:
                changed.wait(0.1)

    def tail(self):
        if self.tells and self.is_alive():
            self._await_told()
        frequent = ("record_data", "done", "commits_refused")
        last = [json.dumps(e)[:200] for e in self.events if e["name"] not in frequent][-8:]
        newest = {(e["name"], e["partition"]): json.dumps(e)[:200] for e in self.events if e["name"] in frequent[:2]}
        newest |= {e["name"]: json.dumps(e)[:400] for e in self.events if e["name"] == "commits_refused"}
        said = self.errors()[-80 if self.tells else -8:]
        return f"--- {self.name}, owns {sorted(self.owned)}\n" + "\n".join(last + list(newest.values()) + said)


def await_that(predicate, what, members, seconds=PATIENCE):
    """Until it is so; fails when a member dies meanwhile that was not told to."""
    deadline = time.monotonic() + seconds
    with changed:
        while True:
            value = predicate()
            if value:
                return value
            dead = [m.name for m in members if not m.is_alive() and not m.ending]
            late = time.monotonic() > deadline
            if dead or late:
                why = f"{', '.join(dead)} ended by itself" if dead else f"not within {seconds} s"
                raise AssertionError("\n".join([f"waited for {what}: {why}"] + [m.tail() for m in members]))
            changed.wait(0.1)


def poll_until(predicate, what, members, seconds=PATIENCE):
    """The same for what has to be asked for, with requests that may take their time."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline or any(not m.is_alive() and not m.ending for m in members):
            raise AssertionError("\n".join([f"waited for {what}: in vain"] + [m.tail() for m in members]))
        time.sleep(0.1)


class Cast:
    """Starts the members of one case and ends what is left of them."""

    def __init__(self, bootstrap, libs, bin_dir, directory):
        self.bootstrap, self.libs, self.bin = bootstrap, libs, Path(bin_dir)
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        self.members = []

    def start(self, name, command):
        member = Member(name, [str(word) for word in command], self.directory)
        self.members.append(member)
        return member

    def arguments(self, topic, group, *more):
        return ["--bootstrap-server", self.bootstrap, "--topic", topic, "--group-id", group, "--group-protocol", "consumer",
                *more]

    def ours(self, name, topic, group, *more):
        return self.start(name, [self.bin / "verifiable_consumer", *self.arguments(topic, group, *more)])

    def java(self, name, topic, group, *more):
        return self.start(name, [*JAVA, f"{self.libs}/*", "org.apache.kafka.tools.VerifiableConsumer",
                                 *self.arguments(topic, group, *more)])

    def confluent(self, name, topic, group):
        return self.start(name, [sys.executable, HERE / "group_member.py", self.bootstrap, topic, group])

    def slow(self, name, topic, group, seconds, *properties):
        member = self.start(name, [self.bin / "slow_member", self.bootstrap, topic, group, seconds, *properties])
        member.tells = True
        return member

    def end(self):
        for member in self.members:
            if member.is_alive():
                member.kill()


def settled(members, partitions):
    """A predicate: each of them owns something, together all, none twice."""
    def is_settled():
        owned = [m.owned for m in members]
        return all(owned) and sum(map(len, owned)) == len(partitions) and set().union(*owned) == partitions
    return is_settled


def await_settled(members, partitions):
    names = ", ".join(m.name for m in members)
    await_that(settled(members, partitions), f"{names} to own {sorted(partitions)} between them", members)
