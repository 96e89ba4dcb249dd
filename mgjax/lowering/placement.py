"""Where operations run: in a device program, or in Python between two of them.

A host step is what a lowering calls one, and what takes or makes something that no device holds. A loop, a branch or another
operation with regions runs on the host if a host step stands in it, at any depth; the rest of its regions is compiled
(`mgjax.lowering.stages`).
"""

from __future__ import annotations

from collections.abc import Mapping

from mgjax import dtypes
from mgjax.ir import Block, Operation, Value
from mgjax.ops import Lowering
from mgjax.passes import PRINTED, REFERENCE, free_values


class Placement:
    """Where the operations of a program run.

    Attributes:
        on_host: operations with regions that run on the host, and others that were found to have to, such as those that need
            to know what changes from round to round.
    """

    def __init__(self, lowerings: Mapping[str, Lowering]):
        self.on_host: set[Operation] = set()
        self._lowerings = lowerings
        self._is_host: dict[Operation, bool] = {}

    def move(self, operation: Operation) -> None:
        """Has the host run an operation, and with it the loops and branches around it."""
        inner: Operation | None = operation
        while inner is not None:
            self.on_host.add(inner)
            owner = inner.block.owner if inner.block is not None else None
            inner = owner if isinstance(owner, Operation) else None
        self._is_host.clear()

    def is_host(self, operation: Operation) -> bool:
        """Whether the operation runs in Python: its lowering says so, or it takes or makes what no device holds."""
        is_host = self._is_host.get(operation)
        if is_host is None:
            is_host = self._is_host[operation] = self._find(operation)
        return is_host

    def _find(self, operation: Operation) -> bool:
        if operation.kind == PRINTED:
            return any(map(holds_objects, free_values(operation.regions[0])))
        if operation.regions:
            inner = [operation_ for region in operation.regions for operation_ in region.operations]
            # All are asked: each inner loop or branch with a host step is one of its own.
            found = operation in self.on_host or any([*map(self.is_host, inner)])
            found = found or any(map(holds_objects, operation.results))
            if found:
                self.on_host.add(operation)
            return found
        if operation in self.on_host:
            return True
        lowering = self._lowerings.get(operation.kind)
        if lowering is None:
            return operation.kind == REFERENCE
        if is_text(operation):
            return False
        if lowering.quotes and not lowering.host:
            operands = [v for v in operation.operands if v.producer is None or not is_text(v.producer)]
            return any(map(holds_objects, operands))
        if lowering.host or any(map(holds_objects, (*operation.operands, *operation.results))):
            return True
        return any(map(self._may_be_dataset, operation.operands))

    def _may_be_dataset(self, value: Value) -> bool:
        """Whether a variant comes from the host, where it may be a dataset; else it is a list or an optional of arrays."""
        if value.type.dtype is not dtypes.variant:
            return False
        producer = value.producer
        if producer is None:
            assert isinstance(value.owner, Block)
            owner = value.owner.owner
            if not isinstance(owner, Operation):
                return True
            return owner.kind == "while" and self._may_be_dataset(owner.operands[value.index])
        if producer.kind == "while":
            return self._may_be_dataset(producer.operands[value.index])
        if producer.kind == "if":
            return any(self._may_be_dataset(region.results[value.index]) for region in producer.regions)
        return self.is_host(producer)


def is_text(operation: Operation) -> bool:
    """Whether it is a constant of strings."""
    return operation.kind == "Const" and holds_objects(operation.result)


def holds_objects(value: Value) -> bool:
    """Whether no device holds values of this type."""
    dtype = value.type.dtype
    return dtype is not None and not dtype.is_numeric and dtype is not dtypes.variant
