"""Imports point down only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each module may import those before it, and no others of `pipeline`, whichever room it lies in. The ends of the
# product, the command line, the server and the control socket, may import everything; nothing below imports them.
LAYERS = (
    "items caps problems bell",
    "stage page",
    "node testing yaml_nodes ledger",
    "check forms",
    "expand channels options reading",
    "graph outlet kinds params",
    "plan masking build tapping",
    "load snapshot",
    "tasks schema",
    "runner",
    "watched",
)
ENDS = ("cli", "serve", "control", "__main__")
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
FOR_STAGES = {"items", "caps", "stage", "bell"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def is_an_end(path: Path) -> bool:
    return path.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py") in ENDS or path.stem == "__init__"


@pytest.mark.parametrize("path", [p for p in modules("pipeline") if not is_an_end(p)], ids=lambda p: p.stem)
def test_pipeline_imports_only_what_lies_below(path: Path) -> None:
    for name in imported(path):
        assert name.split(".")[0] != "stages", f"{path.name} imports {name}: the kernel knows no stages"
        if name.startswith("pipeline."):
            below = name.split(".")[-1]
            assert RANK[below] < RANK[path.stem], f"{path.name} imports {name}, which does not lie below it"


@pytest.mark.parametrize("path", modules("stages"), ids=lambda p: str(p.relative_to(ROOT)))
def test_stages_know_only_the_contracts(path: Path) -> None:
    for name in imported(path):
        if name.split(".")[0] == "pipeline":
            assert name.split(".")[1] in FOR_STAGES, f"{path} imports {name}"


def test_every_module_of_the_kernel_has_its_layer() -> None:
    assert {path.stem for path in modules("pipeline") if not is_an_end(path)} <= RANK.keys()
