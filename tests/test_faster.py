from __future__ import annotations

import json
from pathlib import Path

import anyio
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.graph import Graph
from pipeline.items import Audio, Samples, Text
from pipeline.runner import run
from pipeline.testing import Collect, Playlist, noise
from stages.asr import Asr
from stages.playout.faster import FASTEST, Faster
from stages.vad import Vad
from tests.engine import needs_models
from tests.playing import harmonic
from tests.wer import error_rate

RATE = 24000


def hurried(sound: Samples, speed: float, rate: int = RATE, block: int = 240) -> tuple[Samples, Faster]:
    faster, out = Faster(rate, sound.shape[1], speed), list[Samples]()
    for at in range(0, len(sound), block):
        out += faster.feed(sound[at : at + block])
    out += faster.flush()
    return np.concatenate(out), faster


@given(cuts=st.lists(st.integers(1, 900), max_size=10))
def test_at_its_own_speed_everything_passes_at_once_and_bit_for_bit(cuts: list[int]) -> None:
    faster, sound, begin = Faster(RATE, 1), noise(3000).samples, 0
    for cut in cuts:
        part = sound[begin : begin + cut]
        assert np.array_equal(np.concatenate(list(faster.feed(part))), part)
        assert faster.held_frames == 0
        begin += cut
    assert faster.merged_frames == 0


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 3000), max_size=12),
    speed=st.sampled_from([1.0, 1.02, 1.1, 1.25]),
    rate=st.sampled_from([400, 8000, 24000]),
    channels=st.integers(1, 2),
)
def test_what_comes_in_comes_out_or_is_merged(cuts: list[int], speed: float, rate: int, channels: int) -> None:
    faster, put, out = Faster(rate, channels, speed), 0, 0
    sound = noise(12000, rate, channels).samples
    for cut in cuts:
        part = sound[put : put + cut]
        put += len(part)
        for given_ in faster.feed(part):
            assert given_.dtype == np.int16
            assert given_.shape[1] == channels
            out += len(given_)
        assert put == out + faster.merged_frames + faster.held_frames
        assert faster.held_frames <= 0.06 * rate + 2
    out += sum(len(given_) for given_ in faster.flush())
    assert put == out + faster.merged_frames
    assert faster.merged_frames >= 0


def test_how_it_is_cut_changes_nothing() -> None:
    sound = harmonic([150, 300, 450], 2, RATE)
    assert np.array_equal(hurried(sound, 1.25, block=100)[0], hurried(sound, 1.25, block=5000)[0])


@pytest.mark.parametrize("speed", [1.05, 1.15, FASTEST])
@pytest.mark.parametrize("pitch_hz", [85, 120, 210, 310])
def test_it_is_as_fast_as_wanted_and_the_pitch_stays(pitch_hz: float, speed: float) -> None:
    sound = harmonic([pitch_hz, 2 * pitch_hz, 3 * pitch_hz, 4 * pitch_hz], 8, RATE)
    out, _ = hurried(sound, speed)
    assert len(out) * speed == pytest.approx(len(sound), rel=0.02)
    steady = out[RATE : 5 * RATE, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady))))
    peak_hz = np.argmax(spectrum) * RATE / len(steady)
    assert peak_hz == pytest.approx(pitch_hz, abs=0.5)
    loudness = np.sqrt(np.mean(np.square(steady))) / np.sqrt(np.mean(np.square(sound.astype(float))))
    assert loudness == pytest.approx(1, abs=0.05)


def test_a_voice_gets_no_clicks() -> None:
    sound = harmonic([120, 240, 360, 480], 4, RATE)
    out, faster = hurried(sound, FASTEST)
    assert faster.merged_frames > 0.15 * len(sound)
    steepest = [np.max(np.abs(np.diff(wave[:, 0].astype(int)))) for wave in (sound, out)]
    assert steepest[1] < 1.15 * steepest[0]


def test_the_speed_changes_little_by_little() -> None:
    faster, merged = Faster(RATE, 1), list[int]()
    sound = harmonic([200], 4, RATE)
    for number, at in enumerate(range(0, len(sound), RATE // 2)):
        faster.speed = FASTEST if number == 2 else faster.speed
        list(faster.feed(sound[at : at + RATE // 2]))
        merged.append(faster.merged_frames)
    gained = np.diff(merged)
    assert merged[1] == 0
    assert 0 < gained[1] < 0.75 * gained[3]
    faster.speed = 1
    list(faster.feed(sound[:RATE]))
    assert faster.held_frames == 0


def test_all_channels_are_cut_at_the_same_places() -> None:
    left = harmonic([150, 300], 2, RATE)
    out, _ = hurried(np.concatenate([left, left // 2], axis=1), FASTEST)
    assert np.max(np.abs(out[:, 0] // 2 - out[:, 1])) <= 1


@needs_models
@pytest.mark.models
@pytest.mark.parametrize("name", ["en_austen_0870.flac", "en_ls_1272_quilter.flac", "en_ls_2412_antecedents.flac"])
def test_real_speech_at_its_fastest_can_still_be_understood(speech: Path, name: str) -> None:
    entries = json.loads((speech / "manifest.json").read_text(encoding="utf-8"))["speech"]
    wanted = next(entry["transcript"] for entry in entries if entry["file"] == name)
    samples, rate = soundfile.read(speech / name, dtype="int16", always_2d=True)
    sound, _ = hurried(samples[:, :1], FASTEST, rate)
    assert rate == 16000
    assert len(sound) < 0.83 * len(samples)
    texts = Collect()
    blocks = [Audio(sound[at : at + 1600], at, 16000) for at in range(0, len(sound), 1600)]
    graph = Graph("hurried").add("talk", Playlist(items=blocks)).add("vad", Vad(), reads="talk")
    graph.add("asr", Asr(language="en-us"), reads="vad").add("texts", texts, reads="asr")
    anyio.run(run, graph)
    heard = " ".join(item.text for item in texts.items if isinstance(item, Text))
    assert error_rate(wanted, heard) <= 0.1
