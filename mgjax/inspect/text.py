"""A report as text: what a newcomer wants to know of an unknown file, the most important first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from mgjax.dtypes import DType
from mgjax.inspect.interface import END
from mgjax.inspect.report import Input, Report
from mgjax.shapes import Shape
from mgjax.shapes import describe as describe_shape

_MOST_ROWS = 15
_MOST_OPS = 12
_WIDEST_NAME = 64


def describe(report: Report) -> str:
    """The report as text, ending without a line break."""
    parts = (
        _head,
        _signatures,
        _inputs,
        _outputs,
        _training,
        _variables,
        _checkpoint,
        _support,
        _collections,
        _ops,
        _rest,
        _next,
    )
    return "\n".join(line for part in parts for line in part(report))


def _head(report: Report) -> Iterator[str]:
    writer = f"written by TensorFlow {report.tensorflow}" if report.tensorflow else "of an unknown writer"
    version = f" (GraphDef version {report.producer})" if report.producer else ""
    tags = f", tags {', '.join(report.tags)}" if report.tags else ""
    yield f"{report.source}: {report.kind}{tags} {writer}{version}, {_count(report.nodes, 'node')}"


def _signatures(report: Report) -> Iterator[str]:
    for name, signature in report.signatures.items():
        yield f"signature {name!r}" + (f" ({signature.method_name})" if signature.method_name else "")
        tensors = [("in ", signature.inputs), ("out", signature.outputs)]
        yield from _table([f"  {side} {key}", str(tensor)] for side, keyed in tensors for key, tensor in keyed.items())


def _inputs(report: Report) -> Iterator[str]:
    yield "inputs" if report.inputs else "inputs: none, the graph has no placeholders"
    yield from _rows(
        [feed.tensor.name, _type(feed.tensor.dtype, feed.tensor.shape), _remark(feed)] for feed in report.inputs
    )


def _remark(feed: Input) -> str:
    return "; ".join(filter(None, [feed.purpose, f"{feed.default} if it is not fed" if feed.default else ""]))


def _outputs(report: Report) -> Iterator[str]:
    yield "likely outputs" if report.outputs else "likely outputs: none found"
    rows = []
    for output in report.outputs:
        needs = (
            f"needs {_some([name.removesuffix(':0') for name in output.needs], 4)}"
            if output.needs
            else "needs no input"
        )
        refused = f"; cannot be run: {_some(output.unsupported, 3)}" if output.unsupported else ""
        reason = "" if output.reason == END else f"; {output.reason}"
        rows.append([output.tensor.name, _type(output.tensor.dtype, output.tensor.shape), f"{needs}{reason}{refused}"])
    yield from _rows(rows)


def _training(report: Report) -> Iterator[str]:
    if not report.train_ops:
        return
    yield "train ops"
    yield from _rows(
        [op.name, ", ".join(f"{name} of {count}" for name, count in op.updates.items())] for op in report.train_ops
    )


def _variables(report: Report) -> Iterator[str]:
    if not report.variables:
        yield "variables: none; what was trained, if anything, is in the graph's constants"
        return
    counts = {role: sum(held.role == role for held in report.variables) for role in ("trainable", "optimizer", "other")}
    words = {"trainable": "trainable", "optimizer": "of optimizers", "other": "other"}
    split = ", ".join(f"{count} {words[role]} ({_bytes(report.size(role))})" for role, count in counts.items() if count)
    yield f"variables: {len(report.variables)}, {_bytes(report.size())}: {split}"
    ordered = sorted(report.variables, key=lambda held: held.role != "trainable")
    shown = [held for held in ordered if held.role != "optimizer"]
    yield from _rows(
        [
            held.variable.name,
            _type(held.variable.dtype, held.variable.shape),
            "size unknown" if held.size is None else _bytes(held.size),
            held.role if held.role == "trainable" else "",
        ]
        for held in shown
    )
    if report.unsaved:
        yield f"not in its checkpoints: {_some(report.unsaved, 6)}"
    if report.initializers:
        yield f"initializers: {_some(report.initializers, 6)}"


def _checkpoint(report: Report) -> Iterator[str]:
    found = report.checkpoint
    if found is None:
        return
    fits = "fits the graph" if not found.problems else f"does not fit the graph: {'; '.join(found.problems[:3])}"
    more = f"; and {len(found.problems) - 3} more" if len(found.problems) > 3 else ""
    yield f"checkpoint beside it: {os.path.basename(found.prefix)}, {_count(found.tensors, 'tensor')}; it {fits}{more}"


def _support(report: Report) -> Iterator[str]:
    if not report.unsupported:
        yield "ops that cannot be run: none"
        return
    needed = sum(bool(entry.needed_by) for entry in report.unsupported)
    which = f"{needed} of them needed by likely outputs" if needed else "no likely output needs one"
    yield f"ops that cannot be run: {len(report.unsupported)}, {which}"
    yield from _rows(
        [
            entry.op,
            f"{_count(len(entry.nodes), 'node')}, such as {entry.nodes[0]}",
            f"needed by {_some(entry.needed_by, 3)}" if entry.needed_by else "",
        ]
        for entry in sorted(report.unsupported, key=lambda entry: not entry.needed_by)
    )


def _collections(report: Report) -> Iterator[str]:
    if report.collections:
        yield f"collections: {', '.join(f'{key} {count}' for key, count in report.collections.items())}"
    if report.devices:
        yield f"devices: {_some([f'{device} {count}' for device, count in report.devices.items()], 6)}"


def _ops(report: Report) -> Iterator[str]:
    if report.ops:
        counts = [f"{op} {count}" for op, count in report.ops.items()]
        yield f"ops: {len(counts)} kinds: {_some(counts, _MOST_OPS)}"


def _rest(report: Report) -> Iterator[str]:
    if report.functions:
        yield f"library functions: {len(report.functions)}: {_some(report.functions, 5)}"
    if report.unseeded:
        yield f"random ops without a seed: {len(report.unseeded)}: {_some(report.unseeded, 5)}"
    for race in report.races[:_MOST_ROWS]:
        yield f"race: {race.first} and {race.second} write {race.variable}, both run by {race.both_run_by}, in no given order"
    for note in report.notes:
        yield f"note: {note}"


def _next(report: Report) -> Iterator[str]:
    """The command that runs the first output that can be run."""
    output = next((output for output in report.outputs if not output.unsupported), None)
    if output is None or not report.is_file:
        return
    required = {feed.tensor.name for feed in report.inputs if not feed.default}
    feeds = [f" --feed {name}=@{_plain(name)}.npy" for name in output.needs if name in required]
    found = report.checkpoint
    restore = f" --restore {found.prefix}" if found is not None and report.kind != "SavedModel" else ""
    yield f"to run it: mgjax run {report.source}{restore}{''.join(feeds)} --fetch {output.tensor.name}"


# Words


def _plain(name: str) -> str:
    return name.rpartition(":")[0].rpartition("/")[2]


def _type(dtype: DType | None, shape: Shape) -> str:
    return f"{'?' if dtype is None else dtype.name}{describe_shape(shape)}"


def _rows(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, indented, cut off where it gets long."""
    every = [list(row) for row in rows]
    yield from _table([f"  {row[0]}", *row[1:]] for row in every[:_MOST_ROWS])
    if len(every) > _MOST_ROWS:
        yield f"  ... and {len(every) - _MOST_ROWS} more"


def _table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    every = list(rows)
    columns = max(map(len, every), default=0)
    widths = [min(_WIDEST_NAME, max(len(row[i]) for row in every if len(row) > i)) for i in range(columns)]
    for row in every:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _bytes(size: int) -> str:
    """`512 B`, `1.5 kB`, `97.5 MB`: decimal units, three digits."""
    if size < 1000:
        return f"{size} B"
    for power, unit in enumerate(("kB", "MB", "GB", "TB"), 1):
        value = size / 1000**power
        if value < 999.5 or unit == "TB":
            return f"{value:.3g} {unit}"
    raise AssertionError
