"""Op definitions; expected values are TensorFlow's own registrations."""

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mgjax import dtypes, opdefs
from mgjax.errors import ReadError
from mgjax.proto import graph_pb2

ROOT = Path(__file__).parents[2]


def test_an_op_has_its_arguments_attrs_and_defaults():
    op = opdefs.find("Conv2D")
    assert [arg.name for arg in op.inputs] == ["input", "filter"]
    assert [arg.type_attr for arg in op.outputs] == ["T"]
    assert list(op.attrs) == [
        "T", "strides", "use_cudnn_on_gpu", "padding", "explicit_paddings", "data_format", "dilations"
    ]  # fmt: skip
    assert op.attrs["dilations"].default == (1, 1, 1, 1)
    assert op.attrs["padding"].allowed == ("SAME", "VALID", "EXPLICIT") and not op.attrs["padding"].has_default
    assert op.attrs["T"].allowed == (dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64)


def test_numbers_are_the_32_bit_ones_that_graphs_carry():
    assert opdefs.find("FusedBatchNorm").attrs["epsilon"].default == float(np.float32(1e-4))
    assert opdefs.find("LeakyRelu").attrs["alpha"].default == float(np.float32(0.2))
    assert opdefs.find("CollectiveReduce").attrs["wait_for"].default == ()


def test_defaults_of_every_kind_are_read():
    assert opdefs.find("Placeholder").attrs["shape"].has_default
    assert opdefs.find("Placeholder").attrs["shape"].default is None
    assert opdefs.find("ArgMax").attrs["output_type"].default is dtypes.int64
    assert_array_equal(opdefs.find("ImageSummary").attrs["bad_color"].default, np.array([255, 0, 0, 255], np.uint8))
    assert opdefs.find("AvgPool").attrs["ksize"].minimum == 4
    assert opdefs.find("RandomShuffleQueueV2").attrs["capacity"].default == -1


def test_references_and_traits_are_known():
    assign = opdefs.find("Assign")
    assert assign.inputs[0].is_ref and assign.outputs[0].is_ref and not assign.inputs[1].is_ref
    assert assign.allows_uninitialized_input and not assign.is_stateful
    assert opdefs.find("RandomUniform").is_stateful
    assert opdefs.find("AddN").is_aggregate and opdefs.find("AddN").is_commutative
    assert opdefs.find("BatchMatrixDiag").deprecation == (14, "Use MatrixDiag")


def test_unknown_ops_are_none():
    assert opdefs.find("NativeLstm2") is None
    assert opdefs.find("") is None


@pytest.mark.parametrize(
    "name, attrs, inputs, outputs",
    [
        ("ConcatV2", {"N": 3, "T": dtypes.int32, "Tidx": dtypes.int64}, [3, 1], [1]),
        ("Split", {"num_split": 4, "T": dtypes.float32}, [1, 1], [4]),
        ("IdentityN", {"T": (dtypes.int32, dtypes.string)}, [2], [2]),
        ("NoOp", {}, [], []),
        ("ParseExample", {"Nsparse": 1, "Ndense": 2, "sparse_types": (dtypes.int64,), "Tdense": (dtypes.float32,) * 2},
         [1, 1, 1, 2, 2], [1, 1, 1, 2]),
    ],
)  # fmt: skip
def test_arguments_stand_for_as_many_tensors_as_attrs_say(name, attrs, inputs, outputs):
    op = opdefs.find(name)
    assert op.arg_sizes(op.inputs, attrs) == inputs
    assert op.arg_sizes(op.outputs, attrs) == outputs


def test_types_of_outputs_follow_the_attrs():
    split = opdefs.find("Split").output_types({"num_split": 2, "T": dtypes.float32})
    assert split == [(dtypes.float32, False)] * 2
    many = opdefs.find("IdentityN").output_types({"T": (dtypes.int32, dtypes.string)})
    assert many == [(dtypes.int32, False), (dtypes.string, False)]
    assert opdefs.find("VariableV2").output_types({"dtype": dtypes.int64}) == [(dtypes.int64, True)]
    assert opdefs.find("Shape").output_types({"T": dtypes.float32, "out_type": dtypes.int64}) == [(dtypes.int64, False)]


@pytest.mark.parametrize(
    "attrs, message",
    [
        ({"T": dtypes.int32}, "attr 'num_split' of Split is missing"),
        ({"T": dtypes.int32, "num_split": -1}, "attr 'num_split' of Split is -1, not a number of tensors"),
        ({"T": dtypes.int32, "num_split": 1 << 40}, "not a number of tensors"),
        ({"T": dtypes.int32, "num_split": "2"}, "not a number of tensors"),
        ({"T": "int32", "num_split": 2}, "attr 'T' of Split is 'int32', not a type"),
    ],
)
def test_attrs_that_make_no_sense_are_refused(attrs, message):
    with pytest.raises(ReadError, match=message):
        opdefs.find("Split").output_types(attrs)


def test_newer_attrs_are_those_that_tensorflow_2_added():
    added = opdefs.newer_attrs("MatMul")
    assert list(added) == ["grad_a", "grad_b"]
    assert added["grad_a"].default is False
    assert opdefs.newer_attrs("Relu") == {}
    assert opdefs.newer_attrs("NoSuchOp") == {}


def test_the_newer_form_of_an_op_is_kept_beside_the_old_one():
    assert opdefs.find("TopKV2").outputs[1].dtype is dtypes.int32
    assert opdefs.find_newer("TopKV2").outputs[1].type_attr == "index_type"
    assert opdefs.find_newer("Relu") is None


def test_ops_that_only_tensorflow_2_has_are_found():
    op = opdefs.find("XlaSharding")
    assert op is not None and "XlaSharding" not in opdefs.names_of_1_15()


def test_kernels_and_origins_are_known():
    assert opdefs.has_cpu_kernel("MatMul") and opdefs.has_cpu_kernel("NoOp")
    assert not opdefs.has_cpu_kernel("TPUReplicate") and not opdefs.has_cpu_kernel("NoSuchOp")
    assert "Resampler" in opdefs.names_of_contrib()
    assert len(opdefs.names_of_1_15()) == 1227
    assert set(opdefs.names_of_1_15()) <= set(opdefs.names())


def test_every_op_comes_back_from_its_message():
    for name in opdefs.names():
        op = opdefs.find(name)
        message = graph_pb2.OpDef.FromString(opdefs.to_proto(op).SerializeToString())
        back = opdefs.from_proto(message)
        if name == "ImageSummary":
            assert opdefs.to_proto(back) == message  # It has an array, which `==` cannot compare.
            continue
        assert back == op


def test_no_default_is_lost_in_32_bits():
    for name in opdefs.names():
        for attr in opdefs.find(name).attrs.values():
            if attr.type == "float" and attr.has_default and not math.isnan(attr.default):
                assert attr.default == float(np.float32(attr.default))


def test_the_data_agrees_with_a_live_tensorflow():
    """Every argument and attr of TensorFlow 2's ops, for those whose newest form is in the data."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    code = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session
sys.stdout.buffer.write(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=300)
    compared = 0
    for message in graph_pb2.OpList.FromString(found.stdout).op:
        op = opdefs.find_newer(message.name) or opdefs.find(message.name)
        if op is None:
            continue  # The installed version is newer than the data's.
        compared += 1
        live = opdefs.from_proto(message)
        assert [arg.name for arg in live.inputs] == [arg.name for arg in op.inputs], op.name
        assert [arg.name for arg in live.outputs] == [arg.name for arg in op.outputs], op.name
        assert {name for name, attr in op.attrs.items() if attr.has_default} <= live.attrs.keys(), op.name
    assert compared > 1500
