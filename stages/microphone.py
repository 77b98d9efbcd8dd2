"""A source that hears a microphone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from anyio import to_thread
from attrs import Factory, define, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.items import Audio, Item
from pipeline.stage import Inbox, Outbox, between, option
from stages.chunk import block_frames
from stages.devices.again import Policy, used
from stages.devices.device import Device
from stages.devices.listening import Listening
from stages.devices.opened import INPUT_LATENCY_MS, DeviceLost, SteppedAside
from stages.devices.portaudio import check, find, step_aside
from stages.devices.retry import Retry
from stages.devices.track import Track

__all__ = ["Microphone"]


@define(kw_only=True)
class Microphone:
    """Give what a microphone hears, as PCM16, at its own rate or another that it offers.

    Positions count from the moment it is opened. What is lost leaves a `GAP` in its place and is counted: an
    overrun where nobody takes the sound for two seconds, or inside the device, as far as its clock tells how long
    that was; and the time in which the device was away. While `paused` nothing that is said enters the process: a
    `FLUSH` ends the utterance that went before, positions go on with the time, and nothing counts as lost.

    Raises: StageError where there is no such device, it will not open, or is lost and `when_lost` says fail.
    """

    device: int | str | None = option(
        None,
        help="its number or a part of its name, as `dragoman devices` tells them; null for the system's default, "
        "which a sound server may change meanwhile: PulseAudio takes the sound along",
    )
    rate: int | None = option(
        None, help="sample rate in Hz; null for the device's own", check=between(1000, 384_000, "Hz")
    )
    channels: int = option(1, help="number of channels", check=between(1, 64))
    block_ms: float = option(50, help="length of a block in milliseconds", check=between(5, 1000, "ms"))
    latency_ms: float = option(
        INPUT_LATENCY_MS,
        help="how much the device may hold before it hands it over; less is lost more easily on a busy machine",
        check=between(1, 2000, "ms"),
    )
    when_lost: Policy = option(
        "fail", help="where it is unplugged or stalls: `fail`, or `reopen` it, trying for as long as it takes"
    )
    when_changed: Callable[[], None] | None = field(init=False, default=None, repr=False, eq=False)
    """Called whenever `paused` has changed, whoever changed it, and when the device is lost or back."""
    _paused: bool = field(init=False, default=False)
    _rate: int = field(init=False, default=0)
    _ear: Listening | None = field(init=False, default=None)
    _track: Track | None = field(init=False, default=None)
    _retry: Retry = field(init=False, default=Factory(lambda self: Retry(self._changed), takes_self=True))
    _tally: _Tally = field(init=False, factory=lambda: _Tally())

    accepts: ClassVar[Mapping[str, Port]] = {}
    live: ClassVar[bool] = True
    """It comes when it comes, and cannot be hurried."""

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """The device's own rate is only known when it is opened."""
        return {"out": AudioCaps(self.rate, self.channels)}

    # --- for the keyboard, the page and the guard

    @property
    def paused(self) -> bool:
        """Whether it hears nothing. Set it at any time, in the event loop."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        if self._ear is not None:
            self._ear.heed(paused)
        self._changed()

    @property
    def lost(self) -> str:
        """What is lost, and why; empty while it is there."""
        return self._retry.lost

    def _changed(self) -> None:
        if self.when_changed is not None:
            self.when_changed()

    @property
    def rate_hz(self) -> int:
        """The rate that positions count in; 0 before the device is known."""
        return self._rate

    def time_of(self, position_frames: int) -> float | None:
        """The loop's time at which the frame at this position was captured; None before anything was."""
        return None if self._track is None else self._track.time_of(position_frames)

    # --- what it tells

    @property
    def status(self) -> str:
        return self._retry.status or ("paused" if self._paused else "")

    def progress(self) -> tuple[float, float | None]:
        return (self._track.end / self._rate if self._track is not None else 0.0), None

    def losses(self) -> Mapping[str, int]:
        tally = self._tally.with_ear(self._ear)
        away = self._track.away if self._track is not None else 0
        return {reason: frames for reason, frames in (("overrun", tally.lost), ("device away", away)) if frames}

    def counts(self) -> Mapping[str, int]:
        tally = self._tally.with_ear(self._ear)
        unheard = tally.unheard + (self._track.unheard_away if self._track is not None else 0)
        return {
            "frames not heard while paused": unheard,
            "times the device was lost": self._tally.times_lost,
            "overruns inside the device": tally.overflows,
        }

    # --- work

    def probe(self) -> None:
        """Find the device and ask whether it takes the rate, so that no sink opens its file in vain."""
        self._found()

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        device = await to_thread.run_sync(self._found)
        self._rate = self.rate or device.rate_hz
        self._track = track = Track(self._rate)
        hear = partial(self._hear, track, outbox)
        await used(device, hear, self.device, "input", self._retry, when_lost=self.when_lost)

    def _found(self) -> Device:
        """The device, if it takes the rate. Blocks."""
        device = find(self.device, "input")
        check(device, "input", self.rate or device.rate_hz, self.channels)
        return device

    async def _hear(self, track: Track, outbox: Outbox, device: Device) -> None:
        """Open the device, and send on what it gives. Raises: DeviceLost, SteppedAside."""
        self._ear = ear = Listening.of(self._rate, self.channels, closed=self._paused)
        ready: deque[Item] = deque()
        try:
            async with ear.on(device, self.latency_ms / 1000):
                track.open(ear.timing, closed=self._paused)
                try:
                    await self._send_on(ear, track, ready, outbox)
                except DeviceLost as lost:  # told before it is closed, which may take its time
                    self._tally.times_lost += 1
                    if self.when_lost == "reopen":
                        self._retry.begin(f"microphone {device.name!r}", str(lost))
                    raise
        finally:
            # The device is closed, and gives no more: this is all. It is sent also where the run is stopped: the
            # runner delivers what is handed over while cancelled.
            for piece in ear.rest():
                ready.extend(track.items(piece))
            ready.extend(track.lose(ear.intake.position, ear.intake.missing))
            try:
                await _send(ready, outbox)
            finally:
                self._ear = None
                self._tally.lost += sum(item.frames for item in ready if isinstance(item, Audio))
                self._tally = self._tally.with_ear(ear)

    async def _send_on(self, ear: Listening, track: Track, ready: deque[Item], outbox: Outbox) -> None:
        """Send on what `ear` hears; `ready` keeps what could not be sent. Raises: DeviceLost, SteppedAside."""
        frames = block_frames(self.block_ms, self._rate)
        while True:
            if step_aside():
                raise SteppedAside
            for piece in await ear.pieces(frames):
                self._retry.end()
                ready.extend(track.items(piece))
            if ear.silent:
                ready.extend(track.flush())
            await _send(ready, outbox)


async def _send(ready: deque[Item], outbox: Outbox) -> None:
    while ready:
        await outbox.send(ready.popleft())


@define
class _Tally:
    """What the openings of a microphone have counted."""

    lost: int = 0
    unheard: int = 0
    overflows: int = 0
    times_lost: int = 0

    def with_ear(self, ear: Listening | None) -> _Tally:
        """The same with what `ear` has counted so far."""
        if ear is None:
            return self
        return _Tally(
            self.lost + ear.intake.lost,
            self.unheard + ear.intake.unheard,
            self.overflows + ear.overflows,
            self.times_lost,
        )
