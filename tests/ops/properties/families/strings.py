"""Strings: cutting, joining, splitting, numbers as text, hashes."""

import base64

import numpy as np

from mgjax import dtypes
from tests.ops.properties.recipes import Recipe, family
from tests.ops.properties.texts import strings, text

SHAPES = (0, 1, 2, 3)


def given_texts(recipe: Recipe, name: str, shape: tuple[int, ...] | None = None) -> tuple[int, ...]:
    shape = recipe.shape(0, 3, sizes=SHAPES) if shape is None else shape
    recipe.give(name, strings(recipe, shape))
    return shape


@family("StringLower", "StringUpper")
def case(recipe: Recipe) -> None:
    given_texts(recipe, "input")
    recipe.set(encoding="latin-1" if recipe.rarely() else recipe.choice(["", "utf-8"]))


@family("StringStrip", "StringLength", "EncodeBase64")
def each_text(recipe: Recipe) -> None:
    given_texts(recipe, "input")


@family("Substr")
def substr(recipe: Recipe) -> None:
    shape = given_texts(recipe, "input")
    where = recipe.choice([(), shape, recipe.broadcastable(shape)])
    recipe.give("pos", recipe.uniform(recipe.dtype("pos"), where, -2, 4))
    recipe.give("len", recipe.uniform(recipe.dtype("len"), where, -1 if recipe.rarely() else 0, 5))


@family("StringJoin")
def string_join(recipe: Recipe) -> None:
    shape = recipe.shape(0, 3, sizes=SHAPES)
    shapes = [recipe.choice([shape, shape, ()]) for _ in range(recipe.integer(1, 4))]
    if recipe.rarely():
        shapes[-1] = (*shape, 2)
    recipe.inputs("inputs", shapes)
    recipe.call.inputs["inputs"] = [strings(recipe, s) for s in shapes]
    recipe.set(separator=recipe.choice(["", ", ", "é"]))


@family("StringSplit")
def string_split(recipe: Recipe) -> None:
    recipe.give("input", strings(recipe, (recipe.integer(0, 4),)))
    recipe.give("delimiter", text(recipe.choice([b"", b" ", b",", b" ,", b"ab", "é".encode()])))


@family("StringSplitV2")
def string_split_v2(recipe: Recipe) -> None:
    recipe.give("input", strings(recipe, (recipe.integer(0, 4),)))
    recipe.give("sep", text(recipe.choice([b"", b" ", b",", b", ", b"aa", "é".encode()])))
    recipe.set(maxsplit=recipe.integer(-1, 3))


@family("ReduceJoin")
def reduce_join(recipe: Recipe) -> None:
    shape = given_texts(recipe, "inputs", recipe.shape(0, 4, sizes=SHAPES))
    axes = recipe.axes(len(shape)) if recipe.boolean() else np.arange(len(shape))
    recipe.give("reduction_indices", recipe.axis(len(shape)) if recipe.boolean() else np.array(axes, int))
    recipe.set(separator=recipe.choice(["", ", "]))


@family("UnsortedSegmentJoin")
def unsorted_segment_join(recipe: Recipe) -> None:
    shape = given_texts(recipe, "inputs", recipe.shape(1, 3, sizes=SHAPES))
    count = recipe.integer(0, 4)
    depth = recipe.integer(1, len(shape))
    low = -1 if recipe.rarely() else 0
    recipe.give("segment_ids", recipe.uniform(recipe.dtype("segment_ids"), shape[:depth], low, max(count - 1, 0)))
    recipe.give("num_segments", count)
    recipe.set(separator=recipe.choice(["", ", "]))


@family("StringNGrams")
def string_n_grams(recipe: Recipe) -> None:
    lengths = [recipe.integer(0, 4) for _ in range(recipe.integer(0, 3))]
    splits = np.cumsum([0, *lengths])
    recipe.give("data", strings(recipe, (int(splits[-1]),)))
    if recipe.rarely():
        splits[recipe.integer(0, len(splits) - 1)] += recipe.choice([-2, 1, 7])
    recipe.give("data_splits", splits)
    recipe.set(
        separator=recipe.choice(["", "|"]),
        ngram_widths=tuple(recipe.integer(0 if recipe.rarely() else 1, 4) for _ in range(recipe.integer(0, 3))),
        left_pad=recipe.choice(["", "LP"]),
        right_pad=recipe.choice(["", "RP"]),
        pad_width=recipe.integer(-1, 5),
    )


@family("StringFormat")
def string_format(recipe: Recipe) -> None:
    types = recipe.attr("T")
    recipe.inputs("inputs", [recipe.shape(0, 3, sizes=(0, 1, 2, 3, 7)) for _ in types])
    placeholder = recipe.choice(["%s", "{}"])
    count = len(types) + (recipe.choice([-1, 1]) if recipe.rarely() else 0)
    recipe.set(
        placeholder=placeholder,
        template=recipe.choice(["", "é "]) + ", ".join([placeholder] * count) + recipe.choice(["", "\n"]),
        summarize=recipe.integer(-1, 4),
    )


@family("AsString")
def as_string(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(0, 3, sizes=SHAPES))
    kind = recipe.attr("T").numpy.kind
    plain = kind in "iub" and not recipe.rarely()
    recipe.set(
        precision=-1 if plain else recipe.integer(-1, 20),
        width=recipe.choice([-1, 0, 1, 7, 12]),
        fill=recipe.choice(["", " ", "+", "-", "0", "#", "x"]) if recipe.boolean() else "",
        scientific=not plain and recipe.boolean(),
        shortest=not plain and recipe.rarely(),
    )
    if kind not in "iub" and not recipe.attr("scientific"):
        recipe.set(shortest=recipe.boolean())


NUMBERS = (
    b"0", b"-0", b"1", b"+1", b"-17", b"  42\t", b"1.", b".5", b"-.5e-3", b"1e5", b"1E+05", b"1e400", b"-1e400", b"1e-400",
    b"inf", b"-Inf", b"+infinity", b"INFINITY", b"nan", b"NaN", b"-nan", b"nan(1)", b"0x1F", b"-0x10", b"0x1.8p1", b"0X",
    b"2147483647", b"2147483648", b"-2147483648", b"-2147483649", b"9223372036854775807", b"9223372036854775808",
    b"-9223372036854775808", b"-9223372036854775809", b"16777217", b"3.4028235e38", b"3.4028236e38", b"1.17549435e-38",
    b"1e-45", b"5e-324", b"0.1", b"123456789.123456789", b"1.00000005960464477539", b"", b" ", b"1 2", b"1,000", b"--1",
    b"1e", b"e5", b"1_000", b"1f", b"0b1", b"\xd9\xa1", b"1\x00", b"00012", b"1e5.0", b"+", b".", b"infi", b"true",
)  # fmt: skip


@family("StringToNumber")
def string_to_number(recipe: Recipe) -> None:
    recipe.give("string_tensor", strings(recipe, recipe.shape(0, 1, sizes=(1, 1, 0, 2)), NUMBERS))


@family("StringToHashBucket", "StringToHashBucketFast", "StringToHashBucketStrong")
def hash_bucket(recipe: Recipe) -> None:
    name = recipe.op_def.inputs[0].name
    recipe.give(name, strings(recipe, recipe.shape(0, 3, sizes=SHAPES), longest=150))
    recipe.set(num_buckets=recipe.choice([1, 2, 1000, 2**40, 2**63 - 1]))
    if "key" in recipe.call.attrs:
        recipe.set(key=tuple(recipe.integer(-(2**63), 2**63 - 1) for _ in range(1 if recipe.rarely() else 2)))


@family("Fingerprint")
def fingerprint(recipe: Recipe) -> None:
    shape = recipe.shape(0 if recipe.rarely() else 1, 3, sizes=SHAPES)
    if recipe.attr("T") == dtypes.string:
        recipe.give("data", strings(recipe, shape, longest=150))
    else:
        recipe.input("data", shape)
    recipe.give("method", text(b"farmhash" if recipe.rarely() else b"farmhash64"))


@family("DecodeBase64")
def decode_base64(recipe: Recipe) -> None:
    shape = recipe.shape(0, 2, sizes=SHAPES)
    encoded = [base64.urlsafe_b64encode(x) for x in strings(recipe, (int(np.prod(shape)),))]
    if encoded:
        encoded[0] = recipe.choice([encoded[0], encoded[0].rstrip(b"="), encoded[0][:-1]])
        if recipe.rarely():
            encoded[0] += recipe.choice([b"=", b"==", b"a", b"+", b" ", b"\n", b"aa=", b"=a"])
    array = np.empty(len(encoded), object)
    array[:] = encoded
    recipe.give("input", array.reshape(shape))
