"""Each file in tests/graphs/bad holds one mistake, and says at its top what must be said about it, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.load import load_file
from pipeline.problems import Problem
from tests.kinds_for_tests import TEST_KINDS

BAD = sorted((Path(__file__).parent / "graphs" / "bad").glob("*.yaml"))


def expected(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]


def as_expected(problem: Problem) -> str:
    return problem.headline.removeprefix(f"{problem.where.file}:" if problem.where else "")


def test_there_are_at_least_sixty() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_the_mistake_is_said(path: Path) -> None:
    loaded = load_file(path, TEST_KINDS, env={})
    assert [as_expected(problem) for problem in loaded.problems] == expected(path)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_the_offending_line_is_shown_with_a_caret_under_the_place(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    for problem in load_file(path, TEST_KINDS, env={}).problems:
        where = problem.where
        assert where is not None
        assert where.column <= len(where.text) + 1
        if "secret" not in path.stem:
            assert where.text == lines[where.line - 1]
        caret = str(problem).splitlines()[2] if where.text.strip() else "    ^"
        assert caret.endswith("^")
