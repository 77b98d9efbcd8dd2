from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Audio, Mark, MarkKind
from pipeline.testing import check_transform, feed_all, split
from stages.vad import Vad
from tests.models_here import needs

WINDOW = 512


class LoudIsSpeech:
    """In place of the model: what is loud is speech."""

    def run(self, sound: Any, hidden: Any, cell: Any) -> tuple[float, Any, Any]:
        return float(np.abs(sound[64:]).mean() > 0.1), hidden, cell


@contextmanager
def no_model() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.vad.Silero.load", LoudIsSpeech)
        yield


def talk(*lengths_ms: int, start: int = 0) -> Audio:
    """Silence and speech in turn, of these lengths."""
    parts = [
        np.full((length * 16, 1), 8000 if number % 2 else 0, np.int16) for number, length in enumerate(lengths_ms)
    ]
    return Audio(np.concatenate(parts), start, 16000)


def marks(items: list[Any]) -> list[tuple[str, int]]:
    """The marks of utterances, in milliseconds."""
    kinds = (MarkKind.UTTERANCE_START, MarkKind.UTTERANCE_END)
    return [(item.kind.name, item.start_ms) for item in items if isinstance(item, Mark) and item.kind in kinds]


lengths = st.lists(st.integers(1, 1500), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(lengths=lengths, start=st.integers(0, 10**6))
@no_model()
def test_vad_obeys_the_laws_of_a_transform(lengths: list[int], start: int) -> None:
    check_transform(Vad, [talk(*lengths, start=start)], tries=3)


@settings(max_examples=60, deadline=None)
@given(lengths=lengths, max_s=st.sampled_from([1.0, 2.5]))
@no_model()
def test_audio_passes_unchanged_and_marks_are_in_order(lengths: list[int], max_s: float) -> None:
    sound = talk(*lengths)
    out = feed_all(Vad(max_utterance_s=max_s), [sound])
    passed = [item for item in out if isinstance(item, Audio)]
    assert np.array_equal(np.concatenate([audio.samples for audio in passed]), sound.samples)
    assert all(one.end == next_.start for one, next_ in pairwise(passed))
    utterances = [kind for kind, _ in marks(out)]
    assert utterances == ["UTTERANCE_START", "UTTERANCE_END"] * (len(utterances) // 2)
    times = [at for _, at in marks(out)]
    assert times == sorted(times)
    assert all(end - start <= max_s * 1000 + 32 for start, end in zip(times[::2], times[1::2], strict=True))


@no_model()
def test_an_utterance_is_marked_before_its_first_audio() -> None:
    out = feed_all(Vad(), [talk(1000, 800, 1000)])
    assert marks(out) == [("UTTERANCE_START", 800), ("UTTERANCE_END", 1792)]
    place = next(
        n for n, item in enumerate(out) if isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_START
    )
    following, mark = out[place + 1], out[place]
    assert isinstance(following, Audio)
    assert isinstance(mark, Mark)
    assert following.start == mark.start


def test_it_tells_whether_an_utterance_is_going_on() -> None:
    vad, told = Vad(), list[bool]()
    with no_model():
        for item in split([talk(1000, 1000, 1000)], range(0, 48000, 8000)):
            list(vad.feed(item))
            told.append(vad.speaking)
    assert told == [False, False, True, True, False, False]


@no_model()
def test_the_model_is_loaded_once_before_anything_comes() -> None:
    vad = Vad()
    vad.probe()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.vad.Silero.load", None)
        assert marks(feed_all(vad, [talk(1000, 800, 1000)])) != []


@no_model()
def test_a_click_is_no_utterance_and_is_counted() -> None:
    vad = Vad()
    assert marks(feed_all(vad, [talk(500, 100, 500)])) == []
    assert vad.counts()["sounds too short for speech"] == 1


@no_model()
def test_a_short_pause_ends_nothing_at_first_and_an_utterance_that_is_long() -> None:
    assert len(marks(feed_all(Vad(), [talk(0, 3000, 250, 3000)]))) == 2
    assert len(marks(feed_all(Vad(), [talk(0, 12000, 250, 3000)]))) == 4
    assert len(marks(feed_all(Vad(), [talk(0, 19000, 80, 3000)]))) == 4


@no_model()
def test_what_is_settled_counts_no_more_for_how_long_an_utterance_is() -> None:
    def told(*settled_ms: int) -> list[tuple[str, int]]:
        vad = Vad()
        out = list(vad.feed(talk(0, 12000)))
        for place_ms in settled_ms:
            vad.begin_anew(place_ms * 16)
        return marks([*out, *vad.feed(talk(250, 3000, start=12000 * 16)), *vad.flush()])

    assert len(told()) == 4
    assert len(told(8000)) == 2
    assert len(told(8000, 5000, 99000)) == 2  # a place that is settled already, and one that has not come
    assert len(told(1500)) == 4


@no_model()
def test_a_speaker_who_never_pauses_is_cut_and_counted() -> None:
    vad = Vad()
    times = [at for _, at in marks(feed_all(vad, [talk(0, 60000)]))]
    assert all(end - start <= 28032 for start, end in zip(times[::2], times[1::2], strict=True))
    assert times[0] == 0
    assert 60000 - 32 <= times[-1] <= 60000
    assert vad.counts()["utterances cut without a pause"] == 2


@no_model()
def test_a_jump_in_the_stream_ends_the_utterance() -> None:
    later = talk(0, 1000, start=99000)
    out = feed_all(Vad(), [talk(0, 1000), later])
    assert marks(out) == [
        ("UTTERANCE_START", 0),
        ("UTTERANCE_END", 992),
        ("UTTERANCE_START", later.start_ms),
        ("UTTERANCE_END", later.start_ms + 992),
    ]
    assert [item.start for item in out if isinstance(item, Mark) and item.kind is MarkKind.WATERMARK] == [0, 99000]


@no_model()
def test_through_silence_a_watermark_passes_every_second_and_little_is_held() -> None:
    vad = Vad(pad_ms=200)
    out = list(vad.feed(talk(5000)))
    watermarks = [item.start_ms for item in out if isinstance(item, Mark)]
    assert watermarks[0] == 0
    assert all(900 <= later - earlier <= 1100 for earlier, later in pairwise(watermarks))
    passed = sum(item.frames for item in out if isinstance(item, Audio))
    assert 5 * 16000 - passed <= 0.2 * 16000 + WINDOW


@no_model()
def test_the_end_of_the_stream_ends_the_utterance_and_the_next_stream_is_new() -> None:
    vad = Vad()
    first = feed_all(vad, [talk(0, 1000)])
    assert marks(first) == [("UTTERANCE_START", 0), ("UTTERANCE_END", 992)]
    again = feed_all(vad, [talk(0, 1000, start=99)])
    assert isinstance(again[0], Mark)
    assert again[0].start == 99


@pytest.mark.models
def test_real_speech_is_found_whole_and_noise_is_not(speech: Path) -> None:
    needs("faster_whisper", "onnxruntime")
    samples, rate = soundfile.read(speech / "en_ls_1272_quilter.flac", dtype="int16", always_2d=True)
    out = check_transform(Vad, [Audio(samples, 0, rate)], tries=2)
    ((_, start), (_, end)) = marks(out)
    assert start < 600
    assert end > 5000
    for name in ("music_brahms", "music_on_hold", "nature_robin", "silence_digital", "hum_50hz", "white_m40dbfs"):
        samples, rate = soundfile.read(speech / "noise" / f"{name}.flac", dtype="int16", always_2d=True)
        assert rate == 16000
        assert marks(feed_all(Vad(), [Audio(samples[:, :1], 0, rate)])) == [], name
