"""A call under JAX's transformations, compared with itself in a loop, and with TensorFlow's registered gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from tests.ops.live import tf
from tests.ops.properties import graphs, lowered
from tests.ops.properties.comparison import Bound, difference
from tests.ops.properties.recipes import Call, variables_of

from tensorflow.python.framework import ops  # isort: skip

BATCHED = Bound(relative=40)
"""How near a batch is to a loop: XLA fuses and vectorizes each in its own way."""

DERIVED = Bound(relative=1000)
"""How near derivatives are: those of two formulas for one function, which cancel at different places."""

# Compiling costs more than running.
QUICKLY = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": "True"}


@dataclass(frozen=True)
class Compared:
    """Which of a call's transformations were compared."""

    batch: bool
    derivatives: bool


def compare(call: Call, *, derive: bool) -> Compared:
    """Asserts that a batch is what a loop gives and, with `derive`, that derivatives are TensorFlow's.

    A call that the lowering refuses is not compared; nor are derivatives, where TensorFlow gives none.
    """
    if lowered.has_strings(call) or any(value is None for value in call.inputs.values()):
        return Compared(False, False)
    try:
        program, moving, outputs = lowered.prepared(call)
    except lowered.REFUSALS:
        return Compared(False, False)
    if not moving:
        return Compared(False, False)
    wanted = derivatives_of_tensorflow(call) if derive and is_derivable(call) else {}
    given = [name for name, value in wanted.items() if any(x is not None for x in listed(value))]
    smooth = frozenset(name for name in given if all(map(is_smooth, listed(moving.get(name, np.zeros(0, int))))))
    batch, loop, found = transform(program, moving, cotangents(outputs), smooth)
    for i, (x, y) in enumerate(zip(batch, loop, strict=True)):
        problem = difference(x, y, BATCHED)
        assert problem is None, f"{call}: output {i} in a batch, and alone: {problem}"
    for name in sorted(smooth):
        for x, y in zip(listed(found[name]), listed(wanted[name]), strict=True):
            # JAX's cotangents of complex numbers are the conjugates of TensorFlow's.
            problem = None if y is None else difference(np.conj(x), y, DERIVED)
            assert problem is None, f"{call}: derivative by {name}: {problem}"
    return Compared(True, bool(smooth))


def transform(program: Any, moving: dict[str, Any], by: list[Any], smooth: frozenset[str]) -> tuple[Any, Any, Any]:
    """The call and a `neighbour` of it in a batch, and one after the other; the pullback of `by` to inputs. One program."""

    def pulled_back(given: dict[str, Any]) -> dict[str, Any]:
        fixed = {name: value for name, value in given.items() if name not in smooth}
        _, pullback = jax.vjp(lambda x: program({**fixed, **x}), {name: given[name] for name in smooth})
        return pullback([np.conj(x) if is_smooth(x) else x for x in by])[0]

    def everything(first: dict[str, Any], second: dict[str, Any]) -> tuple[Any, Any, Any]:
        stacked = jax.tree.map(lambda *x: jax.numpy.stack(x), first, second)
        loop = [jax.numpy.stack(pair) for pair in zip(program(first), program(second), strict=True)]
        return jax.vmap(program)(stacked), loop, pulled_back(first) if smooth else {}

    with jax.enable_x64(True):
        both = moving, neighbour(moving)
        return jax.tree.map(np.asarray, jax.jit(everything).lower(*both).compile(QUICKLY)(*both))


def neighbour(moving: dict[str, Any]) -> dict[str, Any]:
    """Inputs under the same constraints, with other floating values: each array's own, one place further."""
    return jax.tree.map(lambda x: np.roll(x, 1) if is_smooth(x) else x, moving)


def is_smooth(x: Any) -> bool:
    return bool(jax.numpy.issubdtype(x.dtype, jax.numpy.inexact))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def cotangents(outputs: list[Any]) -> list[np.ndarray]:
    """For each output a cotangent; zeros of float0, as JAX has them, where it is not floating."""
    rng = np.random.default_rng(7)
    spread = [rng.normal(0, 1, x.shape) + 1j * rng.normal(0, 1, x.shape) * (x.dtype.kind == "c") for x in outputs]
    return [
        (z if x.dtype.kind == "c" else z.real).astype(x.dtype) if is_smooth(x) else np.zeros(x.shape, jax.dtypes.float0)
        for x, z in zip(outputs, map(np.asarray, spread), strict=True)
    ]


def has_gradient(op: str) -> bool:
    """Whether TensorFlow registers a gradient of the op, other than that there is none."""
    try:
        return ops.gradient_registry.lookup(op) is not None and not variables_of(op)
    except LookupError:
        return False


def is_derivable(call: Call) -> bool:
    """Whether derivatives of the call can be told apart: of half precision they cannot."""
    values = [x for value in call.inputs.values() for x in listed(value)]
    halves = any(x.dtype.itemsize == 2 and x.dtype.kind in "fV" for x in values)
    return has_gradient(call.op) and not halves and any(map(is_smooth, values))


def derivatives_of_tensorflow(call: Call) -> dict[str, Any]:
    """By input the cotangent that TensorFlow's gradients give, for `cotangents`; None where they give none."""
    with tf.Graph().as_default(), tf.device("/cpu:0"):
        program = graphs.program_of(call, known=True)
        names = next(list(node.input) for node in program.graph.node if node.name == "op")
        try:
            elements = tf.import_graph_def(
                program.graph, return_elements=[*(f"{name}:0" for name in names), *program.fetches], name=""
            )
            inputs, outputs = elements[: len(names)], elements[len(names) :]
            with tf.Session(config=quiet()) as session:
                by = cotangents([np.asarray(x) for x in session.run(outputs)])
                smooth = [i for i, x in enumerate(by) if is_smooth(x)]
                found = tf.gradients([outputs[i] for i in smooth], inputs, [tf.constant(by[i]) for i in smooth])
                found = [None if x is None else tf.convert_to_tensor(x) for x in found]
                known = iter(session.run([x for x in found if x is not None]))
        except (tf.errors.OpError, ValueError, TypeError, LookupError, AttributeError):
            return {}  # it refuses the call, or the gradient of this kind of call
    values = iter([None if x is None else np.asarray(next(known)) for x in found])
    return {
        name: [next(values) for _ in value] if isinstance(value, list) else next(values)
        for name, value in call.inputs.items()
    }


def quiet() -> Any:
    """A session that rewrites nothing."""
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.optimizer_options.opt_level = -1
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config
