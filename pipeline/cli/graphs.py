"""Finding and loading the graph that a command is about: a file, standard input, or a graph that ships."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve
from click.exceptions import Exit as ClickExit

import pipeline
from pipeline.cli import problems as shown
from pipeline.cli.columns import columns, room_on
from pipeline.cli.exits import Exit, refuse
from pipeline.cli.preflight import preflight
from pipeline.graph import Graph
from pipeline.load import Loaded, load, load_file
from pipeline.loading.params import Param
from pipeline.problems import Problem, did_you_mean

__all__ = ["checked", "find", "graph_to_draw", "graph_to_run", "loaded", "shipped", "show_params"]


def shipped() -> dict[str, Path]:
    """The graphs that ship with the package, by name."""
    here = Path(pipeline.__file__).parent
    installed = here / "graphs"
    folder = installed if installed.is_dir() else here.parent / "graphs"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(graph: str) -> Path:
    """The file of `graph`: a path, or the name of a shipped one. Exits where there is none."""
    path = Path(graph)
    if path.is_file():
        return path
    known = shipped()
    if graph in known:
        return known[graph]
    hint = did_you_mean(graph, known) or f"graphs that ship with dragoman: {', '.join(known) or 'none'}"
    what = "is a folder, not a graph file" if path.is_dir() else "is no file, and no graph of that name ships"
    raise refuse(f"{graph}: {what}; {hint}", Exit.USAGE)


def loaded(graph: str, params: Mapping[str, str], options: Mapping[str, str]) -> Loaded:
    """The graph, ready to run, and all that is wrong with it: what it says itself, and what the disk adds."""
    result = _load(graph, params, options)
    return evolve(result, problems=(*result.problems, *preflight(result.graph))) if result.ok else result


def checked(graph: str, params: Mapping[str, str], options: Mapping[str, str]) -> Loaded:
    """The graph where params may still be without a value: a stand-in takes its place.

    What is wrong only because of a stand-in is not told.
    """
    first = _load(graph, params, options, complete=False)
    open_params = {name: param for name, param in first.params.items() if param.value is None}
    if not open_params or not first.ok:
        return first
    stand_ins = {name: _stand_in(param) for name, param in open_params.items()}
    result = _load(graph, {**params, **stand_ins}, options, complete=False)
    problems = [problem for problem in result.problems if not _about(problem, stand_ins)]
    return evolve(result, problems=tuple(problems))


def _load(graph: str, params: Mapping[str, str], options: Mapping[str, str], *, complete: bool = True) -> Loaded:
    from stages import KINDS

    if graph == "-":
        return load(_standard_input(), "<stdin>", KINDS, params=params, options=options, complete=complete)
    return load_file(find(graph), KINDS, params=params, options=options, complete=complete)


@functools.cache
def _standard_input() -> str:
    """Read once: a graph may be loaded twice."""
    return sys.stdin.read()


_STAND_INS = {"int": "1", "float": "1", "bool": "true", "duration": "1s"}


def _stand_in(param: Param) -> str:
    return param.choices[0] if param.choices else _STAND_INS.get(param.type, f"<{param.name}>")


def _about(problem: Problem, stand_ins: Mapping[str, str]) -> bool:
    """Whether `problem` may be there only because of a stand-in."""
    line = problem.where.text if problem.where else ""
    return any(f"${{{name}}}" in line or text in problem.came for name, text in stand_ins.items())


def graph_to_run(result: Loaded, *, deny_warnings: bool = False) -> Graph:
    """The graph without errors. Shows its problems; exits with 78 where it may not run."""
    if not shown.wrong(result.problems, deny_warnings):
        shown.show(result.problems)
        return result.graph
    raise _refused(result, "; nothing was run")


def graph_to_draw(result: Loaded) -> Graph:
    """The graph without errors. Exits with 78 where it has some, and shows them; warnings are no matter."""
    if result.ok:
        return result.graph
    raise _refused(result)


def _refused(result: Loaded, more: str = "") -> ClickExit:
    shown.show(result.problems)
    return refuse(f"{shown.count(result.problems)} in the graph{more}", Exit.BAD_GRAPH)


def show_params(result: Loaded, as_json: bool) -> None:
    """The params of a graph, a line each. Exits with 78 where the graph is so wrong that none can be told."""
    if not result.ok and not result.params:
        raise _refused(result)
    if as_json:
        print(json.dumps([_as_dict(param) for param in result.params.values()], indent=2, ensure_ascii=False))
        return
    room = room_on(sys.stdout)
    if result.help:
        print("\n".join(columns([(result.help,)], room=room)))
    rows = [(f"  -p {_usage(param)}", param.help) for param in result.params.values()]
    print("\n".join(columns(rows, room=room) if rows else ["  it has no params"]))


def _as_dict(param: Param) -> dict[str, object]:
    told = {"name": param.name, "help": param.help, "type": param.type, "default": param.default_text or None}
    return {**told, "choices": list(param.choices), "secret": param.secret}


def _usage(param: Param) -> str:
    return f"{param.name}={param.default_text}" if param.default_text else f"{param.name}=..."
