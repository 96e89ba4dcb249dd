"""Gives `ComputeAccidentalHits` a static size where the hits that it adds cannot be seen.

A sampled loss takes the candidates that happen to be true classes out of the running: it finds them, lays a large negative
number on their places in a dense matrix, and adds that to the logits. How many hits there are depends on the draw, which
would split every training step. A `bounded_accidental_hits` has one result for each true class; those that no candidate
hits stand in a row that the matrix does not have, where `SparseToDense` drops them.

    func @main(%t: int64[3,2], %c: int64[4], %s: int32[2]) {
      %n = Const() {value = float32[]<0.0>} : (float32[])
      %h = ComputeAccidentalHits(%t, %c) : (int32[?], int64[?], float32[?])
      %p = Cast(%h:1) : (int32[?])
      %i = Pack(%h, %p) {axis = 1} : (int32[?,2])
      %d = SparseToDense(%i, %s, %h:2, %n) {validate_indices = false} : (float32[3,4])
      return %d
    }
        ->
    func @main(%t: int64[3,2], %c: int64[4], %s: int32[2]) {
      %n = Const() {value = float32[]<0.0>} : (float32[])
      %h = bounded_accidental_hits(%t, %c) : (int32[6], int64[6], float32[6])
      %p = Cast(%h:1) {_unchecked = true} : (int32[?])
      %i = Pack(%h, %p) {_unchecked = true, axis = 1} : (int32[?,2])
      %d = SparseToDense(%i, %s, %h:2, %n) {_unchecked = true, validate_indices = false} : (float32[3,4])
      return %d
    }

The added hits must reach nothing but the indices and values of a `SparseToDense` that does not ask for indices in order.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

from mgjax.ir import Function, Operation, TensorType, Value, walk, walk_blocks
from mgjax.passes.bound_unique import UNCHECKED

LOG = logging.getLogger(__name__)

#: What keeps each hit apart from the others: the same hits, in another form or beside other facts about them.
FORMS = frozenset({"Cast", "ConcatV2", "ExpandDims", "Identity", "Pack", "Reshape", "StopGradient"})


def bound_hits(function: Function) -> None:
    """Bounds every `ComputeAccidentalHits` of the function of which the added hits cannot be seen."""
    returned = {value for block in walk_blocks(function.body) for value in block.results}
    for operation in list(walk(function.body)):
        if operation.kind != "ComputeAccidentalHits":
            continue
        if (obstacle := _obstacle(operation, returned)) is not None:
            LOG.debug("%r stays: %s", operation, obstacle)
            continue
        for user in _users(operation):
            user.attributes[UNCHECKED] = True
        operation.kind = "bounded_accidental_hits"
        shape = operation.operands[0].type.shape
        known = shape is not None and None not in shape
        size = (math.prod(shape),) if known else (None,)  # type: ignore[arg-type]
        for result in operation.results:
            result.type = TensorType(result.type.dtype, size)


def _users(hits: Operation) -> Iterator[Operation]:
    """Whatever takes the hits, in any form."""
    pending, seen = list(hits.results), set(hits.results)
    while pending:
        for user, _ in pending.pop().uses:
            yield user
            further = [value for value in user.results if user.kind in FORMS and value not in seen]
            seen.update(further)
            pending.extend(further)


def _obstacle(hits: Operation, returned: set[Value]) -> str | None:
    """What would see the added hits, or None."""
    rows, places, weights = hits.results
    inside = {rows: 0, places: 0, weights: 2}
    pending = list(inside)
    while pending:
        value = pending.pop()
        if value in returned:
            return f"{value!r} is a result"
        for user, index in value.uses:
            if user.kind == "SparseToDense":
                if index != inside[value] or user.attributes.get("validate_indices", True):
                    return f"{user!r} would see them"
            elif user.kind not in FORMS or (user.kind in ("Reshape", "ExpandDims") and index != 0):
                return f"{user!r} would see them"
            elif user.results[0] not in inside:
                inside[user.results[0]] = inside[value]
                pending.append(user.results[0])
            elif inside[user.results[0]] != inside[value]:
                return f"{user!r} mixes them"
    return None
