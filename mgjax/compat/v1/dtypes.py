"""TensorFlow's `tf.DType`: the data types of `mgjax.dtypes` with what scripts ask of them.

A variable's dtype is its value's, not TensorFlow's reference type: `base_dtype` is the dtype itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mgjax import dtypes as _dtypes

_NUMPY_OF_QUANTIZED = {
    name: np.dtype([(name, numpy)])
    for name, numpy in {"qint8": "i1", "quint8": "u1", "qint16": "<i2", "quint16": "<u2", "qint32": "<i4"}.items()
}
_OTHER_NAMES = {"half": "float16", "float": "float32", "double": "float64"}


class DType(_dtypes.DType):
    """A data type; it equals whatever `as_dtype` makes the same of: a name, a NumPy dtype, a number."""

    __slots__ = ()

    def __init__(self, type_enum: int):
        found = _dtypes.from_number(type_enum)
        super().__init__(found.name, found.number, found.numpy)

    @property
    def as_numpy_dtype(self) -> Any:
        """The NumPy type: a scalar type, or for quantized types a dtype of one field that bears their name."""
        return _NUMPY_OF_QUANTIZED.get(self.name, self.numpy.type if self.name != "string" else object)

    @property
    def as_datatype_enum(self) -> int:
        return self.number

    @property
    def base_dtype(self) -> DType:
        return self

    @property
    def real_dtype(self) -> DType:
        """The dtype of the real part."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    @property
    def is_bool(self) -> bool:
        return self.name == "bool"

    @property
    def is_numpy_compatible(self) -> bool:
        return self.name not in ("resource", "variant")

    @property
    def is_unsigned(self) -> bool:
        return self.name.startswith("uint")

    @property
    def size(self) -> int:
        """Bytes of one element; 1 where elements have no fixed size."""
        return self.itemsize or 1

    @property
    def min(self) -> Any:
        """The least finite value. Raises `TypeError` where there is none."""
        return self._limits("minimum").min

    @property
    def max(self) -> Any:
        """The greatest finite value. Raises `TypeError` where there is none."""
        return self._limits("maximum").max

    def _limits(self, which: str) -> Any:
        import ml_dtypes

        if self.is_floating:
            return ml_dtypes.finfo(self.numpy)
        if self.is_integer or self.is_quantized:
            return np.iinfo(self.numpy)
        raise TypeError(f"Cannot find {which} value of {self}.")

    @property
    def limits(self) -> tuple[Any, Any]:
        """The range of intensities in an image: 0 to 1 for floats, the whole range for integers."""
        return (0, 1) if self.is_floating or self.is_bool else (self.min, self.max)

    def is_compatible_with(self, other: Any) -> bool:
        return self == other

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _dtypes.DType):
            return self.name == other.name
        try:
            return self.name == as_dtype(other).name
        except TypeError:
            return False

    __hash__ = _dtypes.DType.__hash__

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>"

    def __reduce__(self) -> Any:
        return as_dtype, (self.name,)


ALL = tuple(DType(dtype.number) for dtype in _dtypes.ALL)
_BY_NAME = {dtype.name: dtype for dtype in ALL}
_BY_NUMBER = {dtype.number: dtype for dtype in ALL}

float16, float32, float64, bfloat16 = (_BY_NAME[name] for name in ("float16", "float32", "float64", "bfloat16"))
half, double = float16, float64


def as_dtype(type_value: Any) -> DType:
    """The data type of a DType, its name or number, or a NumPy dtype; reference types give their base.

    Raises:
        TypeError: there is none.
    """
    found: DType | None = None
    if isinstance(type_value, _dtypes.DType):
        found = _BY_NAME[type_value.name]
    elif isinstance(type_value, str):
        name = type_value.removesuffix("_ref")
        found = _BY_NAME.get(_OTHER_NAMES.get(name, name))
    elif isinstance(type_value, int) and not isinstance(type_value, bool):
        found = _BY_NUMBER.get(type_value - 100 if type_value > 100 else type_value)
    elif type_value is float:
        found = float32
    elif not any(type_value is refused for refused in (None, int, str, bytes)):  # a NumPy dtype equals some
        found = _of_numpy(type_value)
    if found is None:
        raise TypeError(f"Cannot convert value {type_value!r} to a TensorFlow DType.")
    return found


def _of_numpy(type_value: Any) -> DType | None:
    try:
        numpy = np.dtype(type_value)
    except TypeError:
        return None
    if numpy.names is not None and len(numpy.names) == 1:
        return _BY_NAME.get(numpy.names[0])
    try:
        return _BY_NAME[_dtypes.from_numpy(numpy).name]
    except ValueError:
        return None
