import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.segments import segment_count
from tests.ops.live import check, raises, random_array, tf

IDS = np.int32([0, 0, 1, 3, 3, 3])
UNSORTED = np.int32([3, -1, 0, 3, 1, 0])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("name", ["Sum", "Mean", "Prod", "Max", "Min"])
def test_sorted_segments(name, dtype):
    # The mean of half precision is summed in half by TensorFlow, and so it is here; one rounding more or less.
    check(
        f"Segment{name}",
        {"data": random_array(dtype, (6, 2)), "segment_ids": IDS},
        rtol=3e-3 if dtype == np.float16 else None,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("name", ["Sum", "Prod", "Max", "Min"])
def test_unsorted_segments_drop_negative_ids(name, dtype):
    inputs = {"data": random_array(dtype, (6, 2)), "segment_ids": UNSORTED, "num_segments": np.int32(5)}
    check(f"UnsortedSegment{name}", inputs)


@pytest.mark.parametrize("name", ["Sum", "Prod", "Max", "Min"])
def test_unsorted_ids_have_any_rank(name):
    for shape in ((2, 3, 2), (2, 3)):
        inputs = {"data": random_array(np.float32, shape), "segment_ids": UNSORTED.reshape(2, 3)}
        check(f"UnsortedSegment{name}", inputs | {"num_segments": np.int64(4)})


def test_segments_of_nothing():
    data, ids = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    for name in ("Sum", "Mean", "Prod", "Max", "Min"):
        check(f"Segment{name}", {"data": data, "segment_ids": ids})
    check("UnsortedSegmentMax", {"data": data, "segment_ids": ids, "num_segments": np.int32(2)})


SPARSE_IDS = np.int32([0, 0, 2, 2, 2])
ROWS = np.int32([3, 0, 1, 1, 2])


@pytest.mark.parametrize("name", ["Sum", "Mean", "SqrtN"])
def test_sparse_segments_reduce_chosen_rows(name):
    inputs = {"data": random_array(np.float32, (4, 3)), "indices": ROWS, "segment_ids": SPARSE_IDS}
    check(f"SparseSegment{name}", inputs)
    check(f"SparseSegment{name}WithNumSegments", inputs | {"num_segments": np.int32(5)})


@pytest.mark.parametrize("name", ["Sum", "Mean", "SqrtN"])
def test_sparse_segment_gradients(name):
    inputs = {"grad": random_array(np.float32, (3, 2)), "indices": ROWS, "segment_ids": SPARSE_IDS}
    check(f"SparseSegment{name}Grad", inputs | {"output_dim0": np.int32(6)})
    if hasattr(tf.raw_ops, f"SparseSegment{name}GradV2"):
        check(f"SparseSegment{name}GradV2", inputs | {"dense_output_dim0": np.int32(6)})


DATA = np.float32([1, 2])


@pytest.mark.parametrize(
    "op, inputs",
    [
        ("SegmentSum", {"segment_ids": [1, 0]}),
        ("SegmentSum", {"segment_ids": [-1, 0]}),
        ("SegmentSum", {"segment_ids": [0, 1, 2]}),
        ("UnsortedSegmentSum", {"segment_ids": [0, 2], "num_segments": 2}),
        ("UnsortedSegmentSum", {"segment_ids": [0, 1, 2], "num_segments": 2}),
        ("UnsortedSegmentSum", {"segment_ids": [0, 1], "num_segments": -2}),
        ("SparseSegmentSum", {"indices": [1, 4], "segment_ids": [0, 0]}),
        ("SparseSegmentSum", {"indices": [1, 0], "segment_ids": [1, 0]}),
        ("SparseSegmentSumWithNumSegments", {"indices": [1, 0], "segment_ids": [0, 3], "num_segments": 2}),
    ],
)
def test_errors_are_tensorflow_s(op, inputs):
    inputs = {"data": DATA} | {k: np.int32(v) for k, v in inputs.items()}
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY[op].function(**inputs)
    assert caught.value.message in raises(op, inputs)


def test_unknown_ids_out_of_range_are_dropped():
    program = jax.jit(lambda ids: REGISTRY["UnsortedSegmentSum"].function(jnp.ones(3), ids, np.int32(2)))
    np.testing.assert_array_equal(program(np.int32([2, 1, -5])), [0, 1])


@pytest.mark.parametrize("name", ["Sum", "Prod", "Max", "Min"])
def test_gradients_are_tensorflow_s(name):
    # Two zeros in one segment, one in another, ties, a dropped row.
    data, ids = np.float32([0, 2, 0, 3, 0, 5, 5, 7, 9]), np.int32([0, 0, 0, 1, 1, 2, 2, 2, -1])
    weights = np.float32([1, 10, 100, 1000])

    def loss(x):
        return jnp.sum(weights * REGISTRY[f"UnsortedSegment{name}"].function(x, ids, np.int32(4)))

    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant(data)
        y = getattr(tf.math, f"unsorted_segment_{name.lower()}")(x, ids, 4)
        expected = session.run(tf.gradients(y * weights, x)[0])
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(data), expected, rtol=1e-6)


def test_half_precision_counts_exactly():
    ids = np.zeros(5000, np.int32)
    np.testing.assert_array_equal(segment_count(ids, 1, np.float16, 1), [5000])
