# SPDX-License-Identifier: BSD-2-Clause
"""The shape of a C++ file from top to bottom, and of its lines."""

import functools
import os
import re

from .framework import CPP, SCRIPT, at, closing, rule

SPDX = "SPDX-License-Identifier: BSD-2-Clause"
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
COLUMNS_MAX = 100


@rule(
    good=[
        {"spec/a.h": f"// {SPDX}\n", "scripts/b": f"#!/usr/bin/env bash\n# {SPDX}\n"},
        {"scripts/c.py": f"# {SPDX}\n", "spec/CMakeLists.txt": f"# {SPDX}\n", "docs/d.md": "# D\n"},
    ],
    bad=[
        ("spec/a.h:1", {"spec/a.h": f"/// A head.\n// {SPDX}\n"}),
        ("spec/b.h:1", {"spec/b.h": "// SPDX-License-Identifier: MIT\n"}),
        ("scripts/c:2", {"scripts/c": "#!/usr/bin/env bash\n# c: a manual\n"}),
        ("impls/CMakeLists.txt:1", {"impls/CMakeLists.txt": "ct_impl(a)\n"}),
    ],
)
def spdx_line(tree):
    """The first line of a source file (after #!) is its licence: BSD-2-Clause."""
    paths = {*tree.paths(*CPP, *SCRIPT), *tree.cmake_lists()}
    for path in sorted(paths):
        lines = tree.files[path].split("\n")
        number = 2 if lines[0].startswith("#!") else 1
        slashes = "//" if path.endswith(CPP) else "#"
        if tree.files[path] and lines[number - 1:number] != [f"{slashes} {SPDX}"]:
            yield at(path, number, "the licence line is missing or another",
                     f"write here: {slashes} {SPDX}")


@rule(
    good=[
        {"spec/a.h": f"// {SPDX}\n/// A thing.\n///\n/// Why.\n#pragma once\n"},
        {"spec/a.cc": f"// {SPDX}\n/// A thing.\n\n#include <array>\n"},
    ],
    bad=[
        ("spec/a.h:2", {"spec/a.h": f"// {SPDX}\n#pragma once\n"}),
        ("spec/b.cc:2", {"spec/b.cc": f"// {SPDX}\n\n/// Too late.\n"}),
    ],
)
def file_head(tree):
    """A C++ file opens with a /// head right below the licence line: what it is and where it fits."""
    for source in tree.sources:
        if not re.match(r"/// \S", source.lines[1] if len(source.lines) > 1 else ""):
            yield at(source.path, 2, "the file has no /// head",
                     "say in one sentence what it is and where it fits")


@rule(
    good=[{"spec/a.h": "/// Head.\n#pragma once\n\nint a;\n", "spec/a.cc": "int a;\n"}],
    bad=[
        ("spec/a.h:1", {"spec/a.h": "/// Head.\nint a;\n"}),
        ("spec/b.h:2", {"spec/b.h": "int a;\n#pragma once\n"}),
        ("spec/c.h:1", {"spec/c.h": "#ifndef C_H\n#define C_H\n#endif\n"}),
    ],
)
def pragma_once(tree):
    """A header's first code line is #pragma once."""
    for source in tree.sources:
        if source.path.endswith(".h"):
            code = [(n, line.strip()) for n, line in enumerate(source.code, 1) if line.strip()]
            once = [n for n, line in code if line == "#pragma once"]
            if not once:
                yield at(source.path, 1, "#pragma once is missing", "write it below the head")
            elif once[0] != code[0][0]:
                yield at(source.path, once[0], "#pragma once stands below code", "move it below the head")


def include_key(path, kind, header):
    """The order that is wanted: a file's own header, the project, <...>; each sorted by name."""
    own = re.sub(r"(_test)?\.cc$", ".h", path)
    # clang-format takes any header of the file's name for its own, in whatever folder.
    is_own = path.endswith(".cc") and os.path.basename(header) == os.path.basename(own)
    return (kind == "<", not is_own, header + kind.replace("<", ">"))


@rule(
    good=[
        {"spec/b.cc": '#include "spec/b.h"\n\n#include "impls/a.h"\n#include "spec/a.h"\n\n'
                      "#include <array>\n#include <fmt/format.h>\n"},
        {"spec/b_test.cc": '#include "spec/b.h"\n\n#include <array>\n'},
        {"harness/cli/b.cc": '#include "harness/x/b.h"\n\n#include "harness/cli/a.h"\n'},
        {"impls/a.h": "#define RCU_MEMB\n#include <urcu.h>\n#undef RCU_MEMB\n#include <array>\n"},
    ],
    bad=[
        ("spec/a.cc:2", {"spec/a.cc": '#include <array>\n#include "spec/a.h"\n'}),
        ("spec/b.cc:3", {"spec/b.cc": "#include <vector>\n\n#include <array>\n"}),
        ("spec/c.cc:2", {"spec/c.cc": '#include "spec/b.h"\n#include "spec/a.h"\n'}),
    ],
)
def include_order(tree):
    """Includes: the file's own header, then the project's, then <...>, each sorted."""
    for source in tree.sources:
        previous, previous_number = None, 0
        for number, kind, header in source.includes():
            between = "".join(source.code[previous_number:number - 1]).strip()
            key = include_key(source.path, kind, header)
            if previous and not between and key < previous:
                yield at(source.path, number, f"the include of {header} is out of order",
                         "call scripts/format")
            previous, previous_number = key, number


@rule(
    good=[
        {"spec/a.h": "namespace ct {\nint a;\n}\n", "impls/core/b.h": "namespace ct::core {\n}\n"},
        {"impls/c.h": "#pragma once\n#define CT_C 1\n"},
        {"harness/cli/main.cc": "int main() {}\n", "spec/a_test.cc": "namespace {\n}\n"},
    ],
    bad=[
        ("spec/a.h:1", {"spec/a.h": "#pragma once\n\nint a;\n"}),
        ("impls/b.cc:1", {"impls/b.cc": "namespace rcu {\n}\n"}),
    ],
)
def namespace_ct(tree):
    """What a file declares is in namespace ct or below; tests and main excepted."""
    for source in tree.sources:
        code = "\n".join(line for line in source.code if not line.lstrip().startswith("#")).strip()
        excepted = source.path.endswith("_test.cc") or re.search(r"^int main\(", code, re.MULTILINE)
        if code and not excepted and not re.search(r"^namespace ct\b", code, re.MULTILINE):
            yield at(source.path, 1, "nothing here is in namespace ct", "put it into ct::<folder>")


@rule(
    good=[{"spec/a_test.cc": "using namespace std::literals;\nusing namespace std::chrono_literals;\n"}],
    bad=[
        ("spec/a.cc:1", {"spec/a.cc": "using namespace std;\n"}),
        ("spec/b.cc:2", {"spec/b.cc": "void f() {\n  using namespace ct::core;\n}\n"}),
    ],
)
def using_namespace(tree):
    """No `using namespace`, except of literals."""
    for source in tree.sources:
        for number, line in enumerate(source.code, 1):
            if re.search(r"\busing\s+namespace\b(?!.*literals\s*;)", line):
                yield at(source.path, number, "`using namespace` hides where names come from",
                         "name what is used: using ct::core::tuple")


SCOPE = re.compile(
    r"^\s*(template\s*<.*>\s*)?(inline\s+)?(namespace|class|struct|union|enum|extern|concept)\b", re.DOTALL
)


@functools.cache
def functions(source):
    """(first line, last line) of the body of every function; lambdas count with the function they are in."""
    code, is_macro, found_bodies = [], False, []
    for line in source.code:
        is_macro = is_macro or line.lstrip().startswith("#")
        code.append("" if is_macro else line)
        is_macro = is_macro and line.rstrip().endswith("\\")
    code = "\n".join(code)
    head, position = 0, 0
    while found := re.compile(r"[{};]").search(code, position):
        header, position = code[head:found.start()], found.end()
        if found.group() == "{" and ")" in header and not SCOPE.search(header):
            if re.search(r"\)[^()]*[^:]:[^:].*\w$", header, re.DOTALL):  # member_{...} of a constructor
                position = closing(code, found.start(), "{}") + 1
                continue
            if header.rstrip()[-1] not in "=,(":
                end = closing(code, found.start(), "{}")
                found_bodies.append((code.count("\n", 0, found.start()) + 1, code.count("\n", 0, end) + 1))
                position = end + 1
        head = position
    return found_bodies


def body(lines):
    return "  a();\n" * lines


@rule(
    good=[
        {"spec/a.cc": "void f() {\n" + body(68) + "}\nvoid g() {\n" + body(60) + "}\n"},
        {"spec/a.h": "struct alignas(64) a {\n" + "  int b() { return 1; }\n" * 100 + "};\n"},
        {"spec/b.h": "inline constexpr int a[] = {\n" + "  1,\n" * 100 + "};\n"},
        {"spec/c.cc": "namespace ct {\n" + "#define A(x) {\n" + "int a;\n" * 100 + "}\n"},
    ],
    bad=[
        ("spec/a.cc:2", {"spec/a.cc": "\nvoid f() {\n" + body(69) + "}\n"}),
        ("spec/b.h:2", {"spec/b.h": "struct b {\n  b(int x) : x_{x} {\n" + body(69) + "  }\n};\n"}),
        ("spec/c.cc:2", {"spec/c.cc": 'namespace {\nTEST_CASE("a {") {\n' + body(69) + "}\n}\n"}),
        ("spec/d.cc:2", {"spec/d.cc": "template <class T>\nauto f(T a) -> T {\n" + body(69) + "}\n"}),
    ],
)
def function_length(tree):
    """A function has at most 70 lines, from its brace to its brace."""
    for source in tree.sources:
        for first, last in functions(source):
            if last - first + 1 > FUNCTION_LINES_MAX:
                yield at(source.path, first,
                         f"a function of {last - first + 1} lines; {FUNCTION_LINES_MAX} are allowed",
                         "give a part of it a name")


@rule(
    good=[{"spec/a.h": "int a;\n" * 600, "docs/a.md": "a\n" * 700}],
    bad=[("spec/a.h:601", {"spec/a.h": "int a;\n" * 601}), ("a.py:601", {"a.py": "a\n" * 700})],
)
def file_length(tree):
    """A source file has at most 600 lines."""
    for path in sorted({*tree.paths(*CPP, *SCRIPT), *tree.cmake_lists()}):
        count = tree.files[path].count("\n")
        if count > FILE_LINES_MAX:
            yield at(path, FILE_LINES_MAX + 1, f"{count} lines; {FILE_LINES_MAX} are allowed",
                     "split it by subject")


@rule(
    good=[{"spec/a.h": "a" * 100 + "\n" + "ä" * 100 + "\n/// | " + "a" * 120 + " |\n"}],
    bad=[("spec/a.h:2", {"spec/a.h": "\n" + "a" * 101}), ("b.py:1", {"b.py": "a" * 111})],
)
def columns(tree):
    """C++ is at most 100 columns wide (rows of a table in a comment excepted), scripts 110."""
    for path, number, line in tree.lines(*CPP, *SCRIPT):
        allowed = COLUMNS_MAX if path.endswith(CPP) else COLUMNS_MAX + 10
        if len(line) > allowed and not line.lstrip(" /").startswith("|"):
            yield at(path, number, f"{len(line)} columns; {allowed} are allowed", "wrap the line")


@rule(
    good=[{"spec/a.h": "int a;\n", "facts/a.tsv": "a\tb\n", "docs/a.md": ""}],
    bad=[
        ("spec/a.h:1", {"spec/a.h": "int a; \n"}),
        ("docs/b.md:2", {"docs/b.md": "a\n\tb\n"}),
        ("spec/c.h:1", {"spec/c.h": "int a;\r\n"}),
        ("spec/d.h:2", {"spec/d.h": "int a;\nint b;"}),
        ("spec/e.h:3", {"spec/e.h": "int a;\n\n\n"}),
    ],
)
def white_space(tree):
    """No tabs, no white space at the end of a line, one newline at the end of the file."""
    for path in tree.paths(*CPP, *SCRIPT, ".md", ".txt", ".cmake", ".json", ".toml"):
        text = tree.files[path]
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line or line != line.rstrip():
                yield at(path, number, "a tab, or white space at the end of the line", "remove it")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield at(path, text.count("\n") + (not text.endswith("\n")),
                     "the file does not end with one newline", "repair its end")
