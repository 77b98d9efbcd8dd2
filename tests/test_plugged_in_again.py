"""A microphone that is unplugged and plugged in again, while a speaker plays on."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.pulse import MIC, RATE, SPEAKER, Pulse, pulse, wait_until
from tests.test_microphone import found_in, noise, play_out
from tests.test_speaker import likeness
from tests.test_speaker import noise as soft_noise

ALSA = """
pcm.{microphone} {{ type pulse server "{microphone_server}" device {mic}.monitor }}
pcm.room_speaker {{ type pulse server "{speaker_server}" device {speaker} }}
pcm.!default {{ type asym capture.pcm {microphone} playback.pcm room_speaker }}
"""
GRAPH = """
stages:
  talk: {{use: file, path: {folder}/talk.wav}}
  out: {{use: speaker, from: talk, device: room_speaker}}
  mic: {{use: microphone, device: usb, when_lost: reopen, rate: 48000}}
  heard: {{use: wav, from: mic, path: {folder}/heard.wav}}
"""


@pytest.mark.parametrize(
    ("name_then", "backend"), [("usb_1", "asyncio"), ("usb_2", "trio")], ids=["as before", "by another name"]
)
def test_a_microphone_is_found_again_while_a_speaker_plays(tmp_path: Path, name_then: str, backend: str) -> None:
    """By another name, as after another USB port, PortAudio must be started anew: the speaker waits for that."""
    said, first, second = soft_noise(15, seed=1), noise(0.3, seed=2), noise(0.3, seed=3)
    soundfile.write(tmp_path / "talk.wav", said, RATE)
    (tmp_path / "g.yaml").write_text(GRAPH.format(folder=tmp_path))
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
    # A daemon for each: what is unplugged from one of them is moved to nothing else.
    with pulse(tmp_path / "left", MIC) as left, pulse(tmp_path / "right", SPEAKER) as right:
        name_devices(left, right, "usb_1")
        with right.recorded(SPEAKER) as heard:
            running = left.dragoman("run", str(tmp_path / "g.yaml"), "--format", "json", "--backend", backend)
            lines: Queue[dict[str, Any]] = Queue()
            Thread(target=lambda: [lines.put(json.loads(line)) for line in running.stdout or ()]).start()
            wait_for(lines, lambda line: line["type"] == "progress" and line["done_s"] > 0)
            wait_until(lambda: heard().any())
            play_out(left.play(MIC, first))
            left.unplug(MIC)
            wait_for(lines, lambda line: "lost the microphone 'usb_1'" in line.get("statuses", {}).get("mic", ""))
            name_devices(left, right, name_then)
            left.plug(MIC)
            wait_for(lines, lambda line: line["type"] == "progress" and not line["statuses"])
            play_out(left.play(MIC, second))
            wait_until(lambda: not heard()[-RATE:].any(), 30)
            running.send_signal(signal.SIGINT)
            report = wait_for(lines, lambda line: line["type"] == "report")
            played = heard()
    counts = {stage["name"]: stage["counts"] for stage in report["stages"]}
    sound = soundfile.read(tmp_path / "heard.wav", dtype="int16")[0]
    assert -1 < found_in(sound, first) < found_in(sound, second)
    assert report["balanced"]
    assert list(report["lost"]) == ["mic: device away"], "the speaker has lost nothing"
    assert counts["mic"]["times the device was lost"] == 1
    assert counts["out"]["times the device was lost"] == 0
    assert counts["out"]["frames played"] == len(said)
    busy = ("underruns inside the device", "frames of silence because the machine was busy")
    if not any(counts["out"][told] for told in busy):
        pauses = in_a_row(np.trim_zeros(played) == 0)
        assert sum(pauses > RATE // 50) == (name_then != "usb_1")
        assert likeness(played, said[: RATE // 2])[1] > 0.98
        assert likeness(played, said[-RATE // 2 :])[1] > 0.98


def name_devices(left: Pulse, right: Pulse, microphone: str) -> None:
    """For those who run on the `left`."""
    servers = {"microphone_server": left.env["PULSE_SERVER"], "speaker_server": right.env["PULSE_SERVER"]}
    alsa = ALSA.format(microphone=microphone, mic=MIC, speaker=SPEAKER, **servers)
    Path(left.env["ALSA_CONFIG_PATH"]).write_text(alsa)


def wait_for(lines: Queue[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while not wanted(line := lines.get(timeout=30)):
        pass
    return line


def in_a_row(true: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """How long each stretch of it is."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], true, [False]]).astype(np.int8)))
    return edges[1::2] - edges[::2]
