"""Checks and converts the values that are fed."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from mgjax.errors import FeedError
from mgjax.ir import TensorType
from mgjax.shapes import describe, is_compatible


def convert_feed(name: str, type: TensorType, value: Any) -> Any:
    """The value as an array of the tensor's dtype: NumPy for what is no JAX array.

    Numbers are converted within their kind or to a wider kind (float64 to float32, int64 to int32, int to float), so that
    Python numbers and NumPy's default dtypes can be fed; nothing is truncated from float to integer.

    Raises:
        FeedError: another kind of dtype, a number that does not fit, or a shape that the tensor cannot have.
    """
    array = _as_array(name, type, value)
    if not is_compatible(type.shape, array.shape):
        raise FeedError(f"{name!r} has shape {describe(type.shape)}; the value fed has {describe(array.shape)}")
    return array


def convert_held(name: str, type: TensorType, value: Any) -> Any:
    """The value of a variable in a state, as an array of the variable's dtype; conversions are those of `convert_feed`.

    Raises:
        FeedError: another kind of dtype, another shape, or what JAX's 32-bit mode has cut in half on its way into a trace.
    """
    if type.dtype is None:
        return value
    # `None == np.dtype(float)` is true.
    if not hasattr(value, "dtype") or value.dtype != type.dtype.numpy:
        if isinstance(value, jax.core.Tracer) and _is_cut(value.dtype, type.dtype.numpy):
            raise FeedError(
                f"variable {name!r} is {type.dtype.name} in the graph and {value.dtype} in the state: JAX's 32-bit mode cuts "
                "NumPy arrays where they enter jit, scan and the like; give them as saver.restore and fn.init do, as JAX "
                "arrays made under jax.enable_x64(True)"
            )
        value = _as_array(name, type, value)
    if type.shape != value.shape and not is_compatible(type.shape, value.shape):
        raise FeedError(
            f"variable {name!r} is of {describe(type.shape)} in the graph and of {describe(value.shape)} in the state"
        )
    return value


def _is_cut(found: np.dtype, wanted: np.dtype) -> bool:
    return found.kind == wanted.kind and found.itemsize < wanted.itemsize


def _as_array(name: str, type: TensorType, value: Any) -> Any:
    if isinstance(value, jax.Array):
        return value if type.dtype is None else _cast(name, type, value)
    try:
        # NumPy's own strings lose zeros at their end, which serialized messages may have.
        holds_text = type.dtype is not None and type.dtype.name == "string" and not isinstance(value, np.ndarray)
        array = np.array(value, object) if holds_text else np.asarray(value)
    except ValueError as error:
        raise FeedError(f"the value fed for {name!r} is no array: {error}") from error
    if type.dtype is None:
        return array
    if type.dtype.name == "string":
        return _as_strings(name, array)
    if array.size == 0 and array.dtype == np.float64 and not hasattr(value, "dtype"):
        return array.astype(type.dtype.numpy)
    return _cast(name, type, array)


def _cast(name: str, type: TensorType, array: Any) -> Any:
    assert type.dtype is not None
    wanted, found = type.dtype.numpy, np.dtype(array.dtype)
    if wanted == found:
        return array
    if not _may_cast(found, wanted):
        raise FeedError(f"{name!r} takes {type.dtype.name}; the value fed is {found}")
    if isinstance(array, np.ndarray) and found.kind in "iu" and wanted.kind in "iu":
        info = np.iinfo(wanted)
        if array.size and (int(array.min()) < info.min or int(array.max()) > info.max):
            raise FeedError(f"{name!r} takes {type.dtype.name}; a value fed does not fit into it")
    if isinstance(array, jax.Array):
        with jax.enable_x64(True):
            return array.astype(wanted)
    return array.astype(wanted)


_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}


def _may_cast(found: np.dtype, wanted: np.dtype) -> bool:
    """Whether the dtype's kind is the wanted one or a narrower one; bfloat16 counts as a float (its kind is V)."""
    if found.kind not in _KINDS or wanted.kind not in _KINDS:
        return False
    return _KINDS[found.kind] <= _KINDS[wanted.kind] and (wanted.kind != "b" or found.kind == "b")


def _as_strings(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "OSU":
        raise FeedError(f"{name!r} takes strings; the value fed is {array.dtype}")
    flat = [item.encode() if isinstance(item, str) else item for item in array.ravel().tolist()]
    if not all(isinstance(item, bytes) for item in flat):
        raise FeedError(f"{name!r} takes strings (bytes or str); a value fed is another object")
    strings = np.empty(len(flat), object)
    strings[:] = flat
    return strings.reshape(array.shape)
