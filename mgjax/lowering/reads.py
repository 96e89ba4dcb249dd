"""`list_after_read`: a list and an element of it that was read by then (see `mgjax.passes.read_before_write`).

An optimization barrier says so to XLA. Its CPU compiler takes barriers out before it decides what to copy (with JAX 0.10; later
ones do not always), so there a branch that always goes one way stands for it: no later operation is fused with one
across it, and the zero that it also gives becomes part of the place that is written to next (`ElementList.late`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.ir import Operation
from mgjax.lowering.evaluate import Environment, Evaluator
from mgjax.ops import ElementList

_NO_INDEX = np.int32(np.iinfo(np.int32).min)


def evaluate_list_after_read(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The list and the element, as they are."""
    held, item, index = (environment[value] for value in operation.operands)
    is_traced = isinstance(held, ElementList) and isinstance(held.buffer, jax.core.Tracer)
    if not is_traced or not isinstance(item, jax.core.Tracer):
        return [held, item]
    if jax.default_backend() != "cpu" or not isinstance(index, jax.core.Tracer):
        buffer, item = jax.lax.optimization_barrier((held.buffer, item))
        return [held.with_(buffer=buffer), item]
    item, zero = jax.lax.cond(
        jnp.reshape(index, ()) != _NO_INDEX,
        lambda: (item, np.int32(0)),
        lambda: (jnp.zeros_like(item), np.int32(1)),
    )
    return [held.with_(late=zero if held.late is None else held.late | zero), item]
