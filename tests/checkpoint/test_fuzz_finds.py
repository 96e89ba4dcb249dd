"""What `tests.fuzz` has found is found no more; and it still finds what it is made to find."""

import contextlib
import random
from pathlib import Path

import pytest

from tests import fuzz

FINDS = sorted(Path(fuzz.__file__).with_name("fuzz_finds").iterdir())


@pytest.mark.parametrize("path", FINDS, ids=lambda path: path.name)
def test_a_find_is_a_documented_error_or_an_answer(path):
    with contextlib.suppress(fuzz.DOCUMENTED):
        fuzz.read_meta_graph(path.read_bytes())


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
