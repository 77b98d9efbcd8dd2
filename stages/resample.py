"""Another sample rate, another number of channels; positions stay true to the frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from attrs import define, evolve, field
from numpy.typing import NDArray

from pipeline.caps import AUDIO, AudioCaps, Caps, Port
from pipeline.items import Audio, Item, Mark, Samples
from pipeline.stage import StageError, between, option

__all__ = ["Resample", "scaled"]

_QUALITY = {"quick": "QQ", "low": "LQ", "medium": "MQ", "high": "HQ", "very_high": "VHQ"}


def scaled(position: int, rate_in: int, rate_out: int) -> int:
    """A position at `rate_in` Hz as one at `rate_out` Hz, rounded to the nearest frame, halves upwards."""
    return (2 * position * rate_out + rate_in) // (2 * rate_in)


def _check_pick(pick: int | list[int]) -> str | None:
    fits = pick >= 0 if isinstance(pick, int) else bool(pick) and min(pick) >= 0 and len(pick) <= 64
    return None if fits else "the number of a channel, counted from 0, or a list of them"


@define(kw_only=True)
class Resample:
    """Change the sample rate, and mix or pick channels. What would leave full scale is limited to it, and counted.

    What lies between positions `a` and `b` comes out as `scaled(b) - scaled(a)` frames, exactly, however it
    is cut. A mark, a jump or another kind of input ends the filter's memory; the next sound begins anew at its
    scaled place, so that marks keep theirs. The filter holds back 20 to 40 ms at high quality. Blocks of
    100 ms cost half as much as blocks of 20 ms: a `chunk` before it gathers them, where latency allows.

    Raises: StageError where the channels wanted cannot be made of those that come.
    """

    rate: int | None = option(
        None,
        help="sample rate to give, in Hz; null keeps the rate that comes",
        check=between(1000, 384000, "Hz"),
        example=24000,
    )
    channels: int | None = option(
        None,
        help="channels to give: 1 mixes all into one, more copy a single one; null keeps those that come",
        check=between(1, 64),
        example=1,
    )
    pick: int | list[int] | None = option(
        None, help="take this channel (0 is the first, or left), or these, instead of mixing", check=_check_pick
    )
    quality: Literal["quick", "low", "medium", "high", "very_high"] = option(
        "high", help="how steep the filter is; `high` suits 16 bits, `quick` does not filter at all"
    )
    _stretch: _Stretch | None = field(init=False, default=None)
    _limited: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}

    def __attrs_post_init__(self) -> None:
        if self.channels is not None and self.pick is not None:
            raise ValueError("wanted `channels` or `pick`, came both: take one away")

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        came = caps["in"] if isinstance(caps["in"], AudioCaps) else AUDIO
        if came.channels is not None and (wrong := self._misfit(came.channels)):
            raise ValueError(wrong)
        same = self.rate is None or self.rate == came.rate_hz
        return {
            "out": AudioCaps(
                rate_hz=self.rate or came.rate_hz,
                channels=len(self._picked) if self._picked else self.channels or came.channels,
                block_frames=came.block_frames if same else None,
            )
        }

    def feed(self, item: Audio) -> Iterable[Audio]:
        samples = self._in_channels(item.samples)
        if self.rate is None or self.rate == item.rate:
            given = item if samples is item.samples else evolve(item, samples=samples)
            return (*self.flush(), given)
        ended: Iterable[Audio] = ()
        if self._stretch is None or not self._stretch.goes_on_with(item, samples):
            ended = self.flush()
            channels = int(samples.shape[1])
            self._stretch = _Stretch(item.rate, self.rate, channels, _QUALITY[self.quality], item.start)
        return (*ended, *self._audio(self._stretch.feed(samples)))

    def flush(self) -> Iterable[Audio]:
        stretch, self._stretch = self._stretch, None
        return self._audio(stretch.flush()) if stretch else ()

    def mark(self, mark: Mark) -> Iterable[Item]:
        """What is held, then the mark, at its place in the new rate."""
        rate = self.rate or mark.rate
        start, end = (scaled(place, mark.rate, rate) for place in (mark.start, mark.start + mark.frames))
        return (*self.flush(), evolve(mark, start=start, rate=rate, frames=end - start))

    def counts(self) -> Mapping[str, int]:
        return {"samples limited to full scale": self._limited}

    def _audio(self, resampled: tuple[int, NDArray[np.float32]]) -> Iterable[Audio]:
        start, wave = resampled
        if not len(wave):
            return ()
        assert self.rate is not None
        np.rint(wave, out=wave)
        if wave.max() > 32767 or wave.min() < -32768:
            self._limited += int(np.count_nonzero((wave > 32767) | (wave < -32768)))
            np.clip(wave, -32768, 32767, out=wave)
        return (Audio(wave.astype(np.int16), start, self.rate),)

    @property
    def _picked(self) -> list[int]:
        return [self.pick] if isinstance(self.pick, int) else self.pick or []

    def _misfit(self, came: int) -> str | None:
        """Why `came` channels cannot become those wanted, else None."""
        if self._picked and max(self._picked) >= came:
            return f"pick: wanted a channel from 0 to {came - 1}, came {max(self._picked)}"
        if self.channels is not None and self.channels not in (1, came) and came != 1:
            return f"channels: {came} cannot become {self.channels}; mix them (channels: 1), or say which to pick"
        return None

    def _in_channels(self, samples: Samples) -> Samples:
        came = samples.shape[1]
        if self.pick is None and self.channels in (None, came):
            return samples
        if wrong := self._misfit(came):
            raise StageError(f"cannot resample: {wrong}")
        if isinstance(self.pick, int):
            return samples[:, self.pick : self.pick + 1]
        if self.pick is None and self.channels == 1:
            return _mixed(samples)
        return samples[:, self.pick or [0] * (self.channels or 1)]


def _mixed(samples: Samples) -> Samples:
    """The average of all channels, rounded, halves upwards. Adding whole columns is 6 times as fast as `mean`."""
    channels = samples.shape[1]
    total = samples[:, 0].astype(np.int32)
    for number in range(1, channels):
        total += samples[:, number]
    average: Samples = ((2 * total + channels) // (2 * channels)).astype(np.int16)
    return average[:, np.newaxis]


@define
class _Stretch:
    """One gapless stretch of sound on its way through soxr: where its input ends, and its output so far.

    In float32, because soxr dithers int16 with a seed taken from the clock: the same run would never give the
    same bytes twice. Its float output does not depend on how the input is cut.
    """

    _rate_in: int
    _rate_out: int
    _channels: int
    _quality: str
    _end: int
    _given: int = field(init=False)
    _over: NDArray[np.float32] = field(init=False)
    _soxr: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        import soxr

        self._given = scaled(self._end, self._rate_in, self._rate_out)
        self._over = np.empty((0, self._channels), np.float32)
        self._soxr = soxr.ResampleStream(self._rate_in, self._rate_out, self._channels, quality=self._quality)

    def goes_on_with(self, item: Audio, samples: Samples) -> bool:
        return (item.rate, item.start, samples.shape[1]) == (self._rate_in, self._end, self._channels)

    def feed(self, samples: Samples) -> tuple[int, NDArray[np.float32]]:
        """What can be given by now, and its start."""
        self._end += len(samples)
        return self._give(self._soxr.resample_chunk(samples.astype(np.float32, order="C")))

    def flush(self) -> tuple[int, NDArray[np.float32]]:
        """The rest, to the frame: what soxr rounds otherwise is cut off, or the last frame is repeated."""
        nothing = np.empty((0, self._channels), np.float32)
        start, wave = self._give(self._soxr.resample_chunk(nothing, last=True))
        missing = scaled(self._end, self._rate_in, self._rate_out) - self._given
        if missing > 0:
            self._given += missing
            wave = np.pad(wave, ((0, missing), (0, 0)), mode="edge" if len(wave) else "constant")
        return start, wave

    def _give(self, wave: NDArray[np.float32]) -> tuple[int, NDArray[np.float32]]:
        """Hold back what would lie past the end of the input: rounding can put a frame there."""
        if len(self._over):
            wave = np.concatenate([self._over, wave])
        room = scaled(self._end, self._rate_in, self._rate_out) - self._given
        start, self._given = self._given, self._given + min(room, len(wave))
        self._over = wave[room:]
        return start, wave[:room]
