"""Recurrent cells, and losses and decoders of sequences."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Call, Recipe, family

# Sums of products of both signs go through a sigmoid, hundreds of roundings in all.
ROUNDED = relative(400)


def without_unwritten(outputs: list[np.ndarray], call: Call) -> list[np.ndarray]:
    """Without what TensorFlow leaves as it found it: of peepholes that are not used, and of steps beyond the end."""
    if call.op == "LSTMBlockCellGrad" and not call.attrs["use_peephole"]:
        return outputs[:2]
    if call.op in ("BlockLSTM", "BlockLSTMV2"):
        return [x[: max(int(call.inputs["seq_len_max"]), 0)] for x in outputs]
    return outputs


FLOAT = {"T": (dtypes.float32,)}


@family(
    "LSTMBlockCell", "LSTMBlockCellGrad", "BlockLSTM", "BlockLSTMV2", "BlockLSTMGrad", "BlockLSTMGradV2",
    bound=ROUNDED, view=without_unwritten, types=FLOAT,
)  # fmt: skip
def lstm(recipe: Recipe) -> None:
    batch, width, cell = (recipe.integer(1, 3) for _ in range(3))
    time = (recipe.integer(1, 4),) if "BlockLSTM" in recipe.call.op else ()
    shapes = {
        "seq_len_max": (), "x": (*time, batch, width), "cs_prev": (batch, cell), "h_prev": (batch, cell),
        "w": (width + cell, 4 * cell), "wci": (cell,), "wcf": (cell,), "wco": (cell,), "b": (4 * cell,),
    }  # fmt: skip
    for arg in recipe.op_def.inputs:
        recipe.give(arg.name, recipe.rng.normal(0, 1, shapes.get(arg.name, (*time, batch, cell))))
    if time:
        recipe.give("seq_len_max", recipe.integer(0, time[0]))
    if "cell_clip" in recipe.call.attrs:
        recipe.set(cell_clip=recipe.choice([-1.0, 0.0, 0.5, 3.0]))
    if "forget_bias" in recipe.call.attrs:
        recipe.set(forget_bias=recipe.choice([0.0, 1.0]))


@family("GRUBlockCell", "GRUBlockCellGrad", bound=ROUNDED)
def gru(recipe: Recipe) -> None:
    batch, width, cell = (recipe.integer(1, 3) for _ in range(3))
    shapes = {
        "x": (batch, width), "w_ru": (width + cell, 2 * cell), "w_c": (width + cell, cell),
        "b_ru": (2 * cell,), "b_c": (cell,),
    }  # fmt: skip
    for arg in recipe.op_def.inputs:
        recipe.give(arg.name, recipe.rng.normal(0, 1, shapes.get(arg.name, (batch, cell))))


def frames(recipe: Recipe) -> int:
    """Gives the logits of a few frames and how many each sequence has; the number of classes."""
    # Few shapes, since for each of them loops are compiled.
    time, batch, classes = recipe.choice([(4, 2, 3), (3, 2, 2)])
    recipe.give("inputs", recipe.rng.normal(0, 2, (time, batch, classes)))
    lengths = recipe.uniform(dtypes.int32, (batch,), 0, time + recipe.rarely())
    recipe.give("sequence_length", lengths)
    return classes


# 2 has a kernel of float64 that computes in float32.
@family("CTCLoss", bound=relative(400, floor=1e-6), types=FLOAT)
def ctc_loss(recipe: Recipe) -> None:
    classes = frames(recipe)
    lengths = (0, 3) if recipe.rarely() else recipe.choice([(1, 2), (2, 1)])
    places = [(row, column) for row, count in enumerate(lengths) for column in range(count)]
    recipe.give("labels_indices", np.reshape(places, (len(places), 2)).astype(np.int64))
    labels = recipe.uniform(dtypes.int32, (len(places),), -1 if recipe.rarely() else 0, classes - 2)
    if recipe.rarely():
        # Blanks that pad a row; a row of nothing else makes TensorFlow read beyond its arrays.
        labels = np.where([column > 0 for _, column in places], labels + recipe.rng.integers(0, 2), labels)
    recipe.give("labels_values", labels)


@family("CTCGreedyDecoder", bound=relative(20), types=FLOAT, blank_index=-1)
def ctc_greedy(recipe: Recipe) -> None:
    frames(recipe)


@family("CTCBeamSearchDecoder", bound=relative(200), types=FLOAT)
def ctc_beam_search(recipe: Recipe) -> None:
    frames(recipe)
    width = recipe.integer(2, 20)
    recipe.set(beam_width=width, top_paths=recipe.integer(1, 2))
