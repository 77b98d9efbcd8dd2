"""An open speaker: a short ring that the event loop keeps filled, and a callback that only copies out of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import numpy as np
from attrs import define, field

from pipeline.items import Samples
from stages.devices.device import Device
from stages.devices.opened import DeviceLost, LoopClock, Vigil, opened
from stages.devices.portaudio import Stream
from stages.devices.ring import Ring

__all__ = ["LEAD_S", "Playing", "playing"]

LEAD_S = 0.15
"""What waits for the device, besides what the device holds: the event loop may be busy for as long."""
_FADE_S = 0.01
_SETTLE_S = 0.03
_MARGIN_S = 0.1
"""How much later than a driver tells sound may come out of it."""
_STARVED_FADE_S = 0.003

Heard = Callable[[Samples, float], None]
"""Told, in the device's thread, what it was given and the loop's time at which its first frame will sound."""


@define(eq=False, kw_only=True)
class Playing:
    """A speaker at work at `rate` Hz. Put into `ring` what it plays: `room` tells how much is wanted.

    Where the ring runs dry there is silence, faded into, and counted in `starved`.
    """

    rate: int
    ring: Ring
    heard: Heard | None = None
    starved: int = field(init=False, default=0)
    """Frames of silence that the device was given because the ring was empty."""
    underflows: int = field(init=False, default=0)
    """How often the device itself ran dry: how long it was silent then nobody knows."""
    cut_off: int = field(init=False, default=0)
    """Frames from the ring that came after a fade, and did not sound."""
    stream: Stream | None = field(init=False, default=None)
    _settled: bool = field(init=False, default=False)
    """The device has its buffers full, of silence, and takes no more than it plays."""
    _ending: bool = field(init=False, default=False)
    """The ring may run dry: nothing more comes."""
    _fading: int | None = field(init=False, default=None)
    """Frames of the last fade that are left; None while it plays."""
    _last: Samples = field(init=False)
    _sounds_until: float = field(init=False, default=0.0)
    _called: float = field(init=False, default=0.0)
    _vigil: Vigil = field(init=False, factory=Vigil)
    _clock: LoopClock = field(init=False, factory=LoopClock)

    def __attrs_post_init__(self) -> None:
        self._last = np.zeros((1, self.ring.channels), np.int16)

    def fill(self, out: Samples, delay_s: float, underflow: bool) -> None:
        """The device's callback."""
        self._vigil.calls += 1
        self.underflows += underflow and self._settled
        got = self.ring.take_into(out) if self._settled else 0
        self.cut_off += max(0, got - self._fading) if self._fading is not None else 0
        if got < len(out):
            self._starve(out[got:], out[got - 1 : got] if got else self._last)
        if self._fading is not None:
            self._fade(out)
        self._last[:] = out[-1:]
        self._called = self._clock.now()
        if out.any():
            self._sounds_until = self._called + delay_s + len(out) / self.rate
        if self.heard is not None:
            self.heard(out, self._called + delay_s)

    def _starve(self, out: Samples, before: Samples) -> None:
        """Silence, into which the last sample decays: a step would be a click."""
        frames = min(len(out), max(1, int(_STARVED_FADE_S * self.rate)))
        out[:] = 0
        out[:frames] = before * np.linspace(1, 0, frames, endpoint=False)[:, np.newaxis]
        if self._settled and not self._ending:
            self.starved += len(out)

    def _fade(self, out: Samples) -> None:
        assert self._fading is not None
        whole = int(_FADE_S * self.rate)
        left = np.arange(self._fading, self._fading - len(out), -1).clip(0) / whole
        out[:] = np.rint(out * left[:, np.newaxis])
        self._fading = max(0, self._fading - len(out))

    # --- the loop's side

    @property
    def room(self) -> int:
        """The frames to put in now, so that the lead is whole."""
        return max(0, int(LEAD_S * self.rate) - self.ring.held)

    @property
    def unsounded(self) -> int:
        """The frames of sound that the device has taken and, if it stopped at its last call, never let sound."""
        return max(0, round((self._sounds_until - self._called) * self.rate))

    def check(self) -> None:
        """Raises: DeviceLost where the device is gone."""
        assert self.stream is not None
        if wrong := self._vigil.wrong(self.stream, anyio.current_time()):
            raise DeviceLost(wrong)

    async def settle(self) -> None:
        """Return when the device plays: it begins by asking for all that it can hold. Raises: DeviceLost."""
        while not self._vigil.calls:
            self.check()
            await anyio.sleep(0.005)
        await anyio.sleep(_SETTLE_S)
        self._settled = True

    async def play_out(self) -> None:
        """Return when all that was put in has sounded. Raises: DeviceLost."""
        self._ending = True
        while self.ring.held:
            self.check()
            await anyio.sleep(0.01)
        assert self.stream is not None
        end = self._sounds_until + _MARGIN_S
        await anyio.sleep(max(0.0, end - anyio.current_time()))
        self.check()

    async def fade_out(self) -> None:
        """Go silent within some milliseconds, also where the caller is being cancelled."""
        self._fading = int(_FADE_S * self.rate)
        latency_s = self.stream.latency_s if self.stream is not None else 0.0
        with anyio.CancelScope(shield=True):
            await anyio.sleep(_FADE_S + min(latency_s, 0.3) + _MARGIN_S)


@asynccontextmanager
async def playing(
    device: Device, rate: int, ring: Ring, latency_s: float, heard: Heard | None = None
) -> AsyncIterator[Playing]:
    """Open the speaker `device` to play what is put into `ring`, from when it has settled: `settle` comes first.

    Raises: StageError where it will not open.
    """
    mouth = Playing(rate=rate, ring=ring, heard=heard)
    async with opened(device, "output", rate, ring.channels, latency_s, mouth.fill) as stream:
        mouth.stream = stream
        yield mouth
