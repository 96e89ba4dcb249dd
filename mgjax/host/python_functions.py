"""Python functions in a graph: `PyFunc` calls the one that the user has bound to its token.

A file holds the token alone; what function it stood for is lost with the program that wrote the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops import lower


@lower("PyFunc", "EagerPyFunc", context=True, host=True, effect=True)
def py_func(input, *, context, token, Tout=(), is_async=False):
    """The arrays that the function gives, in the dtypes that the node declares; `is_async` plays no part."""
    return _call(input, context, token, Tout)


@lower("PyFuncStateless", context=True, host=True)
def py_func_stateless(input, *, context, token, Tout=()):
    return _call(input, context, token, Tout)


def _call(arguments, context, token, dtypes):
    function = context.functions.get(token)
    if function is None:
        known = f"; bound are {', '.join(map(repr, context.functions))}" if context.functions else ""
        raise UnsupportedError(
            f"the graph calls the Python function {token!r}, which its file does not hold; bind one where the graph is "
            f"imported, py_functions={{{token!r}: function}}, or feed what the node gives{known}"
        )
    # The function may keep or change what it is given.
    outputs = function(*(np.array(array) if array.ndim else array[()] for array in arguments))
    if outputs is None:
        outputs = []
    elif not isinstance(outputs, (tuple, list)) or (len(dtypes) == 1 and isinstance(outputs, list)):
        outputs = [outputs]
    if len(outputs) != len(dtypes):
        raise InvalidArgumentError(
            f"pyfunc {token!r} returns {len(outputs)} values, but expects to see {len(dtypes)} values."
        )
    return [_converted(token, i, value, dtype) for i, (value, dtype) in enumerate(zip(outputs, dtypes, strict=True))]


def _converted(token: str, index: int, value: Any, dtype: Any) -> np.ndarray:
    if dtype.numpy == np.dtype(object):
        array = np.array(value, object)
        flat = [item.encode() if isinstance(item, str) else item for item in array.ravel().tolist()]
        if all(isinstance(item, bytes) for item in flat):
            result = np.empty(len(flat), object)
            result[:] = flat
            return result.reshape(array.shape)
    array = np.asarray(value)
    # Python's own numbers take the declared dtype; arrays must have it (python/ops/script_ops.py, _convert).
    if not hasattr(value, "dtype") and array.dtype.kind in "biufc":
        array = np.asarray(value, dtype.numpy)
    if array.dtype != dtype.numpy:
        raise InvalidArgumentError(
            f"{index}-th value returned by pyfunc {token!r} is {array.dtype}, but expects {dtype.name}"
        )
    return array
