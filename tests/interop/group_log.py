"""The coordinator's own log of a group, from __consumer_offsets: who was assigned what, and every commit, in one order."""
import struct

from confluent_kafka import Consumer, TopicPartition

TOPIC = "__consumer_offsets"
OFFSET_COMMIT, CURRENT_ASSIGNMENT = (0, 1), 8  # the types of keys


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, format):
        values = struct.unpack_from(">" + format, self.data, self.at)
        self.at += struct.calcsize(">" + format)
        return values[0]

    def raw(self, length):
        self.at += length
        return self.data[self.at - length:self.at]

    def string(self):
        return self.raw(self.take("h")).decode()

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def skip_tags(self):
        for _ in range(self.varint()):
            self.varint()
            self.raw(self.varint())


def read_partitions(b):
    """[]TopicPartitions. The groups of these tests read one topic."""
    partitions = set()
    for _ in range(b.varint() - 1):
        b.raw(16)
        partitions |= {b.take("i") for _ in range(b.varint() - 1)}
        b.skip_tags()
    return partitions


def read_assignment(member, value):
    record = {"kind": "assignment", "member": member, "epoch": -1, "assigned": set(), "pending": set()}
    if value is not None:
        b = Bytes(value)
        b.take("h")
        record["epoch"] = b.take("i")
        b.take("i")
        b.take("b")
        record["assigned"], record["pending"] = read_partitions(b), read_partitions(b)
    return record


def read_commit(partition, value):
    b = Bytes(value)
    version = b.take("h")
    record = {"kind": "commit", "partition": partition, "offset": b.take("q")}
    record["leader_epoch"] = b.take("i") if version >= 3 else -1
    record["metadata"] = b.raw(b.varint() - 1).decode() if version >= 4 else b.string()
    record["timestamp"] = b.take("q")
    return record


def read_record(group, message):
    key = Bytes(message.key())
    kind = key.take("h")
    if kind != CURRENT_ASSIGNMENT and kind not in OFFSET_COMMIT or key.string() != group:
        return None
    if kind == CURRENT_ASSIGNMENT:
        return read_assignment(key.string(), message.value())
    key.string()
    return read_commit(key.take("i"), message.value()) if message.value() is not None else None


def read_group_log(bootstrap, group):
    """All of it, up to now. A group's records lie in one partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nobody", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(TOPIC, timeout=30).topics[TOPIC].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=30)[1] for p in partitions}
        ends = {p: end for p, end in ends.items() if end > 0}
        consumer.assign([TopicPartition(TOPIC, p, 0) for p in ends])
        log = []
        while ends:
            message = consumer.poll(30)
            if message is None or message.error() is not None:
                raise AssertionError(f"{TOPIC} could not be read to its end: {message and message.error()}")
            if message.partition() not in ends:
                continue
            log.append(read_record(group, message))
            if message.offset() + 1 >= ends[message.partition()]:
                del ends[message.partition()]
        return [record for record in log if record is not None]
    finally:
        consumer.close()
