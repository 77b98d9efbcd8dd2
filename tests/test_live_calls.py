"""Two people in two rooms: each speaks into a microphone there, and hears the other one in their own language.

What a room's loudspeaker plays is heard by its microphone as well.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from attrs import define, field

from pipeline.items import Samples
from stages.models.whisper import Whisper
from tests.engine import needs_models
from tests.pulse import RATE, Pulse, pulse, wait_until

pytestmark = [pytest.mark.models, needs_models]

SIDES = ("here", "there")
SAID = {"here": "en_ls_7902_cutter.flac", "there": "pt_leopard.flac"}
"""`I'm from the cutter lying off the coast`; `Uma raposa velha não consegue aprender nenhum ofício`."""
HEARD = {"here": "learn", "there": "da costa"}
"""Of `An old fox can't learn any craft`, or what the recogniser makes of it where it has to find out the language,
and `Eu sou do cortador deitado ao largo da costa`."""
OWN = {"here": ("cutter", "coast"), "there": ("raposa", "ofício")}
LANGUAGES = {"here": "en", "there": "pt"}
HEARD_HZ = 16000
LEFT_FRAMES = 12_000
"""Half a second at 24 kHz: a busy machine leaves some noise of the rooms without an answer when it is stopped."""
BEEN_SILENT_S = 1.5


@define
class Call:
    """A graph at work between two rooms."""

    room: Pulse
    speech: Path
    heard: dict[str, Callable[[], Samples]]
    process: subprocess.Popen[str]
    _lines: Queue[dict[str, Any]] = field(factory=Queue)

    def __attrs_post_init__(self) -> None:
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put({"type": "ended"})

    def wait_until_it_works(self, loaded: Callable[[dict[str, str]], bool]) -> None:
        """Until it hears, and says that all is `loaded`."""
        while True:
            line = self._lines.get(timeout=120)
            assert line["type"] != "ended", self.process.stderr and self.process.stderr.read()
            if line["type"] == "progress" and line["done_s"] > 0 and loaded(line["statuses"]):
                return

    def say(self, side: str) -> None:
        sound, rate = soundfile.read(self.speech / SAID[side])
        self.room.play(f"mic_{side}", (soxr.resample(sound, rate, RATE) * 32767).astype(np.int16))

    def wait_until_heard(self, *sides: str) -> None:
        """Until something was said on these sides, and both have been silent for a while."""

        def is_over() -> bool:
            sounds = {side: heard() for side, heard in self.heard.items()}
            silent = not any(sound[-int(BEEN_SILENT_S * HEARD_HZ) :].any() for sound in sounds.values())
            return silent and all(sounds[side].any() for side in sides)

        wait_until(is_over, 90)

    def stop(self) -> dict[str, Any]:
        """The report."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 130
        return next(line for line in iter(lambda: self._lines.get(timeout=5), None) if line["type"] == "report")

    def check_what_was_heard(self, report: dict[str, Any]) -> None:
        """On each side the words of the other one, in the language spoken here, and not a word of its own."""
        assert report["balanced"]
        assert sum(report["lost"].values()) < LEFT_FRAMES, report["lost"]
        recogniser = Whisper.load()
        for side in SIDES:
            sound = np.trim_zeros(self.heard[side]()).astype(np.float32) / 32768
            found = recogniser.hear(sound, None, "transcribe", 1)
            text = " ".join(sentence.text for sentence in found.sentences).lower()
            assert found.language == LANGUAGES[side], text
            assert HEARD[side] in text
            assert not in_one_piece(report) or not any(word in text for word in OWN[side]), text


@contextmanager
def rooms(home: Path) -> Iterator[tuple[Pulse, dict[str, Callable[[], Samples]]]]:
    """Two, each with a microphone that hears the loudspeaker too; and what the loudspeakers play."""
    with (
        pulse(home, *(f"{device}_{side}" for device in ("mic", "speaker") for side in SIDES)) as room,
        room.recorded("speaker_here", HEARD_HZ) as here,
        room.recorded("speaker_there", HEARD_HZ) as there,
    ):
        for side in SIDES:
            ends = (f"source=speaker_{side}.monitor", f"sink=mic_{side}")
            room.control("load-module", "module-loopback", *ends, "latency_msec=60")
        yield room, {"here": here, "there": there}


def devices() -> Sequence[str]:
    microphones = [f"mic_{side}=mic_{side}_monitor" for side in SIDES]
    return [
        word
        for told in (*microphones, *(f"speaker_{side}=speaker_{side}" for side in SIDES))
        for word in ("-p", told)
    ]


def in_one_piece(report: dict[str, Any]) -> bool:
    """Whether the machine had the time to play all without a break: our own speech is known by how it goes."""
    speakers = [stage["counts"] for stage in report["stages"] if stage["name"].startswith("speaker")]
    return not any(counts["frames of silence because the machine was busy"] for counts in speakers)


def test_two_people_hear_each_other_and_not_themselves(tmp_path: Path, speech: Path) -> None:
    with rooms(tmp_path) as (room, heard):
        call = Call(room, speech, heard, room.dragoman("run", "live-call", "--format", "json", *devices()))
        call.wait_until_it_works(lambda statuses: not statuses)
        for side in SIDES:  # both at once
            call.say(side)
        call.wait_until_heard(*SIDES)
        report = call.stop()
    call.check_what_was_heard(report)
    counts = {stage["name"]: stage["counts"] for stage in report["stages"]}
    for to in SIDES:
        left_out = counts[f"to-{to}/asr-words"]["texts left out that were our own speech"]
        assert counts[f"to-{to}/guard"]["ms of it"] or left_out
        assert counts[f"to-{to}/tts"]["utterances spoken"] == 1 or not in_one_piece(report)


def test_the_same_with_a_service_that_finds_out_the_languages(
    tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMB_API_KEY", "any")
    with rooms(tmp_path) as (room, heard):
        address = serving(room, "en-us:pt-br", "pt-br:en-us")
        options = ["-p", f"service={address}", "-p", "languages=[en-us, pt-br]", *devices()]
        running = room.dragoman("run", "live-call-auto", "--backend", "trio", "--format", "json", *options)
        call = Call(room, speech, heard, running)
        call.wait_until_it_works(lambda statuses: statuses == {"call": "here: ready; there: ready"})
        for side in SIDES:
            call.say(side)
        call.wait_until_heard(*SIDES)
        report = call.stop()
    call.check_what_was_heard(report)


def serving(room: Pulse, *pairs: str) -> str:
    """The address of a `dragoman serve` with the models of `pairs`."""
    process = room.dragoman("serve", "--port", "0", *(word for pair in pairs for word in ("--load", pair)))
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"ws://\S+?:\d+", line)
    assert found is not None, line
    return found[0]
