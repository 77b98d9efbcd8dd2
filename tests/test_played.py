from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Samples
from stages.played import Played


def tone(seconds: float, rate: int = 24000, hz: float = 500, level: float = 8000) -> Samples:
    places = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hz * places)).astype(np.int16)[:, None]


def loud(played: Played, begin: float, end: float) -> list[bool]:
    return list(played.energies(begin, round((end - begin) * 100)).sum(axis=1) > 1e-4)


def test_what_sounded_is_found_at_its_time() -> None:
    played = Played()
    played.note(tone(0.5), 24000, 10.0)
    told = loud(played, 9.5, 11.0)
    assert len(told) == 150
    assert not any(told[:49])
    assert all(told[51:98])
    assert not any(told[101:])


def test_the_bands_tell_low_from_high() -> None:
    played = Played()
    played.note(tone(0.1, hz=300), 24000, 0.0)
    played.note(tone(0.1, hz=3000), 24000, 1.0)
    assert played.energies(0.02, 6).sum(axis=0).argmax() == 0
    assert played.energies(1.02, 6).sum(axis=0).argmax() == 5


@given(cuts=st.lists(st.integers(1, 4000), max_size=6), rate=st.sampled_from([16000, 22050, 48000]))
def test_how_it_is_cut_and_when_it_is_asked_changes_nothing(cuts: list[int], rate: int) -> None:
    sound = tone(1.0, rate)
    whole, pieces = Played(), Played()
    whole.note(sound, rate, 5.0)
    places = [0, *sorted({cut * rate // 16000 for cut in cuts}), len(sound)]
    for begin, end in pairwise(places):
        pieces.note(sound[begin:end], rate, 5.0 + begin / rate)
        pieces.energies(5.0, 10)
    assert np.allclose(whole.energies(4, 300), pieces.energies(4, 300))


def test_a_latency_that_wavers_leaves_no_hole() -> None:
    played = Played()
    for number in range(100):
        played.note(tone(0.02), 24000, 3.0 + number * 0.02 + (0.004 if number % 2 else -0.004))
    assert all(loud(played, 3.05, 4.9))


def test_a_pause_that_nobody_notes_is_silence() -> None:
    played = Played()
    played.note(tone(0.2), 24000, 1.0)
    played.note(tone(0.2), 24000, 2.0)
    assert not any(loud(played, 1.25, 1.95))
    assert all(loud(played, 2.03, 2.15))


def test_only_the_last_minute_is_kept() -> None:
    played = Played()
    for second in range(200):
        played.note(tone(1.0, 8000), 8000, float(second))
    assert len(played._notes) <= 62
    assert not any(loud(played, 130, 138))
    assert all(loud(played, 145, 199))


def test_a_question_after_a_minute_costs_no_more_than_one_after_a_moment() -> None:
    """What lies before it, and in no question yet, is left out; what lies behind it waits for its own."""
    played, now = Played(), 60.0
    for number in range(6000):
        played.note(tone(0.01, 8000), 8000, number / 100)
    assert all(loud(played, now - 32, now - 31))
    assert 2890 <= len(played._notes) <= 3100
    assert all(loud(played, now - 33, now - 32)), "who asks looks back"
    assert not any(loud(played, 0, now - 36))
    assert all(loud(played, now - 31, now - 1)), "a guard that is late asks for one stretch after the other"


def test_what_is_noted_may_be_overwritten_by_who_noted_it() -> None:
    played, buffer = Played(), tone(0.1)
    played.note(buffer, 24000, 0.0)
    buffer[:] = 0
    assert any(loud(played, 0, 0.1))
