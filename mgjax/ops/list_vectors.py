"""Vectors of lists (`mgjax.ops.element_lists`): what `Pack` makes of several, and ops that do the same with each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.element_lists import ElementList
from mgjax.ops.registry import check, claim, lower


@jax.tree_util.register_pytree_node_class
class ListVector:
    """Lists in a row, of which each may have another length and elements of another shape."""

    ndim = 1

    def __init__(self, lists: Sequence[ElementList]):
        self.lists = tuple(lists)

    @property
    def shape(self) -> tuple[int]:
        return (len(self.lists),)

    def tree_flatten(self):
        return self.lists, None

    @classmethod
    def tree_unflatten(cls, known, children):
        return cls(children)

    def zeros_like(self) -> ListVector:
        return ListVector([made.zeros_like() for made in self.lists])


@lower("TensorListPushBackBatch")
def tensor_list_push_back_batch(input_handles, tensor):
    """Each row of the tensor at the end of the list that stands in its place."""
    if np.ndim(tensor) == 0:
        raise InvalidArgumentError("Expected tensor to be at least a vector, but saw shape: []")
    if len(input_handles.lists) != tensor.shape[0]:
        raise InvalidArgumentError(
            f"Expected tensor.shape[0] == input_handles.size, but saw {tensor.shape[0]} vs. {len(input_handles.lists)}"
        )
    return ListVector([made.push(tensor[i]) for i, made in enumerate(input_handles.lists)])


@check("TensorListPushBackBatch")
def are_pushed_below_the_limit(input_handles):
    for made in input_handles.lists:
        if made.limit is not None:
            message = "Tried to push item into a full list list size: {size} max_num_elements: {limit}"
            holds = (made.limit < 0) | (made.length < made.limit)
            yield claim(holds, message, size=made.length, limit=made.limit)


def concat_lists(a: Any, b: Any) -> Any:
    """The elements of one list and then those of another; of vectors, place by place."""
    if isinstance(a, ListVector) or isinstance(b, ListVector):
        if not (isinstance(a, ListVector) and isinstance(b, ListVector) and a.shape == b.shape):
            raise InvalidArgumentError("input_a and input_b must have the same shape, as vectors of lists have")
        return ListVector([concat_lists(x, y) for x, y in zip(a.lists, b.lists, strict=True)])
    if a.dtype != b.dtype:
        raise InvalidArgumentError(f"input_list element dtypes differ: {a.dtype} and {b.dtype}")
    if not b.known_length():
        return a
    whole = a.with_(length=a.known_length())
    for index in range(b.known_length()):
        whole = whole.push(b.get(np.int32(index)))
    return whole


@lower("TensorListConcatLists")
def tensor_list_concat_lists(input_a, input_b):
    return concat_lists(input_a, input_b)
