"""How a checkpoint fits the variables that are to be restored from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mgjax import checkpoint
from mgjax.dtypes import DType
from mgjax.function import Variable
from mgjax.metagraph import Saved
from mgjax.shapes import describe, is_compatible

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Fit:
    """How a checkpoint fits a saver.

    Attributes:
        restored: the variables that it holds as they are wanted.
        missing: from variable to the key that the checkpoint lacks.
        mismatched: from variable to why it does not fit: another shape or dtype.
        unused: the tensors of the checkpoint that no variable takes.
    """

    restored: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    mismatched: dict[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """Why not all can be restored, a sentence for each variable concerned."""
        absent = (f"{key!r} is not in the checkpoint{_for(name, key)}" for name, key in self.missing.items())
        return [*absent, *self.mismatched.values()]

    def __str__(self) -> str:
        lines = [f"{len(self.restored)} variables are restored"]
        if self.missing:
            lines.append(f"{len(self.missing)} are missing: {_some(list(self.missing))}")
        if self.mismatched:
            lines.append(f"{len(self.mismatched)} do not fit: {'; '.join(list(self.mismatched.values())[:_SHOWN])}")
        if self.unused:
            lines.append(f"{len(self.unused)} tensors of the checkpoint are not used: {_some(self.unused)}")
        return "\n".join(lines)


def fit_of(
    opened: checkpoint.Checkpoint, wanted: Sequence[tuple[Saved, Variable]], *, reshape: bool, cast: bool
) -> Fit:
    """How an open checkpoint fits.

    Args:
        wanted: where each variable is kept.
        reshape: whether a tensor of another shape with as many elements fits.
        cast: whether another dtype of numbers fits.
    """
    restored: list[str] = []
    missing: dict[str, str] = {}
    mismatched: dict[str, str] = {}
    for saved, variable in wanted:
        if saved.key not in opened:
            missing[variable.name] = saved.key
        elif (why := _mismatch(opened, saved, variable, reshape=reshape, cast=cast)) is not None:
            mismatched[variable.name] = why
        else:
            restored.append(variable.name)
    used = {saved.key for saved, _ in wanted}
    return Fit(tuple(restored), missing, mismatched, tuple(name for name in opened if name not in used))


def _mismatch(
    opened: checkpoint.Checkpoint, saved: Saved, variable: Variable, *, reshape: bool, cast: bool
) -> str | None:
    dtype, shape = opened.dtype(saved.key), opened.shape(saved.key)
    if saved.shape is not None and tuple(shape) != saved.shape:
        whole = f"a part of {describe(saved.shape)}"
        return f"{variable.name!r} is {whole} in the graph and of {describe(shape)} in the checkpoint"
    found = part_shape(shape, saved)
    may_reshape = reshape or saved.reshape
    fits = is_compatible(variable.shape, found) or (may_reshape and _same_size(variable.shape, found))
    if fits and (dtype == variable.dtype or (cast and may_cast(dtype, variable.dtype))):
        return None
    return (
        f"{variable.name!r} is {variable.dtype.name}{describe(variable.shape)} in the graph "
        f"and {dtype.name}{describe(found)} in the checkpoint{_for(saved.variable, saved.key)}"
    )


def may_cast(found: DType, wanted: DType) -> bool:
    """Whether numbers of one dtype can be had in another without losing a part of each."""
    return found.is_numeric and wanted.is_numeric and (wanted.is_complex or not found.is_complex)


def part_shape(shape: Sequence[int], saved: Saved) -> tuple[int, ...]:
    """The shape of what is restored of a tensor."""
    if saved.extents is None:
        return tuple(shape)
    return tuple(size if length == -1 else length for size, (_, length) in zip(shape, saved.extents, strict=True))


def _same_size(shape: Sequence[int | None] | None, found: Sequence[int]) -> bool:
    return shape is not None and None not in shape and int(np.prod(shape)) == int(np.prod(found))  # type: ignore[arg-type]


def _for(variable: str, key: str) -> str:
    return "" if key == variable else f" (for the variable {variable!r})"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
