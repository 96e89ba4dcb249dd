"""Input pipelines of queues and threads, in scripts that only import and run them; coordination of threads."""

import threading
import time
import warnings

import pytest

import mgjax.compat.v1 as mg
from tests.live import meta_graph_of, tf


@pytest.fixture
def pipeline(tmp_path):
    """A .meta of lines read from two files, twice over, in batches of three."""
    (tmp_path / "a.csv").write_bytes(b"1,one\n2,two\n")
    (tmp_path / "b.csv").write_bytes(b"3,three\n")

    def build():
        names = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
        files = tf.train.string_input_producer(names, num_epochs=2, shuffle=False)
        _, line = tf.TextLineReader().read(files)
        number, word = tf.decode_csv(line, [[0], [""]])
        tf.train.batch([number, word], batch_size=3, allow_smaller_final_batch=True, name="batch")
        tf.get_variable("w", initializer=1.0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (tmp_path / "model.meta").write_bytes(meta_graph_of(build).SerializeToString())
    return str(tmp_path / "model.meta")


def test_runners_fill_the_queues_to_the_end_of_the_input(pipeline):
    found = []
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(pipeline)
        session.run([mg.global_variables_initializer(), mg.local_variables_initializer()])
        coord = mg.train.Coordinator()
        threads = mg.train.start_queue_runners(session, coord)
        assert mg.train.start_queue_runners(session, coord) == []
        with pytest.raises(mg.errors.OutOfRangeError):
            while not coord.should_stop():
                numbers, words = session.run(["batch:0", "batch:1"])
                found += zip(numbers.tolist(), words.tolist(), strict=True)
        coord.request_stop()
        coord.join(threads, stop_grace_period_secs=10)
        assert not any(thread.is_alive() for thread in threads)
    assert found == [(1, b"one"), (2, b"two"), (3, b"three")] * 2


def test_stopping_ends_threads_that_wait(pipeline):
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(pipeline)
        session.run([mg.global_variables_initializer(), mg.local_variables_initializer()])
        coord = mg.train.Coordinator()
        threads = mg.train.start_queue_runners(session, coord)
        session.run("batch:0")
        coord.request_stop()
        coord.join(threads, stop_grace_period_secs=10)
        assert not any(thread.is_alive() for thread in threads)


def test_an_error_of_the_input_reaches_whoever_joins(pipeline, tmp_path):
    (tmp_path / "a.csv").unlink()
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(pipeline)
        session.run([mg.global_variables_initializer(), mg.local_variables_initializer()])
        coord = mg.train.Coordinator()
        threads = mg.train.start_queue_runners(session, coord)
        with pytest.raises(mg.errors.NotFoundError, match=r"a\.csv"):
            coord.join(threads, stop_grace_period_secs=10)


def test_fed_tensors_need_no_queue(pipeline):
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(pipeline)
        assert session.run("batch:0", {"batch:0": [7]}).tolist() == [7]


def test_runners_survive_a_round_trip(pipeline):
    with mg.Graph().as_default():
        mg.train.import_meta_graph(pipeline)
        runners = mg.get_collection(mg.GraphKeys.QUEUE_RUNNERS)
        exported = mg.train.export_meta_graph()
    again = tf.train.import_meta_graph
    with tf.Graph().as_default():
        again(exported.SerializeToString() if isinstance(exported, bytes) else _as_tensorflows(exported))
        theirs = tf.get_collection(tf.GraphKeys.QUEUE_RUNNERS)
    assert [runner.name for runner in theirs] == [runner.name for runner in runners]
    assert [[op.name for op in runner.enqueue_ops] for runner in theirs] == [
        [op.name for op in runner.enqueue_ops] for runner in runners
    ]


def _as_tensorflows(meta_graph):
    return tf.MetaGraphDef.FromString(meta_graph.SerializeToString())


class TestCoordinator:
    def test_the_first_error_is_raised_by_join(self):
        coord = mg.train.Coordinator()

        def fail():
            with coord.stop_on_exception():
                raise ValueError("first")

        thread = threading.Thread(target=fail)
        thread.start()
        with pytest.raises(ValueError, match="first"):
            coord.join([thread])
        assert coord.should_stop() and coord.joined

    def test_the_end_of_the_input_is_no_error(self):
        coord = mg.train.Coordinator()
        coord.request_stop(mg.errors.OutOfRangeError(None, None, "end"))
        coord.join([])
        coord.raise_requested_exception()

    def test_threads_that_do_not_stop_are_named(self):
        coord, end = mg.train.Coordinator(), threading.Event()
        thread = threading.Thread(target=end.wait, name="stubborn", daemon=True)
        thread.start()
        coord.request_stop()
        with pytest.raises(RuntimeError, match="threads still running: stubborn"):
            coord.join([thread], stop_grace_period_secs=0.05)
        coord.join([thread], stop_grace_period_secs=0.05, ignore_live_threads=True)
        end.set()

    def test_a_looper_calls_until_it_is_stopped(self):
        coord, calls = mg.train.Coordinator(), []
        looper = mg.train.LooperThread.loop(coord, 0.001, calls.append, args=(1,))
        while len(calls) < 3:
            time.sleep(0.001)
        coord.request_stop()
        coord.join([looper], stop_grace_period_secs=10)
        assert not looper.is_alive()
