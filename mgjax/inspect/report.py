"""What `inspect` finds, as plain data; `str` of a `Report` is for people."""

from __future__ import annotations

from dataclasses import dataclass, field

from mgjax.function import Signature, Tensor, Variable

GIVEN = "the graph given"
"""The source of what did not come from a path."""


@dataclass(frozen=True, slots=True)
class Input:
    """A placeholder.

    Attributes:
        tensor: what to feed.
        purpose: what it probably is, such as "switches between training and inference"; "" for data.
        default: the value that it has if it is not fed, as text; "" if it must be fed.
    """

    tensor: Tensor
    purpose: str = ""
    default: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """A tensor that is probably worth fetching.

    Attributes:
        tensor: what to fetch.
        needs: the names of the placeholders that it depends on.
        reason: why it is listed: "signature", "collection ...", "nothing consumes it", or "last before ..." where what consumes it
            needs a further placeholder (labels, for example).
        unsupported: the ops that it needs and that cannot be run.
    """

    tensor: Tensor
    needs: tuple[str, ...]
    reason: str
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A variable, and what it is for.

    Attributes:
        variable: the variable.
        role: "trainable", "optimizer" (what an optimizer keeps beside the weights), or "other".
        size: bytes; None where the shape or the size of an element is not known.
    """

    variable: Variable
    role: str
    size: int | None


@dataclass(frozen=True, slots=True)
class TrainOp:
    """An operation whose run is a step of training.

    Attributes:
        name: the operation to fetch.
        updates: from optimizer op (such as "ApplyAdam") to how many trainable variables it updates.
    """

    name: str
    updates: dict[str, int]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An op that cannot be run.

    Attributes:
        op: its name.
        nodes: the nodes that are of it, or call functions that hold it.
        needed_by: the likely outputs and train ops that need it.
    """

    op: str
    nodes: tuple[str, ...]
    needed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Race:
    """Two operations that write a variable, in an order that the graph leaves open; node order decides."""

    variable: str
    first: str
    second: str
    both_run_by: str


@dataclass(frozen=True, slots=True)
class Nearby:
    """The checkpoint beside a file.

    Attributes:
        prefix: its path.
        tensors: how many it holds.
        problems: what of the graph's variables it lacks or holds otherwise, a sentence each.
    """

    prefix: str
    tensors: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What is in a file.

    Attributes:
        source: the path, or a word for what was given.
        kind: "MetaGraphDef", "GraphDef" or "SavedModel".
        tensorflow: the version of TensorFlow that wrote it; "" where it does not say.
        producer: version of the GraphDef's writer, 0 where it does not say.
        tags: the tags of the MetaGraphDef.
        nodes: how many.
        ops: from op to how many nodes are of it, most frequent first.
        inputs: the placeholders.
        outputs: tensors that are probably worth fetching, the surest first.
        signatures: the signatures of the file, by name.
        variables: all variables.
        train_ops: operations whose run is a step of training.
        unsaved: the variables that the graph's saver leaves out, if it saves others: only initializers give them values.
        initializers: operations that initialize all variables, such as "init".
        collections: from key to how many values.
        devices: from device string to how many nodes name it.
        unsupported: the ops that cannot be run.
        races: writes that the graph leaves unordered.
        unseeded: random ops without a seed, outside of initializers.
        functions: the functions of the library.
        checkpoint: the checkpoint beside the file, or None.
        notes: what is odd about the file, a sentence each.
    """

    source: str
    kind: str
    tensorflow: str
    producer: int
    tags: tuple[str, ...]
    nodes: int
    ops: dict[str, int]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    signatures: dict[str, Signature]
    variables: tuple[Held, ...]
    train_ops: tuple[TrainOp, ...]
    unsaved: tuple[str, ...]
    initializers: tuple[str, ...]
    collections: dict[str, int]
    devices: dict[str, int]
    unsupported: tuple[Unsupported, ...]
    races: tuple[Race, ...]
    unseeded: tuple[str, ...]
    functions: tuple[str, ...]
    checkpoint: Nearby | None
    notes: tuple[str, ...] = field(default=())

    def size(self, role: str | None = None) -> int:
        """Bytes of the variables of a role, or of all, as far as their sizes are known."""
        return sum(held.size or 0 for held in self.variables if role is None or held.role == role)

    @property
    def is_file(self) -> bool:
        """Whether the graph came from a path, which is then `source`."""
        return self.source != GIVEN

    def __str__(self) -> str:
        from mgjax.inspect.text import describe

        return describe(self)
