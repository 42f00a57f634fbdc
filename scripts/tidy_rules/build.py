# SPDX-License-Identifier: BSD-2-Clause
"""How the project is built: CMake by targets, one package list, reasons beside exceptions."""

import re

from .framework import at, rule

GLOBAL_COMMANDS = (
    "add_compile_options|add_compile_definitions|add_definitions|add_link_options|include_directories|"
    "link_directories|link_libraries"
)


@rule(
    good=[{"CMakeLists.txt": "target_compile_options(a PRIVATE -Wall)\n# include_directories(b)\n"
                             "set(CMAKE_CXX_CLANG_TIDY clang-tidy)\n"}],
    bad=[
        ("CMakeLists.txt:1", {"CMakeLists.txt": "include_directories(.)\n"}),
        ("a/CMakeLists.txt:2", {"a/CMakeLists.txt": "\nset(CMAKE_CXX_FLAGS -O3)\n"}),
        ("b.cmake:1", {"b.cmake": "  string(APPEND CMAKE_EXE_LINKER_FLAGS -static)\n"}),
    ],
)
def cmake_targets(tree):
    """CMake by targets: no command and no variable that changes every target."""
    flags = r"(set|list|string)\s*\([^)]*\bCMAKE_(CXX|EXE_LINKER|SHARED_LINKER)_FLAGS"
    pattern = re.compile(rf"^\s*(({GLOBAL_COMMANDS})\s*\(|{flags})")
    for path in tree.cmake_lists():
        for number, line in enumerate(tree.files[path].split("\n"), 1):
            if found := pattern.match(line):
                yield at(path, number, f"{found.group().strip(' (')} changes every target",
                         "use target_... on an INTERFACE library")


@rule(
    good=[{"CMakeLists.txt": "add_library(a a.cc b.cc)\n# no file(GLOB)\n"}],
    bad=[
        ("CMakeLists.txt:1", {"CMakeLists.txt": "file(GLOB sources *.cc)\n"}),
        ("a.cmake:2", {"a.cmake": "\n  file( GLOB_RECURSE sources *.cc)\n"}),
    ],
)
def cmake_globbing(tree):
    """CMake names every source file."""
    for path in tree.cmake_lists():
        for number, line in enumerate(tree.files[path].split("\n"), 1):
            if re.match(r"\s*file\s*\(\s*GLOB", line):
                yield at(path, number, "sources are globbed", "name each file")


@rule(
    good=[{".clang-tidy": "# -misc-a: noise.\nChecks: >-\n  -*,\n  misc-*,\n  -misc-a\nOther: x\n"}],
    bad=[
        (".clang-tidy:5", {".clang-tidy": "# -misc-a: why\nChecks: >-\n  -*,\n  -misc-a,\n  -misc-b\n"}),
        (".clang-tidy:1", {".clang-tidy": "# -misc-gone: a check that is on again.\nChecks: '-*'\n"}),
    ],
)
def clang_tidy_reason(tree):
    """Each check that .clang-tidy disables has its reason there, and each reason its check."""
    lines = (tree.files.get(".clang-tidy") or "").split("\n")
    reasons = {m[1]: n for n, line in enumerate(lines, 1) if (m := re.match(r"# (-[\w.-]+): \S", line))}
    disabled = {m[1]: n for n, line in enumerate(lines, 1) if (m := re.match(r"\s+(-[\w.-]+),?$", line))}
    for check, number in disabled.items():
        if check not in reasons:
            yield at(".clang-tidy", number, f"{check} is disabled without a reason", f"write: # {check}: why")
    for check, number in reasons.items():
        if check not in disabled:
            yield at(".clang-tidy", number, f"{check} is not disabled any more", "remove its reason")


PACKAGES = "scripts/packages.txt"


@rule(
    good=[
        {PACKAGES: "# The list.\n\ng++  # the compiler\nlibfmt-dev  # output\n"},
        {PACKAGES: "npm:parser@1.2.3  # reads\n"},
    ],
    bad=[
        (f"{PACKAGES}:1", {PACKAGES: "g++\n"}),
        (f"{PACKAGES}:2", {PACKAGES: "g++  # the compiler\ng++  # again\n"}),
        (f"{PACKAGES}:1", {PACKAGES: "g++ clang  # compilers\n"}),
        (f"{PACKAGES}:1", {PACKAGES: "npm:parser  # which version?\n"}),
        ("README.md:2", {PACKAGES: "g++  # a\n", "README.md": "# A\napt-get " "install g++\n"}),
    ],
)
def package_list(tree):
    """scripts/packages.txt is the only package list: one package a line, once, with its reason."""
    seen = set()
    for number, line in enumerate((tree.files.get(PACKAGES) or "").split("\n"), 1):
        if line and not line.startswith("#"):
            found = re.fullmatch(r"([a-z0-9+.-]+|npm:[a-z-]+@[0-9.]+) +# \S.*", line)
            if not found or found[1] in seen:
                yield at(PACKAGES, number, "not one new package with its reason",
                         "write: package  # what for")
            else:
                seen.add(found[1])
    for path, number, line in tree.lines(".md", ".sh", ".py", ""):
        if re.search(r"\bapt(-get)? +" r"install +[a-z]", line):
            yield at(path, number, "packages are named outside scripts/packages.txt", "call scripts/prepare")
