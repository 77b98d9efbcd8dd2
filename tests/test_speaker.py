"""A speaker in a room without a sound card. See `tests/pulse.py`."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from attrs import define

from pipeline.items import Audio, Mark, MarkKind, Samples
from pipeline.stage import Duration
from stages.devices.device import Device
from stages.devices.playing import Playing
from stages.devices.ring import Ring
from stages.devices.speech import Speech
from stages.speaker import Speaker
from tests.fakes import FakeInbox, FakeOutbox
from tests.pulse import RATE, SPEAKER, Pulse, pulse, wait_until
from tests.simulated import in_simulated_time

FADE = 3 * RATE // 100


def noise(seconds: float, seed: int, rate: int = RATE) -> Samples:
    """Noise up to 2 kHz: half a frame sooner or later, as resampling on the way may place it, it is the same."""
    wave = np.random.default_rng(seed).normal(0, 3000, int(seconds * 4000))
    return np.asarray(soxr.resample(wave, 4000, rate)).round().astype(np.int16)


def likeness(heard: Samples, said: Samples) -> tuple[int, float]:
    """Where `said` is most like `heard`, and how much: 1 is the same but for its loudness."""
    size = 1 << int(np.ceil(np.log2(len(heard) + len(said))))
    each = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)))
    place = int(each[: len(heard)].argmax())
    part = heard[place : place + len(said)]
    return place, float(np.corrcoef(part, said[: len(part)])[0, 1]) if len(part) == len(said) else 0.0


def graph(folder: Path, said: Samples, rate: int, **options: object) -> Path:
    soundfile.write(folder / "said.wav", said, rate)
    path = folder / "g.yaml"
    speaker = {"use": "speaker", "from": "talk", "device": "room_speaker", **options}
    talk = {"use": "file", "path": str(folder / "said.wav")}
    path.write_text(json.dumps({"stages": {"talk": talk, "out": speaker}}))
    return path


def report_of(running: subprocess.Popen[str]) -> dict[str, Any]:
    out, error = running.communicate(timeout=30)
    assert running.returncode == 0, error
    report: dict[str, Any] = json.loads(out.splitlines()[-1])
    return report


@pytest.mark.parametrize(
    ("backend", "rate", "volume_db"), [("asyncio", RATE, 0), ("trio", 24000, -6)], ids=["asyncio", "trio"]
)
def test_what_is_said_sounds_in_the_room(
    room: Pulse, tmp_path: Path, backend: str, rate: int, volume_db: float
) -> None:
    said = noise(1.0, seed=1, rate=rate)
    path = graph(tmp_path, said, rate, volume_db=volume_db)
    for _ in range(3):
        with room.recorded(SPEAKER) as heard:
            report = report_of(room.dragoman("run", str(path), "--format", "json", "--backend", backend))
            sound = heard()
        counts = report["stages"][1]["counts"]
        if not counts["underruns inside the device"]:  # a busy machine's; it is told, and here tried again
            break
    frames = len(said)
    said = np.asarray(soxr.resample(said.astype(float), rate, RATE)).round().astype(np.int16)
    place, alike = likeness(sound, said)
    assert alike > 0.99
    loudness = np.std(sound[place : place + len(said)]) / np.std(said)
    assert 20 * np.log10(loudness) == pytest.approx(volume_db, abs=0.2)
    if rate == RATE:  # nothing is resampled on the way: but for the fades at both ends it is the same
        whole = slice(FADE, -FADE)
        assert np.array_equal(sound[place : place + len(said)][whole], said[whole])
    assert report["balanced"]
    assert report["lost"] == {}
    assert counts["frames of silence because the machine was busy"] == 0
    assert counts["frames played"] == frames


def test_a_run_that_is_ended_at_once_fades_out_and_tells_what_was_not_said(room: Pulse, tmp_path: Path) -> None:
    tone = (12000 * np.sin(np.arange(8 * RATE) * 2 * np.pi * 200 / RATE)).astype(np.int16)
    path = graph(tmp_path, tone, RATE)
    with room.recorded(SPEAKER) as heard:
        running = room.dragoman("run", str(path), "-q", "--report", str(tmp_path / "r.json"))
        wait_until(lambda: np.count_nonzero(heard()) > RATE)
        running.send_signal(signal.SIGINT)
        time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)
        sound = heard().astype(int)
    assert running.returncode == 130
    steps = np.abs(np.diff(sound))
    assert steps.max() < 1.3 * np.abs(np.diff(tone.astype(int))).max(), "a click is a step"
    report = json.loads((tmp_path / "r.json").read_text())
    played = np.count_nonzero(sound)
    assert report["stages"][1]["losses"]["cut off at the end"] > 0
    assert played < 4 * RATE


def test_a_speaker_that_goes_and_comes_again(tmp_path: Path) -> None:
    home = tmp_path / "room"
    home.mkdir()
    said = noise(6, seed=3)
    path = graph(tmp_path, said, RATE, when_lost="reopen")
    with pulse(home, SPEAKER) as room:
        running = room.dragoman("run", str(path), "--format", "json")
        with room.recorded(SPEAKER) as before:
            wait_until(lambda: np.count_nonzero(before()) > RATE // 2, 20)
            room.unplug(SPEAKER)
            heard_before = before()
        room.plug(SPEAKER)
        with room.recorded(SPEAKER) as after:
            report = report_of_loss(running)
            heard_after = after()
    counts, losses = report["stages"][1]["counts"], report["stages"][1]["losses"]
    assert counts["times the device was lost"] == 1
    assert 0 < losses["device away"] < RATE // 2
    _, alike = likeness(heard_after, said[-RATE:])
    assert alike > 0.99 or counts["underruns inside the device"], "the rest is played to its end"
    assert len(np.trim_zeros(heard_after)) > RATE
    assert likeness(heard_before, said[: RATE // 4])[1] > 0.98
    assert report["balanced"]


def report_of_loss(running: subprocess.Popen[str]) -> dict[str, Any]:
    out, error = running.communicate(timeout=30)
    assert running.returncode == 3, error
    report: dict[str, Any] = json.loads(out.splitlines()[-1])
    return report


def test_a_speaker_that_goes_ends_the_run_in_one_line(tmp_path: Path) -> None:
    home = tmp_path / "room"
    home.mkdir()
    path = graph(tmp_path, noise(20, seed=4), RATE)
    with pulse(home, SPEAKER) as room:
        running = room.dragoman("run", str(path), "-q")
        with room.recorded(SPEAKER) as heard:
            wait_until(lambda: np.count_nonzero(heard()) > RATE // 2, 20)
            room.unplug(SPEAKER)
        gone = time.monotonic()
        _, error = running.communicate(timeout=10)
        assert time.monotonic() - gone < 3
    assert running.returncode == 1
    (line,) = [line for line in error.splitlines() if line.startswith("dragoman")]
    assert "the speaker 'room_speaker' is lost: it has stopped" in line


# --- without a device


def block(start: int, frames: int, channels: int = 1, rate: int = 8000) -> Audio:
    wave = np.random.default_rng(start).normal(0, 3000, (frames, channels)).astype(np.int16)
    return Audio(wave, start, rate)


def filled(speech: Speech, frames: int) -> Samples:
    speech.fill(frames, 0.0)
    return speech.ring.take(frames)


@pytest.mark.parametrize("channels", [1, 2])
def test_mono_sounds_in_every_channel(channels: int) -> None:
    speech = Speech(rate=8000, channels=channels, mono=True)
    speech.put(block(0, 800), 0.0)
    speech.finish(0.0)
    out = filled(speech, 1000)
    assert out.shape == (1000, channels)
    assert np.array_equal(out[40:760, 0], block(0, 800).samples[40:760, 0])
    assert np.array_equal(out[:, 0], out[:, -1])
    assert speech.playout.drained
    assert speech.unplayed == 0


def test_sound_of_another_rate_and_marks_come_at_the_devices_rate() -> None:
    speech = Speech(rate=48000, channels=2, mono=False)
    speech.put(block(0, 800, channels=2), 0.0)
    speech.put(Mark(MarkKind.UTTERANCE_END, 800, 8000), 0.0)
    assert speech.unplayed == 4800
    assert speech.counts()["samples limited to full scale"] == 0


def test_what_is_too_loud_is_limited_and_counted() -> None:
    speech = Speech(rate=8000, channels=1, mono=True, volume_db=20)
    speech.put(block(0, 800), 0.0)
    assert speech.counts()["samples limited to full scale"] > 50


def test_where_nothing_is_skipped_the_rest_waits_where_it_came_from() -> None:
    assert Speech(rate=8000, channels=1, mono=True).playout.hold_s == 10
    assert Speech(rate=8000, channels=1, mono=True, max_lag_s=8).playout.hold_s == 60


@pytest.mark.anyio
async def test_a_ring_that_runs_dry_makes_no_click_and_is_counted() -> None:
    ring = Ring(1000, 1)
    mouth = Playing(rate=8000, ring=ring)
    mouth._settled = True
    ring.put(np.full((100, 1), 9000, np.int16))
    out = np.ones((160, 1), np.int16)
    mouth.fill(out, 0.1, False)
    assert (out[:100] == 9000).all()
    assert np.abs(np.diff(out[:, 0].astype(int))).max() < 9000 / 10
    assert not out[124:].any()
    assert mouth.starved == 60
    assert mouth.unsounded == round(0.12 * 8000)


@pytest.mark.anyio
async def test_a_fade_ends_in_silence_whatever_the_blocks() -> None:
    ring = Ring(1000, 2)
    mouth = Playing(rate=8000, ring=ring)
    mouth._settled = True
    ring.put(np.full((900, 2), 9000, np.int16))
    out = np.ones((60, 2), np.int16)
    mouth.fill(out, 0.0, False)
    await mouth.fade_out()
    blocks = [out.copy()]
    for _ in range(3):
        mouth.fill(out, 0.0, False)
        blocks.append(out.copy())
    wave = np.concatenate(blocks)[:, 0].astype(int)
    assert np.abs(np.diff(wave)).max() <= 9000 / 80 + 1
    assert not wave[145:].any()
    assert mouth.cut_off == 3 * 60 - 80, "what came from the ring after it did not sound"


@pytest.mark.anyio
async def test_silence_alone_opens_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Speaker, "_found", lambda self: Device(0, "x", "y", 0, 2, 48000))
    speaker = Speaker()
    await speaker.run(FakeInbox([Mark(MarkKind.FLUSH, 0, 8000)]), FakeOutbox())
    assert (speaker.status, speaker.losses()) == ("", {})


@define
class Deaf:
    """The stream of a device that opens, and then never asks for anything."""

    active: bool = True
    latency_s: float = 0.1

    def close(self) -> None:
        pass


def test_a_device_that_does_not_start_is_lost_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is told, and counted, and what it did not play is lost: at the rate at which it came."""
    speaker = Speaker(when_lost="reopen")

    def find_again(wanted: object, direction: str, *, refused: bool) -> Device:
        assert (wanted, direction, refused) == (None, "output", False)
        assert speaker.status == "lost the speaker 'x': it does not start; trying again every 0.25 s"
        raise KeyError("enough")

    monkeypatch.setattr("stages.devices.opened.open_stream", lambda *settings: Deaf())
    monkeypatch.setattr("stages.speaker.takes", lambda *asked: False)
    monkeypatch.setattr(Speaker, "_found", lambda self: Device(0, "x", "y", 0, 2, 48000))
    monkeypatch.setattr("stages.devices.again.find_again", find_again)
    with pytest.raises(KeyError):
        in_simulated_time(speaker.run, FakeInbox([block(0, 800)]), FakeOutbox())
    assert speaker.counts()["times the device was lost"] == 1
    assert speaker.losses()["cut off at the end"] == pytest.approx(800, abs=200)


def test_skipped_utterances_are_told_of_for_some_seconds() -> None:
    speaker = Speaker(max_lag=Duration(8))
    told = []
    for skipped, now in ((0, 0.0), (1, 1.0), (1, 5.0), (3, 6.0), (3, 15.9), (3, 16.0), (4, 17.0)):
        speaker._tell_skipped(skipped, now)
        told.append(speaker.status)
    one, three = "skipped an utterance, too late to be spoken", "skipped 3 utterances, too late to be spoken"
    assert told == ["", one, one, three, three, "", one]
