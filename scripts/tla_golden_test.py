#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tla_golden_test: the C++ machines say what TLC said of the same modules and configurations.

    scripts/tla_golden_test.py CTBENCH             (exit 0: they do)
    scripts/tla_golden_test.py CTBENCH --large     the large configurations, those that TLC has seen: minutes

Without TLC: its verdicts and numbers are in spec/tla/golden.json, each with the hash of the modules and
the configuration that it was given. An edit of one of these without another run of TLC is a failure here,
and so is a small configuration that TLC was never shown. First the test plants what it must find: an edited
number, an edited file, a missing row.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

from tla import graph, modules

LIMIT_S = 1500


def findings(golden, pins, rows):
    """What does not fit, a line each: golden rows, hashes as they are now, rows of `ctbench model`."""
    for name in sorted(set(golden) | set(pins)):
        if name not in golden:
            yield f"{name}: TLC has not seen this configuration; run scripts/tlc --golden {name}"
        elif name not in pins:
            yield f"{name}: in the golden file, and there is no such configuration; run scripts/tlc --golden"
        elif golden[name]["sha256"] != pins[name]:
            yield f"{name}: edited since TLC saw it; run scripts/tlc --golden {name}"
        else:
            frozen = {key: value for key, value in golden[name].items() if key != "sha256"}
            ours = {key: rows[name].get(key) for key in frozen}
            if ours != frozen:
                yield f"{name}: TLC said {frozen}, ctbench model says {ours}"


def rows_of(ctbench, configurations, extra):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.json"
        done = subprocess.run([ctbench, "model", *[c.path for c in configurations], "--json", path, *extra],
                              capture_output=True, text=True, timeout=LIMIT_S)
        if not path.exists():
            sys.exit(f"tla_golden_test: ctbench model: exit {done.returncode}: {done.stderr.strip()}")
        results = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {c.name: modules.row_of_result(r) for c, r in zip(configurations, results, strict=True)}


def selftest():
    row = {"sha256": "1", "verdict": modules.HOLDS, "distinct": 7, "depth": 3}
    ours = {key: value for key, value in row.items() if key != "sha256"}
    assert not list(findings({"a": row}, {"a": "1"}, {"a": ours}))
    assert list(findings({"a": row}, {"a": "2"}, {"a": ours}))
    assert list(findings({"a": row}, {"a": "1"}, {"a": {**ours, "distinct": 8}}))
    assert list(findings({"a": row}, {"a": "1"}, {"a": {**ours, "verdict": "deadlock"}}))
    assert list(findings({}, {"a": "1"}, {"a": ours}))
    assert list(findings({"a": row}, {}, {}))
    assert graph.canonical('[b |-> {y, x}, a |-> <<1, TRUE>>]') == '("a" :> <<1, TRUE>> @@ "b" :> {x, y})'
    assert graph.canonical('(p2 :> {} @@ p1 :> "a, b")') == '(p1 :> "a, b" @@ p2 :> {})'
    dot = ['1 [label="/\\\\ x = 1\\n/\\\\ a = {2, 1}",style = filled]',
           '2 [label="/\\\\ a = {}\\n/\\\\ x = 1"]',
           '1 -> 2 [label="Step(p1,{})",color="black"];', '1 -> 2 [label="Step(p2,{})",color="black"];']
    other = [dot[1], dot[0], dot[3]]
    assert graph.digest(dot) == graph.digest(other) and graph.digest(dot)["edges"] == 1
    assert graph.digest(dot[:2] + ['2 -> 1 [label="Step"]'])["edges_hash"] != graph.digest(dot)["edges_hash"]


def main():
    selftest()
    arguments = sys.argv[1:]
    is_large = "--large" in arguments
    if len(arguments) != 1 + is_large:
        sys.exit("tla_golden_test: usage: tla_golden_test.py CTBENCH [--large]")
    golden = modules.read_golden()["configurations"]
    pins = {c.name: modules.pin(c) for c in modules.configurations()}
    if is_large:
        seen = [c for c in modules.configurations() if c.is_large and c.name in golden]
        return said(findings({c.name: golden[c.name] for c in seen}, {c.name: pins[c.name] for c in seen},
                             rows_of(arguments[0], seen, [])), f"{len(seen)} large configurations")
    small = [c for c in modules.configurations() if not c.is_large]
    with_edges = [c for c in small if "edges" in golden.get(c.name, {})]
    rows = {**rows_of(arguments[0], small, []), **rows_of(arguments[0], with_edges, ["--edges"])}
    names = {c.name for c in small}
    large = {c.name for c in modules.configurations()} - names
    found = list(findings({n: g for n, g in golden.items() if n not in large},
                          {n: pin for n, pin in pins.items() if n in names}, rows))
    found += [f"{n}: edited since TLC saw it; run scripts/tlc --golden {n} (or any: this row goes)"
              for n in sorted(large & set(golden)) if golden[n]["sha256"] != pins[n]]
    traces = {path.name: path for path in modules.traces()}
    found += findings(modules.read_golden()["traces"],
                      {name: modules.pin_of_trace(path) for name, path in traces.items()},
                      {name: {"verdict": modules.accepted_by(arguments[0], path)}
                       for name, path in traces.items()})
    return said(found, f"{len(small)} configurations, {len(with_edges)} of them edge by edge, "
                       f"{len(traces)} traces")


def said(found, what):
    """Prints the findings, or that there are none; the exit code."""
    lines = list(found)
    print("\n".join(lines) or f"{what}: as TLC said")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
