"""The broker's side: topics, a steady load, committed offsets, the group as the coordinator sees it."""
import threading
import time

from confluent_kafka import OFFSET_INVALID, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

LOADING = (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR,
           KafkaError._TIMED_OUT)


class Kafka:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})

    def create(self, topic, partitions=6):
        """The topic, and a coordinator that has loaded the group of the same name.

        While it loads, describing the group fails, or librdkafka waits in vain (once in some forty runs); but listing its offsets
        crashes this process (confluent-kafka 2.16.1).
        """
        for future in self.admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            future.result()
        deadline = time.monotonic() + 60
        while True:
            try:
                self.members(topic)
                return
            except KafkaException as e:
                if time.monotonic() > deadline or e.args[0].code() not in LOADING:
                    raise
            time.sleep(0.1)

    def committed(self, group):
        """{partition: offset}"""
        answer = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
        return {p.partition: p.offset for p in answer.topic_partitions if p.error is None}

    def members(self, group):
        """{client id: (member id, partitions, partitions it shall have)}"""
        def partitions(assignment):
            return {p.partition for p in assignment.topic_partitions} if assignment else set()
        answer = self.admin.describe_consumer_groups([group], request_timeout=10)[group].result()
        return {m.client_id: (m.member_id, partitions(m.assignment), partitions(m.target_assignment)) for m in answer.members}


class Load:
    """Records at a steady rate, all partitions alike; record n of partition p is "p:n" and lies at offset n. `ends` is final after
    stop()."""

    def __init__(self, kafka, topic, partitions=6, per_second=300):
        self.topic, self.pause = topic, partitions / per_second
        self.ends = {p: 0 for p in range(partitions)}
        self.acknowledged = dict(self.ends)
        self.errors = []
        self.stopped = threading.Event()
        self.producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "linger.ms": 5,
                                  "log_level": 3})
        self.thread = threading.Thread(target=self._produce, daemon=True)
        self.thread.start()

    def _on_delivery(self, error, message):
        if error is not None:
            self.errors.append(str(error))
        elif message.offset() not in (self.acknowledged[message.partition()], OFFSET_INVALID):  # invalid: a repeated one's
            self.errors.append(f"partition {message.partition()}: offset {message.offset()} was acknowledged, not "
                               f"{self.acknowledged[message.partition()]}")
        else:
            self.acknowledged[message.partition()] += 1

    def _produce(self):
        while not self.stopped.wait(self.pause):
            for p, n in self.ends.items():
                self.producer.produce(self.topic, value=f"{p}:{n}", key=f"key {n}", partition=p, on_delivery=self._on_delivery)
                self.ends[p] = n + 1
            self.producer.poll(0)

    def stop(self):
        self.stopped.set()
        self.thread.join()
        unsent = self.producer.flush(60)
        if self.errors:
            raise AssertionError(f"the producer: {self.errors[:3]}")
        if self.acknowledged != self.ends:
            raise AssertionError(f"the producer: {unsent} unsent after 60 s; acknowledged up to {self.acknowledged}, not {self.ends}")
        return self.ends


class OffsetWatch:
    """The group's committed offsets as an admin client sees them, every 50 ms: a list for each partition."""

    def __init__(self, kafka, group):
        self.kafka, self.group = kafka, group
        self.seen = {}
        self.failure = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _look(self):
        for p, offset in self.kafka.committed(self.group).items():
            self.seen.setdefault(p, []).append(offset)

    def _watch(self):
        while self.failure is None and not self.stopped.wait(0.05):
            try:
                self._look()
            except KafkaException as e:
                if not e.args[0].retriable():
                    self.failure = e  # told by stop()

    def stop(self):
        """With a last look."""
        self.stopped.set()
        self.thread.join()
        if self.failure is not None:
            raise self.failure
        self._look()
        return self.seen
