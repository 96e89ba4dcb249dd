"""Gives ops of which the values decide how many rows they have a number of rows that the caller names.

What a `Where`, a `Unique`, a `DynamicPartition` or a non-maximum suppression finds stands first, and behind it rows that
nothing stands in: of a `Where` and of a suppression positions behind the end, where a gather finds zeros and an update is
dropped; of the others zeros.

    func @main(%x: bool[6]) {
      %w = Where(%x) : (int64[?,1])
      return %w
    }
        ->
    func @main(%x: bool[6]) {
      %w = padded_where(%x) {rows = 8} : (int64[8,1])
      return %w
    }
"""

from __future__ import annotations

from collections.abc import Mapping

from mgjax.errors import UnknownNameError
from mgjax.ir import Function, Operation, TensorType, Value, walk
from mgjax.passes.bound_suppression import SUPPRESSIONS
from mgjax.passes.bound_unique import UNCHECKED

PADDED = {
    "Where": "padded_where",
    "Unique": "padded_unique",
    "UniqueWithCounts": "padded_unique",
    "DynamicPartition": "padded_partition",
    **dict.fromkeys(SUPPRESSIONS, "padded_suppression"),
}
"""The op with a given number of rows, by the op."""

#: Those that need no bound.
BOUNDED = frozenset({"bounded_unique", "padded_suppression"})

#: What keeps each position what it is, in another form.
FORMS = frozenset(
    {"Cast", "ExpandDims", "Identity", "Pack", "Reshape", "Slice", "Squeeze", "StopGradient", "StridedSlice"}
)


def bound_rows(function: Function, bounds: Mapping[str, int]) -> None:
    """Bounds the named operations. Raises `UnknownNameError` for a name that no such operation has."""
    candidates = {operation.name: operation for operation in walk(function.body) if operation.kind in PADDED}
    bounded = {operation.name for operation in walk(function.body) if operation.kind in BOUNDED}
    for name, rows in bounds.items():
        if name in bounded:
            continue  # its rows need no bound
        if name not in candidates:
            raise UnknownNameError(
                f"row_bounds: what the fetches need has no operation {name!r} that could be bounded; those that it has are "
                f"{sorted(candidates)}"
            )
        operation = candidates[name]
        for value in _padded(operation):
            shape = value.type.shape
            value.type = TensorType(value.type.dtype, None if shape is None else (rows, *shape[1:]))
        if operation.kind == "Where" or operation.kind in SUPPRESSIONS:
            _mark_users(operation)
        if operation.kind in SUPPRESSIONS:
            operation.attributes["of"] = operation.kind
        operation.kind = PADDED[operation.kind]
        operation.attributes["rows"] = rows


def _padded(operation: Operation) -> list[Value]:
    """The results of which the rows are given."""
    if operation.kind == "DynamicPartition":
        return list(operation.results)
    if operation.kind in SUPPRESSIONS:  # indices, and then perhaps scores and how many there are
        return list(operation.results[: max(1, len(operation.results) - 1)])
    return list(operation.results[::2])


def _mark_users(operation: Operation) -> None:
    """Marks what takes the positions: those behind the end are no errors."""
    pending: list[Value] = list(operation.results)
    seen = set(pending)
    while pending:
        for user, _ in pending.pop().uses:
            user.attributes[UNCHECKED] = True
            further = [value for value in user.results if user.kind in FORMS and value not in seen]
            seen.update(further)
            pending.extend(further)


__all__ = ["bound_rows"]
