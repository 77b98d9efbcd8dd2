from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Samples
from pipeline.testing import noise
from stages.playout.joins import FADE_MS, Joins, faded_in, faded_out, rise
from tests.playing import tone

RATE = 8000
FADE = RATE * FADE_MS // 1000


def joined(*stretches: Samples, silence: int = 0) -> Samples:
    joins = Joins(RATE, 1)
    for stretch in stretches:
        joins.add(stretch)
        joins.stop()
        joins.silence(silence)
    return joins.take(joins.ready)


def steps(samples: Samples) -> int:
    """The largest step from one frame to the next, and from silence at both ends."""
    padded = np.concatenate([[0], samples[:, 0].astype(int), [0]])
    return int(np.max(np.abs(np.diff(padded))))


def test_the_middle_of_a_stretch_passes_bit_for_bit_and_its_ends_are_faded() -> None:
    sound = noise(1000, RATE).samples
    out = joined(sound)
    assert len(out) == 1000
    assert np.array_equal(out[FADE:-FADE], sound[FADE:-FADE])
    assert np.max(np.abs(out[:2])) < 200
    assert np.max(np.abs(out[-2:])) < 200


def test_a_tone_that_is_cut_anywhere_does_not_click() -> None:
    whole = tone(300, 1, RATE)
    smooth = steps(whole[:-13])
    assert steps(whole[5:2006]) > 10000
    assert steps(joined(whole[5:2006])) < 1.2 * smooth
    assert steps(joined(whole[5:2006], whole[3007:4013], whole[10:5000])) < 1.2 * smooth
    assert steps(joined(whole[5:2006], whole[3007:4013], silence=1)) < 1.2 * smooth


@given(cuts=st.lists(st.integers(1, 700), max_size=20), pulls=st.lists(st.integers(0, 300), max_size=20))
def test_how_a_stretch_is_cut_changes_nothing(cuts: list[int], pulls: list[int]) -> None:
    sound = noise(1500, RATE, channels=2).samples
    joins = Joins(RATE, 2)
    taken, begin = [], 0
    for cut, pull in zip([*cuts, 1500], [*pulls, *[0] * 21], strict=False):
        joins.add(sound[begin : begin + cut])
        begin += cut
        assert joins.held_frames - joins.ready == min(FADE, joins.held_frames)
        taken.append(joins.take(min(pull, joins.ready)))
    joins.add(sound[begin:])
    joins.stop()
    taken.append(joins.take(joins.ready))
    whole = Joins(RATE, 2)
    whole.add(sound)
    whole.stop()
    assert np.array_equal(np.concatenate(taken), whole.take(1500))
    assert joins.held_frames == 0


@pytest.mark.parametrize("frames", [1, 2, FADE // 2, FADE, FADE + 1, 2 * FADE])
def test_a_short_stretch_keeps_its_length_and_no_frame_gets_louder(frames: int) -> None:
    sound = np.full((frames, 1), 10000, np.int16)
    out = joined(sound)
    assert len(out) == frames
    assert np.all(out <= sound)
    assert np.all(out >= 0)


def test_the_end_is_held_back_only_while_a_stretch_goes_on() -> None:
    joins = Joins(RATE, 1)
    assert (joins.sounding, joins.ready) == (False, 0)
    joins.add(np.zeros((0, 1), np.int16))
    assert not joins.sounding
    joins.add(np.zeros((100, 1), np.int16))
    assert (joins.sounding, joins.ready) == (True, 100 - FADE)
    joins.stop()
    joins.stop()
    joins.silence(10)
    assert (joins.sounding, joins.ready) == (False, 110)


@given(frames=st.integers(1, 500))
def test_fades_add_up_to_what_was_there(frames: int) -> None:
    assert np.allclose(rise(frames) + rise(frames)[::-1], 1, atol=1e-6)
    sound = noise(frames, RATE).samples
    both = faded_in(sound).astype(int) + faded_out(sound)
    assert np.max(np.abs(both - sound)) <= 1
