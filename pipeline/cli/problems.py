"""Problems of a graph as a person or a program reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any

from pipeline.cli.columns import columns, room_on
from pipeline.cli.paint import paint
from pipeline.problems import Problem

__all__ = ["as_json", "count", "in_one_line", "show", "wrong"]

_INDENT = len("    wanted: ")


def wrong(problems: Sequence[Problem], deny_warnings: bool) -> bool:
    """Whether a graph with these `problems` may not run."""
    return any(deny_warnings or not problem.warning for problem in problems)


def show(problems: Sequence[Problem], stream: IO[str] | None = None) -> None:
    """Every problem: headline, the line with a caret under the place, what was wanted, what came, what to do."""
    stream = stream or sys.stderr
    room = room_on(stream)
    for number, problem in enumerate(problems):
        if number:
            print(file=stream)
        for line in _lines(problem, stream):
            print("\n".join(columns([line], gap=0, room=room)), file=stream)


def count(problems: Sequence[Problem]) -> str:
    """`2 errors, 1 warning`; empty where there is none."""
    warnings = sum(problem.warning for problem in problems)
    counts = (len(problems) - warnings, "error"), (warnings, "warning")
    return ", ".join(f"{number} {word}{'s' if number > 1 else ''}" for number, word in counts if number)


def in_one_line(problem: Problem) -> str:
    """For a graph that the command line made itself: its places and lines would only puzzle."""
    wanted = f"wanted {problem.wanted}" if problem.wanted else ""
    return "; ".join(part for part in (problem.what, wanted, problem.remedy) if part)


def as_json(problem: Problem) -> dict[str, Any]:
    where = problem.where
    return {
        "severity": "warning" if problem.warning else "error",
        "message": problem.what,
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "wanted": problem.wanted,
        "came": problem.came,
        "remedy": problem.remedy,
    }


def _lines(problem: Problem, stream: IO[str]) -> Iterator[tuple[str, str]]:
    """The lines of a problem in colour, each in two parts: what may be broken to fit a terminal comes second."""
    headline, *lines = str(problem).splitlines()
    colour = "yellow" if problem.warning else "red"
    severity = "warning:" if problem.warning else "error:"
    place, _, what = headline.partition(severity)
    styles = ((place, "bold"), (severity, f"bold {colour}"), (what, "bold"))
    yield "".join(paint(part, style, stream) for part, style in styles), ""
    for line in lines:
        label, colon, _ = line.partition(":")
        if line.lstrip() == "^":
            yield paint(line, f"bold {colour}", stream), ""
        elif colon and label in ("    wanted", "    came", "    try"):
            yield paint(label + colon, "cyan", stream) + line[len(label) + 1 : _INDENT], line[_INDENT:]
        else:
            yield line, ""
