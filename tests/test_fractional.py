from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Samples
from pipeline.testing import noise
from stages.playout.fractional import Fractional
from tests.playing import tone

RATE = 48000


def resampled(sound: Samples, step: float, block: int = 480) -> Samples:
    fractional = Fractional(sound.shape[1], step)
    given_ = [fractional.feed(sound[at : at + block]) for at in range(0, len(sound), block)]
    return np.concatenate([*given_, fractional.flush()])


def clarity_db(sound: Samples, hz: float) -> float:
    """How far below a tone of `hz` all else is."""
    wave = sound[:, 0].astype(float)
    phase = 2 * np.pi * hz * np.arange(len(wave)) / RATE
    base = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    rest = wave - base @ np.linalg.lstsq(base, wave, rcond=None)[0]
    return float(10 * np.log10(np.sum(wave**2) / np.sum(rest**2)))


@given(cuts=st.lists(st.integers(1, 300), max_size=10))
def test_with_equal_clocks_everything_passes_at_once_and_bit_for_bit(cuts: list[int]) -> None:
    fractional, sound, begin = Fractional(1), noise(1000).samples, 0
    for cut in cuts:
        part = sound[begin : begin + cut]
        assert np.array_equal(fractional.feed(part), part)
        assert fractional.held_frames == 0
        begin += cut
    assert len(fractional.flush()) == 0


@pytest.mark.parametrize("step", [1.0002, 0.9998, 1.0005, 0.9995])
@pytest.mark.parametrize("hz", [1000, 8000, 16000])
def test_a_tone_stays_a_clean_tone(hz: float, step: float) -> None:
    """As clean as 16 bits are: 98 dB less the rounding of a tone that is rounded already."""
    sound = resampled(tone(hz, 2, RATE, 30000), step)
    assert clarity_db(sound[1000:-1000], hz * step) > 90


def test_adaptation_begins_and_changes_without_a_seam() -> None:
    fractional, sound, given_ = Fractional(1), tone(440, 3, RATE, 30000), list[Samples]()
    for number, at in enumerate(range(0, len(sound), 480)):
        fractional.step = 1 if number < 100 else 1 + 500e-6 * np.sin(number / 30)
        given_.append(fractional.feed(sound[at : at + 480]))
    wave = np.concatenate(given_)[:, 0].astype(float)
    assert np.array_equal(wave[:48000], sound[:48000, 0])
    # A sine obeys x[n-1] + x[n+1] = 2 cos(w) x[n]; a jump of its phase does not.
    strange = wave[:-2] + wave[2:] - 2 * np.cos(2 * np.pi * 440 / RATE) * wave[1:-1]
    assert np.max(np.abs(strange)) < 6


@settings(max_examples=50, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 400), max_size=12),
    step=st.sampled_from([1.0, 1.0005, 0.9995, 1.01, 0.99]),
    channels=st.integers(1, 2),
)
def test_how_it_is_cut_changes_no_more_than_rounding(cuts: list[int], step: float, channels: int) -> None:
    sound = noise(1500, channels=channels).samples
    fractional, given_, begin = Fractional(channels, step), list[Samples](), 0
    for cut in [*cuts, 1500]:
        given_.append(fractional.feed(sound[begin : begin + cut]))
        begin += cut
        assert 0 <= fractional.held_frames <= 17
    cut_up = np.concatenate([*given_, fractional.flush()]).astype(int)
    whole = resampled(sound, step, 1500)
    assert cut_up.shape == whole.shape
    assert np.max(np.abs(cut_up - whole)) <= 1
    assert abs(len(whole) - 1500 / step) <= 1


def test_after_a_flush_nothing_is_remembered() -> None:
    fractional, sound = Fractional(1, 1.0005), noise(1000).samples
    first = np.concatenate([fractional.feed(sound), fractional.flush()])
    assert np.array_equal(np.concatenate([fractional.feed(sound), fractional.flush()]), first)
    fractional.step = 1
    assert np.array_equal(fractional.feed(sound), sound)


def test_what_leaves_full_scale_is_limited_and_counted() -> None:
    square = np.where(np.arange(4800) // 12 % 2, 32767, -32768).astype(np.int16)[:, np.newaxis]
    fractional = Fractional(1, 1.0005)
    out = fractional.feed(square)
    assert fractional.limited_samples > 100
    assert (out.max(), out.min()) == (32767, -32768)


def test_it_costs_little() -> None:
    """Measured: 0.9 % of a core at 48 kHz. The bound is for a machine with other things to do."""
    sound = tone(1000, 5, RATE)
    resampled(sound[:4800], 1.0002)
    before = time.process_time()
    resampled(sound, 1.0002)
    assert time.process_time() - before < 5 * 0.1
