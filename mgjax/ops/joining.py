"""Arrays joined and taken apart, repeated and padded."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops.element_lists import ElementList
from mgjax.ops.list_vectors import ListVector
from mgjax.ops.registry import Static, array_module, is_known, lower
from mgjax.shapes import describe


def _axis(axis, rank: int) -> int:
    return int(np.ravel(axis)[0]) % max(rank, 1)


@lower("Pack")
def pack(values, *, axis=0):
    """Arrays of one shape along a new axis; of lists a vector."""
    if isinstance(values[0], ElementList):
        return ListVector(values)
    shapes = {x.shape for x in values}
    if len(shapes) > 1:
        first, other = values[0].shape, next(x.shape for x in values if x.shape != values[0].shape)
        raise InvalidArgumentError(
            f"Shapes of all inputs must match: values[0].shape = {describe(first)} != values[{len(values) - 1}].shape = "
            f"{describe(other)}"
        )
    return array_module(values).stack(values, axis)


@lower("Unpack")
def unpack(value, *, num, axis=0):
    """The `num` slices along an axis, without it."""
    if isinstance(value, ListVector):
        return list(value.lists)
    axis = axis % len(value.shape)
    if value.shape[axis] != num:
        raise InvalidArgumentError(f"Input shape axis {axis} must equal {num}, got shape {describe(value.shape)}")
    if is_known(value):
        return [np.take(value, i, axis) for i in range(num)]
    return [lax.index_in_dim(value, i, axis, keepdims=False) for i in range(num)]


@lower("ConcatV2")
def concat_v2(values, axis: Static):
    """Arrays end to end along an axis."""
    rank = len(values[0].shape)
    number = int(np.ravel(axis)[0])
    if not -rank <= number < max(rank, 1):
        raise InvalidArgumentError(
            f"ConcatOp : Expected concatenating dimensions in the range [{-rank}, {rank}), but got {number}"
        )
    axis = number % rank if rank else 0
    for i, x in enumerate(values):
        others = [n for d, n in enumerate(x.shape) if d != axis]
        if len(x.shape) != rank:
            what = "Ranks of all input tensors should match"
        elif others != [n for d, n in enumerate(values[0].shape) if d != axis]:
            what = "Dimensions of inputs should match"
        else:
            continue
        raise InvalidArgumentError(
            f"ConcatOp : {what}: shape[0] = {describe(values[0].shape)} vs. shape[{i}] = {describe(x.shape)}"
        )
    xp = array_module(values)
    return xp.concatenate([xp.atleast_1d(x) for x in values], axis)


@lower("Concat")
def concat(concat_dim: Static, values):
    return concat_v2(values, concat_dim)


@lower("ConcatOffset")
def concat_offset(concat_dim: Static, shape: Static):
    """Where each of the concatenated arrays begins in the whole, given their shapes."""
    for i, sizes in enumerate(shape):
        if np.ndim(sizes) != 1:
            raise InvalidArgumentError(f"input {i} should be a vector, but got shape {describe(np.shape(sizes))}")
        if len(sizes) != len(shape[0]):
            raise InvalidArgumentError(f"input {i} should contain {len(shape[0])} elements, but got {len(sizes)}")
    rank = len(shape[0])
    if not -rank <= int(np.ravel(concat_dim)[0]) < rank:
        raise InvalidArgumentError(f"Concat dim is out of range: {int(np.ravel(concat_dim)[0])} vs. {rank}")
    axis = _axis(concat_dim, rank)
    for i, sizes in enumerate(shape):
        for j, (wanted, size) in enumerate(zip(shape[0], sizes, strict=True)):
            if j != axis and wanted != size:
                raise InvalidArgumentError(
                    f"All dimensions except {axis} must match. Input {i} has shape {describe(sizes)} and doesn't match "
                    f"input 0 with shape {describe(shape[0])}"
                )
    offsets = np.cumsum([0, *(s[axis] for s in shape[:-1])])
    starts = [np.zeros_like(s) for s in shape]
    for start, offset in zip(starts, offsets, strict=True):
        start[axis] = offset
    return starts


@lower("Split")
def split(split_dim: Static, value, *, num_split):
    """`num_split` equal pieces along an axis."""
    axis = _axis(split_dim, len(value.shape))
    size = value.shape[axis]
    if size % num_split:
        raise InvalidArgumentError(
            f"Number of ways to split should evenly divide the split dimension, but got split_dim {axis} (size = {size}) "
            f"and num_split {num_split}"
        )
    return _pieces(value, [size // num_split] * num_split, axis)


@lower("SplitV")
def split_v(value, size_splits: Static, split_dim: Static, *, num_split):
    """Pieces of the given sizes along an axis; one size may be -1, the rest."""
    axis = _axis(split_dim, len(value.shape))
    sizes = [int(n) for n in size_splits]
    total = value.shape[axis]
    if num_split == 1 and sizes != [total]:
        raise InvalidArgumentError(
            f"If there is only one output, it must have the same size as the input. Input size: {total} output size: {sizes[0]}"
        )
    if -1 in sizes:
        sizes[sizes.index(-1)] = total - sum(n for n in sizes if n != -1)
    if sum(sizes) != total or min(sizes) < 0:
        raise InvalidArgumentError(
            f"Determined shape must either match input shape along split_dim exactly if fully specified, or be less than "
            f"the size of the input along split_dim if not fully specified.  Got: {sum(sizes)}"
        )
    return _pieces(value, sizes, axis)


def _pieces(value, sizes, axis):
    if is_known(value):
        return np.split(value, np.cumsum(sizes)[:-1], axis)
    return lax.split(value, sizes, axis)


@lower("Tile")
def tile(input, multiples: Static):
    """Repeats the whole along each axis."""
    counts = [int(n) for n in multiples]
    if len(counts) != len(input.shape):
        raise InvalidArgumentError(
            f"Expected multiples argument to be a vector of length {len(input.shape)} but got length {len(counts)}"
        )
    for i, n in enumerate(counts):
        if n < 0:
            raise InvalidArgumentError(f"Expected multiples[{i}] >= 0, but got {n}")
    return array_module(input).tile(input, counts)


@lower("TileGrad")
def tile_grad(input, multiples: Static):
    """The sum over the tiles: the pullback of `tile`."""
    sizes = [n for size, count in zip(input.shape, multiples, strict=True) for n in (int(count), size // int(count))]
    xp = array_module(input)
    return xp.sum(input.reshape(sizes), axis=tuple(range(0, len(sizes), 2)), dtype=input.dtype)


@lower("Pad")
def pad(input, paddings: Static):
    """Zeros around the array."""
    zero = np.array(b"", object) if input.dtype == object else np.zeros((), input.dtype)
    return pad_v2(input, paddings, zero)


@lower("PadV2")
def pad_v2(input, paddings: Static, constant_values):
    """A constant around the array; `paddings` [rank, 2] counts elements before and after, per axis."""
    widths = [(int(before), int(after)) for before, after in np.reshape(paddings, (-1, 2))]
    for before, after in widths:
        if before < 0 or after < 0:
            raise InvalidArgumentError(f"Paddings must be non-negative: {before} {after}")
    if len(widths) != len(input.shape):
        raise InvalidArgumentError(
            f"The first dimension of paddings must be the rank of inputs[{len(widths)},2] {describe(input.shape)}"
        )
    if is_known([input, constant_values]):
        return np.pad(input, widths or 0, constant_values=constant_values)
    return lax.pad(jnp.asarray(input), jnp.asarray(constant_values), [(*width, 0) for width in widths])


@lower("MirrorPad")
def mirror_pad(input, paddings: Static, *, mode):
    """The array's reflection around it: without the border elements (REFLECT) or with them (SYMMETRIC)."""
    widths = [(int(before), int(after)) for before, after in np.reshape(paddings, (-1, 2))]
    limit = 1 if mode == "REFLECT" else 0
    _check_mirror(widths, input.shape, limit, "dimension")
    return array_module(input).pad(input, widths, mode=mode.lower()) if widths else input


def _check_mirror(widths, shape, limit, what):
    """Of an axis, at most all elements are reflected, or with a `limit` of 1 all but the border one."""
    for size, (before, after) in zip(shape, widths, strict=True):
        if min(before, after) < 0 or max(before, after) > size - limit:
            raise InvalidArgumentError(
                f"paddings must be {'less than' if limit else 'no greater than'} the {what} size: {before}, "
                f"{after} {'not less than' if limit else 'greater than'} {size}"
            )


@lower("MirrorPadGrad")
def mirror_pad_grad(input, paddings: Static, *, mode):
    """Pullback of `mirror_pad`: what was reflected is added to its source, axis by axis."""
    shape = [n - int(before) - int(after) for n, (before, after) in zip(input.shape, paddings, strict=True)]
    _check_mirror(np.asarray(paddings).tolist(), shape, 1 if mode == "REFLECT" else 0, "output dimension")
    for axis, (before, after) in enumerate(np.asarray(paddings).tolist()):
        if before or after:
            input = _fold_back(jnp.asarray(input), axis, before, after, shape[axis], 1 if mode == "REFLECT" else 0)
    return input


def _fold_back(x, axis, before, after, size, skipped):
    piece = functools.partial(lax.slice_in_dim, x, axis=axis)
    middle = piece(before, before + size)
    if before:
        middle = middle + _placed(lax.rev(piece(0, before), (axis,)), axis, skipped, size)
    if after:
        start = size - skipped - after
        middle = middle + _placed(lax.rev(piece(before + size, before + size + after), (axis,)), axis, start, size)
    return middle


def _placed(x, axis, start, size):
    widths = [(0, 0, 0)] * x.ndim
    widths[axis] = (start, size - start - x.shape[axis], 0)
    return lax.pad(x, np.zeros((), x.dtype), widths)


@lower("Roll")
def roll(input, shift, axis: Static):
    """Moves elements along axes, around the end; shifts along the same axis add up."""
    if len(input.shape) < 1:
        raise InvalidArgumentError("input must be 1-D or higher")
    for name, x in (("shift", shift), ("axis", axis)):
        if len(x.shape) > 1:
            raise InvalidArgumentError(f"{name} must be a scalar or a 1-D vector. Found: {describe(x.shape)}")
    xp = array_module(input, shift)
    shift, axes = xp.ravel(shift), np.ravel(axis)
    if shift.shape != axes.shape:
        raise InvalidArgumentError("shift and axis must have the same size")
    for i, number in enumerate(axes):
        if not -len(input.shape) <= number < len(input.shape):
            raise InvalidArgumentError(f"axis {number} is out of range")
        input = xp.roll(input, shift[i], int(number))
    return input


@lower("ParallelConcat")
def parallel_concat(values, *, shape):
    """Arrays of one row each, end to end."""
    return concat_v2(values, np.array(0))
