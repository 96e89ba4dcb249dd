"""Parsing of examples against TensorFlow, of which the messages are made."""

import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, raises, tf

F, I, S = dtypes.float32, dtypes.int64, dtypes.string  # noqa: E741


def feature(values):
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(**features):
    return tf.train.Example(
        features=tf.train.Features(feature={k: feature(v) for k, v in features.items()})
    ).SerializeToString(deterministic=True)


def sequence(context, **lists):
    message = tf.train.SequenceExample()
    for key, values in context.items():
        message.context.feature[key].CopyFrom(feature(values))
    for key, steps in lists.items():
        message.feature_lists.feature_list[key].feature.extend([feature(values) for values in steps])
    return message.SerializeToString(deterministic=True)


EXAMPLES = np.array(
    [
        example(r=[5], q=[0.5], a=[1, 2, 3], b=[0.5, -1.5], c=[b"x"], v=[1.0, 2.0]),
        example(r=[6, 7], a=[4], c=[b"yy"]),
        example(b=[2.5, 3.5], c=[b""], v=[3.0, 4.0, 5.0, 6.0]),
    ],
    object,
)
NAMES = np.array([b"one", b"two", b"three"], object)
NONE = np.zeros(0, object)
KEYS = {"sparse_keys": ["a", "missing"], "dense_keys": ["b", "c", "v"]}
SHAPES = ((2,), (), (None, 2))
DEFAULTS = [np.array([7, 8], np.float32), NONE, np.array([-1], np.float32)]


def array(text):
    return np.array(text.encode(), object)


def test_a_batch_of_examples():
    inputs = {
        "serialized": EXAMPLES,
        "names": NAMES,
        "sparse_keys": [array(k) for k in KEYS["sparse_keys"]],
        "dense_keys": [array(k) for k in KEYS["dense_keys"]],
        "dense_defaults": DEFAULTS,
    }
    check("ParseExample", inputs, {"sparse_types": (I, S), "dense_shapes": SHAPES})


def test_strings_without_axes_are_elements_of_the_batch():
    inputs = {
        "serialized": EXAMPLES,
        "names": NAMES,
        "sparse_keys": [array("a")],
        "dense_keys": [array("missing"), array("c")],
        "dense_defaults": [array("default"), array("none")],
    }
    parse = REGISTRY["ParseExample"].function
    types = {"sparse_types": (I,), "Tdense": (S, S), "dense_shapes": ((), ())}
    missing, present = parse(*inputs.values(), **types)[-1]
    assert missing.tolist() == [b"default"] * 3
    assert present.tolist() == [b"x", b"yy", b""]


@pytest.mark.parametrize(
    "serialized", [EXAMPLES, EXAMPLES[0:1].reshape(()), EXAMPLES[:0]], ids=["batch", "one", "none"]
)
def test_examples_with_ragged_features(serialized):
    inputs = {
        "serialized": serialized,
        "names": NONE if serialized.ndim else np.array(b"", object),
        "sparse_keys": np.array(KEYS["sparse_keys"], object),
        "dense_keys": np.array(KEYS["dense_keys"], object),
        "ragged_keys": np.array(["r", "q"], object),
        "dense_defaults": DEFAULTS,
    }
    attrs = {
        "num_sparse": 2,
        "sparse_types": (I, S),
        "ragged_value_types": (I, F),
        "ragged_split_types": (I, dtypes.int32),
        "dense_shapes": SHAPES,
    }
    check("ParseExampleV2", inputs, attrs)


@pytest.mark.parametrize("serialized", EXAMPLES, ids=range(len(EXAMPLES)))
def test_a_single_example(serialized):
    attrs = {
        "num_sparse": 2,
        "sparse_keys": ("a", "missing"),
        "dense_keys": ("b", "c", "v"),
        "sparse_types": (I, S),
        "dense_shapes": SHAPES,
    }
    check("ParseSingleExample", {"serialized": np.array(serialized, object), "dense_defaults": DEFAULTS}, attrs)


@pytest.mark.parametrize(
    "key, dtype, shape, default",
    [
        ("z", I, (), np.zeros(0, np.int64)),
        ("b", I, (2,), np.zeros(2, np.int64)),
        ("a", I, (2,), np.zeros(2, np.int64)),
        ("a", I, (None, 2), np.zeros(0, np.int64)),
    ],
)
def test_features_that_do_not_fit_are_refused_as_by_tensorflow(key, dtype, shape, default):
    inputs = {
        "serialized": EXAMPLES[:1],
        "names": NONE,
        "sparse_keys": np.zeros(0, object),
        "dense_keys": np.array([key], object),
        "ragged_keys": np.zeros(0, object),
        "dense_defaults": [default],
    }
    attrs = {"num_sparse": 0, "sparse_types": (), "ragged_value_types": (), "ragged_split_types": ()}
    message = raises("ParseExampleV2", inputs, {**attrs, "dense_shapes": (shape,)})
    del attrs["num_sparse"]
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY["ParseExampleV2"].function(**inputs, **attrs, Tdense=(dtype,), dense_shapes=(shape,))
    # TensorFlow 2 shortens what follows the fact.
    assert message[:40] == caught.value.message[:40]


def test_what_is_no_example_is_refused():
    with pytest.raises(InvalidArgumentError, match="Could not parse example input, value: 'garbage'"):
        REGISTRY["ParseSingleExample"].function(
            np.array(b"garbage", object), [], sparse_keys=(), dense_keys=(), sparse_types=(), Tdense=(), dense_shapes=()
        )


SEQUENCES = np.array(
    [
        sequence({"a": [1, 2], "b": [0.5]}, s=[[1], [2, 3], []], d=[[1.0, 2.0], [3.0, 4.0]], m=[]),
        sequence({"b": [1.5]}, s=[], d=[[5.0, 6.0]]),
    ],
    object,
)


@pytest.mark.parametrize("serialized", SEQUENCES, ids=range(len(SEQUENCES)))
def test_a_sequence_example(serialized):
    inputs = {
        "serialized": np.array(serialized, object),
        "feature_list_dense_missing_assumed_empty": np.array([b"m"], object),
        "context_sparse_keys": [array("a")],
        "context_dense_keys": [array("b")],
        "feature_list_sparse_keys": [array("s")],
        "feature_list_dense_keys": [array("d"), array("m")],
        "context_dense_defaults": [np.zeros(0, np.float32)],
        "debug_name": np.array(b"", object),
    }
    attrs = {
        "context_sparse_types": (I,),
        "feature_list_sparse_types": (I,),
        "feature_list_dense_types": (F, I),
        "context_dense_shapes": ((),),
        "feature_list_dense_shapes": ((2,), ()),
    }
    check("ParseSingleSequenceExample", inputs, attrs)


def test_a_batch_of_sequence_examples_pads_feature_lists():
    attrs = {
        "feature_list_dense_missing_assumed_empty": ("m",),
        "context_sparse_keys": ("a",),
        "context_dense_keys": ("b",),
        "feature_list_sparse_keys": ("s",),
        "feature_list_dense_keys": ("d",),
        "context_sparse_types": (I,),
        "Tcontext_dense": (F,),
        "context_dense_shapes": ((),),
        "feature_list_sparse_types": (I,),
        "feature_list_dense_types": (F,),
        "feature_list_dense_shapes": ((2,),),
    }
    results = REGISTRY["ParseSequenceExample"].function(SEQUENCES, NONE, [np.zeros(0, np.float32)], **attrs)
    _, _, _, (b,), (steps,), (values,), (shape,), (dense,), (lengths,) = results
    assert b.tolist() == [0.5, 1.5]
    assert steps.tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert (values.tolist(), shape.tolist()) == ([1, 2, 3], [2, 3, 2])
    assert dense.tolist() == [[[1, 2], [3, 4]], [[5, 6], [0, 0]]]
    assert lengths.tolist() == [2, 1]
