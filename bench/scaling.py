#!/usr/bin/env python3
"""scaling.py FILE [PICTURE.svg]: the table of what scaling.sh -o FILE wrote, and a picture of it. Fails if the runs have not read the same
number of records and bytes."""

import json
import sys

import results

LABELS = {"one": "1 partition", "ten": "10", "hundred": "100", "thousand": "1,000", "hot": "1,000, of which one has all"}


class Shape:
    """The runs over one topic; figures are (median, minimum, maximum)."""

    def __init__(self, topic, runs, fetched):
        self.label = LABELS[topic]
        self.cpu = results.spread((r["user_s"] + r["sys_s"]) / r["records"] * 1e9 for r in runs)
        self.broker = results.spread(r["broker_s"] / r["records"] * 1e9 for r in runs)
        self.rate = results.spread(r["records"] / r["wall_s"] / 1e6 for r in runs)
        self.memory = results.spread(r["maxrss_kb"] / 1024 for r in runs)
        self.kib_per_fetch = fetched["fetched_bytes"] / fetched["fetches"] / 1024


def read(path):
    with open(path) as lines:
        about, *rest = [json.loads(line) for line in lines]
    fetched = {line["topic"]: line for line in rest if "fetches" in line}
    runs = [line for line in rest if "round" in line]
    proof = {(r["records"], r["bytes"]) for r in runs}
    if len(proof) != 1:
        sys.exit(f"the runs read different records: {proof}")
    topics = dict.fromkeys(r["topic"] for r in runs)
    return about, [Shape(topic, [r for r in runs if r["topic"] == topic], fetched[topic]) for topic in topics]


def rows(shapes):
    yield ("partitions", "CPU ns per record", "of one partition's", "KiB per fetch", "million records/s", "peak memory, MiB",
           "broker's CPU ns per record")
    for s in shapes:
        yield (s.label, results.figures(s.cpu), f"{s.cpu[0] / shapes[0].cpu[0]:.2f}", f"{s.kib_per_fetch:.0f}",
               results.figures(s.rate), results.figures(s.memory), results.figures(s.broker, 0))


def picture(about, shapes):
    left, width, bar, gap, top = 210, 380, 22, 12, 48
    scale = width / max(2.0, *(1.15 * s.cpu[0] / shapes[0].cpu[0] for s in shapes))
    height = top + len(shapes) * (bar + gap) + 8
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" '
           'font-family="sans-serif" font-size="13" fill="#222">')
    yield '<rect width="100%" height="100%" fill="#fff"/>'
    yield f'<text x="12" y="20" font-weight="bold">CPU per record ({about["size"]} bytes), one partition\'s = 1: less is better</text>'
    yield '<text x="12" y="37" font-size="11" fill="#666">medians; lines from the minimum to the maximum; the dashed line is 1.5</text>'
    for n, s in enumerate(shapes):
        y = top + n * (bar + gap)
        median, low, high = (min(value / shapes[0].cpu[0] * scale, width) for value in s.cpu)
        yield f'<text x="{left - 8}" y="{y + bar / 2 + 4.5}" text-anchor="end">{s.label}</text>'
        yield f'<rect x="{left}" y="{y}" width="{median:.1f}" height="{bar}" fill="#2a7de1"/>'
        yield f'<path d="M{left + low:.1f} {y + bar / 2}H{left + high:.1f}" stroke="#222"/>'
        yield f'<text x="{left + max(median, high) + 8:.1f}" y="{y + bar / 2 + 4.5}">{s.cpu[0] / shapes[0].cpu[0]:.2f}</text>'
    limit = left + 1.5 * scale
    yield f'<path d="M{limit:.1f} {top - 4}V{height - 12}" stroke="#c33" stroke-dasharray="4 3"/>'
    yield "</svg>"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    about, shapes = read(sys.argv[1])
    print(f"{about['records']} records of {about['size']} bytes, Kafka {about['kafka']}, {about['rounds']} rounds: median (minimum to "
          f"maximum); the load average before was {about['load']}\n")
    results.print_table(rows(shapes))
    if len(sys.argv) == 3:
        with open(sys.argv[2], "w") as file:
            file.write("\n".join(picture(about, shapes)) + "\n")


if __name__ == "__main__":
    main()
