"""Where data goes in and comes out: placeholders and what they probably mean, tensors that are probably worth fetching."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mgjax.function import GraphFunction, SparseTensor, Tensor
from mgjax.inspect.report import Input, Output
from mgjax.inspect.survey import Survey
from mgjax.lowering import VARIABLE_KINDS

_PURPOSES = (
    (r"train|phase|is_?test|inference|^mode$", ("bool",), "switches between training and inference"),
    (r"keep", ("float32", "float64", "float16"), "dropout: the share that is kept"),
    (r"drop", ("float32", "float64", "float16"), "dropout: a rate"),
    (r"learn.*rate|^lr|_lr$", ("float32", "float64", "float16"), "the learning rate"),
    (r"batch|steps|size|num|len|max|dim|count", ("int32", "int64"), "a size that shapes may depend on"),
    (r"", ("bool",), "a switch"),
)
_DATA_SOURCE = re.compile(r"Dequeue|IteratorGetNext|ReaderRead|^Random|^Multinomial$|^TruncatedNormal$|^Stateless")
_NO_OUTPUT = re.compile(
    r"^(Ref)?(Switch|Enter|NextIteration|LoopCond)$|^(Const|Save|Restore)|Placeholder|Is(Variable)?Initialized"
)
_SERVICE_COLLECTIONS = frozenset(
    {
        "train_op",
        "summaries",
        "summary_op",
        "init_op",
        "local_init_op",
        "ready_op",
        "table_initializer",
        "queue_runners",
    }
)
END = "nothing consumes it"
_HANDLES = ("resource", "variant")
_HEADS = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})
_MOST_HEADS = 6
"""With more of them they are gates or attention, not what the model says."""
_MOST_TENSORS_OF_A_NODE = 4


def find_inputs(function: GraphFunction) -> list[Input]:
    """The placeholders, but for those in which savers take the name of a file."""
    saver = saver_scope(function)
    found = []
    for name, tensor in function.feeds.items():
        if is_of_saver(name, saver):
            continue
        found.append(Input(tensor, _purpose(tensor), _default(function, name)))
    return found


def _purpose(tensor: Tensor) -> str:
    if tensor.shape not in ((), None) or tensor.dtype is None:
        return ""
    last = tensor.name.rpartition(":")[0].rpartition("/")[2].lower()
    for pattern, dtypes, purpose in _PURPOSES:
        if tensor.dtype.name in dtypes and re.search(pattern, last):
            return purpose
    return ""


def _default(function: GraphFunction, name: str) -> str:
    node = function.graph.nodes[name]
    if node.op != "PlaceholderWithDefault" or not node.input:
        return ""
    source = function.graph.nodes.get(node.input[0].rpartition(":")[0] or node.input[0])
    if source is not None and source.op == "Const":
        value = np.asarray(function.graph.attributes(source.name)["value"])
        if value.size == 1:
            only = value.ravel()[0]
            return repr(only) if value.dtype == object else str(only)
    return node.input[0]


def find_outputs(
    function: GraphFunction, survey: Survey, inputs: Sequence[Input], missing: Sequence[int], ops: Sequence[str]
) -> list[Output]:
    """Tensors that are probably worth fetching, the surest first.

    These are what signatures and collections name; what nothing consumes but gradients and summaries; and what is last to
    depend on its placeholders alone, such as predictions that are then compared with labels.

    Args:
        missing: for each node the bits of the unsupported ops that it needs.
        ops: the unsupported ops, by bit.
    """
    feeds = [survey.number[feed.tensor.name.rpartition(":")[0]] for feed in inputs]
    needs = survey.bits({i: 1 << bit for bit, i in enumerate(feeds)})
    found: dict[str, Output] = {}

    def add(tensor: Tensor, reason: str) -> None:
        i = survey.number.get(tensor.name.rpartition(":")[0])
        if (
            i is None
            or tensor.name in found
            or i in feeds
            or (tensor.dtype is not None and tensor.dtype.name in _HANDLES)
        ):
            return
        needed = tuple(feed.tensor.name for bit, feed in enumerate(inputs) if needs[i] >> bit & 1)
        refused = tuple(op for bit, op in enumerate(ops) if missing[i] >> bit & 1)
        found[tensor.name] = Output(tensor, needed, reason, refused)

    for name, signature in function.signatures.items():
        for tensor in signature.outputs.values():
            for part in tensor if isinstance(tensor, SparseTensor) else (tensor,):
                add(part, f"signature {name!r}")
    for key, values in function.collections.items():
        for value in values if key not in _SERVICE_COLLECTIONS else ():
            if isinstance(value, Tensor) and _is_computed(survey, value):
                add(value, f"collection {key!r}")
    for by_data in (True, False):
        # Where nothing comes from data, what comes from variables or constants is all that there is.
        for i, reason in _ends(function, survey, inputs, feeds, by_data) if by_data or not found else ():
            tensors = _tensors(function, survey.names[i])
            for tensor in tensors if reason == END else tensors[:1]:
                add(tensor, reason)
    return list(found.values())


def _is_computed(survey: Survey, tensor: Tensor) -> bool:
    i = survey.number.get(tensor.name.rpartition(":")[0])
    return i is not None and survey.variable_of(i) is None and not survey.is_summary(i)


def _tensors(function: GraphFunction, name: str) -> list[Tensor]:
    try:
        types = function.graph.result_types(name)
    except (ValueError, KeyError, TypeError):
        return []
    # The second output of a Merge says which side ran.
    count = 1 if types and function.graph.nodes[name].op == "Merge" else len(types or ())
    return [function.tensor(f"{name}:{i}") for i in range(min(count, _MOST_TENSORS_OF_A_NODE))]


def _ends(
    function: GraphFunction, survey: Survey, inputs: Sequence[Input], feeds: Sequence[int], by_data: bool
) -> Iterator[tuple[int, str]]:
    """Nodes where a computation ends, and why they are thought to be such: ends of all first, then ends before labels."""
    saver = saver_scope(function)
    data = {i: 1 << bit for bit, (i, feed) in enumerate(zip(feeds, inputs, strict=True)) if not feed.purpose}
    other = 1 << len(feeds)
    data.update({i: other for i, op in enumerate(survey.ops) if _DATA_SOURCE.search(op)})
    variables = {i: 1 for i, op in enumerate(survey.ops) if op in VARIABLE_KINDS}
    depends = survey.bits(data, through_shapes=False, through_control=False)
    holds = survey.bits(variables, through_shapes=False, through_control=False)
    gradients = survey.bits({i: 1 for i in range(len(survey)) if survey.is_gradient(i)}, through_shapes=False)
    differentiated = survey.differentiated()
    loops, updating = survey.inside_loops(), survey.updating()
    heads = [i for i, op in enumerate(survey.ops) if op in _HEADS and not survey.is_gradient(i) and i not in loops]
    last: list[tuple[int, str]] = []
    without: list[tuple[int, str]] = []
    for i, name in enumerate(survey.names):
        if not (depends[i] or not by_data) or _NO_OUTPUT.search(survey.ops[i]) or survey.is_gradient(i):
            continue
        if (
            i in loops
            or survey.is_summary(i)
            or is_of_saver(name, saver)
            or survey.writes(i)
            or survey.variable_of(i) is not None
            or "/AssertGuard/" in name
        ):
            continue
        users = [user for user in survey.consumers[i] if not survey.reads_shape(user)]
        trained = name in differentiated or any(map(survey.is_gradient, users))
        users = [user for user in users if not survey.is_gradient(user) and not survey.is_summary(user)]
        if gradients[i] and not trained:
            continue
        if updating.issuperset(users) and (trained or not users):
            if holds[i] or not variables:
                yield i, END
            else:
                without.append((i, END))
        elif users and variables and holds[i] and all(depends[user] & ~depends[i] & ~other for user in users):
            last.append((i, f"last before {_names(inputs, [depends[user] & ~depends[i] for user in users])}"))
        elif i in heads and len(heads) <= _MOST_HEADS:
            last.append((i, f"a {survey.ops[i]}"))
    yield from last + without


def _names(inputs: Sequence[Input], bits: Sequence[int]) -> str:
    every = 0
    for some in bits:
        every |= some
    return ", ".join(feed.tensor.name.removesuffix(":0") for bit, feed in enumerate(inputs) if every >> bit & 1)


def saver_scope(function: GraphFunction) -> str:
    """The scope of the nodes with which the graph saves and restores itself."""
    saver: Any = function.meta_graph.saver_def
    return saver.restore_op_name.rpartition("/")[0] if saver.restore_op_name else ""


def is_of_saver(name: str, scope: str) -> bool:
    """Whether a node saves or restores, by where it lies."""
    return re.search(r"(^|/)save(_\d+)?/", name) is not None or (bool(scope) and name.startswith(f"{scope}/"))
