"""What a hall tells of itself: to its operators as plain data, and to whoever measures as metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import anyio
from attrs import frozen

from pipeline.snapshot import GraphSnapshot, take
from stages.room.figures import figures, microphone_of
from stages.room.operators import Look

if TYPE_CHECKING:
    from pipeline.serve.metrics import Metrics
    from pipeline.serve.room.hall import Hall

__all__ = ["GRAPHS", "Watching", "figures_of", "measure"]

GRAPHS = "room "
"""What the names of a room's graphs begin with, among all of the server's."""


def figures_of(hall: Hall) -> Mapping[str, Any]:
    """What an operator is told beside the graphs."""
    now = anyio.current_time()
    return {
        **figures(hall.room, hall.floor.delays, now),
        "microphone": microphone_of([] if hall.microphone is None else [hall.microphone]),
        "sessions": [] if hall.speaker is None else [hall.speaker.figures(now)],
    }


@frozen(eq=False)
class Watching:
    """A hall as its operators see it."""

    hall: Hall

    def may_watch(self, key: str | None) -> bool:
        return self.hall.keys.may_watch(key)

    def looks(self) -> Iterator[Look]:
        watched = self.hall.service.watched
        told = watched.ended
        graphs: dict[str, GraphSnapshot] = {}
        while True:
            ledgers = [
                (_short(ended.name), ended.report.as_json())
                for ended in watched.ended_since(told)
                if ended.name.startswith(GRAPHS)
            ]
            told = watched.ended
            graphs = {
                name: take(execution, graphs.get(name), name=_short(name))
                for name, execution in watched.graphs.items()
                if name.startswith(GRAPHS)
            }
            yield Look(figures_of(self.hall), [graph.as_json() for graph in graphs.values()], ledgers)

    def pause_microphone(self, paused: bool) -> None:
        self.hall.pause_microphone(paused)


def measure(hall: Hall, metrics: Metrics) -> None:
    """Put the room's figures of now into `metrics`, in the place of earlier ones."""
    metrics.room_listeners.clear()
    metrics.room_lag_s.clear()
    readers = hall.room.readers()
    for tag in {*readers, *(offer.tag for offer in hall.room.board.languages)}:
        metrics.room_listeners.labels(tag).set(readers.get(tag, 0))
    for tag, ms in hall.room.dropped_ms().items():
        metrics.room_dropped_s.labels(tag).set(ms / 1000)
    for until, lag in hall.floor.delays.summary(anyio.current_time()).items():
        for quantile, name in (("0.5", "p50_s"), ("0.95", "p95_s")):
            if (seconds := lag[name]) is not None:
                metrics.room_lag_s.labels(until, quantile).set(seconds)


def _short(name: str) -> str:
    return name.removeprefix(GRAPHS)
