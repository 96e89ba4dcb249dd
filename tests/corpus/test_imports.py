"""Every graph of the corpus imports, whatever ops it has."""

from __future__ import annotations

import zipfile

import pytest

import mgjax
from tests.corpus.score import CORPUS

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there is no corpus at {CORPUS}")


@pytest.mark.parametrize("part", ["zoo", "wild"])
def test_every_meta_imports(part):
    paths = [path for path in sorted((CORPUS / part).rglob("*.meta")) if path.is_file()]
    assert len(paths) > 20
    for path in paths:
        fn, _ = mgjax.import_meta_graph(str(path))
        assert len(fn.operations) > 0, path


def test_every_graph_of_tensorflows_own_tests_imports():
    count = 0
    for path in sorted((CORPUS / "tfops").rglob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.startswith("g/"):
                    fn, _ = mgjax.import_meta_graph(archive.read(name))
                    assert len(fn.operations) > 0, (path, name)
                    count += 1
    assert count > 1000
