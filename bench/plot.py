#!/usr/bin/env python3
"""plot.py FILE >PICTURE.svg: what run.sh -o FILE or latency.sh -o FILE wrote, as bars with their minimum and maximum."""

import sys
from xml.sax.saxutils import escape

import results

left, width, bar, gap, top = 190, 420, 22, 12, 48
figures = {"consume": [("CPU ns per record", "cpu")], "latency": [("p50, µs", "p50"), ("p99, µs", "p99"), ("CPU, % of a core", "cpu")]}


def panel(heading, bars):
    """A heading, and a bar for each (label, colour, (median, minimum, maximum)): its lines, and how high it is."""
    # Of the medians: a single round that was disturbed must not make the bars short. Its whisker ends at the edge.
    most = max(median for _, _, (median, _, _) in bars)
    scale, digits = width / (1.15 * most), 0 if most >= 100 else 1
    lines = [f'<text x="12" y="20" font-weight="bold">{escape(heading)}</text>',
             '<text x="12" y="37" font-size="11" fill="#666">medians; lines from the minimum to the maximum</text>']
    for n, (label, colour, (median, low, high)) in enumerate(bars):
        y = top + n * (bar + gap)
        middle = y + bar / 2
        low, high = (min(value * scale, width) for value in (low, high))
        lines += [f'<text x="{left - 8}" y="{middle + 4.5}" text-anchor="end">{escape(label)}</text>',
                  f'<rect x="{left}" y="{y}" width="{median * scale:.1f}" height="{bar}" fill="{colour}"/>',
                  f'<path d="M{left + low:.1f} {middle}H{left + high:.1f}" stroke="#222"/>',
                  f'<text x="{left + max(median * scale, high) + 8:.1f}" y="{middle + 4.5}">{median:.{digits}f}</text>']
    return lines, top + len(bars) * (bar + gap) + 8


def picture(panels):
    """One panel below the other."""
    body, height = [], 0
    for lines, of in panels:
        body += [f'<g transform="translate(0 {height})">', *lines, "</g>"]
        height += of
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" '
            'font-family="sans-serif" font-size="13" fill="#222">')
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *body, "</svg>"])


def colour(client):
    return "#2a7de1" if client.is_kawait else "#9aa0a6" if client.is_floor else "#e0a040"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    about, clients = results.read(sys.argv[1])
    print(picture(panel(f"{heading} ({clients[0].title(about)}): less is better",
                        [(c.label, colour(c), getattr(c, of)) for c in clients]) for heading, of in figures[about["what"]]))


if __name__ == "__main__":
    main()
