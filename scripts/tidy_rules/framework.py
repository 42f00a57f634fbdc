# SPDX-License-Identifier: BSD-2-Clause
"""What every rule stands on: the project as text, C++ split into code and comments, and the self-test.

A rule is a generator over a tree which yields violations. Its samples are small trees written beside it:

    @rule(
        good=[{"spec/a.h": "int a;\n"}],                      # trees in which it must find nothing
        bad=[("spec/a.h:2", {"spec/a.h": "int a;\nBAD\n"})],  # exactly this place must be found
    )
    def no_bad(tree):
        '''One sentence for --list.'''
        for path, number, line in tree.lines(".h"):
            if "BAD" in line:
                yield at(path, number, "BAD is written here", "write something else")
"""

import functools
import os
import re
import subprocess

CPP = (".h", ".cc")
SCRIPT = (".py", ".sh", "")  # "": no suffix, known by its first line
LAYERS = ("spec", "impls", "workloads", "harness")


class Violation(str):
    """`file:line: rule: what; what to do`; ordered by place."""

    def __new__(cls, path, line, what, remedy, rule="?"):
        self = super().__new__(cls, f"{path}:{line}: {rule}: {what}; {remedy}")
        self.parts = (path, line, what, remedy)
        return self

    def named(self, rule):
        return Violation(*self.parts, rule=rule)

    @property
    def place(self):
        return f"{self.parts[0]}:{self.parts[1]}"

    def __lt__(self, other):
        return self.parts < other.parts


def at(path, line, what, remedy):
    return Violation(path, line, what, remedy)


class Rule:
    def __init__(self, check, good, bad):
        self.check, self.good, self.bad = check, list(good), list(bad)
        self.name = check.__name__
        self.summary = (check.__doc__ or "").strip().split("\n")[0]

    def violations(self, tree):
        return [found.named(self.name) for found in self.check(tree)]


_rules = {}


def registered():
    return _rules


def rule(good=(), bad=()):
    def register(check):
        if check.__name__ in _rules:
            raise ValueError(f"two rules are called {check.__name__}")
        _rules[check.__name__] = Rule(check, good, bad)
        return check

    return register


def closing(code, opening, pair):
    """Index of the bracket that closes the one at `opening`, or the end; pair: its kind, such as ()."""
    depth = 0
    for match in re.compile(f"[{re.escape(pair)}]").finditer(code, opening):
        depth += 1 if match.group() == pair[0] else -1
        if depth == 0:
            return match.start()
    return len(code)


class Source:
    """A C++ file: `lines` as written; `code` with comments and the insides of strings blanked; `comments`
    the text of the comment on each line without its slashes ('' where there is none). 0-based lists."""

    TOKEN = re.compile(
        r"""//[^\n]*|/\*.*?\*/|R"(?P<raw>[^()\s\\]{0,16})\(.*?\)(?P=raw)"|"""
        r""""(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'""",
        re.DOTALL,
    )

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.comments = [""] * len(self.lines)
        self.code = self.TOKEN.sub(self._blank, text).split("\n")
        assert len(self.code) == len(self.lines)

    def _blank(self, match):
        token = match.group()
        if not token.startswith("/"):
            return token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]
        first = self.text.count("\n", 0, match.start())
        for offset, line in enumerate(token.split("\n")):
            self.comments[first + offset] += re.sub(r"^\s*(///?<?|/?\*+/?)|\*/$", "", line)
        return re.sub(r"[^\n]", " ", token)

    def is_comment(self, index):
        return bool(self.comments[index]) and not self.code[index].strip()

    def includes(self):
        """(line number, '"' or '<', path) of every #include."""
        for number, line in enumerate(self.lines, 1):
            found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if found:
                yield number, found[1], found[2]


class Tree:
    """A project: path from its root -> text (None for what is not UTF-8)."""

    def __init__(self, files):
        self.files = files
        self.folders = {
            path[:end] for path in files for end in (m.start() for m in re.finditer("/", path))
        }

    def paths(self, *suffixes, under=()):
        for path in sorted(self.files):
            inside = not under or path.split("/")[0] in under
            suffix = os.path.splitext(path)[1]
            if inside and suffix in suffixes and self.files[path] is not None:
                if suffix or self.files[path].startswith("#!"):
                    yield path

    def lines(self, *suffixes):
        """(path, line number, line) of every file with one of these suffixes."""
        for path in self.paths(*suffixes):
            for number, line in enumerate(self.files[path].split("\n"), 1):
                yield path, number, line

    @functools.cached_property
    def sources(self):
        return [Source(path, self.files[path]) for path in self.paths(*CPP)]

    def cmake_lists(self):
        for path in sorted(self.files):
            if path.endswith(("CMakeLists.txt", ".cmake")):
                yield path


def read_project(root):
    """What git knows of or would add; without git every file outside build/."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        capture_output=True, check=False,
    ) if (root / ".git").exists() else None
    if listing and listing.returncode == 0:
        paths = [path for path in listing.stdout.decode().split("\0") if path]
    else:
        paths = [str(path.relative_to(root)) for path in root.rglob("*")
                 if path.parts[len(root.parts)] not in ("build", ".git")]
    files = {}
    for path in paths:
        if (root / path).is_file():
            try:
                files[path] = (root / path).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                files[path] = None
    return Tree(files)


def sample_failures(one):
    """What is wrong with a rule, judged by its own samples."""
    if not one.summary:
        yield "says nothing of itself; give it a docstring"
    if not one.good or not one.bad:
        yield "has no self-test; give it a good sample and a planted violation"
    for number, files in enumerate(one.good, 1):
        for found in one.violations(Tree(files)):
            yield f"good sample {number} is refused ({found}); accept it"
    for number, (place, files) in enumerate(one.bad, 1):
        places = [found.place for found in one.violations(Tree(files))]
        if places != [place]:
            yield f"planted violation {number} at {place}: found {places or 'nothing'}; find it alone"


def selftest_failures(rules):
    """Every rule by its samples; then this judge itself, by rules that are broken on purpose."""
    failures = [f"selftest: {name}: {what}" for name, one in rules.items() for what in sample_failures(one)]

    def finds_nothing(tree):
        """Finds nothing."""
        return iter(())

    def finds_everything(tree):
        """Finds everything."""
        return (at(path, 1, "it is there", "remove it") for path in tree.files)

    good, bad = [{"a": ""}], [("a:1", {"a": ""})]
    for what, broken in {
        "a rule without samples": Rule(finds_nothing, [], []),
        "a rule without a good sample": Rule(finds_everything, [], bad),
        "a rule without a planted violation": Rule(finds_nothing, good, []),
        "a rule that misses its violation": Rule(finds_nothing, good, bad),
        "a rule that refuses its good sample": Rule(finds_everything, good, bad),
        "a rule that finds the wrong line": Rule(finds_everything, [{}], [("a:2", {"a": ""})]),
        "a rule without a summary": Rule(lambda tree: finds_everything(tree), [{}], bad),
    }.items():
        if not list(sample_failures(broken)):
            failures.append(f"selftest: the self-test accepts {what}; repair sample_failures()")
    return failures
