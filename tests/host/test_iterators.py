"""Iterators of all kinds in a live TensorFlow and in ours, run by run; the pipelines are those of test_datasets.py."""

from __future__ import annotations

import contextlib
import sqlite3

import jax
import numpy as np
import pytest

import mgjax
import mgjax.compat.v1 as mg
from mgjax.errors import InvalidArgumentError, PermissionDeniedError, UnsupportedError
from tests.host.live_state import check_runs, check_session
from tests.live import meta_graph_of, tf

Dataset = tf.data.Dataset
NEXT, INIT = ("IteratorGetNext:0", {}), ("MakeIterator", {})


@pytest.fixture(params=[check_runs, check_session], ids=["function", "session"])
def check(request):
    return request.param


def one_shot(dataset):
    return tf.data.make_one_shot_iterator(dataset).get_next()


def initializable(dataset):
    return tf.data.make_initializable_iterator(dataset).get_next()


def test_a_one_shot_iterator_starts_by_itself_and_ends_for_good(check):
    check(lambda: one_shot(Dataset.range(2)), [NEXT, NEXT, NEXT, NEXT])


def test_an_iterator_must_be_initialized_and_may_be_so_again(check):
    check(lambda: initializable(Dataset.range(2)), [NEXT, INIT, NEXT, INIT, NEXT, NEXT, NEXT, INIT, NEXT])


def test_an_iterator_is_initialized_with_what_is_fed(check):
    def build():
        numbers = tf.placeholder(tf.int64, [None], name="numbers")
        initializable(Dataset.from_tensor_slices(numbers).map(lambda x: x * numbers[0]).batch(2))

    feeds = [("MakeIterator", {"numbers:0": np.array(values)}) for values in ([2, 3, 4], [5])]
    check(build, [feeds[0], NEXT, NEXT, NEXT, feeds[1], NEXT, NEXT])


def test_two_reads_of_one_iterator_in_one_run_are_two_elements(check):
    def build():
        iterator = tf.data.make_one_shot_iterator(Dataset.range(10))
        first = iterator.get_next()
        with tf.control_dependencies([first]):
            second = iterator.get_next()
        tf.stack([first, second], name="both")

    check(build, [("both:0", {}), ("both:0", {})])


def test_an_iterator_of_a_structure_takes_one_dataset_after_another(check):
    def build():
        iterator = tf.data.Iterator.from_structure(tf.int64, [])
        for name, dataset in (("first", Dataset.range(2)), ("second", Dataset.range(5, 9).shuffle(9, seed=3))):
            iterator.make_initializer(dataset, name=name)
        iterator.get_next()

    check(build, [NEXT, ("first", {}), NEXT, ("second", {}), NEXT, NEXT, ("first", {}), NEXT, NEXT, NEXT])


def test_the_end_is_an_optional_without_a_value(check):
    def build():
        optional = tf.data.experimental.get_next_as_optional(tf.data.make_one_shot_iterator(Dataset.range(1)))
        tf.identity(optional.has_value(), name="has")
        value = tf.cond(optional.has_value(), lambda: optional.get_value() + 5, lambda: np.int64(-1))
        tf.identity(value, name="value")

    check(build, [(["has:0", "value:0"], {})] * 3)


def test_training_goes_from_batch_to_batch():
    def build():
        x, y = one_shot(Dataset.from_tensor_slices(([[1.0], [2.0], [3.0]], [1.0, 3.0, 5.0])).repeat().batch(2))
        w = tf.Variable([[0.5]], name="w", use_resource=False)
        loss = tf.reduce_mean(tf.square(tf.matmul(x, w)[:, 0] - y), name="loss")
        tf.train.GradientDescentOptimizer(0.125).minimize(loss, name="train")

    check_session(build, [("w/Assign", {})] + [(["train", "loss:0"], {})] * 4)


# TensorFlow 2 takes elements ahead of time, at once; the next two hold for 1.15, where nothing is made before it is asked for.


def of_state():
    scale = tf.Variable(np.int64(10), name="scale", use_resource=True)
    scale.assign(np.int64(100), name="change")
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [7]), -1)
    tf.tables_initializer(name="fill")
    names = Dataset.from_tensor_slices(["a", "b", "a", "a"])
    initializable(names.map(lambda name: (table.lookup(name), tf.strings.length(name) + tf.cast(scale, tf.int32))))


@pytest.fixture
def session_of_state():
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(meta_graph_of(of_state))
        yield session


BOTH = ["IteratorGetNext:0", "IteratorGetNext:1"]


def test_functions_see_variables_and_tables_as_they_are_when_an_element_is_made(session_of_state):
    run = session_of_state.run
    for operation in ("MakeIterator", "fill", "scale/Assign"):
        run(operation)
    assert run(BOTH) == [7, 11]
    assert run(BOTH) == [-1, 11]
    run("change")
    assert run(BOTH) == [7, 101]


def test_a_function_of_a_table_that_is_not_filled_yet_fails_and_the_iterator_goes_on(session_of_state):
    run = session_of_state.run
    run(["MakeIterator", "scale/Assign"])
    with pytest.raises(mg.errors.FailedPreconditionError, match="Table not initialized"):
        run(BOTH)
    run("fill")
    assert [run(BOTH) for _ in range(3)] == [[-1, 11], [7, 11], [7, 11]]


def test_an_iterator_may_be_fed_instead_of_read(check):
    def build():
        tf.identity(one_shot(Dataset.range(2)) * 2, name="double")

    feeds = {"IteratorGetNext:0": np.int64(21)}
    check(build, [("double:0", feeds), ("double:0", {}), ("double:0", feeds), ("double:0", {}), ("double:0", {})])


def feedable():
    handle = tf.placeholder(tf.string, [], name="handle")
    for i in range(2):
        iterator = tf.data.make_one_shot_iterator(Dataset.range(i * 10, i * 10 + 3))
        tf.identity(iterator.string_handle(), name=f"handle{i}")
    later = tf.data.make_initializable_iterator(Dataset.range(5))
    tf.identity(later.string_handle(), name="handle2")
    tf.data.Iterator.from_string_handle(handle, tf.int64, []).get_next()
    tf.data.Iterator.from_string_handle(handle, tf.float32, []).get_next()


def test_a_string_handle_chooses_among_iterators():
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(meta_graph_of(feedable))
        handles = [session.run(f"handle{i}:0") for i in range(3)]
        assert all(type(handle) is bytes for handle in handles)
        given = [session.run("IteratorGetNext:0", {"handle:0": handles[i]}) for i in (0, 1, 1, 0)]
        assert given == [0, 10, 11, 1]
        with pytest.raises(mg.errors.FailedPreconditionError, match="the iterator has not been initialized"):
            session.run("IteratorGetNext:0", {"handle:0": handles[2]})
        with pytest.raises(mg.errors.InvalidArgumentError, match="Data type mismatch at component 0"):
            session.run("IteratorGetNext_1:0", {"handle:0": handles[0]})
        with pytest.raises(mg.errors.InvalidArgumentError, match="Could not parse string_handle"):
            session.run("IteratorGetNext:0", {"handle:0": b"nothing"})


def test_sessions_do_not_share_iterators():
    with mg.Graph().as_default():
        mg.train.import_meta_graph(meta_graph_of(lambda: one_shot(Dataset.range(3))))
        with mg.Session() as first, mg.Session() as second:
            values = [session.run("IteratorGetNext:0") for session in (first, first, second)]
    assert values == [0, 1, 0]


def test_states_made_apart_have_iterators_of_their_own():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(lambda: one_shot(Dataset.range(3))))
    first, value = fn(fn.empty_state(), {}, "IteratorGetNext:0")
    _, other = fn(fn.empty_state(), {}, "IteratorGetNext:0")
    _, following = fn(first, {}, "IteratorGetNext:0")
    assert [int(value), int(other), int(following)] == [0, 0, 1]


def test_jit_refuses_an_iterator_by_name_and_says_what_to_feed():
    def build():
        tf.multiply(one_shot(Dataset.range(3)), tf.placeholder_with_default(np.int64(2), [], name="by"), name="product")

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    state = fn.empty_state()
    assert int(jax.jit(fn.bind(["IteratorGetNext:0"], "product:0"))(state, 4)[1]) == 8
    for step, values in ((fn.bind([], "product:0"), ()), (fn.bind(["by:0"], "product:0"), (3,))):
        with pytest.raises(UnsupportedError, match=r"IteratorGetNext 'IteratorGetNext'.*feed 'IteratorGetNext:0'"):
            jax.jit(step)(state, *values)


def test_files_are_opened_only_where_the_user_allows_it(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("a\nb\n")
    meta_graph = meta_graph_of(lambda: one_shot(tf.data.TextLineDataset(str(path))))
    fn, _ = mgjax.import_meta_graph(meta_graph)
    with pytest.raises(PermissionDeniedError, match=r"lines\.txt"):
        fn(fn.empty_state(), {}, "IteratorGetNext:0")
    fn, _ = mgjax.import_meta_graph(meta_graph, allow_files=[path])
    assert fn(fn.empty_state(), {}, "IteratorGetNext:0")[1].item() == b"a"


def test_random_ops_without_a_seed_draw_anew_in_each_pipeline():
    def build():
        initializable(Dataset.range(3).map(lambda x: tf.random.uniform([4])))

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    state, drawn = fn.empty_state(), []
    for _ in range(2):
        state, _ = fn(state, {}, fn.operations["MakeIterator"])
        for _ in range(2):
            state, values = fn(state, {}, "IteratorGetNext:0")
            drawn.append(tuple(np.asarray(values)))
    assert len(set(drawn)) == 4


def test_a_function_of_elements_of_many_shapes_is_not_compiled_for_each():
    def build():
        lengths = Dataset.range(200)
        one_shot(lengths.map(lambda n: tf.reduce_sum(tf.cast(tf.range(n), tf.float32) * 2)).batch(200))

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    _, sums = fn(fn.empty_state(), {}, "IteratorGetNext:0")
    np.testing.assert_array_equal(sums, [n * (n - 1) for n in range(200)])


def test_ragged_tensors_go_through_pipelines(check):
    def build():
        rows = tf.ragged.constant([[[1, 2], []], [], [[3], [4, 5, 6], [7]]], ragged_rank=2)
        batches = Dataset.from_tensor_slices(rows).map(lambda row: row * 2).batch(2)
        element = tf.data.make_one_shot_iterator(batches).get_next()
        for i, part in enumerate(tf.nest.flatten(element, expand_composites=True)):
            tf.identity(part, name=f"part{i}")

    fetches = [f"part{i}:0" for i in range(3)]
    check(build, [(fetches, {})] * 3)


def dealt_out():
    dataset = Dataset.range(7).map(lambda x: tf.debugging.check_numerics(12 / (x - 3), "of zero"))._variant_tensor
    shape = {"output_types": [tf.float64], "output_shapes": [[]]}
    iterator = tf.raw_ops.MultiDeviceIterator(devices=["/cpu:0"] * 2, shared_name="", container="", **shape)
    start = tf.raw_ops.MultiDeviceIteratorInit(dataset=dataset, multi_device_iterator=iterator, max_buffer_size=4)
    tf.identity(start, name="begin")
    number = tf.placeholder(tf.int64, [], name="number")
    for shard in range(2):
        tf.raw_ops.MultiDeviceIteratorGetNextFromShard(
            multi_device_iterator=iterator, shard_num=shard, incarnation_id=number, name=f"shard{shard}", **shape
        )


def test_elements_are_dealt_out_to_devices_in_turn():
    # TensorFlow ends the process where a reader comes before the iterator is initialized, or after its end.
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(meta_graph_of(dealt_out))

        def take(shard, number):
            try:
                return float(session.run(f"shard{shard}:0", {"number:0": number}))
            except mg.errors.OpError as error:
                return type(error).__name__

        assert take(0, 1) == "FailedPreconditionError"
        assert session.run("begin:0") == 1
        assert [take(shard, 1) for shard in (0, 0, 1, 0)] == [-4.0, -12.0, -6.0, 12.0]
        assert [take(shard, 1) for shard in (1, 1, 0, 0, 1)] == [
            "InvalidArgumentError", 6.0, 4.0, "OutOfRangeError", "OutOfRangeError",
        ]  # fmt: skip
        assert session.run("begin:0") == 2
        assert [take(0, 1), take(1, 2)] == ["InvalidArgumentError", -6.0]


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "rows.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (i INTEGER, x REAL, s TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(1, 2.5, "a"), (300, None, None), (None, -1.0, "é")])
        connection.commit()
    return path


def rows_of(path, query):
    types = (tf.uint8, tf.float64, tf.string)
    components = tf.data.experimental.SqlDataset("sqlite", str(path), query, types).batch(1)
    for i, part in enumerate(tf.data.make_one_shot_iterator(components).get_next()):
        tf.identity(part, name=f"part{i}")


def test_rows_come_out_of_a_database(check, database):
    fetches = ([f"part{i}:0" for i in range(3)], {})
    check(lambda: rows_of(database, "SELECT i, x, s FROM t"), [fetches] * 4, allow_files=[database])


@pytest.mark.parametrize("query", ["ATTACH 'other.sqlite' AS o", "DELETE FROM t", "SELECT load_extension('x'), 1, 2"])
def test_a_query_reads_the_rows_of_its_file_and_does_nothing_else(database, query):
    fn, _ = mgjax.import_meta_graph(meta_graph_of(lambda: rows_of(database, query)), allow_files=[database])
    with pytest.raises(InvalidArgumentError, match="not authorized"):
        fn(fn.empty_state(), {}, "part0:0")


def squares_of(n):
    return Dataset.range(n).map(lambda i: i * n)


OF_TENSORFLOW_2 = {
    "parallel": lambda: Dataset.range(5).map(lambda x: x + 1, num_parallel_calls=2).batch(2, num_parallel_calls=2),
    "interleaved": lambda: Dataset.range(4).interleave(squares_of, cycle_length=2, num_parallel_calls=2),
    "interleaved at random": lambda: Dataset.range(4).apply(tf.data.experimental.parallel_interleave(squares_of, 2)),
    "rebatched": lambda: Dataset.range(7).batch(4).rebatch([3, 1]),
    "counted": lambda: Dataset.range(4).filter(lambda x: x > 0).apply(tf.data.experimental.assert_cardinality(4)),
    "chosen": lambda: Dataset.choose_from_datasets([Dataset.range(5), squares_of(3)], Dataset.range(2).repeat(4)),
    "sampled": lambda: Dataset.sample_from_datasets(
        [Dataset.range(4), squares_of(9)], seed=2, stop_on_empty_dataset=True
    ),
    "optional": lambda: (
        Dataset.range(3)
        .map(lambda x: tf.experimental.Optional.from_value(x * 2))
        .map(lambda optional: optional.get_value())
    ),
    "sparse": lambda: (
        Dataset.from_tensor_slices(tf.SparseTensor([[0, 0], [1, 2]], [1, 2], [2, 3])).batch(2).map(tf.sparse.to_dense)
    ),
    "shuffled": lambda: Dataset.range(6).shuffle(4, seed=3).repeat(2),
    "random": lambda: Dataset.random(seed=3).take(3).repeat(2),
}


@pytest.mark.parametrize("name", OF_TENSORFLOW_2)
def test_pipelines_as_tensorflow_2_writes_them(name):
    check_runs(lambda: initializable(OF_TENSORFLOW_2[name]()), [INIT] + [NEXT] * 9)


def test_elements_are_written_to_a_file_that_reads_back(tmp_path):
    path = tmp_path / "written.tfrecord"

    def build():
        elements = Dataset.from_tensor_slices([b"a", b"", b"\0" * 300])
        writer = tf.raw_ops.DatasetToTFRecord(
            input_dataset=elements._variant_tensor, filename=str(path), compression_type="GZIP"
        )
        tf.group(writer, name="write")

    meta_graph = meta_graph_of(build)
    fn, _ = mgjax.import_meta_graph(meta_graph)
    with pytest.raises(PermissionDeniedError):
        fn(fn.empty_state(), {}, fn.operations["write"])
    fn, _ = mgjax.import_meta_graph(meta_graph, allow_writing=[tmp_path])
    fn(fn.empty_state(), {}, fn.operations["write"])
    with tf.Graph().as_default(), tf.Session() as session:
        element = one_shot(tf.data.TFRecordDataset(str(path), "GZIP"))
        assert [session.run(element) for _ in range(3)] == [b"a", b"", b"\0" * 300]


def test_caches_and_generators_of_seeds_may_have_handles():
    # TensorFlow itself gives them up between two ops of a graph; what they hold is that of datasets without handles.
    def build():
        numbers = {"output_types": [tf.int64], "output_shapes": [[]]}
        cache, _ = tf.raw_ops.AnonymousMemoryCache()
        generator, _ = tf.raw_ops.AnonymousRandomSeedGenerator(seed=3, seed2=8)
        shuffled = tf.raw_ops.ShuffleDatasetV2(
            input_dataset=Dataset.range(6)._variant_tensor, buffer_size=6, seed_generator=generator, **numbers
        )
        cached = tf.raw_ops.CacheDatasetV2(input_dataset=shuffled, filename="", cache=cache, **numbers)
        iterator, _ = tf.raw_ops.AnonymousIteratorV2(**numbers)
        repeated = tf.raw_ops.RepeatDataset(input_dataset=cached, count=2, **numbers)
        with tf.control_dependencies([tf.raw_ops.MakeIterator(dataset=repeated, iterator=iterator)]):
            element = tf.raw_ops.IteratorGetNext(iterator=iterator, **numbers)[0]
            elements = [tf.identity(element, name="first")]
            for _ in range(11):
                with tf.control_dependencies([elements[-1]]):
                    elements.append(tf.raw_ops.IteratorGetNext(iterator=iterator, **numbers)[0])
        tf.stack(elements, name="elements")

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    elements = fn(fn.empty_state(), {}, "elements:0")[1].tolist()
    assert sorted(elements[:6]) == list(range(6))
    assert elements[:6] == elements[6:] != list(range(6))


def test_a_cycle_of_any_length_costs_what_its_elements_cost():
    def build():
        initializable(Dataset.range(4).interleave(Dataset.range, cycle_length=2**60, block_length=1))

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    state, _ = fn(fn.empty_state(), {}, fn.operations["MakeIterator"])
    assert [int(fn(state, {}, "IteratorGetNext:0")[1]) for _ in range(6)] == [0, 0, 0, 1, 1, 2]
