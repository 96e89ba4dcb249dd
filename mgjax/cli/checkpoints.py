"""`mgjax checkpoint PREFIX`: what a checkpoint holds, and how two of them differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from mgjax import checkpoint
from mgjax.errors import UnknownNameError
from mgjax.shapes import describe

_MOST_DIFFERENCES = 200


def add_checkpoint(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "checkpoint",
        help="what a checkpoint holds, or how two differ",
        description="Lists the tensors of a checkpoint, shows or copies some, or compares two: exit status 1 where they differ.",
    )
    parser.add_argument("prefix", metavar="PREFIX", help="a checkpoint, one of its files, or its folder")
    parser.add_argument("--diff", metavar="OTHER", help="the checkpoint to compare it with")
    parser.add_argument("--show", metavar="NAME", action="append", default=[], help="print this tensor's values")
    parser.add_argument(
        "--copy-to", metavar="PREFIX", help="write the tensors as another checkpoint, partitioned ones whole"
    )
    parser.add_argument("--format", type=int, choices=(1, 2), default=2, help="the format to write (2)")
    parser.add_argument("--shards", type=int, metavar="N", help="the number of data files to write")
    parser.add_argument("--match", metavar="REGEX", default="", help="only tensors whose names match")
    parser.set_defaults(run=_run)


def _run(chosen: Any) -> int:
    try:
        matches = re.compile(chosen.match).search
    except re.error as error:
        raise UnknownNameError(f"--match {chosen.match!r} is no regular expression: {error}") from error
    opened = checkpoint.open(chosen.prefix)
    if chosen.diff is not None:
        lines = list(_differences(opened, checkpoint.open(chosen.diff), matches))
        for line in lines[:_MOST_DIFFERENCES]:
            print(line)
        if len(lines) > _MOST_DIFFERENCES:
            print(f"... and {len(lines) - _MOST_DIFFERENCES} more")
        print(f"{len(lines)} tensors differ" if lines else "the same tensors with equal values")
        return 1 if lines else 0
    if chosen.show:
        for name in chosen.show:
            print(f"{name}: {_type(opened, name)}")
            print(opened.read(name))
        return 0
    names = [name for name in opened if matches(name)]
    if chosen.copy_to is not None:
        written = checkpoint.write(
            chosen.copy_to,
            (checkpoint.Tensor(name, opened.read(name), dtype=opened.dtype(name)) for name in names),
            shards=chosen.shards,
            version=chosen.format,
        )
        print(f"wrote {len(names)} tensors to {written}, format V{chosen.format}")
        return 0
    print(opened.describe(names))
    return 0


def _differences(a: checkpoint.Checkpoint, b: checkpoint.Checkpoint, matches: Any) -> Iterator[str]:
    for name in sorted(name for name in {*a, *b} if matches(name)):
        if name not in b:
            yield f"- {name}  {_type(a, name)}"
        elif name not in a:
            yield f"+ {name}  {_type(b, name)}"
        elif _type(a, name) != _type(b, name):
            yield f"! {name}  {_type(a, name)} -> {_type(b, name)}"
        elif (difference := _difference(a.read(name), b.read(name))) is not None:
            yield f"! {name}  {_type(a, name)}  {difference}"


def _difference(a: np.ndarray, b: np.ndarray) -> str | None:
    """How the values differ; None where they do not. NaN equals NaN."""
    if a.dtype == object or a.dtype.kind == "b":
        differs = np.asarray(a != b)
        return f"{np.count_nonzero(differs)} of {a.size} differ" if differs.any() else None
    if a.tobytes() == b.tobytes():
        return None
    # Widened, so that neither unsigned integers wrap around nor small floats overflow.
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    x, y = a.astype(wide), b.astype(wide)
    differs = (a != b) & ~((x != x) & (y != y))
    if not differs.any():
        return None
    with np.errstate(invalid="ignore"):
        distance = np.abs(x - y)[differs]
    return f"{np.count_nonzero(differs)} of {a.size} differ, by at most {np.max(distance):.3g}"


def _type(opened: checkpoint.Checkpoint, name: str) -> str:
    return f"{opened.dtype(name).name}{describe(opened.shape(name))}"
