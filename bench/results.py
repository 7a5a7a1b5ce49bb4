#!/usr/bin/env python3
"""results.py FILE: the table of what run.sh -o FILE or latency.sh -o FILE wrote. Fails if the runs do not prove their work."""

import json
import statistics
import sys


def spread(values):
    """Median, minimum, maximum."""
    values = list(values)
    return statistics.median(values), min(values), max(values)


def best(clients, of):
    return min((getattr(c, of)[0] for c in clients if not c.is_floor and not c.is_kawait), default=None)


def ratio(values, of):
    return f"{values[0] / of:.2f}" if of else "–"


def figures(values, digits=1):
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f} to {values[2]:.{digits}f})"


class Client:
    """The runs of one program; what is a figure is a spread."""

    def __init__(self, label, runs):
        self.label = label
        self.settings = runs[0].get("settings", "")
        self.is_floor = runs[0]["name"] == "floor"
        self.is_kawait = runs[0]["name"].startswith("kawait")


class Reader(Client):
    """Of run.sh: all of a topic, as fast as it goes."""

    def __init__(self, label, runs):
        super().__init__(label, runs)
        self.cpu = spread((r["user_s"] + r["sys_s"]) / r["records"] * 1e9 for r in runs)
        self.rate = spread(r["records"] / r["wall_s"] / 1e6 for r in runs)
        self.memory = spread(r["maxrss_kb"] / 1024 for r in runs)
        self.first = spread(r["first_s"] * 1e3 for r in runs)

    @staticmethod
    def check(_, runs):
        proof = {(r["records"], r["bytes"], r["sum"]) for r in runs}
        if len(proof) != 1:
            sys.exit(f"the runs read different records: {proof}")

    @staticmethod
    def title(about):
        over = f", over {about['tls']}" if about.get("tls") else ""
        return f"{about['records']} records of {about['size']} bytes, compression {about['codec']}{over}"

    @staticmethod
    def rows(clients):
        yield ("", "CPU ns per record", "of the floor's", "of the best rival's", "million records/s", "peak memory, MiB",
               "first record, ms")
        floor = min((c.cpu[0] for c in clients if c.is_floor), default=None)
        rival = best(clients, "cpu")
        for c in clients:
            yield (c.label, figures(c.cpu), ratio(c.cpu, floor), ratio(c.cpu, rival), figures(c.rate), figures(c.memory),
                   figures(c.first, 0))


class Listener(Client):
    """Of latency.sh: few records, as they are written."""

    def __init__(self, label, runs):
        super().__init__(label, runs)
        self.p50, self.p99, self.p999, self.max = (spread(r[name] for r in runs) for name in ("p50_us", "p99_us", "p999_us", "max_us"))
        self.cpu = spread(r["cpu_s"] / r["seconds"] * 100 for r in runs)

    @staticmethod
    def check(about, runs):
        wanted = float(about["per_second"]) * float(about["seconds"])
        for r in runs:
            if abs(r["records"] / wanted - 1) > 0.05:
                sys.exit(f"{r['name']}, round {r['round']}: {r['records']} records instead of {wanted:.0f}")

    @staticmethod
    def title(about):
        return f"{about['per_second']} records of {about['size']} bytes a second, {about['seconds']} s a run"

    @staticmethod
    def rows(clients):
        yield ("", "p50, µs", "of the best rival's", "p99, µs", "of the best rival's", "p99.9, µs", "longest, µs", "CPU, % of a core",
               "of the best rival's")
        p50, p99, cpu = (best(clients, of) for of in ("p50", "p99", "cpu"))
        for c in clients:
            yield (c.label, figures(c.p50, 0), ratio(c.p50, p50), figures(c.p99, 0), ratio(c.p99, p99), figures(c.p999, 0),
                   figures(c.max, 0), figures(c.cpu), ratio(c.cpu, cpu))


def read(path):
    """What was run, and its clients in the order of their first runs."""
    with open(path) as lines:
        about, *runs = [json.loads(line) for line in lines]
    kind = {"consume": Reader, "latency": Listener}[about["what"]]
    kind.check(about, runs)
    programs = {}
    for run in runs:
        programs.setdefault((run["name"], run["program"]), []).append(run)
    names = [name for name, _ in programs]
    # Two builds of one backend differ by their folders.
    clients = [kind(name if names.count(name) == 1 else f"{name}: {program}", of) for (name, program), of in programs.items()]
    return about, clients


def print_table(rows):
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table)]
    for n, row in enumerate(table):
        print("|", " | ".join(cell.ljust(width) for cell, width in zip(row, widths)), "|")
        if n == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    about, clients = read(sys.argv[1])
    print(f"{clients[0].title(about)}, Kafka {about['kafka']}, {about['rounds']} rounds: median (minimum to maximum); the load average "
          f"before was {about['load']}\n")
    print_table(clients[0].rows(clients))
    print()
    for c in clients:
        if not c.is_floor:
            settings = ", ".join(about["properties"]) if c.is_kawait else c.settings
            print(f"{c.label}: {settings or 'defaults'}")


if __name__ == "__main__":
    main()
