"""The words of a Philox stream one at a time, as host steps take them (`random::SingleSampleAdapter`)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from mgjax.ops import initial_generator

_BLOCKS_AT_ONCE = 256
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


class Words(Iterator[int]):
    """An endless sequence of 32-bit words for a pair of seeds."""

    def __init__(self, seed: int, seed2: int):
        self._start(initial_generator(seed, seed2))

    @classmethod
    def of(cls, generator: Any) -> Words:
        """The words that a generator, uint32[6], makes."""
        words = cls.__new__(cls)
        words._start(generator)
        return words

    def _start(self, generator: Any) -> None:
        numbers = [int(word) for word in np.asarray(generator)]
        self._key = numbers[:2]
        self._counter = sum(word << 32 * i for i, word in enumerate(numbers[2:]))
        self._words: list[int] = []

    @property
    def generator(self) -> np.ndarray:
        """The generator, uint32[6], of what follows from the next block of four words on."""
        block = self._counter - len(self._words) // 4
        return np.array([*self._key, *(block >> shift & 0xFFFFFFFF for shift in range(0, 128, 32))], np.uint32)

    def __next__(self) -> int:
        if not self._words:
            self._words = self._next_blocks()
        return self._words.pop()

    def _next_blocks(self) -> list[int]:
        """The next words, last one first."""
        blocks = [self._counter + i & (1 << 128) - 1 for i in range(_BLOCKS_AT_ONCE)]
        self._counter += _BLOCKS_AT_ONCE
        counter = [
            np.array([block >> shift & 0xFFFFFFFF for block in blocks], np.uint64) for shift in range(0, 128, 32)
        ]
        key0, key1 = self._key
        for _ in range(10):
            first = np.uint64(0xD2511F53) * counter[0]
            second = np.uint64(0xCD9E8D57) * counter[2]
            counter = [
                (second >> _HALF) ^ counter[1] ^ np.uint64(key0),
                second & _LOW,
                (first >> _HALF) ^ counter[3] ^ np.uint64(key1),
                first & _LOW,
            ]
            key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
        return np.stack(counter, axis=1).ravel()[::-1].tolist()


def draw_seeds(generator: Any) -> tuple[tuple[int, int], np.ndarray]:
    """A pair of 64-bit seeds, and the generator after it."""
    words = Words.of(generator)
    first, second, third, fourth = itertools.islice(words, 4)
    return (first | second << 32, third | fourth << 32), words.generator


def below(limit: int, stream: Iterator[int], bits: int = 32) -> int:
    """An integer below `limit`, all equally likely: the remainder of the first number of which that is true.

    Args:
        bits: of a number, 32 or 64; then the lower half comes first.
    """
    if limit & (limit - 1) == 0:
        return _number(stream, bits) & (limit - 1)
    rest = (2**bits - 1) % limit + 1
    while (number := _number(stream, bits)) < rest:
        pass
    return number % limit


def _number(stream: Iterator[int], bits: int) -> int:
    return next(stream) if bits == 32 else next(stream) | next(stream) << 32


def unit(stream: Iterator[int]) -> np.float32:
    """A float32 in [0, 1), of 23 bits."""
    return np.float32((next(stream) & 0x7FFFFF) / 2**23)
