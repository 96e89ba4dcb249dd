"""Ops of which the values decide how many rows they have, in as many rows as the caller says (see `mgjax.passes.bound_rows`).

What does not fit is a failure of the operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError, ResourceExhaustedError
from mgjax.ir import Operation
from mgjax.lowering.evaluate import Environment, Evaluator
from mgjax.lowering.flags import describe
from mgjax.ops import Claim, claim, overlaps_of, suppress


def evaluate_padded_where(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Positions [rows, rank] of what is not zero, in row-major order; behind them the sizes of the axes."""
    x = jnp.asarray(environment[operation.operands[0]])
    is_found = jnp.ravel(x != 0)
    count = is_found.size
    places = _compacted(operation, environment, is_found, lax.iota(np.int32, count), np.int32(count))
    columns, step = [], 1
    for size in reversed(x.shape):
        columns.append(jnp.where(places < count, places // max(step, 1) % max(size, 1), size).astype(np.int64))
        step *= size
    rows = operation.attributes["rows"]
    return [jnp.stack(columns[::-1], axis=1) if columns else jnp.zeros((rows, 0), np.int64)]


def evaluate_padded_unique(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The distinct values in the order of their first occurrence, which one each element is, and how often each occurs."""
    x = jnp.asarray(environment[operation.operands[0]])
    if x.ndim != 1:
        raise InvalidArgumentError("unique expects a 1D vector.", operation.name, "Unique")
    dtype = operation.attributes.get("out_idx", dtypes.int32).numpy
    own = lax.iota(np.int32, x.shape[0])
    ordered, order = lax.sort_key_val(x, own)
    starts = jnp.concatenate([np.ones(min(1, x.shape[0]), bool), ordered[1:] != ordered[:-1]])
    # Sorting is stable: of equal values the first stands first.
    first_of_run = order[lax.cummax(jnp.where(starts, own, 0))] if x.shape[0] else own
    first = jnp.zeros_like(own).at[order].set(first_of_run, unique_indices=True)
    is_new = first == own
    values = _compacted(operation, environment, is_new, x, np.zeros((), x.dtype))
    number = (lax.cumsum(is_new.astype(np.int32)) - 1)[first] if x.shape[0] else own
    counts = jnp.zeros(operation.attributes["rows"], dtype).at[number].add(np.ones((), dtype), mode="drop")
    return [values, number.astype(dtype), counts][: len(operation.results)]


def evaluate_padded_partition(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The slices of each partition, in order."""
    data, partitions = (jnp.asarray(environment[operand]) for operand in operation.operands)
    slices = data.reshape((-1, *data.shape[partitions.ndim :]))
    number = len(operation.results)
    is_partition = (partitions >= 0) & (partitions < number)
    message = f"partitions{{at}} = {{value}} is not in [0, {number})"
    _require(environment, claim(is_partition, message, value=partitions), operation, "partitions")
    flat = jnp.ravel(partitions)
    zero = np.zeros((), data.dtype)
    return [_compacted(operation, environment, flat == i, slices, zero, i) for i in range(number)]


def evaluate_padded_suppression(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Indices of boxes none of which overlap too much; for the newest op also their scores; for newer ones their number.

    Without a number of rows `max_output_size` must be known, and the rows behind those that are found hold zeros.
    """
    op, attributes = operation.attributes["of"], operation.attributes
    boxes, scores, size, *thresholds = (environment[operand] for operand in operation.operands)
    if op == "NonMaxSuppression":
        thresholds = [np.float32(attributes.get("iou_threshold", 0.5))]
    score_threshold = thresholds[1] if len(thresholds) > 1 else np.float32(-np.inf)
    sigma = thresholds[2] if len(thresholds) > 2 else np.float32(0)
    if op.endswith("WithOverlaps"):
        overlaps = jnp.asarray(boxes)
        overlaps_with = lambda index: overlaps[:, index]  # noqa: E731
    else:
        overlaps_with = overlaps_of(boxes)
    bound = attributes.get("rows")
    if bound is None:
        size = evaluator.known(operation, operation.operands[2], size, environment)
    length = int(size) if bound is None else bound
    chosen, kept, left = suppress(
        scores, overlaps_with, length, thresholds[0], score_threshold, limit=size, sigma=sigma
    )
    is_found = kept > -np.inf
    found = jnp.sum(is_found, dtype=np.int32)
    if bound is not None:
        message = "it has more rows than row_bounds gives it: {bound}"
        fits = (size <= bound) | jnp.all(left == -np.inf)
        _require(environment, claim(fits, message, error=ResourceExhaustedError, bound=bound), operation, "rows")
    chosen = jnp.where(is_found, chosen, np.int32(0 if bound is None else np.shape(scores)[0]))
    kept = jnp.where(is_found, kept, 0).astype(jnp.asarray(scores).dtype)
    return {1: [chosen], 2: [chosen, found], 3: [chosen, kept, found]}[len(operation.results)]


def _compacted(
    operation: Operation, environment: Environment, is_taken: jax.Array, rows: jax.Array, fill: Any, part: int = 0
) -> jax.Array:
    """The rows that are taken, and behind them as many of `fill` as there is room for."""
    bound = operation.attributes["rows"]
    place = jnp.where(is_taken, lax.cumsum(is_taken.astype(np.int32)) - 1, bound)
    found = jnp.sum(is_taken, dtype=np.int32)
    message = "it has {found} rows, more than row_bounds gives it: {bound}"
    fits = claim(found <= bound, message, error=ResourceExhaustedError, found=found, bound=bound)
    _require(environment, fits, operation, ("rows", part))
    return jnp.full((bound, *rows.shape[1:]), fill, rows.dtype).at[place].set(rows, mode="drop")


def _require(environment: Environment, claim: Claim, operation: Operation, place: Any) -> None:
    if isinstance(claim.holds, jax.core.Tracer):
        if environment.flags is not None:
            environment.flags.require(claim, operation, place)
    elif not np.all(claim.holds):
        raise claim.error(describe(operation, claim.text()), operation.name, operation.kind)
