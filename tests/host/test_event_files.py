"""Event files, read by TensorFlow, beside those that it writes itself."""

import numpy as np
import pytest

import mgjax
from mgjax.errors import DataLossError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from tests.ops.live import tf

raw = tf.raw_ops


def image(channels):
    return np.random.default_rng(1).normal(size=(2, 3, 4, channels)).astype(np.float32)


def build(folder):
    """A graph of all ops that write; the step is fed."""
    step = tf.placeholder(tf.int64, [], "step")
    writer = raw.SummaryWriter(shared_name="writer")
    raw.CreateSummaryFileWriter(
        writer=writer, logdir=folder, max_queue=0, flush_millis=1, filename_suffix=".v", name="create"
    )
    plugin = tf.SummaryMetadata(plugin_data=tf.SummaryMetadata.PluginData(plugin_name="p")).SerializeToString()
    summary = tf.Summary(value=[tf.Summary.Value(tag="a", simple_value=2.5)]).SerializeToString()
    event = tf.Event(wall_time=7.0, step=3, file_version="x").SerializeToString()
    raw.WriteSummary(
        writer=writer, step=step, tensor=[[1.5, 2.5]], tag="numbers", summary_metadata=plugin, name="numbers"
    )
    raw.WriteSummary(writer=writer, step=step, tensor=["a", "b"], tag="words", summary_metadata="", name="words")
    raw.WriteRawProtoSummary(writer=writer, step=step, tensor=[summary, summary], name="raw")
    raw.WriteRawProtoSummary(writer=writer, step=step, tensor=["\xff"], name="bad_raw")
    raw.ImportEvent(writer=writer, event=event, name="import")
    raw.WriteGraphSummary(writer=writer, step=step, tensor=tf.GraphDef().SerializeToString(), name="graph")
    raw.WriteScalarSummary(writer=writer, step=step, tag="scalar", value=np.int32(5), name="scalar")
    raw.WriteHistogramSummary(writer=writer, step=step, tag="h", values=np.arange(9.0), name="histogram")
    raw.WriteHistogramSummary(writer=writer, step=step, tag="h", values=[np.nan], name="nan")
    bad_color = np.array([255, 0, 0, 255], np.uint8)
    raw.WriteImageSummary(
        writer=writer, step=step, tag="i", tensor=image(3), bad_color=bad_color, max_images=2, name="image"
    )
    sound = np.sin(np.arange(20, dtype=np.float32)).reshape(1, 20)
    raw.WriteAudioSummary(
        writer=writer, step=step, tag="s", tensor=sound, sample_rate=8000.0, max_outputs=1, name="audio"
    )
    raw.FlushSummaryWriter(writer=writer, name="flush")
    raw.CloseSummaryWriter(writer=writer, name="close")


WRITES = ("numbers", "words", "raw", "import", "graph", "scalar", "histogram", "image", "audio")


def imported(folder, **options):
    with tf.Graph().as_default() as graph:
        build(str(folder))
        return mgjax.import_graph_def(graph.as_graph_def(), **options)


def events_in(folder):
    (path,) = folder.iterdir()
    assert path.name.startswith("events.out.tfevents.") and path.name.endswith(".v")
    events = list(tf.train.summary_iterator(str(path)))
    for event in events:
        event.ClearField("wall_time")
        # TensorFlow 2 says who wrote the file.
        event.ClearField("source_metadata")
    return events


def test_events_are_those_that_tensorflow_writes(tmp_path):
    fn = imported(tmp_path / "ours", allow_writing=[tmp_path])
    state = {}
    for i, name in enumerate(("create", *WRITES, "flush", "close")):
        state, _ = fn(state, {"step:0": np.int64(i)}, name)
    with tf.Graph().as_default(), tf.Session() as session:
        build(str(tmp_path / "theirs"))
        for i, name in enumerate(("create", *WRITES, "flush", "close")):
            session.run(name, {"step:0": i})
    assert events_in(tmp_path / "ours") == events_in(tmp_path / "theirs")


@pytest.mark.parametrize("name, error", [("bad_raw", DataLossError), ("nan", InvalidArgumentError)])
def test_what_cannot_be_written_is_refused(name, error, tmp_path):
    fn = imported(tmp_path / "ours", allow_writing=[tmp_path])
    state, _ = fn({}, {}, "create")
    with pytest.raises(error):
        fn(state, {"step:0": np.int64(0)}, name)
    assert len(events_in(tmp_path / "ours")) == 1


def test_a_writer_that_is_not_created_or_closed_is_not_found(tmp_path):
    fn = imported(tmp_path / "ours", allow_writing=[tmp_path])
    with pytest.raises(NotFoundError):
        fn({}, {"step:0": np.int64(0)}, "scalar")
    state, _ = fn({}, {}, "create")
    state, _ = fn(state, {}, "close")
    for name in ("scalar", "flush", "close"):
        with pytest.raises(NotFoundError):
            fn(state, {"step:0": np.int64(0)}, name)


def test_nothing_is_written_where_it_is_not_allowed(tmp_path):
    fn = imported(tmp_path / "ours", allow_writing=[tmp_path / "elsewhere"])
    with pytest.raises(PermissionDeniedError, match="allow_writing"):
        fn({}, {}, "create")
    assert not (tmp_path / "ours").exists()
