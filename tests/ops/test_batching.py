"""The lowerings for networks and images under `jax.vmap`, and under `jax.jit` of a gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mgjax.ops import REGISTRY
from tests.ops.live import random_array

IMAGE, FILTER = [2, 6, 5, 3], random_array("float32", [3, 3, 3, 2])
DEPTHWISE = random_array("float32", [3, 2, 3, 2])
CONV = {"strides": (1, 2, 1, 1), "padding": "SAME"}
POOL = {"ksize": (1, 2, 3, 1), "strides": (1, 2, 1, 1), "padding": "SAME"}
POOL_3D = {"ksize": (1, 2, 1, 2, 1), "strides": (1, 1, 1, 2, 1), "padding": "VALID"}
SIZE = np.array([4, 7], np.int32)
BOXES, INDEX = np.float32([[0.1, 0.2, 0.9, 0.7], [-0.2, 0, 1, 1.1]]), np.array([1, 0], np.int32)
VECTOR = np.float32([1, 2, 3])
LABELS = {"labels_indices": np.array([[0, 0], [1, 0], [1, 1]]), "labels_values": np.array([1, 0, 0], np.int32)}

# Op, shape of the operand that is mapped over, the other operands, attrs.
CASES = [
    ("Conv2D", IMAGE, {"filter": FILTER}, CONV),
    ("DepthwiseConv2dNative", IMAGE, {"filter": DEPTHWISE}, CONV),
    ("Dilation2D", IMAGE, {"filter": FILTER[..., 0]}, {**CONV, "rates": (1, 1, 1, 1)}),
    ("MaxPool", IMAGE, {}, POOL),
    ("AvgPool", IMAGE, {}, POOL),
    ("MaxPool3D", [1, 3, 4, 5, 2], {}, POOL_3D),
    ("LRN", IMAGE, {}, {"depth_radius": 1}),
    ("FusedBatchNorm", IMAGE, {"scale": VECTOR, "offset": VECTOR, "mean": VECTOR[:0], "variance": VECTOR[:0]}, {}),
    ("BiasAdd", IMAGE, {"bias": VECTOR}, {}),
    ("ResizeBilinear", IMAGE, {"size": SIZE}, {}),
    ("ResizeBicubic", IMAGE, {"size": SIZE}, {"half_pixel_centers": True}),
    ("ResizeNearestNeighbor", IMAGE, {"size": np.array([12, 10], np.int32)}, {}),
    ("ResizeArea", IMAGE, {"size": SIZE}, {}),
    ("CropAndResize", IMAGE, {"boxes": BOXES, "box_ind": INDEX, "crop_size": SIZE}, {}),
    ("RGBToHSV", IMAGE, {}, {}),
    ("AdjustHue", IMAGE, {"delta": np.float32(0.3)}, {}),
    ("Softmax", [3, 4], {}, {}),
    ("SoftmaxCrossEntropyWithLogits", [3, 4], {"labels": random_array("float32", [3, 4], seed=1)}, {}),
    ("SparseSoftmaxCrossEntropyWithLogits", [3, 4], {"labels": np.array([0, 3, 1])}, {}),
    ("CTCLoss", [5, 2, 4], {**LABELS, "sequence_length": np.array([5, 4], np.int32)}, {}),
    ("Selu", [7], {}, {}),
    ("FakeQuantWithMinMaxVars", [7], {"min": np.float32(-1), "max": np.float32(1)}, {}),
]


@pytest.mark.parametrize("op, shape, others, attrs", CASES, ids=[case[0] for case in CASES])
def test_mapping_over_a_batch_is_a_call_for_each(op, shape, others, attrs):
    x = jnp.asarray(random_array("float32", [2, *shape]))
    lowering = REGISTRY[op]
    name = next(parameter for parameter in lowering.parameters if parameter not in others)

    def loss(x):
        outputs = lowering.function(**{name: x}, **others, **attrs)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        return jnp.sum(jnp.sin(first)), first

    alone = [jax.value_and_grad(loss, has_aux=True)(row) for row in x]
    mapped = jax.jit(jax.vmap(jax.value_and_grad(loss, has_aux=True)))(x)
    for together, *each in zip(jax.tree.leaves(mapped), *map(jax.tree.leaves, alone), strict=True):
        assert_allclose(together, jnp.stack(each), rtol=1e-4, atol=1e-5)
