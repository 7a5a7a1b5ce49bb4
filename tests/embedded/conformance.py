"""conformance.py BOOTSTRAP LIBS BIN_DIR DIR: librdkafka, Java, kcat and ours produce to the embedded broker and read it. Started by
run.sh."""
import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from members import JAVA, Cast, await_that, die_with_parent

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def expect_equal(a, b, what):
    if a != b:
        raise AssertionError(f"{what}:\n  {a}\n  {b}")


class World:
    def __init__(self, bootstrap, libs, bin_dir, directory):
        self.bootstrap, self.libs = bootstrap, libs
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.cast = Cast(bootstrap, libs, bin_dir, Path(directory))

    def create(self, name, partitions=3):
        for future in self.admin.create_topics([NewTopic(name, partitions, 2)]).values():
            future.result()

    def delete(self, name):
        for future in self.admin.delete_topics([name]).values():
            future.result()

    def produce(self, topic, count, **settings):
        """Values "LABEL n"; raises unless all are acknowledged."""
        errors = []
        properties = {k.replace("_", "."): v for k, v in settings.items() if k != "label"}
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, **properties})
        for n in range(count):
            producer.produce(topic, key=f"key {n}", value=f"{settings.get('label', '')} {n}", headers={"n": str(n)},
                             on_delivery=lambda error, _: error and errors.append(str(error)))
        expect_equal((producer.flush(30), errors[:3]), (0, []), f"left over, errors of {settings}")

    def read(self, topic, count, partitions=3, **settings):
        """So many records from the start, and none behind them."""
        properties = {k.replace("_", "."): v for k, v in settings.items()}
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "none", "enable.auto.commit": False,
                             "auto.offset.reset": "earliest", **properties})
        consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        records, deadline = [], time.monotonic() + 30
        while len(records) < count and time.monotonic() < deadline:
            records += consumer.consume(1000, 0.2)
        records += consumer.consume(1000, 1)
        consumer.close()
        errors = [str(r.error()) for r in records if r.error()]
        expect_equal(errors, [], "errors while reading")
        return records


def case_every_codec(world):
    """librdkafka produces with each codec, idempotently and not, and Java; all of it is read by librdkafka, Java and ours."""
    world.create("codecs")
    for codec in CODECS:
        for idempotent in (True, False):
            world.produce("codecs", 500, label=codec, compression_type=codec, enable_idempotence=idempotent)
    producer = world.cast.start("java-producer", [
        *JAVA, f"{world.libs}/*", "org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", world.bootstrap, "--topic",
        "codecs", "--max-messages", "500", "--acks", "-1", "--throughput", "-1"])
    producer.ending = True
    await_that(lambda: not producer.reader.is_alive(), "Java's producer to end", [producer])
    expect_equal(len(producer.named("producer_send_success")), 500, f"acknowledged to Java: {producer.tail()}")

    total = 500 * (2 * len(CODECS) + 1)
    records = world.read("codecs", total)
    expect_equal(len(records), total, "records read by librdkafka")
    for codec in CODECS:
        values = sorted(r.value().decode() for r in records if r.value().decode().startswith(codec + " "))
        expect_equal(values, sorted([f"{codec} {n}" for n in range(500)] * 2), codec)
    readers = [world.cast.java("java-reader", "codecs", "java", "--max-messages", str(total), "--reset-policy", "earliest"),
               world.cast.ours("our-reader", "codecs", "ours", "--max-messages", str(total), "--reset-policy", "earliest")]
    for r in readers:
        r.ending = True
    for r in readers:
        await_that(lambda: not r.reader.is_alive(), f"{r.name} to have read all", readers)
        expect_equal(sum(e["count"] for e in r.named("records_consumed")), total, f"records read by {r.name}: {r.tail()}")


def case_transactions(world):
    """A transactional producer of librdkafka's: what it aborts is not read by who reads committed records only."""
    world.create("transactions", 2)
    producer = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": "t", "linger.ms": 0})
    producer.init_transactions(10)
    for n, commit in enumerate((True, False, True, False)):
        producer.begin_transaction()
        for p in range(2):
            for i in range(10):
                producer.produce("transactions", partition=p, value=f"{'kept' if commit else 'aborted'} {n} {i}")
        producer.flush(10)
        if commit:
            producer.commit_transaction(10)
        else:
            producer.abort_transaction(10)
    committed = world.read("transactions", 40, 2, isolation_level="read_committed")
    everything = world.read("transactions", 80, 2, isolation_level="read_uncommitted")
    expect_equal((len(committed), len(everything)), (40, 80), "committed, all")
    expect_equal({r.value().split()[0] for r in committed}, {b"kept"}, "what was committed")
    fencing = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": "t"})
    fencing.init_transactions(10)
    try:
        producer.begin_transaction()
        producer.produce("transactions", partition=0, value="fenced")
        producer.flush(5)
        producer.commit_transaction(5)
    except Exception as e:
        if not e.args[0].fatal():
            raise
    else:
        raise AssertionError("a fenced producer could commit")
    expect_equal(len(world.read("transactions", 40, 2, isolation_level="read_committed")), 40, "committed afterwards")


def case_positions_and_topics(world):
    """Offsets by time and at the ends; topics come and go."""
    world.create("positions", 1)
    producer = Producer({"bootstrap.servers": world.bootstrap})
    for n in range(10):
        producer.produce("positions", value=str(n), timestamp=1_700_000_000_000 + 1000 * n)
    producer.flush(10)
    consumer = Consumer({"bootstrap.servers": world.bootstrap, "group.id": "positions", "enable.auto.commit": False})
    at = TopicPartition("positions", 0)
    expect_equal(consumer.get_watermark_offsets(at, timeout=10), (0, 10), "the ends")
    for timestamp, offset in ((1_700_000_000_000, 0), (1_700_000_003_500, 4), (1_700_000_009_000, 9), (1_800_000_000_000, -1)):
        found = consumer.offsets_for_times([TopicPartition("positions", 0, timestamp)], timeout=10)[0].offset
        expect_equal(found, offset, f"the first record from {timestamp} on")
    consumer.assign([TopicPartition("positions", 0, 4)])
    record = consumer.poll(10)
    expect_equal((record.offset(), record.value()), (4, b"4"), "the record at 4")
    consumer.commit(offsets=[TopicPartition("positions", 0, 5)], asynchronous=False)
    expect_equal(consumer.committed([at], timeout=10)[0].offset, 5, "committed without being a member")
    consumer.close()
    expect_equal("positions" in world.admin.list_topics(timeout=10).topics, True, "the topic is listed")
    world.delete("positions")
    expect_equal("positions" in world.admin.list_topics(timeout=10).topics, False, "the deleted topic is listed")


def kcat(world, *arguments, given=""):
    """Its lines; raises if it fails, or says anything of an error. It is an older librdkafka than confluent-kafka's."""
    done = subprocess.run(["kcat", "-b", world.bootstrap, *arguments], input=given, text=True,
                          capture_output=True, timeout=60)
    complaints = [line for line in done.stderr.splitlines() if "ERR" in line or "ERROR" in line]
    expect_equal((done.returncode, complaints), (0, []), f"kcat {' '.join(arguments)}: {done.stderr}")
    return done.stdout.splitlines()


def case_kcat(world):
    """kcat lists, produces with each codec, reads from the beginning, from the end backwards and by time, and asks for offsets."""
    topic = "kcat"
    world.create(topic, 3)
    listed = json.loads("".join(kcat(world, "-L", "-J", "-t", topic)))
    expect_equal(sorted(b["id"] for b in listed["brokers"]), [1, 2], "the brokers")
    described = {t["topic"]: {p["partition"]: (p["leader"] in (1, 2), len(p["replicas"])) for p in t["partitions"]}
                 for t in listed["topics"]}
    expect_equal(described, {topic: {p: (True, 2) for p in range(3)}}, "the topic")
    everything = json.loads("".join(kcat(world, "-L", "-J")))
    expect_equal(topic in {t["topic"] for t in everything["topics"]}, True, "it is among all topics")

    expected = []
    for partition, codec in ((0, "none"), (1, "gzip"), (2, "snappy"), (0, "lz4"), (1, "zstd")):
        for idempotent in ("false", "true"):
            lines = [f"{codec} {idempotent} {n}" for n in range(200)]
            kcat(world, "-P", "-t", topic, "-p", str(partition), "-z", codec, "-K:", "-H", f"codec={codec}",
                 "-X", f"enable.idempotence={idempotent}", given="".join(f"key {n}:{line}\n" for n, line in enumerate(lines)))
            expected += [f"{partition}|key {n}|{line}|codec={codec}" for n, line in enumerate(lines)]
    read = kcat(world, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p|%k|%s|%h|%o\\n")
    expect_equal(sorted(line.rpartition("|")[0] for line in read), sorted(expected), "read from the beginning")
    for partition, count in ((0, 800), (1, 800), (2, 400)):
        offsets = [int(line.rpartition("|")[2]) for line in read if line.startswith(f"{partition}|")]
        expect_equal(offsets, list(range(count)), f"the offsets of {partition}")
        last = kcat(world, "-C", "-t", topic, "-p", str(partition), "-o", "-3", "-e", "-q", "-f", "%o\\n")
        expect_equal([int(line) for line in last], list(range(count - 3, count)), f"the last three of {partition}")
        two = kcat(world, "-C", "-t", topic, "-p", str(partition), "-o", "10", "-c", "2", "-q", "-f", "%o\\n")
        expect_equal([int(line) for line in two], [10, 11], f"two from 10 on of {partition}")
        for time_asked, found in (("-2", 0), ("-1", count), ("0", 0)):
            told = kcat(world, "-Q", "-t", f"{topic}:{partition}:{time_asked}")
            expect_equal(told, [f"{topic} [{partition}] offset {found}"], f"the offset at {time_asked} of {partition}")
    from_time = kcat(world, "-C", "-t", topic, "-p", "0", "-o", "s@1000", "-e", "-q", "-f", "%o\\n")
    expect_equal([int(line) for line in from_time], list(range(800)), "read by time")
    # A transaction, all of which is read by who reads committed records only.
    kcat(world, "-P", "-t", topic, "-p", "2", "-X", "transactional.id=kcat", given="in a transaction\n")
    committed = kcat(world, "-C", "-t", topic, "-p", "2", "-o", "400", "-e", "-q", "-X", "isolation.level=read_committed",
                     "-f", "%s\\n")
    expect_equal(committed, ["in a transaction"], "what was committed")
    # Tombstones, and an empty value that is none.
    kcat(world, "-P", "-t", topic, "-p", "2", "-K:", "-Z", given="gone:\n")
    gone = kcat(world, "-C", "-t", topic, "-p", "2", "-o", "-1", "-e", "-q", "-f", "%k %S\\n")
    expect_equal(gone, ["gone -1"], "a tombstone")
    unknown = subprocess.run(["kcat", "-b", world.bootstrap, "-C", "-t", "no-such-topic", "-e", "-q"], capture_output=True, text=True,
                             timeout=60)
    expect_equal(unknown.returncode, 1, f"of a topic that there is not: {unknown.stderr}")


def main():
    die_with_parent()
    bootstrap, libs, bin_dir, directory = sys.argv[1:5]
    failed = []
    cases = {name[5:]: f for name, f in globals().items() if name.startswith("case_")}
    for name, case in cases.items():
        world, began = World(bootstrap, libs, bin_dir, Path(directory) / name), time.monotonic()
        print(f"{name}: {case.__doc__}")
        try:
            case(world)
            verdict = "passed"
        except Exception:
            traceback.print_exc()
            failed.append(name)
            verdict = "FAILED"
        finally:
            world.cast.end()
        print(f"    {verdict} {name}, {time.monotonic() - began:.1f} s", flush=True)
    print(f"{len(cases) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
