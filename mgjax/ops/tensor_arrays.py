"""`TensorArray*` and `Stack*`: lists that a handle names (`mgjax.ops.element_lists`).

In the place of a handle comes the list that it stands for, as with variables; `mgjax.passes.thread_arrays` does that. The
`flow` of a `TensorArray` is a number that only carries an order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from mgjax import dtypes
from mgjax.errors import InternalError, InvalidArgumentError, UnimplementedError
from mgjax.ops.element_lists import ANY, ElementList, PieceList, add_lists
from mgjax.ops.lists import limit_of, split_list
from mgjax.ops.registry import Claim, Static, array_module, check, claim, lower
from mgjax.shapes import describe, is_static

_FLOW = np.zeros((), np.float32)


@lower("TensorArrayV2", "TensorArray")
def tensor_array(size: Static, *, dtype, element_shape=None, dynamic_size=False, is_watched=False):
    return _array_of(int(size), dtype, element_shape, is_watched, grows=dynamic_size)


@lower("TensorArrayV3")
def tensor_array_v3(
    size: Static, *, dtype, element_shape=None, dynamic_size=False, identical_element_shapes=False, is_watched=False
):
    manner = {"grows": dynamic_size, "is_alike": identical_element_shapes}
    return _array_of(int(size), dtype, element_shape, is_watched, **manner), _FLOW


def _array_of(size: int, dtype: Any, shape: Any, is_watched: bool, **manner: bool) -> ElementList:
    if size < 0:
        raise InvalidArgumentError("Size should be >= 0.")
    marks = np.zeros(size, bool) if is_watched else None
    return ElementList(None, size, size, shape, dtype.numpy, marks=marks, **manner)


@lower("TensorArrayGradV2", "TensorArrayGrad")
def tensor_array_grad(handle, flow_in):
    """Zeros, one for each element."""
    return handle.zeros_like().with_(adds=True, grows=False)


@lower("TensorArrayGradV3")
def tensor_array_grad_v3(handle, flow_in):
    return tensor_array_grad(handle, flow_in), flow_in


@lower("TensorArrayGradWithShape")
def tensor_array_grad_with_shape(handle, flow_in, shape_to_prepend: Static):
    """Zeros for each element, each with more axes before its own."""
    front = tuple(int(n) for n in shape_to_prepend)
    shape = None if handle.shape is None else (*front, *handle.shape)
    longer = handle.zeros_like().with_(adds=True, grows=False, shape=shape)
    if handle.buffer is not None and not isinstance(handle, PieceList):
        zeros = jnp.zeros((handle.capacity, *front, *handle.element_shape()), handle.dtype)
        longer = longer.with_(buffer=zeros, shape=zeros.shape[1:])
    return longer, flow_in


@lower("TensorArrayWriteV3", "TensorArrayWriteV2", "TensorArrayWrite", updates=("handle",))
def tensor_array_write(handle, index, value, flow_in):
    if np.dtype(value.dtype) != handle.dtype:
        raise InvalidArgumentError(
            f"TensorArray dtype is {handle.dtype} but Op is trying to write dtype {value.dtype}."
        )
    return handle.set(index, value), flow_in


@lower("TensorArrayReadV3", "TensorArrayReadV2", "TensorArrayRead")
def tensor_array_read(handle, index, flow_in, *, dtype):
    if dtype.numpy != handle.dtype:
        raise InvalidArgumentError(f"TensorArray dtype is {handle.dtype} but Op requested dtype {dtype.numpy}.")
    length = handle.length
    if isinstance(index, np.ndarray) and isinstance(length, int) and not 0 <= int(index) < length:
        raise InvalidArgumentError(f"Tried to read from index {int(index)} but array size is: {length}")
    return handle.get(index)


@check("TensorArrayWriteV3", "TensorArrayWriteV2", "TensorArrayWrite")
def is_written_inside(handle, index):
    message = "Tried to write to index {value} but array is not resizeable and size is: {size}"
    is_inside = (index >= 0) & (handle.grows | (index < handle.length))
    yield claim(is_inside, message, value=index, size=handle.length)
    if not handle.adds:
        yield claim(~_are_written(handle, index), _WRITTEN, value=index)


@check("TensorArrayReadV3", "TensorArrayReadV2", "TensorArrayRead")
def is_read_inside(handle, index):
    is_inside = (index >= 0) & (index < handle.length)
    yield claim(
        is_inside, "Tried to read from index {value} but array size is: {size}", value=index, size=handle.length
    )
    yield from _claim_there_is_something(handle, index)


_WRITTEN = "Could not write to TensorArray index {value} because it has already been written to."
_NEVER = (
    "Could not read from TensorArray index {value}.  Furthermore, the element shape is not fully defined: {shape}.  It is "
    "possible you are working with a resizeable TensorArray and stop_gradients is not allowing the gradients to be written."
)


def _are_written(handle: ElementList, indices: Any) -> Any:
    """Which of the places were written; none where nobody remembers."""
    if isinstance(handle, PieceList):
        # Where only the running program knows which one is meant, the lowering asks for that, and the check is asked again.
        there = {place for place, piece in enumerate(handle.buffer) if piece is not None}
        return np.isin(indices, list(there)) if isinstance(indices, np.ndarray) else np.zeros((), bool)
    if handle.marks is None:
        return np.zeros(np.shape(indices), bool)
    # A place past the end of an array that grows is a new one.
    return handle.is_marked(indices) & (indices < handle.capacity)


def _claim_there_is_something(handle: ElementList, indices: Any) -> Iterator[Claim]:
    """An element that was never written is zeros, if its shape is known."""
    if handle.marks is not None and not handle.adds and not is_static(handle.shape) and not _shape_is_learnt(handle):
        yield claim(_are_written(handle, indices), _NEVER, value=indices, shape=describe(handle.shape))


def _shape_is_learnt(handle: ElementList) -> bool:
    return handle.is_alike and handle.buffer is not None


@lower("TensorArrayGatherV3", "TensorArrayGatherV2", "TensorArrayGather")
def tensor_array_gather(handle, indices, flow_in, *, element_shape=None):
    _check_empty(handle, indices, element_shape)
    return handle.gather(indices, element_shape)


def _check_empty(handle: ElementList, indices: Any, hint: Any) -> None:
    """No elements are packed only where the shape of an element is known."""
    if np.size(indices) == 0 and handle.buffer is None and not is_static(handle.shape) and not is_static(hint):
        raise UnimplementedError(
            f"TensorArray has size zero, but element shape {describe(handle.shape)} is not fully defined. "
            "Currently only static shapes are supported when packing zero-size TensorArrays."
        )


@lower("TensorArrayScatterV3", "TensorArrayScatterV2", "TensorArrayScatter", updates=("handle",))
def tensor_array_scatter(handle, indices, value, flow_in):
    if np.ndim(value) == 0 or np.size(indices) != value.shape[0]:
        raise InvalidArgumentError(
            f"Expected len(indices) == values.shape[0], but saw: {np.size(indices)} vs. {(*np.shape(value), 0)[0]}"
        )
    if isinstance(indices, np.ndarray):
        largest, size = int(indices.max(initial=-1)), handle.length
        if not handle.grows and isinstance(size, int) and largest >= size:
            raise InvalidArgumentError(f"Max scatter index must be < array size ({largest} vs. {size})")
        if indices.min(initial=0) < 0:
            raise InvalidArgumentError(
                f"Tried to write to index {int(indices.min())} but array is not resizeable and size is: {size}"
            )
        if not handle.adds and len(set(indices.tolist())) < indices.size:
            again = next(i for n, i in enumerate(indices.tolist()) if i in indices[:n])
            raise InvalidArgumentError(_WRITTEN.format(value=again))
    return handle.scatter(indices, value), flow_in


@check("TensorArrayGatherV3", "TensorArrayGatherV2", "TensorArrayGather")
def are_read_inside(handle, indices):
    is_inside = (indices >= 0) & (indices < handle.length)
    yield claim(
        is_inside, "Tried to read from index {value} but array size is: {size}", value=indices, size=handle.length
    )
    yield from _claim_there_is_something(handle, indices)


@check("TensorArrayScatterV3", "TensorArrayScatterV2", "TensorArrayScatter")
def are_written_inside(handle, indices):
    if not handle.grows:
        message = "Max scatter index must be < array size ({value} vs. {size})"
        yield claim(indices < handle.length, message, value=indices, size=handle.length)
    message = "Tried to write to index {value} but array is not resizeable and size is: {size}"
    yield claim(indices >= 0, message, value=indices, size=handle.length)
    if not handle.adds:
        # In order, equal indices are neighbours.
        ordered = array_module(indices).sort(indices)
        yield claim(ordered[1:] != ordered[:-1], _WRITTEN, value=ordered[1:])
        yield claim(~_are_written(handle, indices), _WRITTEN, value=indices)


@lower("TensorArrayConcatV3", "TensorArrayConcatV2", "TensorArrayConcat")
def tensor_array_concat(handle, flow_in, *, element_shape_except0=None):
    hint = None if element_shape_except0 is None else (0, *element_shape_except0)
    return handle.concatenated(hint)


@lower("TensorArraySplitV3", "TensorArraySplitV2", "TensorArraySplit", updates=("handle",))
def tensor_array_split(handle, value, lengths: Static, flow_in):
    pieces = split_list(value, lengths)
    if not handle.grows and handle.length != pieces.length:
        raise InvalidArgumentError(
            f"TensorArray's size is not equal to the size of lengths ({handle.length} vs. {pieces.length}), and the "
            "TensorArray is not marked as dynamically resizeable"
        )
    if handle.adds and handle.buffer is not None:
        return add_lists(handle, pieces), flow_in
    if isinstance(pieces, PieceList) and handle.is_alike:
        raise InvalidArgumentError(
            f"TensorArray has inferred shape: its elements cannot have the lengths {lengths.tolist()}"
        )
    marks = None if handle.marks is None else np.ones(pieces.capacity, bool)
    return pieces.with_(adds=handle.adds, grows=handle.grows, is_alike=handle.is_alike, marks=marks), flow_in


@check("TensorArraySplitV3", "TensorArraySplitV2", "TensorArraySplit")
def are_split_once(handle):
    if not handle.adds and isinstance(handle.length, int):
        indices = np.arange(handle.length)
        yield claim(~_are_written(handle, indices), _WRITTEN, value=indices)


@lower("TensorArraySizeV3", "TensorArraySizeV2", "TensorArraySize")
def tensor_array_size(handle, flow_in):
    length = handle.length
    return np.array(length, np.int32) if isinstance(length, int) else jnp.asarray(length, np.int32)


@lower("TensorArrayCloseV3", "TensorArrayCloseV2", "TensorArrayClose", "StackCloseV2", "StackClose")
def close(handle):
    return ()


@lower("TensorArrayPack")
def tensor_array_pack(handle, flow_in, *, element_shape=None):
    _check_empty(handle, np.arange(handle.known_length()), element_shape)
    return handle.stack(element_shape)


@lower("TensorArrayUnpack", updates=("handle",))
def tensor_array_unpack(handle, value, flow_in):
    return tensor_array_scatter(handle, np.arange(value.shape[0], dtype=np.int32), value, flow_in)


@check("TensorArrayUnpack")
def are_unpacked_once(handle, value):
    if not handle.adds:
        indices = np.arange(value.shape[0])
        yield claim(~_are_written(handle, indices), _WRITTEN, value=indices)


@lower("StackV2")
def stack_v2(max_size, *, elem_type, is_watched=False):
    return stack(elem_type=elem_type).with_(limit=limit_of(max_size) if is_watched else None)


@lower("Stack")
def stack(*, elem_type):
    return ElementList(None, 0, 0, None, elem_type.numpy, known=ANY)


@lower("StackPushV2", "StackPush", updates=("handle",))
def stack_push(handle, elem):
    return handle.push(elem), elem


@check("StackPushV2", "StackPush")
def is_pushed_below_the_limit(handle):
    if handle.limit is not None:
        message = "Stack overflowed its max_size ({limit})"
        yield claim((handle.limit < 0) | (handle.length < handle.limit), message, limit=handle.limit)


@lower("StackPopV2", "StackPop", updates=("handle",))
def stack_pop(handle, *, elem_type):
    if elem_type is not dtypes.resource and elem_type.numpy != handle.dtype:
        raise InternalError(f"Output 0 of type {handle.dtype} does not match declared output type {elem_type.name}")
    return handle.pop()


@check("StackPopV2", "StackPop")
def is_popped_from_something(handle):
    yield claim(handle.length > 0, "Stack is empty when calling Pop().")
