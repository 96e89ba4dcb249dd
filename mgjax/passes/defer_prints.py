"""Makes one operation of each print, which a compiled program can hand to Python in its midst.

A `Print` hands its first input on and prints the others; a `PrintV2` prints a string that other operations put together of
numbers. What is printed, and the operations that only make text for it, become the region of a `printed`:

    func @main(%x: float32[]) {                          func @main(%x: float32[]) {
      %text = StringFormat(%x) : (string[])                %show = printed() {op = "PrintV2"} : () text() {
      %show = PrintV2(%text) : ()                            %show/text = StringFormat(%x) : (string[])
      %same = Print(%x, %x) {message = "x"} : (float32[])    return %show/text
      %neg = Neg(%same) : (float32[])                ->    }
      return %neg                                          %same = printed() {message = "x", op = "Print"} : () text() {
    }                                                        return %x
                                                           }
                                                           %neg = Neg(%x) : (float32[])
                                                           return %neg
                                                         }

No device holds strings. A `printed` whose region takes numbers alone runs wherever they are computed: in a loop, a branch,
or somebody else's `jit`. One that takes a string from elsewhere is a host step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mgjax import dtypes
from mgjax.ir import Block, Function, Operation, Value, walk, walk_blocks
from mgjax.passes.names import Names

PRINTED = "printed"
"""The kind of the operation that prints what its region gives."""

PRINTS = {"Print": 1, "PrintV2": 0}
"""From each op that prints to its first operand that is printed."""

TEXTS = frozenset(
    {
        "AsString",
        "Const",
        "ExpandDims",
        "Identity",
        "Pack",
        "ReduceJoin",
        "Reshape",
        "Squeeze",
        "StringFormat",
        "StringJoin",
    }
)
"""The ops that make text of what is to be printed, and that fail on no values."""


def defer_prints(function: Function, kinds: Collection[str] = PRINTS) -> None:
    """Makes the prints of a threaded function, of these `kinds`, operations with a region."""
    prints = [operation for operation in walk(function.body) if operation.kind in kinds]
    if not prints:
        return
    names = Names(function)
    same: dict[Value, Value] = {}
    texts: dict[Operation, None] = {}
    for operation in prints:
        values = operation.operands[PRINTS[operation.kind] :]
        text = _text_of(values, operation, names, texts)
        same.update(zip(operation.results, operation.operands, strict=False))
        operation.attributes = {**operation.attributes, "op": operation.kind}
        operation.kind = PRINTED
        operation.set_operands(())
        operation.add_region(text)
    for old in same:
        old.replace_uses(_last(old, same))
    for block in walk_blocks(function.body):
        block.results = [_last(value, same) for value in block.results]
    for operation in prints:
        operation.results = []
    _remove_unused(function, texts)


def _last(value: Value, same: dict[Value, Value]) -> Value:
    while value in same:
        value = same[value]
    return value


def _text_of(values: Iterable[Value], owner: Operation, names: Names, texts: dict[Operation, None]) -> Block:
    """A region that gives the values, with copies of the operations that make text, which are added to `texts`."""
    region = Block("text")
    copies: dict[Value, Value] = {}
    stack = list(values)[::-1]
    wanted = stack[::-1]
    while stack:
        producer = stack[-1].producer
        if stack[-1] in copies or producer is None or not _makes_text(producer):
            stack.pop()
            continue
        before = [value for value in producer.operands if value not in copies and _is_text(value)]
        if before:
            stack += before
            continue
        operands = [copies.get(value, value) for value in producer.operands]
        types = [value.type for value in producer.results]
        name = names.new(f"{owner.name}/{producer.name.rsplit('/', 1)[-1]}")
        copy = Operation(producer.kind, name, operands, dict(producer.attributes), types, device=producer.device)
        region.append(copy)
        copies.update(zip(producer.results, copy.results, strict=True))
        texts[producer] = None
    region.results = [copies.get(value, value) for value in wanted]
    return region


def _makes_text(operation: Operation) -> bool:
    is_string = all(value.type.dtype is dtypes.string and not value.type.is_ref for value in operation.results)
    return operation.kind in TEXTS and is_string


def _is_text(value: Value) -> bool:
    return value.producer is not None and _makes_text(value.producer)


def _remove_unused(function: Function, texts: dict[Operation, None]) -> None:
    """Takes out the operations of which only copies are read now."""
    handed = {value for block in walk_blocks(function.body) for value in block.results}
    gone: set[Operation] = set()
    stack = list(texts)
    while stack:
        operation = stack.pop()
        if operation in gone or any(value.uses or value in handed for value in operation.results):
            continue
        stack += [value.producer for value in operation.operands if value.producer in texts]
        operation.set_operands(())
        gone.add(operation)
    for block in {operation.block: None for operation in gone}:
        assert block is not None
        block.set_operations(operation for operation in block.operations if operation not in gone)
