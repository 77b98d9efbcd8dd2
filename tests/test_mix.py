from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.caps import AUDIO, AudioCaps
from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.stage import StageError
from pipeline.testing import noise, split
from stages.mix import Mix

RATE = 8000


def const(value: int, frames: int, start: int = 0, rate: int = RATE) -> Audio:
    return Audio(np.full((frames, 1), value, np.int16), start, rate)


def mixing(stage: Mix, lanes: int) -> Mix:
    stage.open([f"in.{number}" for number in range(lanes)])
    return stage


def run(stage: Mix, lanes: Sequence[Sequence[Audio | Mark]], order: Iterable[int] = ()) -> list[Audio]:
    """What comes of `lanes`, fed in the `order` of their numbers, and then what is left of each."""
    mixing(stage, len(lanes))
    out: list[Audio] = []
    left = {number: list(items) for number, items in enumerate(lanes)}
    turns = [*order, *(number for number, items in left.items() for _ in range(len(items) + 1))]
    for number in turns:
        if number not in left:
            continue
        if left[number]:
            out += stage.feed(left[number].pop(0), f"in.{number}")
        else:
            del left[number]
            out += stage.end(f"in.{number}")
    return [*out, *stage.flush()]


def whole(out: Sequence[Audio]) -> tuple[int, list[int]]:
    """Where the mix begins and all of its samples; it must be gapless."""
    for last, following in itertools.pairwise(out):
        assert following.start == last.end
    samples = [sample for audio in out for sample in audio.samples[:, 0].tolist()]
    return (out[0].start if out else 0), samples


@st.composite
def lane(draw: st.DrawFn) -> list[Audio | Mark]:
    """Sound with jumps over silence, gaps and watermarks in it, cut anywhere."""
    items: list[Audio | Mark] = []
    place = draw(st.integers(0, 200))
    for number in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["sound", "sound", "jump", "gap", "watermark"]))
        frames = draw(st.integers(1, 120))
        if kind == "sound":
            items.append(noise(frames, RATE, start=place, seed=draw(st.integers(0, 9)) * 10 + number))
        elif kind == "gap":
            items.append(Mark(MarkKind.GAP, place, RATE, frames))
        elif kind == "watermark":
            items.append(Mark(MarkKind.WATERMARK, place + frames, RATE))
        place += frames
    cut = split(items, draw(st.lists(st.integers(0, 500), max_size=4)))
    return [item for item in cut if not isinstance(item, Text)]


@given(lanes=st.lists(lane(), min_size=1, max_size=4), order=st.lists(st.integers(0, 3), max_size=30))
@settings(deadline=None)
def test_the_mix_is_the_sum_however_lanes_interleave(lanes: list[list[Audio | Mark]], order: list[int]) -> None:
    start, samples = whole(run(Mix(), lanes, order))
    audio = [item for items in lanes for item in items if isinstance(item, Audio)]
    ends = [item.end if isinstance(item, Audio) else item.start + item.frames for items in lanes for item in items]
    if not audio:
        assert samples == []
        return
    begin, end = min(item.start for item in audio), max(ends)
    total = np.zeros(end - begin, np.int64)
    for item in audio:
        total[item.start - begin : item.end - begin] += item.samples[:, 0]
    assert start == begin
    assert samples == np.clip(total, -32768, 32767).tolist()


@given(
    first=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 80)), max_size=5),
    second=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 80)), max_size=5),
    order=st.lists(st.integers(0, 1), max_size=12),
    late=st.sampled_from(["push", "drop"]),
)
def test_late_sound_is_pushed_or_counted_and_never_depends_on_the_other_lanes(
    first: list[tuple[int, int]], second: list[tuple[int, int]], order: list[int], late: str
) -> None:
    lanes = [[const(1, n, at) for at, n in first], [const(100, n, at) for at, n in second]]
    stage = Mix(late=late)  # type: ignore[arg-type]
    out = run(stage, lanes, order)
    assert whole(out) == whole(run(Mix(late=late), lanes))  # type: ignore[arg-type]
    heard = sum(whole(out)[1])
    said = sum(n for _, n in first) + 100 * sum(n for _, n in second)
    if late == "push":
        assert heard == said
        assert stage.losses() == {"late": 0}
    else:
        assert said - 100 * stage.losses()["late"] <= heard <= said - stage.losses()["late"]
        assert stage.counts()["frames pushed later"] == 0


def test_pushed_sound_goes_to_the_first_free_place() -> None:
    stage = Mix()
    out = run(stage, [[const(5, 10, 0), const(7, 10, 4), const(9, 3, 30)]])
    assert whole(out) == (0, [5] * 10 + [7] * 10 + [0] * 10 + [9] * 3)
    assert stage.counts()["frames pushed later"] == 10


def test_of_dropped_sound_what_is_not_late_is_kept() -> None:
    stage = Mix(late="drop")
    assert whole(run(stage, [[const(5, 10, 0), const(7, 10, 4)]])) == (0, [5] * 10 + [7] * 4)
    assert stage.losses() == {"late": 6}


def test_a_frame_goes_out_as_soon_as_every_lane_covers_it() -> None:
    stage = mixing(Mix(), 2)
    assert whole(list(stage.feed(const(1, 100), "in.0"))) == (0, [])
    assert whole(list(stage.feed(const(2, 40), "in.1"))) == (0, [3] * 40)
    assert whole(list(stage.feed(Mark(MarkKind.GAP, 40, RATE, 10), "in.1"))) == (40, [1] * 10)
    assert whole(list(stage.feed(Mark(MarkKind.WATERMARK, 70, RATE), "in.1"))) == (50, [1] * 20)
    assert whole(list(stage.feed(const(2, 5, 75), "in.1"))) == (70, [1] * 5 + [3] * 5)
    assert whole(list(stage.end("in.1"))) == (80, [1] * 20)
    assert whole(list(stage.end("in.0"))) == (0, [])
    assert whole(list(stage.flush())) == (0, [])
    assert whole(list(stage.flush())) == (0, [])


def test_a_lane_that_has_not_said_where_it_is_holds_up_the_others() -> None:
    stage = mixing(Mix(), 2)
    assert list(stage.feed(const(1, 100, 500), "in.0")) == []
    assert whole(list(stage.feed(const(2, 100, 450), "in.1"))) == (450, [2] * 50 + [3] * 50)


@pytest.mark.parametrize("kind", [MarkKind.UTTERANCE_START, MarkKind.UTTERANCE_END, MarkKind.FLUSH])
def test_other_marks_end_here_and_cover_nothing(kind: MarkKind) -> None:
    stage = mixing(Mix(), 2)
    assert list(stage.feed(const(1, 100), "in.0")) == []
    assert list(stage.feed(Mark(kind, 50, RATE), "in.1")) == []


def test_a_long_silence_comes_in_blocks_of_a_second() -> None:
    out = run(Mix(), [[const(1, 10, 0), const(2, 10, 3 * RATE)]])
    assert max(audio.frames for audio in out) == RATE
    assert whole(out) == (0, [1] * 10 + [0] * (3 * RATE - 10) + [2] * 10)


def test_gains_are_for_each_lane_and_full_scale_is_the_limit() -> None:
    stage = Mix(gains_db=[0, -20])
    assert whole(run(stage, [[const(100, 2)], [const(1000, 2)]])) == (0, [200, 200])
    loud = Mix(gains_db=[6, 0])
    assert whole(run(loud, [[const(20000, 3)], [const(-30000, 2)]])) == (0, [9905, 9905, 32767])
    assert loud.counts()["samples limited to full scale"] == 1


def test_the_number_of_gains_is_that_of_the_lanes() -> None:
    with pytest.raises(StageError, match="wanted a number for each of 3 inputs, came 2"):
        mixing(Mix(gains_db=[0, 0]), 3)
    with pytest.raises(ValueError, match="numbers from -96 to 48 dB"):
        Mix(gains_db=[100])


def test_lanes_must_be_alike_while_running() -> None:
    stage = mixing(Mix(), 2)
    stage.feed(const(1, 10), "in.0")
    with pytest.raises(
        StageError, match=r"in.1: wanted inputs of equal rates, came 8000 and 16000: put a .*rate: 8000"
    ):
        stage.feed(const(1, 10, rate=16000), "in.1")
    with pytest.raises(StageError, match=r"in.1: wanted inputs of equal channels, came 1 and 2.*channels: 1"):
        stage.feed(noise(10, RATE, 2), "in.1")


def test_lanes_must_be_alike_where_that_is_known_before() -> None:
    mono, unknown = AudioCaps(24000, 1, 480), AudioCaps(24000)
    assert Mix().gives({"in.0": mono, "in.1": AudioCaps(24000, 1)}) == {"out": AudioCaps(24000, 1)}
    assert Mix().gives({"in.0": mono, "in.1": unknown}) == {"out": AudioCaps(24000)}
    assert Mix().gives({"in.0": AUDIO}) == {"out": AUDIO}
    with pytest.raises(
        ValueError, match=r"equal rates, came 16000 and 24000: put a \{use: resample, rate: 16000\}"
    ):
        Mix().gives({"in.0": mono, "in.1": AudioCaps(16000, 1)})
    with pytest.raises(ValueError, match=r"equal channels, came 1 and 2: put a \{use: resample, channels: 1\}"):
        Mix().gives({"in.0": mono, "in.1": AudioCaps(24000, 2)})
