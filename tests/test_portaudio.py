"""Which device is meant, and what is said where none is. Real ones are tried by microphone and speaker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.stage import StageError
from stages.devices import portaudio
from stages.devices.device import Device, choose, lasting
from tests.pulse import needs_devices

ROOT = Path(__file__).parents[1]
LISTED = [
    Device(0, "HDA Intel: ALC257 (hw:0,0)", "ALSA", 2, 2, 48000),
    Device(1, "USB Audio: Jabra (hw:1,0)", "ALSA", 1, 2, 16000),
    Device(2, "USB Audio: Yeti (hw:2,0)", "ALSA", 2, 0, 44100),
    Device(3, "default", "ALSA", 32, 32, 44100, default_input=True, default_output=True),
    Device(4, "default loopback", "ALSA", 2, 2, 44100),
    Device(5, "7 speakers", "ALSA", 0, 8, 48000),
]


@pytest.mark.parametrize(
    ("wanted", "direction", "index"),
    [
        (None, "input", 3),
        (None, "output", 3),
        (1, "input", 1),
        ("2", "input", 2),
        ("jabra", "input", 1),
        ("yeti", "input", 2),
        ("USB", "output", 1),  # the other has no outputs
        ("Default", "input", 3),  # the whole name goes before a part of another
        ("7 s", "output", 5),
        ("257", "output", 0),  # no number of a device, so a part of a name
        ("hw:0", "input", 0),
    ],
)
def test_a_device_is_found_by_number_or_name(wanted: str | int | None, direction: str, index: int) -> None:
    assert choose(LISTED, wanted, direction).index == index  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "direction", "told"),
    [
        (
            "usb",
            "input",
            "several microphones match 'usb'; say which, by name or number: 1 'USB Audio: Jabra",
        ),
        ("bluetooth", "output", "no speaker 'bluetooth'; there is 0 'HDA Intel: ALC257 (hw:0,0)' (ALSA), 1 "),
        (2, "output", "no speaker 2; there is 0 "),
        (9, "input", "no microphone 9; there is 0 "),
    ],
)
def test_none_or_several_are_one_line_with_the_candidates(wanted: str | int, direction: str, told: str) -> None:
    with pytest.raises(StageError) as refused:
        choose(LISTED, wanted, direction)  # type: ignore[arg-type]
    assert str(refused.value).startswith(told)
    assert refused.value.code == 2


def test_a_machine_without_devices_or_without_a_default() -> None:
    with pytest.raises(StageError, match="this machine has no microphone: `dragoman devices` lists what there is"):
        choose(LISTED[5:], None, "input")
    with pytest.raises(StageError, match="no microphone is the default; say which: device: 0 'HDA"):
        choose(LISTED[:3], None, "input")


@pytest.mark.parametrize(
    ("platform", "remedy"),
    [
        ("linux", "apt-get install libportaudio2 (dnf install portaudio, pacman -S portaudio)"),
        ("darwin", "brew install portaudio"),
        ("win32", "pip install --force-reinstall sounddevice"),
    ],
)
def test_the_remedy_for_a_missing_library(monkeypatch: pytest.MonkeyPatch, platform: str, remedy: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert portaudio._remedy() == remedy


@pytest.mark.parametrize(
    ("wanted", "found", "then"),
    [
        (None, 3, None),
        ("jabra", 1, "jabra"),
        (1, 1, "USB Audio: Jabra"),
        ("1", 1, "USB Audio: Jabra"),
        (3, 3, "default"),
    ],
)
def test_a_device_that_was_lost_is_not_looked_for_by_its_number(wanted: Any, found: int, then: Any) -> None:
    assert lasting(wanted, LISTED[found]) == then


class Refused(Exception):
    """As PortAudio's, with its number and what the host told."""


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (Refused("Invalid number of channels", -9998), "the microphone 'default' has 32 channels, not 40"),
        (Refused("Device unavailable", -9985), "cannot be used: another program has it, or it is gone"),
        (Refused("Unanticipated host error", -9999, (0, -5, "Input/output error")), "used: input/output error"),
        (Refused("Insufficient memory"), "cannot be used: insufficient memory"),
    ],
)
def test_what_a_device_refuses_is_told_in_words(refused: Refused, told: str) -> None:
    assert portaudio._why_not(None, LISTED[3], "input", 48000, 40, refused).endswith(told)


def test_what_the_libraries_tell_of_themselves_is_left_out_and_nothing_else() -> None:
    code = """
import os
from stages.devices.chatter import without_chatter
with without_chatter():
    os.write(2, b"ALSA lib pcm.c: unknown PCM\\nsomebody else\\n\\nExpression 'r' failed in 'pa.c', line: 3\\n")
os.write(2, b"afterwards\\n")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.stderr == "somebody else\nafterwards\n"


def test_what_others_say_while_devices_are_looked_for_is_not_thrown_away() -> None:
    needs_devices()
    code = """
import os, threading
from stages.devices.portaudio import devices
devices()
seen, looked = set(), threading.Event()
def look():
    while not looked.is_set():
        seen.add(os.readlink("/proc/self/fd/2"))
looking = threading.Thread(target=look)
looking.start()
for _ in range(200):
    devices()
    if len(seen) > 1:  # it was looked at meanwhile
        break
looked.set()
looking.join()
print(len(seen) > 1, os.devnull in seen)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True False\n", done.stderr


def test_looking_for_devices_needs_no_standard_error() -> None:
    code = "import os; os.close(2)\nfrom stages.devices.chatter import without_chatter as w\nwith w(): print('ok')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, env=dict(os.environ)
    )
    assert done.stdout == "ok\n"
