"""A graph's saver: its variables to and from checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mgjax import checkpoint
from mgjax.errors import FeedError, RestoreError, UnknownNameError
from mgjax.function import GraphFunction, State, Variable, as_state
from mgjax.metagraph import Saved, saved_by
from mgjax.shapes import describe, is_compatible, is_static


class Saver:
    """Restores and saves the variables of an imported graph, in TensorFlow's formats.

    What it restores is what the graph's own saver restores: the nodes under `restore_op_name` of its SaverDef say which
    variable is which tensor of the checkpoint. Without a SaverDef it is every variable, under its own name.

    Attributes:
        function: the graph.
        saved: one entry for each variable that it restores and saves.
    """

    def __init__(self, function: GraphFunction, saved: Sequence[Saved]):
        self.function = function
        self.saved = tuple(saved)

    @classmethod
    def of(cls, function: GraphFunction) -> Saver | None:
        """The saver of an imported graph; None if it has no SaverDef and no variables."""
        meta_graph = function.meta_graph
        saved = None
        if meta_graph.HasField("saver_def") and meta_graph.saver_def.restore_op_name:
            saved = saved_by(function.graph, meta_graph.saver_def.restore_op_name)
        if saved is None:
            saved = [_under_own_name(variable) for variable in function.variables.values()]
        return cls(function, saved) if saved else None

    def restore(self, path: str | os.PathLike[str], *, seed: int | None = None) -> State:
        """The state that a checkpoint holds.

        Args:
            path: the checkpoint's prefix; the path of one of its files or its folder is understood.
            seed: for random ops that have no seed of their own; drawn from the operating system if None.

        Returns:
            The variables that the saver covers; counters of random ops stand at their start, as in TensorFlow.

        Raises:
            MissingFileError, ReadError: what is there is no checkpoint, or is damaged.
            RestoreError: lists the variables that the checkpoint lacks or holds with another shape or dtype.
        """
        opened = checkpoint.open(os.fspath(path))
        problems = self.problems(opened)
        if problems:
            raise RestoreError(
                f"{opened.prefix!r} does not fit the graph: " + "; ".join(problems[:50])
                + (f"; and {len(problems) - 50} more" if len(problems) > 50 else "")
            )  # fmt: skip
        whole = opened.read_all(dict.fromkeys(saved.key for saved in self.saved if saved.extents is None))
        arrays: dict[str, Any] = {}
        for saved in self.saved:
            variable = self._variable(saved)
            array = whole[saved.key] if saved.extents is None else opened.read(saved.key, saved.extents)
            arrays[variable.name] = _shaped(array, saved, variable)
        return self.function.empty_state(seed).replace(_on_device(arrays))

    def save(
        self,
        variables: Mapping[str, Any],
        path: str | os.PathLike[str],
        global_step: int | Any | None = None,
        *,
        latest_filename: str | None = None,
        earlier: Sequence[str] = (),
        write_state: bool = True,
    ) -> str:
        """Writes a V2 checkpoint, and the `checkpoint` file beside it, that TensorFlow 1.15 and 2.x restore.

        Args:
            variables: the state; all variables that the saver covers must be in it.
            path: the prefix of the checkpoint's files.
            global_step: a step that is put behind the prefix: an integer, an array, or the name of a variable.
            latest_filename: another name for the `checkpoint` file.
            earlier: prefixes of earlier checkpoints that the `checkpoint` file is to list, oldest first.
            write_state: whether to write the `checkpoint` file.

        Returns:
            The prefix that was written: `path`, or `path-step`.

        Raises:
            RestoreError: lists variables that have no value, or one of another shape or dtype than in the graph.
        """
        state = as_state(variables)
        missing = [saved.variable for saved in self.saved if self._variable(saved).name not in state.arrays]
        if missing:
            raise RestoreError(f"variables without a value cannot be saved: {', '.join(map(repr, missing))}")
        held = self._held(state)
        prefix = os.fspath(path)
        if global_step is not None:
            step = state.arrays[global_step] if isinstance(global_step, str) else global_step
            prefix = f"{prefix}-{int(np.asarray(step))}"
        values = jax.device_get(held)
        checkpoint.write(prefix, (self._tensor(saved, value) for saved, value in zip(self.saved, values, strict=True)))
        if write_state:
            checkpoint.write_state(os.path.dirname(prefix), prefix, [*earlier, prefix], latest_filename=latest_filename)
        return prefix

    def problems(self, opened: checkpoint.Checkpoint) -> list[str]:
        """Why an open checkpoint cannot be restored, a sentence for each variable concerned; empty where it can."""
        return [problem for saved in self.saved if (problem := self._problem(opened, saved)) is not None]

    def _held(self, state: State) -> list[Any]:
        """The values of the saver's variables, as arrays of the graph's dtypes and shapes."""
        arrays, problems = [], []
        for saved in self.saved:
            name = self._variable(saved).name
            try:
                arrays.append(self.function.hold(name, state.arrays[name]))
            except FeedError as error:
                problems.append(str(error))
        if problems:
            raise RestoreError(f"the state does not fit the graph: {'; '.join(problems[:50])}")
        return arrays

    def _tensor(self, saved: Saved, value: Any) -> checkpoint.Tensor:
        return checkpoint.Tensor(saved.key, value, saved.shape, saved.extents, self._variable(saved).dtype)

    def _variable(self, saved: Saved) -> Variable:
        variables = self.function.variables
        name = self.function.state_name(saved.variable)
        if name not in variables:
            raise UnknownNameError(f"the saver covers {saved.variable!r}, which is no variable of the graph")
        return variables[name]

    def _problem(self, opened: checkpoint.Checkpoint, saved: Saved) -> str | None:
        """Why the variable cannot be restored, or None."""
        variable = self._variable(saved)
        if saved.key not in opened:
            return f"{saved.key!r} is not in the checkpoint{_for(saved)}"
        dtype, shape = opened.dtype(saved.key), opened.shape(saved.key)
        if saved.shape is not None and tuple(shape) != saved.shape:
            whole = f"a part of {describe(saved.shape)}"
            return f"{variable.name!r} is {whole} in the graph and of {describe(shape)} in the checkpoint"
        found = _part_shape(shape, saved)
        fits = is_compatible(variable.shape, found) or (saved.reshape and _same_size(variable.shape, found))
        if dtype == variable.dtype and fits:
            return None
        return (
            f"{variable.name!r} is {variable.dtype.name}{describe(variable.shape)} in the graph "
            f"and {dtype.name}{describe(found)} in the checkpoint{_for(saved)}"
        )


def _under_own_name(variable: Variable) -> Saved:
    return Saved(variable.name, variable.checkpoint_key, variable.full_shape, variable.slice)


def _for(saved: Saved) -> str:
    return "" if saved.key == saved.variable else f" (for the variable {saved.variable!r})"


def _part_shape(shape: Sequence[int], saved: Saved) -> tuple[int, ...]:
    if saved.extents is None:
        return tuple(shape)
    return tuple(size if length == -1 else length for size, (_, length) in zip(shape, saved.extents, strict=True))


def _same_size(shape: Any, found: Sequence[int]) -> bool:
    return shape is not None and None not in shape and int(np.prod(shape)) == int(np.prod(found))


def _shaped(array: np.ndarray, saved: Saved, variable: Variable) -> np.ndarray:
    if saved.reshape and is_static(variable.shape) and array.shape != variable.shape:
        return array.reshape(cast("tuple[int, ...]", variable.shape))
    return array


def _on_device(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Numbers as JAX arrays; strings stay NumPy arrays of `bytes`."""
    with jax.enable_x64(True):
        return {name: array if array.dtype == object else jnp.asarray(array) for name, array in arrays.items()}
