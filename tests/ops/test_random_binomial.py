import json
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY

RECORDED = json.loads((Path(__file__).parent / "data" / "random_binomial.json").read_text())


def draw(row):
    operands = (np.array(row[name], row["operands"]) for name in ("counts", "probs"))
    with jax.enable_x64(True):
        return REGISTRY["StatefulRandomBinomial"].function(
            np.array(row["state"]),
            np.int64(1),
            np.array(row["shape"]),
            *operands,
            dtype=getattr(dtypes, row["result"]),
        )


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: f"{row['shape']}-{row['result']}")
def test_binomial_values_are_those_that_tensorflow_recorded(row):
    expected = np.array(row["values"], row["result"]).reshape(row["shape"])
    assert_array_equal(np.asarray(draw(row)), expected, strict=True)


def test_counts_that_do_not_go_with_the_rows_are_refused():
    row = RECORDED[0] | {"shape": [3, 4]}
    with pytest.raises(
        InvalidArgumentError, match=r"Input counts should have length 1 or shape\[0\], got shape: \[4\]"
    ):
        draw(row)


def test_no_values():
    row = RECORDED[0] | {"shape": [4, 0]}
    assert draw(row).shape == (4, 0)
