"""Runs a graph: the one task group. Drains, keeps deadlines, tells faults and what was lost.

Stopping goes from the front: every source runs in a cancel scope of its own, `stop` cancels those, their
channels close, and everything behind them drains and flushes until a deadline. A fault in a stage stops the
run in the same way, so that sinks make their files whole, and is raised at the end with a note of where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import anyio

from pipeline.channels import Channel, ReaderGone
from pipeline.expand import renamed
from pipeline.graph import Graph
from pipeline.items import Audio, Text
from pipeline.ledger import EdgeLine, Report, StageLine, Tally
from pipeline.node import Edge, Node
from pipeline.outlet import Outlet, Step
from pipeline.plan import Plan, Task, make_plan
from pipeline.snapshot import GraphSnapshot, Waits, take
from pipeline.stage import Transform
from pipeline.tapping import TAPPED_ITEMS, Tapped, edge_named
from pipeline.tasks import Running

__all__ = ["Execution", "run"]

DRAIN_S = 30.0
"""How long a stopped run may take to deliver what is under way."""


async def run(graph: Graph, *, drain_s: float = DRAIN_S) -> Report:
    """Run `graph` in the caller's event loop until its sources end, and tell what became of everything.

    Raises: GraphError before anything runs where the graph is wrong; the stage's own exception, noted with its
    name and place, where one fails (an ExceptionGroup where several do).
    """
    return await Execution(graph, drain_s=drain_s).run()


class Execution:
    """One run of a graph: `run` it, and meanwhile `stop`, `cancel`, `tap` an edge or ask for a `report`."""

    def __init__(self, graph: Graph, *, drain_s: float = DRAIN_S) -> None:
        """Raises: GraphError where the graph cannot run."""
        self.graph = graph
        self.plan: Plan = make_plan(graph)
        self.drain_s = drain_s
        self._channels = {edge: Channel(edge) for edge in self.plan.edges}
        self._fused = {edge: Tally() for edge in self.plan.fused}
        self._running = [self._prepare(task) for task in self.plan.tasks]
        self._scope: anyio.CancelScope | None = None
        self._faults: list[Exception] = []
        self._started: float | None = None
        self._ended: float | None = None
        self._in_flight: dict[Edge, int] = {}
        self._stopped = self._cancelled = False

    async def run(self) -> Report:
        """Run until the sources end, or until stopped. Once only; see `pipeline.runner.run` for what it raises."""
        self._started = anyio.current_time()
        try:
            self._meet()
            await self._probe()
            with anyio.CancelScope() as self._scope:
                self._bound()
                async with anyio.create_task_group() as tasks:
                    for running in self._running:
                        tasks.start_soon(self._watch, running, name=running.task.head)
        finally:
            self._ended = anyio.current_time()
            self._dispose()
        if len(self._faults) == 1:
            raise self._faults[0]
        if self._faults:
            raise ExceptionGroup("several stages failed", self._faults)
        return self.report()

    def _meet(self) -> None:
        """Let stages know each other and the run, those that want to."""
        stages = {name: node.stage for name, node in self.plan.nodes.items() if node.stage is not None}
        for name, stage in stages.items():
            if (oversee := getattr(stage, "oversee", None)) is not None:
                oversee(self)
            meet = getattr(stage, "meet", None)
            if meet is None:
                continue
            try:
                meet(stages)
            except Exception as fault:
                self._note(fault, name)
                self._faults.append(fault)
                raise

    async def _probe(self) -> None:
        """Let stages look whether they can before anything is opened or loaded."""
        for name, node in self.plan.nodes.items():
            probe = getattr(node.stage, "probe", None)
            if probe is None:
                continue
            try:
                await anyio.to_thread.run_sync(probe)
            except Exception as fault:
                self._note(fault, name)
                self._faults.append(fault)
                raise

    def stop(self) -> None:
        """End the sources and let everything drain; what is not done by the deadline is cut off."""
        if self._stopped:
            return
        self._stopped = True
        self._bound()
        for running in self._running:
            if running.scope is not None:
                running.scope.cancel()

    def cancel(self) -> None:
        """End at once."""
        self._stopped = self._cancelled = True
        self._bound()

    def _bound(self) -> None:
        """Bring what was asked for, perhaps before anything ran, upon the scope that everything runs in."""
        if self._scope is None:
            return
        if self._stopped:
            self._scope.deadline = anyio.current_time() + self.drain_s
        if self._cancelled:
            self._scope.cancel()

    @property
    def state(self) -> str:
        """`waiting` before the run, then `running`, perhaps `stopping`; at last `done` or `failed`."""
        if self._ended is not None:
            return "failed" if self._faults else "done"
        if self._started is None:
            return "waiting"
        return "stopping" if self._stopped else "running"

    @property
    def over(self) -> bool:
        """Whether the run has ended, in whatever way."""
        return self._ended is not None

    @property
    def edges(self) -> Sequence[Edge]:
        """Those with a channel, and then those that are function calls."""
        return [*self.plan.edges, *self.plan.fused]

    def edge(self, name: str) -> Edge:
        """The edge that `name` means; see `pipeline.tapping.edge_named`. Raises: UnknownEdge."""
        return edge_named(name, self.edges, self.plan.outputs, renamed(self.graph.nodes))

    def waits(self) -> Mapping[str, Waits]:
        """What each stage waits for at this moment. Fused stages share a task, and so the answer."""
        return {name: running.waits for running in self._running for name in running.task.stages}

    @property
    def waiting_for(self) -> list[str]:
        """The stages that are not done yet."""
        return [running.task.head for running in self._running if running.state in ("waiting", "running")]

    def progress(self) -> tuple[float, float | None]:
        """Seconds of sound that came from the sources, and the seconds in all where they can tell."""
        told = [tell() for running in self._running if (tell := getattr(running.node.stage, "progress", None))]
        if not told:
            return self._media_s(), None
        done, total = max(told, key=lambda each: each[1] or 0)
        return done, total

    def behind_s(self, end_ms: int) -> float | None:
        """How far the source has got past `end_ms`, in seconds; None where there is no sound, or several sources.

        Of a source that gives sound as it is spoken, that is how long ago it was.
        """
        sources = [running.task.head for running in self._running if running.task.nature == "source"]
        if len(sources) != 1:
            return None
        given = [tally for edge, tally in self._tallies() if edge.producer == sources[0] and tally.rate_hz]
        return max(*(tally.end / tally.rate_hz - end_ms / 1000 for tally in given), 0.0) if given else None

    def looks(self) -> Iterator[Mapping[str, Any]]:
        """Snapshots as plain data, each taken when it is asked for; rates are since the one before."""
        last: GraphSnapshot | None = None
        while True:
            last = take(self, last)
            yield last.as_json()

    def ledger(self) -> Mapping[str, Any]:
        """The report as plain data."""
        return self.report().as_json()

    def newest(self) -> dict[str, Text]:
        """The newest text that each output (`stage.port`) has given."""
        return {
            f"{edge.producer}.{edge.out_port}": newest
            for edge, tally in self._tallies()
            if (newest := tally.newest) is not None
        }

    def tap(self, edge: str, *, items: int = TAPPED_ITEMS) -> Tapped:
        """Watch what passes along `edge` from now on; before, during or after the run. See `edge_named` for names.

        Whoever reads it too slowly misses what is oldest, beyond `items`; the graph is never held up.
        Raises: UnknownEdge.
        """
        found = self.edge(edge)
        place = self._channels.get(found, found.consumer)
        outlets = [outlet for running in self._running for outlet in running.outlets.values()]
        return Tapped(found, items, place, outlets)

    def report(self) -> Report:
        """What became of everything so far; after the end, for good."""
        now = self._ended if self._ended is not None else anyio.current_time()
        edges = self._edge_lines()
        return Report(
            graph=self.graph.name,
            stages=tuple(self._stage_lines(edges)),
            edges=tuple(edges),
            media_s=self._media_s(),
            wall_s=now - self._started if self._started is not None else 0.0,
            stopped=self._stopped,
            live=any(getattr(running.node.stage, "live", False) for running in self._running),
            cut_off=self._scope is not None and self._scope.cancelled_caught,
        )

    # --- building

    def _prepare(self, task: Task) -> Running:
        node = self.plan.nodes[task.head]
        channels: dict[str, list[Channel]] = {}
        for edge, channel in self._channels.items():
            if edge.consumer == task.head:
                channels.setdefault(edge.in_port, []).append(channel)
        if task.nature in ("transform", "join"):
            run = [name for names in task.runs.values() for name in names]
            steps = [task.head, *run] if task.nature == "transform" else run
            ports = self._ports(run[-1]) if run else list(task.runs)
            outlets = {"*": self._outlet(steps, run[-1] if run else task.head, ports)}
        else:
            outlets = {
                port: self._outlet(run, run[-1] if run else task.head, self._ports(run[-1]) if run else [port])
                for port, run in task.runs.items()
            }
        return Running(task, node, channels, outlets, lambda: self._stopped)

    def _outlet(self, run: Sequence[str], last: str, ports: Sequence[str]) -> Outlet:
        return Outlet([self._step(name) for name in run], {port: self._readers(last, port) for port in ports})

    def _step(self, name: str) -> Step:
        stage = cast(Transform, self.plan.nodes[name].stage)
        tally = next((tally for edge, tally in self._fused.items() if edge.consumer == name), None)
        return Step(name, stage, tally)

    def _ports(self, name: str) -> list[str]:
        return list(self.plan.outputs[name])

    def _readers(self, producer: str, port: str) -> list[Channel]:
        return [
            channel
            for edge, channel in self._channels.items()
            if (edge.producer, edge.out_port) == (producer, port)
        ]

    def _note(self, fault: Exception, name: str) -> None:
        place = self.plan.nodes[name].where if name in self.plan.nodes else None
        fault.add_note(f"in stage {name!r}" + (f" ({place})" if place else ""))

    # --- working

    async def _watch(self, running: Running) -> None:
        """Run one task to its end, whatever end that is, and then close what it holds."""
        running.state = "running"
        try:
            try:
                with anyio.CancelScope() as running_scope:
                    if running.task.nature == "source":
                        running.scope = running_scope
                        if self._stopped:
                            running_scope.cancel()
                    await running.work()
            finally:
                running.scope = None
            for outlet in running.outlets.values():
                await outlet.finish()
            running.state = "done"
        except ReaderGone:
            running.state = "done"
        except Exception as fault:  # noqa: BLE001 - the one place: it is kept, and raised by `run`
            running.state = "failed"
            self._faults.append(fault)
            self._note(fault, running.culprit)
            self.stop()
        finally:
            running.close()
        running.leave()  # not when cancelled: what then lies in a channel was in flight

    def _dispose(self) -> None:
        """Close every channel, and count what was cut off: in the channels, and in the hands of their writers."""
        for running in self._running:
            running.close()
        self._in_flight = {edge: channel.dispose() for edge, channel in self._channels.items()}
        for running in self._running:
            for outlet in running.outlets.values():
                for channel, item in outlet.abandon():
                    if isinstance(item, Audio):
                        channel.tally.sent += item.frames
                        self._in_flight[channel.edge] += item.frames
                    elif isinstance(item, Text):
                        channel.tally.texts_sent += 1

    # --- reporting

    def _media_s(self) -> float:
        sources = [running for running in self._running if running.task.nature == "source"]
        return max((self._seconds_out(running) for running in sources), default=0.0)

    def _seconds_out(self, running: Running) -> float:
        """Seconds of sound that a source has sent: what its first fused transform took, or its own channels."""
        name = running.task.head
        tallies = [tally for edge, tally in self._tallies() if edge.producer == name and not edge.tap]
        return max((tally.sent / tally.rate_hz for tally in tallies if tally.rate_hz), default=0.0)

    def _tallies(self) -> list[tuple[Edge, Tally]]:
        return [*((edge, channel.tally) for edge, channel in self._channels.items()), *self._fused.items()]

    def _edge_lines(self) -> list[EdgeLine]:
        return [self._edge_line(edge, tally) for edge, tally in self._tallies()]

    def _edge_line(self, edge: Edge, tally: Tally) -> EdgeLine:
        rate = tally.rate_hz or 1
        texts_received = tally.texts_sent if edge in self._fused else tally.texts_received
        return EdgeLine(
            name=str(edge),
            producer=edge.producer,
            port=edge.out_port,
            consumer=edge.consumer,
            sent=tally.sent,
            received=tally.sent if edge in self._fused else tally.received,  # a fused edge holds nothing
            dropped=tally.dropped,
            declined=tally.declined,
            in_flight=tally.queued if self._ended is None else self._in_flight.get(edge, 0),
            policy=edge.when_full,
            texts=tally.texts_sent,
            texts_received=texts_received,
            texts_dropped=tally.texts_dropped,
            texts_in_flight=tally.texts_sent - texts_received - tally.texts_dropped - tally.texts_declined,
            rate_hz=tally.rate_hz,
            queue_s=tally.queued / rate,
            peak_queue_s=tally.peak_queued / rate,
            fused=edge in self._fused,
            tap=edge.tap,
            texts_declined=tally.texts_declined,
        )

    def _stage_lines(self, edges: Sequence[EdgeLine]) -> list[StageLine]:
        states = {name: running.state for running in self._running for name in running.task.stages}
        return [_stage_line(node, states[name], edges) for name, node in self.plan.nodes.items()]


def _stage_line(node: Node, state: str, edges: Sequence[EdgeLine]) -> StageLine:
    stage: Any = node.stage
    given = [edge for edge in edges if edge.producer == node.name]
    return StageLine(
        name=node.name,
        kind=node.kind,
        state=state,
        frames_in=sum(edge.received for edge in edges if edge.consumer == node.name),
        frames_out={edge.port: max(each.sent for each in given if each.port == edge.port) for edge in given},
        losses=dict(stage.losses()) if hasattr(stage, "losses") else {},
        counts=dict(stage.counts()) if hasattr(stage, "counts") else {},
        status=getattr(stage, "status", ""),
    )
