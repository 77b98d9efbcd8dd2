"""What a room tells of itself as plain data: to its operators, and to whoever else looks on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stages.room.lag import Delays
from stages.room.room import Room

__all__ = ["figures"]


def figures(room: Room, delays: Delays, now: float) -> Mapping[str, Any]:
    """How the room stands, who listens in which language, and how late they are, in seconds.

    `heard` in `lag` is until a sentence begins to sound where all that was sent before it is played out first.
    `names` has those of the languages. `people` is how many there are: one of them may read several languages.
    """
    captions, voices, dropped = room.captions_wanted(), room.voices_wanted(), room.dropped_ms()
    listeners = {
        tag: {
            "count": captions.get(tag, 0),
            "voices": voices.get(tag, 0),
            "dropped_s": dropped.get(tag, 0) / 1000,
        }
        for tag in sorted({*captions, *voices, *dropped})
    }
    return {
        "title": room.board.title,
        "state": room.board.state,
        "people": len(room.listeners),
        "lag": delays.summary(now),
        "listeners": listeners,
        "names": {offer.tag: offer.name for offer in room.board.languages},
    }
