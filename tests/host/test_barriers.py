"""Barriers beside a live TensorFlow, run after run."""

from tests.host.live_state import check_runs, check_session
from tests.live import tf

raw = tf.raw_ops
TYPES = [tf.float32, tf.string]


def build():
    handle = raw.Barrier(component_types=TYPES, shapes=[[2], []])
    keys, rows = tf.placeholder(tf.string, name="k"), tf.placeholder(tf.float32, name="r")
    words = tf.placeholder(tf.string, name="w")
    raw.BarrierInsertMany(handle=handle, keys=keys, values=rows, component_index=0, name="first")
    raw.BarrierInsertMany(handle=handle, keys=keys, values=words, component_index=1, name="second")
    for count in (0, 1, 2):
        for small in (False, True):
            raw.BarrierTakeMany(
                handle=handle, num_elements=count, component_types=TYPES, allow_small_batch=small,
                name=f"{'some' if small else 'take'}{count}",
            )  # fmt: skip
    raw.BarrierReadySize(handle=handle, name="ready")
    raw.BarrierIncompleteSize(handle=handle, name="incomplete")
    raw.BarrierClose(handle=handle, name="close")
    raw.BarrierClose(handle=handle, cancel_pending_enqueues=True, name="cancel")


def first(keys):
    return "first", {"k:0": [key.encode() for key in keys], "r:0": [[ord(key), 1.0] for key in keys]}


def second(keys):
    return "second", {"k:0": [key.encode() for key in keys], "w:0": [key.upper().encode() for key in keys]}


def taken(name):
    return [f"{name}:{i}" for i in range(4)], {}


SIZES = (["ready:0", "incomplete:0"], {})


def test_elements_are_taken_when_they_are_complete():
    runs = [
        first("abc"), SIZES, second("cxb"), SIZES, taken("take1"), taken("take0"), second("x"), first("xc"), SIZES,
        taken("take2"), second("a"), taken("take1"),
    ]  # fmt: skip
    check_runs(build, runs)
    check_session(build, runs)


def test_a_closed_barrier_completes_what_it_has():
    runs = [
        first("abc"), second("a"), ("close", {}), ("close", {}), first("n"), second("b"), SIZES, taken("take2"),
        taken("some2"), second("c"), taken("some2"), taken("some2"), taken("take1"), ("cancel", {}), second("z"),
    ]  # fmt: skip
    check_runs(build, runs)


def test_cancelling_drops_what_is_incomplete():
    runs = [
        first("abc"),
        second("a"),
        ("cancel", {}),
        SIZES,
        second("b"),
        taken("some2"),
        taken("some2"),
        ("cancel", {}),
    ]
    check_runs(build, runs)


def test_a_queue_of_the_newer_kind_has_a_handle_of_the_older():
    def graph():
        queue = raw.FIFOQueueV2(component_types=[tf.int32], shapes=[[]])
        raw.QueueEnqueueV2(handle=queue, components=[tf.constant(7)], name="put")
        raw.QueueSize(handle=raw.FakeQueue(resource=queue), name="size")
        raw.QueueDequeue(handle=raw.FakeQueue(resource=queue), component_types=[tf.int32], name="take")

    check_runs(graph, [("put", {}), ("size:0", {}), ("take:0", {}), ("size:0", {})])
