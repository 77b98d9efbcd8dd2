from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Samples
from pipeline.testing import noise
from stages.playout.pauses import KEPT_MS, WINDOW_MS, Pauses
from tests.playing import tone

RATE = 8000
WINDOW = RATE * WINDOW_MS // 1000


def trimmed(sound: Samples, block: int = 80) -> tuple[Samples, Pauses]:
    pauses, out = Pauses(RATE, sound.shape[1], trimming=True), list[Samples]()
    for at in range(0, len(sound), block):
        out += pauses.feed(sound[at : at + block])
    out += pauses.flush()
    return np.concatenate(out), pauses


def talk(*lengths_ms: int, softly: float = 0) -> Samples:
    """Speech and pauses in turn, of these lengths; pauses with a little noise."""
    parts = []
    for number, length in enumerate(lengths_ms):
        frames = length * RATE // 1000
        if number % 2 == 0:
            parts.append(tone(200, frames / RATE, RATE, 12000))
        else:
            parts.append((noise(frames, RATE, seed=number).samples * (softly / 16384)).astype(np.int16))
    return np.concatenate(parts)


def test_a_long_pause_is_cut_to_what_is_kept_and_no_word_is_touched() -> None:
    out, pauses = trimmed(talk(500, 1500, 700))
    assert pauses.trimmed_frames == (1500 - KEPT_MS) * RATE // 1000
    assert len(out) == (500 + KEPT_MS + 700) * RATE // 1000
    assert np.array_equal(out[: RATE // 2], talk(500))
    assert np.array_equal(out[-700 * RATE // 1000 :], talk(700))


def test_the_pauses_inside_a_phrase_stay() -> None:
    sound = talk(500, 200, 300, 150, 400)
    out, pauses = trimmed(sound)
    assert np.array_equal(out, sound)
    assert pauses.trimmed_frames == 0


def test_the_noise_of_a_room_is_silence_and_a_soft_consonant_is_not() -> None:
    assert trimmed(talk(500, 1000, 500, softly=150))[1].trimmed_frames > 0
    assert trimmed(talk(500, 1000, 500, softly=1200))[1].trimmed_frames == 0


def test_a_cut_does_not_click() -> None:
    hum = tone(37, 2.5, RATE, 150).astype(int)
    out, pauses = trimmed((talk(500, 1500, 500).astype(int) + hum).astype(np.int16))
    assert pauses.trimmed_frames > 9000
    pause = out[RATE // 2 : -RATE // 2, 0].astype(int)
    assert np.max(np.abs(np.diff(pause))) < 20


def test_silence_before_and_after_speech_is_trimmed_too() -> None:
    silence = np.zeros((RATE, 1), np.int16)
    out, pauses = trimmed(np.concatenate([silence, talk(500), silence]))
    assert len(out) <= (500 + 2 * KEPT_MS) * RATE // 1000
    assert len(out) + pauses.trimmed_frames == 2 * RATE + RATE // 2


@given(cuts=st.lists(st.integers(1, 400), max_size=10))
def test_without_trimming_everything_passes_at_once_and_bit_for_bit(cuts: list[int]) -> None:
    pauses, sound, begin = Pauses(RATE, 1), talk(100, 900), 0
    for cut in cuts:
        part = sound[begin : begin + cut]
        assert np.array_equal(np.concatenate(list(pauses.feed(part))), part)
        assert pauses.held_frames == 0
        begin += cut


lengths = st.lists(st.integers(1, 800), min_size=1, max_size=10)


@settings(deadline=None, max_examples=25)
@given(lengths=lengths, softly=st.sampled_from([0, 100, 2000]))
def test_how_it_is_cut_changes_nothing(lengths: list[int], softly: float) -> None:
    sound = talk(*lengths, softly=softly)
    assert np.array_equal(trimmed(sound, 37)[0], trimmed(sound, len(sound))[0])


@settings(deadline=None, max_examples=25)
@given(lengths=lengths, switches=st.lists(st.booleans(), min_size=1, max_size=10))
def test_every_frame_comes_out_or_is_trimmed_or_held(lengths: list[int], switches: list[bool]) -> None:
    sound, pauses, out = talk(*lengths), Pauses(RATE, 1), 0
    step = max(1, len(sound) // len(switches))
    for number, at in enumerate(range(0, len(sound), step)):
        pauses.trimming = switches[number % len(switches)]
        part = sound[at : at + step]
        out += sum(map(len, pauses.feed(part)))
        assert at + len(part) == out + pauses.trimmed_frames + pauses.held_frames
        assert pauses.held_frames <= 9 * WINDOW
    out += sum(map(len, pauses.flush()))
    assert len(sound) == out + pauses.trimmed_frames
    assert pauses.held_frames == 0
