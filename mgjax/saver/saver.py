"""`Saver`: restores and saves the variables of a graph, with TensorFlow's names, files and habits."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import jax
import numpy as np

from mgjax import checkpoint
from mgjax.errors import FeedError, RestoreError, UnknownNameError
from mgjax.exporting import export_meta_graph, write_meta_graph
from mgjax.function import GraphFunction, State, Variable, as_state, element_name
from mgjax.metagraph import Saved, SavedObject, objects_saved_by, saved_by, transform
from mgjax.proto import meta_graph_pb2
from mgjax.saver import placing
from mgjax.saver.chosen import all_variables, chosen
from mgjax.saver.counters import read_generators, write_generators
from mgjax.saver.fit import Fit, fit_of, part_shape
from mgjax.saver.objects import missing_objects, object_tensors, restore_objects
from mgjax.shapes import is_static

Shardings = jax.sharding.Sharding | Mapping[str, jax.sharding.Sharding] | Callable[[Variable], Any]

_log = logging.getLogger(__name__)
_MOST_PROBLEMS = 50
_V1, _V2 = 1, 2


class Saver:
    """Restores and saves the variables of an imported graph, in TensorFlow's formats; the arguments are `tf.train.Saver`'s.

    What the saver of an import restores is what the graph's own saver restores: the nodes under `restore_op_name` of its
    SaverDef say which variable is which tensor of the checkpoint. Without a SaverDef it is every variable, under its name.

    Args:
        function: the graph.
        var_list: variables, by name or object; or a mapping from key in the checkpoint to variable (or to the list of a
            partitioned variable's parts); all variables if None.
        reshape: whether a tensor of another shape in the checkpoint is given the variable's.
        sharded: whether to write a data file for each device that the graph names for variables.
        max_to_keep: how many checkpoints are kept; older ones that this saver wrote are deleted. 0 or None keeps all.
        keep_checkpoint_every_n_hours: of those that are due to be deleted, one in so many hours stays.
        saver_def: a SaverDef of the graph, which says all of this itself.
        allow_empty: whether there may be no variables.
        write_version: of the format, 1 or 2; 2 by default.
        pad_step_number: whether steps in names have eight digits.
        save_relative_paths: whether the `checkpoint` file names checkpoints from its folder.

    Attributes:
        function: the graph.
        saved: one entry for each variable that it restores and saves.
        objects: the host objects that it restores and saves, such as tables: those of its SaverDef's nodes.
        saver_def: the SaverDef of the nodes that do the same in the graph; None where there are none.
    """

    def __init__(
        self,
        function: GraphFunction,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        *,
        saver_def: Any = None,
        allow_empty: bool = False,
        write_version: int | None = None,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
    ):
        self.function = function
        self.saver_def: Any = None
        self.objects: tuple[SavedObject, ...] = ()
        if saver_def is not None:
            self.saver_def = meta_graph_pb2.SaverDef.FromString(saver_def.SerializeToString())
            sharded, max_to_keep = saver_def.sharded, saver_def.max_to_keep
            keep_checkpoint_every_n_hours = saver_def.keep_checkpoint_every_n_hours
            write_version = write_version or _version_of(function, saver_def)
            if var_list is None:
                var_list = _saved_by(function, saver_def)
                self.objects = tuple(objects_saved_by(function.graph, saver_def.restore_op_name))
        self.saved = tuple(all_variables(function) if var_list is None else chosen(function, var_list))
        if not self.saved and not allow_empty:
            raise ValueError("No variables to save")
        if write_version not in (None, _V1, _V2):
            raise ValueError(f"checkpoints are written in version 1 or 2, not {write_version!r}")
        self._reshape = reshape
        self._sharded = sharded
        self._version = write_version or _V2
        self._pad_step_number = pad_step_number
        self._save_relative_paths = save_relative_paths
        self._hours = keep_checkpoint_every_n_hours
        self._kept = checkpoint.Kept(max_to_keep or 0, keep_checkpoint_every_n_hours)
        self._background: Future[None] | None = None

    @classmethod
    def of(cls, function: GraphFunction) -> Saver | None:
        """The saver of an imported graph; None if it has no SaverDef and no variables."""
        meta_graph = function.meta_graph
        if meta_graph.HasField("saver_def") and meta_graph.saver_def.restore_op_name:
            saver = cls(function, saver_def=meta_graph.saver_def, allow_empty=True)
        else:
            saver = cls(function, allow_empty=True)
        return saver if saver.saved or saver.objects else None

    @classmethod
    def from_proto(cls, function: GraphFunction, saver_def: Any, import_scope: str | None = None) -> Saver:
        """The saver of a SaverDef whose names stand in a scope of the graph."""
        copy = meta_graph_pb2.SaverDef.FromString(saver_def.SerializeToString())
        transform.rename_saver(copy, lambda name: transform.scoped(name, import_scope or ""))
        return cls(function, saver_def=copy)

    def as_saver_def(self) -> Any:
        """Its SaverDef; without names of nodes where the graph has none that do what it does."""
        if self.saver_def is not None:
            return self.saver_def
        return meta_graph_pb2.SaverDef(
            max_to_keep=self._kept.max_to_keep,
            sharded=self._sharded,
            keep_checkpoint_every_n_hours=self._hours,
            version=self._version,  # type: ignore[arg-type]
        )

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Its SaverDef, its names without the scope `export_scope`; None where it does not stand in that scope."""
        return transform.saver_in_scope(self.as_saver_def(), export_scope)

    # ---- restoring

    def restore(
        self,
        path: str | os.PathLike[str],
        *,
        var_list: Any = None,
        allow_missing: bool = False,
        reshape: bool | None = None,
        cast: bool = False,
        shardings: Shardings | None = None,
        generators: bool = False,
        seed: int | None = None,
        verify: bool = True,
    ) -> State:
        """The state that a checkpoint holds.

        Args:
            path: the checkpoint's prefix; the path of one of its files or its folder is understood.
            var_list: what to restore of it: variables, or a mapping from key in the checkpoint to variable.
            allow_missing: whether variables that the checkpoint lacks, or holds with another shape or dtype, are left out of
                the state (which leaves them uninitialized) and logged; `fit` tells which these are.
            reshape: whether a tensor of another shape with as many elements is given the variable's.
            cast: whether numbers of another dtype are converted to the variable's.
            shardings: how values are spread over devices: one sharding for all, a mapping from variable name (the others
                go to the default device), or a function of the variable. A process reads only the bytes of its own
                devices' shards where others have the rest; then checksums, which are of whole tensors, are not verified.
            generators: whether the counters of random ops go on where `save(..., generators=True)` left them.
            seed: for random ops that have no seed of their own; drawn from the operating system if None.
            verify: whether what is read is checked against its checksum.

        Returns:
            The variables that the saver covers; counters of random ops stand at their start, as in TensorFlow.

        Raises:
            MissingFileError, ReadError: what is there is no checkpoint, or is damaged.
            RestoreError: lists the variables that the checkpoint lacks or holds with another shape or dtype.
        """
        opened = checkpoint.open(os.fspath(path), verify=verify)
        wanted = self._wanted(var_list)
        may_reshape = self._reshape if reshape is None else reshape
        fit = fit_of(opened, wanted, reshape=may_reshape, cast=cast)
        objects = self.objects if var_list is None else ()
        absent = missing_objects(opened, objects)
        problems = fit.problems + absent
        if problems and not allow_missing:
            more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
            raise RestoreError(
                f"{opened.prefix!r} does not fit the graph: {'; '.join(problems[:_MOST_PROBLEMS])}{more}"
            )
        if fit.problems:
            _log.warning("%s: %s", opened.prefix, fit)
        for problem in absent:
            _log.warning("%s: %s", opened.prefix, problem)
        restored = set(fit.restored)
        wanted = [(saved, variable) for saved, variable in wanted if variable.name in restored]
        arrays = self._read(opened, wanted, may_reshape, shardings)
        fresh = read_generators(opened.prefix, self.function) if generators else self.function.empty_state(seed)
        there = [saved for saved in objects if not missing_objects(opened, [saved])]
        return restore_objects(self.function, fresh.replace(arrays), opened, there)

    def fit(
        self,
        path: str | os.PathLike[str],
        *,
        var_list: Any = None,
        reshape: bool | None = None,
        cast: bool = False,
    ) -> Fit:
        """What of a checkpoint can be restored: which variables it lacks, which do not fit, which tensors are not used.

        The arguments are those of `restore`.
        """
        reshape = self._reshape if reshape is None else reshape
        return fit_of(checkpoint.open(os.fspath(path)), self._wanted(var_list), reshape=reshape, cast=cast)

    def problems(self, opened: checkpoint.Checkpoint) -> list[str]:
        """Why an open checkpoint cannot be restored, a sentence for each variable concerned; empty where it can."""
        return fit_of(opened, self._wanted(None), reshape=self._reshape, cast=False).problems

    def _wanted(self, var_list: Any) -> list[tuple[Saved, Variable]]:
        entries = self.saved if var_list is None else chosen(self.function, var_list, self.saved)
        return [(saved, self._variable(saved)) for saved in entries]

    def _read(
        self,
        opened: checkpoint.Checkpoint,
        wanted: Sequence[tuple[Saved, Variable]],
        reshape: bool,
        shardings: Shardings | None,
    ) -> dict[str, Any]:
        placed = {variable.name: _sharding_of(variable, shardings) for _, variable in wanted}
        together = [
            saved.key for saved, variable in wanted if saved.extents is None and _is_read_whole(placed[variable.name])
        ]
        whole = opened.read_all(dict.fromkeys(together))
        arrays: dict[str, Any] = {}
        for saved, variable in wanted:
            sharding = placed[variable.name]
            if not _is_read_whole(sharding):
                arrays[variable.name] = _read_regions(opened, saved, variable, cast("Any", sharding))
                continue
            array = whole[saved.key] if saved.extents is None else opened.read(saved.key, saved.extents)
            if (reshape or saved.reshape) and is_static(variable.shape) and array.shape != variable.shape:
                array = array.reshape(cast("tuple[int, ...]", variable.shape))
            array = array.astype(variable.dtype.numpy, copy=False)
            arrays[variable.name] = placing.on_device(array) if sharding is None else placing.sharded(array, sharding)
        return arrays

    # ---- saving

    def save(
        self,
        variables: Mapping[str, Any],
        path: str | os.PathLike[str],
        global_step: int | Any | None = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
        *,
        wait: bool = True,
        generators: bool = False,
    ) -> str:
        """Writes a checkpoint, its graph, and the `checkpoint` file beside it; TensorFlow 1.15 and 2.x restore them.

        Args:
            variables: the state; all variables that the saver covers must be in it.
            path: the prefix of the checkpoint's files.
            global_step: a step that is put behind the prefix: an integer, an array, or a variable of the state.
            latest_filename: another name for the `checkpoint` file.
            meta_graph_suffix: the ending of the graph's file.
            write_meta_graph: whether to write the graph, as imported or as scoped.
            write_state: whether to write the `checkpoint` file, and to count this checkpoint among those that are kept.
            strip_default_attrs: whether the graph is written without attributes that have their default.
            save_debug_info: as in `mgjax.export_meta_graph`.
            wait: whether to return only when all is written. If not, the values are copied first, so that the caller may
                donate their buffers at once; `wait()` tells how it went, and so does the next save.
            generators: whether to write the counters of random ops too, in a file beside it that TensorFlow does not know.

        Returns:
            The prefix that was written: `path`, or `path-step`; for V1 in shards their pattern.

        Raises:
            RestoreError: lists variables that have no value, or one of another shape or dtype than in the graph.
            OSError: the files cannot be written, for example because the disk is full; what was there before stays.
        """
        self.wait()
        latest_filename = latest_filename or checkpoint.FILENAME
        if os.path.split(latest_filename)[0]:
            raise ValueError("'latest_filename' must not contain path components")
        state = as_state(variables)
        held = self._held(state)
        prefix = os.fspath(path)
        if not prefix:
            raise ValueError("no path specified")
        if global_step is not None:
            step = _step(global_step, state)
            prefix = f"{prefix}-{step:08d}" if self._pad_step_number else f"{prefix}-{step}"
        elif os.path.basename(prefix) == latest_filename and not self._sharded:
            raise ValueError(f"'latest_filename' collides with 'save_path': '{latest_filename}' and '{prefix}'")
        counters = state if generators else None
        if counters is not None and not wait and counters.generators is not None:
            rows, words = placing.host_copies([counters.generators, counters.seed_words])
            counters = State({}, rows, words)
        values = jax.device_get(held) if wait else placing.host_copies(held)
        objects = self.object_tensors(state)

        def write() -> None:
            written = self.write(values, prefix, objects)
            if counters is not None:
                write_generators(prefix, self.function, counters)
            if write_state:
                self.keep(written, latest_filename, meta_graph_suffix)
            if write_meta_graph:
                target = f"{prefix}.{meta_graph_suffix}"
                self.export_meta_graph(target, strip_default_attrs=strip_default_attrs, save_debug_info=save_debug_info)

        if wait:
            write()
        else:
            executor = ThreadPoolExecutor(1, thread_name_prefix="mgjax-save")
            self._background = executor.submit(write)
            executor.shutdown(wait=False)
        return checkpoint.written_path(prefix, self._shard_count, self._version)

    def wait(self) -> None:
        """Returns when a save in the background has ended. Raises what went wrong with it, once."""
        background, self._background = self._background, None
        if background is not None:
            background.result()

    def export_meta_graph(
        self,
        filename: str | os.PathLike[str] | None = None,
        collection_list: Iterable[str] | None = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:
        """The graph with this saver's SaverDef; the arguments are those of `mgjax.export_meta_graph`.

        A saver that the graph has no nodes for leaves the SaverDef out; TensorFlow then makes one for all variables.
        """
        saver_def = None if self.saver_def is None else self.to_proto(export_scope)
        result = export_meta_graph(
            None, saver_def=saver_def, collection_list=collection_list, graph=self.function, export_scope=export_scope,
            clear_devices=clear_devices, clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs,
        )  # fmt: skip
        if saver_def is None:
            result.ClearField("saver_def")
        if filename is not None:
            write_meta_graph(filename, result, as_text=as_text, save_debug_info=save_debug_info)
        return result

    def write(self, values: Sequence[Any], prefix: str, objects: Sequence[checkpoint.Tensor] = ()) -> str:
        """Writes values of `saved`, in that order, and of host objects as a checkpoint, and nothing else; its path."""
        shards = self._shards()
        tensors = (
            checkpoint.Tensor(saved.key, value, saved.shape, saved.extents, self._variable(saved).dtype, shard)
            for saved, value, shard in zip(self.saved, values, shards, strict=True)
        )
        return checkpoint.write(
            prefix, itertools.chain(tensors, objects), shards=self._shard_count, version=self._version
        )

    def object_tensors(self, state: Mapping[str, Any]) -> list[checkpoint.Tensor]:
        """What `write` takes of a state's host objects."""
        return object_tensors(self.function, as_state(state), self.objects)

    def keep(self, path: str, latest_filename: str | None = None, meta_graph_suffix: str = "meta") -> None:
        """Counts a checkpoint among those written, lists it as the latest, and deletes those that are too many."""
        self._kept.record(path)
        checkpoint.write_state(
            os.path.dirname(path), path, self._kept.paths,
            latest_filename=latest_filename, save_relative_paths=self._save_relative_paths,
        )  # fmt: skip
        self._kept.delete_due(meta_graph_suffix)

    # ---- the checkpoints written

    @property
    def last_checkpoints(self) -> list[str]:
        """The paths of the checkpoints written and not deleted, oldest first."""
        self.wait()
        return self._kept.paths

    def set_last_checkpoints(self, last_checkpoints: Sequence[str]) -> None:
        """Replaces the list; these checkpoints will not be deleted."""
        self.set_last_checkpoints_with_time([(path, np.inf) for path in last_checkpoints])

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: Sequence[tuple[str, float]]) -> None:
        """Replaces the list by (path, when it was written, in seconds since 1970), oldest first."""
        self.wait()
        self._kept.entries = list(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Sequence[str]) -> None:
        """Replaces the list by those of the checkpoints that are there."""
        self.wait()
        self._kept.recover(checkpoint_paths)

    # ----

    def _held(self, state: State) -> list[Any]:
        """The values of the saver's variables, as arrays of the graph's dtypes and shapes."""
        missing = [saved.variable for saved in self.saved if self._variable(saved).name not in state.arrays]
        if missing:
            raise RestoreError(f"variables without a value cannot be saved: {', '.join(map(repr, missing))}")
        arrays, problems = [], []
        for saved in self.saved:
            name = self._variable(saved).name
            try:
                arrays.append(self.function.hold(name, state.arrays[name]))
            except FeedError as error:
                problems.append(str(error))
        if problems:
            raise RestoreError(f"the state does not fit the graph: {'; '.join(problems[:_MOST_PROBLEMS])}")
        return arrays

    def held(self, state: Mapping[str, Any]) -> list[Any]:
        """What `write` takes: the values of a state on this host, in the order of `saved`. Raises `RestoreError`."""
        return jax.device_get(self._held(as_state(state)))

    def _variable(self, saved: Saved) -> Variable:
        variables = self.function.variables
        name = self.function.state_name(saved.variable)
        if name not in variables:
            raise UnknownNameError(f"the saver covers {saved.variable!r}, which is no variable of the graph")
        return variables[name]

    def _devices(self) -> list[str]:
        return [self.function.graph.nodes[saved.variable].device for saved in self.saved]

    def _shards(self) -> list[int | None]:
        """The data file of each variable: one a device, in the order of the devices' names."""
        if not self._sharded:
            return [None] * len(self.saved)
        devices = self._devices()
        order = {device: i for i, device in enumerate(sorted(set(devices)))}
        return [order[device] for device in devices]

    @property
    def _shard_count(self) -> int | None:
        return len(set(self._devices())) if self._sharded else None


def _saved_by(function: GraphFunction, saver_def: Any) -> list[Saved] | None:
    return saved_by(function.graph, saver_def.restore_op_name)


def _version_of(function: GraphFunction, saver_def: Any) -> int:
    """The format that the graph's own saver writes; the first SaverDefs did not say."""
    if saver_def.version:
        return saver_def.version
    return _V2 if any(node.op == "SaveV2" for node in function.graph.graph_def.node) else _V1


def _step(global_step: Any, state: State) -> int:
    """The number that is meant: itself, an array's, or that of a variable given by name or object."""
    if isinstance(global_step, (int, np.integer)):
        return int(global_step)
    name = element_name(global_step)
    value = global_step if name is None else state.arrays.get(name.removesuffix(":0"))
    if value is None:
        raise UnknownNameError(f"global_step {name!r} is no variable that has a value in the state")
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"global_step is an integer, an array of one, or such a variable, not {global_step!r}")
    return int(array.reshape(()))


def _sharding_of(variable: Variable, shardings: Shardings | None) -> jax.sharding.Sharding | None:
    if shardings is None or not variable.dtype.is_numeric:
        return None
    if isinstance(shardings, Mapping):
        return shardings.get(variable.name)
    return shardings if isinstance(shardings, jax.sharding.Sharding) else shardings(variable)


def _is_read_whole(sharding: jax.sharding.Sharding | None) -> bool:
    return sharding is None or sharding.is_fully_addressable


def _read_regions(
    opened: checkpoint.Checkpoint, saved: Saved, variable: Variable, sharding: jax.sharding.Sharding
) -> Any:
    """A variable of which other processes hold shards too."""
    shape = part_shape(opened.shape(saved.key), saved)
    if variable.shape is not None and None not in variable.shape and shape != variable.shape:
        raise RestoreError(
            f"{variable.name!r} would be reshaped, which cannot be done to shards that other processes hold; "
            "restore it without a sharding"
        )
    starts = [0] * len(shape) if saved.extents is None else [start for start, _ in saved.extents]

    def read(region: tuple[tuple[int, int], ...]) -> np.ndarray:
        inner = [(first + start, size) for first, (start, size) in zip(starts, region, strict=True)]
        return opened.read(saved.key, inner, verify=False)

    return placing.from_regions(read, shape, variable.dtype.numpy, sharding)
