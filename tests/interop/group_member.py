"""group_member.py BOOTSTRAP TOPIC GROUP: a confluent-kafka (librdkafka) member that tells what it does as VerifiableConsumer.

Its commits carry the metadata "confluent", so that they can be told from others' in the group's log.
"""
import json
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

METADATA = "confluent"


def emit(name, **fields):
    print(json.dumps({"timestamp": int(time.time() * 1000), "name": name, **fields}), flush=True)


def named(partitions):
    return [{"topic": p.topic, "partition": p.partition} for p in partitions]


class Member:
    def __init__(self, bootstrap, topic, group):
        self.uncommitted = {}
        self.stopped = False
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": group, "group.protocol": "consumer", "client.id": "confluent",
            "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        self.consumer.subscribe([topic], on_assign=lambda _, p: emit("partitions_assigned", partitions=named(p)),
                                on_revoke=self.on_revoke, on_lost=self.on_lost)

    def on_revoke(self, _, partitions):
        self.commit()
        self.forget(partitions)
        emit("partitions_revoked", partitions=named(partitions))

    def on_lost(self, _, partitions):
        self.forget(partitions)
        emit("partitions_revoked", partitions=named(partitions), lost=True)

    def forget(self, partitions):
        for p in partitions:
            self.uncommitted.pop((p.topic, p.partition), None)

    def commit(self):
        """What cannot be committed yet (the epoch has just moved) stays for the next time."""
        if not self.uncommitted:
            return
        offsets = [TopicPartition(t, p, o, METADATA) for (t, p), o in self.uncommitted.items()]
        try:
            answer = self.consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as e:
            emit("offsets_committed", offsets=[], success=False, error=str(e))
            return
        done = [p for p in answer if p.error is None]
        self.forget(done)
        emit("offsets_committed", success=len(done) == len(offsets),
             offsets=[{"topic": p.topic, "partition": p.partition, "offset": p.offset} for p in done])

    def show(self, message):
        emit("record_data", key=(message.key() or b"").decode(), value=message.value().decode(), topic=message.topic(),
             partition=message.partition(), offset=message.offset())
        self.uncommitted[message.topic(), message.partition()] = message.offset() + 1

    def run(self):
        emit("startup_complete")
        shown = 0
        while not self.stopped:
            # One at a time: a batch may hold records of a partition that is revoked while it is being gathered.
            message = self.consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.show(message)
                shown += 1
            if message is None or shown >= 20:
                self.commit()
                shown = 0
        self.commit()
        self.consumer.close()
        emit("shutdown_complete")


if __name__ == "__main__":
    member = Member(*sys.argv[1:4])
    signal.signal(signal.SIGTERM, lambda *_: setattr(member, "stopped", True))
    member.run()
