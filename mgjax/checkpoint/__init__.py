"""Checkpoints of TensorFlow's formats, read and written without TensorFlow and without a graph.

checkpoint = mgjax.checkpoint.open("model-1000")
for name in checkpoint:
    print(name, checkpoint.dtype(name), checkpoint.shape(name))
kernel = checkpoint.read("dense/kernel")
mgjax.checkpoint.write("model-1001", {"dense/kernel": kernel + 1})
"""

from mgjax.checkpoint.checksum import crc32c, mask, masked_crc32c, unmask
from mgjax.checkpoint.keeping import GENERATORS, Kept, modification_time
from mgjax.checkpoint.merging import merge
from mgjax.checkpoint.paths import exists, find, latest_checkpoint, remove
from mgjax.checkpoint.reader import Checkpoint
from mgjax.checkpoint.reader import open_checkpoint as open
from mgjax.checkpoint.replace import write_file
from mgjax.checkpoint.slices import parse_shape_and_slice
from mgjax.checkpoint.state import FILENAME, State, read_state, write_state
from mgjax.checkpoint.tensors import Tensor
from mgjax.checkpoint.writer import write, written_path

__all__ = [
    "FILENAME",
    "GENERATORS",
    "Checkpoint",
    "Kept",
    "State",
    "Tensor",
    "crc32c",
    "exists",
    "find",
    "latest_checkpoint",
    "mask",
    "masked_crc32c",
    "merge",
    "modification_time",
    "open",
    "parse_shape_and_slice",
    "read_state",
    "remove",
    "unmask",
    "write",
    "write_file",
    "write_state",
    "written_path",
]
