"""What a room tells of itself as plain data: to its operators, and to whoever else looks on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.stage import Pausable
from stages.room.lag import Delays
from stages.room.room import Room

__all__ = ["figures", "microphone_of"]


def figures(room: Room, delays: Delays, now: float) -> Mapping[str, Any]:
    """How the room stands, who listens in which language, and how late they are, in seconds.

    `heard` in `lag` is until a sentence begins to sound where all that was sent before it is played out first.
    `names` has those of the languages. `people` is how many there are, each counted in one language. `life` is
    another one when the server was started anew.
    """
    readers, voices, dropped = room.readers(), room.voices_wanted(), room.dropped_ms()
    listeners = {
        tag: {
            "count": readers.get(tag, 0),
            "voices": voices.get(tag, 0),
            "dropped_s": dropped.get(tag, 0) / 1000,
        }
        for tag in sorted({*readers, *voices, *dropped})
    }
    return {
        "life": room.board.life,
        "title": room.board.title,
        "state": room.board.state,
        "people": len(room.listeners),
        "lag": delays.summary(now),
        "listeners": listeners,
        "names": {offer.tag: offer.name for offer in room.board.languages},
    }


def microphone_of(microphones: Sequence[Pausable]) -> Mapping[str, Any] | None:
    """How the microphones of this machine do: whether all are `paused`, and what is `lost`; None without any."""
    if not microphones:
        return None
    paused = all(microphone.paused for microphone in microphones)
    return {"paused": paused, "lost": "; ".join(each.lost for each in microphones if each.lost)}
