"""What a room tells of itself: to its operators as plain data, and to whoever measures as metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from pipeline.serve.metrics import Metrics
    from pipeline.serve.room.hall import Hall

__all__ = ["figures", "measure"]


def figures(hall: Hall, now: float) -> Mapping[str, object]:
    """What an operator is told beside the graphs."""
    captions, voices = hall.room.captions_wanted(), hall.room.voices_wanted()
    dropped = hall.room.dropped_ms()
    listeners = {
        tag: {
            "count": captions.get(tag, 0),
            "voices": voices.get(tag, 0),
            "dropped_s": dropped.get(tag, 0) / 1000,
        }
        for tag in sorted({*captions, *voices, *dropped})
    }
    return {
        "title": hall.room.board.title,
        "state": hall.room.board.state,
        "microphone": None if hall.microphone is None else {"paused": hall.microphone.paused},
        "people": len(hall.room.listeners),
        "lag": hall.floor.lag(now),
        "listeners": listeners,
        "names": {offer.tag: offer.name for offer in hall.room.board.languages},
        "sessions": [] if hall.speaker is None else [hall.speaker.figures(now)],
    }


def measure(hall: Hall, metrics: Metrics) -> None:
    """Put the room's figures of now into `metrics`, in the place of earlier ones."""
    metrics.room_listeners.clear()
    metrics.room_lag_s.clear()
    wanted = hall.room.captions_wanted()
    for tag in {*wanted, *(offer.tag for offer in hall.room.board.languages)}:
        metrics.room_listeners.labels(tag).set(wanted.get(tag, 0))
    for tag, ms in hall.room.dropped_ms().items():
        metrics.room_dropped_s.labels(tag).set(ms / 1000)
    for until, lag in hall.floor.lag(anyio.current_time()).items():
        for quantile, name in (("0.5", "p50_s"), ("0.95", "p95_s")):
            if (seconds := lag[name]) is not None:
                metrics.room_lag_s.labels(until, quantile).set(seconds)
