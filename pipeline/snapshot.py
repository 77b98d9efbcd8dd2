"""A running graph at one moment, for whoever looks on: plain values, taken without stopping or slowing anything.

What the runner counts is totals; a rate is the difference between two looks. So `take` gets the snapshot before,
and each onlooker keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from attrs import AttrsInstance, asdict, frozen

from pipeline.items import Text
from pipeline.ledger import EdgeLine, Report, StageLine, is_sound
from pipeline.plan import Plan

__all__ = ["EdgeSnapshot", "GraphSnapshot", "Observed", "StageSnapshot", "TextSnapshot", "Waits", "take"]

DIGITS = 3
"""Of the seconds in JSON: to the millisecond."""

Waits = Literal["", "input", "room"]
"""What a stage's task waits for: an item on an empty edge, room on a full one, or nothing that can be told."""


class Observed(Protocol):
    """What can be looked at: a `pipeline.runner.Execution`."""

    plan: Plan

    @property
    def state(self) -> str: ...

    @property
    def over(self) -> bool: ...

    def report(self) -> Report: ...

    def waits(self) -> Mapping[str, Waits]: ...

    def progress(self) -> tuple[float, float | None]: ...

    def newest(self) -> Mapping[str, Text]: ...

    def behind_s(self, end_ms: int) -> float | None: ...


@frozen
class StageSnapshot:
    """One stage. `task` is the stage that heads its task: fused stages are busy, and wait, together.

    `busy`: the task runs, and is parked neither on an empty edge nor on a full one (`waits_for`: `input`, `room`
    or nothing). What it does meanwhile may be work, in its own thread or another, or waiting for the world, as
    a microphone does.
    """

    name: str
    kind: str
    task: str
    state: str
    busy: bool
    waits_for: Waits
    status: str
    counts: Mapping[str, int]
    losses: Mapping[str, int]
    lost_s: Mapping[str, float]
    """Of `losses` the sound, in seconds, where its rate is known."""


@frozen
class EdgeSnapshot:
    """One edge, in seconds of audio: sent so far, waiting now and at most, dropped by the edge's policy.

    `rate_x` is how many seconds of audio came onto it in a second, since the last look.
    """

    name: str
    producer: str
    port: str
    consumer: str
    policy: str
    fused: bool
    tap: bool
    sent_s: float
    queue_s: float
    peak_queue_s: float
    dropped_s: float
    rate_x: float
    texts: int
    texts_waiting: int
    texts_dropped: int


@frozen
class TextSnapshot:
    """The newest text of an output (`stage.port`).

    `lag_s`: how far the source had got past its end when it was new, to the time between two looks. None where
    that is not known: at the first look, without sound, and where there are several sources.
    """

    output: str
    text: Text
    lag_s: float | None


@frozen
class GraphSnapshot:
    """A graph `at_s` seconds into its run; `done_s` of `total_s` seconds of sound have come from its sources."""

    name: str
    state: str
    at_s: float
    done_s: float
    total_s: float | None
    stages: tuple[StageSnapshot, ...]
    edges: tuple[EdgeSnapshot, ...]
    texts: tuple[TextSnapshot, ...]

    def as_json(self) -> dict[str, Any]:
        """The snapshot as plain data, seconds to the millisecond. A text is flat: `output`, `lag_s`, fields."""
        told = _plain(self)
        told["stages"] = [
            {
                **_plain(stage),
                "counts": {**stage.counts},
                "losses": {**stage.losses},
                "lost_s": {why: _round(lost_s) for why, lost_s in stage.lost_s.items()},
            }
            for stage in self.stages
        ]
        told["edges"] = [_plain(edge) for edge in self.edges]
        told["texts"] = [
            {**_plain(each.text), "output": each.output, "lag_s": _round(each.lag_s)} for each in self.texts
        ]
        return told


def take(execution: Observed, before: GraphSnapshot | None = None, *, name: str = "") -> GraphSnapshot:
    """What `execution` looks like now; to be called in its event loop.

    `before` is the last look at it; without one, rates are since the start. `name` is what it is called here; the
    graph's own name if empty.
    """
    report, waits = execution.report(), execution.waits()
    done_s, total_s = execution.progress()
    heads = {name: task.head for task in execution.plan.tasks for name in task.stages}
    return GraphSnapshot(
        name=name or report.graph,
        state=execution.state,
        at_s=report.wall_s,
        done_s=done_s,
        total_s=total_s,
        stages=tuple(
            _stage(line, report.rate_hz_of(line.name), heads[line.name], waits[line.name], over=execution.over)
            for line in report.stages
        ),
        edges=_edges(report, before),
        texts=_texts(execution, before),
    )


def _stage(line: StageLine, rate_hz: int, head: str, waits: Waits, *, over: bool) -> StageSnapshot:
    at_work = line.state == "running" and not over  # a stage that was cut off keeps its state
    return StageSnapshot(
        name=line.name,
        kind=line.kind,
        task=head,
        state=line.state,
        busy=at_work and not waits,
        waits_for=waits if at_work else "",
        status=line.status,
        counts=line.counts,
        losses=line.losses,
        lost_s=_seconds(line.losses, rate_hz),
    )


def _seconds(losses: Mapping[str, int], rate_hz: int) -> Mapping[str, float]:
    sound = {why: count for why, count in losses.items() if count and is_sound(why)}
    return {why: count / rate_hz for why, count in sound.items()} if rate_hz else {}


def _edges(report: Report, before: GraphSnapshot | None) -> tuple[EdgeSnapshot, ...]:
    past = {edge.name: edge for edge in before.edges} if before else {}
    took_s = report.wall_s - (before.at_s if before else 0.0)
    return tuple(_edge(line, past.get(line.name), took_s) for line in report.edges)


def _edge(line: EdgeLine, past: EdgeSnapshot | None, took_s: float) -> EdgeSnapshot:
    rate_hz = line.rate_hz or 1
    sent_s = line.sent / rate_hz
    came_s = max(sent_s - (past.sent_s if past else 0.0), 0.0)
    return EdgeSnapshot(
        name=line.name,
        producer=line.producer,
        port=line.port,
        consumer=line.consumer,
        policy=line.policy,
        fused=line.fused,
        tap=line.tap,
        sent_s=sent_s,
        queue_s=line.queue_s,
        peak_queue_s=line.peak_queue_s,
        dropped_s=line.dropped / rate_hz,
        rate_x=came_s / took_s if took_s > 0 else past.rate_x if past else 0.0,
        texts=line.texts,
        texts_waiting=line.texts_in_flight,
        texts_dropped=line.texts_dropped,
    )


def _texts(execution: Observed, before: GraphSnapshot | None) -> tuple[TextSnapshot, ...]:
    past = {told.output: told for told in before.texts} if before else {}
    return tuple(
        past[output]
        if output in past and past[output].text is text
        else TextSnapshot(output, text, execution.behind_s(text.end_ms) if before else None)
        for output, text in execution.newest().items()
    )


def _plain(value: AttrsInstance) -> dict[str, Any]:
    """The fields of one value, and not of those in it: several times as fast as going down into all of them."""
    return {name: _round(each) for name, each in asdict(value, recurse=False).items()}


def _round(value: Any) -> Any:
    return round(value, DIGITS) if isinstance(value, float) else value
