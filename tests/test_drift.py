"""The clocks of a writer and of a reader, over hours: the same `Drift` that plays, with frames only counted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from math import inf

import pytest
from attrs import define, frozen

from stages.playout.drift import LIMIT, Drift

RATE = 48000
HOUR = 3600
TARGET_S = 0.2
WORST_OFFSET_S = 0.02


@frozen
class Clocks:
    """A writer whose clock is faster by `ppm`, and a reader."""

    ppm: float
    block_ms: int = 100
    pull_ms: int = 100
    jitter_ms: float = 0

    def arrivals(self) -> Iterator[float]:
        """When each block comes: never before it is spoken."""
        chance, last, block_s = random.Random(1), 0.0, self.block_ms / 1000 / (1 + self.ppm * 1e-6)
        for number in count(1):
            last = max(last, number * block_s + chance.random() * self.jitter_ms / 1000)
            yield last

    def run(self, seconds: float, drift: Drift, settled_s: float = 0) -> Extremes:
        """Write and read for so long, counting frames as a speaker would."""
        block, pull = (RATE * ms // 1000 for ms in (self.block_ms, self.pull_ms))
        arrivals, held, playing, smoothed, pull_s = self.arrivals(), 0.0, False, 0.0, self.pull_ms / 1000
        coming, seen = next(arrivals), Extremes()
        for number in range(int(seconds / pull_s)):
            now = number * pull_s
            while coming <= now:
                drift.put(block, coming, goes_on=held > 0)
                held += block
                coming = next(arrivals)
            offset_s = drift.level_s(held, pull, now) - drift.wanted_s(pull)
            if not playing:
                playing = held > 0 and offset_s > -pull_s
                held -= pull + min(0, round(offset_s * RATE)) if playing else 0
                continue
            step = drift.follow(held, pull, now)
            smoothed += (offset_s - smoothed) * pull_s / 10
            seen.see(held, step, smoothed if now > settled_s else 0.0)
            held -= pull * step
        return seen


@define
class Extremes:
    """What was seen of a run: frames held before a pull, the step, and the offset smoothed over 10 s."""

    pulls: int = 0
    least_held: float = inf
    most_held: float = 0.0
    offset_s: float = 0.0
    slowest: float = 1.0
    fastest: float = 1.0
    fastest_change: float = 0.0
    last: float = 1.0

    def see(self, held: float, step: float, offset_s: float) -> None:
        self.pulls += 1
        if held < self.least_held:
            self.least_held = held
        if held > self.most_held:
            self.most_held = held
        if abs(offset_s) > self.offset_s:
            self.offset_s = abs(offset_s)
        if step != self.last:
            self.fastest_change = max(self.fastest_change, abs(step - self.last))
            self.slowest, self.fastest = min(self.slowest, step), max(self.fastest, step)
            self.last = step


@pytest.mark.parametrize("ppm", [200, -200])
def test_a_day_of_clocks_that_differ_has_no_overrun_and_no_underrun(ppm: float) -> None:
    """24 hours in steps of 100 ms. Left alone, the buffer would run dry, or over, after a quarter of an hour."""
    seen = Clocks(ppm).run(24 * HOUR, Drift(RATE, TARGET_S))
    assert seen.pulls > 24 * HOUR * 10 - 10
    assert seen.least_held >= RATE // 10
    assert seen.most_held < 2 * TARGET_S * RATE
    assert seen.offset_s < WORST_OFFSET_S
    assert (seen.last - 1) * 1e6 == pytest.approx(ppm, abs=1)


@pytest.mark.parametrize("ppm", [300, 200, -50, -300])
@pytest.mark.parametrize(
    ("block_ms", "pull_ms", "jitter_ms"), [(10, 10, 0), (20, 100, 15), (100, 20, 40), (32, 23, 30), (100, 100, 60)]
)
def test_whatever_the_blocks_and_their_jitter(ppm: float, block_ms: int, pull_ms: int, jitter_ms: float) -> None:
    """What the jitter of the first block has put wrong is right after five minutes."""
    seen = Clocks(ppm, block_ms, pull_ms, jitter_ms).run(900, Drift(RATE, TARGET_S), settled_s=300)
    assert seen.least_held >= RATE * pull_ms // 1000
    assert seen.most_held < 2 * TARGET_S * RATE
    assert seen.offset_s < WORST_OFFSET_S
    assert 1 - LIMIT <= seen.slowest <= seen.fastest <= 1 + LIMIT


@pytest.mark.parametrize(("block_ms", "pull_ms"), [(10, 10), (100, 10), (100, 100), (20, 50)])
def test_clocks_that_do_not_differ_are_left_alone(block_ms: int, pull_ms: int) -> None:
    seen = Clocks(0, block_ms, pull_ms).run(900, Drift(RATE, TARGET_S))
    assert (seen.slowest, seen.fastest) == (1, 1)


def test_the_pitch_changes_slowly() -> None:
    seen = Clocks(400, 20, 20, 15).run(600, Drift(RATE, TARGET_S))
    assert seen.fastest > 1.0002
    assert seen.fastest_change <= 50e-6 * 0.02 + 1e-9


def test_what_a_stall_has_left_is_worked_off_and_teaches_nothing_about_the_clocks() -> None:
    """A quarter of a second too much is held: after a while it is not, and no more than 8 ms are missing then."""
    drift, pull, held, offsets = Drift(RATE, TARGET_S), RATE // 10, 0.7 * RATE, list[float]()
    for number in range(20 * 600):
        drift.put(pull, number / 10, goes_on=number > 0)
        drift.follow(held, pull, number / 10)
        offsets.append(drift.level_s(held, pull, number / 10) - drift.wanted_s(pull))
        held += pull - pull * drift.step
    assert offsets[0] > 0.25
    assert abs(offsets[-1]) < 0.003
    assert min(offsets) > -0.008


def test_long_blocks_raise_the_level() -> None:
    drift = Drift(RATE, 0.05)
    drift.put(RATE // 10, 0.0, goes_on=False)
    assert drift.wanted_s(RATE // 100) == pytest.approx(0.05 + 0.005 + 0.01)
    assert Clocks(-200, 100, 10).run(900, Drift(RATE, 0.05)).least_held >= RATE // 100


def test_bursts_are_not_live_and_are_not_corrected() -> None:
    """A voice gives ten seconds of speech at once, every ten seconds."""
    drift = Drift(RATE, TARGET_S)
    for burst in range(20):
        for _ in range(100):
            drift.put(RATE // 10, burst * 10.0, goes_on=True)
        for pull in range(100):
            assert drift.follow(RATE, RATE // 10, burst * 10 + pull / 10) == 1.0
            assert not drift.live


def test_a_stall_ends_a_live_stretch_and_another_begins() -> None:
    drift, now, told = Drift(RATE, TARGET_S), 0.0, list[bool]()
    for number in range(400):
        now += 2.0 if number == 200 else 0.1
        drift.put(RATE // 10, now, goes_on=True)
        told.append(drift.live)
    assert told[50] is False
    assert told[150] is True
    assert told[200] is False
    assert told[399] is True


def test_what_was_learned_about_the_clocks_stays_when_playing_breaks_off() -> None:
    drift = Drift(RATE, TARGET_S)
    Clocks(200).run(HOUR / 2, drift)
    drift.restart()
    assert (drift.live, drift.step) == (False, 1.0)
    assert Clocks(200).run(60, drift).last == pytest.approx(1.0002, abs=3e-5)


@pytest.mark.parametrize("ppm", [200, -200])
@pytest.mark.parametrize("period_frames", [256, 1024, 2048])
def test_a_device_behind_a_ring_that_is_filled_now_and_then(ppm: float, period_frames: int) -> None:
    """Every 20 ms and a bit, so much is pulled as the device has taken: whole periods, none or some."""
    drift, chance, seen = Drift(RATE, TARGET_S), random.Random(2), Extremes()
    arrivals, held, pulled, now, smoothed, playing = (
        Clocks(ppm, 20, jitter_ms=10).arrivals(),
        0.0,
        0,
        0.0,
        0.0,
        False,
    )
    coming = next(arrivals)
    while now < 900:
        before, now = now, now + 0.02 + chance.random() * 0.004
        while coming <= now:
            drift.put(RATE // 50, coming, goes_on=held > 0)
            held += RATE // 50
            coming = next(arrivals)
        taken = int(now * RATE / period_frames) * period_frames
        if not (frames := taken - pulled):
            continue
        pulled = taken
        offset_s = drift.level_s(held, frames, now) - drift.wanted_s(frames)
        playing = playing or offset_s > 0
        if playing:
            step = drift.follow(held, frames, now)
            smoothed += (offset_s - smoothed) * (now - before) / 10
            seen.see(held - frames, step, smoothed if now > 300 else 0.0)
            held -= frames * step
    assert seen.least_held > 0
    assert seen.most_held < 2 * TARGET_S * RATE
    assert seen.offset_s < WORST_OFFSET_S
    assert (seen.last - 1) * 1e6 == pytest.approx(ppm, abs=60)
