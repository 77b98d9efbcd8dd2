from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from pipeline.load import load
from pipeline.loading.kinds import Kind, NoKind, look_up
from pipeline.stage import StageError
from stages import BUILT_IN, GROUP, KINDS, LazyKinds
from stages.gain import Gain
from tests.kinds_for_tests import Typed

ROOT = Path(__file__).parents[1]


def test_importing_stages_imports_none_of_them() -> None:
    code = (
        "import sys, stages\n"
        "assert 'gain' in stages.KINDS and len(stages.BUILT_IN) > 10\n"
        "heavy = [name for name in sys.modules if name.startswith('stages.') or name == 'importlib.metadata']\n"
        "print(heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_kind_can_be_built_from_yaml(name: str) -> None:
    assert isinstance(look_up(name, KINDS), Kind)
    assert isinstance(KINDS[name], type)


def test_more_kinds_go_before_those_of_the_same_name() -> None:
    kinds = KINDS | {"mine": Typed, "gain": Typed}
    assert kinds["mine"] is kinds["gain"] is Typed
    assert KINDS["gain"] is Gain
    assert list(kinds) == [*BUILT_IN, "mine"]
    assert len(kinds) == len(BUILT_IN) + 1
    assert "nobody" not in kinds
    with pytest.raises(KeyError):
        kinds["nobody"]


class Package:
    """What a distribution tells of itself, as far as we ask."""

    def __init__(self, name: str) -> None:
        self.name = name


def offered(monkeypatch: pytest.MonkeyPatch, *offers: tuple[str, str, str]) -> None:
    """Let packages be installed that offer (name, what, package)."""
    points = []
    for name, value, package in offers:
        point = EntryPoint(name, value, GROUP)
        vars(point).update(dist=Package(package))
        points.append(point)

    def entry_points(*, group: str) -> Sequence[EntryPoint]:
        assert group == GROUP
        return points

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_packages_add_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    offered(monkeypatch, ("theirs", "tests.kinds_for_tests:Typed", "their-package"))
    kinds = LazyKinds(BUILT_IN)
    assert kinds["theirs"] is Typed
    assert list(kinds) == [*BUILT_IN, "theirs"]


@pytest.mark.parametrize(
    ("offers", "what"),
    [
        (
            [("theirs", "no_such_module_at_all:Stage", "their-package")],
            "the stage 'theirs' of the package their-package cannot be imported: "
            "ModuleNotFoundError: No module named 'no_such_module_at_all'",
        ),
        (
            [("theirs", "tests.kinds_for_tests:Nobody", "their-package")],
            "the stage 'theirs' of the package their-package cannot be imported: "
            "AttributeError: module 'tests.kinds_for_tests' has no attribute 'Nobody'",
        ),
        (
            [("theirs", "tests.kinds_for_tests:MONO_24K", "their-package")],
            "the stage theirs of the package their-package is no class",
        ),
        (
            [("theirs", "a:A", "one"), ("theirs", "b:B", "two")],
            "one and two both offer a stage named 'theirs': uninstall one of them",
        ),
    ],
)
def test_a_package_that_is_broken_is_named(
    monkeypatch: pytest.MonkeyPatch, offers: list[tuple[str, str, str]], what: str
) -> None:
    offered(monkeypatch, *offers)
    with pytest.raises(StageError) as caught:
        KINDS["theirs"]
    assert str(caught.value) == what
    found = look_up("theirs", KINDS)
    assert isinstance(found, NoKind)
    assert found.what == what
    (problem,) = load("stages: {it: {use: theirs}}", "g.yaml", KINDS).problems
    assert problem.headline == f"g.yaml:1:20: error: 'it': {what}"


def test_a_package_may_raise_anything_on_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bursting_package.py").write_text("raise ZeroDivisionError('boom')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    offered(monkeypatch, ("theirs", "bursting_package:Stage", "bursting"))
    with pytest.raises(StageError, match="bursting cannot be imported: ZeroDivisionError: boom"):
        KINDS["theirs"]


def test_a_built_in_kind_that_lacks_its_library_says_so() -> None:
    kinds = LazyKinds({"odd": "no_such_module_at_all:Odd"})
    with pytest.raises(StageError, match="the stage 'odd' cannot be imported: No module named"):
        kinds["odd"]


def test_an_unknown_kind_is_told_with_what_it_may_have_meant() -> None:
    found: Any = look_up("gian", KINDS)
    assert (found.what, found.remedy) == ("'gian' is no kind of stage", "did you mean 'gain'?")
    assert "silence, tone, resample" in found.wanted


def test_what_a_kind_does_is_told_whole_wherever_its_docstring_is_broken() -> None:
    class Wrapped(Gain):
        """Make it
        softer.

        Or louder.
        """

    assert Kind("soft", Wrapped, {}).about == "Make it softer."
    assert Kind("none", type("Silent", (), {}), {}).about == ""
