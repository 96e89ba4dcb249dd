"""Ops that write rows or elements at given positions.

Where errors are ignored, the update of an index out of range is dropped, as TensorFlow's GPU kernels do. Where two updates
that overwrite meet, the last one wins, but for compiled code on accelerators, where any one of them may, again as in
TensorFlow.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import Static, array_module, check, claim, is_known, lower
from mgjax.ops.slicing import vectors_within
from mgjax.shapes import describe

_UFUNCS = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "min": np.minimum,
    "max": np.maximum,
}


def scatter_nd(ref, indices, updates, how):
    """`ref` with `updates` combined into it at `indices`.

    Args:
        indices: [..., k]; each names an element of the first k dimensions of `ref`.
        updates: [..., *ref.shape[k:]].
        how: "set", "add", "subtract", "multiply", "divide", "min" or "max"; equal indices combine one after another.
    """
    if indices.shape[-1] == 0:
        indices = indices.astype(np.int32)
        origin = np.zeros((*indices.shape[:-1], 1), np.int32)
        return scatter_nd(ref[None], origin, updates, how)[0]
    if is_known(indices):
        _check_nd(indices, ref.shape)
    columns = tuple(indices[..., i] for i in range(indices.shape[-1]))
    if array_module(ref, indices, updates) is np:
        return _scatter_known(ref, columns, updates, how)
    # A negative index is out of range, where JAX would count it from the end.
    columns = tuple(jnp.where(x < 0, n, x) for x, n in zip(columns, ref.shape, strict=False))
    ref, updates = jnp.asarray(ref), jnp.asarray(updates)
    if how == "set":
        return ref.at[columns].set(updates, mode="drop")
    if how == "add" and ref.dtype == bool:
        return ref.at[columns].max(updates, mode="drop")
    if how == "add":
        return ref.at[columns].add(updates, mode="drop")
    if how == "subtract" and ref.dtype == bool:  # in C++ the difference of unlike booleans is not zero
        odd = jnp.zeros(ref.shape, np.int32).at[columns].add(updates.astype(np.int32), mode="drop") % 2 == 1
        return ref ^ odd
    if how == "subtract":
        return ref.at[columns].add(-updates, mode="drop")
    if how == "multiply":
        return ref.at[columns].multiply(updates, mode="drop")
    if how == "divide":
        divisor = jnp.ones_like(ref).at[columns].multiply(updates, mode="drop")
        return lax.div(ref, divisor)
    if how == "min":
        return ref.at[columns].min(updates, mode="drop")
    return ref.at[columns].max(updates, mode="drop")


def scatter_rows(ref, indices, updates, how):
    """`ref` with `updates` [*indices.shape, *ref.shape[1:]], or one scalar, combined into its rows at `indices`."""
    if updates.shape not in ((), indices.shape + ref.shape[1:]):
        raise InvalidArgumentError(
            "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], got updates.shape "
            f"{describe(updates.shape)}, indices.shape {describe(indices.shape)}, params.shape {describe(ref.shape)}"
        )
    if is_known(indices):
        check_rows(indices, ref.shape[0])
    if updates.shape == ():
        xp = array_module(updates)
        updates = xp.broadcast_to(updates, indices.shape + ref.shape[1:])
    return scatter_nd(ref, indices[..., None], updates, how)


def check_rows(indices, size):
    """Raises `InvalidArgumentError` if one of the known `indices` is not in [0, size)."""
    bad = np.argwhere((indices < 0) | (indices >= size))
    if len(bad):
        position = tuple(bad[0])
        where = "" if not position else describe(position)
        raise InvalidArgumentError(f"indices{where} = {indices[position]} is not in [0, {size})")


def _check_nd(indices, shape):
    bad = np.argwhere(np.any((indices < 0) | (indices >= np.array(shape[: indices.shape[-1]])), axis=-1))
    if len(bad):
        position = tuple(bad[0])
        raise InvalidArgumentError(
            f"indices{describe(position)} = {describe(indices[position])} does not index into shape {describe(shape)}"
        )


def _scatter_known(ref, columns, updates, how):
    result = np.array(ref)
    if how == "set":
        result[columns] = updates
    elif how == "divide" and result.dtype.kind in "iu":
        # TensorFlow divides integers toward zero.
        divisor = np.ones_like(result)
        np.multiply.at(divisor, columns, updates)
        quotient = np.abs(result) // np.abs(divisor)
        result = (np.sign(result) * np.sign(divisor) * quotient).astype(result.dtype)
    elif how == "subtract" and result.dtype == bool:
        np.logical_xor.at(result, columns, updates)
    else:
        _UFUNCS[how].at(result, columns, updates)
    return result


def check_nd_shapes(indices, updates, shape):
    """Raises `InvalidArgumentError` unless updates.shape = indices.shape[:-1] + shape[indices.shape[-1]:]."""
    if indices.size and 0 in shape:
        raise InvalidArgumentError("Indices and updates specified for empty output shape")
    depth = indices.shape[-1] if indices.ndim else 1
    if depth > len(shape) or updates.shape != indices.shape[:-1] + tuple(shape[depth:]):
        raise InvalidArgumentError(
            "Must have updates.shape = indices.shape[:batch_dim] + params_shape[slice_dim:], got updates.shape: "
            f"{describe(updates.shape)}, indices.shape: {describe(indices.shape)}, params_shape: {describe(shape)}, "
            f"slice_dim: {depth}, and batch_dim: {max(indices.ndim - 1, 0)}"
        )


@lower("ScatterNd")
def scatter_nd_zeros(indices, updates, shape: Static):
    """`updates` added into zeros (empty strings) of `shape`."""
    shape = tuple(int(n) for n in shape)
    check_nd_shapes(indices, updates, shape)
    xp = array_module(indices, updates)
    zeros = np.full(shape, b"", object) if updates.dtype == object else xp.zeros(shape, updates.dtype)
    return scatter_nd(zeros, indices, updates, "add")


@check("ScatterNd")
def scattered(indices, shape):
    yield from vectors_within(indices, tuple(map(int, shape)))


def _tensor_scatter(how):
    def tensor_scatter(tensor, indices, updates):
        check_nd_shapes(indices, updates, tensor.shape)
        return scatter_nd(tensor, indices, updates, how)

    return tensor_scatter


lower("TensorScatterUpdate")(_tensor_scatter("set"))
lower("TensorScatterAdd")(_tensor_scatter("add"))
lower("TensorScatterSub")(_tensor_scatter("subtract"))
lower("TensorScatterMin")(_tensor_scatter("min"))
lower("TensorScatterMax")(_tensor_scatter("max"))


@check("TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub", "TensorScatterMin", "TensorScatterMax")
def scattered_into_tensor(tensor, indices):
    yield from vectors_within(indices, tensor.shape)


@lower("ScatterNdNonAliasingAdd")
def scatter_nd_non_aliasing_add(input, indices, updates):
    check_nd_shapes(indices, updates, input.shape)
    return scatter_nd(input, indices, updates, "add")


@check("ScatterNdNonAliasingAdd")
def scattered_into_input(input, indices):
    yield from vectors_within(indices, input.shape)


def _inplace(how):
    def inplace(x, i, v):
        """`x` with its rows `i` changed; here, unlike elsewhere, negative indices count from the end."""
        if i.ndim > 1:
            raise InvalidArgumentError(f"i must be a vector. {describe(i.shape)}")
        rows = np.reshape(i, (-1,)) if is_known(i) else jnp.reshape(i, (-1,))
        v = v if i.ndim else v[None]
        return scatter_rows(x, rows % x.shape[0], v, how)

    return inplace


lower("InplaceUpdate")(_inplace("set"))
lower("InplaceAdd")(_inplace("add"))
lower("InplaceSub")(_inplace("subtract"))


@lower("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(indices: Static, data):
    """Rows of all `data` at the places that `indices` name; of equal indices the last one wins.

    A place that no index names holds zeros (uninitialized memory in TensorFlow).
    """
    for i, (index, rows) in enumerate(zip(indices, data, strict=True)):
        if rows.shape[: index.ndim] != index.shape:
            raise InvalidArgumentError(
                f"data[{i}].shape = {describe(rows.shape)} does not start with "
                f"indices[{i}].shape = {describe(index.shape)}"
            )
        if rows.shape[index.ndim :] != data[0].shape[indices[0].ndim :]:
            raise InvalidArgumentError(
                f"Need data[0].shape[{indices[0].ndim}:] = data[{i}].shape[{index.ndim}:], got data[0].shape = "
                f"{describe(data[0].shape)}, data[{i}].shape = {describe(rows.shape)}, indices[0].shape = "
                f"{describe(indices[0].shape)}, indices[{i}].shape = {describe(index.shape)}"
            )
        if np.any(index < 0) and any(np.any(other >= 0) for other in indices):
            raise InvalidArgumentError(f"indices{describe(tuple(np.argwhere(index < 0)[0]))} is out of range")
    xp = array_module(data)
    rest = data[0].shape[indices[0].ndim :]
    places = np.concatenate([np.ravel(index) for index in indices])
    rows = [xp.reshape(x, (index.size, *rest)) for index, x in zip(indices, data, strict=True)]
    size = int(places.max()) + 1 if places.size else 0
    source = np.full(size, -1)
    source[places] = np.arange(places.size)
    merged = xp.concatenate(rows)
    if np.all(source >= 0):
        return merged[source]
    written = np.reshape(source >= 0, (size,) + (1,) * len(rest))
    return xp.where(written, merged[source], merged.dtype.type())


@lower("SparseToDense")
def sparse_to_dense(sparse_indices, output_shape: Static, sparse_values, default_value, *, validate_indices=True):
    """`default_value` everywhere but at `sparse_indices` (a scalar, [n], or [n, rank])."""
    shape = tuple(int(n) for n in output_shape)
    xp = array_module(sparse_indices)
    rank = sparse_indices.shape[1] if sparse_indices.ndim == 2 else 1
    indices = xp.reshape(sparse_indices, (-1, rank))
    if rank != len(shape):
        raise InvalidArgumentError(f"output_shape has incorrect number of elements: {len(shape)} should be: {rank}")
    count = indices.shape[0]
    if sparse_values.shape not in ((), (count,)):
        raise InvalidArgumentError(
            f"sparse_values has incorrect shape {describe(sparse_values.shape)}, should be [] or [{count}]"
        )
    if default_value.shape != ():
        raise InvalidArgumentError("default_value should be a scalar.")
    if is_known(indices):
        _check_sparse_indices(indices, shape, validate_indices)
    xp = array_module(sparse_indices, sparse_values, default_value)
    values = xp.broadcast_to(sparse_values, (count,))
    dtype = object if sparse_values.dtype == object else default_value.dtype
    return scatter_nd(xp.full(shape, default_value, dtype), indices, values, "set")


@check("SparseToDense")
def places_in_dense(sparse_indices, output_shape, validate_indices=True):
    shape = tuple(int(n) for n in output_shape)
    rank = sparse_indices.shape[1] if sparse_indices.ndim == 2 else 1
    if is_known(sparse_indices) or rank != len(shape):
        return  # the lowering says it
    indices = sparse_indices.reshape((-1, len(shape)))
    is_inside = ((indices >= 0) & (indices < np.array(shape))).all(1)
    if not validate_indices:
        yield claim(is_inside.all(), f"Indices are not valid (out of bounds).  Shape: {describe(shape)}")
        return
    message = f"indices{{at}} = {{value}} is out of bounds: need 0 <= index < {describe(shape)}"
    yield claim(is_inside, message, value=indices)
    yield from in_order(indices)


def in_order(indices):
    """Index vectors [n, rank] in row-major order, none twice."""
    if not indices.shape[0] or not indices.shape[1]:
        return
    xp = array_module(indices)
    step = indices[1:] - indices[:-1]
    differs = step != 0
    # The first difference decides.
    step = xp.take_along_axis(step, xp.argmax(differs, axis=1)[:, None], 1)[:, 0]
    first = xp.ones(1, bool)
    yield claim(xp.concatenate([first, differs.any(1)]), "indices{at} = {value} is repeated", value=indices)
    message = "indices{at} = {value} is out of order. Many sparse ops require sorted indices."
    yield claim(xp.concatenate([first, step >= 0]), message, value=indices)


def _check_sparse_indices(indices, shape, in_order):
    outside = np.any((indices < 0) | (indices >= np.array(shape)), axis=1)
    if not in_order:
        if np.any(outside):
            raise InvalidArgumentError(f"Indices are not valid (out of bounds).  Shape: {describe(shape)}")
        return
    for i in np.flatnonzero(outside)[:1]:
        raise InvalidArgumentError(
            f"indices[{i}] = {describe(indices[i])} is out of bounds: need 0 <= index < {describe(shape)}"
        )
    flat = np.ravel_multi_index(tuple(indices.T), shape) if len(indices) else np.zeros(0, np.int64)
    for i in np.flatnonzero(np.diff(flat) <= 0)[:1] + 1:
        row = describe(indices[i])
        if flat[i] == flat[i - 1]:
            raise InvalidArgumentError(f"indices[{i}] = {row} is repeated")
        raise InvalidArgumentError(f"indices[{i}] = {row} is out of order. Many sparse ops require sorted indices.")


@lower("ScatterAddNdim", updates=("input",))
def scatter_add_ndim(input, indices, deltas):
    """Adds rows of `deltas` where the indices, [n, k], lead into the first k dimensions; without indices, nothing."""
    if not indices.shape[0]:
        return input
    if indices.ndim != 2:
        raise InvalidArgumentError("indices should be two-dimensional")
    if indices.shape[1] + deltas.ndim != input.ndim + 1:
        raise InvalidArgumentError("Number of indices dimensions should be the same as input rank.")
    if indices.shape[0] != deltas.shape[0]:
        raise InvalidArgumentError("Number of updates should be same as number of indices.")
    return scatter_nd(input, indices, deltas.reshape(len(indices), *input.shape[indices.shape[1] :]), "add")
