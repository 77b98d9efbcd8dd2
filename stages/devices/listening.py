"""An open microphone: its sound in pieces for the event loop, with their times.

How the loop learns that there is sound: it looks, just when the next block must be full, and every 50 ms at
least. Waking it from the device's thread (`call_soon_threadsafe`, trio's token) would put a lock, an allocation
and a write to a pipe into a callback that has a deadline, would queue without a bound while the loop is busy, and
is another call on each loop. Looking costs some 20 wake-ups a second, and the watchdog needs them in any case.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
from attrs import define, field

from pipeline.items import Samples
from stages.devices.device import Device
from stages.devices.intake import Intake, Piece
from stages.devices.opened import DeviceLost, LoopClock, Vigil, opened
from stages.devices.portaudio import Stream
from stages.devices.timing import Timing
from stages.devices.watchdog import TICK_S

__all__ = ["HELD_S", "Listening", "listening"]

HELD_S = 2.0
"""How long the event loop may be away before sound is lost."""
_SHORTEST_S = 0.005
_RESUME_MARGIN_S = 0.15
"""How much later than captured a driver may hand sound over, besides the latency that it tells of."""


@define(eq=False, kw_only=True)
class Listening:
    """What an open microphone gives, its positions counted from its opening. Times are the event loop's."""

    rate: int
    intake: Intake
    timing: Timing = field(init=False)
    overflows: int = field(init=False, default=0)
    """How often the device itself ran over. What was lost then its own clock tells, if it has one: see `hear`."""
    latency_s: float = field(init=False, default=0.0)
    """How much the device may hold: what was asked for, and once it is open, what it says."""
    stream: Stream | None = field(init=False, default=None)
    _stamps: Timing = field(init=False)
    """The same as `timing` by the device's own clock."""
    _vigil: Vigil = field(init=False, factory=Vigil)
    _clock: LoopClock = field(init=False, factory=LoopClock)

    def __attrs_post_init__(self) -> None:
        self.timing, self._stamps = Timing(self.rate), Timing(self.rate)

    @classmethod
    def of(cls, rate: int, channels: int, *, closed: bool = False) -> Listening:
        """One that holds `HELD_S`; `closed`: nothing is to be heard as yet."""
        return cls(rate=rate, intake=Intake(int(HELD_S * rate), channels, closed))

    @asynccontextmanager
    async def on(self, device: Device, latency_s: float) -> AsyncIterator[None]:
        """Hear the microphone `device` meanwhile. Once only. Raises: StageError where it will not open."""
        self.latency_s = latency_s
        channels = self.intake.channels
        async with opened(device, "input", self.rate, channels, latency_s, self.hear) as self.stream:
            self.latency_s = self.stream.latency_s
            yield

    def hear(self, samples: Samples, delay_s: float, overflow: bool, captured: float = 0.0) -> None:
        """The device's callback; the frame was `captured` at a time of the device's own clock, if it has one.

        Where the device itself ran over, that tells how long the hole is: no busy process makes it late, and it
        wavers by 10 ms at most (measured through PulseAudio; a stall of a second is no overrun there, and nothing
        is lost: the server keeps what waits). What a device without a clock has lost nobody knows.
        """
        self._vigil.calls += 1
        if overflow:
            self.overflows += 1
            here = self._stamps.position_at(captured) if captured > 0 else None
            self.intake.skip(0 if here is None else here - self.intake.position)
        if captured > 0:
            self._stamps.note(self.intake.position, captured)
        self.timing.note(self.intake.position, self._clock.now() - max(delay_s, len(samples) / self.rate))
        self.intake.give(samples)

    @property
    def silent(self) -> bool:
        """Whether nothing is to be heard, and all that was heard before has been given."""
        return self.intake.closed and not self.intake.held

    def heed(self, paused: bool) -> None:
        """Copy nothing from now on, or hear again what is said from now on; also while the device is being opened.

        Sound that was captured before, and is still on its way through the driver, stays unheard: its time is
        reckoned from its position, with a margin in which a little that is said after is unheard too.
        """
        if paused or not self.intake.closed:
            self.intake.closed = paused
            return
        margin_s = _RESUME_MARGIN_S + self.latency_s
        here = self.timing.position_at(self._clock.now() + margin_s)
        self.intake.opens_at = round(margin_s * self.rate) if here is None else here
        self.intake.closed = False

    async def pieces(self, frames: int) -> Sequence[Piece]:
        """Wait a moment, up to 50 ms, and give what there is by then, in blocks of `frames` or up to a hole.

        Raises: DeviceLost where the device is gone, and all that it gave has been given on.
        """
        assert self.stream is not None
        missing_s = (frames - self.intake.held) / self.rate
        await anyio.sleep(min(max(missing_s, _SHORTEST_S), TICK_S))
        wrong = self._vigil.wrong(self.stream, anyio.current_time())
        found = self._found(frames, all_of_it=bool(wrong) or self.intake.closed)
        if wrong and not found:
            raise DeviceLost(wrong)
        return found

    def rest(self) -> list[Piece]:
        """All that there is, in as few pieces as its holes allow."""
        return self._found(self.intake.capacity, all_of_it=True)

    def _found(self, frames: int, *, all_of_it: bool) -> list[Piece]:
        found = []
        while (piece := self.intake.take(frames, all_of_it=all_of_it)) is not None:
            found.append(piece)
        return found


@asynccontextmanager
async def listening(device: Device, rate: int, channels: int, latency_s: float) -> AsyncIterator[Listening]:
    """Open the microphone `device`. Raises: StageError where it will not open."""
    ear = Listening.of(rate, channels)
    async with ear.on(device, latency_s):
        yield ear
