"""Values of attributes, as Python objects.

Attributes are decoded once, when a file is read: integers, floats, booleans, `str` for strings (`bytes` where they are
not UTF-8), `mgjax.dtypes.DType` for types, tuples for lists and shapes (None for an unknown rank), NumPy arrays for
tensors, and `FunctionName` for functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A library function as an attribute's value.

    Attributes:
        name: the function's name.
        attrs: the attribute values that it is instantiated with.
    """

    name: str
    attrs: Mapping[str, Any] = field(default_factory=dict)
