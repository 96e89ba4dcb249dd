"""What draws on the host follows the state's seed as device ops do: queues, datasets and their functions, crops, samplers."""

import numpy as np
import pytest

import mgjax
import mgjax.compat.v1 as mg
from tests.live import meta_graph_of, session_of, tf

raw = tf.raw_ops
Dataset = tf.data.Dataset
COUNT = 24


def shuffling_queue(**seeds):
    """Makes a shuffling queue of numbers; names what fills it and what takes all of them out again."""
    handle = raw.RandomShuffleQueueV2(component_types=[tf.int64], shapes=[[]], name="queue", **seeds)
    raw.QueueEnqueueManyV2(handle=handle, components=[tf.range(COUNT, dtype=tf.int64)], name="fill")
    raw.QueueDequeueManyV2(handle=handle, n=COUNT, component_types=[tf.int64], name="drawn")


def iterated(make):
    """Names what initializes an iterator, and its first batch."""

    def build():
        iterator = tf.data.make_initializable_iterator(make().batch(COUNT))
        tf.group(iterator.initializer, name="fill")
        tf.identity(iterator.get_next(), name="drawn")

    return build


def one_shot(make):
    return lambda: tf.identity(tf.data.make_one_shot_iterator(make().batch(COUNT)).get_next(), name="drawn")


def of_op(op, **inputs):
    """A dataset of `op` over a range, with the two zeros that stand for no seed."""

    def make():
        zero = tf.constant(0, tf.int64)
        types = {"output_types": [tf.int64], "output_shapes": [[]]}
        given = {} if op == "RandomDataset" else {"input_dataset": Dataset.range(1000)._variant_tensor}
        variant = getattr(raw, op)(**given, **inputs, seed=zero, seed2=zero, **types)
        return tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.int64)).take(COUNT)

    return make


def number(x):
    return tf.random.uniform([], maxval=10**9, dtype=tf.int32)


def shuffled(count):
    return Dataset.range(count).shuffle(count)


def crop():
    boxes = tf.constant([[[0.1, 0.1, 0.9, 0.9]]])
    size = tf.constant([4000, 3000, 3])
    drawn = raw.SampleDistortedBoundingBoxV2(image_size=size, bounding_boxes=boxes, min_object_covered=0.1)
    tf.identity(drawn[2], name="drawn")


def sampler(op):
    classes = np.array([[1]])
    numbers = {"num_true": 1, "num_sampled": 8, "unique": True, "range_max": 10**4}
    return lambda: tf.identity(getattr(raw, op)(true_classes=classes, **numbers)[0], name="drawn")


def fractional_pool():
    value = tf.reshape(tf.range(4096.0), [1, 64, 64, 1])
    pooled = raw.FractionalMaxPool(value=value, pooling_ratio=[1.0, 1.4, 1.4, 1.0], pseudo_random=True)
    tf.identity(pooled[0], name="drawn")


def glimpse():
    arguments = {"input": tf.reshape(tf.range(9.0), [1, 3, 3, 1]), "size": [4, 4], "offsets": [[0.0, 0.0]]}
    tf.identity(raw.ExtractGlimpse(**arguments), name="drawn")


BUFFER = {"buffer_size": np.int64(50)}
BUILDS = {
    "queue": shuffling_queue,
    "shuffle": iterated(lambda: shuffled(COUNT)),
    "ShuffleDataset": iterated(of_op("ShuffleDataset", **BUFFER)),
    "ShuffleAndRepeatDataset": iterated(of_op("ShuffleAndRepeatDataset", count=np.int64(2), **BUFFER)),
    "RandomDataset": iterated(of_op("RandomDataset")),
    "SamplingDataset": iterated(of_op("SamplingDataset", rate=np.float32(0.2))),
    "map": iterated(lambda: Dataset.range(4).map(number)),
    "filter": iterated(lambda: Dataset.range(999).filter(lambda x: number(x) < 10**8).take(COUNT)),
    "flat_map": iterated(lambda: Dataset.range(2).flat_map(lambda x: shuffled(9))),
    "one shot, shuffle": one_shot(lambda: shuffled(COUNT)),
    "one shot, map": one_shot(lambda: Dataset.range(4).map(number)),
    "reduce": lambda: Dataset.range(4).reduce(np.int32(0), lambda state, x: state ^ number(x)),
    "crop": crop,
    "sampler": sampler("LogUniformCandidateSampler"),
    "learning sampler": sampler("LearnedUnigramCandidateSampler"),
    "FractionalMaxPool": fractional_pool,
    "glimpse": glimpse,
}


def imported(build):
    return mgjax.import_meta_graph(meta_graph_of(build))[0]


def draw(fn, state, times=1):
    """The state after it, and what was drawn, each time after filling and initializing anew."""
    found = []
    for _ in range(times):
        if "fill" in fn.operations:
            state, _ = fn(state, {}, fn.operations["fill"])
        state, values = fn(state, {}, "drawn:0" if "drawn" in fn.operations else "ReduceDataset:0")
        found.append(np.asarray(values).tolist())
    return state, found


@pytest.mark.parametrize("name", BUILDS)
def test_without_seeds_of_their_own_they_follow_that_of_the_state(name):
    fn = imported(BUILDS[name])
    _, drawn = draw(fn, fn.empty_state(seed=1), 1 if "one shot" in name else 2)
    _, again = draw(fn, fn.empty_state(seed=1), len(drawn))
    _, other = draw(fn, fn.empty_state(seed=2))
    assert drawn == again
    assert drawn[0] != other[0]
    # What is filled or initialized once more, or drawn once more, is drawn anew.
    assert len(drawn) == 1 or drawn[0] != drawn[1]


@pytest.mark.parametrize("name", ["queue", "ShuffleDataset", "map", "one shot, map", "crop"])
def test_a_seed_that_nobody_gave_is_told_and_repeats_the_run(name):
    fn = imported(BUILDS[name])
    state, drawn = draw(fn, fn.empty_state())
    assert draw(fn, fn.empty_state(seed=state.seed))[1] == drawn
    assert draw(fn, fn.empty_state())[1] != drawn


def test_a_queue_has_the_order_of_tensorflows_for_the_seeds_in_its_row():
    fn = imported(shuffling_queue)
    assert fn.random_operations == ("queue",)
    start = fn.empty_state(seed=3)
    key_low, key_high, *zeros, low, high = start.generators[0].tolist()
    assert zeros == [0, 0]
    _, drawn = draw(fn, start)
    seeds = (np.array([key_low, key_high, low, high], np.uint32).view(np.int64)).tolist()
    with tf.Graph().as_default(), session_of() as session:
        shuffling_queue(seed=seeds[0], seed2=seeds[1])
        session.run("fill")
        assert drawn == [session.run("drawn:0").tolist()]


def test_nodes_draw_apart():
    def build():
        for i in range(2):
            with tf.name_scope(f"at{i}"):
                shuffling_queue()

    fn = imported(build)
    state = fn.empty_state(seed=1)
    state, _ = fn(state, {}, [fn.operations["at0/fill"], fn.operations["at1/fill"]])
    _, (first, second) = fn(state, {}, ["at0/drawn:0", "at1/drawn:0"])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(COUNT))
    assert first.tolist() != second.tolist()


def with_variable(build):
    def whole():
        tf.get_variable("v", initializer=np.float32(1))
        build()

    return whole


@pytest.mark.parametrize("name", ["queue", "ShuffleDataset", "map", "crop"])
def test_counters_beside_a_checkpoint_go_on_where_they_stood(tmp_path, name):
    """A queue is empty after a restore, as in TensorFlow, and an iterator not initialized; what is drawn next is drawn anew."""
    fn, saver = mgjax.import_meta_graph(meta_graph_of(with_variable(BUILDS[name])))
    state, (first,) = draw(fn, fn.init(seed=1))
    saver.save(state, tmp_path / "m", generators=True)
    _, (second,) = draw(fn, state)
    _, (resumed,) = draw(fn, saver.restore(tmp_path / "m", generators=True))
    _, (afresh,) = draw(fn, saver.restore(tmp_path / "m", seed=1))
    assert (resumed, afresh) == (second, first)


def test_a_queues_counter_advances_by_a_block_for_four_elements():
    fn = imported(shuffling_queue)
    before = fn.empty_state(seed=1)
    filled, _ = fn(before, {}, fn.operations["fill"])
    after, _ = fn(filled, {}, "drawn:0")
    np.testing.assert_array_equal(filled.generators, before.generators)
    np.testing.assert_array_equal(after.generators - before.generators, [[0, 0, COUNT // 4, 0, 0, 0]])


def test_a_graph_whose_functions_draw_nothing_has_no_counters():
    fn = imported(iterated(lambda: Dataset.range(3).map(lambda x: x + 1)))
    state, drawn = draw(fn, fn.empty_state())
    assert fn.random_operations == () and state.generators is None and state.seed is None
    assert drawn == [[1, 2, 3]]


@pytest.mark.parametrize("name", ["queue", "ShuffleDataset", "map"])
def test_sessions_do_not_share_counters(name):
    with mg.Graph().as_default() as graph:
        mg.train.import_meta_graph(meta_graph_of(BUILDS[name]))

        def draws(session):
            session.run(graph.get_operation_by_name("fill"))
            return session.run("drawn:0").tolist()

        with mg.Session(seed=1) as alone:
            expected = [draws(alone) for _ in range(2)]
        one, two, other = mg.Session(seed=1), mg.Session(seed=1), mg.Session()
        found = [[draws(session) for session in (one, other, two)] for _ in range(2)]
        assert [row[0] for row in found] == [row[2] for row in found] == expected
        with mg.Session(seed=other.seed) as again:
            assert [draws(again) for _ in range(2)] == [row[1] for row in found]
