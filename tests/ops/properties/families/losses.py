"""Softmax, cross entropies, layers' helpers."""

from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Recipe, family


@family("Softmax", "LogSoftmax", bound=relative(20))
def softmax(recipe: Recipe) -> None:
    recipe.input("logits", recipe.shape(1, 4), huge=False)


@family("SoftmaxCrossEntropyWithLogits", bound=relative(40))
def softmax_cross_entropy(recipe: Recipe) -> None:
    shape = (recipe.integer(0, 4), recipe.integer(1, 4))
    recipe.input("features", shape, flavor="plain")
    recipe.give("labels", recipe.uniform(recipe.dtype("labels"), (1, shape[1]) if recipe.rarely() else shape, 0, 1))


@family("SparseSoftmaxCrossEntropyWithLogits", bound=relative(40))
def sparse_softmax_cross_entropy(recipe: Recipe) -> None:
    batch, classes = recipe.integer(0, 4), recipe.integer(1, 4)
    recipe.input("features", (batch, classes), flavor="plain")
    recipe.give("labels", recipe.uniform(recipe.dtype("labels"), (batch,), 0, classes - 1))
