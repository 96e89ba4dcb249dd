"""The rules that every module obeys between passes.

- Ownership: an operation's `block`, a block's `owner`, a value's `owner` and `index` are what they seem; nothing stands
  twice.
- Uses: `Value.uses` are exactly the operands of the function that read the value.
- Names stand once in a function: operations, and the labels of parameters.
- Dominance: a value is defined in the block that uses it or in an enclosing one; in an ordered function it is also
  defined earlier there.
- Control edges join operations of one block, and stand only in graphs; so do targets.
- `if` and `while` have the regions, parameters and results that belong to them (see `_STRUCTURED`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mgjax.errors import VerifyError
from mgjax.ir.module import Block, Function, Module, Operation, Value, walk_blocks

_MOST = 20


def verify(part: Module | Function) -> None:
    """Raises `VerifyError`, with the broken rules and the operations that break them, unless the rules hold."""
    found: list[str] = []
    for name, function in part.functions.items() if isinstance(part, Module) else [(part.name, part)]:
        if name != function.name:
            found.append(f"names: the module has the function '{function.name}' as '{name}'")
        found += (f"@{function.name}: {problem}" for problem in _Verifier(function).problems)
    if found:
        rest = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
        raise VerifyError("\n".join(found[:_MOST] + rest))


class _Verifier:
    def __init__(self, function: Function):
        self.problems: list[str] = []
        self.function = function
        self.names: set[str] = set()
        self.blocks: set[Block] = set()
        self.operations: dict[Operation, None] = {}
        if function.body.owner is not function:
            self.report("ownership", "the function's block has another owner")
        for block in walk_blocks(function.body):
            self.check_ownership(block)
        if self.problems:
            return  # The other rules are asked of a tree.
        self.check_targets()
        for operation in self.operations:
            self.check_uses(operation)
        self.visible: set[Operation | Block] = set()
        self.check_dominance(function.body)

    def report(self, rule: str, what: str) -> None:
        self.problems.append(f"{rule}: {what}")

    def check_ownership(self, block: Block) -> None:
        if block in self.blocks:
            self.report("ownership", f"the block '{block.label}' of {block.owner!r} stands twice")
        self.blocks.add(block)
        for index, value in enumerate(block.parameters):
            if value.owner is not block or value.index != index:
                self.report("ownership", f"parameter {index}, {value!r}, says it is {value.index} of {value.owner!r}")
            self.check_name(value.label, "a parameter")
        for operation in block.operations:
            if operation.block is not block:
                self.report("ownership", f"{operation!r} stands in a block that is not its own")
            if operation in self.operations:
                self.report("ownership", f"{operation!r} stands twice")
            self.operations[operation] = None
            self.check_name(operation.name, repr(operation))
            for index, value in enumerate(operation.results):
                if value.owner is not operation or value.index != index:
                    self.report("ownership", f"{operation!r}: result {index} says it is {value!r}, {value.index}")
            for region in operation.regions:
                if region.owner is not operation:
                    self.report("ownership", f"{operation!r}: its region '{region.label}' has another owner")

    def check_name(self, name: str, what: str) -> None:
        if name in self.names:
            self.report("names", f"'{name}', of {what}, is the name of something else too")
        self.names.add(name)

    def check_targets(self) -> None:
        if self.function.targets and self.function.is_ordered:
            self.report("control", "an ordered function has targets")
        for operation in self.function.targets:
            if operation not in self.operations or operation.block is not self.function.body:
                self.report("control", f"the target {operation!r} is not an operation of the function's own block")

    def check_uses(self, operation: Operation) -> None:
        for index, value in enumerate(operation.operands):
            if (operation, index) not in value.uses:
                self.report("uses", f"{operation!r} reads {value!r} as operand {index}, but is not among its uses")
        for value in operation.results:
            self.check_users(value)
        for region in operation.regions:
            for value in region.parameters:
                self.check_users(value)

    def check_users(self, value: Value) -> None:
        for user, index in value.uses:
            if user not in self.operations:
                self.report("uses", f"{value!r} has the use {user!r}, which is not in the function")
            elif index >= len(user.operands) or user.operands[index] is not value:
                self.report("uses", f"{value!r} is not operand {index} of {user!r}, as its uses say")

    def check_dominance(self, block: Block) -> None:
        self.visible.add(block)
        if not self.function.is_ordered:
            self.visible.update(block.operations)
        for operation in block.operations:
            for value in operation.operands:
                self.check_visible(value, repr(operation))
            self.check_controls(operation)
            for region in operation.regions:
                self.check_dominance(region)
            self.check_structure(operation)
            self.visible.add(operation)
        for value in block.results:
            self.check_visible(value, f"the results of {f'region {block.label!r}' if block.label else 'the function'}")
        self.visible.discard(block)
        self.visible.difference_update(block.operations)

    def check_visible(self, value: Value, user: str) -> None:
        if value.owner not in self.visible:
            known = value.owner in self.operations or value.owner in self.blocks
            where = "where that cannot be seen" if known else "which is not in the function"
            self.report("dominance", f"{user} takes {value!r}, {where}")
            return
        defined = value.owner.results if isinstance(value.owner, Operation) else value.owner.parameters
        if value.index >= len(defined) or defined[value.index] is not value:
            self.report("dominance", f"{user} takes {value!r}, which its owner no longer has")

    def check_controls(self, operation: Operation) -> None:
        if operation.control and self.function.is_ordered:
            self.report("control", f"{operation!r} of an ordered function has control edges")
        for source in operation.control:
            if source not in self.operations or source.block is not operation.block:
                self.report("control", f"{operation!r} waits for {source!r}, which is not in its block")

    def check_structure(self, operation: Operation) -> None:
        check = _STRUCTURED.get(operation.kind)
        if check is not None:
            check(operation, lambda what: self.report("structure", f"{operation!r}: {what}"))


def _check_if(operation: Operation, report: Callable[[str], None]) -> None:
    if [region.label for region in operation.regions] != ["then", "else"]:
        report("its regions are to be 'then' and 'else'")
        return
    if len(operation.operands) != 1:
        report(f"it takes the predicate only, not {len(operation.operands)} operands")
    for region in operation.regions:
        if region.parameters:
            report(f"its region '{region.label}' has parameters")
        _check_types(operation, region.label, region.results, operation.results, report)


def _check_while(operation: Operation, report: Callable[[str], None]) -> None:
    if [region.label for region in operation.regions] != ["cond", "body"]:
        report("its regions are to be 'cond' and 'body'")
        return
    cond, body = operation.regions
    _check_types(operation, "operands", operation.operands, operation.results, report)
    _check_types(operation, "parameters of the condition", cond.parameters, operation.results, report)
    _check_types(operation, "parameters of the body", body.parameters, operation.results, report)
    _check_types(operation, "results of the body", body.results, operation.results, report)
    if len(cond.results) != 1:
        report(f"its condition has {len(cond.results)} results, not one")


def _check_types(
    operation: Operation, what: str, found: Sequence[Value], wanted: Sequence[Value], report: Callable[[str], None]
) -> None:
    """The numbers and dtypes agree; shapes may differ, a reference may stand for its value."""
    if len(found) != len(wanted):
        report(f"{what}: {len(found)} values, where {len(wanted)} are wanted")
        return
    for a, b in zip(found, wanted, strict=True):
        if a.type.dtype is not b.type.dtype and a.type.dtype is not None and b.type.dtype is not None:
            report(f"{what}: {a!r}, where {b.type} is wanted")


_STRUCTURED = {"if": _check_if, "while": _check_while}
"""What the structured ops must look like. `if`: one operand, the predicate; regions `then` and `else` without
parameters, each with the op's results. `while`: operands, parameters of both regions, results of `body`, and the op's
results are the carried values; `cond` has one result."""
