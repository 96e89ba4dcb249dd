"""Two ways to run a graph: as TensorFlow 1's executor does, token by token, and by its structure.

`run_dataflow` follows `core/common_runtime/executor.cc`: dead tokens, frames and iterations. `run_structured` runs
`if`, `while`, `undefined` and `alive` block by block. Tests hold one against the other. Both know a few ops on Python
numbers; `Record` notes the number that it is given, so that effects can be compared.
"""

from __future__ import annotations

from collections import defaultdict, deque

from mgjax.ir import Block, Function, Operation, Value
from mgjax.passes.effects import free_values

PLAIN = {
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Neg": lambda x: -x,
    "Less": lambda x, y: x < y,
    "Equal": lambda x, y: x == y,
    "LogicalAnd": lambda x, y: x and y,
    "Identity": lambda x: x,
}


class Dead(Exception):
    """A fetched value is dead."""


class Race(Exception):
    """Two operands of a Merge are alive."""


def compute(operation: Operation, operands: list, record: list) -> tuple:
    if operation.kind == "Const":
        value = operation.attributes["value"]
        return (value if isinstance(value, (int, float, bool)) else value.item(),)
    if operation.kind in ("NoOp", "ControlTrigger"):
        return ()
    if operation.kind == "Record":
        record.append((operation.name, operands[0]))
        return (operands[0],)
    return (PLAIN[operation.kind](*operands),)


DEAD = object()


class _Executor:
    def __init__(self, function: Function, feeds: list):
        self.function = function
        self.record: list = []
        self.arrived: dict = defaultdict(dict)
        self.controls: dict = defaultdict(dict)
        self.fired: set = set()
        self.values: dict = {}
        self.constants: dict = defaultdict(list)
        self.iterations: dict = defaultdict(lambda: 0)
        self.dead_exits: dict = {}
        self.live_exits: set = set()
        self.queue: deque = deque()
        self.followers: dict = defaultdict(list)
        for operation in function.body.operations:
            for source in operation.control:
                self.followers[source].append(operation)
        for operation in function.body.operations:
            if not operation.operands and not operation.control:
                self.queue.append((operation, ()))
        for value, token in zip(function.body.parameters, feeds, strict=True):
            self.send(value, (), token)

    def run(self) -> list:
        while True:
            while self.queue:
                self.fire(*self.queue.popleft())
            pending = [key for key in self.dead_exits if key not in self.live_exits]
            if not pending:
                break
            exit, outer = pending[0]
            del self.dead_exits[exit, outer]
            self.live_exits.add((exit, outer))
            self.finish(exit, outer, (DEAD,))
        found = []
        for value in self.function.body.results:
            token = self.values.get((value, ()), DEAD)
            if token is DEAD:
                raise Dead(value.name)
            found.append(token)
        return found

    def send(self, value: Value, tag: tuple, token) -> None:
        self.values[value, tag] = token
        for user, index in value.uses:
            self.arrived[user, tag][index] = token
            self.consider(user, tag)

    def finish(self, operation: Operation, tag: tuple, tokens: tuple) -> None:
        for value, token in zip(operation.results, tokens, strict=True):
            self.send(value, tag, token)
        is_dead = bool(tokens) and all(token is DEAD for token in tokens)
        self.tell(operation, tag, is_dead)

    def tell(self, operation: Operation, tag: tuple, is_dead: bool) -> None:
        for follower in self.followers[operation]:
            self.controls[follower, tag][operation] = is_dead
            self.consider(follower, tag)

    def consider(self, operation: Operation, tag: tuple) -> None:
        if (operation, tag) in self.fired or len(self.controls[operation, tag]) < len(set(operation.control)):
            return
        arrived = self.arrived[operation, tag]
        if operation.kind == "Merge":
            alive = any(token is not DEAD for token in arrived.values())
            # In a loop one operand comes from outside and only at first, the other from the iteration before.
            is_loop = any(
                value.producer is not None and value.producer.kind == "NextIteration" for value in operation.operands
            )
            if alive or len(arrived) == (1 if is_loop else len(operation.operands)):
                self.queue.append((operation, tag))
        elif len(arrived) == len(operation.operands):
            self.queue.append((operation, tag))

    def fire(self, operation: Operation, tag: tuple) -> None:
        if (operation, tag) in self.fired:
            return
        self.fired.add((operation, tag))
        arrived = self.arrived[operation, tag]
        if operation.kind == "Merge":
            alive = [i for i in sorted(arrived) if arrived[i] is not DEAD]
            self.finish(operation, tag, (arrived[alive[0]], alive[0]) if alive else (DEAD, DEAD))
            return
        tokens = [arrived[i] for i in range(len(operation.operands))]
        is_dead = any(token is DEAD for token in tokens)
        if operation.kind != "ControlTrigger":
            is_dead = is_dead or any(self.controls[operation, tag].values())
        if operation.kind == "Enter":
            self.enter(operation, tag, DEAD if is_dead else tokens[0])
        elif operation.kind == "NextIteration":
            if not is_dead:
                self.next_iteration(operation, tag, tokens[0])
        elif operation.kind == "Exit":
            key = (operation, tag[:-1])
            if is_dead:
                self.dead_exits.setdefault(key, None)
            elif key not in self.live_exits:
                self.live_exits.add(key)
                self.finish(operation, tag[:-1], (tokens[0],))
        elif operation.kind == "Switch":
            if is_dead:
                self.finish_switch(operation, tag, DEAD, DEAD, True)
            else:
                taken = (DEAD, tokens[0]) if tokens[1] else (tokens[0], DEAD)
                self.finish_switch(operation, tag, *taken, False)
        elif is_dead:
            for value in operation.results:
                self.send(value, tag, DEAD)
            self.tell(operation, tag, True)
        elif operation.kind == "LoopCond":
            self.finish(operation, tag, (tokens[0],))
        else:
            self.finish(operation, tag, compute(operation, tokens, self.record))

    def finish_switch(self, operation: Operation, tag: tuple, no, yes, is_dead: bool) -> None:
        self.send(operation.results[0], tag, no)
        self.send(operation.results[1], tag, yes)
        self.tell(operation, tag, is_dead)

    def enter(self, operation: Operation, tag: tuple, token) -> None:
        frame = (*tag, (operation.attributes["frame_name"], None))
        if operation.attributes.get("is_constant"):
            self.constants[frame].append((operation, token))
            for iteration in range(self.iterations[frame] + 1):
                self.finish(operation, (*tag, (operation.attributes["frame_name"], iteration)), (token,))
        else:
            self.finish(operation, (*tag, (operation.attributes["frame_name"], 0)), (token,))

    def next_iteration(self, operation: Operation, tag: tuple, token) -> None:
        name, iteration = tag[-1]
        frame = (*tag[:-1], (name, None))
        following = (*tag[:-1], (name, iteration + 1))
        if self.iterations[frame] < iteration + 1:
            assert iteration < 1000
            self.iterations[frame] = iteration + 1
            for enter, constant in list(self.constants[frame]):
                self.finish(enter, following, (constant,))
        self.finish(operation, following, (token,))


def run_dataflow(function: Function, feeds: list) -> tuple[list, list]:
    """Results and recorded effects. Raises `Dead` where a result is dead, `Race` where the order of arrival decides."""
    executor = _Executor(function, feeds)
    try:
        return executor.run(), sorted(executor.record)
    finally:
        for (operation, _), arrived in executor.arrived.items():
            if operation.kind == "Merge" and sum(token is not DEAD for token in arrived.values()) > 1:
                raise Race(operation.name)


def run_structured(function: Function, feeds: list) -> tuple[list, list]:
    """Results and recorded effects. Raises `Dead` where a result is dead."""
    record: list = []
    environment: dict = {}
    results = _run_block(function.body, feeds, environment, record)
    return results, sorted(record)


def _run_block(block: Block, arguments: list, environment: dict, record: list) -> list:
    environment.update(zip(block.parameters, arguments, strict=True))
    waiting = dict.fromkeys(block.operations)
    while waiting:
        for operation in list(waiting):
            values = [*operation.operands, *(v for region in operation.regions for v in free_values(region))]
            producers = [value.producer for value in values] + operation.control
            if not any(producer in waiting for producer in producers):
                break
        else:
            raise AssertionError(f"a cycle through {list(waiting)[:5]}")
        del waiting[operation]
        operands = [environment[value] for value in operation.operands]
        environment.update(zip(operation.results, _run(operation, operands, environment, record), strict=True))
    return [environment[value] for value in block.results]


def _run(operation: Operation, operands: list, environment: dict, record: list) -> list | tuple:
    if operation.kind == "if":
        assert operands[0] is not DEAD
        return _run_block(operation.regions[0 if operands[0] else 1], [], environment, record)
    if operation.kind == "while":
        condition, body = operation.regions
        while _run_block(condition, operands, environment, record)[0]:
            operands = _run_block(body, operands, environment, record)
        return operands
    if operation.kind == "undefined":
        return [DEAD]
    if operation.kind == "alive":
        for side, predicate in zip(operation.attributes["sides"], operands[1:], strict=True):
            if predicate is DEAD or bool(predicate) is not side:
                raise Dead(operation.name)
        if operation.attributes["never"]:
            raise Dead(operation.name)
        return operands[:1]
    assert not any(operand is DEAD for operand in operands), operation
    return compute(operation, operands, record)
