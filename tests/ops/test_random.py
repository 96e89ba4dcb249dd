"""Random streams against values recorded from TensorFlow 1.15.5 on CPU, and all of the specification's vectors."""

from __future__ import annotations

import csv
import os
import platform
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY, philox
from mgjax.ops.philox import initial_generator, skip
from tests.ops import live

SHARED = Path(os.environ.get("MGJAX_SHARED", Path(__file__).parents[3] / "shared"))

# Two runs of one session, six values each: the bits, of the nodes with seed=1234567, seed2=-89.
RECORDED = """
RandomUniform float32
    3ef89390 3e95d170 3e8afff4 3ca88840 3ec93158 3f457684
    3eccfb34 3e6abeb8 3f1daf74 3eba26cc 3f5bca44 3f1afc20
RandomStandardNormal float32
    3f946443 bea2d625 3e552739 3fccf993 bfad6116 3e3b18e8
    3fabb906 3e3430b1 3f3e8692 bf24f7b0 beade224 bedefb4d
TruncatedNormal float32
    3f946443 bea2d625 3e552739 3fccf993 bea1cf53 3ec4112b
    3fabb906 3e3430b1 3f3e8692 bf24f7b0 3cf5b61c 3f664625
RandomUniform float64
    3fec49c90b4ae8b8 3fc5ffe9b0151108 3fc262b23f15da10 3fea69b3deaa9cec 3fd0726e4112c728 3fc0c11d620f5c00
    3fc9f66d60eabeb8 3fedaf74625d1366 3febca44f29afc20 3fc088e26e393300 3fd28def6319aa0c 3fd6e6b6f98a5fc0
RandomStandardNormal float64
    3fdc070e77f0f59e 3fcdf69a82f43e42 bffc0c5db5622476 3fecc309e27ed7cc 3ff353fc780d6e83 3ff1f2795ae561e9
    bfe917cfb0820bdf 3ff9add97304dff8 3fd8a8c51a289154 3fd765c984b7eb39 3ff39df5eac4e6e1 bfef912016949fd6
TruncatedNormal float64
    3fdc070e77f0f59e 3fcdf69a82f43e42 bffca4218d3015bd bfea7bbfe4801103 3fe604740ccdf532 bfd7526418654eaf
    bfe917cfb0820bdf 3ff9add97304dff8 3fc1ec057720d9ff 3fcd1d9bb74ee720 3fe2c512b80b85b2 bff5b1e90c0eb035
RandomUniform float16
    3320 2dc0 3bfa 3842 2d60 3a84
    399a 3bae 3b74 36cc 3488 3820
RandomStandardNormal float16
    3ca3 b517 32a9 3e68 bd6b 31d9
    3d5e 31a2 39f4 b928 b56f b6f8
TruncatedNormal float16
    3ca3 b517 32a9 3e68 b50e 3621
    3d5e 31a2 39f4 b928 27ae 3b32
RandomUniform bfloat16
    3f48 3f38 3f7a 3e84 3f2c 3f04
    3f1a 3f2e 3ee8 3ecc 3e88 3e00
RandomStandardNormal bfloat16
    3f94 bea3 3e55 3fcd bfad 3e3b
    3fac 3e34 3f3f bf25 beae bedf
TruncatedNormal bfloat16
    3f94 bea3 3e55 3fcd bea2 3ec4
    3fac 3e34 3f3f bf25 3cf6 3f66
"""


def bits_of(values):
    array = np.asarray(values)
    return array.view(f"uint{8 * array.dtype.itemsize}").astype(np.int64)


def run(op, *operands, generator, jit=False, **attrs):
    """One run under 64-bit mode: the outputs and the generator after it, NumPy. The generator alone is traced."""

    def program(generator):
        return REGISTRY[op].function(*operands, **attrs, generator=generator)

    with jax.enable_x64(True):
        return [np.asarray(x) for x in (jax.jit(program) if jit else program)(generator)]


def from_hex(numbers):
    return np.array([int(x, 16) for x in numbers], np.uint64).astype(np.int64)


def recorded_rows():
    lines = RECORDED.strip().split("\n")
    for i in range(0, len(lines), 3):
        op, dtype = lines[i].split()
        yield pytest.param(op, dtype, *(from_hex(s.split()) for s in lines[i + 1 : i + 3]))


@pytest.mark.parametrize("jit", [False, True], ids=["plain", "jit"])
@pytest.mark.parametrize("op, dtype, first, second", list(recorded_rows()))
def test_two_runs_of_a_session_are_tensorflows(op, dtype, first, second, jit):
    generator = initial_generator(1234567, -89)
    for expected in (first, second):
        values, generator = run(op, np.array([2, 3]), dtype=dtypes.BY_NAME[dtype], generator=generator, jit=jit)
        assert values.shape == (2, 3)
        # The backend's own log, sin and cos of float64 need not be the C library's.
        ulps = 1 if dtype == "float64" and op != "RandomUniform" else 0
        assert np.max(np.abs(bits_of(values).ravel() - expected)) <= ulps


@pytest.mark.parametrize("dtype, size", [(dtypes.float16, 1 << 13), (dtypes.bfloat16, 1 << 10)])
def test_what_is_added_to_a_uniform_zero_stays(dtype, size):
    # As samplers keep their logarithm finite: u * (1 - least) + least, where XLA would join constants that are added.
    least = np.asarray(jax.numpy.finfo(dtype.numpy).tiny)

    @jax.jit
    def draw(generator):
        u, _ = REGISTRY["RandomUniform"].function(np.array([size]), dtype=dtype, generator=generator)
        return u, u * (1 - least) + least

    u, shifted = draw(initial_generator(1, 2))
    assert np.min(u) == 0
    assert np.min(shifted) == least


@pytest.mark.parametrize("op", ["RandomStandardNormal", "TruncatedNormal"])
def test_many_normals_are_those_of_a_tensorflow_beside_us(op):
    size = 200_003
    with live.tf.Graph().as_default(), live.tf.Session() as session:
        expected = session.run(getattr(live.tf.raw_ops, op)(shape=[size], dtype="float32", seed=-3, seed2=17))
    values, _ = run(op, np.array([size]), dtype=dtypes.float32, generator=initial_generator(-3, 17), jit=True)
    # Of another C library than glibc the functions differ by an ulp or so.
    if platform.libc_ver()[0] == "glibc":
        assert_array_equal(values, expected, strict=True)
    else:
        assert np.max(np.abs(bits_of(values) - bits_of(expected))) <= 3


INTEGERS = {
    "RandomUniformInt": [
        (np.int32, 1000, [271, 567, 430, 333, 507, 804], [456, 459, 121, 705, 343, 855]),
        (np.int64, 10**15,
         [231318729923979, 851293934900625, 908414229298866, 776618636139847, 629322102833239, 460985118409912],
         [165533505612712, 921359280043730, 781061604963871, 490457357842393, 289470807603288, 694473898410636]),
    ]
}  # fmt: skip


@pytest.mark.parametrize("dtype, maxval, first, second", INTEGERS["RandomUniformInt"])
def test_uniform_integers_are_tensorflows(dtype, maxval, first, second):
    generator = initial_generator(1234567, -89)
    for expected in (first, second):
        operands = (np.array([6]), dtype(-7), dtype(maxval))
        values, generator = run("RandomUniformInt", *operands, generator=generator, jit=True)
        assert_array_equal(values, np.array(expected, dtype), strict=True)


def test_uniform_int_needs_a_range():
    with pytest.raises(InvalidArgumentError, match="Need minval < maxval, got 3 >= 3"):
        run("RandomUniformInt", np.array([1]), np.int32(3), np.int32(3), generator=initial_generator(1, 2))


def test_shuffles_are_tensorflows():
    generator = initial_generator(1234567, -89)
    for expected in ([5, 0, 7, 8, 1, 2, 6, 4, 3], [8, 3, 7, 1, 0, 6, 4, 5, 2]):
        rows = np.stack([np.arange(9), np.arange(9) + 100], axis=1).astype(np.int32)
        values, generator = run("RandomShuffle", rows, generator=generator, jit=True)
        assert_array_equal(values[:, 0], expected)
        assert_array_equal(values[:, 1], np.array(expected) + 100)


@pytest.mark.parametrize("shape", [(0,), (1,), (1, 5), (4, 0)])
def test_a_shuffle_with_nothing_to_do_draws_nothing(shape):
    generator = initial_generator(5, 6)
    values, after = run("RandomShuffle", np.ones(shape, np.float32), generator=generator)
    assert values.shape == shape
    assert_array_equal(after, generator)


def test_classes_are_tensorflows_and_infinite_logits_are_never_drawn():
    generator = initial_generator(1234567, -89)
    logits = np.array([[0, 1, 2, -1], [3, -np.inf, 0, 0]], np.float32)
    for expected in ([[2, 1, 1, 2, 1], [0] * 5], [[2, 2, 2, 2, 1], [0] * 5]):
        values, generator = run(
            "Multinomial", logits, np.int32(5), output_dtype=dtypes.int32, generator=generator, jit=True
        )
        assert_array_equal(values, np.array(expected, np.int32), strict=True)


@pytest.mark.parametrize(
    "size, corners", [((4, 4), [(0, 1), (3, 1), (4, 4), (3, 4)]), ((8, 3), [(0, 0), (0, 1), (0, 4), (0, 3)])]
)
def test_crops_are_tensorflows(size, corners):
    # Recorded from TensorFlow 2.21, from a graph of producer 5 with seed=5, seed2=-6.
    image = np.arange(8 * 8 * 2).reshape(8, 8, 2)
    generator = initial_generator(5, -6)
    for top, left in corners:
        values, generator = run("RandomCrop", image, np.array(size), generator=generator, jit=True)
        assert_array_equal(values, image[top : top + size[0], left : left + size[1]])


@pytest.mark.parametrize(
    "start, blocks, expected",
    [
        ((0, 0, 0, 0), 5, (5, 0, 0, 0)),
        ((2**32 - 1, 0, 0, 0), 1, (0, 1, 0, 0)),
        ((2**32 - 1, 2**32 - 1, 7, 0), 1, (0, 0, 8, 0)),
        ((2**32 - 1,) * 4, 2**33, (2**32 - 1, 1, 0, 0)),
    ],
)
def test_a_skip_carries_through_all_words_of_the_counter(start, blocks, expected):
    with jax.enable_x64(True):
        after = skip(np.array([1, 2, *start], np.uint32), blocks)
    assert_array_equal(np.asarray(after), np.array([1, 2, *expected], np.uint32), strict=True)


def test_negative_seeds_are_extended_to_64_bits():
    assert initial_generator(-1, -2).tolist() == [2**32 - 1, 2**32 - 1, 0, 0, 2**32 - 2, 2**32 - 1]


STATELESS = [
    ("StatelessRandomUniform", "3dda04d0 3e39bf08 3e6b3428 3f7cd780 3cd65900 3f7450e0"),
    ("StatelessRandomNormal", "3ff62472 3f62693c be080271 3fdae423 bf43770b 4025b475"),
    ("StatelessTruncatedNormal", "3ff62472 3f62693c be080271 3fdae423 baa4de78 3f06b175"),
]


@pytest.mark.parametrize("seed_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("op, expected", STATELESS)
def test_stateless_draws_are_tensorflows(op, expected, seed_dtype):
    def program(seed):
        return REGISTRY[op].function(np.array([6]), seed, dtype=dtypes.float32)

    with jax.enable_x64(True):
        values = np.asarray(jax.jit(program)(np.array([-5, 77], seed_dtype)))
    expected = from_hex(expected.split())
    assert np.max(np.abs(bits_of(values) - expected)) == 0


def test_stateless_integers_and_classes_are_tensorflows():
    seed = np.array([-5, 77])
    with jax.enable_x64(True):
        integers = REGISTRY["StatelessRandomUniformInt"].function(np.array([6]), seed, np.int64(0), np.int64(50))
        logits = np.array([[0, 1, 2, -1], [3, -np.inf, 0, 0]], np.float32)
        drawn = REGISTRY["StatelessMultinomial"].function(logits, np.int32(5), seed, output_dtype=dtypes.int64)
    assert_array_equal(np.asarray(integers), np.array([19, 25, 30, 2, 2, 18]), strict=True)
    assert_array_equal(np.asarray(drawn), np.array([[2, 2, 1, 3, 0], [0] * 5]), strict=True)


def test_a_batch_of_generators_draws_as_each_alone():
    with jax.enable_x64(True):
        generators = np.stack([initial_generator(3, 4), initial_generator(-8, 1)])
        draw = REGISTRY["TruncatedNormal"].function
        together = jax.vmap(lambda g: draw(np.array([9]), dtype=dtypes.float32, generator=g)[0])(generators)
        for row, generator in zip(together, generators, strict=True):
            assert_array_equal(row, draw(np.array([9]), dtype=dtypes.float32, generator=generator)[0])


def vectors():
    """The rows of the specification's table, those of one node (its runs, in order) together."""
    path = SHARED / "spec" / "random_vectors.tsv"
    if not path.exists():
        return []
    nodes: dict[tuple, list[dict]] = {}
    with path.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            key = tuple(row[k] for k in ("op", "dtype", "seed", "seed2", "shape", "params"))
            nodes.setdefault(key, []).append(row)
    return [pytest.param(rows, id="-".join(key)) for key, rows in nodes.items()]


def operands_of(row):
    """The operands and attrs of a row of the table."""
    op, dtype = row["op"], dtypes.BY_NAME[row["dtype"]]
    shape = np.array([int(n) for n in row["shape"].split("x")])
    fields = dict(field.split("=") for field in row["params"].split(" ")[0].split(";") if "=" in field)
    seed = (np.array([int(row["seed"]), int(row["seed2"])]),) if op.startswith("Stateless") else ()
    logits = np.array([[0, 1, 2, -1], [3, 0, 0, 0]], row["params"][-2:]) if "Multinomial" in op else None
    limits = [dtype.numpy.type(fields[k]) for k in ("minval", "maxval", "mean", "stddev", "min", "max") if k in fields]
    if op == "RandomShuffle":
        return (np.arange(shape[0], dtype=np.int32),), {}
    if logits is not None:
        return (logits, np.int32(shape[1]), *seed), {"output_dtype": dtype}
    if op.endswith("CandidateSampler"):
        attrs = {"num_true": 1, "num_sampled": 8, "unique": fields["unique"] == "True", "range_max": 51}
        return (np.zeros((1, 1), np.int64),), attrs
    if op == "RandomGamma":
        return (np.array([3]), np.array([0.25, 1, 4], dtype.numpy)), {}
    if op == "RandomPoissonV2":
        return (np.array([3]), np.array([0.5, 9.5, 10, 100], row["params"][-2:])), {"dtype": dtype}
    return (shape, *seed, *limits), ({} if limits else {"dtype": dtype})


def parse(row, column):
    numbers = row[column].split(",")
    return from_hex(numbers) if row["encoding"] == "bits" else np.array(numbers, np.int64)


# Largest difference in units of the last place; what is not named here is exact.
ULPS = {
    ("RandomStandardNormal", "float32"): 3,
    ("StatelessRandomNormal", "float32"): 3,
    ("TruncatedNormal", "float32"): 3,
    ("StatelessTruncatedNormal", "float32"): 3,
    # Two of three methods need the backend's own log and exp.
    ("ParameterizedTruncatedNormal", "float32"): 3,
    ("ParameterizedTruncatedNormal", "float64"): 3,
    # The power of alpha < 1, the fused multiply-adds of a compiler, and log1p, which is off by 29 with JAX 0.10.
    ("RandomGamma", "float64"): 32,
    ("RandomStandardNormal", "float64"): 1,
    ("StatelessRandomNormal", "float64"): 1,
    ("TruncatedNormal", "float64"): 1,
    ("StatelessTruncatedNormal", "float64"): 1,
}


@pytest.mark.parametrize("rows", vectors() or [pytest.param([], marks=pytest.mark.skip("no ../shared/spec here"))])
def test_every_vector_of_the_specification(rows):
    first = rows[0]
    operands, attrs = operands_of(first)
    generator = initial_generator(int(first["seed"]), int(first["seed2"]))
    op = REGISTRY[first["op"]]
    draw = jax.jit(lambda generator: op.function(*operands, **attrs, **({"generator": generator} if op.draws else {})))
    for row in rows:
        with jax.enable_x64(True):
            results = draw(generator)
        values, generator = (results[0], results[-1]) if op.draws else (results, generator)
        values = np.asarray(values).ravel()
        found = bits_of(values) if row["encoding"] == "bits" else values.astype(np.int64)
        for part, column in ((found[: len(parse(row, "first_values"))], "first_values"), (found[-2:], "last_two")):
            assert np.max(np.abs(part - parse(row, column))) <= ULPS.get((row["op"], row["dtype"]), 0)


def test_ints_from_nowhere_differ_from_run_to_run():
    with jax.enable_x64(True):
        draw = REGISTRY["NonDeterministicInts"].function
        first, after = draw(np.array([2, 3]), dtype=dtypes.int64, generator=initial_generator(3, 4))
        second, _ = draw(np.array([2, 3]), dtype=dtypes.int64, generator=after)
    assert first.shape == second.shape == (2, 3) and first.dtype == second.dtype == np.int64
    assert not np.isin(np.asarray(first), np.asarray(second)).any()


def test_lanes_of_32_bits_give_the_words_of_lanes_of_64():
    with jax.enable_x64(True):
        low = np.random.default_rng(0).integers(0, 2**64, 1000, np.uint64)
        high, key = low[::-1].copy(), np.array([0xFFFFFFFF, 0x12345678], np.uint32)
        wide = jax.jit(philox._encrypt_in_wide_lanes)(low, high, *key)
        narrow = jax.jit(philox._encrypt_in_narrow_lanes)(low, high, *key)
    for words, expected in zip(narrow, wide, strict=True):
        assert_array_equal(np.asarray(words), np.asarray(expected), strict=True)


def test_where_64_bit_products_are_not_native_there_are_none():
    def multiplies(platform):
        with jax.enable_x64(True):
            draw = jax.jit(lambda generator: philox.words(generator, 8))
            text = jax.export.export(draw, platforms=[platform])(initial_generator(1, 2)).mlir_module()
        return {line.split(":")[-1].strip() for line in text.splitlines() if "stablehlo.multiply" in line}

    assert not any("ui64" in types for types in multiplies("tpu"))
    assert any("ui64" in types for types in multiplies("cuda"))
