"""A device that is open for as long as it is used, and how it is told that it is gone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread
from attrs import define, field

from stages.devices.device import Device, Direction
from stages.devices.portaudio import Fill, Hear, Stream, open_stream
from stages.devices.watchdog import LOST_AFTER_S, Watchdog

__all__ = ["INPUT_LATENCY_MS", "OUTPUT_LATENCY_MS", "DeviceLost", "LoopClock", "SteppedAside", "Vigil", "opened"]

_CLOSES_WITHIN_S = 0.5
"""A driver whose device is gone may hang for ever."""


INPUT_LATENCY_MS, OUTPUT_LATENCY_MS = 100.0, 200.0
"""What a device holds for us: the processor may be busy with a model for as long, and nothing is lost. A speaker
that runs dry is heard at once: on two cores with six times their load 100 ms broke now and then."""


class DeviceLost(Exception):
    """The device has gone away, or does not answer; `str` says how that showed."""


class SteppedAside(Exception):
    """The device is left for a moment, so that PortAudio can start anew: see `portaudio.step_aside`."""


@define
class LoopClock:
    """The event loop's time, asked from another thread. Made in the loop."""

    _ahead_s: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ahead_s = anyio.current_time() - time.monotonic()

    def now(self) -> float:
        return time.monotonic() + self._ahead_s


@define
class Vigil:
    """Looks whether a stream is alive; the device's thread counts its `calls`."""

    calls: int = 0
    _watchdog: Watchdog = field(init=False, factory=Watchdog)

    def wrong(self, stream: Stream, now: float) -> str | None:
        """What shows that the device is lost, or None."""
        if not stream.active:
            return "it has stopped"
        if self._watchdog.look(self.calls, now):
            started = self._watchdog.started
            return f"nothing has come from it for {LOST_AFTER_S:g} s" if started else "it does not start"
        return None


@asynccontextmanager
async def opened(
    device: Device, direction: Direction, rate: int, channels: int, latency_s: float, callback: Hear | Fill
) -> AsyncIterator[Stream]:
    """A stream on `device`, closed at the end; a device that will not close is left to itself."""
    stream = await to_thread.run_sync(open_stream, device, direction, rate, channels, latency_s, callback)
    try:
        yield stream
    finally:
        with anyio.move_on_after(_CLOSES_WITHIN_S, shield=True):
            await to_thread.run_sync(stream.close, abandon_on_cancel=True)
