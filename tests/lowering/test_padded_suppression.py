"""Non-maximum suppression on the device: filled up as the graph asks, or in as many rows as the caller says."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mgjax
from mgjax.errors import ResourceExhaustedError
from tests.ops.live import tf

COUNT = 25


def drawn(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 1, [COUNT, 2])
    boxes = np.concatenate([corner, corner + rng.uniform(0, 0.5, [COUNT, 2])], axis=1).astype(np.float32)
    boxes[3] = boxes[3, [2, 3, 0, 1]]  # corners the other way round
    boxes[5, 2:] = boxes[5, :2]  # no area
    scores = rng.uniform(0, 1, COUNT).astype(np.float32)
    scores[7] = scores[8]
    return boxes, scores


def thresholds(overlap, score):
    return {"iou_threshold": tf.constant(overlap), "score_threshold": tf.constant(score)}


def build(limit, pad):
    """The tensors of every version's results, by the op's name."""
    ops = tf.raw_ops
    boxes, scores = tf.placeholder(tf.float32, [COUNT, 4], "boxes"), tf.placeholder(tf.float32, [COUNT], "scores")
    given = {"boxes": boxes, "scores": scores, "max_output_size": limit}
    overlaps = tf.constant(np.abs(np.sin(np.arange(COUNT * COUNT, dtype=np.float32))).reshape(COUNT, COUNT))
    soft = {"soft_nms_sigma": tf.constant(0.4), "pad_to_max_output_size": pad}
    hard = soft | {"soft_nms_sigma": tf.constant(0.0)}
    if pad:
        v4 = ops.NonMaxSuppressionV4(**given, **thresholds(0.3, 0.2), pad_to_max_output_size=True, name="v4")
    else:
        ops.NonMaxSuppression(**given, iou_threshold=0.3, name="v1")
        ops.NonMaxSuppressionV2(**given, iou_threshold=0.3, name="v2")
        ops.NonMaxSuppressionV3(**given, **thresholds(0.3, 0.2), name="v3")
        score = {"overlap_threshold": 0.7, "score_threshold": 0.1, "name": "with_overlaps"}
        ops.NonMaxSuppressionWithOverlaps(overlaps=overlaps, scores=scores, max_output_size=limit, **score)
        v4 = ops.NonMaxSuppressionV4(**given, **thresholds(0.3, 0.2), name="v4")
    ops.NonMaxSuppressionV5(**given, **thresholds(0.3, 0.2), **hard, name="v5")
    ops.NonMaxSuppressionV5(**given, **thresholds(0.9, 0.1), **soft, name="soft")
    return v4


PADDED = ["v4:0", "v4:1", "v5:0", "v5:1", "v5:2", "soft:0", "soft:1", "soft:2"]
BOUNDED = ["v1:0", "v2:0", "v3:0", "with_overlaps:0", *PADDED]


@pytest.mark.parametrize("limit", [4, 25, 40])
def test_what_is_filled_up_runs_inside_jit(limit):
    with tf.Graph().as_default() as graph:
        build(tf.constant(limit), pad=True)
    fn = mgjax.import_graph_def(graph.as_graph_def())
    step = jax.jit(fn.bind(["boxes", "scores"], PADDED))
    with tf.Session(graph=graph) as session:
        for seed in range(3):
            boxes, scores = drawn(seed)
            wanted = session.run(PADDED, {"boxes:0": boxes, "scores:0": scores})
            for x, y in zip(step({}, boxes, scores)[1], wanted, strict=True):
                assert_allclose(x, y, rtol=1e-5)  # the Gaussian's rounding
                assert x.dtype == y.dtype


@pytest.mark.parametrize("limit", [4, 25])
def test_behind_the_boxes_that_stay_are_places_of_no_box(limit):
    with tf.Graph().as_default() as graph:
        build(tf.placeholder(tf.int32, [], "limit"), pad=False)
    fn = mgjax.import_graph_def(graph.as_graph_def())
    bounds = {name.split(":")[0]: 25 for name in BOUNDED}
    step = jax.jit(fn.bind(["boxes", "scores", "limit"], BOUNDED, errors="return", row_bounds=bounds))
    boxes, scores = drawn(0)
    _, (found, failure) = step({}, boxes, scores, np.int32(limit))
    failure.throw()
    with tf.Session(graph=graph) as session:
        wanted = session.run(BOUNDED, {"boxes:0": boxes, "scores:0": scores, "limit:0": limit})
    for x, y in zip(found, wanted, strict=True):
        assert x.dtype == y.dtype
        if y.ndim == 0:
            assert x == y
        else:
            assert x.shape == (25,)
            assert_allclose(x[: len(y)], y, rtol=1e-5)
            assert_array_equal(x[len(y) :], COUNT if y.dtype == np.int32 else 0)


def test_more_boxes_than_the_bound_are_a_failure():
    with tf.Graph().as_default() as graph:
        build(tf.constant(25), pad=False)
    fn = mgjax.import_graph_def(graph.as_graph_def())
    step = fn.bind(["boxes", "scores"], "v3", errors="raise", row_bounds={"v3": 2})
    with pytest.raises(ResourceExhaustedError, match=r"'v3'.*more rows than row_bounds gives it: 2"):
        step({}, *drawn(0))


def test_a_loop_over_a_batch_compiles_as_a_whole():
    with tf.Graph().as_default() as graph:
        boxes, scores = (
            tf.placeholder(tf.float32, [3, COUNT, 4], "boxes"),
            tf.placeholder(tf.float32, [3, COUNT], "scores"),
        )

        def select(given):
            ops, sizes = tf.raw_ops, {"max_output_size": 6, "pad_to_max_output_size": True}
            chosen, count = ops.NonMaxSuppressionV4(boxes=given[0], scores=given[1], **sizes, **thresholds(0.3, 0.2))
            return tf.gather(given[0], chosen), count

        chosen, counts = tf.map_fn(select, (boxes, scores), dtype=(tf.float32, tf.int32))
        tf.identity(chosen, "chosen"), tf.identity(counts, "counts")
    fn = mgjax.import_graph_def(graph.as_graph_def())
    given = [np.stack(arrays) for arrays in zip(*map(drawn, range(3)), strict=True)]
    _, found = jax.jit(fn.bind(["boxes", "scores"], ["chosen", "counts"]))({}, *given)
    with tf.Session(graph=graph) as session:
        wanted = session.run(["chosen:0", "counts:0"], dict(zip(["boxes:0", "scores:0"], given, strict=True)))
    assert_array_equal(found[0], wanted[0])
    assert_array_equal(found[1], wanted[1])
