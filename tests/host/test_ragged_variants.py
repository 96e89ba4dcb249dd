"""Ragged tensors in variants: what comes back of what was put in, against TensorFlow."""

from __future__ import annotations

import pytest

from tests.host.live_state import check_runs
from tests.live import tf

RAGGED = [[[1, 2], []], [], [[3], [4, 5, 6], [7]], []]


def show(ragged):
    for i, part in enumerate([*ragged.nested_row_splits, ragged.flat_values]):
        tf.identity(part, name=f"part{i}")


def encoded(batched):
    ragged = tf.ragged.constant(RAGGED, dtype=tf.float32, ragged_rank=2)
    splits = list(ragged.nested_row_splits)
    return tf.raw_ops.RaggedTensorToVariant(
        rt_nested_splits=splits, rt_dense_values=ragged.flat_values, batched_input=batched
    )


def decode(variants, input_rank, output_rank):
    splits, values = tf.raw_ops.RaggedTensorFromVariant(
        encoded_ragged=variants,
        input_ragged_rank=input_rank,
        output_ragged_rank=output_rank,
        Tvalues=tf.float32,
        Tsplits=tf.int64,
    )
    show(tf.RaggedTensor.from_nested_row_splits(values, splits, validate=False))


@pytest.mark.parametrize("batched, input_rank", [(False, 2), (False, -1), (True, 1), (True, -1)])
def test_a_ragged_tensor_comes_back_whole_and_row_by_row(batched, input_rank):
    check_runs(lambda: decode(encoded(batched), input_rank, 2), [([f"part{i}:0" for i in range(3)], {})])


def test_dimensions_of_an_array_of_variants_become_the_outermost_ones():
    def build():
        decode(tf.reshape(encoded(True), [2, 2]), -1, 3)

    check_runs(build, [([f"part{i}:0" for i in range(4)], {})])


def test_a_variant_of_another_rank_is_an_error():
    check_runs(lambda: decode(encoded(False), 1, 1), [(["part0:0"], {})])
