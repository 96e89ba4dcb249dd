"""Strings to draw from, and arrays of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tests.ops.properties.recipes import Recipe

PIECES = (
    b"", b"a", b"aa", b"ab", b"B", b" ", b"  ", b",", b", ", b"\t", b"\n", b"\x00", b"\x1f", b"0", b"42", b"-1.5", b"_",
    b"%s", b'"',
    "é".encode(), "É".encode(), "ß".encode(), "☃".encode(), "😀".encode(), "İ".encode(), "ǅ".encode(), "日本".encode(),
    "\u00a0".encode(),
    "\u2028".encode(), "\ufeff".encode(), "\ufffd".encode(), b"\xff", b"\xfe", b"\x80", b"\xc3", b"\xe2\x98",
    b"\xed\xa0\x80", b"\xc0\x80",
    b"\xf4\x90\x80\x80", b"zz top",
)  # fmt: skip
"""ASCII and not, spaces of all kinds, letters that change length with case, and what is not UTF-8."""


def text(value: bytes) -> np.ndarray:
    """A string as a scalar; NumPy's own byte strings would end before trailing zeros."""
    return np.array(value, object)


def strings(
    recipe: Recipe, shape: Sequence[int] = (), options: Sequence[bytes] | None = None, *, longest: int = 0
) -> np.ndarray:
    """Strings among `options`; by default `PIECES` put together, now and then any bytes up to `longest`."""
    array = np.empty(tuple(shape), object)
    for index in np.ndindex(array.shape):
        array[index] = _string(recipe.rng, options, longest)
    return array


def _string(rng: np.random.Generator, options: Sequence[bytes] | None, longest: int) -> bytes:
    if options is not None:
        return options[rng.integers(len(options))]
    if longest and rng.random() < 0.5:
        return rng.bytes(int(rng.integers(longest)))
    return b"".join(PIECES[i] for i in rng.integers(0, len(PIECES), rng.integers(0, 5)))
