"""TensorFlow's data types, their numbers in the protocol buffers, and the NumPy types that hold them.

Quantized types are held as the integers of the same width; strings (as `bytes`), resources and variants as objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np


@dataclass(frozen=True, slots=True)
class DType:
    """A TensorFlow data type.

    Attributes:
        name: TensorFlow's name, such as "float32", "qint8", "string".
        number: the value of `DataType` in the protocol buffers; a reference type is this plus 100.
        numpy: the NumPy dtype of an array that holds such values.
    """

    name: str
    number: int
    numpy: np.dtype

    def __repr__(self) -> str:
        return self.name

    @property
    def itemsize(self) -> int:
        """Bytes of one element in a tensor's serialized form; 0 where elements have no fixed size."""
        return 0 if self.numpy.kind == "O" else self.numpy.itemsize

    @property
    def is_floating(self) -> bool:
        return self.name in ("float16", "float32", "float64", "bfloat16")

    @property
    def is_complex(self) -> bool:
        return self.name in ("complex64", "complex128")

    @property
    def is_quantized(self) -> bool:
        return self.name.startswith(("qint", "quint"))

    @property
    def is_integer(self) -> bool:
        return self.name.startswith(("int", "uint"))

    @property
    def is_numeric(self) -> bool:
        return self.numpy.kind != "O"


def _of(name: str, number: int, numpy: object) -> DType:
    return DType(name, number, np.dtype(numpy))  # type: ignore[call-overload]


float32 = _of("float32", 1, np.float32)
float64 = _of("float64", 2, np.float64)
int32 = _of("int32", 3, np.int32)
uint8 = _of("uint8", 4, np.uint8)
int16 = _of("int16", 5, np.int16)
int8 = _of("int8", 6, np.int8)
string = _of("string", 7, object)
complex64 = _of("complex64", 8, np.complex64)
int64 = _of("int64", 9, np.int64)
bool_ = _of("bool", 10, np.bool_)
qint8 = _of("qint8", 11, np.int8)
quint8 = _of("quint8", 12, np.uint8)
qint32 = _of("qint32", 13, np.int32)
bfloat16 = _of("bfloat16", 14, ml_dtypes.bfloat16)
qint16 = _of("qint16", 15, np.int16)
quint16 = _of("quint16", 16, np.uint16)
uint16 = _of("uint16", 17, np.uint16)
complex128 = _of("complex128", 18, np.complex128)
float16 = _of("float16", 19, np.float16)
resource = _of("resource", 20, object)
variant = _of("variant", 21, object)
uint32 = _of("uint32", 22, np.uint32)
uint64 = _of("uint64", 23, np.uint64)

ALL = (
    float32, float64, int32, uint8, int16, int8, string, complex64, int64, bool_, qint8, quint8, qint32, bfloat16,
    qint16, quint16, uint16, complex128, float16, resource, variant, uint32, uint64,
)  # fmt: skip
BY_NAME = {dtype.name: dtype for dtype in ALL}
BY_NUMBER = {dtype.number: dtype for dtype in ALL}
_BY_NUMPY = {dtype.numpy: dtype for dtype in reversed(ALL) if not dtype.is_quantized and dtype.is_numeric}


def from_number(number: int) -> DType:
    """The data type of a `DataType` value, reference types included. Raises `ValueError` for an unknown number."""
    try:
        return BY_NUMBER[number - 100 if number > 100 else number]
    except KeyError:
        raise ValueError(f"{number} is not the number of a TensorFlow data type") from None


def is_ref_number(number: int) -> bool:
    """Whether a `DataType` value stands for a reference type."""
    return number > 100


def from_numpy(dtype: object) -> DType:
    """The data type of arrays of a NumPy dtype; byte and unicode strings and objects are `string`."""
    numpy: np.dtype = np.dtype(dtype)  # type: ignore[call-overload]
    if numpy.kind in "OSU":
        return string
    try:
        return _BY_NUMPY[numpy]
    except KeyError:
        raise ValueError(f"no TensorFlow data type holds NumPy's {numpy}") from None
