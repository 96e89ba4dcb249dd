"""Unicode: from encodings to code points and back."""

import unicodedata

import numpy as np

from mgjax import dtypes
from tests.ops.properties.recipes import Recipe, family
from tests.ops.properties.texts import strings

POINTS = (
    0x41, 0x20, 0x0A, 0x00, 0x1F, 0x7F, 0x9F, 0xE9, 0x3B1, 0x5D0, 0x65E5, 0x2603, 0x1F600, 0xFFFD, 0xFFFE, 0xFFFF,
    0x10FFFF, 0x110000,
    0xD800, 0xDFFF, -1, 2**31 - 1, -(2**31), 0x378, 0xE000, 0xFDD0, 0x0300, 0x30FC, 0x1F1E6, 0x200D,
)  # fmt: skip
ENCODINGS = ("UTF-8", "UTF-16-BE", "UTF-32-BE")
OTHERS = ("UTF-16-LE", "UTF-32-LE", "latin1", "US-ASCII", "KOI8-R", "utf8", "nope")


def replacement(recipe: Recipe) -> None:
    recipe.set(
        errors=recipe.choice(["replace", "ignore", "strict"]),
        replacement_char=recipe.choice([0xFFFD, 0x3F, 0x1F600, 0x20]),
    )


def encoded(recipe: Recipe, encoding: str) -> np.ndarray:
    """Strings in the encoding, of which the last bytes may be missing."""
    texts = strings(recipe, recipe.shape(0, 2, sizes=(1, 2, 3, 0)))
    for index in np.ndindex(texts.shape):
        text = texts[index]
        if encoding in ENCODINGS[1:] and recipe.rng.random() < 0.8:
            text = text.decode(errors="ignore").encode(encoding.lower())
            text = text[: len(text) - int(recipe.rng.integers(0, 4))] if recipe.rng.random() < 0.3 else text
        texts[index] = text
    return texts


# Offsets with splits of int32 end the live TensorFlow's process.
@family("UnicodeDecodeWithOffsets", types={"Tsplits": (dtypes.int64,)})
@family("UnicodeDecode", "UnicodeTranscode")
def unicode_decode(recipe: Recipe) -> None:
    replacement(recipe)
    recipe.set(input_encoding=recipe.choice(OTHERS if recipe.rarely() else ENCODINGS))
    recipe.give("input", encoded(recipe, recipe.attr("input_encoding")))


@family("UnicodeEncode")
def unicode_encode(recipe: Recipe) -> None:
    replacement(recipe)
    lengths = [recipe.integer(0, 3) for _ in range(recipe.integer(0, 3))]
    splits = np.cumsum([0, *lengths])
    options = np.array(POINTS if recipe.boolean() else POINTS[:13])
    recipe.give("input_values", options[recipe.rng.integers(0, len(options), splits[-1])])
    if recipe.rarely():
        splits[recipe.integer(0, len(splits) - 1)] += recipe.choice([-1, 1, 5])
    recipe.give("input_splits", splits)


@family("UnicodeScript")
def unicode_script(recipe: Recipe) -> None:
    # Old characters: each version knows more of the others.
    points = [x for x in recipe.rng.integers(0, 0x30000, 60) if unicodedata.ucd_3_2_0.category(chr(x)) != "Cn"]
    options = np.array([*points, -1, 0, 0x41, 0x3B1, 0x65E5, 0x10FFFF, 0x110000, 2**31 - 1, -(2**31)])
    recipe.give("input", np.asarray(options[recipe.rng.integers(0, len(options), recipe.shape(0, 3))]))
