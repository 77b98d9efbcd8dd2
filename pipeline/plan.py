"""How a graph runs: which neighbours share a task, and which edges need a channel.

A transform is fused into whoever feeds it where the edge is plain (the graph asks for no buffer of its own),
it has no other input, and nobody else reads the same port. All the rest is a task of its own, fed by channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from pipeline.caps import Caps
from pipeline.check import Check
from pipeline.expand import expand
from pipeline.graph import Graph
from pipeline.node import Edge, Node
from pipeline.stage import Nature, nature_of

__all__ = ["Plan", "Task", "make_plan"]


@frozen
class Task:
    """One task: its `head`, and by each of the head's output ports the run of transforms fused behind it."""

    head: str
    nature: Nature
    runs: Mapping[str, Sequence[str]]

    @property
    def stages(self) -> Sequence[str]:
        """The head, and all that is fused behind it."""
        return [self.head, *(name for run in self.runs.values() for name in run)]

    def __str__(self) -> str:
        """`talk > pcm > blocks`, or with ports: `interpreter (audio: > loud; text)`."""
        if len(self.runs) <= 1:
            return " > ".join(self.stages)
        ports = "; ".join(" > ".join([f"{port}:", *run]) if run else port for port, run in self.runs.items())
        return f"{self.head} ({ports})"


@frozen
class Plan:
    """The tasks of a graph, producers first; `edges` need a channel each, `fused` are function calls.

    `outputs` are every stage's output ports with their caps.
    """

    nodes: Mapping[str, Node]
    outputs: Mapping[str, Mapping[str, Caps]]
    tasks: Sequence[Task]
    edges: Sequence[Edge]
    fused: Sequence[Edge]

    def __str__(self) -> str:
        tasks = [f"task {number}: {task}" for number, task in enumerate(self.tasks, start=1)]
        channels = [f"channel: {edge} ({edge.buffer} {_unit(edge)}, {edge.when_full})" for edge in self.edges]
        return "\n".join([*tasks, *channels])


def _unit(edge: Edge) -> str:
    return "of audio" if edge.buffer.ms is not None else "items"


def make_plan(graph: Graph) -> Plan:
    """The plan of `graph`, its assemblies replaced by their parts. Raises: GraphError where it cannot run."""
    graph.edges()
    nodes = expand(graph.nodes)
    check = Check(nodes)
    edges = check.resolved()
    natures = {name: nature_of(node.stage) for name, node in nodes.items() if node.stage is not None}
    fused = [edge for edge in edges if _can_fuse(edge, check, natures)]
    tasks = _tasks(check, natures, {(edge.producer, edge.out_port): edge.consumer for edge in fused})
    return Plan(nodes, check.outputs, tasks, [edge for edge in edges if edge not in fused], fused)


def _can_fuse(edge: Edge, check: Check, natures: Mapping[str, Nature]) -> bool:
    readers = [
        other for other in check.edges if (other.producer, other.out_port) == (edge.producer, edge.out_port)
    ]
    several_outputs = natures[edge.producer] in ("transform", "join") and len(check.outputs[edge.producer]) > 1
    return edge.plain and natures[edge.consumer] == "transform" and len(readers) == 1 and not several_outputs


def _tasks(check: Check, natures: Mapping[str, Nature], fused: Mapping[tuple[str, str], str]) -> list[Task]:
    inside = set(fused.values())
    return [
        Task(name, natures[name], {port: _run(name, port, check, fused) for port in check.outputs[name]})
        for name in check.outputs
        if name not in inside
    ]


def _run(name: str, port: str, check: Check, fused: Mapping[tuple[str, str], str]) -> list[str]:
    run: list[str] = []
    while (follower := fused.get((name, port))) is not None:
        run.append(follower)
        name, port = follower, next(iter(check.outputs[follower]), "out")
    return run
