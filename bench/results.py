#!/usr/bin/env python3
"""results.py FILE: the table of what run.sh -o FILE wrote. Fails if the runs have not read the same records."""

import json
import statistics
import sys


class Client:
    """The runs of one program; figures are (median, minimum, maximum)."""

    def __init__(self, label, runs):
        self.label = label
        self.settings = runs[0].get("settings", "")
        self.is_floor = runs[0]["name"] == "floor"
        self.is_kawait = runs[0]["name"].startswith("kawait")
        self.cpu = spread((r["user_s"] + r["sys_s"]) / r["records"] * 1e9 for r in runs)
        self.rate = spread(r["records"] / r["wall_s"] / 1e6 for r in runs)
        self.memory = spread(r["maxrss_kb"] / 1024 for r in runs)
        self.first = spread(r["first_s"] * 1e3 for r in runs)


def spread(values):
    values = list(values)
    return statistics.median(values), min(values), max(values)


def read(path):
    """What was run, and its clients in the order of their runs."""
    with open(path) as lines:
        about, *runs = [json.loads(line) for line in lines]
    proof = {(r["records"], r["bytes"], r["sum"]) for r in runs}
    if len(proof) != 1:
        sys.exit(f"the runs read different records: {proof}")
    programs = {}
    for run in runs:
        programs.setdefault((run["name"], run["program"]), []).append(run)
    names = [name for name, _ in programs]
    # Two builds of one backend differ by their folders.
    return about, [Client(name if names.count(name) == 1 else f"{name}: {program}", of) for (name, program), of in programs.items()]


def title(about):
    return (f"{about['records']} records of {about['size']} bytes, compression {about['codec']}, Kafka {about['kafka']}, "
            f"{about['rounds']} rounds: median (minimum to maximum)")


def figures(values, digits=1):
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f} to {values[2]:.{digits}f})"


def rows(clients):
    yield ("", "CPU ns per record", "of the floor's", "of the best rival's", "million records/s", "peak memory, MiB", "first record, ms")
    floor = min((c.cpu[0] for c in clients if c.is_floor), default=None)
    rival = min((c.cpu[0] for c in clients if not c.is_floor and not c.is_kawait), default=None)
    for c in clients:
        ratios = (f"{c.cpu[0] / of:.2f}" if of else "–" for of in (floor, rival))
        yield (c.label, figures(c.cpu), *ratios, figures(c.rate), figures(c.memory), figures(c.first, 0))


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
    print(f"{title(about)}; the load average before was {about['load']}\n")
    print_table(rows(clients))
    print()
    for c in clients:
        if not c.is_floor:
            settings = ", ".join(about["properties"]) if c.is_kawait else c.settings
            print(f"{c.label}: {settings or 'defaults'}")


if __name__ == "__main__":
    main()
