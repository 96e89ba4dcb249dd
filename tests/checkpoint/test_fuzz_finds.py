"""What `tests.fuzz` has found is found no more; and it still finds what it is made to find."""

import contextlib
import random
from pathlib import Path

import pytest

import mgjax
from mgjax.proto import meta_graph_pb2
from tests import fuzz

FINDS = sorted(Path(fuzz.__file__).with_name("fuzz_finds").iterdir())


@pytest.mark.parametrize("path", FINDS, ids=lambda path: path.name)
def test_a_find_is_a_documented_error_or_an_answer(path):
    with contextlib.suppress(fuzz.DOCUMENTED):
        fuzz.read_meta_graph(path.read_bytes())


@pytest.mark.parametrize("where", ["node", "function"])
def test_an_output_beyond_all_bounds_makes_no_values(where):
    message = meta_graph_pb2.MetaGraphDef.FromString(fuzz.small_meta_graph())
    library = message.graph_def.library.function[0]
    taken = library.node_def.add(name="take", op="Neg") if where == "function" else message.graph_def.node[5]
    taken.input[:] = ["sum:z:999999999"] if where == "function" else ["w/read:999999999", "x"]
    function, _ = mgjax.import_meta_graph(message)
    sizes = [len(op.results) for made in function.module().functions.values() for op in made.body.operations]
    assert max(sizes) < 10


def test_a_short_campaign_finds_nothing(tmp_path):
    campaign = fuzz.Campaign(seed=0, keep=tmp_path / "finds")
    campaign.run(1500)
    assert campaign.finds == []
    assert sum(campaign.counts.values()) == 1500
    assert len(campaign.counts) > 10


def test_what_is_not_documented_is_a_find(tmp_path):
    campaign = fuzz.Campaign(seed=0, keep=tmp_path / "finds")

    def read(data):
        raise RuntimeError("not documented")

    campaign.hold("meta", b"some bytes", read)
    (find,) = campaign.finds
    assert find.read_bytes() == b"some bytes"
    assert "RuntimeError: not documented" in find.with_suffix(".txt").read_text()
    assert fuzz.edited(b"abc" * 50, random.Random(1)) != b"abc" * 50
