"""What library functions become that are not put in the place of their calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.errors import FailedPreconditionError, InvalidArgumentError, ResourceExhaustedError
from mgjax.ir import Operation
from mgjax.lowering.evaluate import Environment, Evaluator, NeedsHost
from mgjax.lowering.gradients import evaluate_region
from mgjax.lowering.loops import is_plain
from mgjax.lowering.on_host import run_block
from mgjax.ops import claim


def evaluate_recursion(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The results of a function that calls itself: run on the host, where values say how often."""
    arguments = [environment[value] for value in operation.operands]
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments)):
        raise NeedsHost(operation, "a function calls itself as often as its values say")
    body = evaluator.recursive[operation.attributes["f"].name].body
    try:
        if environment.needs is None:
            return run_block(evaluator, body, arguments, environment)
        with jax.ensure_compile_time_eval():
            return run_block(evaluator, body, arguments, environment)
    except RecursionError as error:
        message = "the function calls itself more often than there is room for on Python's stack"
        raise ResourceExhaustedError(message, operation.name) from error


def evaluate_for_start(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The first index of a `For`, which must lead to the limit."""
    # core/kernels/functional_ops.cc, ForOp
    arrays = [environment[value] for value in operation.operands]
    for name, array in zip(("start", "limit", "delta"), arrays, strict=True):
        if np.ndim(array) != 0:
            raise InvalidArgumentError(f"{name} must be a scalar, but {list(np.shape(array))}", operation.name, "For")
    start, limit, delta = arrays
    text = "Invalid start/limit/delta: {start} {limit} {delta}"
    leads_there = (start == limit) | ((delta > 0) & (start < limit)) | ((delta < 0) & (start > limit))
    found = claim(leads_there, text, start=start, limit=limit, delta=delta)
    if not isinstance(leads_there, jax.core.Tracer):
        if not leads_there:
            raise found.error(found.text(), operation.name, "For")
    elif environment.flags is not None:
        environment.flags.require(found, operation, "range")
    return arrays[:1]


def evaluate_map(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The region's results for each row of the first operands, stacked."""
    # core/kernels/data/map_defun_op.cc
    (region,) = operation.regions
    count = operation.attributes["rows"]
    arrays = [environment[value] for value in operation.operands]
    rows, captured = arrays[:count], arrays[count:]
    if any(np.ndim(array) == 0 for array in rows) or len({np.shape(array)[0] for array in rows}) != 1:
        shown = ", ".join(str(list(np.shape(array))) for array in rows)
        raise InvalidArgumentError(f"All inputs must have the same dimension 0. ({shown})", operation.name, "MapDefun")

    def row(*values: Any) -> tuple[list[Any], Any, dict[int, Any]]:
        found, failed, needs = evaluate_region(evaluator, region, [*values, *captured], environment)
        return [jnp.asarray(array) if is_plain(array) else array for array in found], jnp.asarray(failed), needs

    if operation in evaluator.placement.on_host:
        # A loop of the function must know its values: row by row.
        each = [row(*values)[:2] for values in zip(*map(np.asarray, arrays[:count]), strict=True)]
        results, failed = jax.tree.map(lambda *values: jnp.stack(values), *each)
        if environment.flags is not None:
            environment.flags.add(jnp.min(failed))
        return results
    results, failed, needs = jax.vmap(row)(*map(jnp.asarray, rows))
    environment.add_needs({loop: jnp.max(rounds, initial=0) for loop, rounds in needs.items()})
    if environment.flags is not None and failed.size:
        environment.flags.add(jnp.min(failed))
    return results


def evaluate_batch_part(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Of a result for a padded batch, the rows that belong to the task."""
    # core/kernels/batch_kernels.cc, SplitOutputTensors
    result, batched, task = (environment[value] for value in operation.operands)
    if np.ndim(result) == 0:
        message = "Batched output tensor has 0 dimensions"
        raise FailedPreconditionError(message, operation.name, "BatchFunction")
    if np.shape(result)[0] != np.shape(batched)[0]:
        message = "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"
        raise FailedPreconditionError(message, operation.name, "BatchFunction")
    return [result[: np.shape(task)[0]]]
