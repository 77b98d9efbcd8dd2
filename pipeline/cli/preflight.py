"""What only the disk can tell before a graph runs: two names for one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import attrs
from attrs import frozen

from pipeline.graph import Graph
from pipeline.node import Node
from pipeline.problems import Problem

__all__ = ["OpenedFile", "opened", "preflight"]


@frozen
class OpenedFile:
    """A file that a stage opens: by which option, and whether it `reads` or `writes` it."""

    node: Node
    option: str
    role: str
    path: Path


def opened(graph: Graph) -> Iterator[OpenedFile]:
    """The files that the stages of `graph` name in their options, in the order of the graph."""
    for node in graph.nodes.values():
        if node.stage is None or not attrs.has(type(node.stage)):
            continue
        kind = cast("type[attrs.AttrsInstance]", type(node.stage))
        for attribute in attrs.fields_dict(kind).values():
            path: Any = getattr(node.stage, attribute.name)
            role = attribute.metadata.get("opens")
            if role and path is not None and str(path) not in ("-", "/dev/null"):
                yield OpenedFile(node, attribute.name, role, Path(path))


def preflight(graph: Graph) -> list[Problem]:
    """A problem for each file that would be written while another name for it is read or written.

    `Graph.check` has found equal names; this finds links.
    """
    found: list[Problem] = []
    seen: list[OpenedFile] = []
    for file in opened(graph):
        other = next((earlier for earlier in seen if _clash(earlier, file)), None)
        seen.append(file)
        if other is not None:
            found.append(
                Problem(
                    f"{file.node.name!r} {file.role} {file.path}, which is the same file as {other.path} that "
                    f"{other.node.name!r} {other.role}",
                    file.node.option_where.get(file.option, file.node.where),
                    wanted="a file of its own for each output",
                    came=str(file.path),
                    remedy="give the output another name",
                )
            )
    return found


def _clash(one: OpenedFile, other: OpenedFile) -> bool:
    if one.node is other.node or "writes" not in (one.role, other.role):
        return False
    try:
        return one.path.samefile(other.path)
    except OSError:  # one of them is not there yet, or may not be looked at: then they are not one file
        return False
