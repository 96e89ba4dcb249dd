"""`mgjax inspect FILE`."""

from __future__ import annotations

from typing import Any

from mgjax.inspect import inspect


def add_inspect(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "inspect",
        help="what is in a graph: inputs, likely outputs, variables, what cannot be run",
        description="Prints what a newcomer wants to know of an unknown graph. Nothing is run.",
    )
    parser.add_argument("file", metavar="FILE", help="a .meta, .pb or .pbtxt file, or the folder of a SavedModel")
    parser.add_argument(
        "--tags", help="the tags of the MetaGraphDef that is wanted of a SavedModel, with commas between"
    )
    parser.set_defaults(run=_run)


def _run(chosen: Any) -> int:
    print(inspect(chosen.file, tags=chosen.tags.split(",") if chosen.tags else None))
    return 0
