"""Writes datasets.json: input pipelines, and what TensorFlow 1.15 (Python 3.7) gives of them, element by element.

Run as `python make_datasets.py` in this folder. Each pipeline is a graph with an initializable iterator, which is initialized and
gone through twice, with the same result. An element is a list of components, an error its class's name.
"""

import base64
import gzip
import json
import os
import tempfile
import zlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.python.data.experimental.ops import distribute
from tensorflow.python.data.ops import dataset_ops
from tensorflow.python.framework import sparse_tensor

v1 = tf.compat.v1
Dataset = tf.data.Dataset
experimental = tf.data.experimental
MOST = 24
PLACE = "FOLDER"
CASES = {}


def case(build):
    """A pipeline as TensorFlow builds it by default, with the rewrites of its optimizer."""
    CASES[build.__name__] = (build, True)
    return build


def plain(build):
    """A pipeline that TensorFlow leaves as it is."""
    CASES[build.__name__] = (build, False)
    return build


def both(build):
    CASES[build.__name__] = (build, True)
    CASES[build.__name__ + "_plain"] = (build, False)
    return build


def draw(*_):
    return tf.random.uniform([], maxval=1000, dtype=tf.int64, seed=4)


def reciprocal(i):
    return tf.debugging.check_numerics(1.0 / tf.cast(i - 2, tf.float32), "of zero")


def up_to(i):
    return tf.range(i)


# Order and chance.


@both
def shuffle_repeat():
    return Dataset.range(5).shuffle(5, seed=7).repeat(3)


@both
def shuffle_in_a_small_buffer_for_ever():
    return Dataset.range(9).shuffle(3, seed=11).repeat()


@plain
def shuffle_larger_than_a_block_of_words():
    return Dataset.range(5000).shuffle(1300, seed=-3).skip(4980)


@both
def shuffle_once():
    return Dataset.range(5).shuffle(5, seed=7, reshuffle_each_iteration=False).repeat(3)


@case
def shuffle_and_repeat():
    return Dataset.range(5).apply(experimental.shuffle_and_repeat(7, 3, seed=7))


@case
def shuffle_and_repeat_for_ever():
    return Dataset.range(4).apply(experimental.shuffle_and_repeat(3, seed=7))


@case
def shuffled_twice():
    shuffled = Dataset.range(5).shuffle(5, seed=3)
    return Dataset.zip((shuffled, shuffled))


@both
def shuffles_in_flat_map():
    return Dataset.range(3).flat_map(lambda i: Dataset.range(5).shuffle(5, seed=3).repeat(2))


@both
def shuffles_in_interleave():
    return Dataset.range(3).interleave(lambda i: Dataset.range(5).shuffle(5, seed=3), cycle_length=2)


@case
def shuffle_before_batch_and_repeat():
    return Dataset.range(5).shuffle(5, seed=7).batch(4).repeat(3)


@case
def shuffle_of_nothing_for_ever():
    return Dataset.range(0).shuffle(5, seed=7).repeat()


@case
def draws_go_on_from_epoch_to_epoch():
    return Dataset.range(3).map(draw).repeat(3)


@case
def draws_of_two_iterators_are_of_one_stream():
    drawn = Dataset.range(3).map(draw)
    return Dataset.zip((drawn, drawn))


@case
def map_in_parallel():
    return Dataset.range(4).map(lambda i: (i, i * i), num_parallel_calls=2)


@case
def draws_cached():
    return Dataset.range(3).map(draw).cache().repeat(3)


@case
def draws_cached_and_cut_off():
    return Dataset.range(4).map(draw).cache().take(2).repeat(2)


@case
def caches_of_two_iterators():
    drawn = Dataset.range(3).map(draw).cache()
    return Dataset.zip((drawn, drawn))


@case
def caches_in_flat_map():
    return Dataset.range(3).flat_map(lambda i: Dataset.range(2).map(draw).cache())


@case
def caches_in_interleave():
    return Dataset.range(3).interleave(
        lambda i: Dataset.range(2).map(lambda j: draw() + i * 1000).cache(), cycle_length=2
    )


@case
def random_numbers():
    return experimental.RandomDataset(seed=3).take(3).repeat(2)


@case
def sampled_datasets():
    return experimental.sample_from_datasets([Dataset.range(5), Dataset.range(10, 15)], weights=[0.3, 0.7], seed=3)


@case
def sampled_datasets_of_equal_weight():
    return experimental.sample_from_datasets([Dataset.range(5), Dataset.range(10, 15)], seed=3)


@case
def rejection_resampling():
    data = Dataset.range(40).map(lambda i: (tf.cast(i % 3, tf.int32), i))
    return data.apply(experimental.rejection_resample(lambda a, b: a, [0.2, 0.2, 0.6], [0.4, 0.4, 0.2], seed=5))


@case
def sampling():
    return dataset_ops.DatasetV1Adapter(Sampling(Dataset.range(30), rate=0.4, seed=3, seed2=9))


# Choice and repetition.


@case
def choose_from_datasets():
    return experimental.choose_from_datasets([Dataset.range(5), Dataset.range(10, 13)], Dataset.range(2).repeat(6))


@case
def choose_a_dataset_that_is_not_there():
    return experimental.choose_from_datasets([Dataset.range(5), Dataset.range(10, 13)], Dataset.range(3).repeat(6))


@case
def repeat_nothing_for_ever():
    return Dataset.range(3).filter(lambda i: i > 5).repeat()


@case
def repeat_no_times():
    return Dataset.range(3).repeat(0).concatenate(Dataset.range(2))


@case
def take_and_skip():
    data = Dataset.range(10)
    return data.take(-1).skip(7).concatenate(data.take(2)).concatenate(data.skip(-1)).concatenate(data.take(20).skip(9))


@case
def shard():
    return Dataset.range(10).shard(3, 1)


@case
def zip_of_unequal_lengths():
    return Dataset.zip((Dataset.range(3), (Dataset.range(5), Dataset.from_tensors([1.5, 2.5]).repeat())))


@case
def zip_goes_on_after_an_error():
    return Dataset.zip((Dataset.range(5), Dataset.range(5).map(reciprocal)))


@case
def enumerate_elements():
    return Dataset.from_tensor_slices([b"a", b"", b"c\0"]).apply(experimental.enumerate_dataset(5))


@case
def unique():
    return Dataset.from_tensor_slices([3, 1, 3, 2, 1, 7]).apply(experimental.unique())


@case
def unique_strings():
    return Dataset.from_tensor_slices(["b", "a", "b"]).apply(experimental.unique())


@case
def ignore_errors():
    return Dataset.range(6).map(reciprocal).apply(experimental.ignore_errors())


@case
def take_while():
    return Dataset.range(9).apply(experimental.take_while(lambda i: i % 4 < 3))


@case
def prefetched_and_hinted():
    options = tf.data.Options()
    options.experimental_threading.private_threadpool_size = 2
    options.experimental_threading.max_intra_op_parallelism = 1
    return Dataset.range(4).prefetch(2).with_options(options)


# Batches and windows.


@case
def batch():
    return Dataset.from_tensor_slices((np.arange(10.0).reshape(5, 2), ["a", "b", "c", "d", "e"])).batch(2)


@case
def batch_drop_remainder():
    return Dataset.range(5).batch(2, drop_remainder=True)


@case
def batch_of_unequal_shapes():
    return Dataset.range(6).map(lambda i: tf.range(tf.maximum(i, 2))).batch(2)


@both
def batch_of_failures():
    return Dataset.range(7).map(reciprocal).batch(2)


@case
def batch_of_failures_after_others():
    return Dataset.range(7).map(reciprocal).filter(lambda x: x < 9.0).batch(3)


@case
def map_and_batch():
    return Dataset.range(7).apply(experimental.map_and_batch(lambda i: (i, i * i), 3, num_parallel_calls=2))


@case
def map_and_batch_drop_remainder():
    return Dataset.range(7).apply(experimental.map_and_batch(reciprocal, 3, drop_remainder=True))


@case
def padded_batch():
    return Dataset.range(7).map(lambda i: (tf.range(i), tf.fill([i, 2], i), i)).padded_batch(3, ([None], [8, None], []))


@case
def padded_batch_with_values():
    data = Dataset.range(5).map(lambda i: (tf.range(i), tf.fill([i], tf.strings.as_string(i))))
    return data.padded_batch(2, ([4], [None]), (np.int64(-1), "none"), drop_remainder=True)


@case
def padded_batch_too_small():
    return Dataset.range(7).map(up_to).padded_batch(2, [3])


@case
def dense_to_sparse_batch():
    data = Dataset.range(5).map(lambda i: tf.fill([i, 2], i)).apply(experimental.dense_to_sparse_batch(2, [None, 3]))
    return data.map(lambda x: (x.indices, x.values, x.dense_shape))


@case
def dense_to_sparse_batch_too_small():
    data = Dataset.range(5).map(up_to).apply(experimental.dense_to_sparse_batch(2, [2]))
    return data.map(lambda x: (x.indices, x.values, x.dense_shape))


@case
def unbatch():
    return Dataset.range(7).map(lambda i: (tf.range(i), tf.fill([i, 2], i))).apply(experimental.unbatch())


@case
def unbatch_of_unequal_sizes():
    data = Dataset.range(4).map(lambda i: (tf.range(i), tf.range(tf.minimum(i, 1))))
    return data.apply(experimental.unbatch())


@case
def batches_in_three_parts():
    return distribute._RebatchDataset(Dataset.range(14).batch(5), 3)


@case
def windows():
    return Dataset.range(8).window(3, 2, 2).flat_map(lambda window: window.batch(3))


@case
def windows_drop_remainder():
    return Dataset.range(8).window(3, 2, 2, drop_remainder=True).flat_map(lambda window: window.batch(3))


@case
def windows_far_apart():
    data = Dataset.zip((Dataset.range(9), Dataset.range(10, 19))).window(2, shift=4)
    return data.flat_map(lambda a, b: Dataset.zip((a, b.map(lambda x: -x))))


@case
def windows_of_failures():
    return Dataset.range(6).map(reciprocal).window(2).flat_map(lambda window: window.batch(2))


@case
def windows_reduced():
    return Dataset.range(8).window(3).map(lambda window: window.reduce(np.int64(100), lambda a, b: a + b))


@case
def sliding_windows():
    return Dataset.range(8).apply(tf.contrib.data.sliding_window_batch(3, window_shift=2, window_stride=2))


# Functions.


@case
def functions_with_captures():
    scale = tf.constant([2.0, 3.0])
    name = tf.constant("n")
    data = Dataset.range(4).map(
        lambda i: (tf.cast(i, tf.float32) * scale, tf.strings.join([name, tf.strings.as_string(i)]))
    )
    return data.filter(lambda x, s: tf.reduce_sum(x) > 5.0)


@case
def function_with_a_cond_and_a_loop():
    def function(i):
        half = tf.cond(tf.equal(i % 2, 0), lambda: i // 2, lambda: -i)
        return half, tf.while_loop(
            lambda n, total: n < i, lambda n, total: (n + 1, total + n), [np.int64(0), np.int64(0)]
        )[1]

    return Dataset.range(6).map(function)


@case
def function_of_structures():
    data = Dataset.from_tensor_slices({"b": [1, 2], "a": [[1.0], [2.0]]})
    return data.map(lambda row: {"z": row["a"], "y": row["b"] + 1})


@case
def flat_map():
    return Dataset.range(5).flat_map(lambda i: Dataset.range(i).map(lambda j: i * 10 + j))


@case
def flat_map_of_failures():
    return Dataset.range(4).flat_map(lambda i: Dataset.range(4).map(lambda j: reciprocal(i + j)))


@case
def interleave():
    function = lambda i: Dataset.range(i).map(lambda j: i * 10 + j)  # noqa: E731
    return Dataset.range(7).interleave(function, cycle_length=3, block_length=2)


@case
def interleave_in_parallel():
    function = lambda i: Dataset.range(i).map(lambda j: i * 10 + j)  # noqa: E731
    return Dataset.range(7).interleave(function, cycle_length=3, block_length=2, num_parallel_calls=3)


@case
def parallel_interleave():
    function = lambda i: Dataset.range(i).map(lambda j: i * 10 + j)  # noqa: E731
    return Dataset.range(1, 7).apply(experimental.parallel_interleave(function, cycle_length=3, block_length=2))


@case
def scan():
    return Dataset.range(5).apply(experimental.scan(np.int64(1), lambda total, i: (total + i, total * i)))


@case
def group_by_reducer():
    reducer = experimental.Reducer(
        lambda key: (key, np.int64(0)), lambda s, x: (s[0], s[1] + x), lambda k, total: (k, total)
    )
    return Dataset.range(10).apply(experimental.group_by_reducer(lambda x: (x * 7) % 4, reducer))


@case
def group_by_window():
    reduce = lambda key, window: window.batch(3).map(lambda x: x * (key + 1))  # noqa: E731
    return Dataset.range(14).apply(experimental.group_by_window(lambda x: x % 3, reduce, window_size=3))


@case
def group_by_window_of_sizes():
    return Dataset.range(14).apply(
        experimental.group_by_window(
            lambda x: (x + 1) % 3, lambda key, w: w.batch(9), window_size_func=lambda key: key + 1
        )
    )


@case
def bucket_by_sequence_length():
    data = Dataset.range(1, 9).map(lambda i: tf.range((i * 5) % 7))
    return data.apply(experimental.bucket_by_sequence_length(lambda x: tf.shape(x)[0], [3, 5], [2, 2, 2]))


@case
def reduce_in_a_function():
    data = Dataset.range(4)
    return data.map(lambda i: Dataset.range(i).reduce(np.int64(10), lambda a, b: a * 2 + b))


@case
def single_elements():
    return Dataset.range(3).map(lambda i: experimental.get_single_element(Dataset.range(i, i + 2)))


@case
def cardinalities():
    data = Dataset.range(10)
    shapes = [
        data,
        data.repeat(),
        data.filter(lambda i: i > 3),
        data.batch(3),
        data.batch(3, True),
        data.shuffle(3, seed=1).repeat(2),
        data.take(3).concatenate(data),
        Dataset.zip((data, data.repeat())),
        data.skip(4).map(lambda i: i).prefetch(1),
        data.repeat().take(4),
        data.flat_map(lambda i: Dataset.range(3)),
        data.window(3),
        data.window(3, 2, drop_remainder=True),
        data.shard(3, 0),
        data.interleave(lambda i: Dataset.range(3), 2),
        data.cache(),
        data.padded_batch(4, []),
        data.apply(experimental.ignore_errors()),
        data.apply(experimental.scan(np.int64(0), lambda s, x: (s, x))),
        data.repeat(0),
        data.map(lambda i: tf.expand_dims(i, 0)).apply(experimental.unbatch()),
        data.apply(experimental.map_and_batch(lambda i: i, 4)),
    ]
    return Dataset.from_tensors(tf.stack([experimental.cardinality(each) for each in shapes]))


# Sources.


@case
def tensors_of_all_types():
    types = ["float16", "float32", "float64", "uint8", "int8", "uint16", "int16", "int32", "int64", "bool", "complex64"]
    return Dataset.from_tensor_slices(tuple(np.arange(3).astype(dtype) for dtype in types)).batch(2)


@case
def backward_range():
    return Dataset.range(10, 0, -3)


@case
def slices_of_a_sparse_tensor():
    tensor = sparse_tensor.SparseTensor([[0, 0], [2, 0], [2, 1]], [1.5, 2.5, 3.5], [4, 2])
    handle = tf.raw_ops.SparseTensorSliceDataset(
        indices=tensor.indices, values=tensor.values, dense_shape=tensor.dense_shape
    )
    return Given(handle, (tf.int64, tf.float32, tf.int64), ([None, 1], [None], [1]))


@case
def text_lines():
    paths = [write("a.txt", b"one\r\ntwo\n\nfour"), write("b.txt", b""), write("c.txt", b"\n\nlast\r\r\n")]
    return tf.data.TextLineDataset(paths)


@case
def text_lines_compressed():
    path = write("a.gz", gzip.compress(b"one\ntwo"))
    other = write("a.z", zlib.compress(b"three\nfour\n"))
    return tf.data.TextLineDataset(path, "GZIP").concatenate(tf.data.TextLineDataset(other, compression_type="ZLIB"))


@case
def records():
    return tf.data.TFRecordDataset(
        [write("a.tfrecord", records_of(b"one", b"", b"\0" * 300)), write("b.tfrecord", b"")]
    )


@case
def records_compressed():
    content = records_of(b"one", b"two")
    first = tf.data.TFRecordDataset(write("gz.tfrecord", gzip.compress(content)), "GZIP")
    return first.concatenate(tf.data.TFRecordDataset(write("z.tfrecord", zlib.compress(content)), "ZLIB"))


@case
def records_cut_off_and_damaged():
    content = records_of(b"one", b"two", b"three")
    damaged = content[:34] + b"?" + content[35:]
    paths = [
        write("cut.tfrecord", content[:-3]),
        write("bad.tfrecord", damaged),
        write("good.tfrecord", records_of(b"good")),
    ]
    return tf.data.TFRecordDataset(paths)


@case
def files_that_are_not_there():
    return tf.data.TextLineDataset([PLACE + "/nothing.txt"]).take(2)


@case
def records_of_fixed_length():
    path = write("fixed.bin", b"HH" + b"abcdefghi" + b"F")
    return tf.data.FixedLengthRecordDataset([path, path], 3, header_bytes=2, footer_bytes=1)


@case
def records_of_fixed_length_that_do_not_fit():
    return tf.data.FixedLengthRecordDataset(write("fixed.bin", b"abcdefgh"), 3)


@case
def records_of_fixed_length_compressed():
    path = write("fixed.gz", gzip.compress(b"HHabcdefF"))
    return tf.data.FixedLengthRecordDataset(path, 3, header_bytes=2, footer_bytes=1, compression_type="GZIP")


@case
def rows_of_csv():
    text = b'a,b,c\n1,2.5,"x,""y"""\n,4,z\n3,,"two\nlines"\nNA,1,\n'
    return experimental.CsvDataset(
        write("rows.csv", text), [np.int32(-1), tf.float32, tf.string], header=True, na_value="NA"
    )


@case
def columns_of_csv():
    defaults = [tf.constant([7], tf.int64), tf.constant([""])]
    return experimental.CsvDataset(
        write("columns.csv", b"1;2;3\n4;5;6\n;;\n"), defaults, field_delim=";", select_cols=[0, 2]
    )


@case
def parsed_examples():
    def example(i):
        features = {"x": tf.train.Feature(float_list=tf.train.FloatList(value=[i, 0.5]))}
        if i % 2:
            features["s"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"v"] * i))
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()

    spec = {"x": tf.io.FixedLenFeature([2], tf.float32), "s": tf.io.VarLenFeature(tf.string)}
    data = (
        Dataset.from_tensor_slices([example(i) for i in range(4)])
        .batch(3)
        .apply(experimental.parse_example_dataset(spec))
    )
    return data.map(lambda row: (row["s"].indices, row["s"].values, row["s"].dense_shape, row["x"]))


@case
def features_of_files():
    spec = {"y": tf.io.FixedLenFeature([], tf.int64), "s": tf.io.VarLenFeature(tf.string)}
    for name in ("x", "y", "z"):
        write(
            "features/%s.tfrecord" % name,  # noqa: UP031 (Python 3.7)
            records_of(
                *[
                    tf.train.Example(
                        features=tf.train.Features(
                            feature={
                                "y": tf.train.Feature(int64_list=tf.train.Int64List(value=[ord(name) * 10 + i])),
                                "s": tf.train.Feature(bytes_list=tf.train.BytesList(value=[name.encode()] * i)),
                            }
                        )
                    ).SerializeToString()
                    for i in range(4)
                ]
            ),
        )
    pattern = PLACE + "/features/*.tfrecord"
    return experimental.make_batched_features_dataset(pattern, 5, spec, num_epochs=2, shuffle_seed=3).map(
        lambda row: (row["s"].indices, row["s"].values, row["y"])
    )


@case
def augmented_images():
    def augmented(image):
        image = tf.image.random_crop(tf.image.convert_image_dtype(image, tf.float32), [4, 4, 3], seed=1)
        return tf.image.random_flip_left_right(image, seed=2)

    images = np.random.RandomState(0).randint(0, 255, (5, 6, 7, 3)).astype("uint8")
    data = Dataset.from_tensor_slices((images, np.arange(5))).shuffle(3, seed=8)
    return data.map(lambda image, i: (augmented(image), tf.one_hot(i, 3))).batch(2)


@case
def file_names():
    for name in "cab":
        write(f"matching/{name}.txt", b"")
    return Given(tf.raw_ops.MatchingFilesDataset(patterns=PLACE + "/matching/*.txt"), (tf.string,), ([],))


# Ops that TensorFlow 1.15's Python makes only in TensorFlow 2's mode, in older versions, or for measurements.

NUMBERS = {"output_types": [tf.int64], "output_shapes": [[]]}
VECTORS = {"output_types": [tf.int64], "output_shapes": [[None]]}


def numbers(variant):
    return Given(variant, (tf.int64,), ([],))


def vectors(variant):
    return Given(variant, (tf.int64,), ([None],))


def variant(dataset):
    return dataset._variant_tensor


@plain
def batches_of_the_first_version():
    return vectors(tf.raw_ops.BatchDataset(input_dataset=variant(Dataset.range(5)), batch_size=2, **VECTORS))


@plain
def padded_batches_of_the_first_version():
    return Given(
        tf.raw_ops.PaddedBatchDataset(
            input_dataset=variant(Dataset.range(5).map(up_to)),
            batch_size=2,
            padded_shapes=[np.array([-1])],
            padding_values=[np.int64(9)],
            output_shapes=[[None, None]],
        ),
        (tf.int64,),
        ([None, None],),
    )


@plain
def records_of_fixed_length_of_the_first_version():
    path = write("fixed.bin", b"HHabcdefF")
    made = tf.raw_ops.FixedLengthRecordDataset(
        filenames=[path], header_bytes=2, record_bytes=3, footer_bytes=1, buffer_size=0
    )
    return Given(made, (tf.string,), ([],))


@plain
def one_worker_of_one():
    return numbers(
        tf.raw_ops.AutoShardDataset(input_dataset=variant(Dataset.range(4)), num_workers=1, index=0, **NUMBERS)
    )


@plain
def the_fastest_of_equal_datasets():
    inputs = [variant(Dataset.range(4)), variant(Dataset.range(4))]
    return numbers(tf.raw_ops.ChooseFastestDataset(input_datasets=inputs, num_experiments=2, **NUMBERS))


@plain
def threads_pauses_and_statistics():
    data = variant(Dataset.range(4))
    pool = tf.raw_ops.ThreadPoolHandle(num_threads=2, display_name="pool")
    data = tf.raw_ops.ThreadPoolDataset(input_dataset=data, thread_pool=pool, **NUMBERS)
    data = tf.raw_ops.SleepDataset(input_dataset=data, sleep_microseconds=10, **NUMBERS)
    data = tf.raw_ops.LatencyStatsDataset(input_dataset=data, tag="t", **NUMBERS)
    data = tf.raw_ops.BytesProducedStatsDataset(input_dataset=data, tag="b", **NUMBERS)
    aggregator = tf.raw_ops.StatsAggregatorHandle()
    return numbers(
        tf.raw_ops.SetStatsAggregatorDataset(
            input_dataset=data, stats_aggregator=aggregator, tag="", counter_prefix="", **NUMBERS
        )
    )


@plain
def wrapped_datasets():
    wrapped = tf.raw_ops.WrapDatasetVariant(input_handle=variant(Dataset.range(3)))
    return numbers(tf.raw_ops.UnwrapDatasetVariant(input_handle=wrapped))


@plain
def elements_copied_to_a_device():
    return Dataset.range(5).apply(experimental.copy_to_device("/cpu:0")).prefetch(1)


FOLDER = tempfile.mkdtemp()
FILES = {}


def write(name, content):
    """The path of a file that the pipeline reads, with `PLACE` for the folder."""
    FILES[name] = base64.b64encode(content).decode()
    return PLACE + "/" + name


def records_of(*contents):
    path = os.path.join(FOLDER, "written")
    with tf.io.TFRecordWriter(path) as writer:
        for content in contents:
            writer.write(content)
    with open(path, "rb") as file:
        return file.read()


class Given(dataset_ops.DatasetSource):
    """A dataset by its variant."""

    def __init__(self, variant, types, shapes):
        self._spec = tuple(tf.TensorSpec(shape, dtype) for shape, dtype in zip(shapes, types))  # noqa: B905 (Python 3.7)
        super().__init__(variant)

    @property
    def element_spec(self):
        return self._spec


class Sampling(dataset_ops.UnaryUnchangedStructureDataset):
    """A dataset of an op that no Python function of TensorFlow's makes."""

    def __init__(self, input_dataset, **attrs):
        variant = tf.raw_ops.SamplingDataset(
            input_dataset=input_dataset._variant_tensor, **attrs, **input_dataset._flat_structure
        )
        super().__init__(input_dataset, variant)


def described(component):
    array = np.array(component, object) if isinstance(component, bytes) else np.asarray(component)
    if array.dtype == object or array.dtype.kind in "SU":
        values = [x.replace(FOLDER.encode(), PLACE.encode()) for x in array.ravel().tolist()]
        values = [base64.b64encode(x).decode() for x in values]
        return ["string", list(array.shape), values]
    values = array.ravel()
    if array.dtype.kind == "c":
        values = values.view("float32")
    return [array.dtype.name, list(array.shape), values.tolist()]


def run(build, optimized):
    FILES.clear()
    with tf.Graph().as_default() as graph:
        data = build()
        if not optimized:
            options = tf.data.Options()
            options.experimental_optimization.apply_default_optimizations = False
            data = data.with_options(options)
        iterator = v1.data.make_initializable_iterator(data)
        fetches = tf.nest.flatten(iterator.get_next())
        meta_graph = v1.train.export_meta_graph(graph=graph, strip_default_attrs=True)
        text = meta_graph.SerializeToString()
        shown = base64.b64encode(zlib.compress(without_shapes(meta_graph), 9)).decode()
    for name, content in FILES.items():
        path = os.path.join(FOLDER, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(content))
    meta_graph = v1.MetaGraphDef.FromString(text)
    for node in meta_graph.graph_def.node:
        if node.op == "Const" and PLACE.encode() in node.SerializeToString():
            array = tf.make_ndarray(node.attr["value"].tensor)
            replaced = np.vectorize(lambda x: x.replace(PLACE.encode(), FOLDER.encode()), otypes=[object])(array)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(replaced, dtype=tf.string, shape=array.shape))
    rounds = []
    with tf.Graph().as_default() as graph:
        v1.train.import_meta_graph(meta_graph)
        with v1.Session() as session:
            for _ in range(2):
                session.run(iterator.initializer.name)
                elements = []
                for _ in range(MOST):
                    try:
                        elements.append([described(x) for x in session.run([fetch.name for fetch in fetches])])
                    except tf.errors.OutOfRangeError:
                        elements.append("OutOfRangeError")
                        break
                    except tf.errors.OpError as error:
                        elements.append(type(error).__name__)
                rounds.append(elements)
    assert rounds[0] == rounds[1], rounds
    return {
        "graph": shown,
        "initializer": iterator.initializer.name,
        "fetches": [fetch.name for fetch in fetches],
        "files": dict(FILES),
        "elements": rounds[0],
    }


def without_shapes(meta_graph):
    meta_graph.meta_info_def.Clear()
    for nodes in [meta_graph.graph_def.node] + [f.node_def for f in meta_graph.graph_def.library.function]:
        for node in nodes:
            node.ClearField("experimental_debug_info")
            node.attr.pop("_output_shapes", None)
    return meta_graph.SerializeToString()


if __name__ == "__main__":
    cases = {}
    for name, (build, optimized) in CASES.items():
        cases[name] = run(build, optimized)
    with open("datasets.json", "w") as file:
        file.write("{\n" + ",\n".join(json.dumps(k) + ": " + json.dumps(v) for k, v in cases.items()) + "\n}\n")
