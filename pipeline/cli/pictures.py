"""Which picture of a graph is wanted, and the plan in words."""

from __future__ import annotations

from pathlib import Path

from pipeline.cli.drawing import dot, drawing_of, mermaid
from pipeline.cli.exits import refuse
from pipeline.cli.svg import svg
from pipeline.graph import Graph
from pipeline.plan import make_plan

__all__ = ["picture_of"]

_BY_SUFFIX = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg"}
_WAYS = {"mermaid": mermaid, "dot": dot, "svg": svg}


def picture_of(graph: Graph, way: str | None, plan: bool, output: Path | None) -> str:
    """The graph as `way` says, or as the suffix of `output` asks for; the plan without either in words.

    Exits where the suffix is that of something else.
    """
    suffix = output.suffix.lower() if output else ""
    if way is None and suffix not in ("", ".md", ".txt", *_BY_SUFFIX):
        wanted = f"wanted {', '.join(_BY_SUFFIX)}, or --as"
        raise refuse(f"--output {output}: no drawing ends in {suffix}: {wanted}")
    way = way or _BY_SUFFIX.get(suffix)
    if way is None and plan:
        return f"{make_plan(graph)}\n"
    return _WAYS[way or "mermaid"](drawing_of(graph, plan=plan))
