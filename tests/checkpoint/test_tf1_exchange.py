"""Checkpoints of any names, types, shapes and partitions: written here, read and written again by TensorFlow 1.15, read here."""

import itertools
import json

import ml_dtypes
import numpy as np

from mgjax import checkpoint
from tests.tf1 import needs_tf1, run_in_tf1

COUNT = 60
NUMPY_DTYPES = [
    np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32,
    np.int64, np.uint64, np.bool_, np.complex64, np.complex128, object,
]  # fmt: skip
#: What TensorFlow 1.15 puts together from pieces.
PARTITIONED = (
    "float32",
    "float64",
    "int8",
    "uint8",
    "int16",
    "int32",
    "int64",
    "bool",
    "complex64",
    "complex128",
    "bfloat16",
)

SCRIPT = """
import itertools
import json
folder = sys.argv[1]
for name in json.load(open(os.path.join(folder, "names"))):
    prefix = os.path.join(folder, "ours-" + name)
    reader = tf.train.NewCheckpointReader(prefix)
    dtypes = reader.get_variable_to_dtype_map()
    keys = sorted(dtypes)
    with tf.Graph().as_default(), tf.Session() as session:
        kinds, whole = [dtypes[key] for key in keys], [""] * len(keys)
        tensors = tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=keys, shape_and_slices=whole, dtypes=kinds)
        target = os.path.join(folder, "theirs-" + name)
        session.run(tf.raw_ops.SaveV2(prefix=target, tensor_names=keys, shape_and_slices=whole, tensors=tensors))
"""


def drawn_array(choose):
    dtype = np.dtype(NUMPY_DTYPES[choose.integers(len(NUMPY_DTYPES))])
    shape = tuple(choose.integers(0, 5, choose.integers(0, 4)).tolist())
    count = int(np.prod(shape))
    if dtype.kind == "O":
        array = np.empty(count, object)
        array[:] = [choose.bytes(choose.integers(0, 200)) for _ in range(count)]
        return array.reshape(shape)
    data = choose.bytes(count * dtype.itemsize)
    return np.frombuffer(bytes(byte & 1 for byte in data) if dtype == np.bool_ else data, dtype).reshape(shape)


def pieces_of(choose, name, array):
    if array.dtype.name not in PARTITIONED or not array.size or not array.ndim or choose.random() < 0.5:
        return [(name, array)]
    axis = choose.integers(array.ndim)
    cuts = sorted({0, array.shape[axis], int(choose.integers(0, array.shape[axis] + 1))})
    found = []
    for start, stop in itertools.pairwise(cuts):
        extents = [(0, -1 if choose.random() < 0.5 else size) for size in array.shape]
        extents[axis] = (start, stop - start)
        index = [slice(None)] * array.ndim
        index[axis] = slice(start, stop)
        found.append((name, np.ascontiguousarray(array[tuple(index)]), array.shape, tuple(extents)))
    return found


@needs_tf1
def test_what_is_written_comes_back_from_tensorflow_1_15_bit_for_bit(tmp_path):
    choose = np.random.default_rng(0)
    expected = {}
    for i in range(COUNT):
        tensors = {
            f"{'scope/' * int(choose.integers(3))}é{i}_{k}": drawn_array(choose) for k in range(choose.integers(1, 8))
        }
        version = 1 + i % 2
        if version == 1:
            tensors = {k: v for k, v in tensors.items() if v.dtype.name not in ("bfloat16", "uint32", "uint64")}
        if not tensors:
            continue
        pieces = [piece for name, array in tensors.items() for piece in pieces_of(choose, name, array)]
        shards = None if version == 1 else int(choose.integers(1, 4))
        checkpoint.write(tmp_path / f"ours-{i}", pieces, version=version, shards=shards)
        expected[str(i)] = tensors
    (tmp_path / "names").write_text(json.dumps(list(expected)))
    run_in_tf1(SCRIPT, tmp_path)
    for name, tensors in expected.items():
        for prefix in (f"ours-{name}", f"theirs-{name}"):
            opened = checkpoint.open(tmp_path / prefix)
            assert opened.names() == sorted(tensors, key=str.encode)
            for key, array in tensors.items():
                found = opened[key]
                assert (found.dtype, found.shape) == (array.dtype, array.shape)
                assert found.tolist() == array.tolist() if array.dtype == object else found.tobytes() == array.tobytes()
        # And it writes the bytes that are written here.
        checkpoint.write(tmp_path / "again", {key: tensors[key] for key in sorted(tensors)})
        for ending in (".index", ".data-00000-of-00001"):
            assert (tmp_path / f"again{ending}").read_bytes() == (tmp_path / f"theirs-{name}{ending}").read_bytes()
