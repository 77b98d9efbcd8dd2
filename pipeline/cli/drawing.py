"""A graph as something to draw: its boxes, lines and groups, with the words on them; Mermaid and DOT."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import frozen

from pipeline.caps import AudioCaps, Caps, TextCaps
from pipeline.graph import Graph
from pipeline.node import Buffer, Edge, Node
from pipeline.plan import make_plan
from pipeline.stage import nature_of

__all__ = ["Drawing", "Role", "dot", "drawing_of", "mermaid"]

Role = Literal["source", "sink", "transform", "actor"]
"""What a box shows a stage to be. A join is drawn as a transform, an assembly as an actor."""


@frozen
class Shape:
    """A stage: its name, what it is in the graph file, what it does in one line."""

    name: str
    kind: str
    role: Role
    about: str


@frozen
class Arrow:
    """An edge. `port` is empty where the producer has only one, `into` where it is the consumer's main input.

    `carries` is short for its caps. `policy` says what a lossy edge does when it is full; for a tap it is
    empty, since a tap loses nothing of the product.
    """

    start: str
    end: str
    port: str
    into: str
    carries: str
    policy: str
    buffer: str
    tap: bool

    @property
    def lossy(self) -> bool:
        return bool(self.policy)

    @property
    def label(self) -> str:
        """Everything that is to be said about it, in one line."""
        extra = f"{self.policy} at {self.buffer}" if self.policy else self.buffer
        into = f"into {self.into}" if self.into else ""
        return ", ".join(word for word in (self.port, self.carries, into, "tap" if self.tap else extra) if word)


@frozen
class Drawing:
    """What all ways of drawing share. `groups` are the runs of stages that share a task."""

    name: str
    shapes: Mapping[str, Shape]
    arrows: Sequence[Arrow]
    groups: Sequence[Sequence[str]] = ()


def drawing_of(graph: Graph, *, plan: bool = False) -> Drawing:
    """The graph as it was written, or with `plan` as it runs: assemblies in parts, shared tasks as groups.

    Raises: GraphError where the graph cannot run.
    """
    if not plan:
        return _drawing(graph.name, graph.nodes, graph.edges(), ())
    planned = make_plan(graph)
    runs = [[task.head, *(name for run in task.runs.values() for name in run)] for task in planned.tasks]
    edges = [*planned.edges, *planned.fused]
    return _drawing(graph.name, planned.nodes, edges, [run for run in runs if len(run) > 1])


def _drawing(
    name: str, nodes: Mapping[str, Node], edges: Sequence[Edge], groups: Sequence[Sequence[str]]
) -> Drawing:
    shapes = {each: _shape(node, any(edge.producer == each for edge in edges)) for each, node in nodes.items()}
    ports: dict[str, set[str]] = {}
    for edge in edges:
        ports.setdefault(edge.producer, set()).add(edge.out_port)
    order = {each: place for place, each in enumerate(nodes)}
    arrows = [
        _arrow(edge, ports[edge.producer], nodes[edge.consumer])
        for edge in sorted(edges, key=lambda edge: order[edge.producer])
    ]
    return Drawing(name, shapes, arrows, groups)


def _shape(node: Node, read: bool) -> Shape:
    assert node.stage is not None
    nature = nature_of(node.stage)
    role: Role = "actor"
    if nature == "source":
        role = "source"
    elif not read:
        role = "sink"
    elif nature in ("transform", "join"):
        role = "transform"
    about = (inspect.getdoc(type(node.stage)) or "").partition("\n")[0]
    part = "/" in node.name  # a part of an assembly has no kind of its own
    return Shape(node.name, type(node.stage).__name__.lower() if part else node.kind, role, about)


def _arrow(edge: Edge, ports: set[str], consumer: Node) -> Arrow:
    assert consumer.stage is not None
    main = next(iter(consumer.stage.accepts))
    port = "" if ports == {"out"} else edge.out_port
    carries = _carries(edge.caps)
    return Arrow(
        start=edge.producer,
        end=edge.consumer,
        port=port,
        into="" if edge.in_port == main else edge.in_port,
        carries="" if carries == port else carries,
        policy="" if edge.tap or edge.when_full == "block" else edge.when_full.replace("_", " "),
        buffer="" if edge.plain or edge.tap else _holds(edge.buffer),
        tap=edge.tap,
    )


def _holds(buffer: Buffer) -> str:
    if buffer.ms is None:
        return f"{buffer.items} items"
    return f"{buffer.ms / 1000:g} s" if buffer.ms >= 1000 else f"{buffer.ms} ms"


def _carries(caps: Caps) -> str:
    if isinstance(caps, TextCaps):
        return "text"
    if not isinstance(caps, AudioCaps):
        return ""
    rate = f"{caps.rate_hz / 1000:g} kHz" if caps.rate_hz else ""
    channels = {None: "", 1: "mono", 2: "stereo"}.get(caps.channels, f"{caps.channels} channels")
    return " ".join(word for word in (rate, channels) if word) or "audio"


# --- Mermaid

_RESERVED = {"end", "graph", "subgraph", "class", "click", "style", "default", "flowchart", "direction", "call"}
_COLOURS = {"source": "#1a7f37", "transform": "#57606a", "actor": "#8250df", "sink": "#0969da"}


def mermaid(drawing: Drawing) -> str:
    """The graph as a Mermaid flowchart, as GitHub and many editors draw it."""
    ids = _ids(drawing.shapes)
    grouped = {name for run in drawing.groups for name in run}
    lines = ["flowchart LR"]
    for number, run in enumerate(drawing.groups, start=1):
        lines.append(f'  subgraph task{number}["one task"]')
        lines += [f"    {_mermaid_box(ids[name], drawing.shapes[name])}" for name in run]
        lines.append("  end")
    lines += [
        f"  {_mermaid_box(ids[name], shape)}" for name, shape in drawing.shapes.items() if name not in grouped
    ]
    for arrow in drawing.arrows:
        line = "-.->" if arrow.lossy or arrow.tap else "-->"
        label = f'|"{arrow.label}"|' if arrow.label else ""
        lines.append(f"  {ids[arrow.start]} {line}{label} {ids[arrow.end]}")
    roles = {shape.role for shape in drawing.shapes.values()}
    lines += [f"  classDef {role} stroke:{_COLOURS[role]},stroke-width:2px" for role in sorted(roles)]
    return "\n".join(lines) + "\n"


def _mermaid_box(identifier: str, shape: Shape) -> str:
    kind = f"<br/><small>{shape.kind}</small>" if shape.kind and shape.kind != shape.name else ""
    return f'{identifier}["{shape.name}{kind}"]:::{shape.role}'


def _ids(names: Mapping[str, Shape]) -> dict[str, str]:
    """Names that Mermaid takes for identifiers: the stage's own wherever it will do."""
    plain = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
    return {
        name: name if plain.fullmatch(name) and name.lower() not in _RESERVED else f"stage{number}"
        for number, name in enumerate(names)
    }


# --- DOT


def dot(drawing: Drawing) -> str:
    """The graph in Graphviz' language."""
    grouped = {name for run in drawing.groups for name in run}
    lines = [
        f"digraph {_quoted(drawing.name)} {{",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded", fontname="Helvetica", margin="0.2,0.1"];',
        '  edge [fontname="Helvetica", fontsize=10];',
    ]
    for number, run in enumerate(drawing.groups, start=1):
        lines.append(f'  subgraph cluster_{number} {{ label="one task"; style="rounded,dashed"; fontsize=10;')
        lines += [f"    {_dot_box(drawing.shapes[name])}" for name in run]
        lines.append("  }")
    lines += [f"  {_dot_box(shape)}" for name, shape in drawing.shapes.items() if name not in grouped]
    for arrow in drawing.arrows:
        style = ", style=dashed" if arrow.lossy else ", style=dotted" if arrow.tap else ""
        lines.append(f"  {_quoted(arrow.start)} -> {_quoted(arrow.end)} [label={_quoted(arrow.label)}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_box(shape: Shape) -> str:
    label = shape.name + (f"\n{shape.kind}" if shape.kind and shape.kind != shape.name else "")
    return f'{_quoted(shape.name)} [label={_quoted(label)}, color="{_COLOURS[shape.role]}"];'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
