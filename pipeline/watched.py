"""The graphs that run in this process, by name, for whoever looks on: a control socket, an operator's page.

Who runs a graph says so here; who looks takes a `pipeline.snapshot` when it likes. Nobody waits for anybody. Of
graphs that have ended the last reports are kept, numbered, so that an onlooker knows which it has not seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import define, field, frozen

from pipeline.ledger import Report
from pipeline.runner import Execution

__all__ = ["KEPT", "Ended", "Watched"]

KEPT = 32
"""Reports of graphs that have ended: the sessions of a busy half second."""


@frozen
class Ended:
    """A graph that has ended; it is the `number`th that did, counted from 1."""

    number: int
    name: str
    state: str
    report: Report


@define(eq=False)
class Watched:
    """Graphs by name, in the order in which they came.

    `audiences` are those that no stage of a graph has: by name, what tells of each as `Hosting.figures` does.
    """

    audiences: dict[str, Callable[[], Mapping[str, Any]]] = field(init=False, factory=dict)
    _running: dict[str, Execution] = field(init=False, factory=dict)
    _ended: deque[Ended] = field(init=False, factory=lambda: deque(maxlen=KEPT))
    _count: int = field(init=False, default=0)

    @contextmanager
    def running(self, name: str, execution: Execution) -> Iterator[str]:
        """Show `execution` meanwhile; gives the name it has here. Run it inside, to its end."""
        name = self.add(name, execution)
        try:
            yield name
        finally:
            self.remove(name)

    def add(self, name: str, execution: Execution) -> str:
        """Show `execution` as `name`, or where that is taken as `name 2`, `name 3`; the name that it got."""
        number, given = 1, name
        while given in self._running:
            number += 1
            given = f"{name} {number}"
        self._running[given] = execution
        return given

    def remove(self, name: str) -> None:
        """Show it no more, and keep its report. To be called in the event loop. Raises: KeyError."""
        execution = self._running.pop(name)
        self._count += 1
        self._ended.append(Ended(self._count, name, execution.state, execution.report()))

    @property
    def graphs(self) -> Mapping[str, Execution]:
        """Those that are shown now: a copy."""
        return dict(self._running)

    @property
    def ended(self) -> int:
        """How many have ended so far."""
        return self._count

    def ended_since(self, number: int) -> Sequence[Ended]:
        """Those that ended after the `number`th, as far as they are kept: the first may have a higher number."""
        return [each for each in self._ended if each.number > number]
