"""The command `mgjax`: what it prints, what it exits with."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mgjax
from mgjax import checkpoint, sample
from mgjax.cli import main
from mgjax.proto import meta_graph_pb2

RUN = ["run", sample.META, "--restore", sample.PREFIX]
IMAGES = f"x:0=@{Path(sample.PREFIX).parent / 'digits.npz'}:images"


@pytest.fixture
def call(capsys):
    """Runs a command; gives its exit status, what it printed, and what it complained of."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        return (status, *capsys.readouterr())

    return run


def test_inspect_prints_the_report(call):
    status, out, err = call("inspect", sample.META)
    assert (status, out, err) == (0, f"{mgjax.inspect(sample.META)}\n", "")


def test_run_prints_what_is_fetched(call):
    status, out, _ = call(*RUN, "--feed", IMAGES, "--fetch", "probs", "--fetch", "global_step")
    lines = out.splitlines()
    assert status == 0 and lines[0] == "probs: float32[320,10]"
    assert lines[-2:] == ["global_step: int64[]", "1500"]
    assert call(*RUN, "--fetch", "init")[1] == "init: has run\n"


def test_run_saves_what_is_fetched_and_the_variables_after(call, tmp_path):
    images, labels = sample.load_digits()
    np.save(tmp_path / "x.npy", images[:32])
    np.save(tmp_path / "y.npy", labels[:32])
    status, out, _ = call(
        *RUN, "--feed", f"x=@{tmp_path}/x.npy", "--feed", f"y=@{tmp_path}/y.npy", "--fetch", "loss:0", "--fetch", "train_op:0",
        "--save", tmp_path / "out", "--save-variables", tmp_path / "next",
    )  # fmt: skip
    assert status == 0 and out.splitlines()[0] == f"saved loss:0, train_op:0 in {tmp_path}/out.npz"
    with np.load(tmp_path / "out.npz") as saved:
        assert_allclose(saved["loss:0"], sample.load_recorded().losses[0], rtol=1e-5)
    assert checkpoint.open(str(tmp_path / "next")).read("global_step") == 1501


@pytest.fixture
def typed(tmp_path):
    """A graph that hands on what it is fed, a tensor of each type."""
    import mgjax.compat.v1 as tf

    with tf.Graph().as_default():
        for name, dtype in {"number": tf.float32, "count": tf.int32, "flag": tf.bool, "word": tf.string}.items():
            tf.identity(tf.placeholder(dtype, name=name), name=f"same_{name}")
        tf.train.export_meta_graph(str(tmp_path / "typed.meta"))
    return tmp_path / "typed.meta"


@pytest.mark.parametrize("name, text, printed", [
    ("number", "3", ["float32[]", "3.0"]),
    ("number", "nan", ["float32[]", "nan"]),
    ("number", "[[1,2],[3,4]]", ["float32[2,2]", "[[1. 2.]", " [3. 4.]]"]),
    ("count", "-7", ["int32[]", "-7"]),
    ("flag", "true", ["bool[]", "True"]),
    ("flag", "False", ["bool[]", "False"]),
    ("word", "hello, world", ["string[]", "b'hello, world'"]),
    ("word", "['a', b'b']", ["string[2]", "[b'a' b'b']"]),
    ("word", "a=b", ["string[]", "b'a=b'"]),
])  # fmt: skip
def test_values_are_literals(call, typed, name, text, printed):
    status, out, err = call("run", typed, "--feed", f"{name}={text}", "--fetch", f"same_{name}:0")
    assert (status, err) == (0, "") and out.splitlines() == [f"same_{name}:0: {printed[0]}", *printed[1:]]


def test_run_starts_from_the_initializers_where_it_is_told_to(call):
    status, out, _ = call("run", sample.META, "--init", "--seed", "1", "--fetch", "global_step:0")
    assert (status, out.splitlines()) == (0, ["global_step:0: int64[]", "0"])


def test_checkpoint_lists_tensors(call):
    status, out, _ = call("checkpoint", sample.PREFIX, "--match", "^conv1/kernel|step")
    assert status == 0 and [line.split() for line in out.splitlines()[:4]] == [
        ["conv1/kernel", "float32[3,3,1,8]", "288", "bytes"],
        ["conv1/kernel/Adam", "float32[3,3,1,8]", "288", "bytes"],
        ["conv1/kernel/Adam_1", "float32[3,3,1,8]", "288", "bytes"],
        ["global_step", "int64[]", "8", "bytes"],
    ]
    assert out.splitlines()[4].startswith("4 tensors, 872 bytes; ")


def test_checkpoint_shows_a_tensor(call):
    assert call("checkpoint", sample.PREFIX, "--show", "global_step")[1] == "global_step: int64[]\n1500\n"


def test_checkpoint_copies_into_another_format(call, tmp_path):
    status, out, _ = call("checkpoint", sample.PREFIX, "--match", "bias$", "--copy-to", tmp_path / "b", "--format", "1")
    assert (status, out) == (0, f"wrote 3 tensors to {tmp_path / 'b'}, format V1\n")
    opened = checkpoint.open(tmp_path / "b")
    assert (opened.version, opened.names()) == (1, ["conv1/bias", "conv2/bias", "dense/bias"])


def test_checkpoint_tells_what_differs(call, tmp_path):
    nan = np.float32("nan")
    one = {"same": np.float32([nan, 1]), "gone": np.int64(1), "moved": np.float32([1, 2, 3]), "bigger": np.zeros(2),
           "huge": np.int64([2**62]), "text": np.array([b"a"], object), "flag": np.array([True])}  # fmt: skip
    two = {"same": np.float32([nan, 1]), "new": np.int64(1), "moved": np.float32([1, 2, 3.5]), "bigger": np.zeros(3),
           "huge": np.int64([-(2**62)]), "text": np.array([b"b"], object), "flag": np.array([False])}  # fmt: skip
    checkpoint.write(str(tmp_path / "one"), one)
    checkpoint.write(str(tmp_path / "two"), two)
    status, out, _ = call("checkpoint", tmp_path / "one", "--diff", tmp_path / "two")
    assert status == 1 and out.splitlines() == [
        "! bigger  float64[2] -> float64[3]",
        "! flag  bool[1]  1 of 1 differ",
        "- gone  int64[]",
        "! huge  int64[1]  1 of 1 differ, by at most 9.22e+18",
        "! moved  float32[3]  1 of 3 differ, by at most 0.5",
        "+ new  int64[]",
        "! text  string[1]  1 of 1 differ",
        "7 tensors differ",
    ]
    assert call("checkpoint", tmp_path / "one", "--diff", tmp_path / "one")[0] == 0


def test_convert_goes_to_text_and_back(call, tmp_path):
    status, _, _ = call("convert", sample.META, "--to", "text", "--output", tmp_path / "text.meta")
    assert status == 0 and (tmp_path / "text.meta").read_text().startswith("meta_info_def {")
    assert call("convert", tmp_path / "text.meta", "--to", "binary", "--output", tmp_path / "binary.meta")[0] == 0
    read = meta_graph_pb2.MetaGraphDef.FromString
    assert read((tmp_path / "binary.meta").read_bytes()) == read(Path(sample.META).read_bytes())


def test_convert_writes_to_standard_output():
    made = subprocess.run(
        [sys.executable, "-m", "mgjax", "convert", sample.META, "--to", "binary"], capture_output=True
    )
    assert made.returncode == 0 and made.stderr == b""
    assert meta_graph_pb2.MetaGraphDef.FromString(made.stdout) == meta_graph_pb2.MetaGraphDef.FromString(
        Path(sample.META).read_bytes()
    )


# What goes wrong


@pytest.mark.parametrize("arguments, complaint", [
    (["inspect", "nowhere.meta"], "'nowhere.meta' does not exist"),
    (["inspect", sample.__file__], "is no MetaGraphDef"),
    (["run", "nowhere.meta", "--fetch", "y"], "'nowhere.meta' does not exist"),
    ([*RUN, "--feed", IMAGES, "--fetch", "prob"], "no operation or tensor 'prob'; the nearest names are 'probs'"),
    ([*RUN, "--feed", "z=1", "--fetch", "probs"], "the graph has no tensor 'z:0'"),
    ([*RUN, "--feed", "x", "--fetch", "probs"], "--feed x: NAME=VALUE is wanted"),
    ([*RUN, "--feed", "x=hello", "--fetch", "probs"], "'hello', is no literal"),
    ([*RUN, "--feed", "x=[1,2]", "--fetch", "probs"], "'x:0' has shape [?,8,8]; the value fed has [2]"),
    ([*RUN, "--feed", "x=@nowhere.npy", "--fetch", "probs"], "'nowhere.npy' does not exist"),
    ([*RUN, "--feed", f"x=@{sample.META}", "--fetch", "probs"], "holds no array saved by NumPy"),
    ([*RUN, "--feed", IMAGES.removesuffix(":images"), "--fetch", "probs"], "holds the arrays images, labels; say which"),
    ([*RUN, "--fetch", "probs"], "placeholders that are not fed: float32[?,8,8] 'x'"),
    (["run", sample.META, "--feed", IMAGES, "--fetch", "probs"], "uninitialized value conv1/"),
    (["run", sample.META, "--restore", "nowhere/model", "--fetch", "probs"], "nowhere/model: no such checkpoint"),
    (["checkpoint", "nowhere"], "nowhere: no such checkpoint"),
    (["checkpoint", sample.PREFIX, "--show", "nothing"], "Key nothing not found in checkpoint"),
    (["checkpoint", sample.PREFIX, "--match", "("], "is no regular expression"),
    (["convert", sample.__file__, "--to", "text"], "is no MetaGraphDef"),
    (["convert", sample.META, "--to", "text", "--output", "nowhere/out"], "nowhere/out"),
    (["frobnicate"], "invalid choice: 'frobnicate'"),
    (["run", sample.META], "the following arguments are required: --fetch"),
    ([], "the following arguments are required: COMMAND"),
])  # fmt: skip
def test_what_goes_wrong_is_one_line_and_status_2(call, arguments, complaint):
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("mgjax: ") and err.count("\n") == 1 and complaint in err


def test_every_operation_that_cannot_be_run_is_on_the_one_line(call, tmp_path):
    meta_graph = meta_graph_pb2.MetaGraphDef()
    for name in ("first", "second"):
        meta_graph.graph_def.node.add(name=name, op="Strange")
    (tmp_path / "strange.meta").write_bytes(meta_graph.SerializeToString())
    status, _, err = call("run", tmp_path / "strange.meta", "--fetch", "first", "--fetch", "second")
    assert status == 2 and err.count("\n") == 1 and "Strange 'first'" in err and "Strange 'second'" in err


def test_the_module_is_the_command():
    made = subprocess.run([sys.executable, "-m", "mgjax", "--version"], capture_output=True, text=True)
    assert (made.returncode, made.stdout) == (0, f"mgjax {mgjax.__version__}\n")


def test_a_reader_that_stops_early_is_no_error():
    command = f"{sys.executable} -m mgjax convert {sample.META} --to text | head -n 1"
    made = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (made.stdout, made.stderr) == ("meta_info_def {\n", "")


def test_feeds_keep_what_they_are():
    from mgjax.cli.values import read_value
    from mgjax.dtypes import float32
    from mgjax.function import Tensor

    assert_array_equal(read_value(IMAGES.partition("=")[2], Tensor("x:0", float32, None)), sample.load_digits()[0])


TABLE = """
graph_def {
  node { name: "table" op: "HashTableV2"
         attr { key: "key_dtype" value { type: DT_STRING } } attr { key: "value_dtype" value { type: DT_INT64 } } }
  node { name: "file" op: "Const" attr { key: "dtype" value { type: DT_STRING } }
         attr { key: "value" value { tensor { dtype: DT_STRING tensor_shape {} string_val: "WORDS" } } } }
  node { name: "fill" op: "InitializeTableFromTextFileV2" input: "table" input: "file"
         attr { key: "key_index" value { i: -2 } } attr { key: "value_index" value { i: -1 } } }
  node { name: "size" op: "LookupTableSizeV2" input: "table" }
}
collection_def { key: "table_initializer" value { node_list { value: "fill" } } }
"""


def test_run_fills_tables_from_files_that_it_is_allowed(call, tmp_path):
    (tmp_path / "words").write_text("a\nb\n")
    (tmp_path / "table.meta").write_text(TABLE.replace("WORDS", str(tmp_path / "words")))
    command = ["run", tmp_path / "table.meta", "--fetch", "size"]
    status, out, err = call(*command, "--allow-files", tmp_path)
    assert (status, err) == (0, "") and "2" in out
    status, out, err = call(*command)
    assert status == 0 and "0" in out and "allow_files" in err
