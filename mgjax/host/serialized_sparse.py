"""Sparse tensors as three serialized tensors each (indices, values, dense shape), alone or a batch of them."""

from __future__ import annotations

import numpy as np

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.host.parsing import as_tensor_proto, parse_tensor
from mgjax.host.strings import strings
from mgjax.ops import lower
from mgjax.shapes import describe


class Boxed:
    """A tensor as the one element of a variant; boxes are equal only to themselves."""

    def __init__(self, array: np.ndarray):
        self.array = array


def _packed(array: np.ndarray, out_type: dtypes.DType) -> object:
    return Boxed(array) if out_type is dtypes.variant else as_tensor_proto(array)


def _unpacked(item: object, dtype: dtypes.DType) -> np.ndarray:
    if not isinstance(item, Boxed):
        return parse_tensor(np.array(item, object), out_type=dtype)
    if item.array.dtype != dtype.numpy:
        raise InvalidArgumentError(f"Requested SparseTensor of type {dtype}, the variant holds {item.array.dtype}")
    return item.array


@lower("SerializeSparse", host=True)
def serialize_sparse(sparse_indices, sparse_values, sparse_shape, *, out_type=dtypes.string):
    """[3]: the tensor's indices, values and shape."""
    return strings([_packed(part, out_type) for part in (sparse_indices, sparse_values, sparse_shape)])


@lower("SerializeManySparse", host=True)
def serialize_many_sparse(sparse_indices, sparse_values, sparse_shape, *, out_type=dtypes.string):
    """[n, 3]: the slices along the first dimension, each as a sparse tensor of its own."""
    if len(sparse_shape) < 2:
        raise InvalidArgumentError(f"Rank of input SparseTensor should be > 1, but saw rank: {len(sparse_shape)}")
    rows = []
    for row in range(int(sparse_shape[0])):
        inside = sparse_indices[:, 0] == row
        parts = (sparse_indices[inside, 1:], sparse_values[inside], sparse_shape[1:])
        rows += [_packed(np.ascontiguousarray(part), out_type) for part in parts]
    return strings(rows, (int(sparse_shape[0]), 3))


@lower("DeserializeSparse", host=True)
def deserialize_sparse(serialized_sparse, *, dtype):
    """The sparse tensor of [..., 3]; the dimensions before the last become its first ones, its shape holds them all."""
    if serialized_sparse.ndim == 0 or serialized_sparse.shape[-1] != 3:
        raise InvalidArgumentError(
            f"Serialized sparse should have 3 as the last dimension but has shape {describe(serialized_sparse.shape)}"
        )
    batch = serialized_sparse.shape[:-1]
    items = serialized_sparse.reshape(-1, 3)
    if not len(items):
        raise InvalidArgumentError("Must have at least 1 serialized SparseTensor, but input matrix has 0 rows")
    indices, values, shapes = [], [], []
    for place, (own_indices, own_values, own_shape) in zip(np.ndindex(*batch), items, strict=True):
        own = _unpacked(own_indices, dtypes.int64)
        shapes.append(_unpacked(own_shape, dtypes.int64))
        values.append(_unpacked(own_values, dtype))
        if len(shapes[-1]) != len(shapes[0]):
            raise InvalidArgumentError(
                f"Inconsistent shape across SparseTensors: rank prior to SparseTensor[{len(shapes) - 1}] was: "
                f"{len(shapes[0])} but rank of SparseTensor[{len(shapes) - 1}] is: {len(shapes[-1])}"
            )
        if own.shape != (len(values[-1]), len(shapes[-1])):
            raise InvalidArgumentError(
                f"Expected sparse_indices of shape [{len(values[-1])},{len(shapes[-1])}], got {describe(own.shape)}"
            )
        indices.append(np.concatenate([np.tile(np.array(place, np.int64), (len(own), 1)), own], axis=1))
    size = np.concatenate([np.array(batch, np.int64), np.max(shapes, axis=0)])
    return np.concatenate(indices), np.concatenate(values), size


@lower("DeserializeManySparse", host=True)
def deserialize_many_sparse(serialized_sparse, *, dtype):
    """`deserialize_sparse` of a matrix [n, 3]."""
    if serialized_sparse.ndim != 2:
        raise InvalidArgumentError(
            f"Serialized sparse should be a matrix, its shape is {describe(serialized_sparse.shape)}"
        )
    return deserialize_sparse(serialized_sparse, dtype=dtype)
