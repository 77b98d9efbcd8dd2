from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Audio
from pipeline.stage import Stage, StageError
from pipeline.testing import check_transform
from stages.echo.gate import Gate
from stages.echo_guard import EchoGuard
from stages.microphone import Microphone
from stages.played import Played
from stages.speaker import Speaker
from tests.echo_paths import (
    RATE,
    EchoPath,
    FakeMicrophone,
    FakeSpeaker,
    Sound,
    guarded,
    level,
    noise,
    pcm,
    speech_of,
)

PATHS = [
    EchoPath(delay_ms=80, level_db=-6, room_s=0.15),
    EchoPath(delay_ms=150, level_db=-12),
    EchoPath(delay_ms=250, level_db=-20, room_s=0.5, direct_db=-2, high_hz=3500),
    EchoPath(delay_ms=400, level_db=-30, room_s=0.6, low_hz=400),
]


def padded(sound: Sound, before_s: float = 1.0, after_s: float = 2.5) -> Sound:
    return np.concatenate([np.zeros(round(before_s * RATE)), sound, np.zeros(round(after_s * RATE))])


def left(before: Sound, after: Sound) -> float:
    """How much of the energy of a sound is left."""
    return float(np.square(after).sum() / np.square(before).sum())


@pytest.fixture
def ours(speech: Path) -> Sound:
    """Portuguese by a machine: what we say."""
    return padded(level(speech_of(speech / "synthetic_parallel" / "pt_azure_tools.flac", 0, 8), -22))


@pytest.fixture
def theirs(speech: Path) -> Sound:
    """English by a person, 8 s of it."""
    return level(speech_of(speech / "en_ls_1995_cotton.flac", 0, 8), -24)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_our_own_speech_is_silenced_whatever_the_way_it_came(ours: Sound, path: EchoPath) -> None:
    guard, heard = EchoGuard(speaker="speaker"), path.heard(ours)
    passed = guarded(guard, ours, heard + noise(len(heard), -62))
    hum = noise(len(heard), -62)
    assert len(passed) == len(heard)
    assert left(heard, np.where(passed == 0, 0, heard)) < 0.02
    assert np.allclose(passed[passed != 0], (heard + hum)[passed != 0], atol=1e-4)
    counts = guard.counts()
    assert 1 <= counts["times our own speech was heard and silenced"] <= 6
    assert 7000 <= counts["ms of it"] <= 10_500


def test_somebody_else_passes_while_we_speak_and_are_not_heard(ours: Sound, theirs: Sound) -> None:
    guard, heard = EchoGuard(speaker="speaker"), padded(theirs)
    heard = heard + noise(len(heard), -60)
    assert np.allclose(guarded(guard, ours[: len(heard)], heard), heard, atol=1e-4)
    assert guard.counts()["ms of it"] == 0


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_who_talks_over_our_speech_is_not_silenced(ours: Sound, theirs: Sound, path: EchoPath) -> None:
    """Three seconds in the midst of ours, as loud as it or as a person is."""
    echo = path.heard(ours)
    talk = np.zeros_like(echo)
    talk[4 * RATE : 7 * RATE] = theirs[RATE : 4 * RATE]
    passed = guarded(EchoGuard(speaker="speaker"), ours, echo + talk + noise(len(echo), -62))
    assert left(talk, np.where(passed == 0, 0, talk)) > 0.97
    before = slice(0, round(2.5 * RATE))
    assert left(echo[before], np.where(passed == 0, 0, echo)[before]) < 0.1


def test_who_answers_at_once_is_heard_from_the_first_sound(ours: Sound, theirs: Sound) -> None:
    echo = EchoPath().heard(ours)
    talk = np.zeros(len(echo) + 4 * RATE)
    begin = round(9.3 * RATE)  # ours ends at 9 s, and dies away
    talk[begin : begin + 4 * RATE] = theirs[: 4 * RATE]
    heard = talk + np.concatenate([echo, np.zeros(4 * RATE)]) + noise(len(talk), -62)
    passed = guarded(EchoGuard(speaker="speaker"), np.concatenate([ours, np.zeros(4 * RATE)]), heard)
    assert left(talk, np.where(passed == 0, 0, talk)) > 0.98
    assert left(echo, np.where(passed[: len(echo)] == 0, 0, echo)) < 0.25


def test_half_duplex_silences_all_that_is_heard_while_we_speak(ours: Sound, theirs: Sound) -> None:
    guard = EchoGuard(speaker="speaker", half_duplex=True, tail_ms=500)
    heard = np.concatenate([theirs, theirs])[: len(ours)]
    passed = guarded(guard, ours, heard)
    speaking = slice(round(1.2 * RATE), round(9.3 * RATE))
    assert not passed[speaking].any()
    assert np.allclose(passed[: round(0.8 * RATE)], heard[: round(0.8 * RATE)], atol=1e-4)
    assert np.allclose(passed[round(9.8 * RATE) :], heard[round(9.8 * RATE) :], atol=1e-4)
    assert guard.counts()["times our own speech was heard and silenced"] == 1


@pytest.mark.parametrize("half_duplex", [False, True])
def test_the_guard_obeys_the_laws_of_a_transform(ours: Sound, half_duplex: bool) -> None:
    heard = pcm(EchoPath().heard(ours) + noise(len(ours), -62))

    def make() -> EchoGuard:
        guard, speaker = EchoGuard(speaker="speaker", half_duplex=half_duplex), FakeSpeaker()
        speaker.played.note(pcm(ours), RATE, 100.0)
        guard.meet(stages(speaker=speaker, mic=FakeMicrophone()))
        return guard

    check_transform(make, [Audio(heard, 0, RATE)], tries=3)


def stages(**those: Any) -> dict[str, Stage]:
    return those


def fed(guard: EchoGuard, *items: Audio) -> Iterator[Audio]:
    for item in items:
        yield from guard.feed(item)


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=20),
    sounding=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20)), max_size=4),
    half_duplex=st.booleans(),
)
def test_every_frame_comes_out_at_its_place(
    lengths: list[int], sounding: list[tuple[int, int]], half_duplex: bool
) -> None:
    guard, speaker = EchoGuard(speaker="speaker", half_duplex=half_duplex), FakeSpeaker()
    guard.meet(stages(speaker=speaker, mic=FakeMicrophone()))
    for at, length in sorted(sounding):
        speaker.played.note(pcm(noise(length * 800, -20)), RATE, 100 + at / 10)
    place, items = 0, list[Audio]()
    for number, length in enumerate(lengths):
        items.append(Audio(pcm(noise(length + 2, -30, number))[:length], place, RATE))
        place += length
    out = [*fed(guard, *items), *guard.flush()]
    assert [audio.start for audio in out] == [0, *(audio.end for audio in out)][:-1]
    assert out[-1].end == place
    silenced = sum(int((audio.samples == 0).all()) * audio.frames for audio in out)
    assert guard.counts()["ms of it"] * 16 <= silenced + 16


def test_while_nobody_plays_nothing_waits() -> None:
    guard = EchoGuard(speaker="speaker")
    guard.meet(stages(speaker=FakeSpeaker(), mic=FakeMicrophone()))
    (out,) = guard.feed(Audio(pcm(noise(1600, -30)), 0, RATE))
    assert out.frames == 1600


def test_what_it_holds_is_bounded() -> None:
    guard, speaker = EchoGuard(speaker="speaker"), FakeSpeaker()
    guard.meet(stages(speaker=speaker, mic=FakeMicrophone()))
    passed = 0
    for number in range(600):
        speaker.played.note(pcm(noise(1600, -20, number)), RATE, 100 + number / 10)
        items = guard.feed(Audio(pcm(noise(1600, -30, -1 - number & 0xFFFF)), number * 1600, RATE))
        passed += sum(audio.frames for audio in items)
        assert (number + 1) * 1600 - passed <= 1.7 * RATE


def test_a_microphone_that_does_not_know_when_it_heard_is_let_through() -> None:
    guard, speaker = EchoGuard(speaker="speaker", half_duplex=True), FakeSpeaker()
    speaker.played.note(pcm(noise(RATE, -20)), RATE, 100.0)
    guard.meet(stages(speaker=speaker, mic=FakeMicrophone(rate_hz=0)))
    (out,) = guard.feed(Audio(pcm(noise(1600, -30)), 0, RATE))
    assert out.samples.any()


def test_positions_after_a_resample_are_those_of_the_microphone() -> None:
    """Ours sounds in the microphone's third second; the guard hears at a third of its rate."""
    guard, speaker = EchoGuard(speaker="speaker", half_duplex=True, tail_ms=0), FakeSpeaker()
    speaker.played.note(pcm(noise(RATE, -20)), RATE, 102.0)
    guard.meet(stages(speaker=speaker, mic=FakeMicrophone(rate_hz=48000)))
    heard = Audio(np.full((5 * RATE, 1), 1000, np.int16), 0, RATE)
    out = np.concatenate([audio.samples for audio in guard.feed(heard)])
    (silent,) = np.nonzero(out[:, 0] == 0)
    assert 1.8 <= silent.min() / RATE <= 2.0
    assert 2.9 <= silent.max() / RATE <= 3.1


def test_a_speaker_that_keeps_nothing_as_yet_is_given_what_to_keep_it_in() -> None:
    met = stages(speaker=Speaker(), mic=Microphone())
    EchoGuard(speaker="speaker").meet(met)
    EchoGuard(speaker="speaker", microphone="mic").meet(met)
    assert isinstance(met["speaker"].played, Played)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speaker": "mic"}, "'mic' is no speaker: wanted speaker or other"),
        ({"speaker": "speaker", "microphone": "speaker"}, "'speaker' is no microphone: wanted mic or mike"),
        ({"speaker": "speaker"}, r"which microphone\? there are mic, mike: name one"),
    ],
)
def test_who_is_not_there_is_told(options: dict[str, str], message: str) -> None:
    guard = EchoGuard(**options)
    met = stages(speaker=FakeSpeaker(), other=FakeSpeaker(), mic=FakeMicrophone(), mike=FakeMicrophone())
    with pytest.raises(StageError, match=message):
        guard.meet(met)


def test_without_any_microphone_it_says_so() -> None:
    with pytest.raises(StageError, match=r"which microphone\? there is none in this graph"):
        EchoGuard(speaker="speaker").meet(stages(speaker=FakeSpeaker()))


def test_what_was_heard_long_before_we_spoke_is_still_known_when_a_text_asks() -> None:
    gate = Gate(Played())
    step = RATE // 10
    for number in range(100):
        at = number / 10
        if number >= 80:
            gate.played.note(pcm(noise(step, -20)), RATE, at)
        list(gate.feed(Audio(pcm(noise(step, -20)), number * step, RATE), at))
    assert (gate.heard.energies(0.1, 900).sum(axis=1) > 0).all()
