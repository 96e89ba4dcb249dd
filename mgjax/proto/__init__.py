"""TensorFlow's protocol buffers, in a package of their own, and their values as Python objects.

The messages (`mgjax.proto.graph_pb2.GraphDef`, ...) have TensorFlow's names and field numbers, so they read and write
its files; their package and file names are this project's, so they live beside TensorFlow's own in one process.
`protos/generate` makes them from `protos/*.proto`.
"""

from mgjax.attributes import FunctionName
from mgjax.proto.values import (
    Placeholder,
    decode_attr,
    decode_attrs,
    decode_shape,
    decode_tensor,
    decode_type,
    encode_attr,
    encode_attrs,
    encode_shape,
    encode_tensor,
)

__all__ = [
    "FunctionName",
    "Placeholder",
    "decode_attr",
    "decode_attrs",
    "decode_shape",
    "decode_tensor",
    "decode_type",
    "encode_attr",
    "encode_attrs",
    "encode_shape",
    "encode_tensor",
]
