"""Recorded from TensorFlow 1.15.5: nodes with seed=1234567, seed2=-89, num_sampled=7, range_max=12, two runs."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.philox import initial_generator
from tests.ops.live import check, tf

TRUE = np.array([[3, 0]])
# op, unique, then for each run: the classes sampled, the expected counts of the true classes and of the first sampled.
RECORDED = [
    ("UniformCandidateSampler", False,
     ([4, 1, 6, 1, 11, 7, 2], [0.58333337, 0.58333337], 0.58333337),
     ([7, 10, 11, 2, 11, 2, 7], [0.58333337, 0.58333337], 0.58333337)),
    ("LogUniformCandidateSampler", False,
     ([8, 0, 0, 7, 0, 0, 4], [0.60898077, 1.8916671], 0.28753924),
     ([2, 0, 11, 4, 1, 1, 0], [0.60898077, 1.8916671], 0.7851128)),
    ("UniformCandidateSampler", True,
     ([4, 1, 6, 11, 7, 2, 8], [0.50146979, 0.50146979], 0.50146979),
     ([7, 10, 11, 2, 5, 4, 0], [0.67733735, 0.67733735], 0.67733735)),
    ("LogUniformCandidateSampler", True,
     ([8, 0, 7, 4, 3, 1, 2], [0.63255453, 0.968739748], 0.36959317),
     ([2, 0, 11, 4, 1, 3, 5], [0.82259345, 0.99748558], 0.89567965)),
]  # fmt: skip


def sample(op, generator, num_sampled=7, range_max=12, unique=False):
    attrs = {"num_true": 2, "num_sampled": num_sampled, "unique": unique, "range_max": range_max}
    with jax.enable_x64(True):
        return jax.jit(lambda generator: REGISTRY[op].function(TRUE, **attrs, generator=generator))(generator)


@pytest.mark.parametrize("op, unique, first, second", RECORDED)
def test_candidates_and_their_expected_counts_are_tensorflows(op, unique, first, second):
    generator = initial_generator(1234567, -89)
    for classes, true_count, sampled_count in (first, second):
        sampled, true_expected, sampled_expected, generator = sample(op, generator, unique=unique)
        assert_array_equal(sampled, np.array(classes), strict=True)
        assert_allclose(true_expected, np.array([true_count], np.float32), rtol=2e-7)
        assert_allclose(sampled_expected[0], np.float32(sampled_count), rtol=2e-7)


def test_all_of_a_range_can_be_sampled():
    sampled, *_ = sample("LogUniformCandidateSampler", initial_generator(1, 2), 50, 50, unique=True)
    assert_array_equal(np.sort(sampled), np.arange(50))


def test_more_unique_candidates_than_classes_are_refused():
    with pytest.raises(InvalidArgumentError, match="range is too small"):
        sample("UniformCandidateSampler", initial_generator(1, 2), 5, 4, unique=True)


def test_accidental_hits_count_a_repeated_candidate_at_its_last_position():
    inputs = {"true_classes": np.array([[3, 0], [7, 3]]), "sampled_candidates": np.array([3, 9, 0, 3, 1])}
    check("ComputeAccidentalHits", inputs, {"num_true": 2})


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("attrs", [{}, {"distortion": 0.75, "num_reserved_ids": 2}, {"num_shards": 2, "shard": 1}])
def test_candidates_by_frequency_are_tensorflows(attrs, unique):
    unigrams = [float(x) for x in np.random.default_rng(0).random(40).astype(np.float32) * 9 + 0.1]
    size = (40 + attrs.get("num_reserved_ids", 0)) // attrs.get("num_shards", 1)
    attrs = {"num_true": 2, "num_sampled": 15, "unique": unique, "range_max": size, "unigrams": unigrams, **attrs}
    true = np.array([[3, 0], [7, 5]])
    with tf.Graph().as_default(), tf.Session() as session:
        node = tf.raw_ops.FixedUnigramCandidateSampler(true_classes=true, seed=77, seed2=5, **attrs)
        runs = [session.run(list(node)) for _ in range(2)]
    generator = initial_generator(77, 5)
    with jax.enable_x64(True):
        for classes, true_count, sampled_count in runs:
            *found, generator = REGISTRY["FixedUnigramCandidateSampler"].function(true, **attrs, generator=generator)
            assert_array_equal(found[0], classes, strict=True)
            assert_allclose(found[1], true_count, rtol=3e-7)
            assert_allclose(found[2], sampled_count, rtol=3e-7)
