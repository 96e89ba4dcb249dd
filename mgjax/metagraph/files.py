"""Reading MetaGraphDefs, GraphDefs and SavedModels from files, bytes or messages.

TensorFlow tries: a file that is no binary message is read as text. So does this, but it looks at what comes out before it believes
it. What cannot be read is one `ReadError` (`MissingFileError` where there is no such file) that says what the file
is or seems to be, where it goes wrong, and what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from mgjax.errors import MissingFileError, ReadError
from mgjax.metagraph import kinds
from mgjax.metagraph.text import merge_text
from mgjax.metagraph.wire import find_damage
from mgjax.proto import graph_pb2, meta_graph_pb2

MAX_MESSAGE_BYTES = 2**31 - 1
"""No protobuf runtime reads a message that is larger."""

_PRODUCER_OF_1_15 = 134
"""`versions.producer` of graphs that TensorFlow 1.15 writes; newer writers know fields that it does not."""

M = TypeVar("M", bound=Message)

_DOORS = {
    "a MetaGraphDef": "read it with mgjax.import_meta_graph",
    "a GraphDef": "read it with mgjax.import_graph_def",
    "a SavedModel": "read its folder with mgjax.load_saved_model",
}


def read_meta_graph(source: Any) -> meta_graph_pb2.MetaGraphDef:
    """The MetaGraphDef of a `.meta` file, binary or text.

    Args:
        source: a path; the bytes of such a file; or a MetaGraphDef message, of this package (it is returned itself) or
            of TensorFlow's own.

    Raises:
        ReadError: the bytes are no MetaGraphDef. `MissingFileError`: there is no such file.
        TypeError: `source` is none of these.
    """
    return _read(source, meta_graph_pb2.MetaGraphDef, kinds.is_meta_graph)


def read_graph_def(source: Any) -> graph_pb2.GraphDef:
    """The GraphDef of a `.pb` or `.pbtxt` file, such as a frozen graph. Arguments and errors are as in `read_meta_graph`."""
    return _read(source, graph_pb2.GraphDef, kinds.is_graph_def)


def read_saved_model(
    folder: Any, tags: str | Iterable[str] | None = None
) -> tuple[meta_graph_pb2.MetaGraphDef, str | None]:
    """One MetaGraphDef of a SavedModel, and the prefix of the checkpoint that belongs to it.

    Args:
        folder: the SavedModel's folder, or the path of the `saved_model.pb` or `saved_model.pbtxt` in it.
        tags: exactly the tags that the MetaGraphDef has, in any order. Without it, the only one, else the one tagged "serve".

    Returns:
        The MetaGraphDef, and `folder/variables/variables`, or None where that checkpoint does not exist.

    Raises:
        ReadError: the file is no SavedModel, or has no MetaGraphDef with these tags. `MissingFileError`: there is none.
    """
    path = _saved_model_file(Path(os.fspath(folder)))
    model = _read(path, meta_graph_pb2.SavedModel, kinds.is_saved_model)
    meta_graph = _with_tags(model, tags, path)
    prefix = path.parent / "variables" / "variables"
    return meta_graph, str(prefix) if prefix.with_name("variables.index").is_file() else None


def _saved_model_file(folder: Path) -> Path:
    if folder.is_file():
        return folder
    for name in ("saved_model.pb", "saved_model.pbtxt"):
        if (folder / name).is_file():
            return folder / name
    if not folder.is_dir():
        raise MissingFileError(f"'{folder}' does not exist; wanted: the folder of a SavedModel")
    raise MissingFileError(
        f"'{folder}' is no SavedModel: it has neither saved_model.pb nor saved_model.pbtxt{_offers(folder)}"
    )


def _with_tags(
    model: meta_graph_pb2.SavedModel, tags: str | Iterable[str] | None, path: Path
) -> meta_graph_pb2.MetaGraphDef:
    if tags is None:
        if len(model.meta_graphs) == 1:
            return model.meta_graphs[0]
        tags = ("serve",)
    wanted = {tags} if isinstance(tags, str) else set(tags)
    for meta_graph in model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == wanted:
            return meta_graph
    available = " or ".join(str(sorted(meta_graph.meta_info_def.tags)) for meta_graph in model.meta_graphs)
    raise ReadError(f"'{path}' has no MetaGraphDef with the tags {sorted(wanted)}; give tags={available}")


# Sources


def _read(source: Any, message_class: type[M], is_plausible: Callable[[Message | None], bool]) -> M:
    if isinstance(source, message_class):
        return source
    if isinstance(source, Message):
        return _from_other_class(source, message_class)
    if isinstance(source, bytes | bytearray | memoryview):
        return _parse(bytes(source), message_class, is_plausible, "what was given", None)
    if isinstance(source, str | os.PathLike):
        path = Path(os.fspath(source))
        return _parse(_file_bytes(path, message_class), message_class, is_plausible, f"'{path}'", path)
    found = f"{type(source).__module__}.{type(source).__qualname__}"
    raise TypeError(f"wanted a path, bytes or a {message_class.DESCRIPTOR.name} message, not {found}")


def _from_other_class(source: Message, message_class: type[M]) -> M:
    name = message_class.DESCRIPTOR.name
    if source.DESCRIPTOR.name != name:
        found = f"a {source.DESCRIPTOR.name}"
        advice = f"; {_DOORS[found]}" if found in _DOORS else ""
        raise TypeError(f"wanted a {name} message, not {found}{advice}")
    try:
        return message_class.FromString(source.SerializeToString())
    except DecodeError as error:
        raise ReadError(f"the {source.DESCRIPTOR.full_name} message given is no {name}: {error}") from None


def _file_bytes(path: Path, message_class: type[Message]) -> bytes:
    name = message_class.DESCRIPTOR.name
    if path.is_dir():
        raise ReadError(f"'{path}' is a folder, not a file that holds a {name}{_offers(path)}")
    if not path.is_file():
        raise MissingFileError(f"'{path}' does not exist; wanted: a file that holds a {name}{_nearby(path)}")
    size = path.stat().st_size
    if size > MAX_MESSAGE_BYTES:
        # Also keeps a huge file of another kind, such as the values of a checkpoint, out of memory.
        raise ReadError(f"'{path}' has {size} bytes; a {name} has at most {MAX_MESSAGE_BYTES}{_hint(path)}")
    return path.read_bytes()


def _nearby(path: Path) -> str:
    """The file that was meant, if a missing path is the prefix of a checkpoint."""
    meta = path.with_name(path.name + ".meta")
    if path.name and meta.is_file():
        return f"; did you mean '{meta}'?"
    return _offers(path.parent) if path.parent.is_dir() else f"; there is no folder '{path.parent}' either"


def _offers(folder: Path) -> str:
    """The files in a folder that could have been meant."""
    if any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return f"; '{folder}' holds a SavedModel, which mgjax.load_saved_model reads"
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".meta", ".pb", ".pbtxt"))
    return f"; '{folder}' holds {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else ""


def _hint(path: Path | None) -> str:
    """The .meta that belongs to a file of a checkpoint."""
    if path is None:
        return ""
    stem, _, rest = path.name.rpartition(".")
    if rest == "index" or rest.startswith("data-"):
        meta = path.with_name(f"{stem}.meta")
        found = f"; the graph is in '{meta}'" if meta.is_file() else f"; '{meta.name}' beside it would hold the graph"
        return f", and by its name belongs to a checkpoint{found}"
    return ""


# Parsing


def _parse(
    data: bytes,
    message_class: type[M],
    is_plausible: Callable[[Message | None], bool],
    what: str,
    path: Path | None,
) -> M:
    name = message_class.DESCRIPTOR.name
    if not data:
        raise ReadError(f"{what} is empty; wanted: a {name}, binary or text")
    message = kinds.parse_or_none(message_class, data)
    if is_plausible(message):
        assert message is not None
        return message
    known = kinds.describe_bytes(data)
    if known is None and kinds.is_text(data):
        return _parse_text(data, message_class, is_plausible, what, path)
    raise ReadError(_why_not(data, known, message_class, message is not None, what, path))


def _why_not(
    data: bytes, known: str | None, message_class: type[Message], is_message: bool, what: str, path: Path | None
) -> str:
    name = message_class.DESCRIPTOR.name
    if known is not None and known != f"a {name}":
        advice = f"; {_DOORS[known]}" if known in _DOORS else ""
        return f"{what} is no {name}: it is {known}{_hint(path)}{advice}"
    if is_message:
        return f"{what} is no {name}: it can be read as one, but holds no graph; it is of another kind, or damaged{_hint(path)}"
    damage = find_damage(data, message_class.DESCRIPTOR)
    if damage is None:
        return f"{what} is no {name}: protobuf cannot read it{_hint(path)}"
    where = f"byte {damage.offset}{f', in {damage.path},' if damage.path else ''} of {len(data)}: {damage.reason}"
    if not damage.path and damage.offset < 16:
        return f"{what} is no {name}, binary or text, nor any kind of file that is known here; {where}{_hint(path)}"
    kind = "truncated" if damage.truncated else "damaged"
    return f"{what} is a {kind} {name}, or none at all: {where}{_hint(path)}; copy it again from where it came from"


def _parse_text(
    data: bytes, message_class: type[M], is_plausible: Callable[[Message | None], bool], what: str, path: Path | None
) -> M:
    name = message_class.DESCRIPTOR.name
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadError(
            f"{what} is no {name}: as text, byte {error.start} of {len(data)} is not UTF-8{_hint(path)}"
        ) from None
    try:
        message = merge_text(text, message_class())
    except ReadError as error:
        newer = _from_newer_text(text, message_class)
        if newer is None or not is_plausible(newer):
            raise ReadError(f"{what} is no {name}: as text, {error}{_hint(path)}") from None
        return newer
    if not is_plausible(message):
        raise ReadError(f"{what} is no {name}: it is text that holds no graph{_hint(path)}")
    return message


def _from_newer_text(text: str, message_class: type[M]) -> M | None:
    """What text holds besides fields that this package does not know, if a writer newer than TensorFlow 1.15 wrote it."""
    try:
        message = merge_text(text, message_class(), allow_unknown_field=True)
    except ReadError:
        return None
    return message if max(_producers(message), default=0) > _PRODUCER_OF_1_15 else None


def _producers(message: Message) -> Sequence[int]:
    match message:
        case graph_pb2.GraphDef():
            return [message.versions.producer]
        case meta_graph_pb2.MetaGraphDef():
            return [message.graph_def.versions.producer]
        case meta_graph_pb2.SavedModel():
            return [meta_graph.graph_def.versions.producer for meta_graph in message.meta_graphs]
    return []
