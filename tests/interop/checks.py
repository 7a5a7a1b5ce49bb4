"""What must be true of the members' lines and of the group's log. No network; self_test() shows that each can fail."""
import collections


class Ownership:
    """One partition at one member, from partitions_assigned to partitions_revoked (or to the member's end: `end` is None)."""

    def __init__(self, member, partition, start):
        self.member, self.partition, self.start, self.end = member, partition, start, None
        self.offsets, self.last_time = [], start


def ownerships(name, events):
    """The member's ownerships in the order in which they began, and what it showed without owning it."""
    owned, every, strangers = {}, [], []
    for event in events:
        kind = event["name"]
        if kind == "partitions_assigned":
            for p in event["partitions"]:
                if p["partition"] in owned:
                    strangers.append(f"{name}: partition {p['partition']} assigned twice")
                owned[p["partition"]] = Ownership(name, p["partition"], event["timestamp"])
                every.append(owned[p["partition"]])
        elif kind == "partitions_revoked":
            for p in event["partitions"]:
                if p["partition"] in owned:
                    owned.pop(p["partition"]).end = event["timestamp"]
        elif kind == "record_data":
            o = owned.get(event["partition"])
            if o is None:
                strangers.append(f"{name}: showed {event['partition']}@{event['offset']} without owning it")
            else:
                o.offsets.append(event["offset"])
                o.last_time = event["timestamp"]
        elif kind == "not_json":
            strangers.append(f"{name}: not JSON: {event['line'][:100]}")
    return every, strangers


def holes(every):
    """Ownerships whose offsets are not one after another."""
    return [f"{o.member}: partition {o.partition}: {a} is followed by {b}"
            for o in every for a, b in zip(o.offsets, o.offsets[1:]) if b != a + 1]


def unseen(events_of_all, ends):
    """Records that nobody showed; and those that are not what the producer wrote there."""
    seen, wrong = collections.defaultdict(set), []
    for event in events_of_all:
        if event["name"] == "record_data":
            seen[event["partition"]].add(event["offset"])
            if event["value"] != f"{event['partition']}:{event['offset']}":
                wrong.append(f"{event['partition']}@{event['offset']} shown as {event['value']}")
    missing = [f"{p}@{n}" for p, end in ends.items() for n in range(end) if n not in seen[p]]
    return [f"nobody showed {m}" for m in missing[:10]] + wrong[:10]


def handovers(every):
    """Pairs of consecutive ownerships of a partition at different members."""
    by_partition = collections.defaultdict(list)
    for o in sorted(every, key=lambda o: o.start):
        by_partition[o.partition].append(o)
    return [(a, b) for each in by_partition.values() for a, b in zip(each, each[1:]) if a.member != b.member]


def overlaps(every):
    """Records shown by a member after the next one had the partition. Their clock is the same; both print before they let go."""
    return [f"{a.member} showed records of {a.partition} {a.last_time - b.start} ms after {b.member} was assigned it"
            for a, b in handovers(every) if a.last_time > b.start]


def repeats(every, ours):
    """Where ours let a partition go in order, the next owner begins behind the last record that we showed."""
    return [f"{b.member} begins {b.partition} at {b.offsets[0]}, {a.member} had shown up to {a.offsets[-1]}"
            for a, b in handovers(every)
            if a.member in ours and a.end is not None and a.offsets and b.offsets and b.offsets[0] != a.offsets[-1] + 1]


def refused_commits(name, events):
    return [f"{name}: {e.get('error')}" for e in events if e["name"] == "offsets_committed" and not e["success"]]


def backward(offsets_by_partition):
    return [f"partition {p}: {b} committed after {a}"
            for p, offsets in offsets_by_partition.items() for a, b in zip(offsets, offsets[1:]) if b < a]


# ---- The group's log: assignments and commits in the order in which the coordinator wrote them.

def same_epoch_revocations(log, member):
    """Pairs of the member's states in which an acknowledged revocation was followed by another at the same epoch."""
    states = [r for r in log if r["kind"] == "assignment" and r["member"] == member]
    return [(a, b) for a, b in zip(states, states[1:])
            if a["pending"] and b["pending"] and a["epoch"] == b["epoch"] and not a["pending"] & b["pending"]
            and b["assigned"] | b["pending"] == a["assigned"]]


def foreign_commits(log, ours, confluent, java, java_offsets):
    """Commits of partitions that at that point of the log belonged to another member than the one that made them.

    Who made a commit: one with confluent's metadata is confluent's. Of the others, ours are all but those that Java says it made:
    while Java owns a partition, its commits there must be, one by one, those that it printed (`java_offsets`, by
    partition). Any other value, or one more than printed, is ours.
    """
    owner, problems = {}, []
    expected = {p: collections.deque(offsets) for p, offsets in java_offsets.items()}
    for record in log:
        if record["kind"] == "assignment":
            for p in [p for p, m in owner.items() if m == record["member"]]:
                del owner[p]
            for p in record["assigned"] | record["pending"]:
                if owner.get(p, record["member"]) != record["member"]:
                    problems.append(f"partition {p} assigned to two members")
                owner[p] = record["member"]
            continue
        p, offset, holder = record["partition"], record["offset"], owner.get(record["partition"])
        words = f"partition {p}: offset {offset} (leader epoch {record['leader_epoch']}, {record['metadata']!r})"
        if record["metadata"]:
            if holder != confluent:
                problems.append(f"{words} committed by confluent, the owner is {holder}")
        elif holder == java:
            queue = expected.setdefault(p, collections.deque())
            if queue and queue[0] == offset:
                queue.popleft()
            else:
                problems.append(f"{words} committed while Java owns it, but not by Java")
        elif holder != ours:
            problems.append(f"{words} committed by ours, the owner is {holder}")
    problems += [f"partition {p}: Java says it committed {list(q)[:3]}..., the log does not" for p, q in expected.items() if q]
    return problems


# ---- Shapes of JSON.

def shapes(events):
    """{event name: {path of a field: types seen}}"""
    found = collections.defaultdict(lambda: collections.defaultdict(set))

    def walk(fields, path, value):
        fields[path].add(type(value).__name__)
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(fields, f"{path}.{key}", inner)
        elif isinstance(value, list):
            for inner in value:
                walk(fields, f"{path}[]", inner)

    for event in events:
        walk(found[event["name"]], "", event)
    return {name: {path: sorted(types) for path, types in fields.items()} for name, fields in found.items()}


# ---- That they can fail.

def _assigned(time, *partitions):
    return {"name": "partitions_assigned", "timestamp": time, "partitions": [{"topic": "t", "partition": p} for p in partitions]}


def _revoked(time, *partitions):
    return {**_assigned(time, *partitions), "name": "partitions_revoked"}


def _record(time, partition, offset, value=None):
    value = f"{partition}:{offset}" if value is None else value
    return {"name": "record_data", "timestamp": time, "partition": partition, "offset": offset, "value": value}


def _state(member, epoch, assigned, pending=()):
    return {"kind": "assignment", "member": member, "epoch": epoch, "assigned": set(assigned), "pending": set(pending)}


def _commit(partition, offset, metadata=""):
    return {"kind": "commit", "partition": partition, "offset": offset, "leader_epoch": -1, "metadata": metadata}


def self_test():
    good = [_assigned(1, 0), _record(2, 0, 0), _record(3, 0, 1), _revoked(4, 0)]
    after = [_assigned(4, 0), _record(5, 0, 2)]
    a, strangers = ownerships("a", good)
    b, _ = ownerships("b", after)
    assert not (strangers or holes(a) or overlaps(a + b) or repeats(a + b, {"a"}) or unseen(good + after, {0: 3}))
    assert ownerships("a", good + [_record(5, 0, 2)])[1] and ownerships("a", [_assigned(1, 0), _assigned(2, 0)])[1]
    assert holes(ownerships("a", [_assigned(1, 0), _record(2, 0, 0), _record(2, 0, 2)])[0])
    assert overlaps(a + ownerships("b", [_assigned(2, 0)])[0])
    assert repeats(a + ownerships("b", [_assigned(4, 0), _record(5, 0, 1)])[0], {"a"})
    assert unseen(good, {0: 3}) and unseen(good, {0: 2, 1: 1}) and unseen([_record(1, 0, 0, "1:0")], {0: 1})
    assert backward({0: [1, 3, 2]}) and not backward({0: [1, 1, 2]})

    log = [_state("o", 1, {0, 1, 2, 3}), _commit(0, 5), _state("o", 1, {0, 1}, {2, 3}), _commit(2, 7), _state("o", 1, {0}, {1}),
           _state("c", 3, {2}), _state("j", 3, {3}), _commit(2, 9, "confluent"), _commit(3, 4), _commit(3, 6)]
    assert len(same_epoch_revocations(log, "o")) == 1 and not same_epoch_revocations(log[:4], "o")
    assert not foreign_commits(log, "o", "c", "j", {3: [4, 6]})
    for late in (_commit(2, 7), _commit(3, 6), _commit(1, 5, "confluent")):
        assert foreign_commits(log + [late], "o", "c", "j", {3: [4, 6]}), late
    assert foreign_commits(log, "o", "c", "j", {3: [4, 6, 8]}) and foreign_commits(log, "o", "c", "j", {3: [4]})
    assert shapes([{"name": "x", "a": [{"b": 1}]}]) != shapes([{"name": "x", "a": [{"b": "1"}]}])
