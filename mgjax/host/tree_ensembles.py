"""Ensembles of boosted trees as values: what makes one grow makes another, which shares the trees that stay as they are.

A tree keeps its message, as checkpoints hold it, and arrays of its nodes by which a whole batch goes down all trees at
once (core/kernels/boosted_trees/resources.cc). The last tree of an ensemble is the one that grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from mgjax.errors import InternalError, InvalidArgumentError, UnsupportedError
from mgjax.ops import HostObject
from mgjax.proto import boosted_trees_pb2 as pb

_LEAF, _UP_TO, _EQUAL = range(3)


class Nodes(NamedTuple):
    """The nodes of trees, by id: arrays of one length.

    Attributes:
        kind: a leaf, a split that sends buckets up to the threshold to the left, or one that sends only the threshold there.
        feature, threshold: of a split.
        left, right: ids of the children; a leaf's are its own.
        values: float32[nodes, logits], what the node adds to the logits, or did before it was split.
        sizes: how many logits it has; 0 where it has no value.
    """

    kind: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    sizes: np.ndarray


class Tree:
    """One tree: its message, which never changes, and its nodes as arrays."""

    def __init__(self, message: Any):
        self.message = message

    @cached_property
    def nodes(self) -> Nodes:
        columns: list[tuple[int, int, int, int, int]] = []
        rows: list[list[float]] = []
        for i, node in enumerate(self.message.nodes):
            which = node.WhichOneof("node")
            if which == "leaf":
                columns.append((_LEAF, 0, 0, i, i))
            elif which == "bucketized_split":
                split = node.bucketized_split
                columns.append((_UP_TO, split.feature_id, split.threshold, split.left_id, split.right_id))
            elif which == "categorical_split":
                split = node.categorical_split
                columns.append((_EQUAL, split.feature_id, split.value, split.left_id, split.right_id))
            else:
                raise UnsupportedError(f"a node of a tree is a {which} (leaf, bucketized_split, categorical_split are)")
            rows.append(node_value(node))
        count = len(columns)
        kind, feature, threshold, left, right = np.array(columns, np.int32).reshape(count, 5).T
        if count and (min(left.min(), right.min()) < 0 or max(left.max(), right.max()) >= count):
            raise InvalidArgumentError(f"a split of a tree of {count} nodes leads to a node that is not there")
        sizes = np.array([len(row) for row in rows], np.int32)
        values = np.zeros((count, max([1, *sizes])), np.float32)
        for i, row in enumerate(rows):
            values[i, : len(row)] = row
        return Nodes(kind, feature, threshold, left, right, values, sizes)

    def __len__(self) -> int:
        return len(self.message.nodes)


def node_value(node: Any) -> list[float]:
    """The logits of a node, or those that it had before it was split; empty for a root that had none."""
    if node.WhichOneof("node") != "leaf":
        if not node.metadata.HasField("original_leaf"):
            return []
        leaf = node.metadata.original_leaf
    else:
        leaf = node.leaf
    return list(leaf.vector.value) if leaf.HasField("vector") else [leaf.scalar]


@dataclass(frozen=True)
class Split:
    """What a leaf becomes.

    Attributes:
        feature, dimension, threshold: which values decide.
        gain: by how much it lowers the loss.
        left, right: what the children's logits have more than the leaf's, float32[logits].
        kind: TensorFlow's name of how values are compared, and of where missing ones go.
    """

    feature: int
    dimension: int
    threshold: int
    gain: np.float32
    left: np.ndarray
    right: np.ndarray
    kind: str = "INEQUALITY_DEFAULT_LEFT"


@dataclass(frozen=True, eq=False)
class Ensemble(HostObject):
    """Trees, and how far they have grown.

    Attributes:
        is_created: whether the handle stands for a resource yet.
        stamp: counts the changes.
        trees, weights, metadata: one of each for a tree; the messages never change.
        growing: the message of what was tried, and of where the latest layer is.
    """

    is_created: bool = False
    stamp: int = -1
    trees: tuple[Tree, ...] = ()
    weights: tuple[float, ...] = ()
    metadata: tuple[Any, ...] = ()
    growing: Any = None

    @staticmethod
    def parse(stamp: int, serialized: bytes) -> Ensemble:
        """The ensemble of a serialized `TreeEnsemble`."""
        try:
            message = pb.TreeEnsemble.FromString(serialized)
        except DecodeError as error:
            raise InvalidArgumentError("Unable to parse tree ensemble proto.") from error
        if not len(message.trees) == len(message.tree_weights) == len(message.tree_metadata):
            # TensorFlow reads past the end of the shorter list.
            raise InvalidArgumentError(
                f"the ensemble has {len(message.trees)} trees, {len(message.tree_weights)} weights of trees, "
                f"and metadata of {len(message.tree_metadata)}"
            )
        growing = message.growing_metadata if message.HasField("growing_metadata") else None
        trees = tuple(map(Tree, message.trees))
        return Ensemble(True, stamp, trees, tuple(message.tree_weights), tuple(message.tree_metadata), growing)

    def serialize(self) -> bytes:
        message = pb.TreeEnsemble(
            trees=[tree.message for tree in self.trees],
            tree_weights=self.weights,
            tree_metadata=self.metadata,
            growing_metadata=self.growing,
        )
        return bytes(message.SerializeToString(deterministic=True))

    def __repr__(self) -> str:
        return f"<ensemble of {len(self.trees)} trees>" if self.is_created else "<ensemble, not created>"

    # ---- going down

    @cached_property
    def _nodes(self) -> Nodes:
        """The nodes of all trees, each tree's behind those of the tree before."""
        parts = [tree.nodes for tree in self.trees]
        width = max(part.values.shape[1] for part in parts)
        starts = self._starts
        return Nodes(
            *(np.concatenate(column) for column in list(zip(*parts, strict=True))[:3]),
            np.concatenate([part.left + start for part, start in zip(parts, starts, strict=True)]),
            np.concatenate([part.right + start for part, start in zip(parts, starts, strict=True)]),
            np.concatenate([np.pad(part.values, ((0, 0), (0, width - part.values.shape[1]))) for part in parts]),
            np.concatenate([part.sizes for part in parts]),
        )

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0] + [len(tree) for tree in self.trees[:-1]])

    def leaves(self, features: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """The leaves that examples come to, one for each tree.

        Args:
            features: int32[feature, batch], the buckets.
            starts: the nodes, as `_nodes` has them, from which they go: [tree, batch].
        """
        nodes, at = self._nodes, starts
        if np.any((nodes.kind != _LEAF) & ((nodes.feature < 0) | (nodes.feature >= len(features)))):
            raise InvalidArgumentError(f"a tree asks for a feature that is none of the {len(features)}")
        for _ in range(len(nodes.kind) + 1):
            if np.all(nodes.kind[at] == _LEAF):
                return at
            at = self.step(features, at)
        raise InvalidArgumentError("the splits of a tree lead back to one of them")

    def step(self, features: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The nodes that come after those at which examples are, [..., batch]; a leaf stays where it is."""
        nodes = self._nodes
        values = features[nodes.feature[at], np.arange(features.shape[1])]
        threshold = nodes.threshold[at]
        goes_left = np.where(nodes.kind[at] == _EQUAL, values == threshold, values <= threshold)
        return np.where(goes_left, nodes.left[at], nodes.right[at])

    def values(self, at: np.ndarray, logits: int) -> np.ndarray:
        """float32[..., logits], of nodes that must have as many logits, or none, which then are zeros."""
        nodes = self._nodes
        sizes = nodes.sizes[at]
        if wrong := sizes[(sizes != logits) & (sizes != 0)].tolist():
            raise InternalError(f"Expected leaf_logits.size() == logits_dimension_, got {wrong[0]} vs {logits}")
        if nodes.values.shape[1] < logits:
            return np.zeros((*at.shape, logits), np.float32)
        return nodes.values[at, :logits]

    def predict(self, features: np.ndarray, logits: int) -> np.ndarray:
        """float32[batch, logits]: the sum over all trees, in their order."""
        batch = features.shape[1]
        if not self.trees:
            return np.zeros((batch, logits), np.float32)
        at = self.leaves(features, np.repeat(self._starts[:, None], batch, axis=1))
        return _sum_in_order(self._weighted(self.values(at, logits), 0))

    def _weighted(self, values: np.ndarray, first: int) -> np.ndarray:
        return np.array(self.weights[first:], np.float32)[:, None, None] * values

    def predict_further(
        self, features: np.ndarray, logits: int, trees: np.ndarray, nodes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the logits have more than when the examples were at these nodes of these trees, and the last tree's nodes.

        A node below 0 is none: then nothing was predicted yet, and its tree is the first that counts.
        """
        starts = self._starts
        if np.any((trees < 0) | (trees >= len(starts))):
            raise InvalidArgumentError(f"an example was left in a tree that is none of the {len(starts)}")
        has_node = nodes >= 0
        at, correction = self._after_pruning(trees, np.maximum(nodes, 0), logits)
        if np.any(at >= np.array([len(tree) for tree in self.trees])[trees]):
            raise InvalidArgumentError("an example was left at a node that its tree does not have")
        at = at + starts[trees]
        # A leaf's value is added again below; that of a node which was split since is not.
        known = np.where(has_node[:, None], correction - self.values(at, logits), np.float32(0))
        first = int(trees.min(initial=len(starts) - 1))
        count = len(starts) - first
        begins = np.repeat(starts[first:, None], len(trees), axis=1)
        begins[trees - first, np.arange(len(trees))] = at
        at = self.leaves(features, begins)
        values = self.values(at, logits)
        values[trees - first, np.arange(len(trees))] += known
        counts = np.arange(first, first + count)[:, None] >= trees
        total = _sum_in_order(np.where(counts[..., None], self._weighted(values, first), np.float32(0)))
        return total, (at[-1] - starts[-1]).astype(np.int32)

    def paths(self, features: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """How examples go down the trees, one after another: who moves, by which feature, and to which logit.

        The first is no move: the logits before any, which are those of the first tree's root. Yields bool[batch],
        int32[batch] and float32[batch].
        """
        nodes, batch = self._nodes, features.shape[1]
        past = np.zeros(batch, np.float32)
        at = np.zeros(batch, np.intp)
        logit = np.float32(self.weights[0]) * self.values(at, 1)[:, 0]
        yield np.ones(batch, np.bool_), nodes.feature[at], logit
        for tree, start in enumerate(self._starts.tolist()):
            at = np.full(batch, start)
            while np.any(moves := nodes.kind[at] != _LEAF):
                # Of a split by equality TensorFlow reads the fields of one by inequality, and so finds feature 0.
                feature = np.where(nodes.kind[at] == _EQUAL, 0, nodes.feature[at])
                at = self.step(features, at)
                logit = np.where(moves, np.float32(self.weights[tree]) * self.values(at, 1)[:, 0], logit)
                yield moves, feature, logit + past
            past = np.where((tree == 0) | (at != start), past + logit, past)

    def _after_pruning(self, trees: np.ndarray, nodes: np.ndarray, logits: int) -> tuple[np.ndarray, np.ndarray]:
        """Where nodes of trees that were pruned since have gone, and what their logits have changed by."""
        now, change = nodes.copy(), np.zeros((len(nodes), logits), np.float32)
        for tree in np.unique(trees).tolist():
            metadata = self.metadata[tree]
            if not metadata.is_finalized or not metadata.post_pruned_nodes_meta:
                continue
            here = trees == tree
            updates = metadata.post_pruned_nodes_meta
            if np.any(nodes[here] >= len(updates)):
                raise InvalidArgumentError("an example was left at a node that its tree did not have")
            now[here] = np.array([update.new_node_id for update in updates], nodes.dtype)[nodes[here]]
            change[here] = np.array([update.logit_change for update in updates], np.float32)[nodes[here]]
        return now, change

    # ---- growing

    @property
    def is_last_finalized(self) -> bool:
        return not self.trees or self.metadata[-1].is_finalized

    @property
    def last_layer(self) -> tuple[int, int]:
        """The nodes of the latest layer; the root's if nothing has grown."""
        return (
            (self.growing.last_layer_node_start, max(1, self.growing.last_layer_node_end)) if self.growing else (0, 1)
        )

    def with_tree(self, logits: Sequence[float] = (0.0,)) -> Ensemble:
        """With one more tree, of which the root is a leaf."""
        tree = Tree(pb.Tree(nodes=[pb.TreeNode(leaf=_leaf(np.array(logits, np.float32)))]))
        return replace(
            self,
            trees=(*self.trees, tree),
            weights=(*self.weights, 1.0),
            metadata=(*self.metadata, pb.TreeMetadata()),
        )

    def with_bias(self, bias: float) -> Ensemble:
        """With another value of the first tree's root, which must be a leaf."""
        tree = pb.Tree()
        tree.CopyFrom(self.trees[0].message)
        tree.nodes[0].leaf.scalar = bias
        return replace(self, trees=(Tree(tree), *self.trees[1:]))

    def grow(self, splits: Sequence[tuple[int, Split]], max_depth: int, is_pruned: bool) -> Ensemble:
        """With a layer more: nodes of the last tree that become splits, in the order of their ids; without any, only tried.

        A tree that has reached `max_depth` is finalized, pruned if wanted, and followed by an empty one.
        """
        ensemble = replace(self, growing=self._attempted())
        if not ensemble.trees:
            ensemble = ensemble.with_tree()
        if not splits:
            return ensemble
        tree, metadata = pb.Tree(), pb.TreeMetadata()
        tree.CopyFrom(ensemble.trees[-1].message)
        metadata.CopyFrom(ensemble.metadata[-1])
        layer = len(tree.nodes), len(tree.nodes) + 2 * len(splits)
        for node, split in splits:
            _split(tree, node, split)
        metadata.num_layers_grown += 1
        is_done = metadata.num_layers_grown >= max_depth
        if is_done:
            metadata.is_finalized = True
            if is_pruned:
                tree = _pruned(tree, metadata)
            layer = 0, 1
        ensemble = replace(
            ensemble, trees=(*ensemble.trees[:-1], Tree(tree)), metadata=(*ensemble.metadata[:-1], metadata)
        )
        if is_done:
            ensemble = ensemble.with_tree(np.zeros(ensemble.trees[-1].nodes.values.shape[1]))
        growing = pb.GrowingMetadata()
        growing.CopyFrom(ensemble.growing)
        growing.last_layer_node_start, growing.last_layer_node_end = layer
        return replace(ensemble, growing=growing)

    def _attempted(self) -> Any:
        growing = pb.GrowingMetadata()
        if self.growing:
            growing.CopyFrom(self.growing)
        growing.num_layers_attempted += 1
        is_first_layer = not self.trees or (
            (len(self.trees) == 1 or self.metadata[-2].is_finalized) and len(self.trees[-1]) == 1
        )
        growing.num_trees_attempted += is_first_layer
        return growing


def _sum_in_order(values: np.ndarray) -> np.ndarray:
    """The sum over the first axis, term after term, as float32 rounds it."""
    return np.add.accumulate(values, axis=0)[-1] + np.float32(0)


def _leaf(values: np.ndarray) -> Any:
    if len(values) == 1:
        return pb.Leaf(scalar=values[0])
    return pb.Leaf(vector=pb.Vector(value=values))


def _split(tree: Any, index: int, split: Split) -> None:
    """Makes a leaf of a tree's message a split, with two leaves behind all nodes."""
    if not 0 <= index < len(tree.nodes) or tree.nodes[index].WhichOneof("node") != "leaf":
        raise InvalidArgumentError(f"node {index} of the tree is no leaf that could be split")
    node = tree.nodes[index]
    before = np.array(node_value(node), np.float32)
    if len(before) != len(split.left):
        raise InternalError(f"the leaf has {len(before)} logits, its children would have {len(split.left)}")
    if index or np.any(before):
        node.metadata.original_leaf.CopyFrom(node.leaf)
    node.metadata.gain = split.gain
    children = {"left_id": len(tree.nodes), "right_id": len(tree.nodes) + 1}
    of_feature = {"feature_id": split.feature, "dimension_id": split.dimension}
    if split.kind == "EQUALITY_DEFAULT_RIGHT":
        node.categorical_split.CopyFrom(pb.CategoricalSplit(value=split.threshold, **of_feature, **children))
    else:
        direction = pb.DEFAULT_RIGHT if split.kind == "INEQUALITY_DEFAULT_RIGHT" else pb.DEFAULT_LEFT
        node.bucketized_split.CopyFrom(
            pb.BucketizedSplit(threshold=split.threshold, default_direction=direction, **of_feature, **children)
        )
    for more in (split.left, split.right):
        tree.nodes.add().leaf.CopyFrom(_leaf(before + more))


def _pruned(tree: Any, metadata: Any) -> Any:
    """A tree without the splits of negative gain, from the bottom up; `metadata` gets where each node has gone."""
    splits = {i: node for i, node in enumerate(tree.nodes) if node.WhichOneof("node") != "leaf"}
    gone: dict[int, tuple[int, np.ndarray]] = {}
    # Children have larger ids than their parents.
    for i in sorted(splits, reverse=True):
        node = splits[i]
        split = getattr(node, node.WhichOneof("node"))
        children = split.left_id, split.right_id
        if node.metadata.gain >= 0 or any(tree.nodes[child].WhichOneof("node") != "leaf" for child in children):
            continue
        leaf = pb.Leaf()
        leaf.CopyFrom(node.metadata.original_leaf)
        node.leaf.CopyFrom(leaf)
        node.ClearField("metadata")
        value = np.array(node_value(node), np.float32)
        for child in children:
            gone[child] = i, value - np.array(node_value(tree.nodes[child]), np.float32)
    if not gone:
        return tree
    stays = [i for i in range(len(tree.nodes)) if i not in gone]
    new_ids = {old: new for new, old in enumerate(stays)}
    for i in range(len(tree.nodes)):
        change = np.zeros(len(node_value(tree.nodes[0])) or 1, np.float32)
        while i in gone:
            i, more = gone[i]
            change = change + more
        metadata.post_pruned_nodes_meta.add(new_node_id=new_ids[i], logit_change=change)
    kept = pb.Tree(nodes=[tree.nodes[i] for i in stays])
    for node in kept.nodes:
        which = node.WhichOneof("node")
        if which != "leaf":
            split = getattr(node, which)
            split.left_id, split.right_id = new_ids[split.left_id], new_ids[split.right_id]
    return kept
