"""A sink that speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import ClassVar

import anyio
from anyio import to_thread
from attrs import define, field

from pipeline.bell import Bell
from pipeline.caps import AUDIO, Caps, Port
from pipeline.items import Audio, Item, Samples
from pipeline.stage import Duration, Inbox, Outbox, between, option
from stages.devices.again import Policy, used
from stages.devices.device import Device
from stages.devices.opened import OUTPUT_LATENCY_MS, DeviceLost, SteppedAside
from stages.devices.playing import Playing, playing
from stages.devices.portaudio import find, step_aside, takes
from stages.devices.retry import Retry
from stages.devices.speech import Speech
from stages.played import Played
from stages.resample import scaled

__all__ = ["Speaker"]

_TICK_S = 0.02
_LATE_S = 2.0
"""Speech that is this late is told of."""
_TOLD_S = 10.0
"""How long an utterance that was skipped is told of."""


@define(kw_only=True)
class Speaker:
    """Play speech as it comes, on a speaker: without a click, and, if `max_lag` says so, never later than that.

    Sound of another rate is resampled to the device's, mono sounds on both sides. At the end all is played before
    the run ends. Speech that is late is hurried, and then skipped, which is counted as lost.

    Raises: StageError where there is no such device, it will not open, or is lost and `when_lost` says fail.
    """

    device: int | str | None = option(
        None,
        help="its number or a part of its name, as `dragoman devices` tells them; null for the system's default, "
        "which a sound server may change meanwhile: PulseAudio takes the sound along",
    )
    volume_db: float = option(0.0, help="how much louder or softer to play", check=between(-60, 20, "dB"))
    latency_ms: float = option(
        200,
        help="how much of an utterance is gathered before it is played, so that it goes on without a break",
        check=between(0, 5000, "ms"),
    )
    max_lag: Duration | None = option(
        None,
        help="how late speech may come: silence is cut, then it is spoken up to a quarter faster, and at last "
        "whole utterances are skipped; null never skips, but lets what comes wait",
        check=between(1, 600, "seconds"),
    )
    when_lost: Policy = option(
        "fail", help="where it is unplugged or stalls: `fail`, or `reopen` it, trying for as long as it takes"
    )
    played: Played | None = field(default=None, repr=False)
    """Told, in the device's thread, of all that is played, and when by the loop's time it sounds."""
    _speech: Speech | None = field(init=False, default=None)
    _came_hz: int = field(init=False, default=0)
    """The rate at which sound comes; the device may have another."""
    _room: Bell = field(init=False, factory=Bell)
    """Rings when some of what waits has been played."""
    _retry: Retry = field(init=False, factory=Retry)
    _starved: int = field(init=False, default=0)
    _underflows: int = field(init=False, default=0)
    _unsounded: int = field(init=False, default=0)
    _cut_off: int = field(init=False, default=0)
    _times_lost: int = field(init=False, default=0)
    _late_s: float = field(init=False, default=0.0)
    _skipped: int = field(init=False, default=0)
    _told_skipped: int = field(init=False, default=0)
    _tell_until: float = field(init=False, default=0.0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    # --- what it tells

    @property
    def status(self) -> str:
        told = [self._retry.status]
        if self._told_skipped:
            told.append(f"skipped {_utterances(self._told_skipped)}, too late to be spoken")
        if self._late_s >= _LATE_S:
            told.append(f"{self._late_s:.0f} s late")
        return "; ".join(filter(None, told))

    def losses(self) -> Mapping[str, int]:
        if (speech := self._speech) is None:
            return {}
        own = {"device away": self._unsounded, "cut off at the end": self._cut_off}
        lost = {**speech.playout.losses(), **{reason: frames for reason, frames in own.items() if frames}}
        return {reason: scaled(frames, speech.rate, self._came_hz) for reason, frames in lost.items()}

    def counts(self) -> Mapping[str, int]:
        return {
            **(self._speech.counts() if self._speech is not None else {}),
            "frames of silence because the machine was busy": self._starved,
            "underruns inside the device": self._underflows,
            "times the device was lost": self._times_lost,
        }

    # --- work

    def probe(self) -> None:
        """Find the device, so that nothing is loaded in vain."""
        self._found()

    def _found(self) -> Device:
        return find(self.device, "output")

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        device = await to_thread.run_sync(self._found)
        items = aiter(inbox)
        first = await _first_sound(items)
        if first is None:
            return
        self._came_hz = first.rate
        self._speech = speech = await to_thread.run_sync(self._speech_for, device, first)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._take, first, items, speech)
                play = partial(self._play_on, speech)
                await used(device, play, self.device, "output", self._retry, when_lost=self.when_lost)
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
        finally:
            self._cut_off += speech.unplayed

    def _speech_for(self, device: Device, first: Audio) -> Speech:
        """At the rate that comes where the device takes it, else at the device's own. Blocks."""
        channels = min(max(2, first.channels), device.outputs)
        rate = first.rate if takes(device, "output", first.rate, channels) else device.rate_hz
        return Speech(
            rate=rate,
            channels=channels,
            mono=first.channels == 1,
            volume_db=self.volume_db,
            target_ms=self.latency_ms,
            max_lag_s=self.max_lag,
        )

    async def _take(self, first: Audio, items: AsyncIterator[Item], speech: Speech) -> None:
        """Put in what comes, and wait while there is enough."""
        speech.put(first, anyio.current_time())
        async for item in items:
            while speech.playout.full:
                await self._room.wait()
            speech.put(item, anyio.current_time())
        speech.finish(anyio.current_time())

    async def _play_on(self, speech: Speech, device: Device) -> None:
        """Keep the device's ring filled until all is played. Raises: DeviceLost."""
        heard = None if self.played is None else self._note
        async with playing(device, speech.rate, speech.ring, OUTPUT_LATENCY_MS / 1000, heard) as mouth:
            try:
                await mouth.settle()
                self._retry.end()
                await self._pump(mouth, speech)
            except DeviceLost as lost:
                self._times_lost += 1
                self._unsounded += mouth.unsounded
                if self.when_lost == "reopen":
                    self._retry.begin(f"speaker {device.name!r}", str(lost))
                raise
            except anyio.get_cancelled_exc_class():
                await mouth.fade_out()
                raise
            finally:
                self._starved += mouth.starved
                self._underflows += mouth.underflows
                self._cut_off += mouth.cut_off

    async def _pump(self, mouth: Playing, speech: Speech) -> None:
        while not speech.playout.drained:
            if step_aside():
                await mouth.play_out()
                raise SteppedAside
            now = anyio.current_time()
            speech.fill(mouth.room, now)
            self._room.ring()
            self._late_s = speech.playout.lag_s(now)
            self._tell_skipped(speech.skipped, now)
            mouth.check()
            await anyio.sleep(_TICK_S)
        await mouth.play_out()

    def _tell_skipped(self, skipped: int, now: float) -> None:
        """For some seconds, how many utterances were skipped in a row."""
        if skipped > self._skipped:
            self._told_skipped += skipped - self._skipped
            self._skipped, self._tell_until = skipped, now + _TOLD_S
        elif now >= self._tell_until:
            self._told_skipped = 0

    def _note(self, samples: Samples, at: float) -> None:
        assert self.played is not None
        assert self._speech is not None
        self.played.note(samples, self._speech.rate, at)


def _utterances(number: int) -> str:
    return "an utterance" if number == 1 else f"{number} utterances"


async def _first_sound(items: AsyncIterator[Item]) -> Audio | None:
    """The first audio; marks before it end nothing."""
    async for item in items:
        if isinstance(item, Audio) and item.frames:
            return item
    return None
