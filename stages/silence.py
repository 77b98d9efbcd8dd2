"""A source of nothing to hear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from attrs import define, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.items import Audio
from pipeline.stage import Duration, Inbox, Outbox, between, option
from stages.chunk import block_frames
from stages.pacing import Pacer, spans

__all__ = ["Silence"]


@define(kw_only=True)
class Silence:
    """Give `duration` of silence, in blocks that share one array."""

    duration: Duration = option(help="how long", check=between(0, 864_000, "seconds"), example="2s")
    rate: int = option(24000, help="sample rate in Hz", check=between(1000, 384000, "Hz"))
    channels: int = option(1, help="number of channels", check=between(1, 64))
    block_ms: float = option(100, help="length of a block in milliseconds", check=between(1, 2000, "ms"))
    realtime: bool = option(False, help="take as long as it lasts, like a live source")
    _done: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(self.rate, self.channels)}

    def blocks(self) -> Iterator[Audio]:
        """All of it, in order."""
        zeros = np.zeros((block_frames(self.block_ms, self.rate), self.channels), np.int16)
        for start, frames in spans(self.duration, self.rate, self.block_ms):
            yield Audio(zeros[:frames], start, self.rate)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        pacer = Pacer(self.realtime)
        for block in self.blocks():
            await pacer.wait_for(block)
            await outbox.send(block)
            self._done = block.end

    @property
    def live(self) -> bool:
        """Whether it comes when it comes, and cannot be hurried."""
        return self.realtime

    def progress(self) -> tuple[float, float | None]:
        return self._done / self.rate, self.duration
