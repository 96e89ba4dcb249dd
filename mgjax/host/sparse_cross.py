"""Crosses of categorical features: every combination of one value of each feature, as a string or as a hash bucket."""

from __future__ import annotations

import itertools

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.hashing import fingerprint64
from mgjax.host.strings import as_bytes, strings
from mgjax.ops import lower

_MASK = 2**64 - 1
_MULTIPLIER = 0xC6A4A7935BD1E995
_SEPARATOR = b"_X_"


@lower("SparseCross", host=True)
def sparse_cross(indices, values, shapes, dense_inputs, *, hashed_output, num_buckets, hash_key, out_type):
    """A sparse matrix with the crosses of each row: of the sparse features [batch, any] and the dense [batch, column].

    The values of the last feature run fastest. Hashes are of the features' fingerprints, starting from `hash_key`.
    """
    batch = int(shapes[0][0]) if shapes else len(dense_inputs[0]) if dense_inputs else 0
    if any(int(shape[0]) != batch for shape in shapes) or any(len(x) != batch for x in dense_inputs):
        raise InvalidArgumentError(f"Expected batch size {batch} of every feature")
    features = [_rows(place[:, 0], value, batch) for place, value in zip(indices, values, strict=True)]
    features += [list(map(list, x)) for x in dense_inputs]
    cross = _hashed(num_buckets, hash_key & _MASK) if hashed_output else _joined
    rows = [[cross(c) for c in itertools.product(*(feature[i] for feature in features))] for i in range(batch)]
    crosses = [x for row in rows for x in row]
    places = np.array([(i, j) for i, row in enumerate(rows) for j in range(len(row))], np.int64).reshape(-1, 2)
    result = strings(crosses) if out_type.numpy.kind == "O" else np.array(crosses, np.int64)
    return places, result, np.array([batch, max(map(len, rows), default=0)], np.int64)


def _rows(place, values, batch):
    rows = [[] for _ in range(batch)]
    for i, value in zip(place, values, strict=True):
        rows[int(i)].append(value)
    return rows


def _joined(cross):
    return _SEPARATOR.join(as_bytes(x) if isinstance(x, (bytes, str)) else str(x).encode() for x in cross)


def _hashed(num_buckets, hash_key):
    # Without buckets the hash must still be a non-negative int64.
    modulus = num_buckets or 2**63 - 1

    def cross(values):
        total = hash_key
        for x in values:
            total = _combine(total, fingerprint64(as_bytes(x)) if isinstance(x, (bytes, str)) else int(x) & _MASK)
        return total % modulus

    return cross


def _combine(first: int, second: int) -> int:
    """The fingerprint of a sequence one longer, from its fingerprint so far and the next one."""
    result = first ^ _MULTIPLIER ^ (_mix((second * _MULTIPLIER) & _MASK) * _MULTIPLIER) & _MASK
    result = (result * _MULTIPLIER) & _MASK
    result = (_mix(result) * _MULTIPLIER) & _MASK
    return _mix(result)


def _mix(x: int) -> int:
    return x ^ (x >> 47)
