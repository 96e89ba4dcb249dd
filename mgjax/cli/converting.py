"""`mgjax convert FILE --to text|binary`: the two forms of the same message."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from mgjax.checkpoint import write_file
from mgjax.errors import ReadError
from mgjax.metagraph import files


def add_convert(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "convert",
        help="a graph from binary to text or back",
        description="Writes a MetaGraphDef or GraphDef in the other of its two forms; TensorFlow reads both.",
    )
    parser.add_argument("file", metavar="FILE", help="a .meta, .pb or .pbtxt file")
    parser.add_argument("--to", choices=("text", "binary"), required=True, help="the form that is wanted")
    parser.add_argument("--output", metavar="FILE", help="the file to write; standard output if it is left out")
    parser.set_defaults(run=_run)


def _run(chosen: Any) -> int:
    message = _read(chosen.file)
    if chosen.to == "text":
        content = text_format.MessageToString(message, as_utf8=False).encode()
    else:
        content = message.SerializeToString(deterministic=True)
    if chosen.output is not None:
        write_file(chosen.output, content)
        print(f"wrote {len(content):,} bytes to {chosen.output}")
    elif chosen.to == "binary" and sys.stdout.isatty():
        raise ReadError("binary content is not written to a terminal; give --output FILE")
    else:
        sys.stdout.buffer.write(content)
    return 0


def _read(path: str) -> Any:
    """The MetaGraphDef or GraphDef in a file."""
    if Path(path).suffix in (".pb", ".pbtxt"):
        first, second = files.read_graph_def, files.read_meta_graph
    else:
        first, second = files.read_meta_graph, files.read_graph_def
    try:
        return first(path)
    except ReadError as error:
        try:
            return second(path)
        except ReadError:
            raise error from None
