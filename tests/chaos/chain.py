"""The chain's processes: members of the groups, and the producer that carries what they deliver to the next topic."""
import signal
import subprocess
import sys
import threading
from pathlib import Path

from confluent_kafka import Producer

sys.path.append(str(Path(__file__).resolve().parent.parent / "interop"))
from members import die_with_parent  # noqa: E402

LOST = 2  # chain_member's word for it


class Carrier:
    """Produces to partitions of the next topic, in order; tells when a batch is wholly acknowledged."""

    def __init__(self, bootstrap):
        self.failures = []
        # No queue limit that a catch-up could reach, no time-out that a fault could.
        self.producer = Producer({"bootstrap.servers": bootstrap, "log_level": 2, "acks": "all", "max.in.flight": 1,
                                  "linger.ms": 5, "queue.buffering.max.messages": 10_000_000, "message.timeout.ms": 0})
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.stopped.is_set():
            self.producer.poll(0.1)

    def carry(self, topic, partition, values, then):
        left = len(values)

        def on_delivery(error, _):
            nonlocal left
            if error is not None:
                self.failures.append(str(error))
                return
            left -= 1
            if left == 0:
                then()

        for value in values:
            self.producer.produce(topic, value=value, partition=partition, on_delivery=on_delivery)

    def is_idle(self):
        """Whether all that it was given is acknowledged."""
        return len(self.producer) == 0

    def stop(self):
        """How many messages were not acknowledged in time."""
        self.stopped.set()
        self.thread.join()
        return self.producer.flush(30)


class Member:
    """A chain_member, and the work on its batches: `work_takes()` seconds, then `carry(partition, values, then)`. To be started
    by the main thread, with which it dies."""

    def __init__(self, number, command, directory, stage, work_takes, carry):
        self.name = f"{stage.name}-{number}"
        self.stage, self.work_takes, self.carry = stage, work_takes, carry
        self.owned = {}  # ownership: [partition, the next offset, what was committed before]
        self.ending = self.killed = False  # told to; by a signal that leaves it no time
        self.is_stopped = False
        self.errors = Path(directory) / f"{self.name}.err"
        with open(self.errors, "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                            preexec_fn=die_with_parent)
        self.input_lock = threading.Lock()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def is_alive(self):
        return self.process.poll() is None

    def end(self, kill=False):
        self.ending, self.killed = True, kill
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)

    def stop(self):
        self.is_stopped = True
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.is_stopped = False
        self.process.send_signal(signal.SIGCONT)

    def _read(self):
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                return  # killed within a line
            word, number, *rest = line.split()
            if word == b"own":
                self._own(number, int(rest[0]))
            elif word == b"end":
                self._end(number, int(rest[0]))
            else:
                self._deliver(number, rest)

    def _own(self, number, partition):
        if partition in [p for p, _, _ in self.owned.values()]:
            self.stage.complain("order", f"{self.name}: partition {partition} is assigned while its last handler runs")
        self.owned[number] = [partition, None, self.stage.own(partition)]

    def _end(self, number, reason):
        if self.owned.pop(number, None) is None:
            self.stage.complain("order", f"{self.name}: ownership {number} ends, which there is not")
        if reason == LOST:
            self.stage.lose()

    def _deliver(self, number, pairs):
        if number not in self.owned or not pairs:
            self.stage.complain("order", f"{self.name}: a batch of {len(pairs)} of ownership {number}, which has ended")
            return
        partition, expected, before = self.owned[number]
        split = [pair.split(b":") for pair in pairs]
        offsets, values = [int(offset) for offset, _ in split], [value for _, value in split]
        behind = self.stage.deliver(f"{self.name}, partition {partition}", partition, expected, offsets, values,
                                    before)
        self.owned[number][1] = behind

        def acknowledged():
            self.stage.allow(partition, offsets[0], behind)
            self._order(number)

        def work():
            # What a member had in hand when it was killed was not done, and must come again.
            if not self.killed:
                self.carry(partition, values, acknowledged)

        seconds = self.work_takes()
        if seconds == 0:
            work()
        else:
            timer = threading.Timer(seconds, work)
            timer.daemon = True
            timer.start()

    def _order(self, number):
        with self.input_lock:
            try:
                self.process.stdin.write(number + b"\n")
                self.process.stdin.flush()
            except (BrokenPipeError, ValueError):
                pass  # killed meanwhile
