"""Makes what a round of a loop reads of a list surely read before the round writes to it.

A compiled loop changes a list in place only where nothing needs the list as it was. That an element is read first, XLA does not see
by itself: it reads it where it is used, which may be after the write, and copies the whole list in every round to allow that.
So reads are put before writes, and a `list_after_read` hands on the list and the element, both of them read.

    func @main(%n: int32[], %l: variant[], %x: float32[]) {
      %w = while(%n, %l) : (int32[], variant[]) cond(%i: int32[], %a: variant[]) {
        %go = Less(%i, %n) : (bool[])
        return %go
      } body(%j: int32[], %b: variant[]) {
        %new = TensorListSetItem(%b, %j, %x) : (variant[])
        %s = Const() {value = int32[0]<>} : (int32[0])
        %item = TensorListGetItem(%b, %j, %s) : (float32[])
        %y = Exp(%item) : (float32[])
        return %j, %new
      }
      return %w:1
    }
        ->
    func @main(%n: int32[], %l: variant[], %x: float32[]) {
      %w = while(%n, %l) : (int32[], variant[]) cond(%i: int32[], %a: variant[]) {
        %go = Less(%i, %n) : (bool[])
        return %go
      } body(%j: int32[], %b: variant[]) {
        %s = Const() {value = int32[0]<>} : (int32[0])
        %item = TensorListGetItem(%b, %j, %s) : (float32[])
        %item/after = list_after_read(%b, %item, %j) : (variant[], float32[])
        %new = TensorListSetItem(%item/after, %j, %x) : (variant[])
        %y = Exp(%item/after:1) : (float32[])
        return %j, %new
      }
      return %w:1
    }
"""

from __future__ import annotations

import logging

from mgjax.ir import Block, Function, Operation, Value, walk, walk_blocks
from mgjax.passes.effects import NO_EFFECTS, Traits
from mgjax.passes.names import Names

LOG = logging.getLogger(__name__)

_READS = ("TensorListGetItem", "TensorArrayRead")
_WRITES = ("TensorListSetItem", "TensorListPushBack", "TensorArrayWrite", "TensorArrayScatter", "StackPush")


def read_before_write(function: Function, traits: Traits) -> None:
    """Orders the reads and writes of lists in the bodies of all loops of the function."""
    names = Names(function)
    for operation in list(walk(function.body)):
        if operation.kind == "while":
            for block in walk_blocks(operation.regions[1]):
                _order(block, traits, names)


def _order(block: Block, traits: Traits, names: Names) -> None:
    reads: dict[Value, list[Operation]] = {}
    writes: dict[Value, list[Operation]] = {}
    for operation in block.operations:
        kinds = reads if operation.kind.startswith(_READS) else writes if operation.kind.startswith(_WRITES) else None
        if kinds is not None:
            kinds.setdefault(_seen_through(operation.operands[0]), []).append(operation)
    for held in [value for value in reads if value in writes]:
        for read in reads[held]:
            _move_before(block, read, writes[held][0], traits)
    for held, readers in reads.items():
        for read in readers:
            place = block.operations.index(read)
            later = [write for write in writes.get(held, ()) if block.operations.index(write) > place]
            if later:
                again = [other for other in readers if block.operations.index(other) > place]
                _insert(block, read, [*again, *later], names)


def _insert(block: Block, read: Operation, later: list[Operation], names: Names) -> None:
    item = read.results[0]
    users = list(item.uses)
    after = Operation(
        "list_after_read",
        names.new(f"{read.name}/after"),
        [read.operands[0], item, read.operands[1]],
        {},
        [read.operands[0].type, item.type],
        device=read.device,
    )
    operations = list(block.operations)
    operations.insert(operations.index(read) + 1, after)
    block.set_operations(operations)
    for user, index in users:
        user.set_operand(index, after.results[1])
    for inner in [block, *(b for op in block.operations for region in op.regions for b in walk_blocks(region))]:
        inner.results = [after.results[1] if value is item else value for value in inner.results]
    for operation in later:
        operation.set_operand(0, after.results[0])


def _move_before(block: Block, read: Operation, write: Operation, traits: Traits) -> None:
    """Puts a read, and what it needs for it, before a write, if nothing of that takes what the write makes."""
    operations = list(block.operations)
    place = operations.index(write)
    between = set(operations[place:])
    if read not in between:
        return
    needed: dict[Operation, None] = {read: None}
    stack = [read]
    while stack:
        for value in stack.pop().operands:
            producer = value.producer
            if producer in between and producer not in needed:
                if producer is write or producer.regions or traits.effects(producer) != NO_EFFECTS:
                    LOG.debug("%r stays after %r: it takes what %r makes", read, write, producer)
                    return
                needed[producer] = None
                stack.append(producer)
    moved = [operation for operation in operations[place:] if operation in needed]
    block.set_operations([*operations[:place], *moved, *(op for op in operations[place:] if op not in needed)])


def _seen_through(value: Value) -> Value:
    while value.producer is not None and value.producer.kind == "Identity":
        value = value.producer.operands[0]
    return value
