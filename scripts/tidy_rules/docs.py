# SPDX-License-Identifier: BSD-2-Clause
"""What is written for readers: documents, manuals, licences."""

import ast
import os
import re
import sys

from .framework import CPP, LAYERS, SCRIPT, at, rule

FENCE = re.compile(r"^\s*```")


def prose(tree):
    """(path, line number, line) of every Markdown line that is not inside a fenced block."""
    for path in tree.paths(".md"):
        fenced = False
        for number, line in enumerate(tree.files[path].split("\n"), 1):
            if FENCE.match(line):
                fenced = not fenced
            elif not fenced:
                yield path, number, line


def exists(tree, path):
    path = os.path.normpath(path)
    return path in tree.files or path in tree.folders or path == "."


def links(line):
    """Targets of the relative links in a line, without their #anchors."""
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
        if not re.match(r"[a-z]+:|#", target):
            yield target.split("#")[0]


@rule(
    good=[
        {"docs/a.md": "[b](b.md) [c](../spec/c.h#L3) [d](https://d.org) [e](#e) `[f](g)`\n```\n[h](i)\n```\n",
         "docs/b.md": "", "spec/c.h": ""},
    ],
    bad=[
        ("docs/a.md:2", {"docs/a.md": "\n[b](b.md)\n"}),
        ("README.md:1", {"README.md": "see [c](spec/c.h)\n", "spec/d.h": ""}),
    ],
)
def markdown_link(tree):
    """A relative link in a document leads to a file of this project."""
    for path, number, line in prose(tree):
        for target in links(line):
            if not exists(tree, os.path.join(os.path.dirname(path), target)):
                yield at(path, number, f"the link to {target} leads nowhere", "repair or remove it")


PATH_IN_PROSE = re.compile(r"`((?:" + "|".join(LAYERS) + r"|docs|scripts)/[\w./-]*)`")


@rule(
    good=[
        {"docs/a.md": "`spec/b.h` `spec/` `impls/my_table/my_table.h` `spec/*.h` `results/<date>/`\n",
         "spec/b.h": ""},
    ],
    bad=[
        ("docs/a.md:1", {"docs/a.md": "`spec/c.h`\n", "spec/b.h": ""}),
        ("docs/b.md:1", {"docs/b.md": "`harness/gate/`\n"}),
    ],
)
def path_in_prose(tree):
    """A `path` in a document exists; examples are called my_something."""
    for path, number, line in prose(tree):
        for target in PATH_IN_PROSE.findall(line):
            if "my_" not in target and not exists(tree, target):
                yield at(path, number, f"{target} does not exist",
                         "name what exists; call an example my_...")


@rule(
    good=[{"docs/README.md": "1. [a](a.md)\n2. [b](b/c.md)\n", "docs/a.md": "", "docs/b/c.md": ""}],
    bad=[
        ("docs/README.md:1", {"README.md": ""}),
        ("docs/b.md:1", {"docs/README.md": "[a](a.md)\n", "docs/a.md": "", "docs/b.md": ""}),
    ],
)
def reading_order(tree):
    """docs/README.md is the reading order: it links every document beside and below it."""
    guide = "docs/README.md"
    listed = {os.path.normpath(os.path.join("docs", target))
              for path, _, line in prose(tree) if path == guide for target in links(line)}
    if guide not in tree.files:
        yield at(guide, 1, "there is no reading order", "write it: one link and one sentence a document")
    for path in tree.paths(".md", under=("docs",)):
        if guide in tree.files and path != guide and path not in listed:
            yield at(path, 1, f"{guide} does not list this document", "give it its place there")


@rule(
    good=[{"a.md": "# A\n\n## B\n### C\n## D\n```\n# no heading\n```\n"}],
    bad=[
        ("a.md:1", {"a.md": "Text.\n"}),
        ("b.md:2", {"b.md": "# A\n### C\n"}),
        ("c.md:3", {"c.md": "# A\n\n# B\n"}),
        ("d.md:2", {"d.md": "# A\n## B.\n"}),
    ],
)
def heading(tree):
    """A document has one # title, in its first line; levels do not skip; headings have no full stop."""
    levels = {}
    for path, number, line in prose(tree):
        found = re.match(r"(#+) .*\S", line)
        level = len(found[1]) if found else 0
        if number == 1 and level != 1:
            yield at(path, 1, "the first line is no title", "begin with: # Title")
        elif level == 1 and number > 1:
            yield at(path, number, "a second title", "use ##")
        elif level > levels.get(path, 1) + 1:
            yield at(path, number, "the heading skips a level", f"use {'#' * (levels.get(path, 1) + 1)}")
        elif level and line.endswith("."):
            yield at(path, number, "the heading ends with a full stop", "remove it")
        levels[path] = level or levels.get(path, 1)


def manual_lines(text):
    """How many lines the comment or docstring at the head of a script has, its licence aside."""
    lines = [line for line in text.split("\n") if "SPDX-" not in line and not line.startswith("#!")]
    if lines and lines[0].startswith(('"""', 'r"""')):
        return text.split('"""')[1].strip().count("\n") + 1
    count = 0
    for line in lines:
        if not line.startswith("#"):
            break
        count += bool(line.strip("# "))
    return count


@rule(
    good=[
        {"scripts/a": "#!/usr/bin/env bash\n# SPDX-\n#\n# a: does it.\n#\n#   scripts/a FILE\n\nexit\n"},
        {"scripts/b.py": '#!/usr/bin/env python3\n# SPDX-\n"""b: does it.\n\n    b FILE\n"""\n'},
        {"scripts/c/d.py": '"""Helps b."""\n', "scripts/list.txt": "a\n"},
    ],
    bad=[
        ("scripts/a:1", {"scripts/a": "#!/usr/bin/env bash\n# SPDX-\nset -e\n"}),
        ("scripts/b.py:1", {"scripts/b.py": "#!/usr/bin/env python3\n# b: does it.\nimport re\n"}),
        ("workloads/traces/make.sh:1", {"workloads/traces/make.sh": "#!/bin/sh\n# make\nset -e\n"}),
        ("scripts/c.py:1", {"scripts/c.py": "import re\n"}),
    ],
)
def script_manual(tree):
    """A script opens with its manual (two lines or more), a Python module with a docstring."""
    for path in tree.paths(*SCRIPT):
        wanted = 2 if tree.files[path].startswith("#!") else 1
        if tree.files[path] and manual_lines(tree.files[path]) < wanted:
            yield at(path, 1, "no manual at its head",
                     "say what it does, how it is called, what it answers")


@rule(
    good=[{"scripts/a.py": "import json, os.path\nfrom . import b\nfrom c import d\n", "scripts/c.py": ""}],
    bad=[
        ("scripts/a.py:1", {"scripts/a.py": "import numpy as np\n"}),
        ("scripts/b.py:2", {"scripts/b.py": "def f():\n    from scapy.all import IP\n"}),
    ],
)
def python_standard_library(tree):
    """Python here needs Python alone."""
    for path in tree.paths(".py"):
        folder = os.path.dirname(path)
        for node in ast.walk(ast.parse(tree.files[path])):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in (name.split(".")[0] for name in names):
                own = exists(tree, f"{folder}/{name}.py") or exists(tree, f"{folder}/{name}")
                if name not in sys.stdlib_module_names and not own:
                    yield at(path, node.lineno, f"{name} is not in Python's standard library",
                             "do without it")


@rule(
    good=[{"LICENSE": "BSD 2-Clause License\n", "a.h": "// SPDX-License-Identifier: BSD-2-Clause\n"}],
    bad=[
        ("LICENSE:1", {"README.md": ""}),
        ("LICENSE:1", {"LICENSE": "MIT License\n"}),
        ("a.h:2", {"LICENSE": "BSD 2-Clause License\n", "a.h": "\n// SPDX-License-" "Identifier: GPL-2.0\n"}),
        ("b.h:1", {"LICENSE": "BSD 2-Clause License\n", "b.h": "// GNU General " "Public License\n"}),
    ],
)
def licence(tree):
    """LICENSE is BSD-2-Clause and nothing in the tree is under another licence."""
    if not (tree.files.get("LICENSE") or "").startswith("BSD 2-Clause License\n"):
        yield at("LICENSE", 1, "it is missing or not BSD-2-Clause", "restore it")
    other = re.compile(r"SPDX-License-Identifier: (?!BSD-2-Clause\b)\S|GNU General Public" + " License")
    for path in tree.paths(*CPP, *SCRIPT, ".md", ".txt", ".cmake", ".toml", ".json"):
        if path.startswith("scripts/tidy_rules/"):
            continue  # plants such lines
        for number, line in enumerate(tree.files[path].split("\n"), 1):
            if other.search(line):
                yield at(path, number, "another licence than BSD-2-Clause",
                         "say it in our own words, or leave it")


@rule(
    good=[{"a.md": "`/home/...`, https://a.org/work/b, framework/work/a, /usr/lib, /tmp/a\n"}],
    bad=[
        ("a.md:1", {"a.md": "see /ho" "me/ann/x\n"}),
        ("b.json:2", {"b.json": '\n"/wo' 'rk/b"\n'}),
        ("c.h:1", {"c.h": "// ~/src, /Us" "ers/ann/y\n"}),
        ("d.txt:1", {"d.txt": "file:/ro" "ot/d\n"}),
    ],
)
def machine_path(tree):
    """No path of somebody's machine: home folders and work folders."""
    private = re.compile(r"(?<![\w.-])/(home/\w+|Users/\w+|root/\w+|work/\w+|mnt/\w+)")
    for path in sorted(tree.files):
        for number, line in enumerate((tree.files[path] or "").split("\n"), 1):
            if found := private.search(line):
                yield at(path, number, f"{found.group()} is a path of one machine",
                         "write it relative to the root")


LIFE_CYCLE = "docs/lifecycle.md"
ROW = re.compile(r"\| ([a-z_]+\.[a-z.-]+) \| .* \| ?(.*?) ?\|$")


@rule(
    good=[
        {LIFE_CYCLE: "| rule | what | who |\n| a.b | x | one, two |\n| a.c | y | a_test.cc, threads |\n",
         "workloads/scenarios/one.scn": "# One.\nrule a.b\n",
         "workloads/scenarios/two.scn": "rule a.b # again\n"},
    ],
    bad=[
        (f"{LIFE_CYCLE}:2", {LIFE_CYCLE: "\n| a.b | x | |\n"}),
        (f"{LIFE_CYCLE}:1", {LIFE_CYCLE: "| a.b | x | gone |\n"}),
        ("workloads/scenarios/a.scn:2", {LIFE_CYCLE: "", "workloads/scenarios/a.scn": "# A.\nrule a.b\n"}),
        ("workloads/scenarios/a.scn:1", {LIFE_CYCLE: "| a.b | x | b_test.cc |\n",
                                         "workloads/scenarios/a.scn": "rule a.b\n"}),
    ],
)
def life_cycle(tree):
    """Each rule of the life cycle has a scenario or says who else checks it; each scenario has its rule."""
    rows = {found[1]: (number, found[2])
            for number, line in enumerate((tree.files.get(LIFE_CYCLE) or "").split("\n"), 1)
            if (found := ROW.match(line))}
    served = set()
    for path in tree.paths(".scn"):
        if not path.startswith("workloads/scenarios/"):
            continue
        name = os.path.basename(path)[:-len(".scn")]
        for number, line in enumerate(tree.files[path].split("\n"), 1):
            words = line.split("#")[0].split()
            for one in words[1:] if words[:1] == ["rule"] else ():
                served.add(one)
                if one not in rows:
                    yield at(path, number, f"{LIFE_CYCLE} has no rule {one}", "add its row")
                elif not re.search(rf"\b{name}\b", rows[one][1]):
                    yield at(path, number, f"the row of {one} does not name it", f"add it in {LIFE_CYCLE}")
    for one, (number, who) in rows.items():
        if one not in served and not re.search(r"tests?\b|suite", who):
            yield at(LIFE_CYCLE, number, f"nobody checks {one}", "write a scenario, or say who does")
