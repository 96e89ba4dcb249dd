"""`bounded_accidental_hits`: the hits of a sampled loss in arrays of a static size (see `mgjax.passes.bound_hits`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.ir import Operation
from mgjax.lowering.evaluate import Environment, Evaluator


def evaluate_bounded_hits(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Of each true class its row, its place among the candidates, and a weight; a row beyond all others if it has none."""
    true_classes, candidates = (jnp.asarray(environment[operand]) for operand in operation.operands)
    matches = true_classes.reshape(-1, 1) == candidates
    # The last place of a class that was sampled twice, as where the number of hits is not bounded.
    # Not `jnp.argmax`, whose int64 is lowered outside of the 64-bit mode where the caller's jit is.
    place = matches.shape[1] - 1 - lax.argmax(matches[:, ::-1], 1, np.int32)
    row = jnp.asarray(np.repeat(np.arange(true_classes.shape[0]), true_classes.shape[1]))
    row = jnp.where(matches.any(axis=1), row, np.iinfo(np.int32).max)
    weights = jnp.full(row.shape, -np.finfo(np.float32).max, np.float32)
    return row.astype(np.int32), place.astype(np.int64), weights
