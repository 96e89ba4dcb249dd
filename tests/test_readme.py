"""README's Python runs from top to bottom, and prints what README says it prints."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path

import pytest

from mgjax import sample
from mgjax.ops import REGISTRY

README = Path(__file__).parents[1] / "README.md"


def blocks() -> list[tuple[str, str | None]]:
    """The Python blocks, each with the block of printed text that follows it, or None."""
    found = re.findall(
        r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", README.read_text(), re.MULTILINE | re.DOTALL
    )
    return [(code, printed or None) for code, printed in found]


@pytest.fixture
def own_registry():
    """Lowerings that README registers do not stay for other tests."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.usefixtures("own_registry")
def test_readme_is_true(tmp_path, monkeypatch):
    for path in sample.FOLDER.glob("digits-1500*"):
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code, expected in blocks():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(README), "exec"), names)
        if expected is not None:
            assert [line.rstrip() for line in printed.getvalue().splitlines() if line] == expected.splitlines()
