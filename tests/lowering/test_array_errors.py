"""What stacks, arrays and lists refuse as only values tell, outside of loops and in them, as TensorFlow 1.15 does."""

import re

import numpy as np
import pytest

import mgjax
from mgjax.errors import InternalError, InvalidArgumentError
from tests.ops.live import tf

raw = tf.raw_ops


def array(size=2, **attributes):
    return tf.TensorArray(tf.float32, size, infer_shape=False, **attributes)


def stack_ops(limit, doing):
    """What the last of some pushes ("+") and pops ("-") on a stack gives."""
    stack = raw.StackV2(max_size=limit, elem_type=tf.float32, stack_name="")
    last = stack
    for i, sign in enumerate(doing):
        with tf.control_dependencies([last]):
            if sign == "+":
                last = raw.StackPushV2(handle=stack, elem=tf.constant(float(i)))
            else:
                last = raw.StackPopV2(handle=stack, elem_type=tf.float32)
    return last


def list_ops(limit, doing):
    """The length of a list after some pushes ("+") and pops ("-")."""
    made = raw.EmptyTensorList(element_shape=np.int32([]), max_num_elements=limit, element_dtype=tf.float32)
    for sign in doing:
        if sign == "+":
            made = raw.TensorListPushBack(input_handle=made, tensor=1.0)
        else:
            made, _ = raw.TensorListPopBack(input_handle=made, element_shape=np.int32([]), element_dtype=tf.float32)
    return raw.TensorListLength(input_handle=made)


def gathered(indices):
    written = array(clear_after_read=False).write(0, 1.0)
    return raw.TensorArrayGatherV3(handle=written.handle, indices=indices, flow_in=written.flow, dtype=tf.float32)


def gradient_of_two_writes(at):
    """Arrays of gradients add what is written twice."""
    x = tf.constant(1.0)
    written = array(clear_after_read=False).write(at, x)
    return tf.gradients(written.read(0) * written.read(at), x)[0]


def stack_of_one():
    stack = raw.StackV2(max_size=-1, elem_type=tf.float32, stack_name="")
    with tf.control_dependencies([raw.StackPushV2(handle=stack, elem=1.0)]):
        return tf.identity(stack)


_WRITTEN = "because it has already been written to"
_NEVER = ("Could not read from TensorArray index", "was never written")

# Each is built from a zero that is fed. Beside it stands the sum of what TensorFlow 1.15 gives, or a part of what it says; of
# what is said otherwise here, that too.
PROGRAMS = {
    "stack, full": (lambda at: stack_ops(at + 2, "++-"), 1.0),
    "stack, one too many": (lambda at: stack_ops(at + 1, "++-"), "overflowed its max_size (1)"),
    "stack, of nothing": (lambda at: stack_ops(at, "+-"), "overflowed its max_size (0)"),
    "stack, without end": (lambda at: stack_ops(at - 1, "+++-"), 2.0),
    "stack, popped empty": (lambda at: stack_ops(at - 1, "-"), "empty"),
    "stack, popped once too often": (lambda at: stack_ops(at - 1, "+--"), "empty"),
    "stack, of another dtype": (
        lambda at: raw.StackPopV2(handle=stack_of_one(), elem_type=tf.int32),
        "does not match declared output type int32",
    ),
    "array, written twice": (lambda at: array().write(at, 1.0).write(0, 2.0).read(0), _WRITTEN),
    "array, written side by side": (lambda at: array().write(at, 1.0).write(1, 2.0).read(0), 1.0),
    "array, of gradients, written twice": (gradient_of_two_writes, 2.0),
    "array, scattered twice": (lambda at: array().scatter(tf.add(at, [1, 1]), tf.constant([1.0, 2.0])).flow, _WRITTEN),
    "array, scattered over": (
        lambda at: array().write(at, 1.0).scatter(tf.add(at, [1, 0]), tf.constant([1.0, 2.0])).flow,
        _WRITTEN,
    ),
    "array, scattered below": (
        lambda at: array().scatter(tf.add(at, [0, -1]), tf.constant([1.0, 2.0])).flow,
        "not resizeable and size is: 2",
    ),
    "array, unstacked over": (lambda at: array().write(at, 1.0).unstack(tf.constant([1.0, 2.0])).flow, _WRITTEN),
    "array, split over": (lambda at: array().write(at, [1.0]).split(tf.constant([1.0, 2.0]), [1, 1]).flow, _WRITTEN),
    "array, never written": (lambda at: array().write(at, 1.0).read(at + 1), _NEVER),
    "array, never written, of known shape": (lambda at: array(element_shape=[]).write(at, 1.0).read(at + 1), 0.0),
    "array, never written, in pieces": (lambda at: array(3).write(0, [1.0]).write(1, [1.0, 2.0]).read(at + 2), _NEVER),
    "array, gathered, never written": (lambda at: gathered(tf.add(at, [0, 1])), _NEVER),
    "array, gathered": (lambda at: gathered(tf.add(at, [0, 0])), 2.0),
    "array, written below": (
        lambda at: array(dynamic_size=True).write(at - 1, 1.0).read(at),
        "not resizeable and size is: 2",
    ),
    "array, grown": (lambda at: array(1, dynamic_size=True).write(at + 3, 4.0).read(at + 3), 4.0),
    "array, grown, in the gap": (lambda at: array(1, dynamic_size=True).write(at + 3, 4.0).read(at + 1), _NEVER),
    "array, grown, beyond": (
        lambda at: array(1, dynamic_size=True).write(at + 3, 4.0).read(at + 4),
        "but array size is: 4",
    ),
    "list, full": (lambda at: list_ops(at + 2, "+-++"), 2.0),
    "list, one too many": (lambda at: list_ops(at + 2, "+++"), "full list"),
    "list, of nothing": (lambda at: list_ops(at, "+"), "full list"),
    "list, popped empty": (lambda at: list_ops(at - 1, "+--"), "from an empty list"),
}


def outside(program):
    at = tf.placeholder(tf.int32, [], "at")
    tf.identity(program(at), "result")


def in_a_loop(program):
    at = tf.placeholder(tf.int32, [], "at")

    def body(i, total):
        return i + 1, total + tf.reduce_sum(tf.cast(program(at + i * 0), tf.float32))

    tf.identity(tf.while_loop(lambda i, total: i < at + 1, body, [0, 0.0])[1], "result")


@pytest.fixture(autouse=True)
def arrays_of_the_first_kind():
    """`tf.TensorArray` makes what TensorFlow 1 makes: arrays that a handle names."""
    was_v2 = tf.control_flow_v2_enabled()
    tf.disable_control_flow_v2()
    yield
    (tf.enable_control_flow_v2 if was_v2 else tf.disable_control_flow_v2)()


def imported(place, program):
    with tf.Graph().as_default() as graph:
        place(program)
        return mgjax.import_graph_def(graph.as_graph_def())


@pytest.mark.parametrize("place", [outside, in_a_loop], ids=["outside", "in a loop"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_refused_is_tensorflows(name, place):
    program, wanted = PROGRAMS[name]
    fn = imported(place, program)
    if isinstance(wanted, float):
        for errors in ("raise", "ignore"):
            assert np.sum(fn({}, {"at": 0}, "result", errors=errors)[1]) == wanted
        return
    with pytest.raises(InternalError if "declared" in wanted else InvalidArgumentError) as raised:
        fn({}, {"at": 0}, "result", errors="raise")
    message = re.sub(r"[(]?[?][)]?", "#", raised.value.message)
    parts = [wanted] if isinstance(wanted, str) else wanted
    assert any(part in raised.value.message or re.sub(r"[(]?\d+[)]?", "#", part) in message for part in parts)


def test_what_is_pushed_where_nothing_is_popped_overflows_nothing():
    """So in TensorFlow's sessions, unless their optimizers are off."""
    with tf.Graph().as_default() as graph:
        tf.identity(stack_ops(1, "++"), "result")
        fn = mgjax.import_graph_def(graph.as_graph_def())
    assert fn({}, {}, "result", errors="raise")[1] == 1.0


def test_a_growing_array_is_written_where_a_fed_index_says():
    with tf.Graph().as_default() as graph:
        at = tf.placeholder(tf.int32, [], "at")
        written = array(0, dynamic_size=True, element_shape=[]).write(at, 4.0)
        tf.identity(written.read(at), "alone")
        tf.identity(written.size(), "size")
        fn = mgjax.import_graph_def(graph.as_graph_def())
    for index in (0, 5):
        _, (alone, size) = fn({}, {"at": index}, ["alone", "size"])
        assert (alone, size) == (4.0, index + 1)
