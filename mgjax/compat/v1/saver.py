"""`tf.train.Saver` over a session's state."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mgjax import checkpoint
from mgjax.compat.v1.framework import Tensor, get_default_graph
from mgjax.compat.v1.session import Session
from mgjax.compat.v1.variables import all_graph_variables
from mgjax.errors import FailedPreconditionError, MissingFileError, NotFoundError, RestoreError
from mgjax.function import State
from mgjax.metagraph import saved_by
from mgjax.proto import meta_graph_pb2
from mgjax.saver import Saver as GraphSaver


class Saver:
    """Saves and restores the variables of a graph.

    Args:
        var_list: variables, or a mapping from checkpoint key to variable; all of the default graph's if None.
        max_to_keep: how many checkpoints are kept; older ones that this saver wrote are deleted. 0 or None keeps all.
        saver_def: the SaverDef of an imported graph, whose nodes say what is saved.
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        **kwargs: Any,
    ):
        self.graph = get_default_graph()
        if saver_def is None:
            saver_def = _add_saver_nodes(self.graph, _by_key(var_list, self.graph), name or "save", max_to_keep)
        elif not saver_def.restore_op_name:
            raise ValueError("saver_def must specify the save_tensor_name:")
        self.saver_def = saver_def
        self._last: list[str] = []

    def as_saver_def(self) -> Any:
        """Its SaverDef."""
        return self.saver_def

    to_proto = as_saver_def

    @property
    def last_checkpoints(self) -> list[str]:
        """The prefixes written and not deleted, oldest first."""
        return list(self._last)

    def _saver(self) -> GraphSaver:
        function = self.graph.function
        saved = saved_by(function.graph, self.saver_def.restore_op_name)
        if saved is None:
            raise NotFoundError(f"the graph has no restore operation {self.saver_def.restore_op_name!r}")
        return GraphSaver(function, saved)

    def save(
        self,
        sess: Session,
        save_path: str | os.PathLike[str],
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
    ) -> str:
        """Writes a checkpoint, its `.meta` and the `checkpoint` file; the prefix that was written."""
        if not isinstance(sess, Session):
            raise TypeError(f"'sess' must be a Session; {sess}")
        if latest_filename is not None and os.path.split(latest_filename)[0]:
            raise ValueError("'latest_filename' must not contain path components")
        path = os.fspath(save_path)
        folder = os.path.dirname(path)
        if folder and not os.path.isdir(folder):
            raise ValueError(f"Parent directory of {path} doesn't exist, can't save.")
        try:
            prefix = self._saver().save(
                sess.state, path, _step(sess, global_step), latest_filename=latest_filename,
                earlier=self._earlier(), write_state=write_state,
            )  # fmt: skip
        except RestoreError as error:
            raise FailedPreconditionError(f"Attempting to use uninitialized value: {error}") from error
        if write_meta_graph:
            from mgjax.compat.v1.importer import export_meta_graph

            export_meta_graph(f"{prefix}.{meta_graph_suffix}", graph=sess.graph, saver_def=self.saver_def)
        if write_state:
            self._keep(prefix, meta_graph_suffix)
        return prefix

    def _earlier(self) -> list[str]:
        """The checkpoints that stay when one more is written."""
        keep = self.saver_def.max_to_keep
        return self._last[-(keep - 1) :] if keep > 1 else []

    def _keep(self, prefix: str, meta_graph_suffix: str) -> None:
        """Puts a checkpoint at the end of the list, and deletes the files of those that fall off its beginning."""
        if self.saver_def.max_to_keep <= 0:
            return
        kept = [path for path in self._last if path != prefix]
        for path in kept[: max(0, len(kept) + 1 - self.saver_def.max_to_keep)]:
            checkpoint.remove(path)
            with contextlib.suppress(FileNotFoundError):
                os.remove(f"{path}.{meta_graph_suffix}")
        self._last = [*kept, prefix][-self.saver_def.max_to_keep :]

    def restore(self, sess: Session, save_path: str | os.PathLike[str] | None) -> None:
        """Gives the session's variables the values that a checkpoint holds."""
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        path = os.fspath(save_path)
        try:
            restored = self._saver().restore(path)
        except MissingFileError as error:
            raise ValueError(f"The passed save_path is not a valid checkpoint: {path} ({error})") from error
        except RestoreError as error:
            raise NotFoundError(
                "Restoring from checkpoint failed. This is most likely due to a Variable name or other graph key that "
                f"is missing from the checkpoint, or a mismatch with the graph. Original error: {error}"
            ) from error
        sess.state = State({**sess.state.arrays, **restored.arrays}, sess.state.generators)


def _step(sess: Session, global_step: Any) -> int | None:
    if global_step is None:
        return None
    if isinstance(global_step, (int, np.integer)):
        return int(global_step)
    return int(sess.run(global_step if isinstance(global_step, Tensor) else sess.graph.as_graph_element(global_step)))


def _by_key(var_list: Any, graph: Any) -> dict[str, Any]:
    if var_list is None:
        var_list = all_graph_variables(graph)
    if isinstance(var_list, Mapping):
        return dict(var_list)
    if not isinstance(var_list, Sequence) or not var_list:
        raise ValueError("No variables to save")
    found: dict[str, Any] = {}
    for variable in var_list:
        if not hasattr(variable, "op"):
            raise TypeError(f"Variable to save is not a Variable: {variable}")
        if variable.op.name in found and found[variable.op.name] is not variable:
            raise ValueError(f"At least two variables have the same name: {variable.op.name}")
        found[variable.op.name] = variable
    return found


def _add_saver_nodes(graph: Any, by_key: Mapping[str, Any], name: str, max_to_keep: int | None) -> Any:
    """Adds the nodes that TensorFlow's Saver adds, and gives the SaverDef that names them."""
    keys = sorted(by_key)
    variables = [by_key[key] for key in keys]
    texts = np.array([key.encode() for key in keys], object)
    slices = np.array([b""] * len(keys), object)
    kinds = tuple(variable.dtype for variable in variables)
    with graph.name_scope(name) as scope, graph.control_dependencies(None):
        default = graph.create_op("Const", [], _string(b"model"), "filename/input").outputs[0]
        filename = graph.create_op("PlaceholderWithDefault", [default], {"shape": ()}, "filename").outputs[0]
        prefix = graph.create_op("PlaceholderWithDefault", [filename], {"shape": ()}, "Const").outputs[0]
        names = graph.create_op("Const", [], _strings(texts), "SaveV2/tensor_names").outputs[0]
        parts = graph.create_op("Const", [], _strings(slices), "SaveV2/shape_and_slices").outputs[0]
        values = [
            variable._as_reference() if not variable.is_resource else variable.read_value() for variable in variables
        ]
        save = graph.create_op("SaveV2", [prefix, names, parts, values], {"dtypes": kinds}, "SaveV2")
        with graph.control_dependencies([save]):
            saved = graph.create_op("Identity", [prefix], {}, "control_dependency").outputs[0]
        names = graph.create_op("Const", [], _strings(texts), "RestoreV2/tensor_names").outputs[0]
        parts = graph.create_op("Const", [], _strings(slices), "RestoreV2/shape_and_slices").outputs[0]
        restored = graph.create_op("RestoreV2", [prefix, names, parts], {"dtypes": kinds}, "RestoreV2").outputs
        assigns = [_assign(graph, variable, value) for variable, value in zip(variables, restored, strict=True)]
        with graph.control_dependencies(assigns):
            restore = graph.create_op("NoOp", [], {}, "restore_all")
    assert scope
    return meta_graph_pb2.SaverDef(
        filename_tensor_name=prefix.name,
        save_tensor_name=saved.name,
        restore_op_name=restore.name,
        max_to_keep=max_to_keep or 0,
        keep_checkpoint_every_n_hours=10000.0,
        version=meta_graph_pb2.SaverDef.V2,
    )


def _assign(graph: Any, variable: Any, value: Tensor) -> Any:
    if variable.is_resource:
        value = graph.create_op("Identity", [value], {}, "Identity").outputs[0]
        return graph.create_op("AssignVariableOp", [variable._as_reference(), value], {}, "AssignVariableOp")
    return graph.create_op("Assign", [variable._as_reference(), value], {}, "Assign")


def _string(value: bytes) -> dict[str, Any]:
    array = np.empty((), object)
    array[()] = value
    return _strings(array)


def _strings(array: np.ndarray) -> dict[str, Any]:
    from mgjax import dtypes

    return {"dtype": dtypes.string, "value": array}
