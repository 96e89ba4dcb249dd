"""Tensors on their way into a checkpoint of either format."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from mgjax import dtypes
from mgjax.checkpoint.slices import WHOLE, Slice, bounds_of, format_slice, sizes_of
from mgjax.proto.checkpoint_pb2 import TensorSliceProto


class Tensor(NamedTuple):
    """A tensor to be written (a tuple, as there are many).

    Attributes:
        name: under which it is stored.
        value: an array, or what `np.asarray` makes one of; strings are objects (`bytes`, or `str` in UTF-8).
        full_shape: for a piece of a partitioned tensor, that tensor's shape; else None.
        extents: for a piece, where it lies: (start, length) a dimension, length -1 for all of it; else None.
        dtype: where the array does not tell (quantized types).
        shard: the number of the data file that it is to go to; that which has least if None.
    """

    name: str
    value: Any
    full_shape: tuple[int, ...] | None = None
    extents: Slice | None = None
    dtype: dtypes.DType | None = None
    shard: int | None = None


def prepare(tensor: Tensor) -> tuple[dtypes.DType, np.ndarray]:
    """The data type and the elements, in row-major order and of this machine's byte order.

    Raises `ValueError` where TensorFlow has no such type, or a piece does not fit its place.
    """
    array = np.asarray(tensor.value, order="C")
    dtype = _dtype_of(array.dtype) if tensor.dtype is None else _declared(tensor.dtype, array.dtype)
    if tensor.full_shape is not None and tensor.extents is not None:
        check_place(array.shape, tensor.full_shape, tensor.extents)
    if dtype.numpy.kind != "O" and not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return dtype, array


def check_place(shape: tuple[int, ...], full_shape: tuple[int, ...], extents: Slice) -> None:
    """Raises `ValueError` where a piece of `shape` does not fit its place."""
    if sizes_of(bounds_of(extents, full_shape)) != shape:
        raise ValueError(
            "Slice in shape_and_slice specification does not match the shape of the tensor to  save: "
            f"{list(full_shape)} {format_slice(extents)}, tensor: {list(shape)}"
        )


@cache
def _dtype_of(numpy: np.dtype) -> dtypes.DType:
    return dtypes.from_numpy(numpy.newbyteorder("="))


def _declared(dtype: dtypes.DType, numpy: np.dtype) -> dtypes.DType:
    if dtype.numpy != _dtype_of(numpy).numpy:
        raise ValueError(f"the value is {numpy}, not {dtype}")
    return dtype


def strings_of(array: np.ndarray) -> list[bytes]:
    """The elements of an array of strings. Raises `ValueError` where one is none."""
    strings = []
    for value in array.reshape(-1).tolist():
        if isinstance(value, str):
            value = value.encode()
        if not isinstance(value, bytes):
            raise ValueError(f"an element of type {type(value).__name__} where strings (bytes or str) are needed")
        strings.append(value)
    return strings


def slice_to_proto(extents: Slice) -> TensorSliceProto:
    """The message of a slice: an extent that is a whole dimension has no length."""
    message = TensorSliceProto()
    for start, length in extents:
        extent = message.extent.add()
        if length != WHOLE:
            extent.start = start
            extent.length = length
    return message
