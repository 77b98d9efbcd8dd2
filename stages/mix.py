"""Several sounds at once: what was spoken at the same time is heard at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from pipeline.caps import AUDIO, AudioCaps, Caps, Port
from pipeline.items import Audio, Mark, MarkKind, Samples
from pipeline.stage import StageError, option

__all__ = ["Mix"]

_GAIN_DB = (-96.0, 48.0)


def _check_gains(gains: Sequence[float]) -> str | None:
    low, high = _GAIN_DB
    return None if all(low <= gain <= high for gain in gains) else f"numbers from {low:g} to {high:g} dB"


@define(kw_only=True)
class Mix:
    """Add up sounds of one rate, aligned by their positions; full scale is the limit, and what hits it is counted.

    The lanes share a clock. A frame goes out as soon as every lane that has not ended is known at its place:
    by audio, by a `GAP` (silence then), or by a `WATERMARK`, which lets a lane that speaks seldom not hold up
    the others. Within a lane positions may jump forward over silence. Where a lane comes back to a place that
    it has already covered, it is late: see `late`. A lane that runs ahead is kept until the others follow.
    Marks end here: what comes out is one gapless sound from the first frame of any lane to the last.

    Raises: StageError where the lanes differ in rate or channels, or in number from `gains_db`.
    """

    gains_db: list[float] | None = option(
        None, help="decibels for each input, in the order of `from`; null for none", check=_check_gains
    )
    late: Literal["push", "drop"] = option(
        "push", help="sound that comes after its place has passed: `push` it to the first free one, or `drop` it"
    )
    _lanes: dict[str, _Lane] = field(init=False, factory=dict)
    _rate: int = field(init=False, default=0)
    _channels: int = field(init=False, default=0)
    _given: int | None = field(init=False, default=None)
    _limited: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO, many=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        lanes = {lane: came for lane, came in caps.items() if isinstance(came, AudioCaps)}
        rate = _common("rates", {came.rate_hz for came in lanes.values()}, "rate: {} ")
        channels = _common("channels", {came.channels for came in lanes.values()}, "channels: {} ")
        return {"out": AudioCaps(rate, channels)}

    def open(self, lanes: Sequence[str]) -> None:
        gains = self.gains_db or [0.0] * len(lanes)
        if len(gains) != len(lanes):
            raise StageError(
                f"gains_db: wanted a number for each of {len(lanes)} inputs, came {len(gains)}", code=2
            )
        self._lanes = {lane: _Lane(10 ** (gain / 20)) for lane, gain in zip(lanes, gains, strict=True)}

    def feed(self, item: Audio | Mark, lane: str) -> Iterator[Audio]:
        self._check(item, lane)
        into = self._lanes[lane]
        if isinstance(item, Audio):
            into.put(item, push=self.late == "push")
        elif item.kind in (MarkKind.GAP, MarkKind.WATERMARK):
            into.cover(item.start + item.frames)
        return self._ready()

    def end(self, lane: str) -> Iterator[Audio]:
        self._lanes[lane].ended = True
        return self._ready()

    def flush(self) -> Iterator[Audio]:
        return self._mixed(max((lane.known or 0 for lane in self._lanes.values()), default=0))

    def counts(self) -> Mapping[str, int]:
        pushed = sum(lane.pushed for lane in self._lanes.values())
        return {"samples limited to full scale": self._limited, "frames pushed later": pushed}

    def losses(self) -> Mapping[str, int]:
        return {"late": sum(lane.dropped for lane in self._lanes.values())}

    def _check(self, item: Audio | Mark, lane: str) -> None:
        self._rate = self._rate or item.rate
        if item.rate != self._rate:
            raise StageError(f"{lane}: {_differ('rates', [self._rate, item.rate], f'rate: {self._rate}')}")
        if isinstance(item, Audio):
            self._channels = self._channels or item.channels
            if item.channels != self._channels:
                kinds = [self._channels, item.channels]
                raise StageError(f"{lane}: {_differ('channels', kinds, f'channels: {self._channels}')}")

    def _ready(self) -> Iterator[Audio]:
        """What every lane that goes on has covered. Nothing before each of them has told where it is."""
        going_on = [lane for lane in self._lanes.values() if not lane.ended]
        known = [lane.known for lane in going_on if lane.known is not None]
        return self._mixed(min(known)) if known and len(known) == len(going_on) else iter(())

    def _mixed(self, end: int) -> Iterator[Audio]:
        """The sum of all lanes up to `end`, a second at most in a block."""
        if self._given is None:
            starts = [lane.waiting[0].start for lane in self._lanes.values() if lane.waiting]
            if not starts or min(starts) >= end:
                return
            self._given = min(starts)
        while self._given < end:
            size = min(end - self._given, self._rate)
            yield Audio(self._sum(self._given, size), self._given, self._rate)
            self._given += size

    def _sum(self, start: int, frames: int) -> Samples:
        total = np.zeros((frames, self._channels), np.int32)
        for lane in self._lanes.values():
            lane.take(start, total)
        limited = np.clip(total, -32768, 32767)
        self._limited += int(np.count_nonzero(total != limited))
        return limited.astype(np.int16)


@define
class _Lane:
    """One input: the audio that `waiting` to be mixed, and up to where it is `known` (None: nothing yet)."""

    gain: float
    known: int | None = None
    ended: bool = False
    waiting: deque[Audio] = field(factory=deque)
    pushed: int = 0
    dropped: int = 0

    def put(self, audio: Audio, push: bool) -> None:
        """Take `audio` at its place, or where that has passed, at the first free one."""
        late = 0 if self.known is None else max(0, self.known - audio.start)
        if late and push:
            self.pushed += audio.frames
            audio = Audio(audio.samples, audio.start + late, audio.rate)
        elif late:
            self.dropped += min(late, audio.frames)
            audio = Audio(audio.samples[late:], audio.start + late, audio.rate)
        if audio.frames:
            self.waiting.append(audio)
        self.cover(audio.end)

    def cover(self, end: int) -> None:
        self.known = end if self.known is None else max(self.known, end)

    def take(self, start: int, total: NDArray[np.int32]) -> None:
        """Add to `total` what lies from `start` on, and let go of what has been used up."""
        end = start + len(total)
        for audio in self.waiting:
            if audio.start >= end:
                break
            low, high = max(start, audio.start), min(end, audio.end)
            samples = audio.samples[low - audio.start : high - audio.start]
            total[low - start : high - start] += self._louder(samples)
        while self.waiting and self.waiting[0].end <= end:
            self.waiting.popleft()

    def _louder(self, samples: Samples) -> NDArray[np.int32]:
        scaled = samples if self.gain == 1 else np.rint(samples * self.gain)
        return scaled.astype(np.int32)


def _common(what: str, came: Iterable[int | None], remedy: str) -> int | None:
    """The one value in `came`; None where it is not known of all. Raises ValueError where there are two."""
    kinds = set(came)
    known = sorted(kind for kind in kinds if kind is not None)
    if len(known) > 1:
        raise ValueError(_differ(what, known, remedy.format(known[0]).strip()))
    return known[0] if len(kinds) == 1 and known else None


def _differ(what: str, came: Sequence[int], remedy: str) -> str:
    several = " and ".join(str(each) for each in came)
    return f"wanted inputs of equal {what}, came {several}: put a {{use: resample, {remedy}}} before it"
