"""Products of matrices, and diagonals."""

from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Recipe, family


@family("MatMul", "SparseMatMul", bound=relative(20))
def mat_mul(recipe: Recipe) -> None:
    rows, inner, columns = (recipe.integer(0, 5) for _ in range(3))
    a, b = (rows, inner), (inner + recipe.rarely(), columns)
    # The sparse product leaves out zeros, and so what 0 times an infinity would be.
    flavor = "plain" if recipe.call.op == "SparseMatMul" else recipe.flavor
    recipe.input("a", a[::-1] if recipe.attr("transpose_a") else a, huge=False, flavor=flavor)
    recipe.input("b", b[::-1] if recipe.attr("transpose_b") else b, huge=False, flavor=flavor)


@family("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", bound=relative(20))
def batch_mat_mul(recipe: Recipe) -> None:
    batch = recipe.shape(0, 3, sizes=(1, 2, 3, 0))
    rows, inner, columns = (recipe.integer(0, 4) for _ in range(3))
    x, y = (rows, inner), (inner + recipe.rarely(), columns)
    recipe.input("x", (*batch, *(x[::-1] if recipe.attr("adj_x") else x)), huge=False)
    batch = batch if recipe.call.op == "BatchMatMul" else recipe.broadcastable(batch)
    recipe.input("y", (*batch, *(y[::-1] if recipe.attr("adj_y") else y)), huge=False)


@family("Cross", bound=relative(8))
def cross(recipe: Recipe) -> None:
    shape = (*recipe.shape(0, 3), 3 - recipe.rarely())
    recipe.input("a", shape, huge=False)
    recipe.input("b", shape, huge=False)


@family("Diag", "MatrixDiag")
def diag(recipe: Recipe) -> None:
    recipe.input("diagonal", recipe.shape(1, 3, sizes=(0, 1, 2, 3)))


@family("DiagPart")
def diag_part(recipe: Recipe) -> None:
    shape = recipe.shape(1, 2, sizes=(0, 1, 2, 3))
    recipe.input("input", (*shape, *shape[:-1], shape[-1] + recipe.rarely()))


@family("MatrixBandPart")
def matrix_band_part(recipe: Recipe) -> None:
    shape = recipe.shape(2, 4)
    recipe.input("input", shape)
    for name, size in zip(("num_lower", "num_upper"), shape[-2:], strict=True):
        recipe.give(name, recipe.integer(-1, size + recipe.rarely()))


@family("MatrixDiagPart")
def matrix_diag_part(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(2, 4))


@family("MatrixSetDiag")
def matrix_set_diag(recipe: Recipe) -> None:
    shape = recipe.shape(2, 4)
    recipe.input("input", shape)
    recipe.input("diagonal", (*shape[:-2], min(shape[-2:])))


def band(recipe: Recipe, rows: int, columns: int) -> tuple[int, int]:
    """Gives `k`: a diagonal, or the lowest and highest of a band."""
    low = recipe.integer(-max(rows - 1, 0), max(columns - 1, 0))
    high = recipe.integer(low, max(columns - 1, low)) if recipe.boolean() else low
    recipe.give("k", low if low == high and recipe.boolean() else [low, high])
    return low, high


@family("MatrixDiagPartV2", "MatrixDiagPartV3")
def matrix_diag_part_band(recipe: Recipe) -> None:
    shape = recipe.shape(2, 4, sizes=(1, 2, 3, 4))
    recipe.input("input", shape)
    recipe.input("padding_value")
    band(recipe, *shape[-2:])


def diagonals_shape(batch: tuple[int, ...], rows: int, columns: int, low: int, high: int) -> tuple[int, ...]:
    longest = min(rows + min(high, 0), columns - max(low, 0))
    return (*batch, longest) if low == high else (*batch, high - low + 1, longest)


@family("MatrixSetDiagV2", "MatrixSetDiagV3")
def matrix_set_diag_band(recipe: Recipe) -> None:
    *batch, rows, columns = recipe.shape(2, 4, sizes=(1, 2, 3, 4))
    recipe.input("input", (*batch, rows, columns))
    recipe.input("diagonal", diagonals_shape(tuple(batch), rows, columns, *band(recipe, rows, columns)))


@family("MatrixDiagV2", "MatrixDiagV3")
def matrix_diag_band(recipe: Recipe) -> None:
    *batch, rows, columns = recipe.shape(2, 3, sizes=(1, 2, 3, 4))
    low, high = band(recipe, rows, columns)
    recipe.input("diagonal", diagonals_shape(tuple(batch), rows, columns, low, high))
    recipe.input("padding_value")
    given = recipe.boolean()
    recipe.give("num_rows", rows if given else -1)
    recipe.give("num_cols", columns if given else -1)


EQUATIONS = (
    "ij,jk->ik", "ab,cb->ac", "i,i->", "i,j->ij", "ij->ji", "ii->i", "ii->", "...ij,...jk->...ik", "bij,bjk->bik",
    "abc,cd->abd", "ij->", "ij->j", "abi,aib->ba", "...ij->...ji", "ij,jk,kl->il", "i...->...",
)  # fmt: skip


@family("Einsum", bound=relative(30))
def einsum(recipe: Recipe) -> None:
    equation = recipe.choice(EQUATIONS)
    recipe.set(equation=equation)
    sizes = {label: recipe.integer(0, 4) for label in "abcdijkl"}
    dots = recipe.shape(0, 2, sizes=(1, 2))
    shapes = []
    for operand in equation.split("->")[0].split(","):
        before, ellipsis, after = operand.partition("...")
        middle = dots if ellipsis else ()
        shapes.append((*(sizes[x] for x in before), *middle, *(sizes[x] for x in after)))
    recipe.inputs("inputs", shapes, huge=False)
