"""What a graph does to its variables: optimizers, steps of training, races, and what is drawn at random."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

from mgjax.function import GraphFunction, GraphOperation, Variable
from mgjax.inspect.report import Held, Race, TrainOp
from mgjax.inspect.survey import Survey
from mgjax.metagraph import split_tensor_name

_OPTIMIZER = re.compile(r"^(Resource)?(Sparse)?Apply")
_STEPS = re.compile(r"^(Assign(Add|Sub)(VariableOp)?|Scatter(Add|Sub|Mul|Div|Update)|ResourceScatter(Add|Sub|Update))$")
_MOST_TRAIN_OPS = 30
_MOST_WRITERS = 6


class Training:
    """The writes of a graph, sorted by what they are for.

    Attributes:
        writers: from variable to the nodes that write it while the graph trains or runs, not to initialize or restore it.
        initializing: all nodes that only initializers need, and those themselves.
    """

    def __init__(self, function: GraphFunction, survey: Survey):
        self.function = function
        self.survey = survey
        names = (v.initializer for v in function.variables.values())
        self.initializers = {survey.number[name]: None for name in names if name in survey.number}
        self.initializing = survey.ancestors(self.initializers)
        restore = split_tensor_name(function.meta_graph.saver_def.restore_op_name)[0]
        restoring = survey.ancestors([survey.number[restore]]) if restore in survey.number else set()
        self.writers: dict[str, list[int]] = {}
        for i in range(len(survey)):
            if i in self.initializing or i in restoring or not survey.writes(i):
                continue
            for name in self._written(i):
                self.writers.setdefault(name, []).append(i)

    def _written(self, i: int) -> list[str]:
        variable = self.survey.variable_of(self.survey.inputs[i][0])
        return [] if variable is None else [self.function.state_name(self.survey.names[variable])]

    def held(self) -> list[Held]:
        """All variables with their roles."""
        survey = self.survey
        kept: set[str] = set()
        for i, op in enumerate(survey.ops):
            if _OPTIMIZER.search(op):
                variables = (survey.variable_of(j) for j in survey.inputs[i])
                kept.update(self.function.state_name(survey.names[v]) for v in variables if v is not None)
        return [Held(v, self._role(v, kept), _size(v)) for v in self.function.variables.values()]

    def _role(self, variable: Variable, kept: set[str]) -> str:
        if variable.trainable:
            return "trainable"
        if variable.name in kept:
            return "optimizer"
        # Some optimizers keep no variable beside the op: what stands under a weight's name is theirs, as `scope/weights/Adam`.
        parts = variable.name.split("/")[:-1]
        trainable = self.function.trainable
        return "optimizer" if any("/".join(parts[i:]) in trainable for i in range(len(parts))) else "other"

    def train_ops(self) -> list[TrainOp]:
        """The operations whose run is a step of training: those in the collection `train_op`, and where updates end."""
        survey = self.survey
        updates = {
            i
            for name in self.function.trainable
            for i in self.writers.get(name, ())
            if _OPTIMIZER.search(survey.ops[i]) or _STEPS.search(survey.ops[i])
        }
        entries = self.function.collections.get("train_op", ())
        named = [entry.name for entry in entries if isinstance(entry, GraphOperation)]
        after = survey.descendants(updates)
        after -= survey.inside_loops()
        ends = [survey.names[i] for i in sorted(after) if not survey.consumers[i] and not survey.waiters[i]]
        found = []
        for name in list(dict.fromkeys(named + ends))[:_MOST_TRAIN_OPS]:
            needed = survey.ancestors([survey.number[name]]) & updates
            if needed:
                found.append(TrainOp(name, dict(Counter(survey.ops[i] for i in sorted(needed)).most_common())))
        return found

    def initializer_names(self) -> list[str]:
        """The operations that do nothing but run initializers of several variables."""
        survey = self.survey
        return [
            survey.names[i]
            for i, op in enumerate(survey.ops)
            if op == "NoOp" and len(survey.control[i]) > 1 and all(j in self.initializers for j in survey.control[i])
        ]

    def races(self) -> list[Race]:
        """Pairs of writes of one variable that some operation runs both, in no order."""
        survey = self.survey
        found = []
        for name, writers in self.writers.items():
            if len(writers) < 2:
                continue
            after = {i: survey.descendants([i]) for i in writers[:_MOST_WRITERS]}
            for a, b in itertools.combinations(after, 2):
                if a in after[b] or b in after[a]:
                    continue
                both = (after[a] & after[b]) - {a, b}
                if both:
                    found.append(Race(name, survey.names[a], survey.names[b], survey.names[min(both)]))
        return found

    def unseeded(self) -> list[str]:
        """The random ops without a seed that are drawn from outside of initializers."""
        graph = self.function.graph
        found = []
        for i, op in enumerate(self.survey.ops):
            op_def = graph.op_def(op)
            if op_def is None or not op_def.is_stateful or not {"seed", "seed2"} <= op_def.attrs.keys():
                continue
            attributes = graph.nodes[self.survey.names[i]].attr
            if i not in self.initializing and not attributes["seed"].i and not attributes["seed2"].i:
                found.append(self.survey.names[i])
        return found


def _size(variable: Variable) -> int | None:
    shape = variable.shape
    if shape is None or None in shape or not variable.dtype.itemsize:
        return None
    return math.prod(n for n in shape if n is not None) * variable.dtype.itemsize
