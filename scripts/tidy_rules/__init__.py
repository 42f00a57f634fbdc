# SPDX-License-Identifier: BSD-2-Clause
"""The rules of scripts/tidy.py, by subject. A module that is not named here is not run."""

from . import atomics, build, code, docs, layers, shape
from .framework import read_project, registered, selftest_failures

MODULES = (atomics, build, code, docs, layers, shape)


def all_rules():
    """name -> rule, of every module above."""
    return dict(registered())
