"""The words of a random stream, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mgjax.ops import philox


def words(generator: Any, expected: int) -> Iterator[int]:
    """The words that a generator, uint32[6], makes, without an end. They are made in chunks of `expected` or more."""
    count, done = max(expected, 4), 0
    while True:
        chunk = np.asarray(philox.words(generator, done + count))[done:]
        yield from map(int, chunk)
        done += count


def below(limit: int, stream: Iterator[int]) -> int:
    """An integer below `limit`, all equally likely: the remainder of the first word of which that is true."""
    if limit & (limit - 1) == 0:
        return next(stream) & (limit - 1)
    rest = (2**32 - 1) % limit + 1
    return next(word for word in stream if word >= rest) % limit
