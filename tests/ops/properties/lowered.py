"""Runs a call by its lowering: with all operands known, or compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from mgjax.errors import OpError, ReadError, UnsupportedError
from mgjax.ops import REGISTRY, Lowering, NeedsKnown
from tests.ops.properties.kernels import op_def_of
from tests.ops.properties.recipes import Call

REFUSALS = (OpError, UnsupportedError, ReadError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError)
"""What the evaluator turns into errors that name the node, and those errors."""


def class_of(error: Exception) -> str | None:
    """The name of the class that a user of the graph sees; None where mgjax cannot do what is asked."""
    if isinstance(error, UnsupportedError):
        return None
    return type(error).__name__ if isinstance(error, OpError) else "InvalidArgumentError"


def keywords_of(lowering: Lowering, call: Call) -> dict[str, Any]:
    """The attrs that the lowering takes."""
    if lowering.keywords is None:
        return dict(call.attrs)
    return {name: call.attrs[name] for name in lowering.keywords if name in call.attrs}


def flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, (list, tuple)):
        return [x for output in outputs for x in flat(output)]
    return [outputs]


def run_known(call: Call) -> list[np.ndarray]:
    """With NumPy operands, as constants are folded and host steps run."""
    lowering = REGISTRY[call.op]
    function = lowering.numpy or lowering.function
    with jax.enable_x64(True):
        ask(call, None)
        outputs = flat(function(*(call.inputs[name] for name in lowering.parameters), **keywords_of(lowering, call)))
        ask(call, outputs)
        return [to_numpy(x) for x in with_references(call, outputs)]


def with_references(call: Call, outputs: list[Any]) -> list[Any]:
    """The outputs as a graph has them, where a reference to the variable that the op changes stands among the others."""
    op_def, count = op_def_of(call.op), len(REGISTRY[call.op].writes)
    others = iter(outputs[count:])
    types = op_def.output_types(call.attrs)
    return [*outputs[:count], *(outputs[0] if is_ref else next(others) for _, is_ref in types)]


def ask(call: Call, outputs: list[Any] | None) -> None:
    """Raises what the lowering's checks refuse: those of the operands, or with `outputs` those of the results."""
    for check in REGISTRY[call.op].checks:
        names = list(inspect.signature(check).parameters)
        if ("outputs" in names) is (outputs is None):
            continue
        given = {**call.attrs, **call.inputs, "outputs": outputs}
        for claim in check(**{name: given[name] for name in names if name in given}):
            if not np.all(claim.holds):
                raise claim.error(claim.text())


def to_numpy(value: Any) -> np.ndarray:
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def moving_inputs(call: Call, known: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The inputs that are traced: all but those that the lowering must know, and strings."""
    lowering = REGISTRY[call.op]
    return {
        name: value
        for name, value in call.inputs.items()
        if name not in lowering.statics | known and not _holds_strings(value)
    }


def has_strings(call: Call) -> bool:
    """Whether an input holds strings, which no device program takes."""
    return any(map(_holds_strings, call.inputs.values()))


def _holds_strings(value: Any) -> bool:
    return value is not None and any(x.dtype == object for x in (value if isinstance(value, list) else [value]))


def traceable(call: Call, known: frozenset[str] = frozenset()) -> Callable[[Mapping[str, Any]], list[Any]]:
    """A function of `moving_inputs`, with everything else fixed."""
    lowering = REGISTRY[call.op]
    keywords = keywords_of(lowering, call)

    def program(moving: Mapping[str, Any]) -> list[Any]:
        with jax.enable_x64(True):
            operands = {**call.inputs, **moving}
            return flat(lowering.function(*(operands[name] for name in lowering.parameters), **keywords))

    return program


def prepared(call: Call) -> tuple[Callable, dict[str, Any], Any]:
    """The function to trace, its operands, and the abstract results; inputs that it asks for by `NeedsKnown` are fixed."""
    known: frozenset[str] = frozenset()
    while True:
        program, moving = traceable(call, known), moving_inputs(call, known)
        try:
            with jax.enable_x64(True):
                return program, moving, jax.eval_shape(program, moving)
        except NeedsKnown as need:
            if need.parameters <= known:
                raise
            known |= need.parameters


def run_compiled(call: Call) -> list[np.ndarray]:
    """Under `jit`, with every operand that may be traced traced."""
    program, moving, _ = prepared(call)
    with jax.enable_x64(True):
        return [np.asarray(x) for x in jax.jit(program)(jax.tree.map(jax.numpy.asarray, moving))]
