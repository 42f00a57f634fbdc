# SPDX-License-Identifier: BSD-2-Clause
"""What lies under spec/tla: modules, configurations, and the golden file with what TLC said of them.

A configuration is spec/tla/<Module>/<name>.cfg; it is run with MC<Module>.tla. Two of its comment lines
speak to us: `Expect: NAME` (what it must break) and `Size: large` (asked for by name). The golden file
holds, for each configuration, TLC's verdict and numbers beside the hash of everything that they depend on;
who edits a module or a configuration has to run TLC again (scripts/tlc --golden).
"""

import hashlib
import json
import pathlib
import re
import subprocess
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "spec" / "tla"
GOLDEN = MODELS / "golden.json"
HOLDS = "no invariant broken"


@dataclass(frozen=True)
class Configuration:
    path: pathlib.Path

    @property
    def module(self):
        return self.path.parent.name

    @property
    def name(self):
        return f"{self.module}/{self.path.stem}"

    def comment(self, word):
        found = re.search(rf"^\\\*\s*{word}:\s*(\S+)", self.path.read_text(encoding="utf-8"), re.MULTILINE)
        return found.group(1) if found else None

    @property
    def expected(self):
        return self.comment("Expect") or HOLDS

    @property
    def is_large(self):
        return self.comment("Size") == "large"

    def properties(self):
        """The names under PROPERTY and PROPERTIES."""
        text = re.sub(r"\\\*.*", "", self.path.read_text(encoding="utf-8"))
        found = re.findall(r"^PROPERT(?:Y|IES)\b((?:\s+\w+)*?)(?=\s*^[A-Z_]+\b|\s*\Z)", text, re.MULTILINE)
        return [name for names in found for name in names.split()]


def configurations(models=MODELS):
    """Those to be searched; a module called ...Trace follows recorded runs instead."""
    every = [Configuration(path) for path in sorted(models.glob("*/*.cfg"))]
    return [c for c in every if not c.module.endswith("Trace")]


def traces(models=MODELS):
    return sorted((models / "ConntrackTrace").glob("*.ndjson"))


def module_files(models=MODELS):
    """{module: path}; a module is found by its name, whatever folder it is in."""
    return {path.stem: path for path in models.glob("*/*.tla")}


def needed_modules(module, files):
    """`module` and what it extends or instantiates, in a fixed order; standard modules are not ours."""
    needed, open_ones = set(), [module]
    while open_ones:
        name = open_ones.pop()
        if name in needed or name not in files:
            continue
        needed.add(name)
        text = re.sub(r"\\\*.*", "", files[name].read_text(encoding="utf-8"))
        text = re.sub(r"\(\*.*?\*\)", "", text, flags=re.DOTALL)
        for names in re.findall(r"\bEXTENDS\s+([\w\s,]+?)\n\s*\n", text):
            open_ones += re.findall(r"\w+", names)
        open_ones += re.findall(r"\bINSTANCE\s+(\w+)", text)
    return [files[name] for name in sorted(needed)]


def pin(configuration, models=MODELS, extra=()):
    """Hash of everything that TLC's numbers for this configuration depend on."""
    total = hashlib.sha256()
    modules_of_it = needed_modules("MC" + configuration.module, module_files(models))
    for path in [configuration.path, *modules_of_it, *extra]:
        text = path.read_bytes()
        total.update(f"{path.name} {len(text)}\n".encode() + text)
    return total.hexdigest()


TRACE = Configuration(MODELS / "ConntrackTrace" / "accepted.cfg")


def pin_of_trace(path):
    return pin(TRACE, extra=(path,))


def read_golden(path=GOLDEN):
    if not path.exists():
        return {"configurations": {}, "traces": {}}
    return json.loads(path.read_text(encoding="utf-8"))


def write_golden(golden, path=GOLDEN):
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(path)


def row_of_result(result):
    """What TLC says too, of a row that `ctbench model --json` wrote."""
    if "broken" in result:
        return {"verdict": result["broken"], "behaviour": result["steps_to_break"] + 1}
    numbers = ("distinct", "depth", "edges", "states_hash", "edges_hash")
    return {"verdict": HOLDS, **{key: result[key] for key in numbers if key in result}}


def accepted_by(ctbench, path):
    """What `ctbench model --accept` says of a recorded run, in TLC's words."""
    done = subprocess.run([ctbench, "model", "--accept", path], capture_output=True, text=True, timeout=600)
    said = done.stdout + done.stderr
    if rejected := re.search(r"ndjson:(\d+): .* is no step", said):
        return f"rejected at line {rejected[1]}"
    accepted = re.search(r"accepted\D*([\d,]+) actions", said)
    return f"accepted {accepted[1].replace(',', '')} actions" if accepted else said.strip()[-300:]
