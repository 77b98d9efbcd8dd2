from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Audio, Item, Mark, MarkKind, Samples
from pipeline.stage import StageError
from pipeline.testing import check_transform, noise, split
from stages.timeline import RAMP_MS, Append, Timeline

RATE = 1000


def sound(start: int, frames: int, value: int = 1000, channels: int = 1) -> Audio:
    return Audio(np.full((frames, channels), value, np.int16), start, RATE)


def mark(kind: MarkKind, start: int, frames: int = 0) -> Mark:
    return Mark(kind, start, RATE, frames)


def utterances(spans: Iterable[tuple[int, int]]) -> list[Item]:
    """Speech at (start, frames): the k-th has the value k + 1 throughout, and its end is marked."""
    items: list[Item] = []
    for number, (start, frames) in enumerate(spans):
        items += [sound(start, frames, number + 1), mark(MarkKind.UTTERANCE_END, start + frames)]
    return items


def laid(timeline: Timeline, items: Iterable[Item]) -> Samples:
    """All that comes out for speech alone, checked to be gapless from 0."""
    return joined([*(block for item in items for block in timeline.feed(item)), *timeline.flush()])


def joined(blocks: Iterable[Audio]) -> Samples:
    end, out = 0, [np.zeros((0, 1), np.int16)]
    for block in blocks:
        assert block.start == end
        assert 0 < block.frames <= max(1, block.rate // 10)
        end = block.end
        out.append(block.samples)
    return np.concatenate([piece for piece in out if len(piece)] or out)


def placed(spans: Iterable[tuple[int, int]]) -> list[int]:
    """Where each utterance must begin: at its time, or where the last ended."""
    starts, end = [], 0
    for start, frames in spans:
        starts.append(max(start, end))
        end = max(start, end) + frames
    return starts


spans = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 700)), max_size=7)


@given(spans=spans, cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_every_utterance_is_whole_at_its_time_or_pushed(spans: list[tuple[int, int]], cuts: list[int]) -> None:
    out = laid(Timeline(), split(utterances(spans), cuts))[:, 0]
    starts = placed(spans)
    wanted = np.zeros(starts[-1] + spans[-1][1] if spans else 0, np.int16)
    for number, (at, (_, frames)) in enumerate(zip(starts, spans, strict=True)):
        wanted[at : at + frames] = number + 1
    assert np.array_equal(out, wanted)


def test_late_utterances_are_counted() -> None:
    timeline = Timeline()
    laid(timeline, utterances([(0, 500), (300, 100), (700, 10)]))
    assert timeline.counts()["utterances pushed later"] == 1
    assert timeline.counts()["milliseconds the most pushed was late"] == 200


def test_speech_is_handed_on_at_once() -> None:
    timeline = Timeline()
    assert [block.start for block in timeline.feed(sound(50, 10))] == [0, 50]
    assert timeline.held == 0


@given(
    spans=spans,
    bed_frames=st.integers(0, 3000),
    dice=st.randoms(use_true_random=False),
    duck_db=st.sampled_from([-96.0, -12.0, -6.0, 0.0]),
)
@settings(deadline=None)
def test_the_order_in_which_speech_and_bed_come_does_not_matter(
    spans: list[tuple[int, int]], bed_frames: int, dice: random.Random, duck_db: float
) -> None:
    speech = utterances(spans)
    bed = [noise(bed_frames, RATE)] if bed_frames else []
    want = joined(_fed(Timeline(True, duck_db), speech, bed, lambda: False))
    cut = [place * 97 for place in range(60)]
    got = joined(_fed(Timeline(True, duck_db), split(speech, cut), split(bed, cut), lambda: dice.random() < 0.5))
    assert np.array_equal(want, got)
    ends = [at + frames for at, (_, frames) in zip(placed(spans), spans, strict=True)]
    assert len(want) == max([bed_frames, *ends])


def _fed(
    timeline: Timeline, speech: Iterable[Item], bed: Iterable[Item], toss: Callable[[], bool]
) -> Iterator[Audio]:
    """Speech first, or whichever the toss of a coin says."""
    left, right = list(speech), list(bed)
    while left or right:
        if left and (not right or not toss()):
            yield from timeline.feed(left.pop(0))
        else:
            yield from timeline.feed_bed(right.pop(0))
    yield from timeline.end_bed()
    yield from timeline.end_speech()


def test_the_bed_is_softer_under_speech_and_never_clicks() -> None:
    timeline = Timeline(True, -12.0)
    speech = [sound(500, 500, 0), mark(MarkKind.UTTERANCE_END, 1000)]
    out = joined(_fed(timeline, speech, [sound(0, 2000, 10000)], lambda: False))[:, 0].astype(int)
    assert set(out[:500]) == {10000}
    assert set(out[500 + RAMP_MS : 1000]) == {2512}, "10 ** (-12 / 20) of it"
    assert set(out[1000 + RAMP_MS :]) == {10000}
    assert np.abs(np.diff(out)).max() <= (10000 - 2512) / RAMP_MS + 1
    assert np.all(np.diff(out[500 : 500 + RAMP_MS]) < 0)
    assert np.all(np.diff(out[1000 : 1000 + RAMP_MS]) > 0)


def test_speech_lies_over_the_bed_and_is_limited_to_full_scale() -> None:
    timeline = Timeline(True, 0.0)
    out = joined(_fed(timeline, [sound(0, 10, 30000)], [sound(0, 20, 10000)], lambda: False))[:, 0]
    assert out.tolist() == [32767] * 10 + [10000] * 10
    assert timeline.counts()["samples limited to full scale"] == 10


def test_mono_speech_spreads_over_all_channels_of_the_bed() -> None:
    timeline = Timeline(True, 0.0)
    blocks = list(_fed(timeline, [sound(5, 10, 7)], [sound(0, 10, 1, channels=2)], lambda: False))
    out = joined(blocks)
    assert out.shape == (15, 2)
    assert out.tolist() == [[1, 1]] * 5 + [[8, 8]] * 5 + [[7, 7]] * 5


def test_a_bed_that_never_comes() -> None:
    out = joined(_fed(Timeline(True), [sound(5, 10, 7, channels=2)], [], lambda: False))
    assert out.tolist() == [[0, 0]] * 5 + [[7, 7]] * 10


def test_the_bed_waits_until_the_speech_is_known() -> None:
    timeline = Timeline(True)
    assert not list(timeline.feed_bed(sound(0, 1000)))
    assert timeline.held == 1000
    assert joined(timeline.feed(mark(MarkKind.WATERMARK, 300))).shape == (300, 1)
    assert timeline.held == 700
    assert sum(block.frames for block in timeline.feed(sound(400, 100))) == 200, "up to the end of the utterance"
    assert timeline.held == 500
    assert sum(block.frames for block in timeline.end_speech()) == 500
    assert timeline.held == 0


@given(steps=st.lists(st.tuples(st.integers(1, 400), st.integers(0, 400)), max_size=12))
def test_no_more_is_held_than_one_is_ahead_of_the_other(steps: list[tuple[int, int]]) -> None:
    timeline, bed, known = Timeline(True), 0, 0
    for bed_frames, ahead in steps:
        list(timeline.feed_bed(sound(bed, bed_frames)))
        bed += bed_frames
        known += ahead
        list(timeline.feed(mark(MarkKind.WATERMARK, known)))
        assert timeline.held == max(0, bed - known)


def test_speech_after_its_own_watermark_is_pushed_and_not_lost() -> None:
    timeline = Timeline(True, 0.0)
    blocks = [
        *timeline.feed_bed(sound(0, 100, 1)),
        *timeline.feed(mark(MarkKind.WATERMARK, 50)),
        *timeline.feed(sound(10, 20, 5)),
        *timeline.end_speech(),
        *timeline.end_bed(),
    ]
    assert joined(blocks)[:, 0].tolist() == [1] * 50 + [6] * 20 + [1] * 30
    assert timeline.counts()["utterances pushed later"] == 1


def test_a_hole_in_the_bed_is_silence() -> None:
    timeline = Timeline(True)
    bed: list[Item] = [sound(0, 10, 3), sound(20, 10, 4), mark(MarkKind.GAP, 30, 5)]
    out = joined(_fed(timeline, [], bed, lambda: True))[:, 0]
    assert out.tolist() == [3] * 10 + [0] * 10 + [4] * 10 + [0] * 5


def test_marks_may_count_at_another_rate() -> None:
    timeline = Timeline(True)
    list(timeline.feed_bed(sound(0, 1000)))
    assert sum(block.frames for block in timeline.feed(Mark(MarkKind.WATERMARK, 24000, 48000))) == 500


@pytest.mark.parametrize(
    ("speech", "bed"),
    [
        (Audio(np.zeros((10, 1), np.int16), 0, 500), sound(0, 10)),
        (sound(0, 10, channels=2), sound(0, 10)),
        (sound(0, 10, channels=2), sound(0, 10, channels=3)),
    ],
)
@pytest.mark.parametrize("first", ["speech", "bed"])
def test_what_does_not_fit_is_refused(speech: Audio, bed: Audio, first: str) -> None:
    timeline = Timeline(True)
    with pytest.raises(StageError, match="put a `resample` before"):
        list(_fed(timeline, [speech], [bed], lambda: first == "bed"))


def test_a_change_of_channels_midway_is_refused() -> None:
    with pytest.raises(StageError, match="1 channels were wanted, 2 came"):
        laid(Timeline(), [sound(0, 10), sound(10, 10, channels=2)])


# --- back to back


@given(spans=spans)
def test_append_puts_the_speech_back_to_back(spans: list[tuple[int, int]]) -> None:
    items = utterances(spans)
    out = check_transform(lambda: _Marked(Append()), items)
    audio = [item for item in out if isinstance(item, Audio)]
    assert sum(item.frames for item in audio) == sum(frames for _, frames in spans)


def test_append_makes_silence_of_what_is_missing() -> None:
    append = Append()
    items = [mark(MarkKind.GAP, 0, 3), sound(3, 2, 9), mark(MarkKind.GAP, 5, 250), sound(900, 1, 8)]
    blocks = [*(block for item in items for block in append.feed(item)), *append.flush()]
    assert joined(blocks)[:, 0].tolist() == [0] * 3 + [9] * 2 + [0] * 250 + [8]
    assert append.counts() == {"frames of silence for missing audio": 253}


def test_append_of_nothing_but_a_gap_is_silence() -> None:
    append = Append()
    assert not list(append.feed(mark(MarkKind.GAP, 0, 30)))
    (block,) = append.flush()
    assert (block.frames, block.channels, block.rate) == (30, 1, RATE)
    assert not list(append.flush())


class _Marked:
    """A layout as a transform, which answers for its marks itself."""

    accepts: dict[str, object] = {}  # noqa: RUF012

    def __init__(self, layout: Append) -> None:
        self.feed = self.mark = layout.feed
        self.flush = layout.flush

    def gives(self, caps: object) -> dict[str, object]:
        return {}
