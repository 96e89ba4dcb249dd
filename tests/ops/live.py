"""Compares lowerings with a live TensorFlow, on the CPU and with its graph rewrites off.

`check("Pad", {"input": x, "paddings": [[1, 1]]})` builds the one-op graph by its OpDef, runs it, and compares
every output with the lowering's: dtype, shape and values, with all operands known (NumPy), and with the arrays as JAX
arrays, both as it is and under `jax.jit`. Operands that the lowering declares `Static`, and those named in `statics`,
stay NumPy there.

An input that the lowering declares as a variable becomes one in TensorFlow's graph as well; its new value is compared
after the op has run, and stands before the outputs in what `check` returns. An op that draws is given a generator.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mgjax import dtypes
from mgjax.ops import REGISTRY, Lowering, initial_generator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with warnings.catch_warnings():
    # TensorFlow's own modules use what newer NumPy and protobuf deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    tf = pytest.importorskip("tensorflow.compat.v1")
    from tensorflow.python.framework import op_def_library, op_def_registry

# Relative and absolute tolerance of one op, by the dtype of its output.
TOLERANCE = {
    "float16": 2e-3,
    "bfloat16": 2e-2,
    "float32": 2e-6,
    "float64": 1e-12,
    "complex64": 4e-6,
    "complex128": 1e-12,
}


def check(
    op: str,
    inputs: Mapping[str, Any],
    attrs: Mapping[str, Any] | None = None,
    *,
    statics: Iterable[str] = (),
    rtol: float | None = None,
    atol: float | None = None,
    known: bool = True,
    traced: bool = True,
    skip: Sequence[int] = (),
) -> list[np.ndarray]:
    """Asserts that the lowering of `op` gives what TensorFlow gives, and returns TensorFlow's outputs, flat.

    Args:
        inputs: by the OpDef's names; an array, or a list of arrays for an input that is a list; Python numbers are
            int32 and float32; object dtype holds strings.
        attrs: those that TensorFlow cannot infer from the inputs; types as `DType`.
        statics: further inputs that are known while tracing, such as an axis.
        rtol, atol: instead of `TOLERANCE`, for floating outputs; the reason belongs next to the call.
        known: whether to run with all operands known (NumPy).
        traced: whether to run with JAX arrays and under `jit`.
        skip: positions of flat outputs that are not compared (undefined by TensorFlow).
    """
    lowering = REGISTRY[op]
    inputs = {name: _arrays(value) for name, value in inputs.items()}
    expected, all_attrs = _run(lowering, inputs, dict(attrs or {}))
    lowered = [_as_numpy(x) for x in expected]
    keywords = (
        all_attrs if lowering.keywords is None else {k: all_attrs[k] for k in lowering.keywords if k in all_attrs}
    )

    def call(function: Any, operands: Mapping[str, Any]) -> Any:
        arguments = [operands[name] for name in lowering.parameters]
        if not lowering.draws:
            return function(*arguments, **keywords)
        *outputs, _ = function(*arguments, **keywords, generator=initial_generator(1, 2))
        return outputs

    def compare(outputs: Any, way: str) -> None:
        flat = _flat(outputs)
        assert len(flat) == len(lowered), f"{op} {way}: {len(flat)} outputs, TensorFlow has {len(lowered)}"
        for i, (found, wanted) in enumerate(zip(flat, lowered, strict=True)):
            if i not in skip:
                assert_same(found, wanted, rtol=rtol, atol=atol, what=f"{op} {way}, output {i}")

    with jax.enable_x64(True):
        if known:
            compare(call(lowering.numpy or lowering.function, inputs), "with known operands")
        if traced and not lowering.host:
            static_names = {*lowering.statics, *statics}
            fixed = {k: v for k, v in inputs.items() if k in static_names}
            moving = {k: _on_device(v) for k, v in inputs.items() if k not in static_names}
            compare(call(lowering.function, {**moving, **fixed}), "with arrays")
    if traced and not lowering.host:
        # The 64-bit mode is on while tracing and off while lowering to XLA, as in a user's own `jit`.
        def program(arrays: Mapping[str, Any]) -> Any:
            with jax.enable_x64(True):
                return call(lowering.function, {**arrays, **fixed})

        compare(jax.jit(program)(moving), "under jit")
    return lowered


def assert_same(
    found: Any, wanted: np.ndarray, *, rtol: float | None = None, atol: float | None = None, what: str = ""
) -> None:
    """Asserts equal dtype and shape, and values within the tolerance of the dtype (exact where it has none)."""
    found = np.asarray(found)
    assert found.dtype == wanted.dtype, f"{what}: {found.dtype}, TensorFlow has {wanted.dtype}"
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, TensorFlow has {wanted.shape}"
    tolerance = TOLERANCE.get(wanted.dtype.name)
    if tolerance is None:
        assert_array_equal(found, wanted, err_msg=what)
        return
    if wanted.dtype in (np.float16, ml_dtypes.bfloat16):
        found, wanted = found.astype(np.float32), wanted.astype(np.float32)
    rtol, atol = (tolerance if x is None else x for x in (rtol, atol))
    assert_allclose(found, wanted, rtol=rtol, atol=atol, equal_nan=True, err_msg=what)


def raises(op: str, inputs: Mapping[str, Any], attrs: Mapping[str, Any] | None = None) -> str:
    """The message with which TensorFlow refuses these operands."""
    inputs = {name: _arrays(value) for name, value in inputs.items()}
    with pytest.raises((tf.errors.OpError, ValueError)) as caught:
        _run(REGISTRY[op], inputs, dict(attrs or {}))
    message = str(caught.value).split("\nNode: ")[-1]
    return message.partition("\n")[2].partition("\n\t [[")[0] or message


def random_array(dtype: Any, shape: Sequence[int], seed: int = 0, low: float = -3.0, high: float = 3.0) -> np.ndarray:
    """Reproducible values: uniform between `low` and `high`, rounded for integers, not negative if unsigned."""
    dtype = np.dtype(dtype.numpy if isinstance(dtype, dtypes.DType) else dtype)
    rng = np.random.default_rng([seed, *shape])
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    values = rng.uniform(low, high, shape)
    if dtype.kind == "c":
        return np.asarray(values + 1j * rng.uniform(low, high, shape), dtype)
    if dtype.kind == "u":
        values = np.abs(values)
    return np.asarray(np.round(values) if dtype.kind in "iu" else values).astype(dtype)


def _run(lowering: Lowering, inputs: Mapping[str, Any], attrs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """TensorFlow's values (new values of variables first) and all attrs, decoded."""
    variable_names = {*lowering.reads, *lowering.writes}
    op_def = op_def_registry.get(lowering.op)
    inferred = {name for arg in op_def.input_arg for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)}
    defaults = {a.name: None for a in op_def.attr if a.HasField("default_value") and a.name not in inferred}
    references = {arg.name for arg in op_def.input_arg if arg.is_ref}
    with tf.Graph().as_default(), tf.device("/cpu:0"):
        operands, initializers, variables, feeds = {}, [], {}, {}
        for name, value in inputs.items():
            if name in variable_names:
                variable = tf.Variable(_constant(value), use_resource=name not in references, validate_shape=True)
                initializers.append(variable.initializer)
                variables[name] = variable
                operands[name] = variable._ref() if name in references else variable.handle
            else:
                is_static = name in lowering.statics
                operands[name] = _constant(value) if is_static else _placed(value, feeds)
        taken = defaults | {k: _attr(v) for k, v in attrs.items()}
        node = op_def_library._apply_op_helper(lowering.op, **operands, **taken)[2]
        outputs = [t for t in node.outputs if not t.dtype._is_ref_dtype]
        config = tf.ConfigProto(graph_options=tf.GraphOptions(optimizer_options=tf.OptimizerOptions(opt_level=-1)))
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.intra_op_parallelism_threads = config.inter_op_parallelism_threads = 1
        with tf.Session(config=config) as session:
            session.run(initializers)
            values, _ = session.run((outputs, node), feeds)
            updated = session.run([variables[name].read_value() for name in lowering.writes])
        decoded = {k: _decoded(v) for k, v in node.node_def.attr.items() if not k.startswith("_")}
    return [*updated, *values], decoded


def _constant(value: Any) -> Any:
    return [_constant(x) for x in value] if isinstance(value, list) else tf.constant(value, tf.as_dtype(value.dtype))


def _placed(value: Any, feeds: dict) -> Any:
    # Of unknown shape, so that shape inference refuses nothing and the kernel decides.
    if isinstance(value, list):
        return [_placed(x, feeds) for x in value]
    placeholder = tf.placeholder(tf.as_dtype(value.dtype))
    feeds[placeholder] = value
    return placeholder


def _arrays(value: Any) -> Any:
    if isinstance(value, list) and any(isinstance(x, np.ndarray) for x in value):
        return [_arrays(x) for x in value]
    array = np.asarray(value)
    if array.dtype == np.int64 and not isinstance(value, (np.ndarray, np.generic)):
        array = array.astype(np.int32)
    if array.dtype == np.float64 and not isinstance(value, (np.ndarray, np.generic)):
        array = array.astype(np.float32)
    return array.astype(object) if array.dtype.kind in "SU" else array


def _on_device(value: Any) -> Any:
    if isinstance(value, list):
        return [_on_device(x) for x in value]
    return value if value.dtype == object else jax.numpy.asarray(value)


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, (list, tuple)):
        return [x for output in outputs for x in _flat(output)]
    return [outputs]


def _as_numpy(value: Any) -> np.ndarray:
    if isinstance(value, bytes):
        # NumPy's own byte strings end before trailing zeros.
        return np.array(value, object)
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind in "SU" else array


def _attr(value: Any) -> Any:
    """An attr as `tf.raw_ops` takes it."""
    if isinstance(value, dtypes.DType):
        return tf.as_dtype(value.number)
    if isinstance(value, tuple):
        return [_attr(x) for x in value]
    return value


def _decoded(value: Any) -> Any:
    """An AttrValue as lowerings take it."""
    kind = value.WhichOneof("value")
    if kind == "list":
        items = value.list
        fields = (f for f in ("s", "i", "f", "b", "type", "shape", "tensor") if len(getattr(items, f)))
        field = next(fields, None)
        return tuple(_scalar(field, x) for x in getattr(items, field)) if field else ()
    return _scalar(kind, getattr(value, kind))


def _scalar(kind: str, value: Any) -> Any:
    if kind == "s":
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if kind == "type":
        return dtypes.from_number(value)
    if kind == "shape":
        return None if value.unknown_rank else tuple(None if d.size < 0 else d.size for d in value.dim)
    if kind == "tensor":
        return tf.make_ndarray(value)
    return value
