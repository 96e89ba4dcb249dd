"""`import mgjax` needs the core dependencies alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def run(code: str) -> str:
    # Bytecode is kept, as it is for an installed package.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    ).stdout


def test_import_loads_nothing_beyond_what_the_core_dependencies_load():
    loaded = json.loads(
        run("import json, sys, mgjax; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))")
    )
    extras = [requirement for extra in PYPROJECT["optional-dependencies"].values() for requirement in extra]
    names = {requirement.split(">")[0].split("[")[0] for requirement in extras} - {"mgjax"}
    assert not {name.replace("-", "_") for name in names | {"tensorflow", "matplotlib", "absl"}} & set(loaded)


@pytest.mark.parametrize("first, second", [("mgjax", "tensorflow"), ("tensorflow", "mgjax")])
def test_import_beside_tensorflow_in_either_order(first, second):
    assert run(f"import {first}, {second}; print('both')") == "both\n"
