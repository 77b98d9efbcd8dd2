"""Who speaks in a room without a browser: a microphone of this machine, or a recording for a rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import anyio
from attrs import define, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.graph import Graph
from pipeline.items import Audio
from pipeline.serve.intake import Intake
from pipeline.stage import Inbox, Outbox, Stage
from stages.resample import Resample
from stages.translate.realtime.events import SAMPLE_RATE_HZ

__all__ = ["Into", "speaking"]


@define(kw_only=True)
class Into:
    """Puts what comes into an intake, as if a client had sent it. While `intake` gives none, it is let go."""

    intake: Callable[[], Intake | None]
    behind_s: float
    """How much may wait there for the engine, before more is put."""
    taken_s: Callable[[float], None] = lambda _seconds: None
    """Hears of all that was put, in seconds."""
    _let_go: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(SAMPLE_RATE_HZ, 1))}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    def losses(self) -> Mapping[str, int]:
        return {"somebody else spoke, or nobody could listen": self._let_go} if self._let_go else {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            if not isinstance(item, Audio):
                continue
            intake = self.intake()
            if intake is None:
                self._let_go += item.frames
                continue
            intake.put(item.samples.astype("<i2", copy=False).tobytes(), anyio.current_time())
            self.taken_s(item.frames / SAMPLE_RATE_HZ)
            await intake.room(self.behind_s)


def speaking(source: Stage, into: Into) -> Graph:
    """A graph that lets `source` speak."""
    graph = Graph("speaker").add("source", source)
    graph.add("pcm", Resample(rate=SAMPLE_RATE_HZ, channels=1), reads="source")
    return graph.add("into", into, reads="pcm")
