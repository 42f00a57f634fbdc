# SPDX-License-Identifier: BSD-2-Clause
"""Who may include whom, and whether every file is part of something."""

import os
import re

from .framework import CPP, LAYERS, Source, at, rule

# Folder -> what its files may include of this project. The longest matching folder decides; a folder
# of impls/ that is not named here is a table and sees spec, core, sync and itself.
REACH = {
    "spec": ("spec",),
    "impls/sync": ("impls/sync",),
    "impls/core": ("spec", "impls/sync", "impls/faults", "impls/core"),
    "impls/faults": ("spec", "impls/faults"),
    "workloads": ("spec", "workloads"),
    "harness": ("spec", "workloads", "harness"),
}
TABLE_REACH = ("spec", "impls/core", "impls/sync", "impls/faults")

STANDARD = set(
    """algorithm any array atomic barrier bit bitset cassert ccomplex cctype cerrno cfenv cfloat charconv
    chrono cinttypes climits clocale cmath codecvt compare complex concepts condition_variable coroutine
    csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype deque
    exception execution filesystem format forward_list fstream functional future initializer_list iomanip
    ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new
    numbers numeric optional ostream queue random ranges ratio regex scoped_allocator semaphore set
    shared_mutex source_location span sstream stack stdexcept stop_token streambuf string string_view
    strstream syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map
    unordered_set utility valarray variant vector version""".split()
)

# Header (regular expression, from its start) -> the folders that may include it. Tests (TEST_FILE) may
# include the test libraries wherever they stand.
THIRD_PARTY = {
    r"catch2/|rapidcheck": ("harness",),
    r"urcu": ("impls/sync", "impls/rcu"),
    r"tbb/|oneapi/tbb": ("impls/tbb",),
    r"xxhash\.h": ("impls/core", "harness/model"),
    r"pcap|zlib\.h": ("workloads",),
    r"benchmark/": ("harness/bench",),
    r"CLI/": ("harness/cli",),
    r"fmt/": ("workloads", "harness"),
    r"nlohmann/": ("harness",),
    # The operating system's.
    r"arpa/inet\.h": ("impls/core", "workloads", "harness"),
    r"libmnl/|nftables/": ("impls/linux",),
    r"(pthread|sched|unistd|fcntl|dirent|poll|ifaddrs)\.h|sys/|linux/|net/|netinet/|arpa/": (
        "impls/sync",
        "impls/linux",
        "workloads",
        "harness",
    ),
    r"sanitizer/": ("impls/sync",),
    r"immintrin\.h|x86intrin\.h|cpuid\.h": ("impls/sync", "harness/bench"),
}
TEST_LIBRARY = re.compile(r"catch2/|rapidcheck")
TEST_FILE = re.compile(r".*_(test\.cc|suite\.h)$")


def is_under(path, folders):
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def reach_of(path):
    for folder in sorted(REACH, key=len, reverse=True):
        if is_under(path, [folder]):
            return REACH[folder]
    if path.startswith("impls/"):
        table = "/".join(path.split("/")[:2])
        return TABLE_REACH + (() if table.endswith(CPP) else (table,))
    return ()


@rule(
    good=[
        {"impls/core/a.h": '#include "spec/t.h"\n#include "impls/sync/l.h"\n'},
        {"impls/rcu/a.h": '#include "impls/rcu/b.h"\n#include "impls/core/c.h"\n#include <atomic>\n'},
        {"harness/cli/a.cc": '#include "workloads/w.h"\n#include "spec/t.h"\n// #include "impls/x.h"\n'},
        {"impls/tbb/a_test.cc": '#include "impls/tbb/a.h"\n#include "workloads/w.h"\n'},
        {"impls/core/a_suite.h": '#include "workloads/w.h"\n'},
    ],
    bad=[
        ("spec/a.h:2", {"spec/a.h": '\n#include "impls/core/b.h"\n'}),
        ("impls/core/a.h:1", {"impls/core/a.h": '#include "impls/rcu/rcu.h"\n'}),
        ("impls/sync/a.h:1", {"impls/sync/a.h": '#include "spec/tuple.h"\n'}),
        ("impls/tbb/a.h:1", {"impls/tbb/a.h": '#include "impls/rcu/rcu.h"\n'}),
        ("impls/tbb/a_test.cc:1", {"impls/tbb/a_test.cc": '#include "harness/check/h.h"\n'}),
        ("impls/core/b.h:1", {"impls/core/b.h": '#include "workloads/w.h"\n'}),
        ("workloads/a.h:1", {"workloads/a.h": '#include "harness/check/h.h"\n'}),
        ("harness/a.cc:1", {"harness/a.cc": '#include "impls/rcu/rcu.h"\n'}),
        ("harness/b.cc:1", {"harness/b.cc": '#include "results/baseline/figures.h"\n'}),
    ],
)
def include_direction(tree):
    """spec <- impls, workloads <- harness; a table sees spec, core, sync and itself; tests see workloads too;
    nobody sees results."""
    for source in tree.sources:
        reach = reach_of(source.path)
        if reach and TEST_FILE.match(source.path):
            reach += ("workloads",)
        for number, kind, header in source.includes():
            if kind == '"' and "/" in header and not is_under(header, reach):
                yield at(source.path, number, f'"{header}" is against the direction of includes',
                         f"what may be included here: {', '.join(reach)}")


@rule(
    good=[
        {"spec/a.h": '#include "spec/b.h"\n', "spec/b.h": ""},
        {"harness/a.cc": '#include "harness/version.h"\n', "harness/version.h.in": ""},
    ],
    bad=[
        ("spec/a.h:1", {"spec/a.h": '#include "b.h"\n', "spec/b.h": ""}),
        ("spec/a.h:1", {"spec/a.h": '#include "spec/gone.h"\n'}),
    ],
)
def include_path(tree):
    """Includes in quotes name an existing file by its full path from the root."""
    for source in tree.sources:
        for number, kind, header in source.includes():
            if kind == '"' and header not in tree.files and header + ".in" not in tree.files:
                yield at(source.path, number, f'there is no file "{header}" in this project',
                         "give the full path from the root, or <...> for what is not ours")


@rule(
    good=[
        {"spec/a.h": "#include <cstdint>\n#include <memory_resource>\n"},
        {"impls/rcu/a.h": "#include <urcu/urcu-memb.h>\n"},
        {"impls/core/a_test.cc": "#include <catch2/catch.hpp>\n#include <rapidcheck.h>\n"},
        {"workloads/a.cc": "#include <pcap/pcap.h>\n#include <zlib.h>\n"},
    ],
    bad=[
        ("spec/a.h:1", {"spec/a.h": "#include <fmt/format.h>\n"}),
        ("spec/b.h:1", {"spec/b.h": "#include <stdint.h>\n"}),
        ("spec/c.h:1", {"spec/c.h": "#include <sched.h>\n"}),
        ("impls/core/a.h:1", {"impls/core/a.h": "#include <urcu/urcu-memb.h>\n"}),
        ("impls/core/b.h:1", {"impls/core/b.h": "#include <catch2/catch.hpp>\n"}),
        ("harness/check/a.h:1", {"harness/check/a.h": "#include <boost/context/fiber.hpp>\n"}),
        ("harness/gate/a.cc:1", {"harness/gate/a.cc": "#include <benchmark/benchmark.h>\n"}),
    ],
)
def third_party_header(tree):
    """<...> is the C++ standard library, or third party where the table THIRD_PARTY allows it."""
    for source in tree.sources:
        is_test = TEST_FILE.match(source.path)
        for number, kind, header in source.includes():
            if kind == '"' or header in STANDARD or (is_test and TEST_LIBRARY.match(header)):
                continue
            allowed = [f for pattern, fs in THIRD_PARTY.items() if re.match(pattern, header) for f in fs]
            if not is_under(source.path, allowed):
                where = f"only under {', '.join(allowed)}" if allowed else "nowhere yet"
                yield at(source.path, number, f"<{header}> is allowed {where}",
                         "use the standard library, or change THIRD_PARTY in scripts/tidy_rules/layers.py")


@rule(
    good=[{"impls/core/a.h": "", "harness/check/common_history.h": "", "workloads/fuzz/helper/0a1b": ""}],
    bad=[
        ("impls/util/a.h:1", {"impls/util/a.h": ""}),
        ("workloads/helper/a.h:1", {"workloads/helper/a.h": ""}),
        ("harness/common/b/a.h:1", {"harness/common/b/a.h": ""}),
        ("docs/misc/a.md:1", {"docs/misc/a.md": ""}),
    ],
)
def folder_name(tree):
    """No folder is named after nothing: util, common, misc, helpers. The corpus of the fuzz target `helper`,
    conntrack's word, is named after that."""
    for path in sorted(tree.files):
        for folder in path.removeprefix("workloads/fuzz/helper/").split("/")[:-1]:
            if folder in ("util", "utils", "common", "misc", "helper", "helpers"):
                yield at(path, 1, f"the folder {folder}/ says nothing of what is in it",
                         "name the subject, or put the file beside its only user")


ROOT = {
    ".ci", ".clang-format", ".clang-tidy", ".gitattributes", ".gitignore", "CMakeLists.txt",
    "CMakePresets.json", "LICENSE", "README.md", "docs", "results", "scripts", *LAYERS,
}


@rule(
    good=[{"README.md": "", "spec/a.h": "", ".ci/run": ""}],
    bad=[("notes.txt:1", {"notes.txt": ""}), ("src/a.cc:1", {"src/a.cc": ""})],
)
def root_entry(tree):
    """At the root stand the folders of docs/README.md and what tools demand there, nothing else."""
    for path in sorted(tree.files):
        if path.split("/")[0] not in ROOT:
            yield at(path, 1, f"{path.split('/')[0]} is none of the root's entries",
                     "move it where it belongs, or add it to ROOT in scripts/tidy_rules/layers.py")


def named_in_cmake(tree):
    """(folder of the CMake file, words in it, as paths from that folder)"""
    for path in tree.cmake_lists():
        text = re.sub(r"#.*", "", tree.files[path])
        yield os.path.dirname(path), set(re.findall(r"[\w./+-]+", text))


@rule(
    good=[
        {"spec/a.h": "", "spec/b.cc": '#include "spec/a.h"\n', "spec/CMakeLists.txt": "add(x b.cc)\n"},
        {"impls/rcu/rcu.h": "", "impls/CMakeLists.txt": "ct_impl(rcu)\n"},
        {"spec/a.h": "", "impls/b.cc.in": '#include "spec/a.h"\n'},
        {"impls/core/proto/a_test.cc": "", "impls/core/CMakeLists.txt": "ct_test(a proto/a_test.cc)\n"},
    ],
    bad=[
        ("spec/a.h:1", {"spec/a.h": "", "spec/CMakeLists.txt": "# a.h\n"}),
        ("spec/a.cc:1", {"spec/a.cc": "", "spec/CMakeLists.txt": "add(x aa.cc)\n"}),
        ("spec/a.h:1", {"spec/a.h": '#include "spec/a.h"\n'}),
        ("impls/rcu/a.cc:1", {"impls/rcu/a.cc": "", "spec/CMakeLists.txt": "add(x a.cc)\n"}),
    ],
)
def dead_file(tree):
    """Every C++ file is named in a CMakeLists.txt of its folder or above, or included by another file."""
    templates = [Source(path, tree.files[path]) for path in tree.paths(".in")]
    included = {header for source in tree.sources + templates for _, _, header in source.includes()
                if header != source.path}
    lists = list(named_in_cmake(tree))
    for path in tree.paths(*CPP, under=LAYERS):
        alive = path in included
        for folder, words in lists:
            if folder == "" or path.startswith(folder + "/"):
                local = os.path.relpath(path, folder or ".")
                alive |= bool({local, os.path.splitext(local)[0], path} & words)
                # ct_impl(name) stands for name/name.h
                stem = os.path.splitext(os.path.basename(path))[0]
                alive |= local == f"{stem}/{stem}.h" and stem in words
        if not alive:
            yield at(path, 1, "no CMakeLists.txt names this file and no file includes it",
                     "name it there, or remove it")
