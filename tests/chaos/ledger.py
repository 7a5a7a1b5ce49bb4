"""What the chain may do, checked as it does it: deliveries by ownership, what was called done, what the groups have committed."""
import threading


class Ranges:
    """Offsets that are done; `until` is the first that is not."""

    def __init__(self):
        self.until = 0
        self.beyond = {}

    def add(self, first, behind):
        # A late batch of a former owner may lie anywhere.
        self.beyond[first] = max(behind, self.beyond.get(first, 0))
        for start in sorted(self.beyond):
            if start > self.until:
                break
            self.until = max(self.until, self.beyond.pop(start))


class Stage:
    """One topic and its group. Called by the threads of its members; complaints are by rule, and a few of each are kept."""

    KEPT = 5

    def __init__(self, name, partitions):
        self.name = name
        self.lock = threading.RLock()
        self.done = [Ranges() for _ in range(partitions)]
        self.values = [[] for _ in range(partitions)]  # by offset
        self.committed = [0] * partitions
        self.begun_low = []  # ownerships that began below what had been committed before them
        self.set_back = [0] * partitions  # how often a partition's committed offset was seen to move back
        self.complaints = {}
        self.counted = {}
        self.delivered = self.ownerships = self.lost = self.looks = self.moved_back = 0

    def complain(self, rule, words):
        with self.lock:
            self.counted[rule] = self.counted.get(rule, 0) + 1
            kept = self.complaints.setdefault(rule, [])
            if len(kept) < self.KEPT:
                kept.append(f"{self.name}: {words}")

    def told_of(self, rule):
        kept, more = self.complaints.get(rule, []), self.counted.get(rule, 0) - self.KEPT
        return kept + [f"{self.name}: and {more} more"] if more > 0 else kept

    def began_low(self):
        """A coordinator that was stopped may answer once more with what it knew, and no look sees that: single ones are let pass."""
        return self.begun_low if 20 * len(self.begun_low) > self.ownerships else []

    def own(self, partition):
        """What deliver() wants to know of the look before an ownership began: the offset committed, and how often it had moved back."""
        with self.lock:
            self.ownerships += 1
            return self.committed[partition], self.set_back[partition]

    def lose(self):
        with self.lock:
            self.lost += 1

    def deliver(self, who, partition, expected, offsets, values, before=(0, 0)):
        """Gives the offset that the ownership's next batch has to begin with. `expected`: None for its first. `before`: what own()
        gave."""
        with self.lock:
            self.delivered += len(offsets)
            first, behind = offsets[0], offsets[0] + len(offsets)
            if offsets != list(range(first, behind)) or (expected is not None and first != expected):
                self.complain("order", f"{who}: expected {expected}, was given {first} to {offsets[-1]}, {len(offsets)} records")
            if expected is None and first > self.done[partition].until:
                self.complain("start", f"{who}: began at {first}, all is done only to {self.done[partition].until}")
            committed, set_back = before
            if expected is None and first < committed and set_back == self.set_back[partition]:
                self.begun_low.append(f"{who}: began at {first}, committed before was {committed}")
            known = self.values[partition]
            if first > len(known):
                self.complain("start", f"{who}: {first}, when nobody had {len(known)}")
                known.extend([None] * (first - len(known)))
            again = known[first:behind]
            if again != values[:len(again)]:
                self.complain("bytes", f"{who}: other values from {first} on than delivered before")
            known.extend(values[len(again):])
            return behind

    def allow(self, partition, first, behind):
        """Before the member is told that it is done: what is committed later than this may be so."""
        with self.lock:
            self.done[partition].add(first, behind)

    def look(self, offsets):
        """{partition: committed}. What may be committed was noted before the member was told: there is no race."""
        with self.lock:
            self.looks += 1
            for partition, offset in offsets.items():
                if offset > self.done[partition].until:
                    self.complain("committed", f"{partition}: committed {offset}, done only to {self.done[partition].until}")
                self.moved_back += offset < self.committed[partition]
                self.set_back[partition] += offset < self.committed[partition]
                self.committed[partition] = offset


def self_test():
    """What breaks a rule is seen, and nothing else: a list of what is not so."""
    scripts = {
        "": lambda s: (s.deliver("m", 0, None, [0, 1], [b"a", b"b"]), s.allow(0, 0, 2), s.look({0: 2}),
                       s.deliver("n", 0, None, [1, 2], [b"b", b"c"]), s.deliver("m", 0, 2, [2, 3], [b"c", b"d"]),
                       s.allow(0, 2, 4), s.allow(0, 1, 3), s.look({0: 4})),
        "order": lambda s: (s.deliver("m", 0, None, [0, 2], [b"a", b"c"])),
        "order ": lambda s: (s.deliver("m", 0, None, [0], [b"a"]), s.deliver("m", 0, 1, [0], [b"a"])),
        "start": lambda s: (s.deliver("m", 0, None, [0], [b"a"]), s.deliver("n", 0, None, [1], [b"b"])),
        "repeats": lambda s: (s.deliver("m", 0, None, [0, 1], [b"a", b"b"]), s.allow(0, 0, 2), s.look({0: 2}),
                              s.deliver("n", 0, None, [1], [b"b"], s.own(0))),
        " ": lambda s: (s.deliver("m", 0, None, [0, 1], [b"a", b"b"]), s.allow(0, 0, 2), s.look({0: 2}),
                        s.deliver("n", 0, None, [2], [b"c"], s.own(0)), before := s.own(0), s.look({0: 1}),
                        s.deliver("o", 0, None, [1], [b"b"], before)),
        "bytes": lambda s: (s.deliver("m", 0, None, [0], [b"a"]), s.deliver("n", 0, None, [0], [b"b"])),
        "committed": lambda s: (s.deliver("m", 0, None, [0, 1], [b"a", b"b"]), s.allow(0, 0, 1), s.look({0: 2})),
        "committed ": lambda s: (s.allow(0, 1, 2), s.look({0: 1})),
    }
    wrong = []
    for rule, script in scripts.items():
        stage = Stage("self-test", 1)
        script(stage)
        rules = list(stage.complaints) + (["repeats"] if stage.began_low() else [])
        if rules != rule.split():
            wrong.append(f"expected a complaint of {rule or 'nothing'}, got {rules}")
    return wrong
