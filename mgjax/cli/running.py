"""`mgjax run FILE`: restores a graph, feeds it, and shows or saves what is fetched."""

from __future__ import annotations

import os
import sys
import zipfile
from typing import Any

import numpy as np

from mgjax.cli.values import read_value
from mgjax.errors import FeedError, OpError, RestoreError, UnsupportedError
from mgjax.function import GraphFunction, State
from mgjax.importing import import_meta_graph
from mgjax.inspect import read_graph
from mgjax.saver import Saver

_EXAMPLE = "mgjax run model-1000.meta --restore model-1000 --feed x:0=@images.npy --feed keep_prob=1.0 --fetch probs:0"


def add_run(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "run",
        help="runs a graph: feeds in, fetches out",
        description="Runs a graph once and prints what is fetched.",
        epilog=f"For example: {_EXAMPLE}",
    )
    parser.add_argument("file", metavar="FILE", help="a .meta, .pb or .pbtxt file, or the folder of a SavedModel")
    parser.add_argument("--restore", metavar="PREFIX", help="the checkpoint (for a SavedModel its own by default)")
    parser.add_argument(
        "--init", action="store_true", help="run the graph's initializers first, instead of a checkpoint"
    )
    parser.add_argument(
        "--feed",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a tensor and its value: a literal such as 3, true or [[1,2],[3,4]], or @FILE.npy, or @FILE.npz:KEY",
    )
    parser.add_argument("--fetch", metavar="NAME", action="append", required=True, help="a tensor or an operation")
    parser.add_argument("--save", metavar="FILE", help="save the results in FILE.npz instead of printing them")
    parser.add_argument("--save-variables", metavar="PREFIX", help="save the variables after the run as a checkpoint")
    parser.add_argument(
        "--allow-files",
        metavar="PATH",
        action="append",
        default=[],
        help="a file that the graph may read where it names one (a vocabulary, data), or a folder of such files",
    )
    parser.add_argument("--seed", type=int, help="for random ops that have no seed of their own")
    parser.add_argument(
        "--tags", help="the tags of the MetaGraphDef that is wanted of a SavedModel, with commas between"
    )
    parser.set_defaults(run=_run)


def _run(chosen: Any) -> int:
    found = read_graph(chosen.file, tags=chosen.tags.split(",") if chosen.tags else None)
    function, saver = import_meta_graph(found.meta_graph, unbound_inputs_col_name="", allow_files=chosen.allow_files)
    feeds = dict(_feed(function, text) for text in chosen.feed)
    prefix = chosen.restore or (found.prefix if found.kind == "SavedModel" and not chosen.init else None)
    state = _with_tables(function, _state(function, saver, chosen, prefix))
    state, results = function(state, feeds, chosen.fetch)
    if chosen.save:
        path = chosen.save if chosen.save.endswith(".npz") else f"{chosen.save}.npz"
        arrays = {
            name: np.asarray(value) for name, value in zip(chosen.fetch, results, strict=True) if value is not None
        }
        _save(path, arrays)
        print(f"saved {', '.join(arrays)} in {path}")
    else:
        for name, value in zip(chosen.fetch, results, strict=True):
            _show(name, value)
    if chosen.save_variables:
        if saver is None:
            raise RestoreError(f"{chosen.file} has no variables to save")
        print(f"saved {saver.save(state, chosen.save_variables)}")
    return 0


def _feed(function: GraphFunction, text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise FeedError(f"--feed {text}: NAME=VALUE is wanted, such as x:0=@images.npy")
    tensor = function.tensor(name)
    return tensor.name, read_value(value, tensor)


def _state(function: GraphFunction, saver: Saver | None, chosen: Any, prefix: str | None) -> Any:
    if prefix is not None:
        if saver is None:
            raise RestoreError(f"{chosen.file} has no variables to restore; leave --restore out")
        return saver.restore(prefix, seed=chosen.seed)
    return function.init(chosen.seed, tables=False) if chosen.init else function.empty_state(chosen.seed)


def _with_tables(function: GraphFunction, state: State) -> State:
    """The state with its lookup tables filled; where they cannot be, only a fetch that needs them fails."""
    try:
        return function.init_tables(state)
    except (OpError, UnsupportedError) as error:
        print(f"the graph's tables are not filled: {error}", file=sys.stderr)
        return state


def _save(path: str, arrays: dict[str, np.ndarray]) -> None:
    """Writes an .npz file; its keys may be any names, which `numpy.savez` does not allow. Strings are saved as bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(
                    file, array.astype("S") if array.dtype == object else array, allow_pickle=False
                )


def _show(name: str, value: Any) -> None:
    if value is None:
        print(f"{name}: has run")
        return
    array = np.asarray(value)
    dtype = "string" if array.dtype == object else array.dtype
    sizes = ",".join(map(str, array.shape))
    print(f"{name}: {dtype}[{sizes}]")
    # Long arrays are cut short as NumPy does it, at the width of a line.
    print(np.array2string(array, max_line_width=_width()) if array.shape else str(array[()]))


def _width() -> int:
    return int(os.environ.get("COLUMNS", "120"))
