"""The ops of TensorFlow: names, arguments, attributes, defaults and traits, as data.

`tf1.txt` has every op of TensorFlow 1.15, those of the tf.contrib libraries and the internal ones included; `tf2.txt` has the
ops that TensorFlow 2 added, and its version of the ops to which it added attributes or gave other arguments.
A file is read when the first op is looked up, and a line when its op is. `protos/make_opdefs.py` writes both from a TensorFlow.
"""

from __future__ import annotations

import functools
from pathlib import Path

from mgjax.opdefs.definitions import Arg, AttrDef, OpDef, from_proto, to_proto
from mgjax.opdefs.text import parse_line

__all__ = [
    "Arg",
    "AttrDef",
    "OpDef",
    "find",
    "find_newer",
    "from_proto",
    "has_cpu_kernel",
    "names",
    "names_of_1_15",
    "names_of_contrib",
    "newer_attrs",
    "to_proto",
]


def find(name: str) -> OpDef | None:
    """The op as TensorFlow 1.15 defines it; one that only TensorFlow 2 has, as that does; None for an unknown op."""
    line = _lines("tf1.txt").get(name) or _lines("tf2.txt").get(name)
    return None if line is None else _parsed(line)


def find_newer(name: str) -> OpDef | None:
    """The op as TensorFlow 2 defines it, where that differs from 1.15 in arguments or attrs; else None."""
    line = _lines("tf2.txt").get(name)
    return None if line is None else _parsed(line)


def newer_attrs(name: str) -> dict[str, AttrDef]:
    """The attrs, by name, that TensorFlow 2 added to an op of 1.15. Newer writers put them into nodes."""
    old, new = find(name), find_newer(name)
    if old is None or new is None:
        return {}
    return {attr.name: attr for attr in new.attrs.values() if attr.name not in old.attrs}


def has_cpu_kernel(name: str) -> bool:
    """Whether an op of TensorFlow 1.15 runs on a CPU there."""
    line = _lines("tf1.txt").get(name)
    return line is not None and "k" in _flags(line)


def names() -> list[str]:
    """All ops that `find` knows, sorted."""
    return sorted(_lines("tf1.txt").keys() | _lines("tf2.txt").keys())


def names_of_1_15() -> list[str]:
    """The ops that TensorFlow 1.15 has Python functions for, sorted: its registry without the internal and tf.contrib's."""
    return [name for name, line in _lines("tf1.txt").items() if _flags(line)[0] == "P"]


def names_of_contrib() -> list[str]:
    """The ops of TensorFlow 1.15 that live in libraries of tf.contrib, sorted."""
    return [name for name, line in _lines("tf1.txt").items() if _flags(line)[0] == "C"]


def _flags(line: str) -> str:
    return line.split("\t", 2)[1]


@functools.cache
def _lines(file: str) -> dict[str, str]:
    text = Path(__file__).with_name(file).read_text("ascii")
    return {line[: line.index("\t")]: line for line in text.splitlines()[1:]}


@functools.cache
def _parsed(line: str) -> OpDef:
    return parse_line(line)
