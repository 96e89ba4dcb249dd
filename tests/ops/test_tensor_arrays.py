"""What arrays and lists give and what they refuse, as either generation of `tf.TensorArray` builds them, against TensorFlow."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mgjax
from mgjax.errors import InvalidArgumentError, OpError
from mgjax.ops import ElementList, Optional
from tests.ops.live import tf


def array(size, **attributes):
    return tf.TensorArray(tf.float32, size, **attributes)


def ragged(**attributes):
    made = array(3, infer_shape=False, **attributes).write(0, [1.0]).write(1, [1.0, 2.0])
    return made.write(2, [1.0, 2.0, 3.0])


def after(first, then):
    with tf.control_dependencies([first]):
        return then()


def gradient_of_two_reads():
    x = tf.constant([1.0, 2.0])
    written = array(3, clear_after_read=False).write(0, x)
    return tf.gradients([written.read(0) * 2.0, written.read(0) * 3.0], x)[0]


def gradient_of_pieces():
    x = tf.constant([1.0, 2.0, 4.0])
    pieces = array(2, infer_shape=False).split(x * x, [1, 2])
    return tf.gradients(pieces.concat() * [1.0, 2.0, 3.0], x)[0]


def read_twice(**attributes):
    written = array(3, **attributes).write(0, 1.0)
    return after(written.read(0), lambda: written.read(0))


PROGRAMS = {
    "never written, alike": lambda: array(3).write(0, [1.0, 2.0]).stack(),
    "never written, of known shape": lambda: array(3, element_shape=[2]).read(1),
    "never written, of unknown shape": lambda: array(3).read(1),
    "never written, of half known shape": lambda: array(3, element_shape=[None, 2]).stack(),
    "none, of known shape": lambda: array(0, element_shape=[2]).stack(),
    "none joined": lambda: array(0, element_shape=[2]).concat(),
    "none, of unknown shape": lambda: array(0).stack(),
    "written twice": lambda: array(3).write(0, 1.0).write(0, 2.0).read(0),
    "read twice": read_twice,
    "read twice and kept": lambda: read_twice(clear_after_read=False),
    "written beyond the end": lambda: array(3).write(5, 1.0).read(0),
    "read beyond the end": lambda: array(3).write(0, 1.0).read(5),
    "grown": lambda: array(3, dynamic_size=True, element_shape=[]).write(5, 1.0).stack(),
    "size of what grew": lambda: array(3, dynamic_size=True).write(5, 1.0).size(),
    "of different lengths, joined": lambda: ragged().concat(),
    "of different lengths, stacked": lambda: ragged().stack(),
    "of different lengths, one": lambda: ragged().read(1),
    "scattered": lambda: array(3, element_shape=[]).scatter([2, 0], [1.0, 2.0]).stack(),
    "scattered beyond the end": lambda: array(3, element_shape=[]).scatter([7, 2], [1.0, 2.0]).stack(),
    "split": lambda: array(3).split([1.0, 2.0, 3.0], [1, 1, 1]).read(2),
    "split into other than all": lambda: array(2).split([1.0, 2.0, 3.0], [1, 1]).read(0),
    "gradients add up": gradient_of_two_reads,
    "gradient of pieces": gradient_of_pieces,
    "strings": lambda: tf.TensorArray(tf.string, 2).unstack(tf.constant([b"a", b"bc"])).read(1),
    "strings stacked": lambda: tf.TensorArray(tf.string, 2).write(1, "x").write(0, "yz").stack(),
}
OLD_PROGRAMS = {
    "scattered and grown": lambda: array(3, element_shape=[], dynamic_size=True).scatter([7, 2], [1.0, 2.0]).stack(),
    "unstacked into too small": lambda: after(array(2).unstack([1.0, 2.0, 3.0]).flow, lambda: tf.constant(1)),
    "split into too small": lambda: after(array(2).split([1.0, 2.0, 3.0], [1, 1, 1]).flow, lambda: tf.constant(1)),
    "written of another dtype": lambda: tf.raw_ops.TensorArrayWriteV3(
        handle=array(2).handle, index=0, value=np.int32(1), flow_in=0.0
    ),
    "read as another dtype": lambda: tf.raw_ops.TensorArrayReadV3(
        handle=array(2).handle, index=0, dtype=tf.int32, flow_in=0.0
    ),
    "of negative size": lambda: array(-2, element_shape=[3]).flow,
}


def list_of(*items):
    made = tf.raw_ops.EmptyTensorList(element_shape=-1, max_num_elements=-1, element_dtype=tf.float32)
    for item in items:
        made = tf.raw_ops.TensorListPushBack(input_handle=made, tensor=np.float32(item))
    return made


def resized(size):
    made = tf.raw_ops.TensorListResize(input_handle=list_of(1.0, 2.0, 3.0), size=size)
    return tf.raw_ops.TensorListStack(input_handle=made, element_shape=np.int32([]), element_dtype=tf.float32)


def popped(count):
    made = list_of(1.0, [2.0, 3.0])
    for _ in range(count):
        made, item = tf.raw_ops.TensorListPopBack(input_handle=made, element_shape=-1, element_dtype=tf.float32)
    return item


def of_strings():
    made = tf.raw_ops.TensorListFromTensor(tensor=tf.constant(["a", "bc"]), element_shape=np.int32([]))
    return tf.raw_ops.TensorListStack(input_handle=made, element_shape=np.int32([]), element_dtype=tf.string)


LISTS = {
    "shortened": lambda: resized(1),
    "lengthened": lambda: resized(5),
    "taken, of another shape": lambda: popped(1),
    "taken twice": lambda: popped(2),
    "taken too often": lambda: popped(3),
    "joined lists": lambda: tf.raw_ops.TensorListStack(
        input_handle=tf.raw_ops.TensorListConcatLists(
            input_a=list_of(1.0), input_b=list_of(2.0, 3.0), element_dtype=tf.float32
        ),
        element_shape=np.int32([]),
        element_dtype=tf.float32,
    ),
    "stacked, of another count": lambda: tf.raw_ops.TensorListStack(
        input_handle=list_of(1.0), element_shape=np.int32([]), element_dtype=tf.float32, num_elements=2
    ),
    "scattered into": lambda: tf.raw_ops.TensorListStack(
        input_handle=tf.raw_ops.TensorListScatterV2(
            tensor=tf.constant([1.0, 2.0]), indices=[3, 0], element_shape=np.int32([]), num_elements=5
        ),
        element_shape=np.int32([]),
        element_dtype=tf.float32,
    ),
    "of strings": of_strings,
}


def reserved(count):
    return tf.raw_ops.TensorListReserve(element_shape=np.int32([]), num_elements=count, element_dtype=tf.float32)


def stacked(handle):
    return tf.raw_ops.TensorListStack(input_handle=handle, element_shape=-1, element_dtype=tf.float32)


def end_to_end(handle, shape, counts=()):
    return tf.raw_ops.TensorListConcatV2(
        input_handle=handle, element_shape=shape, leading_dims=np.int64(counts), element_dtype=tf.float32
    )


def half_written():
    made = tf.raw_ops.TensorListReserve(element_shape=-1, num_elements=3, element_dtype=tf.float32)
    return tf.raw_ops.TensorListSetItem(input_handle=made, index=1, item=[[1.0, 2.0], [3.0, 4.0]])


def empty(shape):
    return tf.raw_ops.EmptyTensorList(element_shape=shape, max_num_elements=-1, element_dtype=tf.float32)


def pushed_in_batches():
    vector = tf.stack([empty(np.int32([])), empty(-1)])
    for rows in ([1.0, 2.0], [3.0, 4.0]):
        vector = tf.raw_ops.TensorListPushBackBatch(input_handles=vector, tensor=rows)
    both = tf.raw_ops.TensorListConcatLists(input_a=vector, input_b=vector, element_dtype=tf.float32)
    return tf.stack([stacked(made) for made in tf.unstack(both)])


def pushed_in_another_batch():
    pair = tf.stack([empty(-1), empty(-1)])
    row = tf.placeholder_with_default([1.0], None)
    return stacked(tf.unstack(tf.raw_ops.TensorListPushBackBatch(input_handles=pair, tensor=row))[0])


UNEVEN = {
    "pushed in batches": pushed_in_batches,
    "pushed in a batch of another size": pushed_in_another_batch,
    "added, of other lengths": lambda: stacked(tf.add_n([reserved(2), reserved(3)])),
    "joined": lambda: end_to_end(half_written(), np.int32([-1, 2])).tensor,
    "joined, others of other lengths": lambda: end_to_end(half_written(), np.int32([-1, 2]), [1, 2, 3]).tensor,
    "joined, the lengths": lambda: end_to_end(half_written(), -1, [1, 2, 3]).lengths,
    "joined, of fewer lengths": lambda: end_to_end(half_written(), -1, [1, 2]).tensor,
    "joined, of nothing": lambda: end_to_end(empty(np.int32([-1, 2])), -1).tensor,
    "joined, of nothing, said late": lambda: end_to_end(empty(np.int32([-1, 2, -1])), np.int32([-1, -1, 3])).tensor,
    "joined, of nothing, unsaid": lambda: end_to_end(empty(-1), -1).tensor,
    "joined, of scalars": lambda: end_to_end(empty(np.int32([])), -1).tensor,
}


def compare(programs):
    with tf.Graph().as_default() as graph:
        for i, program in enumerate(programs.values()):
            tf.identity(program(), f"result_{i}")
    fn = mgjax.import_graph_def(graph.as_graph_def())
    with tf.Session(graph=graph) as session:
        for i, name in enumerate(programs):
            fetch = f"result_{i}:0"
            try:
                wanted = session.run(fetch)
            except tf.errors.OpError as error:
                with pytest.raises(OpError) as raised:
                    fn({}, {}, fetch)
                assert type(raised.value).__name__ == type(error).__name__, name
                continue
            found = fn({}, {}, fetch)[1]
            if np.asarray(wanted).dtype.kind == "O" or isinstance(wanted, bytes):
                assert np.asarray(found).tolist() == np.asarray(wanted, object).tolist(), name
            else:
                assert_allclose(found, wanted, rtol=1e-6, err_msg=name)


def test_old_arrays_are_tensorflows():
    tf.disable_control_flow_v2()
    compare({**PROGRAMS, **OLD_PROGRAMS})


def test_lists_of_uneven_elements_and_vectors_of_lists_are_tensorflows():
    compare(UNEVEN)


def test_arrays_as_lists_are_tensorflows():
    was_v2 = tf.control_flow_v2_enabled()
    tf.enable_control_flow_v2()
    try:
        compare({**PROGRAMS, **LISTS})
    finally:
        (tf.enable_control_flow_v2 if was_v2 else tf.disable_control_flow_v2)()


def test_gradients_with_more_axes_hold_zeros_of_that_shape():
    with tf.Graph().as_default() as graph:
        tf.disable_control_flow_v2()
        written = array(2, element_shape=[3]).write(0, [1.0, 2.0, 3.0])
        handle, flow = tf.raw_ops.TensorArrayGradWithShape(
            handle=written.handle, flow_in=written.flow, shape_to_prepend=[2], source="gradients"
        )
        tf.raw_ops.TensorArrayReadV3(handle=handle, index=0, flow_in=flow, dtype=tf.float32, name="y")
    fn = mgjax.import_graph_def(graph.as_graph_def())
    assert fn({}, {}, "y:0")[1].tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("shape, length", [([2], 3), ([], 2)])
def test_only_lists_of_one_length_and_shape_are_added(shape, length):
    with tf.Graph().as_default() as graph:
        # Where the shape is known as the graph is built, its builder refuses already.
        like = tf.placeholder(tf.int32, name="like")
        lists = [
            tf.raw_ops.TensorListReserve(element_shape=shape_, num_elements=count, element_dtype=tf.float32)
            for shape_, count in ((like, 3), (tf.placeholder(tf.int32, name="other"), length))
        ]
        total = tf.raw_ops.AddN(inputs=lists)
        tf.raw_ops.TensorListLength(input_handle=total, name="y")
    feeds = {"like:0": np.zeros([0], np.int32), "other:0": np.array(shape, np.int32)}
    with tf.Session(graph=graph) as session, pytest.raises(tf.errors.InvalidArgumentError):
        session.run("y:0", feeds)
    with pytest.raises(InvalidArgumentError, match="Trying to add two lists of tensors"):
        mgjax.import_graph_def(graph.as_graph_def())({}, feeds, "y:0")


def test_zeros_like_lists_in_a_list_are_as_long_as_these():
    raw = tf.raw_ops
    with tf.Graph().as_default() as graph:
        shape, most = tf.constant([], tf.int32), tf.constant(-1)
        lists = raw.EmptyTensorList(element_shape=shape, max_num_elements=most, element_dtype=tf.variant)
        inner = raw.EmptyTensorList(element_shape=shape, max_num_elements=most, element_dtype=tf.float32)
        for value in (3.0, 4.0):
            inner = raw.TensorListPushBack(input_handle=inner, tensor=tf.constant(value))
            lists = raw.TensorListPushBack(input_handle=lists, tensor=inner)
        lists = tf.zeros_like(lists)
        for name in ("two", "one"):
            lists, inner = raw.TensorListPopBack(input_handle=lists, element_shape=shape, element_dtype=tf.variant)
            raw.TensorListStack(input_handle=inner, element_shape=shape, element_dtype=tf.float32, name=name)
    fn = mgjax.import_graph_def(graph.as_graph_def())
    with tf.Session(graph=graph) as session:
        for fetch in ("two:0", "one:0"):
            assert fn({}, {}, fetch)[1].tolist() == session.run(fetch).tolist()


def test_a_list_of_optionals_takes_a_value_after_nothing():
    """So branches in turn push what they keep for their gradients, of which one keeps nothing."""
    made = ElementList(None, 0, 0, None, np.dtype(object)).push(Optional([], False))
    made = made.push(Optional([[np.float32(2.0)]], True))
    first, second = (made.get(np.int32(i)) for i in range(2))
    assert not first.has_value
    assert second.has_value
    assert second.alternatives[0][0] == 2.0
