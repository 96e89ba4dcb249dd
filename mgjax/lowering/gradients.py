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

    def outputs(*values: Any) -> tuple[list[Any], tuple[list[Any], Any]]:
        merged = list(arguments)
        for i, value in zip(varied, values, strict=True):
            merged[i] = value
        found, failed = evaluate_region(evaluator, region, merged, environment)
        # After the function's own results stand the generators that it drew from.
        return [jnp.asarray(array) for array in found[: len(dys)] if _is_inexact(array)], (found[len(dys) :], failed)

    made, pullback, (drawn, failed) = jax.vjp(outputs, *[jnp.asarray(arguments[i]) for i in varied], has_aux=True)
    if environment.flags is not None:
        environment.flags.add(failed)
    given = iter(dy for dy in dys if _is_inexact(dy))
    cotangents = [jnp.conj(jnp.broadcast_to(next(given), y.shape)).astype(y.dtype) for y in made]
    found = dict(zip(varied, pullback(cotangents), strict=True))
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

    @jax.custom_vjp
    def call(*values: Any) -> list[Any]:
        arrays, failed = evaluate_region(evaluator, function, merged(values), environment)
        return [jnp.asarray(array) for array in [*arrays, failed]]

    def forward(*values: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return call(*values), values

    def backward(values: tuple[Any, ...], dys: Sequence[Any]) -> tuple[Any, ...]:
        types = [parameter.type.dtype for parameter in gradient.parameters[len(arguments) :]]
        given = [
            np.zeros(dy.shape, type.numpy) if type is not None and dy.dtype == jax.dtypes.float0 else jnp.conj(dy)
            for dy, type in zip(dys[:-1], types, strict=True)
        ]
        dxs, _ = evaluate_region(evaluator, gradient, [*merged(values), *given], environment)
        return tuple(jnp.conj(dxs[i]) for i in varied)

    call.defvjp(forward, backward)
    *results, failed = call(*[jnp.asarray(arguments[i]) for i in varied])
    if environment.flags is not None:
        environment.flags.add(failed)
    return results


def evaluate_region(
    evaluator: Evaluator, region: Block, arguments: Sequence[Any], environment: Environment
) -> tuple[list[Any], Any]:
    """The region's results, and the number of what failed in it."""
    captured = {value: environment[value] for value in free_values(region)}
    flags = None if environment.flags is None else Flags(environment.flags.sites)
    results = evaluator.block(
        region,
        arguments,
        Environment(captured, flags, raises=environment.raises, is_inside_jit=environment.is_inside_jit),
    )
    return results, NOTHING if flags is None else flags.first()


def _is_inexact(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jnp.inexact)
