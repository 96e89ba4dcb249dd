import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

LENGTHS = np.array([12, 5, 9], np.int32)


@pytest.mark.parametrize("merge_repeated", [True, False])
def test_greedy_decoding_equals_tensorflow(merge_repeated):
    inputs = random_array("float32", [12, 3, 4])
    attrs = {"merge_repeated": merge_repeated}
    check("CTCGreedyDecoder", {"inputs": inputs, "sequence_length": LENGTHS}, attrs, rtol=1e-5)


@pytest.mark.parametrize("merge_repeated", [True, False])
@pytest.mark.parametrize("beam_width, top_paths, seed", [(1, 1, 0), (4, 2, 1), (10, 3, 2), (50, 1, 3)])
def test_beam_search_equals_tensorflow(beam_width, top_paths, merge_repeated, seed):
    inputs = random_array("float32", [12, 3, 4], seed=seed)
    attrs = {"beam_width": beam_width, "top_paths": top_paths, "merge_repeated": merge_repeated}
    check("CTCBeamSearchDecoder", {"inputs": inputs, "sequence_length": LENGTHS}, attrs, rtol=1e-5, atol=1e-5)


def test_more_steps_than_time_are_refused():
    inputs = random_array("float32", [2, 1, 4])
    with pytest.raises(InvalidArgumentError):
        REGISTRY["CTCGreedyDecoder"].function(inputs, np.array([3], np.int32))
