"""A graph of stages: built in code or loaded from YAML, checked whole before it runs. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import define, evolve, field

from pipeline.check import Check
from pipeline.expand import expand
from pipeline.node import Edge, Node, Read
from pipeline.problems import GraphError, Problem, Where
from pipeline.stage import Stage

__all__ = ["Graph", "ReadLike"]

ReadLike = str | Read


@define
class Graph:
    """Stages by name and what each reads.

    >>> from pipeline.testing import Collect, Playlist, noise
    >>> graph = Graph("tiny")
    >>> _ = graph.add("talk", Playlist(items=[noise(10)])).add("all", Collect(), reads="talk")
    >>> graph.check()
    []
    """

    name: str = "graph"
    nodes: dict[str, Node] = field(factory=dict)

    def add(
        self,
        name: str,
        stage: Stage | None,
        reads: ReadLike | Sequence[ReadLike] = (),
        *,
        kind: str = "",
        where: Where | None = None,
        option_where: Mapping[str, Where] | None = None,
    ) -> Graph:
        """Put `stage` into the graph as `name` and return the graph.

        Raises: GraphError where `name` is taken or no name at all (letters, digits, `_`, `-`, not `.`).
        """
        if name in self.nodes:
            raise GraphError(
                [Problem(f"there is a stage named {name!r} already", where, remedy="name it otherwise")]
            )
        if (wrong := _wrong_name(name)) is not None:
            raise GraphError([Problem(wrong, where, remedy="use letters, digits, _ and -")])
        wishes = [reads] if isinstance(reads, str | Read) else reads
        parsed = tuple(Read.parse(wish, where) if isinstance(wish, str) else wish for wish in wishes)
        self.nodes[name] = Node(name, stage, parsed, kind or _kind_of(stage), where, option_where or {})
        return self

    def check(self) -> list[Problem]:
        """Everything that is wrong with the graph, errors and warnings, in the order of the file."""
        problems = Check(self.nodes).problems()
        return problems if _errors(problems) else problems + self._check_parts()

    def edges(self) -> list[Edge]:
        """The resolved edges, in the order in which consumers name them.

        Raises: GraphError where `check` finds an error.
        """
        if errors := _errors(self.check()):
            raise GraphError(errors)
        return Check(self.nodes).resolved()

    def _check_parts(self) -> list[Problem]:
        """What is wrong inside the assemblies of a graph that is otherwise right."""
        found: list[Problem] = []
        for node in self.nodes.values():
            try:
                expand({node.name: evolve(node, reads=())})
            except ValueError as wrong:
                found.append(Problem(f"{node.name!r}: {wrong}", node.where))
        return found or _errors(Check(expand(self.nodes)).problems())


def _errors(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if not problem.warning]


def _wrong_name(name: str) -> str | None:
    plain = name.replace("_", "").replace("-", "").replace("/", "")
    if not plain.isalnum() or not plain.isascii() or len(name) > 100:
        return f"{name[:100]!r} is no name for a stage"
    return None


def _kind_of(stage: Stage | None) -> str:
    return type(stage).__name__.lower() if stage is not None else ""
