"""Imports go one way: a package may use those before it, peers do not meet, and packages are entered by their door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "mgjax"

#: From left to right; the members of one row are peers, which do not meet.
ROWS = (
    {"errors"},
    {"dtypes"},
    {"shapes"},
    {"attributes"},
    {"proto"},
    {"opdefs"},
    {"ir", "ops", "checkpoint"},
    {"host", "metagraph", "passes"},
    {"lowering"},
    {"function"},
    {"exporting"},
    {"saver"},
    {"importing"},
    {"runtime"},
    {"inspect"},
    {"compat"},
    {"sample", "cli"},
    {"__main__"},
)
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
#: Parts that know nothing of JAX, and parts that know nothing of protocol buffers.
WITHOUT_JAX = {name for name in RANK if RANK[name] <= RANK["metagraph"]} - {"ops"}
WITHOUT_PROTOBUF = {"errors", "dtypes", "shapes", "attributes", "ir", "ops", "passes"}

FILES = [
    path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py" and not path.name.endswith("_pb2.py")
]


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every import of a file, as (module, name taken from it or "")."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT.parent).parts[: -node.level] if node.level else ()
            module = ".".join((*package, node.module or "")).rstrip(".")
            yield from ((module, alias.name) for alias in node.names)


def own_imports(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The imports of this project's own parts, as (part, what lies below it)."""
    for module, name in imports(path):
        top, *below = module.split(".")
        if top == "mgjax" and below:
            yield below[0], tuple(below[1:])
        elif top == "mgjax":
            yield name, ()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
class TestImports:
    def test_go_from_left_to_right(self, path):
        here = part_of(path)
        assert here in RANK, f"mgjax/{here} has no place in the order of imports"
        for part, _ in own_imports(path):
            assert part == here or (part == "" or part not in RANK) or RANK[part] < RANK[here], f"{here} imports {part}"

    def test_of_other_packages_use_their_door(self, path):
        for part, below in own_imports(path):
            assert part in (part_of(path), "proto") or not below, f"{part}.{'.'.join(below)} is not the door of {part}"

    def test_leave_out_what_the_part_does_not_know(self, path):
        here = part_of(path)
        outside = {module.split(".")[0] for module, _ in imports(path)}
        parts = {part for part, _ in own_imports(path)}
        if here in WITHOUT_JAX:
            assert not outside & {"jax", "jaxlib"}
        if here in WITHOUT_PROTOBUF:
            assert "google" not in outside and "proto" not in parts

    def test_never_reach_for_tensorflow(self, path):
        if path != ROOT / "sample" / "make_sample.py":
            assert "tensorflow" not in {module.split(".")[0] for module, _ in imports(path)}

    def test_use_only_the_public_modules_of_jax(self, path):
        assert not [module for module, name in imports(path) if module.startswith(("jax._", "jaxlib")) or (
            module == "jax" and name.startswith("_"))]  # fmt: skip
