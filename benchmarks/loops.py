"""What loops cost beside the same loops written by hand in JAX: a search, an LSTM in training, compiling, and memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mgjax
from benchmarks.table import Row, alternate, seconds_a_call

FOLDER = Path(__file__).parents[1] / "build" / "benchmarks"
#: A loop whose end its values decide.
SEARCH = 1.2
#: A training step through `dynamic_rnn`.
LSTM = 1.1
#: Compiling a loop of many rounds beside one of few.
COMPILING = 1.25
#: The memory of a gradient beside what its rounds leave behind.
MEMORY = 1.1


def measure() -> Iterator[Row]:
    fn, _ = mgjax.import_meta_graph(_meta())
    yield _compare("a loop of 1,000 rounds that its values end", *_search(fn), repeats=50, limit=SEARCH)
    yield _compare("a training step of an LSTM, dynamic_rnn, 50 steps", *_lstm_step(fn), repeats=5, limit=LSTM)
    yield from _compiling(fn)
    yield from _memory(fn)


def _meta() -> str:
    """The path of the .meta, made by TensorFlow on first use (some seconds)."""
    path = FOLDER / "loops.meta"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-W", "ignore", "-m", "benchmarks.make_loops", str(path)], check=True)
    return str(path)


def _compare(what: str, ours: Callable, theirs: Callable, arguments: tuple, *, repeats: int, limit: float) -> Row:
    for a, b in zip(jax.tree.leaves(ours(*arguments)), jax.tree.leaves(theirs(*arguments)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    calls = {
        "ours": seconds_a_call(ours, *arguments, repeats=repeats),
        "theirs": seconds_a_call(theirs, *arguments, repeats=repeats),
    }
    found = alternate(calls, rounds=9)
    return Row(what, 1e6 * found["ours"], "the same, written by hand and jitted", 1e6 * found["theirs"], "us", limit)


def _search(fn: Any) -> tuple[Any, ...]:
    bound = fn.bind(["start:0"], ["found:0", "rounds:0"])

    def by_hand(start: jax.Array) -> Any:
        def body(state: Any) -> Any:
            value, rounds = state
            return value - 0.01 * jnp.tanh(value) - 0.001, rounds + 1

        return jax.lax.while_loop(lambda state: jnp.max(state[0]) > 0, body, (start, jnp.int32(0)))

    # The rounds that the longest of the values needs come to 1,000.
    start = jnp.linspace(0.0, 8.41, 256, dtype=jnp.float32)
    return jax.jit(lambda start: tuple(bound({}, start)[1])), jax.jit(by_hand), (start,)


def _lstm_step(fn: Any) -> tuple[Any, ...]:
    bound = fn.bind(["x:0", "y:0"], ["loss:0", "train_op"])
    names = list(fn.trainable)
    kernel = next(name for name in names if name.endswith("kernel"))
    bias = next(name for name in names if name.endswith("bias"))

    def ours(variables: Any, x: jax.Array, y: jax.Array) -> Any:
        state, (loss, _) = bound(variables, x, y)
        return {name: state[name] for name in names}, loss

    def by_hand(variables: Any, x: jax.Array, y: jax.Array) -> Any:
        def loss_of(weights: Any) -> jax.Array:
            def step(state: Any, rows: jax.Array) -> Any:
                c, h = state
                i, j, f, o = jnp.split(jnp.concatenate([rows, h], 1) @ weights[kernel] + weights[bias], 4, 1)
                c = c * jax.nn.sigmoid(f + 1) + jax.nn.sigmoid(i) * jnp.tanh(j)
                h = jnp.tanh(c) * jax.nn.sigmoid(o)
                return (c, h), h

            zeros = jnp.zeros((x.shape[0], y.shape[1]), x.dtype)
            _, outputs = jax.lax.scan(step, (zeros, zeros), jnp.swapaxes(x, 0, 1))
            return jnp.mean((jnp.swapaxes(outputs, 0, 1)[:, -1] - y) ** 2)

        loss, gradients = jax.value_and_grad(loss_of)(variables)
        return jax.tree.map(lambda variable, gradient: variable - 0.1 * gradient, variables, gradients), loss

    state = fn.init(seed=1)
    variables = {name: state[name] for name in names}
    random = np.random.default_rng(1)
    shapes = [tuple(fn.feeds[name].shape) for name in ("x", "y")]
    feeds = [jnp.asarray(random.normal(size=shape), jnp.float32) for shape in shapes]
    return jax.jit(ours), jax.jit(by_hand), (variables, *feeds)


def _gradient(fn: Any, count: int) -> Any:
    """The gradient of the recurrence of so many rounds, to be compiled."""
    bound = fn.bind(["state:0", "weights:0"], "gradient:0", constants={"count:0": np.int32(count)})
    matrix = jax.ShapeDtypeStruct((64, 64), np.float32)
    return jax.jit(lambda state, weights: bound({}, state, weights)[1]).trace(matrix, matrix)


def _compiling(fn: Any) -> Iterator[Row]:
    def compile_time(count: int) -> Callable[[], float]:
        def call() -> float:
            jax.clear_caches()
            start = time.perf_counter()
            _gradient(fn, count).lower().compile()
            return time.perf_counter() - start

        return call

    found = alternate({str(count): compile_time(count) for count in (10, 1000, 10_000)}, rounds=5)
    for count in (1000, 10_000):
        what = f"tracing and compiling a gradient of {count:,} rounds"
        yield Row(what, 1e3 * found[str(count)], "of 10 rounds", 1e3 * found["10"], "ms", COMPILING)


def _memory(fn: Any) -> Iterator[Row]:
    count = 1000
    analysis = _gradient(fn, count).lower().compile().memory_analysis()
    kept = count * 64 * 64 * 4
    yield Row(
        f"memory of a gradient of {count:,} rounds",
        analysis.temp_size_in_bytes / 2**20,
        "what its rounds leave for it: two matrices each",
        2 * kept / 2**20,
        "MB",
        MEMORY,
    )
