"""`dragoman devices`: the table, and the meter."""

from __future__ import annotations

import io
import json
import re
import signal
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli import devices, doctor
from pipeline.cli.main import cli
from pipeline.cli.meter import Level, bar, drawn, level_of
from stages.devices import portaudio
from stages.devices.device import Device
from tests.pulse import MIC, RATE, Pulse, needs_devices

HALF = (16384 * np.sin(np.arange(30 * RATE) * 2 * np.pi * 400 / RATE)).astype(np.int16)
"""A sine at half of full scale: its peak is at -6.0 dB, its mean at -9.0."""


def test_the_table_has_every_device_and_marks_the_default(room: Pulse) -> None:
    out, error = room.dragoman("devices").communicate(timeout=30)
    assert error == "", "what the libraries tell of themselves is left out"
    inputs, outputs = out.split("speakers")
    assert re.search(r"^ +0 +room_mic +ALSA +32 +(48000|44100); 8000 to \d+$", inputs, re.M)
    assert re.search(r"^  \* +2 +default +ALSA", inputs, re.M)
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"^ +1 +room_speaker +ALSA +32 +(48000|44100); 8000 to \d+$", outputs, re.M)


def test_a_program_gets_them_as_json(room: Pulse) -> None:
    out, _ = room.dragoman("devices", "--json").communicate(timeout=30)
    told = {device["name"]: device for device in json.loads(out)}
    assert list(told) == ["room_mic", "room_speaker", "default"]
    assert told["default"]["default_input"]
    assert RATE in told["room_mic"]["input_rates_hz"]


def test_doctor_tells_of_portaudio(room: Pulse) -> None:
    out, _ = room.dragoman("doctor").communicate(timeout=120)
    assert re.search(r"ok +PortAudio +19\.\d\.\d$", out, re.M)
    assert re.search(r"ok +microphones +3; see: dragoman devices$", out, re.M)
    assert re.search(r"ok +speakers +3; see: dragoman devices$", out, re.M)


def test_the_meter_tells_how_loud_it_is(room: Pulse) -> None:
    player = room.play(MIC, HALF)
    out, error = room.dragoman("devices", "--meter", "--json", "--seconds", "0.8").communicate(timeout=30)
    player.kill()
    levels = [json.loads(line) for line in out.splitlines()]
    assert [round(level["at_s"], 1) for level in levels] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], error
    assert levels[-1]["device"] == "default"
    assert levels[-1]["peak_db"] == pytest.approx(-6.0, abs=0.1)
    assert levels[-1]["rms_db"] == pytest.approx(-9.0, abs=0.1)


def test_the_meter_goes_on_until_it_is_interrupted(room: Pulse) -> None:
    running = room.dragoman("devices", "--meter", "--device", "room_mic")
    assert running.stdout is not None
    assert running.stdout.readline() == "room_mic: peak silence, mean silence\n"
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=10)
    assert (running.returncode, error) == (0, "")


def test_a_device_that_is_not_there_is_one_line(room: Pulse) -> None:
    running = room.dragoman("devices", "--meter", "--device", "usb")
    out, error = running.communicate(timeout=30)
    assert (running.returncode, out) == (2, "")
    assert error.startswith("dragoman: error: no microphone 'usb'; there is 0 'room_mic' (ALSA)")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--seconds", "3"], ["--device", "usb"], ["--meter", "--seconds", "0"]])
def test_options_of_the_meter_go_with_it(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, ["devices", *arguments]).exit_code == 2


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    result = CliRunner().invoke(cli, ["devices"])
    assert result.exit_code == 2
    assert result.stderr == (
        "dragoman: error: microphones and speakers need sounddevice: pip install 'dragoman[devices]'\n"
    )


def test_a_machine_without_a_microphone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices, "devices", lambda: [Device(0, "dummy", "OSS", 0, 2, 48000)])
    monkeypatch.setattr(devices, "offered_rates", lambda device, direction: [])
    devices.show(as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["microphones", "  none"]
    assert "dummy  OSS      2   not usable: busy or gone" in lines[5]


def test_a_machine_without_devices(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    needs_devices()
    monkeypatch.setattr(portaudio, "devices", list)
    monkeypatch.setattr(devices, "devices", list)
    devices.show(as_json=False)
    assert (
        capsys.readouterr().out == "The system offers no microphone and no speaker: plug one in, and look again.\n"
    )
    found = {finding.name: finding for finding in doctor.examine()}
    assert not found["microphones"].good
    assert not found["speakers"].good
    doctor.show([found["PortAudio"], found["speakers"]], as_json=False)
    assert capsys.readouterr().out == (
        "devices\n"
        f"  ok        PortAudio  {found['PortAudio'].told}\n"
        "  optional  speakers   the system offers none\n\nAll that is needed works.\n"
        "if you want it: plug in a speaker\n"
    )


@pytest.mark.parametrize(
    ("rates", "own", "told"),
    [
        ([], 48000, "not usable: busy or gone"),
        ([48000], 48000, "48000"),
        ([16000], 48000, "16000"),
        ([44100, 48000], 44100, "44100; 44100 to 48000"),
        ([8000, 16000, 44100, 96000], 44100, "44100; 8000 to 16000, 44100, 96000"),
        ([8000, 11025, 16000], 11025, "11025; 8000 to 16000"),
    ],
)
def test_rates_are_told_shortly(rates: list[int], own: int, told: str) -> None:
    assert devices._offered(rates, own) == told


# --- levels


def test_levels() -> None:
    assert level_of(HALF) == Level(0.0, -6.0, -9.0)
    assert level_of(np.zeros(0, np.int16)) == Level(0.0, None, None)
    assert level_of(np.full((9, 2), -32768, np.int16)) == Level(0.0, 0.0, 0.0)


def test_the_bar_grows_with_the_level() -> None:
    assert bar(Level(0, None, None), 60) == (0, 0)
    assert bar(Level(0, -90.0, -96.0), 60) == (0, 0)
    assert bar(Level(0, -6.0, -30.0), 60) == (30, 53)
    assert bar(Level(0, 0.0, -0.1), 60) == (60, 59)


def test_the_bar_is_drawn() -> None:
    line = drawn("mic", Level(0, -6.0, -30.0), " -6.0 dB", 20)
    assert line.plain == "mic  ██████████·······▏·· -6.0 dB"
    out = io.StringIO()
    print(line, file=out)
