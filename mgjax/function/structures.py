"""Fetch structures: nested lists, tuples, named tuples, mappings and classes of attrs, as `Session.run` takes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def flatten(structure: Any) -> list[Any]:
    """The leaves of a structure, left to right; a mapping's in its own order."""
    leaves: list[Any] = []
    _visit(structure, leaves.append)
    return leaves


def map_leaves(structure: Any, function: Callable[[Any], Any]) -> Any:
    """A structure of the same classes with `function` of each leaf."""
    return _visit(structure, function)


def rebuild(structure: Any, leaves: Sequence[Any]) -> Any:
    """The structure with other leaves, given left to right."""
    following = iter(leaves)
    return _visit(structure, lambda _: next(following))


def _visit(structure: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(structure, Mapping):
        items = [(key, _visit(value, leaf)) for key, value in structure.items()]
        if isinstance(structure, defaultdict):
            return type(structure)(structure.default_factory, items)
        return type(structure)(items) if structure.__class__ is not dict else dict(items)  # type: ignore[call-arg]
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[_visit(value, leaf) for value in structure])
    if isinstance(structure, list):
        return [_visit(value, leaf) for value in structure]
    if isinstance(structure, tuple):
        return type(structure)([_visit(value, leaf) for value in structure])
    if hasattr(type(structure), "__attrs_attrs__"):  # a class of the package attrs
        names = [attribute.name for attribute in type(structure).__attrs_attrs__]
        return type(structure)(*[_visit(getattr(structure, name), leaf) for name in names])
    return leaf(structure)
