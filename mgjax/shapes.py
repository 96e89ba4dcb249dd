"""Partial shapes: a tuple of sizes in which None stands for an unknown size; None alone stands for an unknown rank."""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple[int | None, ...] | None


def is_static(shape: Shape) -> bool:
    """Whether rank and all sizes are known."""
    return shape is not None and None not in shape


def is_compatible(shape: Shape, found: Sequence[int | None]) -> bool:
    """Whether an array of shape `found` may stand where `shape` is declared."""
    if shape is None:
        return True
    return len(shape) == len(found) and all(a is None or b is None or a == b for a, b in zip(shape, found, strict=True))


def merge(a: Shape, b: Shape) -> Shape:
    """What is known of a shape of which both `a` and `b` are true. Raises `ValueError` where they contradict."""
    if a is None or b is None:
        return b if a is None else a
    if not is_compatible(a, b):
        raise ValueError(f"shapes {describe(a)} and {describe(b)} are not compatible")
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def describe(shape: Shape) -> str:
    """The shape as text: `[?,3]`, `[]` for a scalar, `[*]` for an unknown rank."""
    return "[*]" if shape is None else "[" + ",".join("?" if n is None else str(n) for n in shape) + "]"
