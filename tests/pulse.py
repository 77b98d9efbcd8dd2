"""Rooms without a sound card: a PulseAudio of our own, whose null sinks are a microphone's room and a speaker's.

What is played into a room's sink is heard by a microphone at its monitor. PortAudio reaches both through ALSA's
`pulse` plugin, by a configuration that has these devices and no others: `room_mic`, `room_speaker`, `default`.
PortAudio reads the environment once for each process, so that what is tried runs in processes of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np
from attrs import define, field

from pipeline.items import Samples
from tests.looking import private
from tests.needed import lacking, needs_programs

__all__ = ["MIC", "RATE", "SPEAKER", "Pulse", "needs_devices", "pulse", "wait_until"]

MIC, SPEAKER = "room_in", "room_out"
RATE = 48000
AWAKE_BYTES = 8000
"""Half a second of 8 kHz."""
ROOT = Path(__file__).parents[1]

ALSA = """
pcm.room_mic {{ type pulse server "{server}" device {mic}.monitor }}
pcm.room_speaker {{ type pulse server "{server}" device {speaker} }}
pcm.!default {{ type asym capture.pcm room_mic playback.pcm room_speaker }}
ctl.!default {{ type pulse server "{server}" }}
"""
ONE_MORE = """
pcm.{sink} {{ type pulse server "{server}" device {sink} }}
pcm.{sink}_monitor {{ type pulse server "{server}" device {sink}.monitor }}
"""


def needs_devices() -> None:
    """Go on where devices can be tried: PulseAudio, PortAudio and ALSA's plugin are here."""
    needs_programs("pulseaudio", "pactl", "parec", "pacat", package="pulseaudio pulseaudio-utils")
    if find_spec("sounddevice") is None:
        lacking("needs sounddevice: pip install 'dragoman[devices]'")
    if not list(Path("/usr/lib").rglob("libasound_module_pcm_pulse.so")):
        lacking("needs ALSA's pulse plugin: apt-get install libasound2-plugins")
    if not list(Path("/usr/lib").rglob("libportaudio.so.2*")):
        lacking("needs PortAudio: apt-get install libportaudio2")


def wait_until(true: Callable[[], object], within_s: float = 10) -> float:
    """Seconds until `true()`; fails after `within_s`."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < within_s, "it never came true"
        time.sleep(0.01)
    return time.monotonic() - begun


@define
class Pulse:
    """A daemon at work, in the folder `home`; `env` is for whoever is to see its devices and no others."""

    home: Path
    env: Mapping[str, str]
    _running: list[subprocess.Popen[bytes]] = field(factory=list)
    _modules: dict[str, str] = field(factory=dict)

    def plug(self, *sinks: str) -> None:
        """Have these sinks, of 48 kHz mono, and a client for each that keeps it awake.

        Asleep, a null sink serves nobody for up to two seconds; while it wakes up, it repeats itself.
        """
        paths = []
        for sink in sinks:
            told = self.control(
                "load-module", "module-null-sink", f"sink_name={sink}", f"rate={RATE}", "channels=1"
            )
            self._modules[sink] = told.strip()
            paths.append(self.home / f"{len(self._running)}.awake")
            form = ("--latency-msec=10", "--rate=8000", "--channels=1")
            with paths[-1].open("wb") as out:
                self.start("parec", *form, "-d", f"{sink}.monitor", stdout=out)
        wait_until(lambda: all(path.stat().st_size > AWAKE_BYTES for path in paths))

    def unplug(self, sink: str) -> None:
        self.control("unload-module", self._modules.pop(sink))

    def control(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pactl", *arguments], env=self.env, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout

    def start(
        self, *command: str, stdin: int | None = None, stdout: int | IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """A program that is ended with the room."""
        process = subprocess.Popen(
            command, env=self.env, stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL, cwd=ROOT
        )
        self._running.append(process)
        return process

    def play(self, sink: str, samples: Samples, rate: int = RATE) -> subprocess.Popen[bytes]:
        """Play mono int16 `samples` into a room; it goes on by itself."""
        path = self.home / f"{len(self._running)}.raw"
        path.write_bytes(samples.astype("<i2").tobytes())
        form = ("--raw", "--format=s16le", f"--rate={rate}", "--channels=1")
        return self.start("pacat", "--playback", "--latency-msec=1000", "-d", sink, *form, str(path))

    @contextmanager
    def recorded(self, sink: str, rate: int = RATE) -> Iterator[Callable[[], Samples]]:
        """What is heard in a room meanwhile, mono; ask for it at any time."""
        path = self.home / f"{len(self._running)}.heard"
        form = ("--raw", "--format=s16le", f"--rate={rate}", "--channels=1")
        with path.open("wb") as out:
            recorder = self.start("parec", "--latency-msec=10", "-d", f"{sink}.monitor", *form, stdout=out)
            wait_until(lambda: path.stat().st_size > 0)
            yield lambda: np.fromfile(path, "<i2")
            recorder.terminate()
            recorder.wait(10)

    def python(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """Run `code`."""
        return self.popen([sys.executable, "-c", code, *arguments])

    def dragoman(self, *arguments: str) -> subprocess.Popen[str]:
        return self.popen([sys.executable, "-m", "pipeline", *arguments])

    def popen(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """A program for which these are the devices, with pipes to it and from it; ended with the room."""
        process = subprocess.Popen(
            command,
            env=self.env,
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._running.append(process)  # type: ignore[arg-type]
        return process

    def end(self) -> None:
        for process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(10)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    @property
    def daemon(self) -> subprocess.Popen[bytes]:
        return self._running[0]


@contextmanager
def pulse(home: Path, *sinks: str) -> Iterator[Pulse]:
    """A PulseAudio with these sinks, which the machine's own sound knows nothing of.

    With one sink alone, what is unplugged is gone; with two, PulseAudio moves who used it to the other. A sink of
    another name than `MIC` and `SPEAKER` is a device of that name, and what sounds in it is one with `_monitor`.
    """
    needs_devices()
    with private() as runtime:
        yield from _pulse(home, sinks, runtime)


def _pulse(home: Path, sinks: Sequence[str], runtime: Mapping[str, str]) -> Iterator[Pulse]:
    home.chmod(0o700)
    socket, alsa = home / "native", home / "asound.conf"
    server = f"unix:{socket}"
    more = [ONE_MORE.format(server=server, sink=sink) for sink in sinks if sink not in (MIC, SPEAKER)]
    alsa.write_text("".join([ALSA.format(server=server, mic=MIC, speaker=SPEAKER), *more]))
    env = {
        **os.environ,
        "HOME": str(home),
        **runtime,
        "PULSE_SERVER": server,
        "ALSA_CONFIG_PATH": str(alsa),
        "PYTHONPATH": str(ROOT),
    }
    room = Pulse(home, env)
    try:
        room.start(
            *(
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--use-pid-file=no",
                "--exit-idle-time=-1",
                "--disable-shm=yes",
            ),
            f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1",
        )
        wait_until(socket.exists)
        room.plug(*sinks)
        yield room
    finally:
        room.end()
