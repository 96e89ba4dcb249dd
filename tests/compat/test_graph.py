"""Names, elements, collections, control dependencies and devices of a graph: what TensorFlow does, checked of it too."""

from __future__ import annotations

import pytest


def name_of(tf, name):
    return tf.constant(1.0, name=name).op.name


def test_names_are_made_unique_whatever_their_case(tf):
    assert [name_of(tf, name) for name in ("a", "A", "a", "a_1")] == ["a", "A_1", "a_2", "a_1_1"]


def test_scopes_nest_and_are_made_unique(tf):
    with tf.name_scope("s") as first:
        inner = name_of(tf, "c")
    with tf.name_scope("s") as second:
        pass
    with tf.name_scope("s/"):
        again = name_of(tf, "c")
    with tf.name_scope(None, "default", []) as default:
        pass
    assert [first, inner, second, again, default] == ["s/", "s/c", "s_1/", "s/c_1", "default/"]


@pytest.mark.parametrize("name", ["_x", "a b", "-a"])
def test_a_name_may_not_begin_or_be_written_anyhow(tf, name):
    with pytest.raises(ValueError, match="is not a valid"):
        tf.constant(1.0, name=name)


def test_a_name_inside_a_scope_may_begin_with_an_underscore(tf):
    with tf.name_scope("s"):
        assert name_of(tf, "_x") == "s/_x"


@pytest.mark.parametrize(
    "method, name, error",
    [
        ("get_operation_by_name", "zz", KeyError),
        ("get_operation_by_name", "a:0", ValueError),
        ("get_operation_by_name", 5, TypeError),
        ("get_tensor_by_name", "zz:0", KeyError),
        ("get_tensor_by_name", "a:3", KeyError),
        ("get_tensor_by_name", "a:x", ValueError),
        ("get_tensor_by_name", "a", ValueError),
        ("get_tensor_by_name", "zz", ValueError),
        ("get_tensor_by_name", 5, TypeError),
        ("as_graph_element", 5, TypeError),
    ],
)
def test_an_element_that_is_not_there_is_tensorflows_error(tf, method, name, error):
    tf.constant(1.0, name="a")
    with pytest.raises(error):
        getattr(tf.get_default_graph(), method)(name)


def test_elements_are_the_same_objects(tf):
    a = tf.constant(1.0, name="a")
    graph = tf.get_default_graph()
    assert graph.as_graph_element("a:0") is graph.get_tensor_by_name("a:0") is a.op.outputs[0]
    assert graph.as_graph_element("a") is graph.get_operation_by_name("a") is a.op
    with pytest.raises(TypeError, match=r"Can not convert a \w*Tensor into a Operation"):
        graph.as_graph_element(a, allow_tensor=False)


def test_tensors_and_operations_tell_of_themselves(tf):
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    y = tf.add(x, 1.0, name="y")
    assert (y.op.name, y.value_index, y.dtype.name, y.op.inputs[0] is x) == ("y", 0, "float32", True)
    assert (x.shape.as_list(), x.get_shape().ndims, x.op.type) == ([None, 3], 2, "Placeholder")
    assert str(x).startswith('Tensor("x:0", shape=(')
    assert [op.name for op in x.consumers()] == ["y"]
    assert x.op.get_attr("dtype") == tf.float32
    with pytest.raises(ValueError, match="zz"):
        x.op.get_attr("zz")


def test_a_shape_takes_what_is_said_of_it_and_no_contradiction(tf):
    x = tf.placeholder(tf.float32, name="x")
    assert x.shape.ndims is None
    x.set_shape([2, None])
    assert tf.get_default_graph().get_tensor_by_name("x:0").shape.as_list() == [2, None]
    with pytest.raises(ValueError):
        x.set_shape([3])


@pytest.mark.parametrize("use", [bool, len, list])
def test_a_tensor_is_no_truth_value_and_no_sequence(tf, use):
    with pytest.raises(TypeError):
        use(tf.placeholder(tf.float32, [2]))


def test_control_inputs_leave_out_what_is_an_input_already(tf):
    a, b = tf.constant(1.0, name="a"), tf.constant(2.0, name="b")
    with tf.control_dependencies([a, b.op]):
        c = tf.identity(a, name="c")
        d = tf.identity(c, name="d")  # runs after c, so after both
    assert [op.name for op in c.op.control_inputs] == ["b"]
    assert [op.name for op in d.op.control_inputs] == []
    with tf.control_dependencies([a]), tf.control_dependencies(None):
        assert not tf.constant(1.0).op.control_inputs


def test_devices_merge_from_the_outside_in(tf):
    graph = tf.get_default_graph()
    with graph.device("/gpu:0"):
        with graph.device("/job:ps"):
            inner = tf.constant(1.0).device
        with graph.device(None):
            none = tf.constant(1.0).device
        with graph.device(lambda op: "/cpu:1" if op.type == "Const" else ""):
            chosen = tf.constant(1.0).device
    assert (inner, none, chosen) == ("/job:ps/device:GPU:0", "", "/device:CPU:1")


def test_collections_keep_order_and_are_chosen_by_name(tf):
    a, b = tf.constant(1.0, name="a"), tf.constant(1.0, name="s/b")
    graph = tf.get_default_graph()
    for value in (a, 5, b):
        tf.add_to_collection("k", value)
    graph.add_to_collections(["k2", "k3", "k2"], a)
    assert tf.get_collection("k") == [a, 5, b]
    assert tf.get_collection("k", "s/") == [b]
    assert [tf.get_collection(key) for key in ("k2", "k3", "none")] == [[a], [a], []]
    assert {"k", "k2", "k3"} <= set(graph.get_all_collection_keys())
    tf.get_collection_ref("k").clear()
    assert tf.get_collection("k") == []


def test_a_finalized_graph_does_not_grow(tf):
    tf.constant(1.0)
    graph = tf.get_default_graph()
    graph.finalize()
    assert graph.finalized
    with pytest.raises(RuntimeError, match="finalized"):
        tf.constant(1.0)


def test_a_nested_graph_is_not_reset(tf):
    with pytest.raises(AssertionError, match="nested graphs"):
        tf.reset_default_graph()
