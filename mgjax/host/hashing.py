"""Hashes of strings, bit for bit those that TensorFlow's ops give: FarmHash's fingerprint, SipHash, MurmurHash."""

from __future__ import annotations

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.strings import as_bytes, each
from mgjax.ops import lower

_MASK = 2**64 - 1
_Pair = tuple[int, int]
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_K3 = 0x9DDFEA08EB382D69


@lower("StringToHashBucketFast", host=True)
def string_to_hash_bucket_fast(input, *, num_buckets):
    return each(lambda text: fingerprint64(as_bytes(text)) % num_buckets, input, dtype=np.int64)


@lower("StringToHashBucketStrong", host=True)
def string_to_hash_bucket_strong(input, *, num_buckets, key):
    """A keyed hash, so that who chooses the strings cannot choose the buckets; `key` is two integers."""
    if len(key) != 2:
        raise InvalidArgumentError(f"Key must have 2 elements, not {len(key)}")
    first, second = (k & _MASK for k in key)
    return each(lambda text: siphash(as_bytes(text), first, second) % num_buckets, input, dtype=np.int64)


@lower("StringToHashBucket", host=True)
def string_to_hash_bucket(string_tensor, *, num_buckets):
    return each(lambda text: hash64(as_bytes(text)) % num_buckets, string_tensor, dtype=np.int64)


@lower("Fingerprint", host=True)
def fingerprint(data, method):
    """The eight bytes of the fingerprint of each entry of the first axis: of its bytes, whatever its dtype."""
    if as_bytes(method[()]) != b"farmhash64":
        raise InvalidArgumentError(f"Unsupported fingerprint method: {as_bytes(method[()]).decode()}")
    if data.dtype == object and data.ndim == 1:
        rows = [as_bytes(x) for x in data]
    elif data.dtype == object:
        # Strings are fingerprinted one by one, and then their fingerprints together.
        inner = [np.array([fingerprint64(as_bytes(x)) for x in row.ravel()], "<u8") for row in data]
        rows = [x.tobytes() for x in inner]
    else:
        rows = [np.ascontiguousarray(row).tobytes() for row in data]
    hashes = np.array([fingerprint64(row) for row in rows], "<u8")
    return hashes.view(np.uint8).reshape(len(rows), 8)


def fingerprint64(text: bytes) -> int:
    """FarmHash's Fingerprint64."""
    length = len(text)
    if length <= 16:
        return _up_to_16(text)
    if length <= 32:
        return _up_to_32(text)
    if length <= 64:
        return _up_to_64(text)
    return _long(text)


def fingerprint128(text: bytes) -> tuple[int, int]:
    """FarmHash's Fingerprint128, which is CityHash's: the low and the high word."""
    if len(text) < 16:
        return _city128(text, _K0, _K1)
    return _city128(text[16:], _word(text, 0), (_word(text, 8) + _K0) & _MASK)


def hash64(text: bytes, seed: int = 0xDECAFCAFFE) -> int:
    """TensorFlow's Hash64, a MurmurHash2 of 64 bits."""
    m = 0xC6A4A7935BD1E995
    h = seed ^ _times(len(text), m)
    whole = len(text) & ~7
    for i in range(0, whole, 8):
        k = _times(_word(text, i), m)
        k = _times(k ^ (k >> 47), m)
        h = _times(h ^ k, m)
    if rest := text[whole:]:
        h = _times(h ^ int.from_bytes(rest, "little"), m)
    h = _times(h ^ (h >> 47), m)
    return h ^ (h >> 47)


def siphash(text: bytes, key0: int, key1: int) -> int:
    """SipHash-2-4."""
    v = [
        key0 ^ 0x736F6D6570736575,
        key1 ^ 0x646F72616E646F6D,
        key0 ^ 0x6C7967656E657261,
        key1 ^ 0x7465646279746573,
    ]
    whole = len(text) & ~7
    last = text[whole:].ljust(7, b"\0") + bytes([len(text) & 0xFF])
    for i in range(0, whole + 8, 8):
        word = _word(text, i) if i < whole else _word(last, 0)
        v[3] ^= word
        _sip_rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    _sip_rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _sip_rounds(v: list[int], count: int) -> None:
    for _ in range(count):
        v[0] = (v[0] + v[1]) & _MASK
        v[2] = (v[2] + v[3]) & _MASK
        v[1] = _rotate_left(v[1], 13) ^ v[0]
        v[3] = _rotate_left(v[3], 16) ^ v[2]
        v[0] = _rotate_left(v[0], 32)
        v[2] = (v[2] + v[1]) & _MASK
        v[0] = (v[0] + v[3]) & _MASK
        v[1] = _rotate_left(v[1], 17) ^ v[2]
        v[3] = _rotate_left(v[3], 21) ^ v[0]
        v[2] = _rotate_left(v[2], 32)


def _up_to_16(text: bytes) -> int:
    length = len(text)
    if length >= 8:
        m = _K2 + 2 * length
        a, b = _word(text, 0) + _K2, _word(text, length - 8)
        c = _rotate(b & _MASK, 37) * m + a
        d = (_rotate(a & _MASK, 25) + b) * m
        return _combine(c & _MASK, d & _MASK, m)
    if length >= 4:
        return _combine(length + (_half(text, 0) << 3), _half(text, length - 4), _K2 + 2 * length)
    if length:
        y = text[0] + (text[length >> 1] << 8)
        z = length + (text[-1] << 2)
        return _times(_shift_mix(_times(y, _K2) ^ _times(z, _K0)), _K2)
    return _K2


def _up_to_32(text: bytes) -> int:
    length = len(text)
    m = _K2 + 2 * length
    a, b = _times(_word(text, 0), _K1), _word(text, 8)
    c, d = _times(_word(text, length - 8), m), _times(_word(text, length - 16), _K2)
    first = _rotate((a + b) & _MASK, 43) + _rotate(c, 30) + d
    second = a + _rotate((b + _K2) & _MASK, 18) + c
    return _combine(first & _MASK, second & _MASK, m)


def _up_to_64(text: bytes) -> int:
    length = len(text)
    m = _K2 + 2 * length
    a, b = _times(_word(text, 0), _K2), _word(text, 8)
    c, d = _times(_word(text, length - 8), m), _times(_word(text, length - 16), _K2)
    y = (_rotate((a + b) & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    z = _combine(y, (a + _rotate((b + _K2) & _MASK, 18) + c) & _MASK, m)
    e, f = _times(_word(text, 16), m), _word(text, 24)
    g, h = _times(y + _word(text, length - 32), m), _times(z + _word(text, length - 24), m)
    first = _rotate((e + f) & _MASK, 43) + _rotate(g, 30) + h
    second = e + _rotate((f + a) & _MASK, 18) + g
    return _combine(first & _MASK, second & _MASK, m)


def _mixed(text: bytes, at: int, x: int, y: int, z: int, v: _Pair, w: _Pair) -> tuple[int, int, int, _Pair, _Pair]:
    """The state of a long text's fingerprint after 64 more bytes."""
    x = _times(_rotate((x + y + v[0] + _word(text, at + 8)) & _MASK, 37), _K1) ^ w[1]
    y = _times(_rotate((y + v[1] + _word(text, at + 48)) & _MASK, 42), _K1)
    y = (y + v[0] + _word(text, at + 40)) & _MASK
    z = _times(_rotate((z + w[0]) & _MASK, 33), _K1)
    v = _weak(text, at, v[1] * _K1, x + w[0])
    w = _weak(text, at + 32, z + w[1], y + _word(text, at + 16))
    return z, y, x, v, w


def _long(text: bytes) -> int:
    length, seed = len(text), 81
    x, y = seed, (seed * _K1 + 113) & _MASK
    z = _times(_shift_mix((y * _K2 + 113) & _MASK), _K2)
    v, w = (0, 0), (0, 0)
    x = (x * _K2 + _word(text, 0)) & _MASK
    end = (length - 1) // 64 * 64
    last = length - 64
    for i in range(0, end, 64):
        x, y, z, v, w = _mixed(text, i, x, y, z, v, w)
    m = (_K1 + ((z & 0xFF) << 1)) & _MASK
    w = ((w[0] + ((length - 1) & 63)) & _MASK, w[1])
    v = ((v[0] + w[0]) & _MASK, v[1])
    w = ((w[0] + v[0]) & _MASK, w[1])
    x = _times(_rotate((x + y + v[0] + _word(text, last + 8)) & _MASK, 37), m)
    y = _times(_rotate((y + v[1] + _word(text, last + 48)) & _MASK, 42), m)
    x ^= (w[1] * 9) & _MASK
    y = (y + v[0] * 9 + _word(text, last + 40)) & _MASK
    z = _times(_rotate((z + w[0]) & _MASK, 33), m)
    v = _weak(text, last, v[1] * m, x + w[0])
    w = _weak(text, last + 32, z + w[1], y + _word(text, last + 16))
    x, z = z, x
    first = _combine(v[0], w[0], m) + _times(_shift_mix(y), _K0) + z
    second = _combine(v[1], w[1], m) + x
    return _combine(first & _MASK, second & _MASK, m)


def _city128(text: bytes, x: int, y: int) -> tuple[int, int]:
    if len(text) < 128:
        return _murmur128(text, x, y)
    z = _times(len(text), _K1)
    first = (_rotate(y ^ _K1, 49) * _K1 + _word(text, 0)) & _MASK
    v = first, (_rotate(first, 42) * _K1 + _word(text, 8)) & _MASK
    w = (_rotate((y + z) & _MASK, 35) * _K1 + x) & _MASK, _times(_rotate((x + _word(text, 88)) & _MASK, 53), _K1)
    end = len(text) // 128 * 128
    for i in range(0, end, 64):
        x, y, z, v, w = _mixed(text, i, x, y, z, v, w)
    x = (x + _times(_rotate((v[0] + z) & _MASK, 49), _K0)) & _MASK
    y = (y * _K0 + _rotate(w[1], 37)) & _MASK
    z = (z * _K0 + _rotate(w[0], 27)) & _MASK
    w = _times(w[0], 9), w[1]
    v = _times(v[0], _K0), v[1]
    for at in range(len(text) - 32, end - 32, -32):
        y = (_rotate((x + y) & _MASK, 42) * _K0 + v[1]) & _MASK
        w = (w[0] + _word(text, at + 16)) & _MASK, w[1]
        x = (x * _K0 + w[0]) & _MASK
        z = (z + w[1] + _word(text, at)) & _MASK
        w = w[0], (w[1] + v[0]) & _MASK
        v = _weak(text, at, v[0] + z, v[1])
        v = _times(v[0], _K0), v[1]
    x = _combine(x, v[0], _K3)
    y = _combine((y + z) & _MASK, w[0], _K3)
    low = _combine((x + v[1]) & _MASK, w[1], _K3) + y
    return low & _MASK, _combine((x + w[1]) & _MASK, (y + v[1]) & _MASK, _K3)


def _murmur128(text: bytes, a: int, b: int) -> tuple[int, int]:
    length = len(text)
    if length <= 16:
        a = _times(_shift_mix(_times(a, _K1)), _K1)
        c = (b * _K1 + _up_to_16(text)) & _MASK
        d = _shift_mix((a + (_word(text, 0) if length >= 8 else c)) & _MASK)
    else:
        c = _combine((_word(text, length - 8) + _K1) & _MASK, a, _K3)
        d = _combine((b + length) & _MASK, (c + _word(text, length - 16)) & _MASK, _K3)
        a = (a + d) & _MASK
        for i in range(0, length - 16, 16):
            a = _times(a ^ _times(_shift_mix(_times(_word(text, i), _K1)), _K1), _K1)
            b ^= a
            c = _times(c ^ _times(_shift_mix(_times(_word(text, i + 8), _K1)), _K1), _K1)
            d ^= c
    a, b = _combine(a, c, _K3), _combine(d, b, _K3)
    return a ^ b, _combine(b, a, _K3)


def _weak(text: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_word(text, at + i) for i in (0, 8, 16, 24))
    a = (a + w) & _MASK
    b = _rotate((b + a + z) & _MASK, 21)
    c = a
    a = (a + x + y) & _MASK
    b = (b + _rotate(a, 44)) & _MASK
    return (a + z) & _MASK, (b + c) & _MASK


def _combine(u: int, v: int, m: int) -> int:
    a = _shift_mix(_times(u ^ v, m))
    return _times(_shift_mix(_times(v ^ a, m)), m)


def _shift_mix(x: int) -> int:
    return x ^ (x >> 47)


def _times(x: int, y: int) -> int:
    return (x * y) & _MASK


def _rotate(x: int, bits: int) -> int:
    return (x >> bits) | ((x << (64 - bits)) & _MASK)


def _rotate_left(x: int, bits: int) -> int:
    return _rotate(x, 64 - bits)


def _word(text: bytes, at: int) -> int:
    return int.from_bytes(text[at : at + 8], "little")


def _half(text: bytes, at: int) -> int:
    return int.from_bytes(text[at : at + 4], "little")
