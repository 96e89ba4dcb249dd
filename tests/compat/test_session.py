"""Fetches, feeds and the life of a session: what TensorFlow does, checked of TensorFlow too."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

import mgjax.compat.v1

Pair = namedtuple("Pair", "x y")


def variable(tf, value, name):
    return tf.Variable(value, name=name, use_resource=False)


# ---- fetches


@pytest.mark.parametrize(
    "value, kind", [(3, np.int32), (1.5, np.float32), (True, np.bool_), (b"hi", bytes), ("hi", bytes)]
)
def test_scalars_come_back_as_numpy_scalars_and_strings_as_bytes(tf, session, value, kind):
    result = session.run(tf.constant(value))
    assert type(result) is kind
    assert result == (b"hi" if kind is bytes else value)


def test_strings_come_back_as_an_array_of_bytes(tf, session):
    result = session.run(tf.constant(["x", "y"]))
    assert result.dtype == object
    assert result.tolist() == [b"x", b"y"]


def test_structures_keep_their_classes(tf, session):
    a = tf.constant(3)
    fetches = [a, (a, [a]), Pair(a, {"k": a}), OrderedDict(z=a, b=a), [], {}]
    result = session.run(fetches)
    assert result == [3, (3, [3]), Pair(3, {"k": 3}), OrderedDict(z=3, b=3), [], {}]
    assert [type(part) for part in result[1:]] == [tuple, Pair, OrderedDict, list, dict]


def test_a_default_dictionary_keeps_its_default(tf, session):
    result = session.run(defaultdict(list, a=tf.constant(3)))
    assert result == {"a": 3}


@pytest.mark.parametrize("name, result", [("a:0", 3), ("a", None), (b"a:0", 3)])
def test_names_are_tensors_or_operations(tf, session, name, result):
    tf.constant(3, name="a")
    assert session.run(name) == result


@pytest.mark.parametrize("fetch", [None, [None], 5, [5.0], {1}, np.array([1])])
def test_what_is_no_fetch_is_a_type_error(tf, session, fetch):
    tf.constant(3, name="a")
    with pytest.raises(TypeError, match=r"rgument .*has invalid type"):
        session.run(fetch)


@pytest.mark.parametrize("fetch", ["zz", "zz:0", "a:1", "z:x", "a:x", "a:0:0", "", "^a"])
def test_an_unknown_name_cannot_be_interpreted(tf, session, fetch):
    tf.constant(3, name="a")
    with pytest.raises(ValueError, match=r"rgument .*cannot be interpreted as a Tensor"):
        session.run(fetch)


def test_an_element_of_another_graph_cannot_be_interpreted(tf, session):
    tf.constant(3, name="a")
    with tf.Graph().as_default():
        other = tf.constant(3, name="a")
    for fetch in (other, other.op):
        with pytest.raises(ValueError, match="cannot be interpreted as a Tensor"):
            session.run(fetch)


def test_what_is_marked_cannot_be_fetched_or_fed(tf, session):
    a, b = tf.constant(1.0), tf.constant(2.0)
    tf.get_default_graph().prevent_feeding(a)
    tf.get_default_graph().prevent_fetching(b.op)
    with pytest.raises(ValueError, match="may not be fed"):
        session.run(a, {a: 2.0})
    with pytest.raises(ValueError, match="marked as not fetchable"):
        session.run(b)


# ---- feeds


@pytest.mark.parametrize(
    "dtype, value, expected",
    [
        ("int32", 1.5, 1),
        ("int32", [1.9, -1.9], [1, -1]),
        ("int32", np.array([2**40 + 5]), [5]),
        ("uint8", np.array(300), 44),
        ("int32", True, 1),
        ("float32", True, 1.0),
        ("float32", "1.5", 1.5),
        ("float16", 1e10, np.inf),
        ("bool", 0.5, True),
        ("int32", [], []),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_feeds_are_converted_as_numpy_converts(tf, session, dtype, value, expected):
    x = tf.placeholder(dtype, name="x")
    result = session.run(tf.identity(x), {x: value})
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("dtype, value", [("int32", 2**40), ("uint8", -1), ("string", 5), ("bool", 2)])
def test_an_integer_that_does_not_survive_is_refused(tf, session, dtype, value):
    x = tf.placeholder(dtype)
    with pytest.raises(TypeError, match=f"Type of feed value {value} .* is not compatible"):
        session.run(tf.identity(x), {x: value})


@pytest.mark.parametrize("value", [[[1, 2, 3, 4]], [1, 2, 3], None])
def test_a_feed_of_another_shape_is_refused(tf, session, value):
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    with pytest.raises(ValueError, match=r"Cannot feed value of shape .* for Tensor"):
        session.run(tf.identity(x), {x: value})


@pytest.mark.parametrize("value", [[[1, 2], [3]], "a"])
def test_what_numpy_cannot_convert_is_refused_by_numpy(tf, session, value):
    x = tf.placeholder(tf.float32)
    with pytest.raises(ValueError, match=r"inhomogeneous|could not convert"):
        session.run(tf.identity(x), {x: value})


def test_a_tensor_is_no_feed(tf, session):
    x = tf.placeholder(tf.float32)
    with pytest.raises(TypeError, match=r"cannot be a tf\.Tensor object"):
        session.run(x, {x: tf.constant(1.0)})


@pytest.mark.parametrize("key", ["x", "zz:0", 5, None, "operation", "other"])
def test_what_is_no_tensor_cannot_be_fed(tf, session, key):
    x = tf.placeholder(tf.float32, name="x")
    if key == "operation":
        key = x.op
    if key == "other":
        with tf.Graph().as_default():
            key = tf.placeholder(tf.float32, name="x")
    with pytest.raises(TypeError, match="Cannot interpret feed_dict key as Tensor"):
        session.run(tf.identity(x), {key: 1.0})


def test_any_tensor_may_be_fed_and_its_producer_does_not_run(tf, session):
    x = tf.placeholder(tf.float32, name="x")
    y = tf.add(x, 1.0, name="y")
    assert session.run(tf.multiply(y, 2.0), {"y:0": 5.0}) == 10


def test_a_tensor_that_is_fed_and_fetched_is_what_was_fed(tf, session):
    x = tf.placeholder(tf.float32)
    s = tf.placeholder(tf.string)
    results = session.run([x, s], {x: 7, s: "text"})
    assert results[0].dtype == np.float32
    assert results == [7, "text"]


def test_the_later_of_two_feeds_of_one_tensor_wins(tf, session):
    x = tf.placeholder(tf.float32, name="x")
    assert session.run(tf.add(x, 1.0), OrderedDict([(x, 1.0), ("x:0", 2.0)])) == 3


def test_a_placeholder_that_is_needed_must_be_fed(tf, session):
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    with pytest.raises(tf.errors.InvalidArgumentError, match="must feed a value for placeholder tensor 'x'") as caught:
        session.run(tf.negative(x))
    assert caught.value.error_code == tf.errors.INVALID_ARGUMENT
    assert caught.value.op.name == "x"


def test_a_sparse_tensor_is_fed_and_fetched_as_three(tf, session):
    parts = [tf.placeholder(dtype, name=name) for dtype, name in [("int64", "i"), ("float32", "v"), ("int64", "s")]]
    sparse = tf.SparseTensor(*map(tf.identity, parts))
    value = tf.SparseTensorValue(np.array([[1, 2]]), np.array([3.0], np.float32), np.array([4, 5]))
    result = session.run(sparse, {sparse: value})
    assert isinstance(result, tf.SparseTensorValue)
    np.testing.assert_array_equal(result.indices, [[1, 2]])
    np.testing.assert_array_equal(result.dense_shape, [4, 5])


def test_a_callable_takes_its_feeds_in_order(tf, session):
    x, y = tf.placeholder(tf.float32, name="x"), tf.placeholder(tf.float32)
    subtract = session.make_callable(tf.subtract(x, y), ["x:0", y])
    assert subtract(5.0, 2.0) == 3


# ---- variables


@pytest.mark.parametrize("read", ["v:0", "v/read:0", "sum:0"])
def test_a_variable_without_a_value_fails_its_readers_by_name(tf, session, read):
    v = variable(tf, [1.0, 2.0], "v")
    tf.add(v, 1.0, name="sum")
    with pytest.raises(tf.errors.FailedPreconditionError, match=r"Attempting to use uninitialized value v\b(?!/)"):
        session.run(read)


def test_variables_without_a_value_are_reported(tf, session):
    v, _ = variable(tf, 1.0, "v"), variable(tf, 2.0, "w")
    report, known = tf.report_uninitialized_variables(), tf.is_variable_initialized(v)
    assert session.run(report).tolist() == [b"v", b"w"]
    session.run(v.initializer)
    assert session.run(report).tolist() == [b"w"]
    assert session.run(known)
    session.run(tf.global_variables_initializer())
    assert session.run(report).tolist() == []


def test_each_session_has_its_own_values(tf, session):
    v = variable(tf, 1.0, "v")
    session.run(v.initializer)
    session.run(v.assign(5.0))
    with tf.Session() as other:
        other.run(v.initializer)
        assert (other.run(v), session.run(v)) == (1, 5)


def test_a_loaded_value_is_the_variables(tf, session):
    v = variable(tf, [1.0, 2.0], "v")
    v.load([5, 6], session)
    np.testing.assert_array_equal(v.eval(), [5, 6])
    with pytest.raises(ValueError, match="Cannot feed value of shape"):
        v.load([1, 2, 3], session)


def test_what_ran_before_an_error_stays(tf, session):
    v = tf.Variable([[1.0, 2.0]], name="v", use_resource=False)
    y = tf.placeholder(tf.float32, name="y")
    session.run(v.initializer)
    session.run(v.assign([[3.0, 4.0]]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        session.run(v.assign(y), {y: [1.0]})
    np.testing.assert_array_equal(session.run(v), [[3, 4]])


# ---- life


def test_a_closed_session_runs_nothing(tf):
    a = tf.constant(1)
    with tf.Session() as session:
        assert session.run(a) == 1
    with pytest.raises(RuntimeError, match="closed Session"):
        session.run(a)
    session.close()


def test_an_empty_graph_runs_nothing(tf, session):
    with pytest.raises(RuntimeError, match="The Session graph is empty"):
        session.run([])


def test_as_default_leaves_the_session_open(tf):
    a = tf.constant(1)
    session = tf.Session()
    with session.as_default():
        assert tf.get_default_session() is session
        assert a.eval() == 1
    assert session.run(a) == 1
    session.close()


def test_without_a_default_session_nothing_is_evaluated(tf):
    a = tf.constant(1)
    with pytest.raises(ValueError, match="Cannot evaluate tensor using `eval\\(\\)`: No default session"):
        a.eval()
    with pytest.raises(ValueError, match="Cannot execute operation using `run\\(\\)`: No default session"):
        a.op.run()


def test_an_interactive_session_is_the_default_until_it_is_closed(tf):
    a = tf.constant(1)
    session = tf.InteractiveSession()
    assert a.eval() == 1
    session.close()
    with pytest.raises(ValueError, match="No default session"):
        a.eval()


@pytest.mark.parametrize("arguments", [{"target": 5}, {"graph": 5}])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # TensorFlow's half-made session
def test_a_session_of_something_else_is_a_type_error(tf, arguments):
    with pytest.raises(TypeError, match="must be a"):
        tf.Session(**arguments)


def test_settings_are_accepted(tf):
    config = tf.ConfigProto(allow_soft_placement=True)
    config.gpu_options.allow_growth = True
    with tf.Session(config=config) as session:
        assert session.run(tf.constant(1), options=tf.RunOptions(), run_metadata=tf.RunMetadata()) == 1


def test_a_session_tells_the_seed_it_chose():
    """An addition of this package: TensorFlow's session has no seed."""
    tf = mgjax.compat.v1
    with tf.Graph().as_default() as graph:
        draw = graph.create_op("RandomUniform", [tf.constant([4])], {"dtype": tf.float32}).outputs[0]
        with tf.Session() as session:
            first = session.run(draw)
            seed = session.seed
        with tf.Session(seed=seed) as session:
            assert session.run(draw).tolist() == first.tolist()
        with tf.Session() as session:
            assert session.run(draw).tolist() != first.tolist()
