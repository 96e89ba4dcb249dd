"""Checkpoints of other machines, by way of fsspec's `memory://`."""

from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
from mgjax import checkpoint
from mgjax.errors import MissingFileError, ReadError, UnsupportedError
from mgjax.saver import placing

fsspec = pytest.importorskip("fsspec")

DATA = Path(__file__).parent / "data"
WIDE = np.arange(4000, dtype=np.float32).reshape(40, 100)


class Counted:
    """Counts the bytes that are read."""

    def __init__(self, monkeypatch):
        self.bytes = 0
        kind = type(fsspec.filesystem("memory"))
        read = kind.cat_file

        def cat_file(system, path, start=None, end=None, **kwargs):
            content = read(system, path, start=start, end=end, **kwargs)
            self.bytes += len(content)
            return content

        monkeypatch.setattr(kind, "cat_file", cat_file)


@pytest.fixture
def remote(tmp_path):
    """A function that puts files into a folder of memory:// and gives its address."""
    system = fsspec.filesystem("memory")
    address = f"memory://{tmp_path.name}"

    def put(folder):
        for path in Path(folder).iterdir():
            if path.is_file():
                system.pipe_file(f"/{tmp_path.name}/{path.name}", path.read_bytes())
        return address

    yield put
    if system.exists(f"/{tmp_path.name}"):
        system.rm(f"/{tmp_path.name}", recursive=True)


@pytest.mark.parametrize(
    "name", ["v2", "v2-sharded", "v2-partitioned", "v1", "v1-sharded", "v1-sharded-?????-of-00002"]
)
def test_every_format_is_read_as_from_a_local_file(remote, name):
    local, there = checkpoint.open(DATA / name), checkpoint.open(f"{remote(DATA)}/{name}")
    assert there.version == local.version
    assert there.names() == local.names()
    for key, array in there.read_all().items():
        assert array.dtype == local[key].dtype
        assert_array_equal(array, local[key])


def test_the_latest_of_a_folder_is_found(remote, tmp_path):
    for step in (1, 2):
        checkpoint.write(tmp_path / f"m-{step}", {"w": np.float32(step)})
    checkpoint.write_state(str(tmp_path), str(tmp_path / "m-2"), save_relative_paths=True)
    address = remote(tmp_path)
    assert checkpoint.latest_checkpoint(address) == f"{address}/m-2"
    assert checkpoint.find(address) == checkpoint.find(f"{address}/m-2.index") == f"{address}/m-2"
    assert checkpoint.exists(f"{address}/m-1") and not checkpoint.exists(f"{address}/m-3")
    with pytest.raises(MissingFileError, match=r"m-3: no such checkpoint; checkpoints in .*: m-1, m-2"):
        checkpoint.open(f"{address}/m-3")


def test_damage_is_found_there_too(remote, tmp_path):
    checkpoint.write(tmp_path / "m", {"w": WIDE})
    path = tmp_path / "m.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(ReadError, match="Checksum does not match"):
        checkpoint.open(f"{remote(tmp_path)}/m").read("w")
    path.write_bytes(data[:50])
    with pytest.raises(ReadError, match="the file ends at 50"):
        checkpoint.open(f"{remote(tmp_path)}/m").read("w")


def test_of_a_region_only_its_rows_are_read(remote, tmp_path, monkeypatch):
    checkpoint.write(tmp_path / "m", {"w": WIDE, "other": np.zeros(10_000)})
    opened = checkpoint.open(f"{remote(tmp_path)}/m")
    counted = Counted(monkeypatch)
    assert_array_equal(opened.read("w", np.s_[10:12, 3:5], verify=False), WIDE[10:12, 3:5])
    assert counted.bytes == 2 * 400
    assert_array_equal(opened["w"], WIDE)
    assert counted.bytes == 2 * 400 + WIDE.nbytes  # once, though it is also verified


def test_a_process_reads_the_bytes_of_its_own_shards(remote, tmp_path, monkeypatch):
    checkpoint.write(tmp_path / "m", {"w": WIDE})
    opened = checkpoint.open(f"{remote(tmp_path)}/m")
    counted, asked = Counted(monkeypatch), []

    def read(region):
        asked.append(region)
        return opened.read("w", region, verify=False)

    sharding = jax.sharding.NamedSharding(jax.sharding.Mesh(jax.devices()[:1], ("x",)), jax.sharding.PartitionSpec("x"))
    array = placing.from_regions(read, WIDE.shape, np.dtype(np.float32), sharding)
    assert_array_equal(array, WIDE)
    assert asked == [((0, 40), (0, 100))] and counted.bytes == WIDE.nbytes


def test_a_saver_restores_from_there(remote):
    from mgjax import sample

    fn, saver = mgjax.import_meta_graph(sample.META)
    address = remote(Path(sample.PREFIX).parent)
    state = saver.restore(f"{address}/{Path(sample.PREFIX).name}")
    assert sorted(state) == sorted(fn.variables)
    assert saver.fit(address).problems == []


def test_a_protocol_that_nothing_reads_is_refused():
    with pytest.raises(UnsupportedError, match="nosuch://a/b"):
        checkpoint.open("nosuch://a/b")
