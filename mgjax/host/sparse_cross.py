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
_FIRST_SEED = 0xDECAFCAFFE
_SEPARATOR = b"_X_"


@lower("SparseCross", host=True)
def sparse_cross(indices, values, shapes, dense_inputs, *, hashed_output, num_buckets, hash_key, out_type):
    """A sparse matrix with the crosses of each row: of the sparse features [batch, any] and the dense [batch, column].

    The values of the last feature run fastest. Hashes are of the features' fingerprints, starting from `hash_key`.
    """
    hash_of = _hashed(num_buckets, hash_key & _MASK, _combine) if hashed_output else _joined
    return _crosses(indices, values, shapes, dense_inputs, hash_of, out_type)


@lower("SparseFeatureCrossV2", host=True)
def sparse_feature_cross_v2(indices, values, shapes, dense, *, hashed_output, num_buckets, hash_key, out_type):
    """`sparse_cross`, as tf.contrib has it."""
    return sparse_cross(
        indices,
        values,
        shapes,
        dense,
        hashed_output=hashed_output,
        num_buckets=num_buckets,
        hash_key=hash_key,
        out_type=out_type,
    )


@lower("SparseFeatureCross", host=True)
def sparse_feature_cross(indices, values, shapes, dense, *, hashed_output, num_buckets, out_type):
    """The first form, which combines the features' fingerprints otherwise."""
    hash_of = _hashed(num_buckets, _FIRST_SEED, _first_combine) if hashed_output else _joined
    return _crosses(indices, values, shapes, dense, hash_of, out_type)


def _crosses(indices, values, shapes, dense, cross, out_type):
    batch = int(shapes[0][0]) if shapes else len(dense[0]) if dense else 0
    if any(int(shape[0]) != batch for shape in shapes) or any(len(x) != batch for x in dense):
        raise InvalidArgumentError(f"Expected batch size {batch} of every feature")
    features = [_rows(place[:, 0], value, batch) for place, value in zip(indices, values, strict=True)]
    features += [list(map(list, x)) for x in dense]
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


def _hashed(num_buckets, seed, combine):
    # Without buckets the hash must still be a non-negative int64.
    modulus = num_buckets or 2**63 - 1

    def cross(values):
        total = seed
        for x in values:
            total = combine(total, fingerprint64(as_bytes(x)) if isinstance(x, (bytes, str)) else int(x) & _MASK)
        return total % modulus

    return cross


def _combine(first: int, second: int) -> int:
    """The fingerprint of a sequence one longer, from its fingerprint so far and the next one."""
    result = first ^ _MULTIPLIER ^ (_mix((second * _MULTIPLIER) & _MASK) * _MULTIPLIER) & _MASK
    result = (result * _MULTIPLIER) & _MASK
    result = (_mix(result) * _MULTIPLIER) & _MASK
    return _mix(result)


def _first_combine(total: int, second: int) -> int:
    """The first form's: the fingerprint so far is shifted to the right with its sign."""
    signed = total - (total >> 63 << 64)
    return total ^ (second + 0x9E3779B97F4A7800 + (total << 10) + (signed >> 4)) & _MASK


def _mix(x: int) -> int:
    return x ^ (x >> 47)
