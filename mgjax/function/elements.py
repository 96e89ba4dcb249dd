"""What a graph is made of, as its user sees it: tensors, operations, variables, collections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from mgjax.dtypes import DType
from mgjax.shapes import Shape, describe


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph; may be used as a feed or a fetch.

    Attributes:
        name: `node:index`.
        dtype: its data type; None where its op is unknown.
        shape: what is known of its shape.
    """

    name: str
    dtype: DType | None
    shape: Shape

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.dtype.name if self.dtype else '?'}{describe(self.shape)})"


@dataclass(frozen=True, slots=True)
class GraphOperation:
    """A node of the graph; may be used as a fetch, which makes it run.

    Attributes:
        name: the node's name.
        op: its op.
        inputs: the tensors that it takes, `node:index`.
        control_inputs: the nodes that must run before it.
        device: the device string of the file.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    control_inputs: tuple[str, ...]
    device: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the graph; as a fetch it is its value after the run.

    Attributes:
        name: TensorFlow's name of it, without `:0`; its key in the state.
        dtype, shape: of its value.
        trainable: whether it is in the collection `trainable_variables`.
        is_resource: whether it is a resource variable.
        checkpoint_key: the tensor of a checkpoint that holds it.
        slice: for a part of a partitioned variable (offset, size) along each axis of the whole; else None.
        full_shape: the shape of the whole for a part of a partitioned variable; else None.
        initializer: the node that initializes it; None where the file does not say.
    """

    name: str
    dtype: DType
    shape: Shape
    trainable: bool
    is_resource: bool
    checkpoint_key: str
    slice: tuple[tuple[int, int], ...] | None = None
    full_shape: tuple[int, ...] | None = None
    initializer: str | None = None


class SparseTensor(NamedTuple):
    """The three tensors that are a sparse one; as a fetch it gives the three arrays."""

    indices: Tensor
    values: Tensor
    dense_shape: Tensor


@dataclass(frozen=True, slots=True)
class Signature:
    """What a graph is called with and gives back, as its maker declared it.

    `fn(variables, {signature.inputs["images"]: images}, signature.outputs)` gives a dict of results.

    Attributes:
        inputs, outputs: from the signature's own keys to tensors.
        method_name: such as "tensorflow/serving/predict".
    """

    inputs: dict[str, Tensor | SparseTensor]
    outputs: dict[str, Tensor | SparseTensor]
    method_name: str


def element_name(element: Any) -> str | None:
    """The name of a tensor, operation or variable, given as text or as an object with a `name`; None for anything else."""
    if isinstance(element, str):
        return element
    name = getattr(element, "name", None)
    return name if isinstance(name, str) else None
