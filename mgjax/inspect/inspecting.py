"""`inspect`: reads whatever graph a path leads to and gathers what is to be said of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgjax import checkpoint
from mgjax.errors import MissingFileError, ReadError, UnsupportedError
from mgjax.function import GraphFunction
from mgjax.importing import import_meta_graph
from mgjax.inspect.interface import find_inputs, find_outputs
from mgjax.inspect.report import GIVEN, Nearby, Output, Report, TrainOp, Unsupported
from mgjax.inspect.support import unsupported_ops
from mgjax.inspect.survey import Survey
from mgjax.inspect.training import Training
from mgjax.metagraph import decode_collections, files
from mgjax.proto import graph_pb2, meta_graph_pb2
from mgjax.saver import Saver


@dataclass(frozen=True, slots=True)
class Found:
    """A graph that was read: what it is called, of what kind the file is, and where its checkpoint would be."""

    source: str
    kind: str
    meta_graph: Any
    prefix: str | None


def inspect(source: Any, *, tags: str | Iterable[str] | None = None) -> Report:
    """What is in a MetaGraphDef, GraphDef or SavedModel; `print` shows it. Nothing is run or compiled.

    Args:
        source: the path of a `.meta`, `.pb` or `.pbtxt` file, of a file of a checkpoint beside its `.meta`, or of a
            SavedModel's folder; the bytes of such a file; a message.
        tags: of the MetaGraphDef that is wanted, for a SavedModel that has several.

    Raises:
        ReadError, MissingFileError: nothing of this kind is there.
    """
    found = read_graph(source, tags=tags)
    function, saver = import_meta_graph(found.meta_graph, unbound_inputs_col_name="")
    survey = Survey(function)
    training = Training(function, survey)
    refused = unsupported_ops(function, survey)
    missing = survey.bits(_bits_by_node(refused.values()))
    inputs = find_inputs(function)
    outputs = find_outputs(function, survey, inputs, missing, list(refused))
    train_ops = training.train_ops()
    info = found.meta_graph.meta_info_def
    return Report(
        source=found.source,
        kind=found.kind,
        tensorflow=info.tensorflow_version,
        producer=function.graph.producer,
        tags=tuple(info.tags),
        nodes=len(function.graph.graph_def.node),
        ops=dict(Counter(survey.ops).most_common()),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        signatures=function.signatures,
        variables=tuple(training.held()),
        train_ops=tuple(train_ops),
        unsaved=tuple(_unsaved(function, saver)),
        initializers=tuple(training.initializer_names()),
        collections={key: len(values) for key, values in function.collections.items()},
        devices=dict(Counter(n.device for n in function.graph.graph_def.node if n.device).most_common()),
        unsupported=tuple(_unsupported(refused, survey, missing, outputs, train_ops)),
        races=tuple(training.races()),
        unseeded=tuple(training.unseeded()),
        functions=tuple(function.graph.library),
        checkpoint=_nearby(found.prefix, saver),
        notes=tuple(_notes(function)),
    )


def read_graph(source: Any, *, tags: str | Iterable[str] | None = None) -> Found:
    """The graph that `source` is or leads to, a MetaGraphDef, GraphDef or SavedModel. Arguments and errors as in `inspect`."""
    if isinstance(source, str | os.PathLike):
        return _read_path(Path(os.fspath(source)), tags)
    kind, meta_graph = _read_either(source)
    return Found(GIVEN, kind, meta_graph, None)


def _read_path(path: Path, tags: str | Iterable[str] | None) -> Found:
    path = _meant(path)
    if path.is_dir() or path.name in ("saved_model.pb", "saved_model.pbtxt"):
        meta_graph, prefix = files.read_saved_model(path, tags)
        return Found(str(path), "SavedModel", meta_graph, prefix)
    kind, meta_graph = _read_either(str(path))
    return Found(str(path), kind, meta_graph, str(path.with_suffix("")) if path.suffix == ".meta" else None)


def _meant(path: Path) -> Path:
    """The path itself, or the `.meta` of the checkpoint that it is the prefix or a file of."""
    if path.suffix in (".meta", ".pb", ".pbtxt") or any(
        (path / f"saved_model{end}").is_file() for end in (".pb", ".pbtxt")
    ):
        return path
    try:
        meta = Path(f"{checkpoint.find(path)}.meta")
    except (MissingFileError, ReadError):
        return path
    return meta if meta.is_file() else path


def _read_either(source: Any) -> tuple[str, Any]:
    """A MetaGraphDef, or a GraphDef as one."""
    if getattr(getattr(source, "DESCRIPTOR", None), "name", "") == "GraphDef":
        return "GraphDef", _around(files.read_graph_def(source))
    try:
        return "MetaGraphDef", files.read_meta_graph(source)
    except MissingFileError:
        raise
    except ReadError as error:
        try:
            return "GraphDef", _around(files.read_graph_def(source))
        except ReadError:
            raise error from None


def _around(graph_def: graph_pb2.GraphDef) -> Any:
    meta_graph = meta_graph_pb2.MetaGraphDef()
    meta_graph.graph_def.CopyFrom(graph_def)
    return meta_graph


def _bits_by_node(nodes_by_op: Iterable[list[int]]) -> dict[int, int]:
    bits: dict[int, int] = {}
    for bit, nodes in enumerate(nodes_by_op):
        for i in nodes:
            bits[i] = bits.get(i, 0) | 1 << bit
    return bits


def _unsupported(
    refused: dict[str, list[int]],
    survey: Survey,
    missing: list[int],
    outputs: list[Output],
    train_ops: list[TrainOp],
) -> Iterable[Unsupported]:
    wanted = {output.tensor.name: output.tensor.name.rpartition(":")[0] for output in outputs}
    wanted |= {op.name: op.name for op in train_ops}
    for bit, (op, nodes) in enumerate(refused.items()):
        needed_by = [shown for shown, node in wanted.items() if missing[survey.number[node]] >> bit & 1]
        yield Unsupported(op, tuple(survey.names[i] for i in nodes), tuple(needed_by))


def _unsaved(function: GraphFunction, saver: Saver | None) -> Iterable[str]:
    saved = {function.state_name(saved.variable) for saved in saver.saved} if saver is not None else function.variables
    return (name for name in function.variables if name not in saved)


def _nearby(prefix: str | None, saver: Saver | None) -> Nearby | None:
    if prefix is None or not checkpoint.exists(prefix):
        return None
    try:
        opened = checkpoint.open(prefix)
        return Nearby(prefix, len(opened), tuple(saver.problems(opened)) if saver is not None else ())
    except (ReadError, UnsupportedError) as error:
        return Nearby(prefix, 0, (f"it cannot be read: {error}",))


def _notes(function: GraphFunction) -> Iterable[str]:
    for collection in decode_collections(function.meta_graph).values():
        yield from collection.notes
    if function.graph.duplicates:
        names = ", ".join(function.graph.duplicates[:5])
        yield f"{len(function.graph.duplicates)} names stand for more than one node, of which the first counts: {names}"
