"""Puts library functions in the place of their calls, and makes `If`, `Case`, `While` and `For` structured.

    graph @main(%x: float32[], %p: bool[]) {                graph @main(%x: float32[], %p: bool[]) {
      %y = PartitionedCall(%x) {f = @square} : (float32[])    %y/mul = Mul(%x, %x) : (float32[])
      %z = If(%p, %y) {then_branch = @square,                 %z = if(%p) : (float32[]) then() {
                       else_branch = @same} : (float32[])       %z/then/mul = Mul(%y/mul, %y/mul) : (float32[])
      return %z                                         ->      return %z/then/mul
    }                                                         } else() {
    graph @square(%a: float32[]) {                              return %y/mul
      %mul = Mul(%a, %a) : (float32[])                        }
      return %mul                                             return %z
    }                                                       }
    graph @same(%a: float32[]) { return %a }

A function's arguments are captured by the regions that it becomes. What has a control edge to or from a call has it to
or from its operations. A function that calls itself stays a function of its own, and its calls are `recursion`s.

It comes after the passes that structure the old control flow, so that a call stands where it runs; functions that hold
such control flow are structured before they are put in place. `SymbolicGradient` becomes `gradient`, whose region is
the function; what that function calls and has a gradient of its own in the library is `custom_gradient` there. What draws
random numbers in a function has a generator of its own for each way in which calls lead to it (`GENERATOR`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mgjax import dtypes
from mgjax.attributes import FunctionName
from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ir import Block, Function, Operation, TensorType, Value, walk, walk_blocks
from mgjax.passes.effects import GENERATOR, Traits
from mgjax.passes.functionalize_conds import functionalize_conds
from mgjax.passes.functionalize_loops import functionalize_loops
from mgjax.passes.names import Names

Library = Callable[[FunctionName], Function | None]
"""A fresh copy of a library function in graph form; None if there is none of that name."""

_BOOL = TensorType(dtypes.bool_, ())
_INT32 = TensorType(dtypes.int32, ())
_INT64 = TensorType(dtypes.int64, ())
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
REMOTE_CALLS = frozenset({"RemoteCall"})
IFS = frozenset({"If", "StatelessIf"})
CASES = frozenset({"Case", "StatelessCase"})
WHILES = frozenset({"While", "StatelessWhile"})
GRADIENTS = frozenset({"SymbolicGradient"})
BATCHES = frozenset({"BatchFunction"})
MAPS = frozenset({"MapDefun"})

_BATCHING = (
    "num_batch_threads",
    "max_batch_size",
    "max_enqueued_batches",
    "batch_timeout_micros",
    "allowed_batch_sizes",
)
"""What a `BatchFunction` and a `Batch` are both told."""

_LABELS = {
    **{kind: {"f": "f"} for kind in CALLS | REMOTE_CALLS | GRADIENTS | MAPS | BATCHES},
    **{kind: {"then": "then_branch", "else": "else_branch"} for kind in IFS},
    **{kind: {"cond": "cond", "body": "body"} for kind in WHILES},
    "For": {"body": "body"},
}
"""The regions that ops become, and the attributes that name their functions."""

RECURSION = "recursion"
"""The operation that calls a function in which it stands; its attribute `f` says which."""

MOST_OPERATIONS = 1 << 22
"""Operations: a graph that calls of functions would make larger than this is refused."""

NO_GRADIENTS: Mapping[str, str] = {}


class Place(NamedTuple):
    """Where an operation comes from.

    Attributes:
        functions: the functions inside of which it stood, outermost first.
        path: the calls that brought it here and its own name, as `path_in` joins them.
        is_differentiated: whether it belongs to a function whose gradient is wanted.
    """

    functions: tuple[str, ...]
    path: str
    is_differentiated: bool = False


def called_functions(kind: str, attributes: Mapping[str, Any], is_library: bool) -> list[tuple[str, FunctionName]]:
    """The functions that an operation runs, each with a label that tells it from the others.

    Args:
        kind, attributes: the operation's.
        is_library: whether `kind` is the name of a library function.
    """
    if kind in CASES:
        found = [(f"branch{i}", name) for i, name in enumerate(attributes.get("branches", ()))]
    elif kind in _LABELS:
        found = [(label, attributes.get(name)) for label, name in _LABELS[kind].items()]
    else:
        found = [("f", FunctionName(kind, attributes))] if is_library else []
    return [(label, name) for label, name in found if isinstance(name, FunctionName)]


def path_in(caller: str, label: str, name: str) -> str:
    """The path of a function's node, one for each way in which calls lead to it; no node has such a name."""
    return f"{caller}:{label}:{name}"


def inline_functions(
    function: Function, library: Library, traits: Traits, gradients: Mapping[str, str] = NO_GRADIENTS
) -> dict[str, Function]:
    """Inlines all calls in a graph function, at any depth.

    Args:
        gradients: from function to the function that is its gradient, where the library says so.

    Returns:
        The functions that call themselves, by the names that `recursion`s give, in graph form.
    """
    if function.is_ordered:
        return {}
    recursive: dict[str, Function] = {}
    _Inlining(function, library, traits, gradients, recursive).run((), function.name)
    return recursive


class _Inlining:
    def __init__(
        self,
        function: Function,
        library: Library,
        traits: Traits,
        gradients: Mapping[str, str],
        recursive: dict[str, Function],
    ):
        self.function = function
        self.library = library
        self.traits = traits
        self.gradients = gradients
        self.recursive = recursive
        self.names = Names(function)
        self.instead: dict[Operation, list[Operation]] = {}
        self.ends: dict[Operation, Operation] = {}
        self.replaced: dict[Value, Value] = {}
        self.work: list[tuple[Operation, Place]] = []
        self.count = 0

    def run(self, within: tuple[str, ...], path: str) -> None:
        """Inlines all calls, those of the functions in `within` excepted."""
        self.work = [
            (operation, Place(within, path_in(path, "f", operation.name) if within else operation.name))
            for operation in walk(self.function.body)
        ]
        while self.work:
            operation, place = self.work.pop()
            self.visit(operation, place)
        if not self.instead and not self.replaced:
            return
        for block in walk_blocks(self.function.body):
            block.set_operations(self.flat(block.operations))
        for block in walk_blocks(self.function.body):
            block.results = [self.current(value) for value in block.results]
            for operation in block.operations:
                if operation.control:
                    sources = dict.fromkeys(self.ends.get(source, source) for source in operation.control)
                    operation.control = [source for source in sources if source.block is block]
        self.function.targets = [self.ends.get(target, target) for target in self.function.targets]
        self.remove_ends()
        capture_invariants(self.function)

    def remove_ends(self) -> None:
        """Takes out the ends of calls that nothing waits for; outer calls ended first."""
        waiting: Counter[Operation] = Counter(self.function.targets)
        for operation in walk(self.function.body):
            waiting.update(operation.control)
        gone: set[Operation] = set()
        for end in self.ends.values():
            if end.kind == "NoOp" and not waiting[end]:
                waiting.subtract(end.control)
                gone.add(end)
        for block in walk_blocks(self.function.body):
            block.set_operations(operation for operation in block.operations if operation not in gone)

    def visit(self, operation: Operation, place: Place) -> None:
        kind = operation.kind
        if kind in CALLS:
            self.call(operation, operation.attributes["f"], place)
        elif kind in REMOTE_CALLS:
            # The first operand names a device; all run where the rest of the program does.
            self.call(operation, operation.attributes["f"], place, operation.operands[1:])
        elif kind in IFS:
            self.make_if(operation, place)
        elif kind in CASES:
            self.make_case(operation, place)
        elif kind in WHILES:
            self.make_while(operation, place)
        elif kind == "For":
            self.make_for(operation, place)
        elif kind in GRADIENTS:
            self.make_gradient(operation, place)
        elif kind in MAPS:
            self.make_map(operation, place)
        elif kind in BATCHES:
            self.make_batch(operation, place)
        elif kind == "FakeParam":
            # What stands for a branch's value in the other one; nobody looks at it.
            operation.kind, operation.attributes = "undefined", {}
        elif not operation.regions and kind != RECURSION:
            self.call(operation, FunctionName(kind, operation.attributes), place)

    def current(self, value: Value) -> Value:
        while value in self.replaced:
            value = self.replaced[value]
        return value

    def flat(self, operations: Iterable[Operation]) -> list[Operation]:
        """The operations with what came in the place of calls, in their places, so that the order of nodes stays."""
        found: list[Operation] = []
        stack = list(reversed(list(operations)))
        while stack:
            operation = stack.pop()
            if operation in self.instead:
                stack.extend(reversed(self.instead.pop(operation)))
            else:
                found.append(operation)
        return found

    def body(self, name: FunctionName, place: Place) -> Function | None:
        """A copy of the function, structured; of one that is being put in its own place, a `recursion`. None without one."""
        function = self.library(name)
        if function is None:
            return None
        if name.name in place.functions:
            return self.recursion(name, function)
        functionalize_loops(function, self.traits)
        functionalize_conds(function, self.traits)
        return function

    def recursion(self, name: FunctionName, function: Function) -> Function:
        """A function that only calls this one; what that one computes is among the recursive functions."""
        key = name.name + "".join(f" {attr}={value}" for attr, value in sorted(name.attrs.items()) if attr[0] != "_")
        block = Block()
        arguments = [block.add_parameter(value.type, value.label) for value in function.body.parameters]
        types = [value.type for value in function.body.results]
        call = block.append(Operation(RECURSION, name.name, arguments, {"f": FunctionName(key)}, types))
        block.results = list(call.results)
        if key not in self.recursive:
            self.recursive[key] = function
            functionalize_loops(function, self.traits)
            functionalize_conds(function, self.traits)
            inner = _Inlining(function, self.library, self.traits, self.gradients, self.recursive)
            inner.run((name.name,), name.name)
        return Function(name.name, block, targets=[call])

    def put(
        self, function: Function, block: Block, arguments: list[Value], prefix: str, label: str, place: Place
    ) -> list[Operation]:
        """Moves the function's operations into the block; its parameters become the arguments."""
        functions = (*place.functions, function.name)
        self.count += len(function.body.operations)
        if self.count > MOST_OPERATIONS:
            raise UnsupportedError(
                f"calls of functions make more than {MOST_OPERATIONS} operations of the graph, at {prefix!r} by way of "
                f"{' and '.join(map(repr, functions))}; fetch what does not need them"
            )
        for parameter, argument in zip(function.body.parameters, arguments, strict=True):
            parameter.replace_uses(argument)
            self.replaced[parameter] = argument
        for inner in walk_blocks(function.body):
            inner.results = [self.current(value) for value in inner.results]
            for operation in inner.operations:
                path = path_in(place.path, label, operation.name)
                if self.traits.effects(operation).draws:
                    operation.attributes = {**operation.attributes, GENERATOR: path}
                operation.name = self.names.new(f"{prefix}/{operation.name}")
                self.work.append((operation, Place(functions, path, place.is_differentiated)))
            if inner is not function.body:
                for parameter in inner.parameters:
                    parameter.label = self.names.new(f"{prefix}/{parameter.label}")
        for operation in function.body.operations:
            operation.block = block
        return function.body.operations

    # Calls

    def call(
        self, operation: Operation, name: FunctionName, place: Place, arguments: Sequence[Value] | None = None
    ) -> None:
        if place.is_differentiated and name.name in self.gradients:
            self.make_custom_gradient(operation, name, place)
            return
        function = self.body(name, place)
        block = operation.block
        if function is None or block is None:
            return
        if len(function.body.results) != len(operation.results):
            counts = f"{len(function.body.results)} values, and {len(operation.results)} are wanted"
            raise _error(operation, f"{name.name!r} returns {counts}")
        arguments = operation.operands if arguments is None else arguments
        results = [self.current(value) for value in function.body.results]
        operations = self.put(function, block, list(arguments), operation.name, "f", place)
        results = [self.current(value) for value in results]
        inside = set(operations)
        for inner in operations if operation.control else ():
            if not inner.control and not any(value.producer in inside for value in inner.operands):
                inner.control = list(operation.control)
        end = Operation("NoOp", operation.name, device=operation.device)
        end.block = block
        producers = (value.producer for value in results)
        local = dict.fromkeys([*function.targets, *(p for p in producers if p is not None and p.block is block)])
        end.control = list(local) or list(operation.control)
        for old, new in zip(operation.results, results, strict=True):
            old.replace_uses(new)
            self.replaced[old] = new
        operation.set_operands(())
        self.ends[operation] = end
        self.instead[operation] = [*operations, end]

    def make_batch(self, operation: Operation, place: Place) -> None:
        """A call between a `Batch`, which pads what it takes, and `batch_part`s: of each result what belongs to the task."""
        attributes, name, block = operation.attributes, operation.attributes["f"], operation.block
        function = self.library(name)
        if function is None or block is None:
            return
        if len(function.body.parameters) != len(operation.operands):
            raise InvalidArgumentError(
                f"BatchFunction '{operation.name}': the function {name.name!r} takes {len(function.body.parameters)} arguments, "
                f"not {len(operation.operands)}"
            )
        count = len(attributes["Tin"])
        tasks, captured = operation.operands[:count], operation.operands[count:]
        kept = {key: attributes[key] for key in _BATCHING if key in attributes}
        kept |= {"T": tuple(value.type.dtype for value in tasks), "grad_timeout_micros": 0}
        types = [*(TensorType(value.type.dtype, None) for value in tasks), TensorType(dtypes.int64, None), _INT64]
        batch = Operation("Batch", self.names.new(f"{operation.name}/batch"), tasks, kept, types)
        batched = batch.results[:count]
        types = [TensorType(result.type.dtype, None) for result in operation.results]
        call_name = self.names.new(f"{operation.name}/call")
        call = Operation("PartitionedCall", call_name, [*batched, *captured], {"f": name}, types)
        made = [batch, call]
        for old, result in zip(operation.results, call.results, strict=True):
            part_name = self.names.new(f"{operation.name}/part")
            part = Operation("batch_part", part_name, [result, batched[0], tasks[0]], {}, [old.type])
            old.replace_uses(part.result)
            self.replaced[old] = part.result
            made.append(part)
        end = Operation("NoOp", operation.name, device=operation.device)
        for new in (*made, end):
            new.block = block
            new.control = list(operation.control)
        end.control = made[1:]
        operation.set_operands(())
        self.ends[operation] = end
        self.instead[operation] = [*made, end]
        self.call(call, name, place)

    # Structured ops

    def region(self, name: FunctionName, label: str, operation: Operation, place: Place) -> Block | None:
        """A region of the function's operations whose parameters are the function's own."""
        function = self.body(name, place)
        if function is None:
            return None
        block = Block(label)
        parameters = list(function.body.parameters)
        new = [
            block.add_parameter(value.type, self.names.new(f"{operation.name}/{label}/{value.label}"))
            for value in parameters
        ]
        block.operations = list(self.put(function, block, new, f"{operation.name}/{label}", label, place))
        block.results = [self.current(value) for value in function.body.results]
        return block

    def with_arguments(self, block: Block, arguments: Iterable[Value]) -> None:
        """Makes the region capture the arguments in the place of its parameters."""
        for parameter, argument in zip(block.parameters, arguments, strict=True):
            parameter.replace_uses(argument)
            self.replaced[parameter] = argument
            self.names.free(parameter.label)
        block.parameters = []
        for inner in walk_blocks(block):
            inner.results = [self.current(value) for value in inner.results]

    def replace(self, operation: Operation, new: Operation, before: Iterable[Operation] = ()) -> None:
        new.block = operation.block
        new.control = list(operation.control)
        for old, result in zip(operation.results, new.results, strict=True):
            old.replace_uses(result)
            self.replaced[old] = result
        operation.set_operands(())
        self.ends[operation] = new
        self.instead[operation] = [*before, new]

    def truth(self, value: Value, name: str, block: Block, made: list[Operation]) -> Value:
        """The value as a boolean: a number is true unless it is zero, anything that is no scalar if it has elements."""
        rank = None if value.type.shape is None else len(value.type.shape)
        if value.type.dtype is dtypes.bool_ and not rank:
            return value
        number, kind = value, value.type.dtype
        if rank or kind is dtypes.string or kind is None:
            reader = "Size" if rank else "StringLength"
            number = self.add(block, made, reader, f"{name}/size", [value], _INT32, T=kind, out_type=dtypes.int32)
            kind = dtypes.int32
        zero = np.zeros((), kind.numpy)
        constant = self.add(block, made, "Const", f"{name}/zero", [], TensorType(kind, ()), dtype=kind, value=zero)
        return self.add(block, made, "NotEqual", f"{name}/is_true", [number, constant], _BOOL, T=kind)

    def add(
        self,
        block: Block,
        made: list[Operation],
        kind: str,
        name: str,
        operands: list[Value],
        type: TensorType,
        **attrs,
    ) -> Value:
        operation = Operation(kind, self.names.new(name), operands, attrs, [type])
        operation.block = block
        made.append(operation)
        return operation.result

    def make_if(self, operation: Operation, place: Place) -> None:
        predicate, *arguments = operation.operands
        then = self.region(operation.attributes["then_branch"], "then", operation, place)
        otherwise = self.region(operation.attributes["else_branch"], "else", operation, place)
        if then is None or otherwise is None or operation.block is None:
            return
        for region in (then, otherwise):
            self.with_arguments(region, arguments)
        before: list[Operation] = []
        predicate = self.truth(predicate, operation.name, operation.block, before)
        types = [result.type for result in operation.results]
        new = Operation(
            "if", operation.name, [predicate], {}, types, regions=[then, otherwise], device=operation.device
        )
        self.replace(operation, new, before)

    def make_case(self, operation: Operation, place: Place) -> None:
        """An index that is no branch's takes the last branch."""
        index, *arguments = operation.operands
        regions = [
            self.region(name, f"branch{i}", operation, place) for i, name in enumerate(operation.attributes["branches"])
        ]
        if any(region is None for region in regions) or operation.block is None:
            return
        branches = [region for region in regions if region is not None]
        for region in branches:
            self.with_arguments(region, arguments)
        types = [result.type for result in operation.results]
        last = branches.pop()
        # From the last branch to the first: each `if` goes into the `else` of the one before.
        for i in range(len(branches) - 1, -1, -1):
            otherwise, then = Block("else"), branches[i]
            last.label, then.label = "else", "then"
            made: list[Operation] = []
            block = otherwise if i else operation.block
            number = np.array(i, np.int32)
            name = operation.name if i == 0 else self.names.new(f"{operation.name}/branch{i}")
            constant = self.add(block, made, "Const", f"{name}/{i}", [], _INT32, dtype=dtypes.int32, value=number)
            is_it = self.add(block, made, "Equal", f"{name}/is_{i}", [index, constant], _BOOL, T=dtypes.int32)
            new = Operation("if", name, [is_it], {}, types, regions=[then, last], device=operation.device)
            if i == 0:
                self.replace(operation, new, made)
                return
            otherwise.set_operations([*made, new])
            otherwise.results = list(new.results)
            last = otherwise
        self.unwrap(operation, last)

    def unwrap(self, operation: Operation, only: Block) -> None:
        """A case of one branch is that branch."""
        assert operation.block is not None
        for inner in only.operations:
            inner.block = operation.block
        end = Operation("NoOp", operation.name, control=only.operations, device=operation.device)
        end.block = operation.block
        for old, new in zip(operation.results, only.results, strict=True):
            old.replace_uses(new)
            self.replaced[old] = new
        operation.set_operands(())
        self.ends[operation] = end
        self.instead[operation] = [*only.operations, end]

    def make_while(self, operation: Operation, place: Place) -> None:
        condition = self.region(operation.attributes["cond"], "cond", operation, place)
        body = self.region(operation.attributes["body"], "body", operation, place)
        if condition is None or body is None:
            return
        if len(condition.results) != 1:
            count = len(condition.results)
            raise _error(operation, f"Expected a single scalar return value from WhileOp cond, got {count} tensors.")
        if len(body.results) != len(operation.results):
            counts = f"{len(body.results)} arguments. Expected: {len(operation.results)}"
            raise _error(operation, f"While loop body returned {counts}")
        made: list[Operation] = []
        condition.results = [self.truth(condition.results[0], f"{operation.name}/cond", condition, made)]
        condition.operations.extend(made)
        types = [result.type for result in operation.results]
        new = Operation(
            "while", operation.name, operation.operands, {}, types, regions=[condition, body], device=operation.device
        )
        self.replace(operation, new)

    def make_for(self, operation: Operation, place: Place) -> None:
        """`for i in range(start, limit, delta)`: the number of rounds is known before the first."""
        start, limit, delta, *arguments = operation.operands
        body = self.region(operation.attributes["body"], "body", operation, place)
        if body is None or operation.block is None:
            return
        name = operation.name
        before: list[Operation] = []
        start = self.add(operation.block, before, "for_start", f"{name}/start", [start, limit, delta], _INT32)
        i, *carried = body.parameters
        made: list[Operation] = []
        following = self.add(body, made, "AddV2", f"{name}/body/next", [i, delta], _INT32, T=dtypes.int32)
        body.operations.extend(made)
        body.results.insert(0, following)
        condition = Block("cond")
        index = condition.add_parameter(_INT32, self.names.new(f"{name}/cond/i"))
        for value in carried:
            condition.add_parameter(value.type, self.names.new(f"{name}/cond/{value.index}"))
        made = []
        rest, sign = (limit, index), _sign_of(delta)
        if sign is None:
            # delta > 0: i < limit; delta < 0: limit < i; both as 0 < (limit - i) * sign(delta).
            direction = self.add(condition, made, "Sign", f"{name}/cond/sign", [delta], _INT32, T=dtypes.int32)
            ahead = self.add(condition, made, "Sub", f"{name}/cond/rest", [limit, index], _INT32, T=dtypes.int32)
            ahead = self.add(condition, made, "Mul", f"{name}/cond/ahead", [ahead, direction], _INT32, T=dtypes.int32)
            zero = {"dtype": dtypes.int32, "value": np.zeros((), np.int32)}
            rest, sign = (ahead, self.add(condition, made, "Const", f"{name}/cond/zero", [], _INT32, **zero)), 1
        kind = "Greater" if sign > 0 else "Less"
        goes_on = self.add(condition, made, kind, f"{name}/cond/goes_on", list(rest), _BOOL, T=dtypes.int32)
        condition.set_operations(made)
        condition.results = [goes_on]
        types = [_INT32, *(result.type for result in operation.results)]
        new = Operation(
            "while", name, [start, *arguments], {}, types, regions=[condition, body], device=operation.device
        )
        new.block, new.control = operation.block, list(operation.control)
        for old, result in zip(operation.results, new.results[1:], strict=True):
            old.replace_uses(result)
            self.replaced[old] = result
        operation.set_operands(())
        self.ends[operation] = new
        self.instead[operation] = [*before, new]

    def make_gradient(self, operation: Operation, place: Place) -> None:
        """`gradient(x..., dy...)`, with the function as its region: what `SymbolicGradient` gives, dx for each x.

        A function for which the library names a gradient has that one: it is called.
        """
        name: FunctionName = operation.attributes["f"]
        if name.name in self.gradients:
            self.call(operation, FunctionName(self.gradients[name.name], name.attrs), place)
            return
        place = place._replace(is_differentiated=True)
        region = self.region(name, "f", operation, place)
        if region is not None:
            self.replace(operation, self.with_regions("gradient", operation, [region]))

    def make_map(self, operation: Operation, place: Place) -> None:
        """`map(arguments..., captured...)`: the function, for each row of the arguments and always the same captured values."""
        region = self.region(operation.attributes["f"], "f", operation, place)
        if region is not None:
            new = self.with_regions("map", operation, [region])
            new.attributes["rows"] = len(operation.attributes["Targuments"])
            self.replace(operation, new)

    def make_custom_gradient(self, operation: Operation, name: FunctionName, place: Place) -> None:
        """`custom_gradient(x...)`: the function, and what its gradient is to be when that is asked for."""
        inside = place._replace(is_differentiated=False)
        function = self.region(name, "f", operation, inside)
        gradient = self.region(FunctionName(self.gradients[name.name], name.attrs), "gradient", operation, inside)
        if function is not None and gradient is not None:
            self.replace(operation, self.with_regions("custom_gradient", operation, [function, gradient]))

    def with_regions(self, kind: str, operation: Operation, regions: list[Block]) -> Operation:
        types = [result.type for result in operation.results]
        return Operation(kind, operation.name, operation.operands, {}, types, regions=regions, device=operation.device)


def _error(operation: Operation, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{operation.kind} '{operation.name}': {problem}", operation.name, operation.kind)


def _sign_of(value: Value) -> int | None:
    """The sign of a constant; None where the value is not known, or zero."""
    producer = value.producer
    array = producer.attributes.get("value") if producer is not None and producer.kind == "Const" else None
    return None if not isinstance(array, np.ndarray) or array.shape or not array else 1 if array > 0 else -1


def capture_invariants(function: Function) -> None:
    """Takes values that every round of a `while` hands on unchanged out of what it carries; they are captured instead."""
    blocks = list(walk_blocks(function.body))
    handed: dict[Value, dict[Block, None]] = defaultdict(dict)
    for block in blocks:
        for value in block.results:
            handed[value][block] = None

    def replace(old: Value, new: Value) -> None:
        old.replace_uses(new)
        for block in handed.pop(old, {}):
            block.results = [new if value is old else value for value in block.results]
            handed[new][block] = None

    # Inner loops first: what they hand on unchanged, the loop around them may hand on unchanged too.
    for block in reversed(blocks):
        for operation in block.operations:
            if operation.kind == "while":
                _capture(operation, replace)


def _capture(operation: Operation, replace: Callable[[Value, Value], None]) -> None:
    condition, body = operation.regions
    kept = []
    for index, (parameter, result) in enumerate(zip(body.parameters, body.results, strict=True)):
        value = result
        while value.producer is not None and value.producer.kind == "Identity" and not value.type.is_ref:
            value = value.producer.operands[0]
        if value is not parameter:
            kept.append(index)
            continue
        for old in (condition.parameters[index], parameter, operation.results[index]):
            replace(old, operation.operands[index])
    if len(kept) == len(body.results):
        return
    operation.set_operands([operation.operands[i] for i in kept])
    operation.results = [operation.results[i] for i in kept]
    body.results = [body.results[i] for i in kept]
    for region in operation.regions:
        region.parameters = [region.parameters[i] for i in kept]
    for values in (operation.results, condition.parameters, body.parameters):
        for i, value in enumerate(values):
            value.index = i
