#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""summary: the table at the end of scripts/run.

    scripts/summary.py REPLAY.json BENCH.json

Reads what `ctbench replay --json` and `ctbench bench --json` wrote and prints one row an implementation.
Throughput is in millions of operations a second on one thread, at the largest number of connections
that was measured, +- half of the interval. `-` means that it was not measured (noop stores nothing, so
there is nothing to replay). Standard library only.

Exit: 0 printed; 2 a file is missing or is not what it should be, said in one line.
"""

import json
import sys

SCHEMA = "ctbench/1"
TIMED = {"lookup_hit_orig": "lookup M/s", "confirm": "confirm M/s", "gc": "GC M/s"}
HEADINGS = ["implementation", "packets", "connections", "agrees", *TIMED.values()]


def fail(message):
    print(f"summary: {message}", file=sys.stderr)
    sys.exit(2)


def rows_of(path, verb):
    """The rows of a result file, once it is known to be one of `verb`."""
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
    except OSError as error:
        fail(f"{path}: {error.strerror}; write it with: ctbench {verb} --json {path}")
    except ValueError as error:
        fail(f"{path}: not JSON ({error}); write it again with: ctbench {verb} --json {path}")
    if not isinstance(result, dict) or result.get("schema") != SCHEMA or result.get("verb") != verb:
        fail(f'{path}: not a result of `ctbench {verb}` (schema {SCHEMA}); give replay, then bench')
    return result["rows"]


def throughput(row):
    """Millions a second, with half of the interval: 12.3 +-0.4."""
    half = (row["ops_per_second_high"] - row["ops_per_second_low"]) / 2
    return f"{row['ops_per_second'] / 1e6:.2f} ±{half / 1e6:.2f}"


def timed_cells(bench):
    """(implementation, heading) -> text, and the number of connections that each benchmark ran at."""
    cells, connections = {}, {}
    single = [row for row in bench if row["threads"] == 1 and row["benchmark"] in TIMED]
    for row in sorted(single, key=lambda row: row["connections"]):
        heading = TIMED[row["benchmark"]]
        cells[row["impl"], heading] = throughput(row)
        connections[heading] = row["connections"]
    return cells, connections


def table(replay, bench):
    cells, connections = timed_cells(bench)
    for row in replay:
        cells[row["impl"], "packets"] = f"{row['packets']:,}"
        cells[row["impl"], "connections"] = f"{row['connections']:,}"
        cells[row["impl"], "agrees"] = "yes" if row["agrees"] else "NO"
    names = sorted({impl for impl, _ in cells})
    lines = [HEADINGS] + [[name] + [cells.get((name, h), "-") for h in HEADINGS[1:]] for name in names]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    for line in lines:
        first, *others = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ]
        yield "  ".join([first, *others]).rstrip()
    sizes = ", ".join(f"{heading.split()[0]} {count:,}" for heading, count in connections.items())
    yield f"M/s: millions a second on one thread; connections in the table: {sizes or 'none measured'}"


def main(arguments):
    if len(arguments) != 2:
        fail("two files are wanted: REPLAY.json BENCH.json")
    replay, bench = rows_of(arguments[0], "replay"), rows_of(arguments[1], "bench")
    try:
        lines = list(table(replay, bench))
    except (KeyError, TypeError) as error:
        fail(f"{' or '.join(arguments)}: a row lacks {error}; write both again with this ctbench")
    print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
