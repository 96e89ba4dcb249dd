import jax
import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.philox import initial_generator
from tests.ops.live import assert_same, tf

BOXES = np.array([[[0.1, 0.2, 0.6, 0.9], [0.5, 0.5, 0.7, 0.8]]], np.float32)


@pytest.mark.parametrize("attrs", [{}, {"aspect_ratio_range": [0.3, 3.0], "area_range": [0.3, 0.9]},
                                   {"max_attempts": 3, "area_range": [0.9, 0.91]}])  # fmt: skip
@pytest.mark.parametrize("covered", [0.1, 0.9])
@pytest.mark.parametrize("size", [(480, 640, 3), (31, 17, 3), (299, 299, 3)])
@pytest.mark.parametrize("seed", [(7, 9), (-1, 5)])
def test_crops_are_tensorflows(seed, size, covered, attrs):
    size = np.array(size, np.int32)
    with tf.Graph().as_default(), tf.Session() as session:
        node = tf.raw_ops.SampleDistortedBoundingBoxV2(
            image_size=size, bounding_boxes=BOXES, min_object_covered=covered, seed=seed[0], seed2=seed[1], **attrs
        )
        runs = [session.run(list(node)) for _ in range(4)]
    generator = initial_generator(*seed)
    with jax.enable_x64(True):
        for expected in runs:
            *found, generator = REGISTRY["SampleDistortedBoundingBoxV2"].function(
                size, BOXES, np.float32(covered), **attrs, generator=generator
            )
            for ours, theirs in zip(found, expected, strict=True):
                assert_same(ours, theirs)


def test_an_image_without_boxes_is_refused_unless_it_may_stand_for_one():
    none = np.zeros((1, 0, 4), np.float32)
    sample = REGISTRY["SampleDistortedBoundingBox"].function
    with jax.enable_x64(True):
        with pytest.raises(InvalidArgumentError, match="No bounding boxes provided"):
            sample(np.array([5, 5, 3]), none, generator=initial_generator(1, 2))
        begin, size, *_ = sample(
            np.array([50, 50, 3]), none, use_image_if_no_bounding_boxes=True, generator=initial_generator(1, 2)
        )
    assert np.all(begin[:2] + size[:2] <= 50)
