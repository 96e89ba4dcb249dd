"""Refuses what a `TensorArray` refuses: a second write, a second read of what the first one clears, a use after it is closed.

TensorFlow says so when it runs; here it is read off an ordered function, from the operations that run in any case and say by
a constant which element they mean. What a branch or a loop does with an array is not looked at.

    func @main(%n: int32[], %x: float32[], %f: float32[]) {
      %zero = Const() {value = int32[]<0>} : (int32[])
      %h = TensorArrayV3(%n) : (resource[], float32[])
      %once = TensorArrayWriteV3(%h, %zero, %x, %f) : (float32[])
      %twice = TensorArrayWriteV3(%h, %zero, %x, %once) : (float32[])
      return %twice
    }
        ->
    TensorArrayWriteV3 'twice': Could not write to TensorArray index 0 because it has already been written to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ir import Operation, Value

_ALL = frozenset({"TensorArrayConcat", "TensorArrayPack"})
_TELLS_NOTHING = frozenset({"TensorArraySize", "TensorArrayGrad", "TensorArrayGradWithShape"})


@dataclass(slots=True)
class Watched:
    """What was done so far with the elements of one array, as far as constants tell.

    Attributes:
        maker: the operation that made it.
        size: how many elements it has, or None.
        written, read: the elements.
        is_sure: whether `written` is all that was written.
    """

    maker: Operation
    size: int | None
    written: set[int] = field(default_factory=set)
    read: set[int] = field(default_factory=set)
    is_sure: bool = True
    is_closed: bool = False

    def lose_sight(self) -> None:
        """Notes that something else may have written to it."""
        self.is_sure = False

    def see(self, operation: Operation) -> None:
        """Notes what one operation does. Raises `InvalidArgumentError` where the array refuses it."""
        kind = operation.kind.removesuffix("V3").removesuffix("V2")
        if kind in _TELLS_NOTHING:
            return
        if self.is_closed:
            raise _refusal(operation, "TensorArray has already been closed.")
        if kind == "TensorArrayClose":
            self.is_closed = True
        elif kind in ("TensorArrayWrite", "TensorArrayScatter"):
            self._write(operation, _constant(operation.operands[1]))
        elif kind in ("TensorArrayRead", "TensorArrayGather"):
            self._read(operation, _constant(operation.operands[1]))
        elif kind in _ALL and self.size is not None:
            self._read(operation, list(range(self.size)))
        else:
            self.lose_sight()

    def _write(self, operation: Operation, indices: list[int] | None) -> None:
        if indices is None:
            self.lose_sight()
        for index in indices or ():
            if index in self.written:
                raise _refusal(
                    operation, f"Could not write to TensorArray index {index} because it has already been written to."
                )
            self.written.add(index)

    def _read(self, operation: Operation, indices: list[int] | None) -> None:
        attributes = self.maker.attributes
        has_shape = attributes.get("identical_element_shapes", False) or attributes.get("element_shape") is not None
        for index in indices or ():
            if index in self.read and attributes.get("clear_after_read", True):
                raise _refusal(
                    operation,
                    f"Could not read index {index} twice because it was cleared after a previous read "
                    "(perhaps try setting clear_after_read = false?).",
                )
            if self.is_sure and not has_shape and index not in self.written:
                raise _refusal(
                    operation,
                    f"Could not read from TensorArray index {index}: it was never written, and the shape of the array's "
                    "elements is not known.",
                )
            self.read.add(index)


def watch(maker: Operation) -> Watched:
    """An array that was just made."""
    size = _constant(maker.operands[0])
    is_whole = size is not None and not maker.attributes.get("dynamic_size", False)
    return Watched(maker, size[0] if size is not None and is_whole else None)


def _constant(value: Value) -> list[int] | None:
    """The value of a constant of integers, or None."""
    producer = value.producer
    while producer is not None and producer.kind == "Identity":
        producer = producer.operands[0].producer
    if producer is None or producer.kind != "Const":
        return None
    array = np.asarray(producer.attributes["value"])
    return [int(n) for n in array.ravel()] if array.dtype.kind in "iu" else None


def _refusal(operation: Operation, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{operation.kind} '{operation.name}': {problem}", operation.name, operation.kind)
