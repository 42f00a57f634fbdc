# SPDX-License-Identifier: BSD-2-Clause
"""Every atomic operation names its order and says why; numbered pairs find each other."""

import os
import re

from .framework import at, closing, rule
from .shape import functions

OPERATION = re.compile(
    r"(?:\.|->)(load|store|exchange|fetch_\w+|compare_exchange_\w+|test_and_set)\s*\("
)
# How many arguments an operation has when it leaves its order to the default.
DEFAULTED = {"load": 0, "store": 1, "exchange": 1, "test_and_set": 0}


def arguments_of(code, opening):
    """The arguments of the call whose parenthesis is at `opening`, as text."""
    end = closing(code, opening, "()")
    arguments, depth, start = [], 0, opening + 1
    for position in range(start, end):
        depth += (code[position] in "([{") - (code[position] in ")]}")
        if code[position] == "," and depth == 0:
            arguments.append(code[start:position])
            start = position + 1
    return [argument for argument in arguments + [code[start:end]] if argument.strip()]


@rule(
    good=[
        {"a.h": "a.load(std::memory_order_acquire);\na->store(f(1, 2), order);\nfile.load(path);\n"},
        {"a.h": "a.compare_exchange_weak(b, c, std::memory_order_relaxed);\n// a.load()\n"},
        {"a.h": "std::atomic<int> count_{0};\nauto b = std::exchange(c, d);\n"},
        {"a.h": "a.store(x,\n        std::memory_order_release);\n"},
    ],
    bad=[
        ("a.h:1", {"a.h": "a.load();\n"}),
        ("b.h:2", {"b.h": "\nb->store(f(1, 2));\n"}),
        ("c.h:1", {"c.h": "c[1].fetch_add(1);\n"}),
        ("d.h:1", {"d.h": "while (!d.compare_exchange_weak(\n  a, b)) {}\n"}),
        ("e.h:2", {"e.h": "std::atomic<int> count_{0};\nvoid f() { ++count_; }\n"}),
        ("f.cc:1", {"f.cc": "void f() { flag_ = true; }\n", "f.h": "std::atomic<bool> flag_;\n"}),
        ("g.h:1", {"g.h": "while (lock.test_and_set()) {}\n"}),
        ("h.h:1", {"h.h": "std::atomic_thread_fence();\n"}),
    ],
)
def atomic_order(tree):
    """Every atomic operation names its memory order; members (name_) are not touched by ++, += or =."""
    remedy = "name the order: std::memory_order_..."
    by_path = {source.path: source for source in tree.sources}
    for source in tree.sources:
        code = "\n".join(source.code)
        for match in OPERATION.finditer(code):
            arguments = arguments_of(code, match.end() - 1)
            wanted = DEFAULTED.get(match[1], 2 if match[1].startswith("compare") else 1)
            if len(arguments) == wanted:
                yield at(source.path, code.count("\n", 0, match.start(1)) + 1,
                         f"{match[1]}() with the default memory order", remedy)
        for match in re.finditer(r"\batomic_(thread|signal)_fence\s*\(\s*\)", code):
            yield at(source.path, code.count("\n", 0, match.start()) + 1, "a fence without an order", remedy)
        header = by_path.get(source.path.removesuffix(".cc") + ".h", source)
        declared = "\n".join(header.code + source.code)
        for name in sorted(set(re.findall(r"\batomic<[^;{}=]*>\s+(\w+_)\b", declared))):
            operator = rf"(\+\+|--)\s*{name}\b|(?<![\w>] )(?<![\w.>]){name}\s*(\+\+|--|[-+|&^]?=(?!=))"
            for number, line in enumerate(source.code, 1):
                if re.search(operator, line):
                    what = f"an operator on the atomic {name} is seq_cst unsaid"
                    yield at(source.path, number, what, remedy)


ORDER = re.compile(r"\bmemory_order(?:_|::)(relaxed|consume|acquire|release|acq_rel|seq_cst)\b")


def orders(source):
    """(0-based line, order) of every order that is named, but for the relaxed failure of a compare_exchange:
    who failed has read nothing that he may rely on."""
    code = "\n".join(source.code)
    silent = set()
    for match in re.finditer(r"compare_exchange_\w+\s*\(", code):
        end = closing(code, match.end() - 1, "()")
        named = list(ORDER.finditer(code, match.end(), end))
        if len(named) == 2 and named[1][1] == "relaxed":
            silent.add(named[1].start())
    for match in ORDER.finditer(code):
        if match.start() not in silent:
            yield code.count("\n", 0, match.start()), match[1]


def shared_reasons(source, index):
    """Comments such as `relaxed, all of these: ...` which stand before line `index` in its function, in a
    block that is still open there."""
    first = max((first for first, last in functions(source) if first <= index + 1 <= last), default=None)
    depth = 0
    for above in range(index, first - 2 if first else index, -1):
        line = source.code[above] if above < index else ""
        depth += line.count("}") - line.count("{")
        if depth <= 0:
            depth = 0
            if re.match(r"\s*(\(\d+\) )?\w+, all\b", source.comments[above]):
                yield source.comments[above]


def is_justified(order, comments):
    words = set(re.findall(r"\w+", comments))
    return order in words or (order == "acq_rel" and {"acquire", "release"} <= words)


def justification(source, index):
    """The comments of the statement around line `index` and those right above it. Statements that follow
    one another without a blank line share the comment above the first, if each is an atomic operation."""
    first = index
    while first > 0:
        above = source.code[first - 1].strip()
        if source.is_comment(first - 1) or not above or above.startswith("#"):
            break
        statement = "".join(source.code[first:index + 1])
        is_inside = statement.count(")") > statement.count("(")  # of the head of a for, a call ...
        if above[-1] in ";{}:" and not ORDER.search(above) and not is_inside:
            break
        first -= 1
    top = first
    while top > 0 and source.is_comment(top - 1):
        top -= 1
    last = index
    while last + 1 < len(source.code) and not re.search(r"[;{}]\s*$", source.code[last]):
        last += 1
    return " ".join(source.comments[top:last + 1])


@rule(
    good=[
        {"a.h": "// release: what was written is visible.\na.store(1, std::memory_order_release);\n"},
        {"a.h": "a.load(std::memory_order_relaxed);  // relaxed: a statistic\n"},
        {"a.h": "// relaxed: statistics.\na.fetch_add(1, std::memory_order_relaxed);\n"
                "b.fetch_add(1, std::memory_order_relaxed);\n"},
        {"a.h": "// (3) acq_rel; pairs with (3).\n// acquire: when it fails.\n"
                "while (!a.compare_exchange_weak(\n"
                "    b, c, std::memory_order_acq_rel, std::memory_order_acquire)) {\n}\n"},
        {"a.h": "// relaxed: why\nfor (int b;\n     (b = a.load(std::memory_order_relaxed)) < 3;) {}\n"},
        {"a.h": "void f() {\n  // relaxed, all of this function: joined.\n  g();\n  if (b) {\n"
                "    a.load(std::memory_order_relaxed);\n  }\n}\n"},
        {"a.h": "f(a.load(std::memory_order_relaxed) >>\n  56);  // relaxed: why\n"},
        {"a.h": "void f(std::memory_order order) { a.store(1, order); }\n"},
        {"a.h": "// release: why; acquire: for the last one.\na.fetch_sub(1, std::memory_order_acq_rel);\n"},
        {"a.h": "// release: why.\nif (a.compare_exchange_weak(b, f(c), std::memory_order_release,\n"
                "                            std::memory_order_relaxed)) {}\n"},
    ],
    bad=[
        ("a.h:1", {"a.h": "a.store(1, std::memory_order_release);\n"}),
        ("b.h:2", {"b.h": "// Publishes it.\na.store(1, std::memory_order_release);\n"}),
        ("c.h:3", {"c.h": "// relaxed: a statistic\n\na.load(std::memory_order_relaxed);\n"}),
        ("d.h:3", {"d.h": "// relaxed: a statistic\nf();\na.load(std::memory_order_relaxed);\n"}),
        ("f.h:5", {"f.h": "void f() {\n  if (b) {\n    // relaxed, all here: why\n  }\n"
                          "  a.load(std::memory_order_relaxed);\n}\n"}),
        ("g.h:5", {"g.h": "void f() {\n  // relaxed, all here: why\n}\nvoid g() {\n"
                          "  a.load(std::memory_order_relaxed);\n}\n"}),
        ("e.h:2", {"e.h": "// release: why.\na.compare_exchange_weak(b, c, std::memory_order_release,"
                          " std::memory_order_acquire);\n"}),
    ],
)
def atomic_reason(tree):
    """Every named memory order is justified: a comment on its line or right above holds its word."""
    for source in tree.sources:
        for index, order in orders(source):
            reasons = " ".join([justification(source, index), *shared_reasons(source, index)])
            if not is_justified(order, reasons):
                yield at(source.path, index + 1, f"nothing says why {order} is enough",
                         f"write above it: // {order}: ...")


PAIRS = re.compile(
    r"pairs with (?:the \w+ )?((?:\(\d+\)(?:, and |, | and )?)+)(?: (?:in|of) ([\w./]+\.(?:h|cc)))?"
)


class Site:
    """A numbered order: where it stands and which numbers it pairs with, as (file or None, number)."""

    def __init__(self, line):
        self.line, self.text, self.partners = line, "", []

    def read(self):
        for numbers, file in PAIRS.findall(self.text):
            self.partners += [(file or None, int(n)) for n in re.findall(r"\d+", numbers)]


def numbered_sites(source):
    """(number, site) of every comment that begins with (N) and says what it pairs with."""
    sites, current = [], None
    for index, comment in enumerate(source.comments):
        text = comment.strip()
        begins = re.match(r"\((\d+)\)", text)
        goes_on = current and re.search(r"(pairs with|,|and)$", current.text)
        if begins and not goes_on:
            current = Site(index + 1)
            sites.append((int(begins[1]), current))
        if not text or (current and index + 1 > current.line and not source.is_comment(index)):
            current = None
        if current:
            current.text = f"{current.text} {text}".strip()
    for _, site in sites:
        site.read()
    return [(number, site) for number, site in sites if "pairs with" in site.text]


def resolve(path, file, by_path):
    """The path that `file` means in a comment of `path`: a full one, or a neighbour."""
    neighbour = os.path.join(os.path.dirname(path), file) if file else path
    return file if file in by_path else neighbour


@rule(
    good=[
        {"a.h": "// (3) release; pairs with (7): why.\nf();\ng();  // (7) acquire; pairs with (3).\n"},
        {"a.h": "// (9) seq_cst fence; pairs with (9): why.\n// (1) first, (2) second\n// (1) again\n"},
        {"a.h": "// (1) release; pairs with (2), (3).\n\n// (2) acquire; pairs\n// with (1).\n\n"
                "// (3) acquire; pairs with\n// (1) because.\n"},
        {"a.h": "// (1) release; pairs with the acquire (2) of f().\n\n// (2) acquire; pairs with (1).\n"},
        {"a.h": "// (1) release; pairs with the acquire in f().\n\n// (2) acquire: as above.\n"},
        {"b/a.h": "// (1) release; pairs with (4) in c.h.\n",
         "b/c.h": "// (4) acquire; pairs with (1) in b/a.h.\n"},
    ],
    bad=[
        ("a.h:1", {"a.h": "// (3) release; pairs with (7).\n"}),
        ("b.h:2", {"b.h": "\n// (3) release; pairs with (7).\n\n// (7) acquire; pairs with (7).\n"}),
        ("c.h:3", {"c.h": "// (1) release; pairs with (1).\n\n// (1) acquire; pairs with (1).\n"}),
        ("d.h:1", {"d.h": "// (1) release; pairs with (2) in e.h.\n",
                   "e.h": "// (2) acquire; pairs with (2).\n"}),
        ("g.h:3", {"g.h": "// (1) release; pairs with f().\n\n// (2) acquire; pairs with (1).\n"}),
        ("f.h:1", {"f.h": "// (1) release; pairs with (2) in gone.h.\n"}),
    ],
)
def atomic_pairs(tree):
    """`(3) ... pairs with (7)`: numbers are unique in a file, and the partner names this one back."""
    tables, by_path = {}, {}
    for source in tree.sources:
        by_path[source.path] = tables.setdefault(source.path, {})
        for number, site in numbered_sites(source):
            if number in tables[source.path]:
                yield at(source.path, site.line, f"({number}) stands twice in this file", "renumber one")
            tables[source.path].setdefault(number, site)
    for path, sites in tables.items():
        for number, site in sites.items():
            for file, partner in site.partners:
                place = resolve(path, file, by_path)
                back = by_path.get(place, {}).get(partner)
                named = back and any(n == number and resolve(place, f, by_path) == path
                                     for f, n in back.partners)
                if not named:
                    fault = "does not name it back" if back else "is not there"
                    yield at(path, site.line, f"({number}) pairs with ({partner}), which {fault}",
                             "number both and let each name the other")
