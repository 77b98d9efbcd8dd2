"""Attending a run: its signals, and what it looks like from moment to moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import anyio
from anyio.abc import TaskStatus
from attrs import define, evolve, frozen

from pipeline.cli.controlling import listen
from pipeline.cli.exits import Exit
from pipeline.items import Text
from pipeline.ledger import EdgeLine, Report
from pipeline.runner import Execution
from pipeline.stage import StageError
from pipeline.watched import Watched

__all__ = ["Keys", "Outcome", "Queue", "Snapshot", "View", "attend", "share_through", "snapshot"]


@frozen
class Queue:
    """What waits on one edge: seconds of audio, and texts."""

    edge: str
    producer: str
    consumer: str
    audio_s: float
    texts: int


@frozen
class Snapshot:
    """A run at one moment, by the loop's clock. `done_s` of `total_s` seconds of sound have gone all the way.

    `queues` has the fullest first; `dropped_s` counts only what lossy edges dropped, not what taps missed;
    `texts` is the newest text of each output, `stage.port`; `statuses` are those that say something. `live`: a
    source cannot be hurried, and so the pace says nothing.
    """

    graph: str
    wall_s: float
    done_s: float
    total_s: float | None
    queues: Sequence[Queue]
    dropped_s: float
    texts: Mapping[str, Text]
    statuses: Mapping[str, str]
    waiting_for: Sequence[str]
    stopping: bool
    live: bool = False

    @property
    def times_realtime(self) -> float:
        return self.done_s / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """How much longer it will take at this pace; None where nobody can tell."""
        if self.total_s is None or self.done_s <= 0:
            return None
        return max(self.total_s - self.done_s, 0.0) / self.times_realtime


class View(AbstractContextManager["View"], Protocol):
    """Who looks at a run: on a terminal, in a log, or as a program. Entered before it starts."""

    every_s: float

    def look(self, shot: Snapshot) -> None:
        """Called every `every_s`."""

    def say(self, text: str) -> None:
        """Something happened that must be told at once."""


def snapshot(execution: Execution) -> Snapshot:
    report = execution.report()
    read_s, total_s = execution.progress()
    sources = {task.head for task in execution.plan.tasks if task.nature == "source"}
    return Snapshot(
        graph=report.graph,
        wall_s=report.wall_s,
        done_s=read_s * share_through(report, sources),
        total_s=read_s if report.stopped else total_s,  # stopped, no more than that will come
        queues=_queues(report.edges),
        dropped_s=sum(edge.dropped / edge.rate_hz for edge in report.edges if edge.rate_hz and not edge.tap),
        texts=execution.newest(),
        statuses={stage.name: stage.status for stage in report.stages if stage.status},
        waiting_for=[name for name in execution.waiting_for if name not in sources],
        stopping=report.stopped,
        live=report.live,
    )


def _queues(edges: Sequence[EdgeLine]) -> list[Queue]:
    queues = [
        Queue(
            edge.name,
            edge.producer,
            edge.consumer,
            edge.queue_s,
            edge.texts - edge.texts_received - edge.texts_dropped,
        )
        for edge in edges
    ]
    full = [queue for queue in queues if queue.audio_s >= 0.05 or queue.texts > 0]
    return sorted(full, key=lambda queue: (queue.audio_s, queue.texts), reverse=True)


def share_through(report: Report, sources: set[str]) -> float:
    """How much of what the sources have read has come to the end of the slowest way through the graph.

    A file is read long before it is spoken. What waits on an edge tells how much of what came to it is done,
    and along a way these shares multiply.
    """
    shares = dict.fromkeys(sources, 1.0)
    waiting = [edge for edge in report.edges if not edge.tap]
    while ready := [edge for edge in waiting if edge.producer in shares and _settled(edge.producer, waiting)]:
        for edge in ready:
            share = shares[edge.producer] * _share_received(edge)
            shares[edge.consumer] = min(shares.get(edge.consumer, 1.0), share)
            waiting.remove(edge)
    return min(shares.values(), default=1.0)


def _settled(stage: str, waiting: Sequence[EdgeLine]) -> bool:
    """Whether every edge into `stage` has been counted."""
    return not any(edge.consumer == stage for edge in waiting)


def _share_received(edge: EdgeLine) -> float:
    if edge.texts:
        return (edge.texts_received + edge.texts_dropped) / edge.texts
    return (edge.sent - edge.in_flight) / edge.sent if edge.sent else 1.0


# --- attending

_SUSPENDING = (signal.SIGTSTP,) if hasattr(signal, "SIGTSTP") else ()
"""Ctrl-Z, where there is one."""


@frozen
class Outcome:
    """How a run ended: what became of everything, what failed, and how often it was interrupted."""

    report: Report
    faults: Sequence[Exception]
    interrupts: int


class Keys(Protocol):
    """What a person may do to a run while it goes on, besides interrupting it."""

    async def obey(self, execution: Execution, view: View) -> None:
        """Do what is asked for, for as long as anybody asks."""

    @property
    def restore(self) -> Callable[[], None]:
        """Leave everything as it was. The process ends at once after that."""


async def attend(
    execution: Execution, view: View, control: Path | None = None, keys: Keys | None = None
) -> Outcome:
    """Run `execution` with `view` looking on: the first Ctrl-C (or SIGTERM) drains, the second ends at once.

    Others may look on by a socket in the folder `control`; without one, none. `keys` may pause it.
    """
    faults: list[Exception] = []
    interrupts = _Interrupts(execution, view, keys)
    watched = Watched()
    async with anyio.create_task_group() as tasks:
        await tasks.start(interrupts.listen)
        if keys is not None:
            tasks.start_soon(keys.obey, execution, view)
        tasks.start_soon(_look, execution, view, faults)
        socket = await listen(watched, control, tasks, "run")
        try:
            with watched.running(execution.graph.name, execution):
                await execution.run()
        except Exception as fault:  # noqa: BLE001 - every fault of a stage is told, and ends in an exit code
            faults += _leaves(fault)
        if socket is not None:
            await socket.close()
        tasks.cancel_scope.cancel()
    return Outcome(execution.report(), faults, interrupts.count)


async def _look(execution: Execution, view: View, faults: list[Exception]) -> None:
    done_s = 0.0
    while True:
        shot = snapshot(execution)
        done_s = max(done_s, shot.done_s)  # more can come onto an edge than goes off it: that is no step back
        try:
            view.look(evolve(shot, done_s=done_s))
        except OSError as wrong:
            gone = "nobody reads standard output any more"
            full = f"standard output: {(wrong.strerror or str(wrong)).lower()}"
            faults.append(StageError(gone if isinstance(wrong, BrokenPipeError) else full))
            execution.stop()
            return
        await anyio.sleep(view.every_s)


@define
class _Interrupts:
    """Counts the signals that ask to stop, and does what they ask for; Ctrl-Z leaves the terminal as it was."""

    execution: Execution
    view: View
    keys: Keys | None = None
    count: int = 0

    async def listen(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, *_SUSPENDING) as signals:
            task_status.started()
            async for number in signals:
                if number in _SUSPENDING:
                    self._suspend(number)
                else:
                    self.count += 1
                    self._obey()

    def _suspend(self, number: signal.Signals) -> None:
        """Be stopped by the shell, and go on with `fg` or `bg`."""
        self._leave_terminal()
        ours = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, ours)
        self.view.__enter__()

    def _leave_terminal(self) -> None:
        self.view.__exit__(None, None, None)  # which gives the cursor back
        if self.keys is not None:
            self.keys.restore()

    def _obey(self) -> None:
        if self.count == 1:
            self.execution.stop()
            self.view.say(f"stopping{self._what_for()} (Ctrl-C again to end at once)")
        elif self.count == 2:
            self.execution.cancel()
            self.view.say("ending at once")
        else:  # something does not let itself be cancelled: nothing more can be saved
            self._leave_terminal()
            os._exit(Exit.INTERRUPTED)

    def _what_for(self) -> str:
        """`: waiting 30 s at most for service (reconnecting, try 3: connection refused), speech`, or nothing."""
        shot = snapshot(self.execution)
        waiting = [
            f"{stage} ({status})" if (status := shot.statuses.get(stage)) else stage for stage in shot.waiting_for
        ]
        return f": waiting {self.execution.drain_s:g} s at most for {', '.join(waiting)}" if waiting else ""


def _leaves(fault: Exception) -> Iterator[Exception]:
    if isinstance(fault, ExceptionGroup):
        for inner in fault.exceptions:
            yield from _leaves(inner)
    else:
        yield fault
