"""The random numbers by which a `RandomShuffleQueue` picks its elements: Philox's words one by one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_WORD = 0xFFFFFFFF


def random_words(seed: int, seed2: int) -> Iterator[int]:
    """Integers below 2**32, as TensorFlow's `SingleSampleAdapter<PhiloxRandom>` gives them.

    Where both seeds are 0 they come from the operating system.
    """
    if (seed, seed2) == (0, 0):
        seed, seed2 = secrets.randbits(64), secrets.randbits(64)
    key = seed & _WORD, seed >> 32 & _WORD
    counter = (seed2 & (1 << 64) - 1) << 64
    while True:
        yield from _block(key, tuple(counter >> shift & _WORD for shift in range(0, 128, 32)))
        counter = (counter + 1) & (1 << 128) - 1


def _block(key: tuple[int, int], words: tuple[int, ...]) -> tuple[int, ...]:
    k0, k1 = key
    for _ in range(10):
        a, b = words[0] * _MULTIPLIERS[0], words[2] * _MULTIPLIERS[1]
        words = (b >> 32) ^ words[1] ^ k0, b & _WORD, (a >> 32) ^ words[3] ^ k1, a & _WORD
        k0, k1 = (k0 + _WEYL[0]) & _WORD, (k1 + _WEYL[1]) & _WORD
    return words
