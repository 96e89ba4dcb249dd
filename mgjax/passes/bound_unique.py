"""Gives `Unique` a static size where the rows that it adds cannot be seen.

TensorFlow's optimizers sum the gradients of equal rows before they update a variable: `Unique` of the indices, a sum over
the segments that it numbers, an update at the distinct indices. How many there are depends on the values, which would
split every training step and compile it anew for each number. A `bounded_unique` has as many results as operands: after
the distinct values stands the largest number of the dtype, which is no index of anything. The sums of those rows are
zeros, and updates at such an index are dropped.

    func @main(%i: int64[5], %v: float32[5,3], %w: float32[9,3]) {
      %zero = Const() {value = int32[1]<0>} : (int32[1])
      %one = Const() {value = int32[1]<1>} : (int32[1])
      %u = Unique(%i) : (int64[?], int32[5])
      %s = Shape(%u) : (int32[1])
      %n = StridedSlice(%s, %zero, %one, %one) {shrink_axis_mask = 1} : (int32[])
      %g = UnsortedSegmentSum(%v, %u:1, %n) : (float32[?,3])
      %w1 = ScatterAdd(%w, %u, %g) : (float32[9,3])
      return %w1
    }
        ->
    func @main(%i: int64[5], %v: float32[5,3], %w: float32[9,3]) {
      %zero = Const() {value = int32[1]<0>} : (int32[1])
      %one = Const() {value = int32[1]<1>} : (int32[1])
      %u = bounded_unique(%i) : (int64[5], int32[5])
      %s = Shape(%u) {_unchecked = true} : (int32[1])
      %n = StridedSlice(%s, %zero, %one, %one) {_unchecked = true, shrink_axis_mask = 1} : (int32[])
      %g = UnsortedSegmentSum(%v, %u:1, %n) {_unchecked = true} : (float32[?,3])
      %w1 = ScatterAdd(%w, %u, %g) {_unchecked = true} : (float32[9,3])
      return %w1
    }

The added rows must be seen by nobody: they may go through elementwise operations, gathers and the like, and must end in
updates. Any other user of such a value, a fetch among them, keeps the `Unique`. What takes them is not checked for what
they hold (the attribute `_unchecked`): the indices of an update are those that were looked up before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from mgjax import opdefs
from mgjax.ir import Function, Operation, TensorType, Value, walk, walk_blocks

LOG = logging.getLogger(__name__)

UNCHECKED = "_unchecked"
"""The attribute of an operation whose operands a pass has filled up with what its checks would refuse."""

ELEMENTWISE = frozenset(
    {
        "Abs", "Add", "AddV2", "Cast", "Div", "DivNoNan", "Exp", "Log", "Maximum", "Minimum", "Mul", "Neg", "Pow", "RealDiv",
        "Reciprocal", "Rsqrt", "Sigmoid", "Sign", "Sqrt", "Square", "SquaredDifference", "Sub", "Tanh",
    }
)  # fmt: skip
FORWARDING = frozenset({"Identity", "StopGradient"})
GATHERS = frozenset({"Gather", "GatherV2", "ResourceGather"})
SEGMENTS_OF_ROWS = frozenset({"SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN"})
UPDATES = ("ScatterAdd", "ScatterSub", "ScatterUpdate", "ScatterMin", "ScatterMax", "ScatterMul", "ScatterDiv")


def bound_unique(function: Function) -> None:
    """Bounds every `Unique` of the function of which the added rows cannot be seen."""
    returned = {value for block in walk_blocks(function.body) for value in block.results}
    for operation in list(walk(function.body)):
        if operation.kind != "Unique" or not _counts(operation.operands[0]):
            continue
        rows = _Rows(operation, returned)
        if (obstacle := rows.obstacle()) is not None:
            LOG.debug("%r stays: %s", operation, obstacle)
            continue
        for user in rows.users:
            user.attributes[UNCHECKED] = True
        operation.kind = "bounded_unique"
        distinct = operation.results[0]
        distinct.type = TensorType(distinct.type.dtype, operation.operands[0].type.shape)


class _Rows:
    """What becomes of the distinct values of one `Unique`.

    A value is an "index" (the distinct values), "rows" (as many rows as there are), a "shape" of one of these, or a "size":
    their number.
    """

    def __init__(self, unique: Operation, returned: set[Value]):
        self.unique = unique
        self.returned = returned
        self.role: dict[Value, str] = {unique.results[0]: "index"}
        self.users: dict[Operation, None] = {}

    def obstacle(self) -> str | None:
        """What would see the added rows, or None."""
        pending = [self.unique.results[0]]
        while pending:
            value = pending.pop()
            if value in self.returned:
                return f"{value!r} is a result"
            for user, _ in value.uses:
                if user.block is not self.unique.block:
                    return f"{user!r} stands in another block"
                self.users[user] = None
                for result, role in self._made(user):
                    if result not in self.role:
                        self.role[result] = role
                        pending.append(result)
        return next((f"{user!r} would see them" for user in self.users if not self._is_blind(user)), None)

    def _made(self, user: Operation) -> Iterator[tuple[Value, str]]:
        """The results that the added rows reach, and what they are."""
        kind, roles = user.kind, [self.role.get(value) for value in user.operands]
        if not user.results or user.regions:
            return
        result = user.results[0]
        if kind in FORWARDING and roles[0] is not None:
            yield result, roles[0]
        elif kind == "Shape" and roles[0] in ("index", "rows"):
            yield result, "shape"
        elif kind == "StridedSlice" and roles[0] == "shape" and _takes_first(user):
            yield result, "size"
        elif (
            (kind == "UnsortedSegmentSum" and roles[2] == "size")
            or (kind in GATHERS and roles[1] == "index")
            or (kind in ELEMENTWISE and "rows" in roles)
        ):
            yield result, "rows"

    def _is_blind(self, user: Operation) -> bool:
        """Whether the user takes the added rows only where they have no effect, but on results that have a role."""
        kind, roles = user.kind, [self.role.get(value) for value in user.operands]
        if kind in FORWARDING:
            return True
        if kind == "Shape":
            return roles[0] in ("index", "rows")
        if kind == "StridedSlice":
            return roles[0] == "shape" and not any(roles[1:]) and (_takes_first(user) or _skips_first(user))
        if kind == "UnsortedSegmentSum":
            return roles[0] is None and roles[1] is None and roles[2] == "size"
        if kind in GATHERS:
            if roles[1] == "index":
                return roles[0] is None and _along_first_axis(user)
            return roles[0] == "rows" and self._is_numbering(user.operands[1]) and _along_first_axis(user)
        if kind in SEGMENTS_OF_ROWS:
            return roles[0] == "rows" and roles[2] is None and self._is_numbering(user.operands[1])
        if kind in ELEMENTWISE:
            return all(
                role == "rows" or (role is None and _is_scalar(value))
                for role, value in zip(roles, user.operands, strict=True)
            )
        return self._is_update(user, roles)

    def _is_update(self, user: Operation, roles: list[str | None]) -> bool:
        kind = user.kind.removeprefix("Resource")
        if kind not in UPDATES and not kind.startswith("SparseApply"):
            return False
        definition = opdefs.find(user.kind)
        if definition is None:
            return False
        place = {arg.name: i for i, arg in enumerate(definition.inputs)}
        index, rows = place["indices"], place["grad" if "grad" in place else "updates"]
        if roles[index] != "index" or any(role for i, role in enumerate(roles) if i not in (index, rows)):
            return False
        return roles[rows] == "rows" or (roles[rows] is None and _is_scalar(user.operands[rows]))

    def _is_numbering(self, value: Value) -> bool:
        """Whether it says for each operand of the `Unique` which distinct value it is: no added row is one."""
        while value.producer is not None and value.producer.kind in FORWARDING:
            value = value.producer.operands[0]
        return value is self.unique.results[1]


def _counts(value: Value) -> bool:
    return value.type.dtype is not None and value.type.dtype.is_integer


def _takes_first(operation: Operation) -> bool:
    """Whether a `StridedSlice` is `x[0]`."""
    return _constant(operation.operands[1]) == [0] and operation.attributes.get("shrink_axis_mask") == 1


def _skips_first(operation: Operation) -> bool:
    """Whether a `StridedSlice` is `x[1:]`."""
    attributes = operation.attributes
    return (
        _constant(operation.operands[1]) == [1]
        and _constant(operation.operands[3]) == [1]
        and not any(attributes.get(mask) for mask in ("begin_mask", "ellipsis_mask", "new_axis_mask"))
    )


def _along_first_axis(operation: Operation) -> bool:
    if operation.attributes.get("batch_dims"):
        return False
    return len(operation.operands) < 3 or _constant(operation.operands[2]) == 0


def _constant(value: Value) -> object:
    """The value of a constant as Python's numbers and lists, or None."""
    producer = value.producer
    if producer is None or producer.kind != "Const":
        return None
    return np.asarray(producer.attributes["value"]).tolist()


def _is_scalar(value: Value) -> bool:
    """Whether the value surely has no dimensions: declared so, or computed from such values element by element."""
    pending, seen = [value], set()
    while pending:
        value = pending.pop()
        if value in seen or value.type.shape == ():
            continue
        seen.add(value)
        producer = value.producer
        if producer is None:
            return False
        if producer.kind == "Const" and np.ndim(producer.attributes["value"]) == 0:
            continue
        if producer.kind not in ELEMENTWISE and producer.kind not in FORWARDING:
            return False
        pending.extend(producer.operands)
    return True
