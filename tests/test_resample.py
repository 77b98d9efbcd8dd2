from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.caps import ANY, AudioCaps
from pipeline.items import Audio, Item, Mark, MarkKind
from pipeline.stage import Out, StageError
from pipeline.testing import check_transform, feed_all, joined, noise
from stages.resample import Resample, scaled

RATES = [1000, 8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000]
QUALITIES = ["quick", "low", "medium", "high", "very_high"]


def sine(hz: float, rate: int, frames: int, peak: float = 12000) -> np.ndarray:
    return peak * np.sin(2 * np.pi * hz / rate * np.arange(frames))


def audio(values: np.ndarray | Sequence[Sequence[int]], rate: int = 8000, start: int = 0) -> Audio:
    samples = np.rint(np.asarray(values)).astype(np.int16)
    return Audio(samples.reshape(len(samples), -1), start, rate)


def only_audio(items: Sequence[Item | Out]) -> list[Audio]:
    return [item for item in items if isinstance(item, Audio)]


@settings(deadline=None)
@given(
    rate_in=st.sampled_from(RATES),
    rate=st.sampled_from([*RATES, 12345, 384000]),
    quality=st.sampled_from(QUALITIES),
    frames=st.integers(0, 2000),
    start=st.integers(0, 10**10),
    channels=st.integers(1, 3),
)
@example(rate_in=96000, rate=1000, quality="quick", frames=84, start=1, channels=1)
def test_resample_obeys_the_laws_and_its_totals_are_exact(
    rate_in: int, rate: int, quality: str, frames: int, start: int, channels: int
) -> None:
    sound = noise(frames, rate_in, channels, start)
    out = only_audio(check_transform(lambda: Resample(rate=rate, quality=quality), [sound], tries=2))
    begin, end = scaled(start, rate_in, rate), scaled(sound.end, rate_in, rate)
    assert sum(item.frames for item in out) == end - begin
    assert all(item.start == begin and item.channels == channels and item.rate == rate for item in out)


@pytest.mark.parametrize(("rate_in", "rate"), [(48000, 24000), (44100, 16000), (16000, 48000), (24000, 44100)])
def test_a_tone_keeps_its_pitch_its_level_and_its_place(rate_in: int, rate: int) -> None:
    (out,) = check_transform(lambda: Resample(rate=rate), [audio(sine(1000, rate_in, rate_in), rate_in)])
    assert isinstance(out, Audio)
    middle = slice(rate // 10, -rate // 10)
    apart = np.abs(out.samples[:, 0] - sine(1000, rate, rate))[middle]
    assert apart.max() < 3  # of 12000: 73 dB below, rounding included; a delay of one frame would be 1500


def test_what_the_new_rate_cannot_hold_is_filtered_out() -> None:
    (out,) = feed_all(Resample(rate=8000, quality="very_high"), [audio(sine(6000, 48000, 48000), 48000)])[-1:]
    assert isinstance(out, Audio)
    assert np.abs(out.samples[100:-100]).max() <= 1


def test_nothing_is_given_past_the_end_of_what_came() -> None:
    # Rounding puts a frame of soxr's there, which is held back.
    sounds = [noise(130, 96000, start=31), noise(500, 96000, start=161)]
    stage, place = Resample(rate=11025, quality="quick"), scaled(31, 96000, 11025)
    for sound in sounds:
        for out in stage.feed(sound):
            assert out.start == place
            place = out.end
            assert place <= scaled(sound.end, 96000, 11025)
    assert place + sum(out.frames for out in stage.flush()) == scaled(661, 96000, 11025)


def test_two_runs_give_the_same_bytes() -> None:
    sound = noise(48000, 48000)
    assert feed_all(Resample(rate=16000), [sound]) == feed_all(Resample(rate=16000), [sound])


def test_what_has_the_rate_and_the_channels_passes_untouched() -> None:
    sound = noise(100, 24000, 2)
    for stage in (Resample(rate=24000), Resample(channels=2), Resample(rate=24000, channels=2), Resample()):
        (out,) = stage.feed(sound)
        assert out is sound
        assert not list(stage.flush())


@given(jumps=st.lists(st.tuples(st.integers(1, 400), st.integers(-500, 500)), max_size=6))
@settings(deadline=None)
def test_after_a_jump_sound_begins_anew_at_its_scaled_place(jumps: list[tuple[int, int]]) -> None:
    sounds, place = [], 10_000
    for frames, jump in jumps:
        sounds.append(noise(frames, 44100, start=place))
        place += frames + (jump or 1)
    out = only_audio(check_transform(lambda: Resample(rate=16000), sounds, gapless=False, tries=2))
    spans = [(scaled(sound.start, 44100, 16000), scaled(sound.end, 44100, 16000)) for sound in sounds]
    filled = [span for span in spans if span[1] > span[0]]
    assert sum(item.frames for item in out) == sum(end - begin for begin, end in filled)
    assert {begin for begin, _ in filled} >= {item.start for item in out}


def test_gap_marks_stay_true_and_never_accumulate_rounding() -> None:
    items: list[Item] = []
    for start in range(0, 50_000, 50):
        items += [noise(23, 44100, start=start), Mark(MarkKind.GAP, start + 23, 44100, 27)]
    place = 0
    for item in feed_all(Resample(rate=16000), items):
        assert not isinstance(item, Out)
        assert getattr(item, "start", None) == place
        place += getattr(item, "frames", 0)
    assert place == scaled(50_000, 44100, 16000)


@pytest.mark.parametrize("kind", MarkKind)
def test_no_mark_is_passed_by_audio(kind: MarkKind) -> None:
    stage = Resample(rate=24000)
    before, after = noise(4800, 48000), noise(4800, 48000, start=4800)
    out = feed_all(stage, [before, Mark(kind, 4800, 48000), after])
    where = out.index(Mark(kind, 2400, 24000))
    assert sum(item.frames for item in only_audio(out[:where])) == 2400
    assert sum(item.frames for item in only_audio(out[where:])) == 2400


def test_a_mark_keeps_its_rate_where_audio_does() -> None:
    assert list(Resample(channels=1).mark(Mark(MarkKind.GAP, 7, 44100, 9))) == [Mark(MarkKind.GAP, 7, 44100, 9)]


def test_the_input_may_change_its_rate_and_channels() -> None:
    stage = Resample(rate=24000, channels=1)
    items = [noise(4800, 48000), noise(2400, 24000, 2, start=2400), noise(1600, 16000, start=3200)]
    (out,) = joined(feed_all(stage, items))
    assert isinstance(out, Audio)
    assert (out.start, out.frames, out.channels, out.rate) == (0, 3 * 2400, 1, 24000)


def test_what_would_overflow_is_limited_and_counted() -> None:
    stage = Resample(rate=48000)
    square = audio(np.repeat(np.resize([32767, -32768], 50), 40))
    out = only_audio(feed_all(stage, [square]))
    assert stage.counts()["samples limited to full scale"] > 100
    every = np.concatenate([item.samples for item in out])
    assert np.count_nonzero(every == 32767) > 50
    assert np.count_nonzero(every == -32768) > 50


# --- channels


@given(st.lists(st.lists(st.integers(-32768, 32767), min_size=5, max_size=5), min_size=1))
def test_a_mix_is_the_average_rounded_half_up(rows: list[list[int]]) -> None:
    for channels in (2, 3, 5):
        wide = audio([row[:channels] for row in rows])
        (out,) = Resample(channels=1).feed(wide)
        assert out.samples[:, 0].tolist() == [int(np.floor(sum(row[:channels]) / channels + 0.5)) for row in rows]


def test_channels_are_picked_and_copied() -> None:
    wide = audio([[1, 2, 3], [4, 5, 6]])
    assert only_audio(list(Resample(pick=1).feed(wide)))[0].samples.tolist() == [[2], [5]]
    assert only_audio(list(Resample(pick=[2, 0]).feed(wide)))[0].samples.tolist() == [[3, 1], [6, 4]]
    assert only_audio(list(Resample(channels=2).feed(audio([[7], [8]]))))[0].samples.tolist() == [[7, 7], [8, 8]]


def test_picking_and_resampling_at_once() -> None:
    wave = sine(1000, 48000, 48000)
    both = audio(np.stack([np.zeros(48000), wave], axis=1), 48000)
    out = np.concatenate([item.samples for item in only_audio(feed_all(Resample(rate=24000, pick=1), [both]))])
    assert np.abs(out[2400:-2400, 0] - sine(1000, 24000, 24000)[2400:-2400]).max() < 3


def test_channels_that_cannot_be_made_are_refused_before_and_while_running() -> None:
    with pytest.raises(ValueError, match=r"pick: wanted a channel from 0 to 1, came 2"):
        Resample(pick=2).gives({"in": AudioCaps(48000, 2)})
    with pytest.raises(StageError, match=r"wanted a channel from 0 to 0, came 1"):
        Resample(pick=[0, 1]).feed(noise(10))
    with pytest.raises(StageError, match=r"6 cannot become 2; mix them \(channels: 1\), or say which to pick"):
        Resample(channels=2).feed(noise(10, channels=6))


@pytest.mark.parametrize(
    ("options", "came", "gives"),
    [
        ({"rate": 24000}, AudioCaps(), AudioCaps(24000, None)),
        ({"rate": 24000, "channels": 1}, AudioCaps(48000, 2, 4800), AudioCaps(24000, 1)),
        ({"channels": 1}, AudioCaps(48000, 2, 4800), AudioCaps(48000, 1, 4800)),
        ({"pick": [0, 1, 0]}, AudioCaps(None, 2), AudioCaps(None, 3)),
        ({"pick": 0}, AudioCaps(), AudioCaps(None, 1)),
        ({"rate": 16000}, ANY, AudioCaps(16000)),
    ],
)
def test_gives_what_is_known(options: dict[str, object], came: AudioCaps, gives: AudioCaps) -> None:
    assert Resample(**options).gives({"in": came}) == {"out": gives}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [{"rate": 999}, {"rate": 384001}, {"channels": 0}, {"pick": -1}, {"pick": []}, {"channels": 1, "pick": 0}],
)
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Resample(**options)  # type: ignore[arg-type]
