from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import numpy as np
import pytest
import soundfile
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.graph import Graph
from pipeline.items import Audio, Mark, MarkKind, Samples, Text
from pipeline.runner import run
from pipeline.stage import StageError
from pipeline.testing import Collect, Playlist, noise
from stages.asr import Asr
from stages.playout import Playout
from stages.playout.joins import FADE_MS
from stages.vad import Vad
from tests.engine import needs_models
from tests.playing import Arrival, live, play, spoken, tone
from tests.wer import error_rate

RATE = 8000
FADE = RATE * FADE_MS // 1000


def ends(samples: Samples) -> tuple[int, int]:
    """Where sound begins and ends."""
    loud = np.flatnonzero(samples[:, 0])
    return int(loud[0]), int(loud[-1]) + 1


def accounted(playout: Playout) -> int:
    """The frames that were put, by what became of them."""
    counts = playout.counts()
    became = ("frames played", "frames of silence trimmed", "frames saved by speaking faster")
    return sum(counts[what] for what in became) + sum(playout.losses().values()) + playout.held_frames


def steepest(samples: Samples) -> int:
    return int(np.max(np.abs(np.diff(samples[:, 0].astype(int)))))


# --- the jitter buffer


@pytest.mark.parametrize(("block_ms", "pull_ms"), [(10, 10), (20, 100), (100, 10), (100, 100), (23, 7)])
def test_a_gapless_stream_passes_bit_for_bit_with_as_much_held_as_wanted(block_ms: int, pull_ms: int) -> None:
    playout, sound = Playout(rate=RATE, target_ms=200), noise(20 * RATE, RATE).samples.copy()
    sound[0] = 16000
    out = play(playout, live(sound, RATE, block_ms), 20, pull_ms)
    begin, _ = ends(out)
    assert (begin - block_ms * RATE / 1000) / RATE == pytest.approx(0.2 + (pull_ms - block_ms) / 2000, abs=0.011)
    assert np.array_equal(out[begin + FADE :], sound[FADE : len(out) - begin])
    assert playout.counts()["underruns"] == 0
    assert playout.clock_ppm == 0


def test_two_channels_pass_too() -> None:
    playout, sound = Playout(rate=RATE, channels=2), noise(RATE, RATE, channels=2).samples
    out = play(playout, spoken(0, 0, sound, RATE), 1.5)
    assert out.shape == (12000, 2)
    assert np.array_equal(out[FADE : RATE - FADE], sound[FADE:-FADE])


def test_an_utterance_that_is_there_as_a_whole_begins_at_once() -> None:
    playout = Playout(rate=RATE)
    out = play(playout, spoken(0.5, 77, noise(400, RATE).samples, RATE), 1)
    assert ends(out)[0] == pytest.approx(4000, abs=3)
    assert playout.counts() | {"frames played": 0} == dict.fromkeys(playout.counts(), 0)


def test_one_that_is_not_waits_for_the_target_and_a_slow_writer_is_not_waited_for_longer() -> None:
    blocks = [(at, Audio(noise(400, RATE, start=0).samples, start, RATE)) for at, start in ((0.5, 0), (0.9, 400))]
    out = play(Playout(rate=RATE), blocks, 2)
    assert 0.5 + 0.1 < ends(out)[0] / RATE < 0.5 + 0.25


def test_utterances_follow_each_other_whatever_their_positions_say() -> None:
    first, second = noise(2000, RATE, seed=1).samples, noise(2000, RATE, seed=2).samples
    out = play(Playout(rate=RATE), [*spoken(0, 9000, first, RATE), *spoken(0, 100, second, RATE)], 0.6)
    assert np.array_equal(out[FADE : 2000 - FADE], first[FADE:-FADE])
    assert np.array_equal(out[2000 + FADE : 4000 - FADE], second[FADE:-FADE])
    assert np.max(np.abs(out[1999:2001])) < 200


def test_a_mark_between_blocks_that_adjoin_is_no_join() -> None:
    sound = noise(4000, RATE).samples
    arrivals = [*spoken(0, 0, sound[:1700], RATE), *spoken(0, 1700, sound[1700:], RATE)]
    out = play(Playout(rate=RATE), arrivals, 0.6)
    assert np.array_equal(out[FADE : 4000 - FADE], sound[FADE:-FADE])


def test_running_dry_is_silence_is_counted_and_does_not_click() -> None:
    whole = tone(300, 3, RATE)
    late = [(at + (0.7 if at > 1 else 0), block) for at, block in live(whole, RATE, 20)]
    playout = Playout(rate=RATE, target_ms=100)
    out = play(playout, late, 4)
    begin, end = ends(out)
    sounding = out[begin:end]
    silent = np.flatnonzero(np.all(sounding == 0, axis=1))
    assert playout.counts()["underruns"] == 2
    assert 0.5 * RATE < len(silent) < 0.8 * RATE
    assert end - begin - 3 * RATE == pytest.approx(0.7 * RATE, abs=90)
    assert steepest(out) < 1.15 * steepest(whole)
    assert accounted(playout) == 3 * RATE


def test_what_is_missing_leaves_its_time_silent_and_the_level_as_it_was() -> None:
    sound = tone(300, 4, RATE)
    before, after = list(live(sound, RATE, 20))[:100], list(live(sound, RATE, 20))[108:]
    gap = Mark(MarkKind.GAP, 100 * 160, RATE, 8 * 160)
    playout = Playout(rate=RATE)
    out = play(playout, [*before, (after[0][0], gap), *after], 4)
    whole = play(Playout(rate=RATE), live(sound, RATE, 20), 4)
    begin, _ = ends(out)
    assert np.array_equal(out[:15000], whole[:15000])
    later = range(len(out) - 8000, len(out) - 2)
    assert any(np.array_equal(out[later], whole[later.start + off : later.stop + off]) for off in (-1, 0, 1))
    assert playout.counts()["underruns"] == 0
    assert steepest(out) < 1.15 * steepest(sound)
    assert np.count_nonzero(out[begin:] == 0) > 7 * 160


@given(starts=st.lists(st.integers(0, 5000), min_size=1, max_size=8), frames=st.integers(1, 3000))
@settings(deadline=None, max_examples=40)
def test_whatever_jumps_nothing_clicks(starts: list[int], frames: int) -> None:
    whole = tone(300, 1, RATE)
    arrivals = [
        (number * 0.2, Audio(whole[start : start + frames], start, RATE)) for number, start in enumerate(starts)
    ]
    playout = Playout(rate=RATE)
    out = play(playout, arrivals, 4)
    assert steepest(np.concatenate([out, np.zeros((1, 1), np.int16)])) < 1.2 * steepest(whole)
    assert accounted(playout) == sum(item.frames for _, item in arrivals)


# --- its end, and its bounds


def test_finished_it_plays_what_is_held_to_the_end() -> None:
    playout = Playout(rate=RATE)
    assert not playout.drained
    playout.put(Audio(noise(700, RATE).samples, 0, RATE), 0)
    assert len(np.flatnonzero(playout.pull(100, 0))) == 0
    playout.finish()
    assert not playout.drained
    out = np.concatenate([playout.pull(100, 0.01 * number) for number in range(8)])
    assert ends(out)[1] == pytest.approx(700, abs=3)
    assert playout.drained
    assert playout.counts()["underruns"] == 0


def test_nothing_put_is_silence_and_no_underrun() -> None:
    playout = Playout(rate=RATE, channels=2)
    assert playout.pull(0, 0).shape == (0, 2)
    assert np.array_equal(playout.pull(80, 0), np.zeros((80, 2), np.int16))
    playout.put(Audio(np.zeros((0, 2), np.int16), 0, RATE), 0)
    playout.put(Mark(MarkKind.UTTERANCE_END, 0, RATE), 0)
    assert playout.held_frames == 0
    assert playout.lag_s(1) == 0
    playout.finish()
    assert playout.drained


def test_a_caller_who_waits_while_it_is_full_holds_no_more_than_the_bound() -> None:
    playout, sound = Playout(rate=RATE, hold_s=2), noise(10 * RATE, RATE).samples
    arrivals, played, most = iter(list(spoken(0, 0, sound, RATE))), list[Samples](), 0
    for number in range(1200):
        while not playout.full and (arrival := next(arrivals, None)):
            playout.put(arrival[1], number / 100)
        most = max(most, playout.held_frames)
        played.append(playout.pull(80, number / 100))
    assert 2 * RATE <= most < 2.2 * RATE
    assert playout.counts()["frames played"] == 10 * RATE
    assert np.array_equal(np.concatenate(played)[FADE : 10 * RATE - FADE], sound[FADE:-FADE])


def test_very_many_small_blocks_fill_it_too() -> None:
    playout = Playout(rate=48000)
    for number in range(20_000):
        assert not playout.full
        playout.put(Audio(np.ones((1, 1), np.int16), 2 * number, 48000), 0)
    assert playout.full


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (8000, 2)])
def test_another_rate_or_other_channels_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(
        StageError, match=rf"8000 Hz and 1 channels .* {rate} Hz and {channels} came: .*`resample`"
    ):
        Playout(rate=RATE).put(noise(10, rate, channels), 0)


# --- clocks


@pytest.mark.parametrize("ppm", [200, -200])
def test_clocks_that_differ_leave_a_clean_tone(ppm: float) -> None:
    """Four minutes with real samples. Left alone, it would run dry, or be twice as late at the end."""
    playout, seconds = Playout(rate=RATE, target_ms=50), 240
    out = play(playout, live(tone(440, seconds + 2, RATE), RATE, 20, ppm=ppm), seconds, 20)
    counts = playout.counts()
    assert counts["underruns"] == 0
    assert playout.clock_ppm == pytest.approx(ppm, abs=30)
    assert 0.02 * RATE < playout.held_frames < 0.06 * RATE
    assert abs(accounted(playout) - (seconds - 0.02) * (1 + ppm * 1e-6) * RATE) <= 0.04 * RATE
    begin, _ = ends(out)
    # A sine obeys x[n-1] + x[n+1] = 2 cos(w) x[n]; a click or a jump of its phase does not. An amplitude of 16000
    # may be off by 4 for rounding, and by 3 for a pitch that is off by 500 parts in a million.
    wave = out[begin + FADE :, 0].astype(float)
    strange = wave[:-2] + wave[2:] - 2 * np.cos(2 * np.pi * 440 / RATE) * wave[1:-1]
    assert np.max(np.abs(strange)) < 8


def test_where_playing_breaks_off_it_begins_again_as_it_is() -> None:
    playout = Playout(rate=RATE)
    arrivals = list(live(tone(440, 60, RATE), RATE, 20, ppm=300))
    play(playout, arrivals, 59)
    assert playout.clock_ppm > 100
    play(playout, [], 62)
    assert playout.counts()["underruns"] == 1
    assert playout.clock_ppm == 0


def test_speech_in_utterances_is_not_resampled() -> None:
    sound = noise(6 * RATE, RATE).samples
    arrivals = [arrival for number in range(10) for arrival in spoken(7 * number, 70_000 * number, sound, RATE)]
    out = play(Playout(rate=RATE), arrivals, 70, 20)
    for number in range(10):
        begin = 7 * RATE * number
        assert np.array_equal(out[begin + FADE : begin + len(sound) - FADE], sound[FADE:-FADE])


def test_a_live_stream_that_stalled_catches_up_where_lag_is_bounded() -> None:
    sound = tone(300, 60, RATE)
    stalled = [(max(at, 21.0) if 19 < at < 30 else at, block) for at, block in live(sound, RATE, 20)]
    playout = Playout(rate=RATE, max_lag_s=1)
    held, lags = list[float](), list[float]()
    coming = iter([*stalled[:950], *((max(at, 21.0), block) for at, block in stalled[950:])])
    next_ = next(coming, None)
    for number in range(3000):
        now = number / 50
        while next_ is not None and next_[0] <= now:
            playout.put(next_[1], next_[0])
            next_ = next(coming, None)
        playout.pull(160, now)
        held.append(playout.held_frames / RATE)
        lags.append(playout.lag_s(now))
    assert max(held) > 1.5
    assert max(lags) > 1
    assert held[-1] < 0.9
    assert playout.counts()["frames saved by speaking faster"] > 0
    assert playout.losses() == {}


# --- bounded lag


@define
class Talker:
    """Somebody who talks without an end; each utterance is put as a whole, half a second after it was over."""

    factor: float
    """How much longer than its original a translation is."""
    rate: int = 400
    silence: float = 0.0
    """How much of a translation is one pause in its middle."""

    def arrivals(self, seconds: float) -> Iterator[Arrival]:
        chance, now = random.Random(1), 0.0
        while True:
            length_s = chance.uniform(2, 9)
            begun, now = now, now + length_s + 0.3
            if now > seconds:
                return
            frames = int(length_s * self.factor * self.rate)
            sound = noise(frames, self.rate, seed=int(now)).samples.copy()
            pause = int(frames * self.silence)
            sound[frames // 2 : frames // 2 + pause] = 0
            yield from spoken(now + 0.5, int(begun * self.rate), sound, self.rate)


def hour(talker: Talker, playout: Playout, watch: Callable[[float], None], seconds: float = 3600) -> int:
    """Play it, and call `watch` after every pull; how many frames were put."""
    coming, put = talker.arrivals(seconds), 0
    next_ = next(coming, None)
    for number in range(int(seconds * 5)):
        now = number / 5
        while next_ is not None and next_[0] <= now:
            playout.put(next_[1], now)
            put += next_[1].frames
            next_ = next(coming, None)
        playout.pull(talker.rate // 5, now)
        watch(now)
    return put


@pytest.mark.parametrize("factor", [0.9, 1.15])
def test_a_translation_that_is_a_little_longer_is_hurried_and_never_late(factor: float) -> None:
    talker, playout, lags = Talker(factor), Playout(rate=400, max_lag_s=8), list[float]()
    put = hour(talker, playout, lambda now: lags.append(playout.lag_s(now)))
    assert max(lags) < 8
    assert max(lags[-3000:]) < max(lags[:6000]) + 1
    assert playout.losses() == {}
    assert playout.take_skipped() == []
    assert (playout.counts()["frames saved by speaking faster"] > 0) == (factor > 1)
    assert accounted(playout) == put
    assert playout.held_frames < 30 * 400


def test_a_translation_that_is_much_longer_is_skipped_in_places_visibly() -> None:
    talker, playout, lags = Talker(1.6), Playout(rate=400, max_lag_s=8), list[float]()
    skipped = []

    def watch(now: float) -> None:
        lags.append(playout.lag_s(now))
        skipped.extend(playout.take_skipped())

    put = hour(talker, playout, watch)
    assert max(lags) < 8
    assert 50 < len(skipped) < 300
    assert all(skip.lag_s > 8 for skip in skipped)
    assert playout.counts()["utterances skipped"] - len(skipped) in (0, 1)
    assert playout.losses()["too late"] >= sum(skip.frames for skip in skipped)
    assert playout.counts()["frames played"] > 0.6 * 3600 * 400
    assert accounted(playout) == put


def test_silence_is_trimmed_before_anybody_is_hurried() -> None:
    talker, playout, lags = Talker(1.2, silence=0.3), Playout(rate=400, max_lag_s=8), list[float]()
    put = hour(talker, playout, lambda now: lags.append(playout.lag_s(now)), 1200)
    counts = playout.counts()
    assert max(lags) < 5
    assert counts["frames of silence trimmed"] > 0.1 * put
    assert counts["frames saved by speaking faster"] < 0.01 * put
    assert playout.losses() == {}
    assert accounted(playout) == put


def test_the_lag_is_what_an_utterance_has_waited_behind_one_that_was_too_long() -> None:
    playout, sound = Playout(rate=RATE), noise(2 * RATE, RATE).samples
    lags = []
    for number, (at, item) in enumerate([*spoken(0, 0, sound, RATE), *spoken(0, 400, sound, RATE)]):
        playout.put(item, at)
        assert number < 50
    for number in range(500):
        playout.pull(80, number / 100)
        lags.append(playout.lag_s(number / 100))
    assert lags[50] == pytest.approx(0, abs=0.03)
    assert lags[150] == pytest.approx(0, abs=0.03)
    assert lags[250] == pytest.approx(2 - 0.05, abs=0.03)
    assert lags[350] == pytest.approx(2 - 0.05, abs=0.03)
    assert lags[450] == 0


def test_without_a_bound_nothing_is_ever_touched() -> None:
    talker, playout, lags = Talker(1.6, silence=0.3), Playout(rate=400, hold_s=10_000), list[float]()
    put = hour(talker, playout, lambda now: lags.append(playout.lag_s(now)), 600)
    counts = playout.counts()
    assert lags[-1] > 100
    assert counts["frames played"] == put - playout.held_frames
    assert counts | {"frames played": 0} == dict.fromkeys(counts, 0)


def test_a_backlog_that_comes_at_once_is_spoken_as_far_as_it_is_in_time() -> None:
    """A service was away for a while: eight utterances of 4 s come together."""
    playout = Playout(rate=RATE, max_lag_s=8)
    sound = noise(4 * RATE, RATE).samples
    arrivals = [arrival for number in range(8) for arrival in spoken(1, 20_000 * number, sound, RATE)]
    out = play(playout, arrivals, 40, 20)
    assert 3 <= playout.counts()["utterances skipped"] <= 5
    assert [skip.start for skip in playout.take_skipped()] == list(
        range(20_000 * (8 - playout.counts()["utterances skipped"]), 160_000, 20_000)
    )
    assert ends(out)[1] / RATE < 1 + 2.5 + 8 + 4
    assert accounted(playout) == 8 * 4 * RATE


@needs_models
@pytest.mark.models
def test_speech_that_is_caught_up_with_can_still_be_understood(speech: Path) -> None:
    """Two recordings that come at once: pauses are trimmed, and the first is spoken as fast as it gets."""
    entries = {entry["file"]: entry for entry in json.loads((speech / "manifest.json").read_text())["speech"]}
    names = ["en_austen_0870.flac", "en_ls_2412_antecedents.flac"]
    sounds = [soundfile.read(speech / name, dtype="int16", always_2d=True)[0] for name in names]
    playout = Playout(rate=16000, max_lag_s=9)
    arrivals = [arrival for number, sound in enumerate(sounds) for arrival in spoken(0, number, sound, 16000)]
    seconds = sum(map(len, sounds)) / 16000
    out = play(playout, arrivals, seconds, 20)
    counts = playout.counts()
    assert playout.held_frames == 0
    assert counts["frames saved by speaking faster"] > 0.08 * seconds * 16000
    assert playout.losses() == {}
    texts = Collect()
    blocks = [Audio(out[at : at + 1600], at, 16000) for at in range(0, len(out), 1600)]
    graph = Graph("hurried").add("talk", Playlist(items=blocks)).add("vad", Vad(), reads="talk")
    graph.add("asr", Asr(language="en-us"), reads="vad").add("texts", texts, reads="asr")
    anyio.run(run, graph)
    heard = " ".join(item.text for item in texts.items if isinstance(item, Text))
    assert error_rate(" ".join(entries[name]["transcript"] for name in names), heard) <= 0.1


# --- the law


@define
class Law:
    """Whatever is put and pulled: the shape is right, and every frame is accounted for."""

    playout: Playout
    now: float = 0.0
    put: int = 0
    position: int = 0
    played: list[Samples] = field(factory=list)

    def step(self, what: str, size: int) -> None:
        before, lost = self.playout.counts(), self.playout.losses()
        if what == "pull":
            frames = size % 700
            out = self.playout.pull(frames, self.now)
            assert out.shape == (frames, 1)
            assert out.dtype == np.int16
            self.played.append(out)
            self.now += frames / 1000
        elif what == "mark":
            self.playout.put(Mark(list(MarkKind)[size % len(MarkKind)], self.position, 1000), self.now)
        elif what == "wait":
            self.now += size / 100
        else:
            self.position += 50 if what == "jump" else 0
            samples = np.full((size, 1), 4000 + self.put % 20000, np.int16)
            self.playout.put(Audio(samples, self.position, 1000), self.now)
            self.position, self.put = self.position + size, self.put + size
        assert accounted(self.playout) == self.put
        assert all(self.playout.counts()[name] >= count for name, count in before.items())
        assert all(self.playout.losses()[name] >= count for name, count in lost.items())
        assert self.playout.held_frames >= 0
        assert self.playout.lag_s(self.now) >= 0

    def drain(self) -> None:
        self.playout.finish()
        for _ in range(1000):
            if self.playout.drained:
                return
            self.step("pull", 500)
        raise AssertionError("it is never drained")


steps = st.lists(
    st.tuples(st.sampled_from(["put", "put", "jump", "pull", "pull", "mark", "wait"]), st.integers(1, 3000)),
    max_size=60,
)


@given(steps=steps)
@settings(deadline=None, max_examples=150)
def test_every_frame_is_played_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    """At 1000 Hz a fade leaves no frame of ours silent, so that what sounds can be counted."""
    law = Law(Playout(rate=1000))
    for what, size in steps:
        law.step(what, size)
    law.drain()
    counts = law.playout.counts()
    sounding = sum(int(np.count_nonzero(out)) for out in law.played)
    assert sounding == counts["frames played"] == law.put
    assert counts | {"frames played": 0, "underruns": 0} == dict.fromkeys(counts, 0)


@given(
    stalls=st.lists(st.tuples(st.floats(0, 60), st.floats(0, 3)), max_size=4),
    ppm=st.sampled_from([300, -300]),
    max_lag_s=st.sampled_from([None, 1.0]),
)
@settings(deadline=None, max_examples=10)
def test_a_live_stream_that_stalls_now_and_then_neither_clicks_nor_loses_a_frame(
    stalls: list[tuple[float, float]], ppm: float, max_lag_s: float | None
) -> None:
    whole = tone(100, 60, 2000)
    arrivals = []
    for at, block in live(whole, 2000, 20, ppm=ppm):
        held_up = [begin + length for begin, length in stalls if begin <= at < begin + length]
        arrivals.append((max([at, *held_up]), block))
    playout = Playout(rate=2000, max_lag_s=max_lag_s)
    out = play(playout, accumulated(arrivals), 60, 20)
    assert accounted(playout) == sum(block.frames for at, block in arrivals if at <= 59.98)
    assert steepest(out) < 1.25 * steepest(whole)
    assert playout.counts()["underruns"] <= len(stalls)
    assert playout.losses() == {}


def accumulated(arrivals: list[tuple[float, Audio]]) -> Iterator[Arrival]:
    """None comes before the one before it."""
    last = 0.0
    for at, block in arrivals:
        last = max(last, at)
        yield last, block


@given(steps=steps, max_lag_s=st.sampled_from([0.2, 1.0, 3.0]))
@settings(deadline=None, max_examples=150)
def test_every_frame_is_played_trimmed_merged_skipped_or_held(
    steps: list[tuple[str, int]], max_lag_s: float
) -> None:
    law = Law(Playout(rate=1000, max_lag_s=max_lag_s))
    for what, size in steps:
        law.step(what, size)
    law.drain()
    assert sum(int(np.count_nonzero(out)) for out in law.played) == law.playout.counts()["frames played"]
