"""A source of one steady tone, for trying things out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from attrs import define, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.items import Audio
from pipeline.stage import Duration, Inbox, Outbox, between, option
from stages.pacing import Pacer, spans

__all__ = ["Tone"]


@define(kw_only=True)
class Tone:
    """Give `duration` of a sine of `hz`, its peaks `db` below full scale, the same in every channel.

    Each frame is reckoned from its own position in integers: the phase is continuous however long it sounds.
    """

    hz: float = option(440, help="pitch, to a thousandth of a Hz", check=between(0.001, 192_000, "Hz"))
    db: float = option(-20, help="peak level, in decibels from full scale", check=between(-96, 0, "dB"))
    duration: Duration = option(help="how long", check=between(0, 864_000, "seconds"), example="2s")
    rate: int = option(24000, help="sample rate in Hz", check=between(1000, 384000, "Hz"))
    channels: int = option(1, help="number of channels", check=between(1, 64))
    block_ms: float = option(100, help="length of a block in milliseconds", check=between(1, 2000, "ms"))
    realtime: bool = option(False, help="take as long as it lasts, like a live source")
    _done: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {}

    def __attrs_post_init__(self) -> None:
        if self.hz > self.rate / 2:
            raise ValueError(f"hz: wanted at most half of the rate, which is {self.rate} Hz, came {self.hz:g}")

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(self.rate, self.channels)}

    def blocks(self) -> Iterator[Audio]:
        """All of it, in order."""
        for start, frames in spans(self.duration, self.rate, self.block_ms):
            yield self._block(start, frames)

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

    def _block(self, start: int, frames: int) -> Audio:
        turn = 1000 * self.rate
        phase = np.arange(start, start + frames, dtype=np.int64) * round(1000 * self.hz) % turn
        wave = 32767 * 10 ** (self.db / 20) * np.sin(2 * np.pi / turn * phase)
        mono = np.rint(wave).astype(np.int16)
        return Audio(np.repeat(mono[:, np.newaxis], self.channels, axis=1), start, self.rate)
