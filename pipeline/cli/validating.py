"""Checking graphs, and telling what is wrong with them to a person or to a program."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from pipeline.cli import problems as shown
from pipeline.cli.graphs import checked
from pipeline.cli.json_lines import JsonLines
from pipeline.cli.paint import paint
from pipeline.cli.words import plural
from pipeline.load import Loaded
from pipeline.problems import Problem

__all__ = ["tell_program", "validate_all"]


def validate_all(
    graphs: Sequence[str],
    params: Mapping[str, str],
    options: Mapping[str, str],
    deny_warnings: bool,
    json: bool,
) -> bool:
    """Check `graphs`, tell every problem, and return whether all may run."""
    results = [(graph, checked(graph, params, options)) for graph in graphs]
    good = [not shown.wrong(result.problems, deny_warnings) for _, result in results]
    if json:
        _tell_programs(results, good)
    else:
        _tell_person(results, good)
    return all(good)


def _tell_person(results: Sequence[tuple[str, Loaded]], good: Sequence[bool]) -> None:
    for (graph, result), fine in zip(results, good, strict=True):
        shown.show(result.problems, sys.stdout)
        if result.problems:
            print()
        verdict = paint("ok", "bold green", sys.stdout) if fine else paint("wrong", "bold red", sys.stdout)
        parts = (plural(len(result.graph.nodes), "stage"), shown.count(result.problems))
        print(f"{graph}: {verdict} ({', '.join(part for part in parts if part)})")


def _tell_programs(results: Sequence[tuple[str, Loaded]], good: Sequence[bool]) -> None:
    for (graph, result), fine in zip(results, good, strict=True):
        tell_program(graph, result.problems, fine)


def tell_program(graph: str, problems: Sequence[Problem], fine: bool) -> None:
    """The `problems` of `graph` as JSON Lines on standard output, and whether it is `fine` to run."""
    lines = JsonLines(sys.stdout)
    for problem in problems:
        lines.write("problem", graph=graph, **shown.as_json(problem))
    warnings = sum(problem.warning for problem in problems)
    lines.write("summary", graph=graph, ok=fine, errors=len(problems) - warnings, warnings=warnings)
