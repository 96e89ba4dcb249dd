"""The words of Philox one at a time, as the kernels of datasets take them (`random::SingleSampleAdapter`)."""

from __future__ import annotations

import numpy as np

_BLOCKS_AT_ONCE = 256
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


class Words:
    """An endless sequence of 32-bit words for a pair of seeds."""

    def __init__(self, seed: int, seed2: int):
        self._key = [(seed >> shift) & 0xFFFFFFFF for shift in (0, 32)]
        self._high = [np.uint64((seed2 >> shift) & 0xFFFFFFFF) for shift in (0, 32)]
        self._block = 0
        self._words: list[int] = []

    def __next__(self) -> int:
        if not self._words:
            self._words = self._next_blocks()
        return self._words.pop()

    def _next_blocks(self) -> list[int]:
        """The next words, last one first."""
        number = np.arange(self._block, self._block + _BLOCKS_AT_ONCE, dtype=np.uint64)
        self._block += _BLOCKS_AT_ONCE
        full = np.full_like
        counter = [number & _LOW, number >> _HALF, full(number, self._high[0]), full(number, self._high[1])]
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
