"""Gradients of library functions: `SymbolicGradient` is the pullback of the function.

TensorFlow's gradient of a function of complex numbers is the conjugate of JAX's. An argument that is no floating-point
number, or on which nothing depends, has zeros for its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.errors import UnsupportedError
from mgjax.ir import Block, Operation
from mgjax.lowering.evaluate import Environment, Evaluator, uninitialized
from mgjax.lowering.flags import NOTHING, Flags, describe
from mgjax.lowering.loops import is_plain
from mgjax.passes import free_values


def evaluate_gradient(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """dx for each argument of the region, from the arguments and dy for each of its results."""
    (region,) = operation.regions
    count = len(region.parameters)
    arrays = [environment[value] for value in operation.operands]
    for value, array in zip(operation.operands, arrays, strict=True):
        if array is None:
            raise uninitialized(operation, value)
    if not all(map(is_plain, arrays)):
        raise UnsupportedError(describe(operation, "it differentiates a function of something else than arrays"))
    arguments, dys = arrays[:count], arrays[count:]
    varied = [i for i, array in enumerate(arguments) if _is_inexact(array)]

    def outputs(*values: Any) -> tuple[list[Any], tuple[Any, ...]]:
        merged = list(arguments)
        for i, value in zip(varied, values, strict=True):
            merged[i] = value
        found, failed, needs = evaluate_region(evaluator, region, merged, environment)
        # After the function's own results stand the generators that it drew from.
        drawn = found[len(dys) :]
        return [jnp.asarray(array) for array in found[: len(dys)] if _is_inexact(array)], (drawn, failed, needs)

    given = iter(dy for dy in dys if _is_inexact(dy))
    try:
        made, pullback, (drawn, failed, needs) = jax.vjp(
            outputs, *[jnp.asarray(arguments[i]) for i in varied], has_aux=True
        )
        cotangents = [jnp.conj(jnp.broadcast_to(next(given), y.shape)).astype(y.dtype) for y in made]
        found = dict(zip(varied, pullback(cotangents), strict=True))
    except ValueError as error:
        # JAX has no class of its own for this. TensorFlow derives no loop in a function at all.
        if "Reverse-mode differentiation does not work for lax.while_loop" not in str(error):
            raise
        problem = "it differentiates a function with a loop, and nothing known says how many rounds that runs"
        raise UnsupportedError(describe(operation, problem)) from error
    environment.add_needs(needs)
    if environment.flags is not None:
        environment.flags.add(failed)
    return [
        *(jnp.conj(found[i]) if i in found else np.zeros(x.shape, x.dtype) for i, x in enumerate(arguments)),
        *drawn,
    ]


def evaluate_custom_gradient(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The function's results; whoever differentiates them gets what the second region computes."""
    function, gradient = operation.regions
    arguments = [environment[value] for value in operation.operands]
    varied = [i for i, array in enumerate(arguments) if is_plain(array) and _is_inexact(array)]

    def merged(values: Sequence[Any]) -> list[Any]:
        found = list(arguments)
        for i, value in zip(varied, values, strict=True):
            found[i] = value
        return found

    loops: list[int] = []

    @jax.custom_vjp
    def call(*values: Any) -> list[Any]:
        arrays, failed, needs = evaluate_region(evaluator, function, merged(values), environment)
        loops[:] = needs
        return [jnp.asarray(array) for array in [*arrays, *needs.values(), failed]]

    def forward(*values: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return call(*values), values

    def backward(values: tuple[Any, ...], dys: Sequence[Any]) -> tuple[Any, ...]:
        types = [parameter.type.dtype for parameter in gradient.parameters[len(arguments) :]]
        given = [
            np.zeros(dy.shape, type.numpy) if type is not None and dy.dtype == jax.dtypes.float0 else jnp.conj(dy)
            for dy, type in zip(dys[: len(types)], types, strict=True)
        ]
        dxs, _, _ = evaluate_region(evaluator, gradient, [*merged(values), *given], environment)
        return tuple(jnp.conj(dxs[i]) for i in varied)

    call.defvjp(forward, backward)
    *results, failed = call(*[jnp.asarray(arguments[i]) for i in varied])
    if environment.flags is not None:
        environment.flags.add(failed)
    count = len(results) - len(loops)
    environment.add_needs(dict(zip(loops, results[count:], strict=True)))
    return results[:count]


def evaluate_region(
    evaluator: Evaluator, region: Block, arguments: Sequence[Any], environment: Environment
) -> tuple[list[Any], Any, dict[int, Any]]:
    """The region's results, the number of what failed in it, and what its loops need."""
    needs: dict[int, Any] | None = None if environment.needs is None else {}
    captured = {value: environment[value] for value in free_values(region)}
    flags = None if environment.flags is None else Flags(environment.flags.sites)
    results = evaluator.block(
        region,
        arguments,
        Environment(captured, flags, raises=environment.raises, is_inside_jit=environment.is_inside_jit, needs=needs),
    )
    return results, NOTHING if flags is None else flags.first(), needs or {}


def _is_inexact(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jnp.inexact)
