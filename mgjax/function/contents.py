"""What a MetaGraphDef says of its graph, collections and signatures, in terms of the graph's own elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mgjax import dtypes
from mgjax.errors import UnknownNameError
from mgjax.function.elements import GraphOperation, Signature, SparseTensor, Tensor, Variable
from mgjax.metagraph import Graph, split_tensor_name
from mgjax.metagraph import collections as described


def collection_values(
    collection: described.Collection, graph: Graph, variables: Mapping[str, Variable], operation: Callable[[str], Any]
) -> list[Any]:
    """The values of a collection: names and descriptions become the elements of the graph that they stand for.

    What stands for nothing in the graph stays what the file has: a name, a description, bytes.
    """

    def element(value: Any) -> Any:
        if isinstance(value, described.Variable):
            return variables.get(split_tensor_name(value.name)[0], value)
        if isinstance(value, str):
            return element_of(graph, value, operation)
        return value

    return [element(value) for value in collection.values]


def element_of(graph: Graph, name: str, operation: Callable[[str], GraphOperation]) -> Tensor | GraphOperation | str:
    """The tensor `node:index` or the operation `node`; the name itself where the graph does not have it."""
    try:
        if ":" not in name:
            return operation(name)
        type = graph.tensor_type(name)
    except (UnknownNameError, ValueError):
        return name
    return Tensor(name, type.dtype, type.shape)


def signature_of(message: Any, graph: Graph) -> Signature:
    """The signature that a SignatureDef describes."""
    return Signature(
        {key: _tensors(info, graph) for key, info in sorted(message.inputs.items())},
        {key: _tensors(info, graph) for key, info in sorted(message.outputs.items())},
        message.method_name,
    )


def _tensors(info: Any, graph: Graph) -> Tensor | SparseTensor:
    if info.WhichOneof("encoding") != "coo_sparse":
        return _tensor(info.name, graph, info)
    sparse = info.coo_sparse
    return SparseTensor(
        *[
            _tensor(name, graph)
            for name in (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)
        ]
    )


def _tensor(name: str, graph: Graph, info: Any = None) -> Tensor:
    """The graph's tensor; where the graph says less of it than its description, as that says."""
    dtype = shape = None
    try:
        type = graph.tensor_type(name)
        dtype, shape = type.dtype, type.shape
    except (UnknownNameError, ValueError):
        pass
    if info is not None and dtype is None and info.dtype in dtypes.BY_NUMBER:
        dtype = dtypes.from_number(info.dtype)
    if info is not None and shape is None and info.HasField("tensor_shape") and not info.tensor_shape.unknown_rank:
        shape = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    return Tensor(name, dtype, shape)
