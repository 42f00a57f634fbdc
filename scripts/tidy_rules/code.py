# SPDX-License-Identifier: BSD-2-Clause
"""What is written in C++ code and what is not."""

import re

from .framework import CPP, SCRIPT, at, rule

COMMENTED_OUT = [
    re.compile(pattern)
    for pattern in (
        r"[^`']*\{$",  # opens a block
        r"\}[;)]*$",
        r"#\s*(include|define|if|ifdef|ifndef|endif|else)\b",
        r"(return|break|continue|delete|throw|goto|using|typedef)\b[^.]*;$",
        r"[\w:.<>*&\[\]-]+\(.*\);$",  # f(x);
        r"([\w:<>,*&]+ )?[\w:.>\[\]-]+ ?[-+|&^*/]?= ?.+;$",  # a = b;  type a = b;
        r"[\w:<>,]+[*&]? [\w*&]+(\{.*\}|\[.*\])?;$",  # type a;  type a{b};
    )
]


@rule(
    good=[
        {"a.h": "// Freed by the last put; a reader may still look.\n// It is freed;\n// then reused.\n"},
        {"a.h": "///     ct.find_get(key);\n/// f(x) finds it.\nint a;  // references; 0: free memory\n"},
        {"a.h": "// (3) release; pairs with (7) of find_get();\n// see put().\n"},
    ],
    bad=[
        ("a.h:1", {"a.h": "// find_get(key);\n"}),
        ("b.h:1", {"b.h": "// int a = 3;\n"}),
        ("c.h:1", {"c.h": "//if (a == b) {\n"}),
        ("d.h:2", {"d.h": "int a;\n  // }\n"}),
        ("e.h:1", {"e.h": "// return a;\n"}),
        ("f.h:1", {"f.h": "// #include <array>\n"}),
        ("g.h:1", {"g.h": "// std::uint32_t a_;\n"}),
        ("h.h:2", {"h.h": "/*\na_ += b;\n*/\n"}),
    ],
)
def commented_out_code(tree):
    """No code in comments; an indented example in a /// comment is none."""
    for source in tree.sources:
        for number, comment in enumerate(source.comments, 1):
            is_example = source.lines[number - 1].lstrip().startswith("///    ")
            if not is_example and any(p.match(comment.strip()) for p in COMMENTED_OUT):
                yield at(source.path, number, "this comment is code",
                         "remove it, or say in words what it is for")


DEBT = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")


@rule(
    good=[{"a.h": "// mastodon, hacking\n", "docs/a.md": "todo list\n"}],
    bad=[
        ("a.h:1", {"a.h": "// TO" "DO: later\n"}),
        ("b.py:2", {"b.py": "\n# FIX" "ME\n"}),
        ("docs/c.md:1", {"docs/c.md": "XX" "X here\n"}),
    ],
)
def no_debt_marks(tree):
    """No marks of debt: do it, or open an issue and leave the file as it is."""
    for path in sorted({*tree.paths(*CPP, *SCRIPT, ".md", ".toml"), *tree.cmake_lists()}):
        for number, line in enumerate(tree.files[path].split("\n"), 1):
            if found := DEBT.search(line):
                yield at(path, number, f"{found[1]} is a debt", "do it now, or open an issue instead")


# What is banned (regular expression on code without comments and strings) -> what to write instead.
BANNED = {
    r"(?<!asm )\bvolatile\b": "std::atomic with its order, or benchmark::DoNotOptimize",
    r"(?<![\w.:>])(std::)?s?rand\s*\(|\bsrandom\b|\bdrand48\b|\brandom_device\b":
        "a std::mt19937_64 made from the one printed seed",
    r"(?<![\w.:>])assert\s*\(": "CT_ASSERT",
    r"(?<![\w.:>])(std::)?(strcpy|strcat|sprintf|gets|atoi|atol|strtok)\s*\(":
        "fmt, std::from_chars or std::span",
    r"\bstd::endl\b": r"'\n'",
    r"\bNULL\b": "nullptr",
    r"(?<![\w.:>])(std::)?(malloc|calloc|realloc)\s*\(": "new, or an aligned buffer of std::byte",
    r"\bstd::(auto_ptr|bind)\b": "std::unique_ptr, or a lambda",
}


@rule(
    good=[
        {"a.h": "asm volatile(\"yield\");\n// volatile is banned\nstatic_assert(true);\n"},
        {"a.h": "random_source random(seed);\nrandom();\nCT_ASSERT(strand(1));\n"},
        {"a.h": "x.assert(y);\nauto s = \"rand()\";\n"},
    ],
    bad=[
        ("a.h:1", {"a.h": "volatile int a;\n"}),
        ("b.h:1", {"b.h": "int a = rand() % 3;\n"}),
        ("c.h:1", {"c.h": "std::random_device device;\n"}),
        ("d.h:2", {"d.h": "\nassert(a == b);\n"}),
        ("e.h:1", {"e.h": "out << std::endl;\n"}),
        ("f.h:1", {"f.h": "int a = std::atoi(text);\n"}),
        ("g.h:1", {"g.h": "void* a = NULL;\n"}),
    ],
)
def banned_name(tree):
    """Names that have a better replacement: volatile, rand, assert, endl, atoi, NULL ..."""
    for source in tree.sources:
        code = "\n".join(source.code)
        for pattern, replacement in BANNED.items():
            for found in re.finditer(pattern, code):
                yield at(source.path, code.count("\n", 0, found.start()) + 1,
                         f"{found.group().strip(' (')} is banned", f"write {replacement}")


# Where real time is measured, shown in a progress bar, or waited for.
WALL_CLOCK_FOLDERS = (
    "harness/bench/", "harness/check/run.cc", "harness/check/stamp.cc", "harness/cli/", "harness/conform/",
    "harness/fuzz/campaign.cc", "harness/replay/", "impls/linux/", "impls/sync/",
)


@rule(
    good=[
        {"harness/bench/a.cc": "auto a = std::chrono::steady_clock::now();\n"},
        {"impls/core/a.cc": "std::chrono::milliseconds a{3};\n// steady_clock\n"},
    ],
    bad=[
        ("impls/core/a.cc:1", {"impls/core/a.cc": "auto a = std::chrono::steady_clock::now();\n"}),
        ("harness/bench/a_test.cc:1", {"harness/bench/a_test.cc": "std::this_thread::sleep_for(b);\n"}),
        ("harness/check/a.cc:1", {"harness/check/a.cc": "auto a = time(nullptr);\n"}),
    ],
)
def wall_clock(tree):
    """Time is virtual: real clocks and sleeps only in WALL_CLOCK_FOLDERS, and never in tests."""
    clock = re.compile(r"\b(system_clock|steady_clock|high_resolution_clock|sleep_for|sleep_until|usleep|"
                       r"clock_gettime|gettimeofday)\b|(?<![\w.:>])time\(nullptr\)")
    for source in tree.sources:
        allowed = source.path.startswith(WALL_CLOCK_FOLDERS) and not source.path.endswith("_test.cc")
        for number, line in enumerate(source.code, 1):
            if not allowed and (found := clock.search(line)):
                yield at(source.path, number, f"{found.group()} reads or waits for real time",
                         "use the virtual jiffies clock")


def template_parameters(code):
    """(line number, name) of every parameter of every `template <...>`."""
    for match in re.finditer(r"\btemplate\s*<", code):
        depth, start, parameters = 1, match.end(), []
        position = start
        while depth and position < len(code):
            char = code[position]
            depth += (char in "<({") - (char in ">)}")
            if (char == "," and depth == 1) or depth == 0:
                parameters.append(code[start:position])
                start = position + 1
            position += 1
        for parameter in parameters:
            declared = parameter.split("=")[0].strip()
            found = re.search(r"[\s.>&*](\w+)$", declared)
            if found and found[1] not in ("class", "typename", "auto"):
                yield code.count("\n", 0, match.start()) + 1, found[1]


@rule(
    good=[
        {"a.h": "template <class T, std::size_t Count = 3, table Table, class... Steps>\nvoid f();\n"},
        {"a.h": "template <>\ntemplate <class>\ntemplate <template <class> class Box>\n"},
        {"a.h": "template <bool Flag = (1 < 2), auto* Where>\nusing a = b<c>;\n"},
    ],
    bad=[
        ("a.h:2", {"a.h": "\ntemplate <class entry>\nvoid f();\n"}),
        ("b.h:1", {"b.h": "template <class T, std::size_t bucket_count = 1>\nvoid f();\n"}),
    ],
)
def template_parameter(tree):
    """Template parameters are CamelCase (clang-tidy 14 misfires on concepts)."""
    for source in tree.sources:
        for number, name in template_parameters("\n".join(source.code)):
            if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
                yield at(source.path, number, f"the template parameter {name} is not CamelCase",
                         "rename it: Entry, BucketCount")


TEST = re.compile(
    r'\b(?:\w*TEST_CASE\w*|CT_\w*TEST|rc::prop|prop)\s*\((?:\s*[\w:]+\s*,)?\s*"([^"[][^"]*)"'
)


@rule(
    good=[{"a_test.cc": 'TEST_CASE("a killed entry is not found", "[table]") {}\n'
                        'TEMPLATE_TEST_CASE("inversion is an involution", "", a) {}\n',
           "a.h": '#define CT_TEST(sentence) TEST_CASE(sentence, "[table]")\n'}],
    bad=[
        ("a_test.cc:2", {"a_test.cc": '\nTEST_CASE("confirm") {}\n'}),
        ("a_test.cc:1", {"a_test.cc": 'CT_TABLE_TEST("confirm", always, confirm)\n'}),
        ("b_test.cc:1", {"b_test.cc": 'TEST_CASE(\n    "tuple_inversion_works", "[tuple]") {}\n'}),
    ],
)
def test_name(tree):
    """The name of a test is a sentence: what holds."""
    for source in tree.sources:
        for found in TEST.finditer(source.text):
            if len(found[1].split()) < 3:
                yield at(source.path, source.text.count("\n", 0, found.start()) + 1,
                         f'the test name "{found[1]}" is no sentence', "say what holds")


@rule(
    good=[{"a_test.cc": "// Hidden: needs root; scripts/conform calls it.\n"
                        'TEST_CASE("the kernel agrees", "[.]") {}\n'}],
    bad=[
        ("a_test.cc:2", {"a_test.cc": '\nTEST_CASE("a killed entry is gone", "[.][kill]") {}\n'}),
        ("b_test.cc:1", {"b_test.cc": 'TEST_CASE("a lost entry is found", "[!mayfail]") {}\n'}),
        ("CMakeLists.txt:1", {"CMakeLists.txt": "set_tests_properties(a PROPERTIES WILL_FAIL ON)\n"}),
    ],
)
def hidden_test(tree):
    """A test that is hidden, skipped or expected to fail says why on its line or right above."""
    tags = r'"[^"]*\[(\.|!mayfail|!shouldfail|!hide)[^"]*"'
    hidden = re.compile(tags + r"|\b(WILL_FAIL|DISABLED|SKIP_RETURN_CODE)\b")
    for path in sorted({*tree.paths(*CPP), *tree.cmake_lists()}):
        lines = [""] + tree.files[path].split("\n")
        mark = "//" if path.endswith(CPP) else "#"
        for number, line in enumerate(lines):
            has_reason = mark in line or lines[number - 1].lstrip().startswith(mark)
            if number and hidden.search(line) and not has_reason:
                yield at(path, number, "this test is hidden or may fail", "say why in a comment right above")
