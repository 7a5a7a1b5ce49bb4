#!/usr/bin/env python3
"""plot.py FILE >PICTURE.svg: the CPU per record of what run.sh -o FILE wrote, as bars with their minimum and maximum."""

import sys
from xml.sax.saxutils import escape

import results

left, width, bar, gap, top = 190, 420, 22, 12, 48


def picture(about, clients):
    # Of the medians: a single round that was disturbed must not make the bars short. Its whisker ends at the edge.
    scale = width / (1.15 * max(c.cpu[0] for c in clients))
    height = top + len(clients) * (bar + gap) + 8
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" '
           'font-family="sans-serif" font-size="13" fill="#222">')
    yield '<rect width="100%" height="100%" fill="#fff"/>'
    yield (f'<text x="12" y="20" font-weight="bold">CPU ns per record ({about["size"]} bytes, compression {about["codec"]}): '
           'less is better</text>')
    yield '<text x="12" y="37" font-size="11" fill="#666">medians; lines from the minimum to the maximum</text>'
    for n, c in enumerate(clients):
        y = top + n * (bar + gap)
        middle = y + bar / 2
        median, low, high = c.cpu
        low, high = (min(value * scale, width) for value in (low, high))
        colour = "#2a7de1" if c.is_kawait else "#9aa0a6" if c.is_floor else "#e0a040"
        yield f'<text x="{left - 8}" y="{middle + 4.5}" text-anchor="end">{escape(c.label)}</text>'
        yield f'<rect x="{left}" y="{y}" width="{median * scale:.1f}" height="{bar}" fill="{colour}"/>'
        yield f'<path d="M{left + low:.1f} {middle}H{left + high:.1f}" stroke="#222"/>'
        yield f'<text x="{left + max(median * scale, high) + 8:.1f}" y="{middle + 4.5}">{median:.0f}</text>'
    yield "</svg>"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(picture(*results.read(sys.argv[1]))))


if __name__ == "__main__":
    main()
