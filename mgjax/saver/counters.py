"""The counters of random ops in a file beside a checkpoint, which TensorFlow does not look at.

    {"crc32c": 123, "seed": "17", "generators": {"dropout/random_uniform/RandomUniform": [key, key, counter * 4], ...}}

The checksum is over the text of the other two fields, so that damage is found here as it is in the checkpoint.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mgjax import checkpoint
from mgjax.checkpoint import GENERATORS
from mgjax.errors import MissingFileError, ReadError
from mgjax.function import GraphFunction, State, join_words, split_words

_WORDS = 6  # of a row: two of the key, four of the counter


def write_generators(prefix: str, function: GraphFunction, state: State) -> None:
    """Writes the counters of a state, if the graph has any.

    Raises:
        ValueError: the state has none, since it is a plain mapping.
    """
    names = function.random_operations
    if not names:
        return
    if state.generators is None:
        raise ValueError("the state has no counters of random ops; pass the state that a run, fn.init or restore gave")
    rows = np.asarray(state.generators).tolist()
    content = {
        "seed": None if state.seed_words is None else str(join_words(state.seed_words)),
        "generators": dict(zip(names, rows, strict=True)),
    }
    checkpoint.write_file(f"{prefix}{GENERATORS}", json.dumps({"crc32c": _checksum(content), **content}).encode())


def read_generators(prefix: str, function: GraphFunction) -> State:
    """The state without variables whose counters go on; random ops that the file does not know start afresh.

    Raises:
        MissingFileError: there is no such file. `ReadError`: it is damaged.
    """
    if not function.random_operations:
        return function.empty_state()
    path = f"{prefix}{GENERATORS}"
    seed, rows = _read(path)
    state = function.empty_state(seed)
    counters = np.array(state.generators)
    for i, name in enumerate(function.random_operations):
        counters[i] = rows.get(name, counters[i])
    return State({}, counters, split_words(seed) if seed is not None else state.seed_words, state.objects)


def _read(path: str) -> tuple[int | None, dict[str, list[int]]]:
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read())
        crc = content.pop("crc32c")
        rows = content["generators"]
        is_whole = crc == _checksum(content) and all(_is_row(row) for row in rows.values())
        seed = None if content["seed"] is None else int(content["seed"])
    except FileNotFoundError:
        raise MissingFileError(
            f"{path}: no such file; the counters of random ops are saved by saver.save(..., generators=True)"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ReadError(f"{path}: not a file of counters, or damaged: {error}") from error
    if not is_whole or (seed is not None and not 0 <= seed < 2**128):
        raise ReadError(f"{path}: its checksum or its numbers do not fit; the file is damaged")
    return seed, rows


def _checksum(content: dict[str, Any]) -> int:
    return checkpoint.crc32c(json.dumps(content).encode())


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) == _WORDS and all(type(n) is int and 0 <= n < 2**32 for n in row)
