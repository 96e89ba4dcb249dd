"""An open checkpoint."""

import numpy as np
import pytest

from mgjax import checkpoint
from mgjax.errors import RestoreError, UnknownNameError


@pytest.fixture
def opened(tmp_path):
    whole = np.arange(12, dtype=np.float32).reshape(4, 3)
    halves = [("part", whole[:2], (4, 3), ((0, 2), (0, 3))), ("part", whole[2:], (4, 3), ((2, 2), (0, -1)))]
    checkpoint.write(tmp_path / "m", [("dense/kernel", whole), ("dense/bias", np.int32(7)), *halves])
    return checkpoint.open(tmp_path / "m")


def test_it_reads_as_a_mapping(opened):
    assert list(opened) == ["dense/bias", "dense/kernel", "part"]
    assert len(opened) == 3
    assert "part" in opened
    assert "" not in opened
    assert 3 not in opened
    assert dict(opened).keys() == opened.read_all().keys()
    assert opened.read_all(["part"])["part"].shape == (4, 3)


def test_it_describes_its_tensors(opened):
    assert (opened.dtype("part").name, opened.shape("part")) == ("float32", (4, 3))
    assert opened.pieces("part") == (((0, 2), (0, 3)), ((2, 2), (0, -1)))
    assert opened.pieces("dense/bias") == ()


def test_a_whole_tensor_is_a_view_of_the_file_that_cannot_be_written(opened):
    kernel = opened["dense/kernel"]
    assert not kernel.flags.owndata
    assert not kernel.flags.writeable
    assert not opened.read("part", "0,2:0,3").flags.owndata


@pytest.mark.parametrize("name", ["dense/kernel", "part"])
@pytest.mark.parametrize("region", [np.s_[1:3], np.s_[:, 1:], np.s_[4:], np.s_[0:2, 0:3]])
def test_a_region_is_read_from_whole_tensors_and_from_pieces(opened, name, region):
    region = region if isinstance(region, tuple) else (region,)
    assert opened.read(name, region).tolist() == np.arange(12).reshape(4, 3)[region].tolist()


def test_an_unknown_name_is_an_error_with_the_nearest(opened):
    for read in (opened.read, opened.dtype, opened.shape, opened.pieces):
        with pytest.raises(
            UnknownNameError, match=r"Key dense/kernal not found in checkpoint .*nearest: 'dense/kernel'"
        ):
            read("dense/kernal")
    with pytest.raises(UnknownNameError, match="it holds 3 others"):
        opened.read("")


@pytest.mark.parametrize("region", ["0,5:-", "0,1", np.s_[::2], ((0, 1),)])
def test_a_region_outside_is_an_error(opened, region):
    for name in ("dense/kernel", "part"):
        with pytest.raises(RestoreError, match=name):
            opened.read(name, region if isinstance(region, (str, tuple)) else (region,))
