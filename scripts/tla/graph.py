# SPDX-License-Identifier: BSD-2-Clause
"""TLC's graph of states (-dump dot,actionlabels) as the numbers that `ctbench model --edges` prints.

TLC writes values in an order of its own; here they are read and written again in the one order that
equal values share: that of spec/model/value.h. The digest is that of harness/model/graph_digest.h.
"""

import hashlib
import re

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|<<|>>|:>|@@|\|->|-?\d+|\w+|[{}()\[\],])')


class Reader:
    """Reads one TLA+ value; canonical() is its text."""

    def __init__(self, text):
        self.tokens = TOKEN.findall(text)
        if "".join(self.tokens) != re.sub(r'("(?:[^"\\]|\\.)*")|\s', r"\1", text):
            raise ValueError(f"not a TLA+ value: {text}")
        self.at = 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, expected=None):
        token = self.peek()
        if token is None or expected not in (None, token):
            raise ValueError(f"expected {expected}, found {token}")
        self.at += 1
        return token

    def canonical(self):
        token = self.take()
        if token == "{":
            return "{" + ", ".join(sorted(set(self.items("}")))) + "}"
        if token == "<<":
            return "<<" + ", ".join(self.items(">>")) + ">>"
        if token == "(":
            return self.function("@@", ":>", ")", str)
        if token == "[":
            return self.function(",", "|->", "]", lambda name: f'"{name}"')
        return token

    def items(self, end):
        items = []
        while self.peek() != end:
            items.append(self.canonical())
            if self.peek() != end:
                self.take(",")
        self.take(end)
        return items

    def function(self, between, maps_to, end, argument_text):
        pairs = []
        while self.peek() != end:
            argument = argument_text(self.canonical())
            self.take(maps_to)
            pairs.append((argument, self.canonical()))
            if self.peek() != end:
                self.take(between)
        self.take(end)
        return "(" + " @@ ".join(f"{a} :> {r}" for a, r in sorted(pairs)) + ")"


def canonical(text):
    reader = Reader(text)
    value = reader.canonical()
    if reader.peek() is not None:
        raise ValueError(f"more than one value: {text}")
    return value


def state_text(label):
    r"""Of a node's label: /\ name = value, a variable a line, sorted by name."""
    variables = [v.split(" = ", 1) for v in re.split(r"(?:^|\n)/\\ ", label)[1:]]
    return "".join(f"/\\ {name} = {canonical(value)}\n" for name, value in sorted(variables))


def digest16(data):
    return hashlib.blake2b(data, digest_size=16).digest()


def total(digests):
    return "%032x" % (sum(int.from_bytes(d, "big") for d in digests) % (1 << 128))


NODE = re.compile(r'^(-?\d+) \[label="((?:[^"\\]|\\.)*)"')
EDGE = re.compile(r'^(-?\d+) -> (-?\d+) \[label="(\w+)')


def digest(lines):
    """{states, edges, states_hash, edges_hash} of a dot file's lines."""
    nodes, edges = {}, set()
    for line in lines:
        if node := NODE.match(line):
            label = node.group(2).replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
            nodes[node.group(1)] = digest16(state_text(label).encode())
        elif edge := EDGE.match(line):
            edges.add((edge.group(1), edge.group(3), edge.group(2)))
    return {
        "states": len(nodes),
        "edges": len(edges),
        "states_hash": total(nodes.values()),
        "edges_hash": total(digest16(nodes[a] + name.encode() + nodes[b]) for a, name, b in edges),
    }
