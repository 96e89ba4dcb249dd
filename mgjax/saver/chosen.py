"""Which variables a saver covers, and under which keys: what a caller's `var_list` means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mgjax.errors import UnknownNameError
from mgjax.function import GraphFunction, Variable, element_name
from mgjax.metagraph import Saved, nearest, split_tensor_name


def all_variables(function: GraphFunction) -> list[Saved]:
    """Every variable, under its own name."""
    return [under_own_name(variable) for variable in function.variables.values()]


def under_own_name(variable: Variable) -> Saved:
    return Saved(variable.name, variable.checkpoint_key, variable.full_shape, variable.slice)


def chosen(function: GraphFunction, var_list: Any, covered: Iterable[Saved] = ()) -> list[Saved]:
    """What `var_list` names.

    Args:
        function: the graph.
        var_list: variables, by name or object, or only entries `Saved`; or a mapping from key in the checkpoint to a variable, or
            to the list of the parts of one.
        covered: entries to take for variables that are not renamed; others go under their own names.

    Raises:
        UnknownNameError: a name that is no variable of the graph.
        ValueError: two variables have one key, and are not parts of one; or a variable has two keys.
    """
    known = {function.state_name(saved.variable): saved for saved in covered}
    found: list[Saved] = []
    if isinstance(var_list, Mapping):
        for key, value in var_list.items():
            if not isinstance(key, str):
                raise TypeError(f"a key of var_list is the name of a tensor in the checkpoint, not {key!r}")
            for part in value if isinstance(value, (list, tuple)) else [value]:
                found.append(replace(under_own_name(_variable(function, part)), key=key))
    else:
        if isinstance(var_list, str) or not isinstance(var_list, Iterable):
            raise TypeError(f"var_list is a list of variables, or a mapping from key to variable, not {var_list!r}")
        entries = list(var_list)
        if entries and all(isinstance(value, Saved) for value in entries):
            return entries  # as the graph's own nodes have them
        for value in entries:
            variable = _variable(function, value)
            found.append(known.get(variable.name) or under_own_name(variable))
    _refuse_twice(found)
    return found


def _variable(function: GraphFunction, value: Any) -> Variable:
    if isinstance(value, Variable):
        return value
    given = element_name(value)
    if given is None:
        raise TypeError(f"a variable's name, or an object with such a name, is wanted, not {value!r}")
    name = function.state_name(split_tensor_name(given)[0])
    if name not in function.variables:
        raise UnknownNameError(f"{given!r} is no variable of the graph{nearest(name, function.variables)}")
    return function.variables[name]


def _refuse_twice(found: list[Saved]) -> None:
    keys: dict[str, Saved] = {}
    variables: dict[str, str] = {}
    for saved in found:
        other = keys.setdefault(saved.key, saved)
        if other is not saved and (other.extents is None or saved.extents is None):
            raise ValueError(f"At least two variables have the same name: {saved.key}")
        if variables.setdefault(saved.variable, saved.key) != saved.key:
            raise ValueError(f"The same variable, {saved.variable!r}, will be restored with two names: {saved.key}")
