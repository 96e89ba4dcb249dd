"""Checks of values, and printing.

A check whose operands are known while tracing raises what TensorFlow raises. In compiled code it lets everything pass.
`Print` passes its input on and prints nothing.
"""

from __future__ import annotations

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import is_known, lower


@lower("CheckNumerics")
def check_numerics(tensor, *, message):
    if is_known(tensor):
        names = [name for name, test in (("Inf", np.isinf), ("NaN", np.isnan)) if np.any(test(tensor))]
        if names:
            raise InvalidArgumentError(f"{message} : Tensor had {' and '.join(names)} values")
    return tensor


@lower("CheckNumericsV2")
def check_numerics_v2(tensor, *, message):
    """`check_numerics` that tells the two infinities apart."""
    if is_known(tensor):
        tests = {"-Inf": np.isneginf, "+Inf": np.isposinf, "NaN": np.isnan}
        names = [name for name, test in tests.items() if np.any(test(tensor))]
        if names:
            text = " and ".join(names) if len(names) < 3 else "-Inf, +Inf, and NaN"
            raise InvalidArgumentError(f"{message} : Tensor had {text} values")
    return tensor


@lower("Assert", effect=True)
def assert_true(condition, data, *, summarize=3):
    if is_known(condition) and not condition:
        shown = " ".join(f"[{summary(x, summarize)}]" if is_known(x) else "[...]" for x in data)
        raise InvalidArgumentError(f"assertion failed: {shown}")
    return ()


@lower("Print", effect=True)
def print_data(input, data):
    return input


def summary(array, limit):
    """The first `limit` elements (all if negative) and dots for the rest, as TensorFlow shows a tensor in a message."""
    array = np.asarray(array)
    if limit < 0 or array.size <= limit:
        return _elements(array, array.size)
    return (_elements(array, limit) if array.ndim > 1 else _joined(array, limit)) + "..."


def _elements(array, limit):
    if array.ndim <= 1:
        return _joined(array, limit) + ("..." if 0 < limit < array.size else "")
    shown = array[: -(-limit // max(array[:1].size, 1))]
    return "".join(f"[{_elements(row, limit - i * row.size)}]" for i, row in enumerate(shown))


def _joined(array, limit):
    return " ".join(_text(x) for x in np.ravel(array)[:limit])


def _text(x):
    if isinstance(x, bytes):
        return "".join(_ESCAPES.get(c) or (chr(c) if 32 <= c < 127 else f"\\{c:03o}") for c in x)
    if isinstance(x, (bool, np.bool_)):
        return str(int(x))
    if not np.issubdtype(type(x), np.number):
        return str(x)
    if np.issubdtype(type(x), np.complexfloating):
        return "?"
    if np.issubdtype(type(x), np.integer):
        return str(x)
    # The shorter of two precisions that reads back as the same number.
    kind, digits = (np.float64, (15, 17)) if isinstance(x, np.float64) else (np.float32, (6, 9))
    short, full = (f"{float(x):.{n}g}" for n in digits)
    return short if np.isnan(x) or kind(short) == kind(x) else full


_ESCAPES = {ord(k): v for k, v in {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "'": "\\'", "\\": "\\\\"}.items()}
