"""Which picture of a graph is wanted, and the plan in words."""

from __future__ import annotations

from pathlib import Path

from pipeline.cli.drawing import dot, drawing_of, mermaid
from pipeline.cli.svg import svg
from pipeline.graph import Graph
from pipeline.plan import make_plan

__all__ = ["picture_of"]

_BY_SUFFIX = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg"}
_WAYS = {"mermaid": mermaid, "dot": dot, "svg": svg}


def picture_of(graph: Graph, way: str | None, plan: bool, output: Path | None) -> str:
    """The graph as `way` says, or as the suffix of `output` asks for; the plan without either in words."""
    way = way or _BY_SUFFIX.get(output.suffix.lower() if output else "")
    if way is None and plan:
        return f"{make_plan(graph)}\n"
    return _WAYS[way or "mermaid"](drawing_of(graph, plan=plan))
