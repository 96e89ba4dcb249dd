"""Python functions that the user binds to the tokens of a graph."""

import numpy as np
import pytest

import mgjax
import mgjax.compat.v1 as mg
from mgjax import errors
from tests.live import meta_graph_of, tf


def build():
    x = tf.placeholder(tf.float32, [None], name="x")
    out = tf.raw_ops.PyFunc(
        input=[x, tf.constant([b"a"])], token="pyfunc_0", Tout=[tf.float32, tf.string], name="called"
    )
    tf.identity(out[0] * 2, name="twice")
    tf.raw_ops.PyFuncStateless(input=[x], token="pyfunc_1", Tout=[tf.int64], name="pure")
    tf.identity(x + 1, name="without")


def first(x, words):
    assert x.dtype == np.float32 and words.dtype == object
    return x + 1, [b"b", "ü"]


def test_a_bound_function_is_called_with_arrays():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(build), py_functions={"pyfunc_0": first, "pyfunc_1": len})
    _, (twice, words, pure) = fn({}, {"x:0": [1.0, 2.0]}, ["twice:0", "called:1", "pure:0"])
    assert np.asarray(twice).tolist() == [4.0, 6.0]
    assert words.tolist() == [b"b", "ü".encode()]
    assert (pure.dtype, int(pure)) == (np.int64, 2)


def test_an_unbound_function_is_refused_by_its_token_and_only_where_it_is_needed():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    assert np.asarray(fn({}, {"x:0": [1.0]}, "without:0")[1]).tolist() == [2.0]
    with pytest.raises(errors.UnsupportedError, match=r"PyFunc 'called'.*'pyfunc_0'.*py_functions"):
        fn({}, {"x:0": [1.0]}, "twice:0")
    assert np.asarray(fn({}, {"called:0": [1.0]}, "twice:0")[1]).tolist() == [2.0]


@pytest.mark.parametrize("wrong", [lambda x, words: x, lambda x, words: (x.astype(np.float64), words)])
def test_results_of_another_number_or_dtype_are_refused(wrong):
    fn, _ = mgjax.import_meta_graph(meta_graph_of(build), py_functions={"pyfunc_0": wrong})
    with pytest.raises(errors.InvalidArgumentError, match="pyfunc_0"):
        fn({}, {"x:0": [1.0]}, "twice:0")


def test_scripts_bind_functions_where_they_import():
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(meta_graph_of(build), py_functions={"pyfunc_0": first})
        assert session.run("twice:0", {"x:0": [1.0]}).tolist() == [4.0]
