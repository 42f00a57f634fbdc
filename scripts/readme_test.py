#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""readme_test: every command that README.md gives in a `sh` block works as written.

    scripts/readme_test.py             (exit 0: all exit 0)

Commands run from the project's root, by bash, in the order of the file. The two commands of the first
screen are in no `sh` block: they build what this test needs, and .ci/run calls both.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIMIT_S = 120


def commands(text):
    """(line number, command) of every line in a ```sh block."""
    in_block = False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"```", line):
            in_block = line.strip() == "```sh"
        elif in_block and line.strip():
            yield number, line


def main():
    found = list(commands((ROOT / "README.md").read_text(encoding="utf-8")))
    if not found:
        print("README.md:1: no sh block with commands; this test has nothing to run", file=sys.stderr)
        return 1
    failures = 0
    for number, command in found:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=ROOT, capture_output=True,
                              text=True, timeout=LIMIT_S)
        print(f"README.md:{number}: exit {done.returncode}: {command}")
        if done.returncode != 0:
            failures += 1
            print(done.stdout[-500:] + done.stderr[-500:], file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
