"""`TensorArray*` and `Stack*`: lists that a handle names (`mgjax.ops.lists`).

In the place of a handle comes the list that it stands for, as with variables; `mgjax.passes.thread_arrays` does that. The
`flow` of a `TensorArray` is a number that only carries an order.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.lists import ANY, ElementList, concatenated, filled_list, split_evenly
from mgjax.ops.registry import Static, lower

_FLOW = np.zeros((), np.float32)


@lower("TensorArrayV2", "TensorArray")
def tensor_array(size: Static, *, dtype, element_shape=None, dynamic_size=False):
    count = int(size)
    return ElementList(None, count, count, element_shape, dtype.numpy, grows=dynamic_size)


@lower("TensorArrayV3")
def tensor_array_v3(size: Static, **attrs):
    taken = {name: value for name, value in attrs.items() if name in ("dtype", "element_shape", "dynamic_size")}
    return tensor_array(size, **taken), _FLOW


@lower("TensorArrayGradV2", "TensorArrayGrad")
def tensor_array_grad(handle, flow_in):
    """Zeros, one for each element."""
    return handle.zeros_like().with_(adds=True, grows=False)


@lower("TensorArrayGradV3")
def tensor_array_grad_v3(handle, flow_in):
    return handle.zeros_like().with_(adds=True, grows=False), flow_in


@lower("TensorArrayWriteV3", "TensorArrayWriteV2", "TensorArrayWrite", updates=("handle",))
def tensor_array_write(handle, index, value, flow_in):
    if np.dtype(value.dtype) != handle.dtype:
        raise InvalidArgumentError(
            f"TensorArray dtype is {handle.dtype} but Op is trying to write dtype {value.dtype}."
        )
    return handle.set(index, value), flow_in


@lower("TensorArrayReadV3", "TensorArrayReadV2", "TensorArrayRead")
def tensor_array_read(handle, index, flow_in):
    if isinstance(index, np.ndarray) and not 0 <= int(index) < handle.capacity:
        raise InvalidArgumentError(f"Tried to read from index {int(index)} but array size is: {handle.capacity}")
    return handle.get(index)


@lower("TensorArrayGatherV3", "TensorArrayGatherV2", "TensorArrayGather")
def tensor_array_gather(handle, indices, flow_in, *, element_shape=None):
    return handle.gather(indices, element_shape)


@lower("TensorArrayScatterV3", "TensorArrayScatterV2", "TensorArrayScatter", updates=("handle",))
def tensor_array_scatter(handle, indices, value, flow_in):
    indices = jnp.asarray(indices, np.int32)
    if handle.grows and handle.capacity < value.shape[0]:
        handle = handle.with_capacity(value.shape[0]).with_(length=value.shape[0])
    filled = handle.with_buffer(jax.ShapeDtypeStruct(value.shape[1:], value.dtype))
    put = filled.buffer.at[indices].add if handle.adds else filled.buffer.at[indices].set
    return filled.with_(buffer=put(value)), flow_in


@lower("TensorArrayConcatV3", "TensorArrayConcatV2", "TensorArrayConcat")
def tensor_array_concat(handle, flow_in):
    return concatenated(handle)


@lower("TensorArraySplitV3", "TensorArraySplitV2", "TensorArraySplit", updates=("handle",))
def tensor_array_split(handle, value, lengths: Static, flow_in):
    pieces = filled_list(split_evenly(value, lengths))
    if handle.adds and handle.buffer is not None:
        return handle.with_(buffer=handle.buffer + pieces.buffer), flow_in
    return handle.with_(buffer=pieces.buffer, length=pieces.length, capacity=pieces.capacity), flow_in


@lower("TensorArraySizeV3", "TensorArraySizeV2", "TensorArraySize")
def tensor_array_size(handle, flow_in):
    length = handle.length
    return np.array(length, np.int32) if isinstance(length, int) else jnp.asarray(length, np.int32)


@lower("TensorArrayCloseV3", "TensorArrayCloseV2", "TensorArrayClose", "StackCloseV2", "StackClose")
def close(handle):
    return ()


@lower("TensorArrayPack")
def tensor_array_pack(handle, flow_in, *, element_shape=None):
    return handle.stack(element_shape)


@lower("TensorArrayUnpack", updates=("handle",))
def tensor_array_unpack(handle, value, flow_in):
    return tensor_array_scatter(handle, np.arange(value.shape[0], dtype=np.int32), value, flow_in)


@lower("StackV2")
def stack_v2(max_size, *, elem_type):
    return stack(elem_type=elem_type)


@lower("Stack")
def stack(*, elem_type):
    return ElementList(None, 0, 0, None, elem_type.numpy, known=ANY)


@lower("StackPushV2", "StackPush", updates=("handle",))
def stack_push(handle, elem):
    return handle.push(elem), elem


@lower("StackPopV2", "StackPop", updates=("handle",))
def stack_pop(handle):
    return handle.pop()
