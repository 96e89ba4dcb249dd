import logging
import sys

import numpy as np
import pytest

import mgjax
from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.host.printing import print_string
from tests.ops.live import tf

TEXT = np.array(b"loss 1.5 caf\xc3\xa9", object)


def test_a_string_goes_to_the_stream_that_is_named(capsys):
    assert print_string(TEXT) == ()
    print_string(TEXT, output_stream="stdout", end="|")
    assert capsys.readouterr() == ("loss 1.5 café|", "loss 1.5 café\n")


def test_a_string_goes_to_the_log(caplog):
    with caplog.at_level(logging.INFO, "mgjax.print"):
        print_string(TEXT, output_stream="log(warning)")
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", "loss 1.5 café")]


def test_a_graph_writes_no_files(tmp_path):
    with pytest.raises(UnsupportedError, match="is not supported"):
        print_string(TEXT, output_stream=f"file://{tmp_path}/out")
    assert not list(tmp_path.iterdir())


def test_only_scalars_are_printed():
    with pytest.raises(InvalidArgumentError, match=r"Input is expected to be scalar, but got \[1\]"):
        print_string(TEXT[None])


def test_a_graph_prints_once_a_run(capsys):
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [2], "x")
        tf.print("x is", x, output_stream=sys.stdout)
        name = next(n.name for n in graph.as_graph_def().node if n.op == "PrintV2")
        fn = mgjax.import_graph_def(graph.as_graph_def())
    for value in (1.0, 2.5):
        fn({}, {"x": np.float32([value, 0])}, [name])
    assert capsys.readouterr().out == "x is [1 0]\nx is [2.5 0]\n"
