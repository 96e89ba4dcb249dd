"""The doors by which graphs come in."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax import dtypes
from mgjax.errors import UnknownNameError, UnsupportedError
from mgjax.function import GraphFunction, State, element_name
from mgjax.host import FileAccess
from mgjax.metagraph import Graph, files, transform
from mgjax.metagraph import collections as described
from mgjax.ops import REGISTRY, Lowering, describe
from mgjax.proto import meta_graph_pb2
from mgjax.proto.values import encode_attr
from mgjax.saver import Saver

UNBOUND_INPUTS = "unbound_inputs"
INIT_SIGNATURE = "__saved_model_init_op"

_log = logging.getLogger(__name__)


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    *,
    input_map: Mapping[str, Any] | None = None,
    unbound_inputs_col_name: str = UNBOUND_INPUTS,
    restore_collections_predicate: Callable[[str], bool] | None = None,
    return_elements: Sequence[str] | None = None,
    lowerings: Mapping[str, Lowering | Callable[..., Any]] | None = None,
    allow_files: Any = (),
    allow_writing: Any = (),
    py_functions: Mapping[str, Callable[..., Any]] | None = None,
    precision: str = "highest",
) -> tuple[Any, ...]:
    """Imports a MetaGraphDef.

    Args:
        meta_graph_or_file: the path of a `.meta` file, binary or text; its bytes; or a MetaGraphDef message, of this
            package or of TensorFlow's.
        clear_devices: whether to forget the devices that the graph names. The message that was given is not changed.
        import_scope: a scope to put before all names.
        input_map: from tensor of the file (without the scope) to what takes its place: a tensor's name, or an array.
        unbound_inputs_col_name: the collection that names inputs which `input_map` must give.
        restore_collections_predicate: says of a collection's key whether to keep it.
        return_elements: names of operations and tensors of the file to return as a third element, in a list.
        lowerings: lowerings for this import alone, by op, before the registered ones: functions as `mgjax.lower` takes them,
            or mappings that this package gives (`JAX_RANDOM`).
        allow_files: a path, or several, of files that the graph may read where it names them itself (vocabularies, training
            data); of a folder, all files below it. Any other file is refused.
        allow_writing: the same for files that it may write, and read.
        py_functions: from the token of a `PyFunc` to the Python function that it stands for: of arrays, to an array or several.
        precision: of products of matrices and convolutions on accelerators: "highest" is that of the operands' dtype; "high"
            and "default" let XLA take TF32 or passes of bfloat16 where the accelerator is faster with them.

    Returns:
        `(fn, saver)`; the saver is None where there are no variables to save.

    Raises:
        RuntimeError: a JAX trace is active.
        ReadError, MissingFileError: what was given is no MetaGraphDef.
        ValueError: unbound inputs that `input_map` does not give, or keys of it that the graph does not have.
    """
    _refuse_in_trace("import_meta_graph")
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.CopyFrom(files.read_meta_graph(meta_graph_or_file))
    check_unbound(meta_graph, unbound_inputs_col_name, input_map or {})
    for key in list(meta_graph.collection_def):
        if restore_collections_predicate is not None and not restore_collections_predicate(key):
            del meta_graph.collection_def[key]
    function = _function(meta_graph, clear_devices, import_scope or "", input_map or {}, lowerings)
    function.files = FileAccess.of(allow_files, allow_writing)
    function.python_functions = dict(py_functions or {})
    function.precision = precision
    saver = Saver.of(function)
    if return_elements is None:
        return function, saver
    return function, saver, [_element(function, name, import_scope or "") for name in return_elements]


def import_graph_def(
    graph_def_or_file: Any,
    input_map: Mapping[str, Any] | None = None,
    return_elements: Sequence[str] | None = None,
    name: str | None = None,
    *,
    lowerings: Mapping[str, Lowering | Callable[..., Any]] | None = None,
    allow_files: Any = (),
    allow_writing: Any = (),
    py_functions: Mapping[str, Callable[..., Any]] | None = None,
    precision: str = "highest",
) -> Any:
    """Imports a GraphDef: a frozen `.pb` file (binary or text), its bytes, or a message.

    Args:
        graph_def_or_file: what to import.
        input_map, return_elements, lowerings, allow_files, allow_writing, py_functions, precision: as in `import_meta_graph`.
        name: a scope to put before all names; none by default.

    Returns:
        `fn`, or `(fn, elements)` where `return_elements` is given.
    """
    _refuse_in_trace("import_graph_def")
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.graph_def.CopyFrom(files.read_graph_def(graph_def_or_file))
    function = _function(meta_graph, False, name or "", input_map or {}, lowerings)
    function.files = FileAccess.of(allow_files, allow_writing)
    function.python_functions = dict(py_functions or {})
    function.precision = precision
    if return_elements is None:
        return function
    return function, [_element(function, element, name or "") for element in return_elements]


def load_saved_model(
    folder: Any,
    tags: Sequence[str] = ("serve",),
    *,
    lowerings: Mapping[str, Lowering | Callable[..., Any]] | None = None,
    allow_files: Any = (),
    allow_writing: Any = (),
    py_functions: Mapping[str, Callable[..., Any]] | None = None,
    precision: str = "highest",
) -> tuple[GraphFunction, Any]:
    """Loads a SavedModel of TensorFlow 1: `(fn, state)`, with `fn.signatures` as the file gives them.

    Args:
        folder: the SavedModel's folder. The graph may read the files in its `assets`.
        tags: the tags of the MetaGraphDef that is wanted.
        lowerings, allow_files, allow_writing, py_functions, precision: as in `import_meta_graph`.

    Returns:
        The graph, and its variables as the SavedModel's checkpoint holds them, its tables initialized.
    """
    _refuse_in_trace("load_saved_model")
    found, prefix = files.read_saved_model(folder, tags)
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.CopyFrom(found)
    function = _function(meta_graph, False, "", {}, lowerings)
    path = os.fspath(folder)
    assets = os.path.join(path if os.path.isdir(path) else os.path.dirname(path), "assets")
    function.files = FileAccess.of(allow_files, allow_writing).also(assets)
    function.python_functions = dict(py_functions or {})
    function.precision = precision
    saver = Saver.of(function)
    state = function.empty_state() if saver is None or prefix is None else saver.restore(prefix)
    return function, _started(function, state, assets)


def _started(function: GraphFunction, state: State, assets: str) -> State:
    """The state after the operation that a SavedModel names for its start: it fills tables, among others."""
    collections = function.collections
    names = [*collections.get("saved_model_main_op", ()), *collections.get("legacy_init_op", ())]
    if INIT_SIGNATURE in function.signatures:
        names = list(function.signatures[INIT_SIGNATURE].outputs.values())
    if not names:
        return state
    feeds = {
        asset.tensor: os.path.join(assets, asset.filename)
        for asset in collections.get("saved_model_assets", ())
        if isinstance(asset, described.Asset)
    }
    name = element_name(names[0])
    operation = function.operations[name.removesuffix(":0")] if name is not None else names[0]
    try:
        return function(state, feeds, operation)[0]
    except UnsupportedError as error:
        # What needs it says so when it is fetched; the rest of the model can be used.
        _log.warning("the SavedModel's initialization cannot be run: %s", error)
        return state


def _refuse_in_trace(name: str) -> None:
    # Inside jit and its kin every new array is a tracer.
    if isinstance(jnp.zeros(()), jax.core.Tracer):
        raise RuntimeError(f"{name} cannot be called while JAX traces a function; import the graph outside of it")


def _function(
    meta_graph: Any,
    clear_devices: bool,
    scope: str,
    input_map: Mapping[str, Any],
    lowerings: Mapping[str, Lowering | Callable[..., Any]] | None,
) -> GraphFunction:
    graph_def = meta_graph.graph_def
    if clear_devices:
        transform.clear_devices(graph_def)
    if scope:
        transform.put_in_scope(meta_graph, scope)
    if input_map:
        mapping = {transform.scoped(key, scope): _replacement(graph_def, value) for key, value in input_map.items()}
        unused = transform.map_inputs(graph_def, mapping)
        if unused:
            raise ValueError(f"Attempted to map inputs that were not found in graph_def: [{', '.join(unused)}]")
    graph = Graph(graph_def, meta_graph.meta_info_def.stripped_op_list.op)
    own = {op: made if isinstance(made, Lowering) else describe(op, made) for op, made in (lowerings or {}).items()}
    return GraphFunction(graph, meta_graph, {**REGISTRY, **own} if own else REGISTRY)


def _replacement(graph_def: Any, value: Any) -> str:
    """The name of the tensor that stands for a value of an input map; an array becomes a constant of the graph."""
    name = element_name(value)
    if name is not None:
        return name
    array = np.asarray(value)
    taken = {node.name for node in graph_def.node}
    name = next(name for i in range(len(taken) + 1) if (name := f"input_map/value_{i}") not in taken)
    node = graph_def.node.add(name=name, op="Const")
    node.attr["dtype"].CopyFrom(encode_attr(dtypes.from_numpy(array.dtype), "type"))
    node.attr["value"].CopyFrom(encode_attr(array, "tensor"))
    return name


def check_unbound(meta_graph: Any, key: str, input_map: Mapping[str, Any]) -> None:
    if not key or key not in meta_graph.collection_def:
        return
    wanted = sorted(value.decode() for value in meta_graph.collection_def[key].bytes_list.value)
    if wanted and wanted != sorted(input_map):
        raise ValueError(
            f"Graph contains unbound inputs: {','.join(wanted)}. Must provide these inputs through input_map."
        )


def _element(function: GraphFunction, name: str, scope: str) -> Any:
    name = transform.scoped(name, scope)
    try:
        return function.tensor(name) if ":" in name else function.operations[name]
    except UnknownNameError as error:
        raise ValueError(f"Requested return tensor '{name}' not found in graph def") from error
