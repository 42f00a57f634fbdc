#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""tidy: the house rules that text alone can enforce.

    scripts/tidy.py                    every rule over the project (the test `tidy`)
    scripts/tidy.py --rule NAME        one rule; may be given again
    scripts/tidy.py --list             the rules, a sentence each
    scripts/tidy.py --selftest         every rule must find its planted violations and accept its good
                                       samples; a rule without samples fails (the test `tidy_selftest`)

A violation is one line: `file:line: rule: what; what to do`. The rules live in scripts/tidy_rules/, one
function each, with its samples beside it. To add one: write the function there, under @rule. What text
cannot see is left to the compilers' warnings, clang-format and clang-tidy. Standard library only.

Exit: 0 clean; 1 violations, or a self-test that failed; 2 bad usage.
"""

import argparse
import pathlib
import sys

from tidy_rules import all_rules, read_project, selftest_failures


def main():
    parser = argparse.ArgumentParser(prog="tidy.py", description="The house rules that text can enforce.")
    parser.add_argument("--rule", action="append", metavar="NAME", help="only this rule")
    parser.add_argument("--list", action="store_true", help="print the rules")
    parser.add_argument("--selftest", action="store_true", help="test the rules themselves")
    options = parser.parse_args()

    rules = all_rules()
    unknown = sorted(set(options.rule or []) - set(rules))
    if unknown:
        parser.error(f"no rule {unknown[0]}; there are: {' '.join(sorted(rules))}")
    if options.rule:
        rules = {name: rules[name] for name in options.rule}

    if options.list:
        findings = []
        for name in sorted(rules):
            print(f"{name:24} {rules[name].summary}")
    elif options.selftest:
        findings = selftest_failures(rules)
        samples = sum(len(rule.good) + len(rule.bad) for rule in rules.values())
        print(f"tidy: {len(rules)} rules, {samples} samples, {len(findings)} failures")
    else:
        tree = read_project(pathlib.Path(__file__).resolve().parents[1])
        findings = sorted(found for rule in rules.values() for found in rule.violations(tree))
        print(f"tidy: {len(rules)} rules, {len(tree.files)} files, {len(findings)} violations")
    for finding in findings:
        print(finding, file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
