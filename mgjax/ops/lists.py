"""Lists of tensors as values: `TensorList*` and `Optional*`, and what `TensorArray*` and `Stack*` are made of.

A list is one buffer, `[capacity, ...]`, and a length. In a loop the buffer must have its size before the first round, so
whoever compiles a loop fixes the capacity (`mgjax.lowering.loops`); anywhere else a list grows as it is filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError, UnimplementedError, UnsupportedError
from mgjax.ops.registry import NeedsKnown, Static, lower
from mgjax.shapes import is_compatible

ANY = ()
"""What is known of the elements of a list that never had any."""


@jax.tree_util.register_pytree_node_class
class ElementList:
    """A list of elements of one shape.

    Attributes:
        buffer: the elements, `[capacity, ...]`, or None while their shape is not known; a tree of such arrays where the
            elements are lists themselves.
        length: the number of elements: an `int` where it is known while tracing, else an int32 scalar.
        capacity: the number of elements that there is room for.
        shape: what is known of an element's shape.
        dtype: the elements' NumPy dtype.
        is_fixed: whether the capacity stays, because somebody made it large enough.
        adds: whether a write adds to what is there, as in the arrays of gradients.
        grows: whether a write past the end makes the list longer.
        known: the value of all elements, where they are one that is known while tracing (`ANY` while there are none), such
            as the shapes that the gradient of a loop keeps; None otherwise.
    """

    def __init__(self, buffer, length, capacity, shape, dtype, is_fixed=False, adds=False, grows=False, known=None):
        self.buffer = buffer
        self.length = length
        self.capacity = capacity
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.is_fixed = is_fixed
        self.adds = adds
        self.grows = grows
        self.known = known

    def tree_flatten(self):
        is_known = isinstance(self.length, int)
        children = (self.buffer, None if is_known else self.length)
        known = (self.length if is_known else None, self.capacity, self.shape)
        return children, (*known, self.dtype, self.is_fixed, self.adds, self.grows, self.known)

    @classmethod
    def tree_unflatten(cls, known, children):
        length, *rest = known
        return cls(children[0], children[1] if length is None else length, *rest)

    def with_(self, **changes: Any) -> ElementList:
        names = ("buffer", "length", "capacity", "shape", "dtype", "is_fixed", "adds", "grows", "known")
        return ElementList(**{name: changes.get(name, getattr(self, name)) for name in names})

    def with_capacity(self, capacity: int) -> ElementList:
        """The same elements with room for more."""
        if self.buffer is None or capacity <= self.capacity:
            return self.with_(capacity=max(capacity, self.capacity))

        def grown(x):
            return jnp.concatenate([x, jnp.zeros((capacity - self.capacity, *x.shape[1:]), x.dtype)])

        return self.with_(buffer=jax.tree.map(grown, self.buffer), capacity=capacity)

    def with_buffer(self, item: Any = None) -> ElementList:
        """The same list with its buffer made, of zeros; the shape of elements is known or `item`'s."""
        if self.buffer is not None:
            return self
        if item is None:
            item = jax.ShapeDtypeStruct(self.element_shape(), self.dtype)
        empty = jax.tree.map(lambda x: jnp.zeros((self.capacity, *x.shape), x.dtype), item)
        return self.with_(buffer=empty)

    def element_shape(self, hint: Any = None) -> tuple[int, ...]:
        """The elements' shape, all of it. Raises `UnimplementedError` where nothing says it."""
        if self.buffer is not None:
            return jax.tree.leaves(self.buffer)[0].shape[1:]
        for shape in (self.shape, hint):
            if shape is not None and all(n is not None and n >= 0 for n in shape):
                return tuple(int(n) for n in shape)
        raise UnimplementedError("elements that were never written have no shape, and their list's is not fully known")

    def zeros_like(self) -> ElementList:
        """A list as long, of zeros."""
        buffer = None if self.buffer is None else jax.tree.map(jnp.zeros_like, self.buffer)
        return self.with_(buffer=buffer, known=None)

    def get(self, index: Any, hint: Any = None) -> Any:
        if isinstance(self.known, tuple) and self.known:
            name, shape, data = self.known
            return np.frombuffer(data, name).reshape(shape)
        if self.buffer is None:
            return jnp.zeros(self.element_shape(hint), self.dtype)
        return jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, jnp.asarray(index, np.int32), 0, False), self.buffer)

    def set(self, index: Any, item: Any) -> ElementList:
        if self.grows:
            if isinstance(index, (int, np.integer, np.ndarray)) and isinstance(self.length, int):
                length: Any = max(self.length, int(index) + 1)
                self = self.with_capacity(length).with_(length=length)
            else:
                # In a loop: one more element a round, until whoever compiles it fixes the capacity.
                self = self if self.is_fixed else self.with_capacity(self.capacity + 1)
                self = self.with_(length=jnp.maximum(self.length, jnp.asarray(index, np.int32) + 1))
        elif isinstance(index, (int, np.integer, np.ndarray)) and not 0 <= int(index) < self.capacity:
            raise InvalidArgumentError(
                f"Tried to write to index {int(index)} but array is not resizeable and size is: {self.capacity}"
            )
        item = _element(item)
        filled = self.with_buffer(item).with_(known=None)
        index = jnp.asarray(index, np.int32)
        if isinstance(item, ElementList) and item.capacity != filled.buffer.capacity:
            item, filled = _equally_long(item, filled)
        if jax.tree.structure(item) != jax.tree.structure(filled.buffer):
            raise UnsupportedError("a list of lists of different kinds")

        def put(x, y):
            y = jnp.asarray(y, x.dtype)
            if self.adds:
                y = y + lax.dynamic_index_in_dim(x, index, 0, False)
            return lax.dynamic_update_index_in_dim(x, y, index, 0)

        return filled.with_(buffer=jax.tree.map(put, filled.buffer, item))

    def push(self, item: Any) -> ElementList:
        grown = self
        if isinstance(self.length, int):
            grown = self.with_capacity(self.length + 1)
        elif not self.is_fixed:
            grown = self.with_capacity(self.capacity + 1)
        known = _known_element(item)
        known = known if self.known in (ANY, known) else None
        return grown.with_(grows=False, adds=False).set(self.length, item).with_(length=self.length + 1, known=known)

    def pop(self, hint: Any = None) -> tuple[ElementList, Any]:
        if isinstance(self.length, int) and self.length == 0:
            raise InvalidArgumentError("the list is empty when an element is taken from it")
        last = self.length - 1
        return self.with_(length=last), self.get(last, hint)

    def stack(self, hint: Any = None) -> Any:
        """All elements in one array, `[length, ...]`."""
        filled = self if self.buffer is not None else self.with_(shape=self.element_shape(hint)).with_buffer()
        return filled.buffer[: self.known_length()]

    def known_length(self) -> int:
        if not isinstance(self.length, int):
            raise NeedsKnown("how many elements the list has is known only when it runs", "input_handle", "handle")
        return self.length

    def gather(self, indices: Any, hint: Any = None) -> Any:
        if self.buffer is None:
            return jnp.zeros((*np.shape(indices), *self.element_shape(hint)), self.dtype)
        return jnp.take(self.buffer, jnp.asarray(indices, np.int32), axis=0, mode="clip")


def _element(item: Any) -> Any:
    """What is held of an element: arrays; of a list its buffer and its length."""
    if isinstance(item, ElementList):
        return item.with_(length=jnp.asarray(item.length, np.int32), is_fixed=False, known=None)
    return jax.tree.map(jnp.asarray, item)


def _equally_long(item: ElementList, outer: ElementList) -> tuple[ElementList, ElementList]:
    """A list and the list that it goes into, both with room for as many elements."""
    capacity = max(item.capacity, outer.buffer.capacity)
    missing = capacity - outer.buffer.capacity

    def grown(x):
        # Of the inner lists only the elements have the axis, not the lengths.
        return jnp.concatenate([x, jnp.zeros((x.shape[0], missing, *x.shape[2:]), x.dtype)], axis=1)

    inner = outer.buffer.with_(buffer=jax.tree.map(grown, outer.buffer.buffer), capacity=capacity)
    return item.with_capacity(capacity), outer.with_(buffer=inner)


def _known_element(item: Any) -> tuple | None:
    if not isinstance(item, np.ndarray) or item.dtype.kind == "O":
        return None
    return (item.dtype, item.shape, item.tobytes())


def partial_shape(shape: Any) -> tuple[int | None, ...] | None:
    """A shape as ops give it: a vector with -1 for an unknown size, the scalar -1 for an unknown rank."""
    array = np.asarray(shape)
    return None if array.ndim == 0 else tuple(None if n < 0 else int(n) for n in array.tolist())


def filled_list(tensor: Any, shape: Any = None) -> ElementList:
    """The list of a tensor's rows."""
    tensor = jnp.asarray(tensor)
    count = tensor.shape[0]
    return ElementList(tensor, count, count, tensor.shape[1:] if shape is None else shape, tensor.dtype)


def add_lists(a: ElementList, b: ElementList) -> ElementList:
    """The list of the sums; an element that was never written counts as zero."""
    if a.buffer is None or b.buffer is None:
        return b if a.buffer is None else a
    return a.with_(buffer=jax.tree.map(jnp.add, a.buffer, b.buffer), known=None)


@lower("EmptyTensorList")
def empty_tensor_list(element_shape: Static, max_num_elements, *, element_dtype):
    return ElementList(None, 0, 0, partial_shape(element_shape), element_dtype.numpy, known=ANY)


@lower("TensorListReserve")
def tensor_list_reserve(element_shape: Static, num_elements: Static, *, element_dtype):
    count = int(num_elements)
    return ElementList(None, count, count, partial_shape(element_shape), element_dtype.numpy)


@lower("TensorListFromTensor")
def tensor_list_from_tensor(tensor, element_shape):
    return filled_list(tensor)


@lower("TensorListPushBack")
def tensor_list_push_back(input_handle, tensor):
    return input_handle.push(tensor)


@lower("TensorListPopBack")
def tensor_list_pop_back(input_handle, element_shape):
    return input_handle.pop(hint_of(element_shape))


@lower("TensorListSetItem")
def tensor_list_set_item(input_handle, index, item, *, resize_if_index_out_of_bounds=False):
    return input_handle.with_(grows=resize_if_index_out_of_bounds).set(index, item).with_(grows=False)


@lower("TensorListGetItem")
def tensor_list_get_item(input_handle, index, element_shape):
    return input_handle.get(index, hint_of(element_shape))


@lower("TensorListStack")
def tensor_list_stack(input_handle, element_shape):
    return input_handle.stack(hint_of(element_shape))


@lower("TensorListGather")
def tensor_list_gather(input_handle, indices, element_shape):
    return input_handle.gather(indices, hint_of(element_shape))


@lower("TensorListScatter")
def tensor_list_scatter(tensor, indices: Static, element_shape):
    return _scattered(tensor, indices, -1)


@lower("TensorListScatterV2")
def tensor_list_scatter_v2(tensor, indices: Static, element_shape, num_elements: Static):
    return _scattered(tensor, indices, int(num_elements))


def _scattered(tensor: Any, indices: np.ndarray, count: int) -> ElementList:
    """`count` is -1 where the largest index says how long the list is."""
    count = max(count, int(indices.max(initial=-1)) + 1)
    rows = jnp.zeros((count, *tensor.shape[1:]), tensor.dtype).at[indices].set(tensor)
    return filled_list(rows)


@lower("TensorListScatterIntoExistingList")
def tensor_list_scatter_into_existing_list(input_handle, tensor, indices):
    filled = input_handle.with_buffer(jax.ShapeDtypeStruct(tensor.shape[1:], tensor.dtype))
    return filled.with_(buffer=filled.buffer.at[jnp.asarray(indices, np.int32)].set(tensor), known=None)


@lower("TensorListLength")
def tensor_list_length(input_handle):
    length = input_handle.length
    return np.array(length, np.int32) if isinstance(length, int) else jnp.asarray(length, np.int32)


@lower("TensorListElementShape")
def tensor_list_element_shape(input_handle, *, shape_type):
    if input_handle.buffer is None and input_handle.shape is None:
        return np.array(-1, shape_type.numpy)
    shape = input_handle.shape if input_handle.buffer is None else input_handle.element_shape()
    return np.array([-1 if n is None else n for n in shape], shape_type.numpy)


@lower("TensorListResize")
def tensor_list_resize(input_handle, size: Static):
    size = int(size)
    resized = input_handle.with_capacity(size).with_(length=size)
    if resized.buffer is not None and size < resized.capacity:
        resized = resized.with_(buffer=resized.buffer[:size], capacity=size)
    return resized


@lower("TensorListConcatLists")
def tensor_list_concat_lists(input_a, input_b):
    return filled_list(jnp.concatenate([input_a.stack(), input_b.stack()]))


@lower("TensorListConcatV2")
def tensor_list_concat_v2(input_handle, element_shape, leading_dims):
    return concatenated(input_handle)


@lower("TensorListConcat")
def tensor_list_concat(input_handle, *, element_shape=None):
    return concatenated(input_handle, element_shape)


def concatenated(elements: ElementList, hint: Any = None) -> tuple[Any, np.ndarray]:
    """All elements joined along their first axis, and how long each is there."""
    stacked = elements.stack(hint)
    lengths = np.full(stacked.shape[0], stacked.shape[1], np.int64)
    return stacked.reshape((-1, *stacked.shape[2:])), lengths


@lower("TensorListSplit")
def tensor_list_split(tensor, element_shape, lengths: Static):
    return filled_list(split_evenly(tensor, lengths))


def split_evenly(tensor: Any, lengths: np.ndarray) -> Any:
    """The pieces of a tensor in one array. Raises `UnsupportedError` where they differ in length."""
    if int(lengths.sum()) != tensor.shape[0]:
        raise InvalidArgumentError(
            f"Expected sum of lengths to be equal to values.shape[0], but sum of lengths is {int(lengths.sum())} "
            f"and value's shape is: {list(tensor.shape)}"
        )
    if len(set(lengths.tolist())) > 1:
        raise UnsupportedError(f"a list of elements of different lengths, {lengths.tolist()}, is not supported")
    return jnp.reshape(tensor, (len(lengths), -1, *tensor.shape[1:]) if tensor.size else (len(lengths), 0))


def hint_of(shape: Any) -> tuple[int | None, ...] | None:
    """An element shape if it is known while tracing."""
    return None if isinstance(shape, jax.Array) else partial_shape(shape)


@jax.tree_util.register_pytree_node_class
class Optional:
    """A tuple of values, or nothing.

    Attributes:
        alternatives: tuples that it may hold. More than one, of different kinds, where branches of a cond keep different
            things for their gradients in one place; the branch that asks says by the types which one it means.
        has_value: whether the value is there; an array where that is known only at run time.
    """

    def __init__(self, alternatives: Sequence[Sequence[Any]], has_value: Any):
        self.alternatives = [list(components) for components in alternatives]
        self.has_value = has_value

    def tree_flatten(self):
        is_known = isinstance(self.has_value, bool)
        return (self.alternatives, None if is_known else self.has_value), self.has_value if is_known else None

    @classmethod
    def tree_unflatten(cls, has_value, children):
        optional = cls.__new__(cls)
        optional.alternatives = children[0]
        optional.has_value = children[1] if has_value is None else has_value
        return optional

    def zeros_like(self) -> Optional:
        return Optional([[_zeros_like(x) for x in components] for components in self.alternatives], self.has_value)


def kind_of(components: Sequence[Any]) -> tuple[str, ...]:
    """What tells one alternative of an `Optional` from another."""
    return tuple(f"{x.dtype}{x.shape}" if hasattr(x, "ndim") else type(x).__name__ for x in components)


def _zeros_like(x: Any) -> Any:
    return x.zeros_like() if isinstance(x, (ElementList, Optional)) else jnp.zeros_like(x)


@lower("OptionalFromValue")
def optional_from_value(components):
    return Optional([components], True)


@lower("OptionalNone")
def optional_none():
    return Optional([], False)


@lower("OptionalHasValue")
def optional_has_value(optional):
    has_value = optional.has_value
    return np.array(has_value) if isinstance(has_value, bool) else has_value


@lower("OptionalGetValue")
def optional_get_value(optional, *, output_types, output_shapes):
    for components in optional.alternatives:
        if all(map(_fits, components, output_types, output_shapes)):
            return (list(components),)
    raise InvalidArgumentError("The given optional does not have a value.")


def _fits(x: Any, dtype: Any, shape: Any) -> bool:
    if isinstance(x, (ElementList, Optional)):
        return dtype is dtypes.variant
    return x.dtype == dtype.numpy and is_compatible(shape, x.shape)
