"""What embedders test their own stages with, and what our own tests use: a law, a source, and a sink."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from attrs import define, field

from pipeline.caps import ANY, AUDIO, TEXT, AudioCaps, Caps, Port
from pipeline.items import Audio, Item, Mark, Text
from pipeline.stage import Inbox, Out, Outbox, Transform, marks_of

__all__ = ["Collect", "Playlist", "check_transform", "feed_all", "joined", "noise", "split"]


def noise(frames: int, rate: int = 24000, channels: int = 1, start: int = 0, seed: int = 0) -> Audio:
    """`frames` of white noise at half of full scale, the same for the same `seed`."""
    samples = np.random.default_rng(seed).integers(-16384, 16384, (frames, channels), dtype=np.int16)
    return Audio(samples, start, rate)


def split(items: Iterable[Item], cuts: Iterable[int]) -> list[Item]:
    """The same stream with every Audio cut at those positions of `cuts` that lie inside it."""
    places = sorted(set(cuts))
    out: list[Item] = []
    for item in items:
        if not isinstance(item, Audio):
            out.append(item)
            continue
        edges = [item.start, *(cut for cut in places if item.start < cut < item.end), item.end]
        for begin, end in itertools.pairwise(edges):
            out.append(Audio(item.samples[begin - item.start : end - item.start], begin, item.rate))
    return out


def feed_all(stage: Transform, items: Iterable[Item]) -> list[Item | Out]:
    """Everything `stage` gives for `items` and the end of the stream, driven as the runner drives it."""
    out: list[Item | Out] = []
    on_mark = marks_of(stage)
    for item in items:
        out.extend(on_mark(item) if isinstance(item, Mark) else stage.feed(item))
    out.extend(stage.flush())
    return out


def joined(items: Iterable[Item | Out]) -> list[Item | Out]:
    """The same stream with adjoining Audio put together, so that how it was cut does not show."""
    out: list[Item | Out] = []
    for item in items:
        last = out[-1] if out else None
        if (
            isinstance(item, Audio)
            and isinstance(last, Audio)
            and (last.end, last.rate) == (item.start, item.rate)
        ):
            out[-1] = Audio(np.concatenate([last.samples, item.samples]), last.start, last.rate)
        elif not isinstance(item, Audio) or item.frames:
            out.append(item)
    return out


def check_transform(
    make: Callable[[], Transform],
    items: Sequence[Item],
    *,
    gapless: bool = True,
    tolerance: int = 0,
    tries: int = 5,
) -> list[Item | Out]:
    """Assert the laws of a transform on `items`, and return what it makes of them, joined.

    How the input is cut never changes the joined output (samples within `tolerance`); with `gapless`, each
    audio of one output starts where the last ended; a second flush gives nothing.

    Raises: AssertionError that names the broken law.
    """
    stage = make()
    whole = feed_all(stage, items)
    again = list(stage.flush())
    assert not again, f"a second flush must give nothing, it gave {again!r}"
    if gapless:
        _assert_gapless(whole)
    want = joined(whole)
    for cuts in _ways_to_cut(items, tries):
        got = joined(feed_all(make(), split(items, cuts)))
        _assert_same(want, got, tolerance, cuts)
    return want


def _ways_to_cut(items: Sequence[Item], tries: int) -> Iterable[list[int]]:
    audio = [item for item in items if isinstance(item, Audio)]
    if not audio:
        return
    low, high = min(item.start for item in audio), max(item.end for item in audio)
    if high - low <= 512:
        yield list(range(low, high))
    dice = random.Random(0)
    for _ in range(tries):
        yield [dice.randint(low, high) for _ in range(dice.randint(1, 12))]


def _assert_gapless(items: Iterable[Item | Out]) -> None:
    ends: dict[str, int] = {}
    for given in items:
        port, item = (given.port, given.item) if isinstance(given, Out) else ("", given)
        if isinstance(item, Audio):
            expected = ends.get(port, item.start)
            assert item.start == expected, (
                f"audio must start at {expected}, where the last ended, not at {item.start}"
            )
            ends[port] = item.end
        elif isinstance(item, Mark):
            ends.pop(port, None)


def _assert_same(want: list[Item | Out], got: list[Item | Out], tolerance: int, cuts: list[int]) -> None:
    where = f"with the input cut at {cuts[:20]}"
    assert len(want) == len(got), f"{where}: {len(got)} pieces instead of {len(want)}"
    for expected, came in zip(want, got, strict=True):
        if not (isinstance(expected, Audio) and isinstance(came, Audio)):
            assert expected == came, f"{where}: {came!r} instead of {expected!r}"
            continue
        same_place = (expected.start, expected.rate, expected.samples.shape)
        assert same_place == (came.start, came.rate, came.samples.shape), (
            f"{where}: audio {(came.start, came.rate, came.samples.shape)} instead of {same_place}"
        )
        apart = np.abs(expected.samples.astype(np.int32) - came.samples)
        assert not apart.size or int(apart.max()) <= tolerance, f"{where}: samples differ by up to {apart.max()}"


@define(kw_only=True)
class Playlist:
    """A source that sends `items` and ends. Its caps are those of the first Audio, or text."""

    items: Sequence[Item]
    live: bool = False

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        first = next((item for item in self.items if isinstance(item, Audio)), None)
        if first is not None:
            return {"out": AudioCaps(first.rate, first.channels)}
        return {"out": TEXT if any(isinstance(item, Text) for item in self.items) else AUDIO}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        for item in self.items:
            await outbox.send(item)


@define(kw_only=True)
class Collect:
    """A sink that keeps what it gets in `items`."""

    items: list[Item] = field(factory=list)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY, many=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    @property
    def frames(self) -> int:
        """Sample-frames of audio collected."""
        return sum(item.frames for item in self.items if isinstance(item, Audio))

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            self.items.append(item)
