"""Checks of values, and how messages show them.

Without a request for errors, compiled code lets everything pass.
"""

from __future__ import annotations

import jax
import numpy as np

from mgjax.ops.registry import array_module, check, claim, lower


@lower("CheckNumerics", "CheckNumericsV2")
def check_numerics(tensor):
    return tensor


@check("CheckNumerics")
def is_finite(tensor, message):
    xp = array_module(tensor)
    is_inf, is_nan = xp.any(xp.isinf(tensor)), xp.any(xp.isnan(tensor))
    for found, has in (("Inf and NaN", is_inf & is_nan), ("Inf", is_inf), ("NaN", is_nan)):
        yield claim(xp.logical_not(has), "{text} : Tensor had {found} values", text=message, found=found)


@check("CheckNumericsV2")
def is_finite_with_signs(tensor, message):
    """`is_finite` that tells the two infinities apart."""
    xp = array_module(tensor)
    minus, plus, nan = (xp.any(x) for x in (xp.isneginf(tensor), xp.isposinf(tensor), xp.isnan(tensor)))
    found = {
        "-Inf, +Inf, and NaN": minus & plus & nan,
        "-Inf and +Inf": minus & plus,
        "-Inf and NaN": minus & nan,
        "+Inf and NaN": plus & nan,
        "-Inf": minus,
        "+Inf": plus,
        "NaN": nan,
    }
    for what, has in found.items():
        yield claim(xp.logical_not(has), "{text} : Tensor had {found} values", text=message, found=what)


@lower("Assert", effect=True, quotes=("data",))
def assert_true(condition, data):
    return ()


@check("Assert")
def is_true(condition, data, summarize=3):
    shown = " ".join("[...]" if isinstance(x, jax.core.Tracer) else f"[{summary(x, summarize)}]" for x in data)
    yield claim(condition, "assertion failed: {shown}", shown=shown)


def summary(array, limit):
    """The first `limit` elements (all if negative) and dots for the rest, as TensorFlow shows a tensor in a message."""
    array = np.asarray(array)
    if (marks := hidden_summary(array, limit)) is not None:
        return marks
    if limit < 0 or array.size <= limit:
        return _elements(array, array.size)
    return (_elements(array, limit) if array.ndim > 1 else _joined(array, limit)) + "..."


def hidden_summary(array, limit):
    """A mark for each of the first `limit` elements, of a type that TensorFlow 1.15 cannot show; None for any other."""
    dtype = np.asarray(array).dtype
    if dtype.kind not in "cV":
        return None
    count = np.size(array) if limit < 0 else min(limit, np.size(array))
    return " ".join("?" * count) + ("..." if count < np.size(array) else "")


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
    if np.issubdtype(type(x), np.integer):
        return str(x)
    # The shorter of two precisions that reads back as the same number.
    kind, digits = (np.float64, (15, 17)) if isinstance(x, np.float64) else (np.float32, (6, 9))
    short, full = (f"{float(x):.{n}g}" for n in digits)
    return short if np.isnan(x) or kind(short) == kind(x) else full


_ESCAPES = {ord(k): v for k, v in {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "'": "\\'", "\\": "\\\\"}.items()}
