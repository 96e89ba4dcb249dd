"""`tf.train.Saver` over a session's state."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mgjax import checkpoint
from mgjax.compat.v1.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnsupportedError,
    raised_as_tensorflow_does,
)
from mgjax.compat.v1.framework import Graph, get_default_graph
from mgjax.compat.v1.saver_nodes import add_saver_nodes, by_key
from mgjax.compat.v1.session import Session
from mgjax.compat.v1.states import checkpoint_exists
from mgjax.errors import MissingFileError, RestoreError
from mgjax.metagraph import Saved, objects_saved_by, saved_by, transform
from mgjax.proto import meta_graph_pb2, object_graph_pb2
from mgjax.saver import Saver as GraphSaver

SaverDef = meta_graph_pb2.SaverDef
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The tensor of an object-based checkpoint that says which variable is which tensor."""

_ADVICE = "Please ensure that you have not altered the graph expected based on the checkpoint. Original error:"


class Saver:
    """Saves and restores the variables of a graph.

    Args:
        var_list: variables, or a mapping from checkpoint key to variable; all of the default graph's if None.
        reshape: whether a tensor of another shape in the checkpoint is given the variable's.
        max_to_keep: how many checkpoints are kept; older ones that this saver wrote are deleted. 0 or None keeps all.
        keep_checkpoint_every_n_hours: of those that are due to be deleted, one in so many hours stays.
        name: the scope of the nodes that are added.
        saver_def: the SaverDef of an imported graph, whose nodes say what is saved.
        defer_build: whether `build` is called later.
        allow_empty: whether there may be no variables; nothing is saved then.
        pad_step_number: whether steps in names have eight digits.
        save_relative_paths: whether the `checkpoint` file names checkpoints from its folder.
        filename: the default of the nodes' file name.
        sharded: whether to write a data file for each device that holds variables.
        write_version: of the format, 1 or 2; 2 by default.
        restore_sequentially, builder: have no effect.
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
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: Any = None,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
    ):
        if saver_def is not None:
            _check_saver_def(saver_def)
        if defer_build and var_list is not None:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set defer_build=False or var_list=None."
            )
        self.graph = get_default_graph()
        self.saver_def: Any = saver_def
        self._var_list = var_list
        self._options: dict[str, Any] = {"reshape": reshape, "name": name or "save", "filename": filename or "model"}
        self._options.update(sharded=sharded, version=write_version or SaverDef.V2)
        self._keep = (max_to_keep or 0, keep_checkpoint_every_n_hours)
        self._allow_empty = allow_empty
        self._pad_step_number = pad_step_number
        self._save_relative_paths = save_relative_paths
        self._is_empty = False
        if saver_def is None and not defer_build:
            self.build()
        if saver_def is not None:
            self._keep = (saver_def.max_to_keep, saver_def.keep_checkpoint_every_n_hours)
        self._kept = checkpoint.Kept(*self._keep)

    def build(self) -> None:
        """Adds the nodes that save and restore."""
        if self.saver_def is not None:
            return
        variables = by_key(self._var_list, self.graph)
        if not variables:
            if not self._allow_empty:
                raise ValueError("No variables to save")
            self._is_empty = True
            return
        self.saver_def = add_saver_nodes(self.graph, variables, *self._keep, **self._options)

    def as_saver_def(self) -> Any:
        """Its SaverDef."""
        return self.saver_def

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Its SaverDef, without the scope `export_scope`; None where it does not stand in that scope."""
        return self.saver_def if not export_scope else transform.saver_in_scope(self.saver_def, export_scope)

    def export_meta_graph(
        self,
        filename: str | os.PathLike[str] | None = None,
        collection_list: Sequence[str] | None = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:
        """The default graph as a MetaGraphDef with this saver's SaverDef; written to `filename` if one is given."""
        from mgjax.compat.v1.importer import export_meta_graph

        return export_meta_graph(
            filename, saver_def=self.saver_def if export_scope is None else self.to_proto(export_scope),
            collection_list=collection_list, as_text=as_text, export_scope=export_scope, clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers, strip_default_attrs=strip_default_attrs,
            save_debug_info=save_debug_info,
        )  # fmt: skip

    @staticmethod
    def from_proto(saver_def: Any, import_scope: str | None = None) -> Saver:
        """The saver of a SaverDef whose names stand in a scope of the default graph."""
        copy = meta_graph_pb2.SaverDef.FromString(saver_def.SerializeToString())
        if import_scope:
            for field in ("filename_tensor_name", "save_tensor_name", "restore_op_name"):
                setattr(copy, field, f"{import_scope}/{getattr(copy, field)}")
        return Saver(saver_def=copy)

    # ---- the checkpoints written

    @property
    def last_checkpoints(self) -> list[str]:
        """The prefixes written and not deleted, oldest first."""
        return self._kept.paths

    def set_last_checkpoints(self, last_checkpoints: Sequence[str]) -> None:
        """Replaces the list; these checkpoints will not be deleted."""
        self.set_last_checkpoints_with_time([(path, np.inf) for path in last_checkpoints])

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: Sequence[tuple[str, float]]) -> None:
        """Replaces the list by (prefix, when it was written, in seconds since 1970), oldest first."""
        self._kept.entries = list(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Sequence[str]) -> None:
        """Replaces the list by those of the checkpoints that are there."""
        self._kept.recover(checkpoint_paths)

    # ---- saving

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
        save_debug_info: bool = False,
    ) -> str | None:
        """Writes a checkpoint, the `checkpoint` file and its `.meta`; the prefix that was written, None if it is empty."""
        self._check_built("save")
        if not isinstance(sess, Session):
            raise TypeError(f"'sess' must be a Session; {sess}")
        if self._is_empty:
            return None
        sess.check_open()
        latest_filename = latest_filename or "checkpoint"
        if os.path.split(latest_filename)[0]:
            raise ValueError("'latest_filename' must not contain path components")
        prefix = self._prefix(sess, os.fspath(save_path), global_step, latest_filename)
        os.makedirs(os.path.dirname(prefix) or ".", exist_ok=True)
        written = self._write(sess, prefix)
        if write_state:
            self._kept.record(written)
            checkpoint.write_state(
                os.path.dirname(prefix), written, self.last_checkpoints,
                latest_filename=latest_filename, save_relative_paths=self._save_relative_paths,
            )  # fmt: skip
            self._kept.delete_due(meta_graph_suffix)
        if write_meta_graph:
            with sess.graph.as_default():
                self.export_meta_graph(
                    f"{prefix}.{meta_graph_suffix}",
                    strip_default_attrs=strip_default_attrs,
                    save_debug_info=save_debug_info,
                )
        return written

    def _write(self, sess: Session, prefix: str) -> str:
        saver = self._saver(sess)
        try:
            with raised_as_tensorflow_does(sess.graph):
                return saver.write(saver.held(sess.state), prefix, saver.object_tensors(sess.state))
        except InvalidArgumentError as error:
            if isinstance(error.__cause__, RestoreError):
                raise FailedPreconditionError(None, None, f"Attempting to use uninitialized value: {error}") from error
            raise

    def _prefix(self, sess: Session, path: str, global_step: Any, latest_filename: str) -> str:
        if not path:
            raise ValueError("no path specified")
        if global_step is None:
            if os.path.basename(path) == latest_filename and not self.saver_def.sharded:
                raise ValueError(f"'latest_filename' collides with 'save_path': '{latest_filename}' and '{path}'")
            return path
        is_number = isinstance(global_step, (int, np.integer))
        step = int(global_step if is_number else sess.run(global_step))
        return f"{path}-{step:08d}" if self._pad_step_number else f"{path}-{step}"

    def _check_built(self, method: str) -> None:
        if self.saver_def is None and not self._is_empty:
            raise RuntimeError(f"`build()` should be called before {method} if defer_build==True")

    def _saver(self, sess: Session) -> GraphSaver:
        """What the graph's nodes say that this saver saves."""
        function = sess.graph.function
        for name in (self.saver_def.filename_tensor_name, self.saver_def.save_tensor_name):
            try:
                sess.graph.as_graph_element(name)
            except (KeyError, ValueError) as error:
                raise TypeError(f"Cannot interpret feed_dict key as Tensor: {error.args[0]}") from error
        try:
            sess.graph.as_graph_element(self.saver_def.restore_op_name)
        except KeyError as error:
            raise ValueError(
                f"Fetch argument {self.saver_def.restore_op_name!r} cannot be interpreted as a Tensor. ({error})"
            ) from error
        saved = saved_by(function.graph, self.saver_def.restore_op_name)
        objects = objects_saved_by(function.graph, self.saver_def.restore_op_name)
        if saved is None and not objects:
            raise UnsupportedError(
                None, None, f"what {self.saver_def.restore_op_name!r} runs has not the form that a Saver makes; "
                "make a Saver of the variables: tf.train.Saver()",
            )  # fmt: skip
        version = self._version(sess.graph)
        saver = GraphSaver(
            function, saved or [], sharded=self.saver_def.sharded, write_version=version, allow_empty=saved is None
        )
        saver.objects = tuple(objects)
        return saver

    def _version(self, graph: Graph) -> int:
        """The format that the saver's nodes write; the first SaverDefs did not say."""
        if self.saver_def.version:
            return self.saver_def.version
        return SaverDef.V2 if any(op.type == "SaveV2" for op in graph.get_operations()) else SaverDef.V1

    # ---- restoring

    def restore(self, sess: Session, save_path: str | os.PathLike[str] | None) -> None:
        """Gives the session's variables the values that a checkpoint holds; no variable changes where that fails."""
        if self._is_empty:
            return
        self._check_built("restore")
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        if not isinstance(sess, Session):
            raise TypeError(f"'sess' must be a Session; {sess}")
        sess.check_open()
        path = os.fspath(save_path)
        saver = self._saver(sess)
        opened = _open(path)
        missing = [saved.key for saved in saver.saved if saved.key not in opened]
        if missing:
            objects = saver.objects
            saver = GraphSaver(saver.function, _by_objects(saver.saved, opened, missing))
            saver.objects = objects
        try:
            with raised_as_tensorflow_does(sess.graph):
                restored = saver.restore(opened.prefix)
        except NotFoundError as error:
            raise _missing(str(error)) from error
        except InvalidArgumentError as error:
            raise InvalidArgumentError(
                None, None, "Restoring from checkpoint failed. This is most likely due to a mismatch between the current "
                f"graph and the graph from the checkpoint. {_ADVICE}\n\n{error}",
            ) from error  # fmt: skip
        sess.state = sess.state.replace(restored.arrays).with_objects(restored.objects or {})


def _check_saver_def(saver_def: Any) -> None:
    if getattr(getattr(saver_def, "DESCRIPTOR", None), "name", "") != "SaverDef":
        raise ValueError(f"saver_def must be a saver_pb2.SaverDef: {saver_def}")
    for field in ("save_tensor_name", "restore_op_name"):
        if not getattr(saver_def, field):
            raise ValueError(f"saver_def must specify the {field}: {saver_def}")


def _open(path: str) -> checkpoint.Checkpoint:
    try:
        with raised_as_tensorflow_does():
            return checkpoint.open(path)
    except NotFoundError as error:
        if isinstance(error.__cause__, MissingFileError) and not checkpoint_exists(path):
            raise ValueError(f"The passed save_path is not a valid checkpoint: {path} ({error})") from error
        raise _missing(str(error)) from error


def _missing(why: str) -> NotFoundError:
    return NotFoundError(
        None, None, "Restoring from checkpoint failed. This is most likely due to a Variable name or other graph key that "
        f"is missing from the checkpoint. {_ADVICE}\n\n{why}",
    )  # fmt: skip


def _by_objects(saved: Sequence[Saved], opened: checkpoint.Checkpoint, missing: Sequence[str]) -> list[Saved]:
    """What is saved under the keys that an object-based checkpoint (`tf.train.Checkpoint`) has for the variables' names.

    Raises:
        NotFoundError: the checkpoint is not object-based, or lacks a variable.
    """
    if OBJECT_GRAPH not in opened:
        more = f" (and {len(missing) - 1} more: {', '.join(missing[1:6])})" if missing[1:] else ""
        raise _missing(f"Key {missing[0]} not found in checkpoint {opened.prefix}{more}")
    objects = object_graph_pb2.TrackableObjectGraph.FromString(opened.read(OBJECT_GRAPH).item())
    keys = {
        attribute.full_name: attribute.checkpoint_key for node in objects.nodes for attribute in node.attributes
    }  # fmt: skip
    absent = [entry.key for entry in saved if entry.key not in keys]
    if absent:
        raise NotFoundError(
            None, None, "Existing variables not in the checkpoint: " + ", ".join(absent)
            + "\n\nVariables names when this checkpoint was written which don't exist now: "
            + ", ".join(sorted(keys.keys() - {entry.key for entry in saved})),
        )  # fmt: skip
    return [replace(entry, key=keys[entry.key]) for entry in saved]


__all__ = ["Saver"]
