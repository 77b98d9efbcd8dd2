"""PortAudio: the sound devices there are, and streams on them. The only module that imports sounddevice.

PortAudio is one library for the whole process, and is not made for threads: it is asked under one lock. It lists
the devices when it starts and never again, so that to see one that was plugged in it has to be started anew, which
would close every open stream: that is only done while there is none. Where a lost device is looked for while
another stream is open, a process of its own looks (60 ms). What that finds can mostly be opened at its old place
in our list. Where it came back by another name it cannot, and the open streams are asked to step aside a moment.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from attrs import define, field

from pipeline.items import Samples
from pipeline.stage import StageError
from stages.devices.chatter import without_chatter
from stages.devices.device import WORDS, Device, Direction, choose

__all__ = [
    "USUAL_RATES_HZ",
    "Fill",
    "Hear",
    "Restarting",
    "Stream",
    "check",
    "devices",
    "find",
    "find_again",
    "offered_rates",
    "open_stream",
    "step_aside",
    "takes",
    "version",
]

USUAL_RATES_HZ = (8000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000)
_ANSWERS_WITHIN_S = 5.0
_STEP_ASIDE_WITHIN_S = 3.0
_STEP_ASIDE_EVERY_S = 20.0
_LONGEST_DELAY_S = 2.0
"""More than this is no delay, but a clock that some drivers leave at zero."""
_BAD_RATE, _BAD_CHANNELS, _BUSY = -9997, -9998, -9985  # PaErrorCode in portaudio.h

Hear = Callable[[Samples, float, bool, float], None]
"""Called in PortAudio's thread with the device's own buffer, int16 (frames, channels), to read; with the seconds
since its first frame was captured (0: not known); whether the device itself ran over before; and when that frame
was captured by the device's own clock (0: it has none)."""
Fill = Callable[[Samples, float, bool], None]
"""The same with a buffer to fill; with the seconds until it will sound, and whether the device ran dry before."""


class Restarting(StageError):
    """Not now: PortAudio is about to be started anew, once all streams have stepped aside."""


@define
class _Library:
    """PortAudio as this process has it: `streams` counts those that are open."""

    lock: threading.Lock = field(factory=threading.Lock)
    streams: int = 0
    _asked_at: float = field(init=False, default=-math.inf)
    """When the streams were asked to step aside, by the clock of `time.monotonic`."""
    _waits: bool = field(init=False, default=False)

    @property
    def waits(self) -> bool:
        """Whether streams are to step aside. It gives up where one does not, or cannot be closed."""
        return self._waits and time.monotonic() < self._asked_at + _STEP_ASIDE_WITHIN_S

    def ask_to_step_aside(self) -> None:
        """Not again and again: one of the streams may stay."""
        if time.monotonic() >= self._asked_at + _STEP_ASIDE_EVERY_S:
            self._waits, self._asked_at = True, time.monotonic()

    def start_anew(self, sd: Any) -> None:
        """Once no stream is open."""
        sd._terminate()
        # As `sd._initialize` does, which throws away meanwhile whatever anybody writes on standard error.
        sd._check(sd._lib.Pa_Initialize(), "Error initializing PortAudio")
        sd._initialized += 1
        self._waits = False

    @contextmanager
    def asked(self) -> Iterator[Any]:
        """The module sounddevice, for one question at a time. Raises StageError where it is not to be had."""
        if not self.lock.acquire(timeout=_ANSWERS_WITHIN_S):
            raise StageError("PortAudio does not answer: a sound device hangs; unplug it, or start again")
        try:
            with without_chatter():
                yield _sounddevice()
        finally:
            self.lock.release()


_library = _Library()


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as missing:
        raise StageError(
            "microphones and speakers need sounddevice: pip install 'dragoman[devices]'", code=2
        ) from missing
    except OSError as missing:
        raise StageError(f"microphones and speakers need the library PortAudio: {_remedy()}", code=2) from missing
    except Exception as broken:
        # Importing it starts PortAudio, whose error class only the module that failed to import would have.
        raise StageError(f"PortAudio does not start: {broken}") from broken
    return sounddevice


def _remedy() -> str:
    if sys.platform == "darwin":
        return "brew install portaudio"
    if sys.platform == "win32":
        return "pip install --force-reinstall sounddevice"
    return "apt-get install libportaudio2 (dnf install portaudio, pacman -S portaudio)"


def version() -> str:
    """PortAudio's version. Raises: StageError where it is missing."""
    with _library.asked() as sd:
        number, _ = sd.get_portaudio_version()
        return f"{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


# --- which devices there are


def devices() -> Sequence[Device]:
    """All there are now, or, while a stream is open, all there were when PortAudio started."""
    with _library.asked() as sd:
        if _library.streams == 0:
            _library.start_anew(sd)
        return _listed(*_told(sd))


def find(wanted: str | int | None, direction: Direction) -> Device:
    """What `choose` chooses of `devices()`. Raises: StageError as they do."""
    return choose(devices(), wanted, direction)


def find_again(wanted: str | int | None, direction: Direction, *, refused: bool = False) -> Device:
    """What `choose` chooses of the devices that there are now, whatever streams are open. Blocks.

    `refused`: as our PortAudio has it, it does not open. Raises: StageError where there is none, and Restarting
    where the others are to step aside: try again, and say `refused` once only, as another program may have it.
    """
    with _library.asked() as sd:
        alone = _library.streams == 0
        if alone:
            _library.start_anew(sd)
        elif _library.waits:
            raise Restarting("PortAudio starts anew, to see a device that was plugged in")
        ours = _listed(*_told(sd))
    if alone:
        return choose(ours, wanted, direction)
    seen = choose(_seen_from_outside() or ours, wanted, direction)
    for device in ours:
        if (device.name, device.host_api) == (seen.name, seen.host_api) and not refused:
            return device
    _library.ask_to_step_aside()
    raise Restarting(f"{seen.name!r} is there, but PortAudio has to be started anew to use it")


def step_aside() -> bool:
    """Whether whoever has a stream open, and can open it again, is to close it: see `find_again`."""
    return _library.waits


_TELL = """
import json, sounddevice as sd
def default(direction):
    try:
        return sd.query_devices(kind=direction)["index"]
    except sd.PortAudioError:
        return None
print(json.dumps([sd.query_hostapis(), list(sd.query_devices()), default("input"), default("output")]))
"""


def _seen_from_outside() -> Sequence[Device]:
    """The devices that there are now, as a new process sees them; empty where it cannot be had."""
    if getattr(sys, "frozen", False):  # what runs is no Python, but a program that has one in it
        return ()
    command = [sys.executable or "", "-c", _TELL]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWERS_WITHIN_S, check=True
        )
        return _listed(*json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def _told(sd: Any) -> tuple[Any, Any, int | None, int | None]:
    return sd.query_hostapis(), sd.query_devices(), _default(sd, "input"), _default(sd, "output")


def _listed(apis: Any, told: Any, default_input: int | None, default_output: int | None) -> list[Device]:
    return [
        Device(
            index=index,
            name=each["name"],
            host_api=apis[each["hostapi"]]["name"],
            inputs=each["max_input_channels"],
            outputs=each["max_output_channels"],
            rate_hz=round(each["default_samplerate"]),
            default_input=index == default_input,
            default_output=index == default_output,
        )
        for index, each in enumerate(told)
    ]


def _default(sd: Any, direction: str) -> int | None:
    try:
        return int(sd.query_devices(kind=direction)["index"])
    except sd.PortAudioError:  # there is none
        return None


# --- what a device can do


def check(device: Device, direction: Direction, rate: int, channels: int) -> None:
    """Raises: StageError, with what the device offers, where it will not have `rate` and `channels`."""
    with _library.asked() as sd:
        try:
            _try(sd, device, direction, rate, channels)
        except sd.PortAudioError as refused:
            raise StageError(_why_not(sd, device, direction, rate, channels, refused), code=2) from refused


def takes(device: Device, direction: Direction, rate: int, channels: int) -> bool:
    """Whether `device` plays or records at `rate` Hz."""
    with _library.asked() as sd:
        try:
            _try(sd, device, direction, rate, channels)
        except sd.PortAudioError:
            return False
        return True


def offered_rates(device: Device, direction: Direction) -> Sequence[int]:
    """Those of the usual rates, in Hz, that `device` takes."""
    with _library.asked() as sd:
        return _offered(sd, device, direction)


def _try(sd: Any, device: Device, direction: Direction, rate: int, channels: int) -> None:
    ask = sd.check_input_settings if direction == "input" else sd.check_output_settings
    ask(device=device.index, channels=channels, dtype="int16", samplerate=rate)


def _offered(sd: Any, device: Device, direction: Direction) -> list[int]:
    offered = []
    for rate in sorted({*USUAL_RATES_HZ, device.rate_hz}):
        with suppress(sd.PortAudioError):
            _try(sd, device, direction, rate, min(2, device.channels(direction)))
            offered.append(rate)
    return offered


def _why_not(sd: Any, device: Device, direction: Direction, rate: int, channels: int, refused: Exception) -> str:
    word, code = f"the {WORDS[direction]} {device.name!r}", refused.args[1] if len(refused.args) > 1 else None
    if code == _BAD_CHANNELS:
        return f"{word} has {device.channels(direction)} channels, not {channels}"
    if code == _BAD_RATE:
        offered = ", ".join(map(str, _offered(sd, device, direction)))
        return f"{word} does not take {rate} Hz, but {offered}: leave `rate` out, and put a `resample` behind it"
    return f"{word} cannot be used: {_reason(refused)}"


def _reason(refused: Exception) -> str:
    """What PortAudio says, and what the system below it said."""
    code = refused.args[1] if len(refused.args) > 1 else None
    if code == _BUSY:
        return "another program has it, or it is gone"
    if len(refused.args) > 2:
        return str(refused.args[2][2]).lower() or str(refused.args[0])
    return str(refused.args[0]).lower()


# --- streams


@define(eq=False)
class Stream:
    """A device at work; `latency_s` is what it says of how much it holds."""

    latency_s: float
    _stream: Any = field(repr=False)
    _open: bool = field(init=False, default=True)

    @property
    def active(self) -> bool:
        """False once the device has stopped by itself. Some that are gone never say so."""
        return self._open and bool(self._stream.active)

    def close(self, *, play_out: bool = False) -> None:
        """Stop, at once or when what the device holds is played. May take as long: call it in a thread."""
        if not self._open:
            return
        self._open = False
        if play_out:
            self._stream.stop(ignore_errors=True)
        with _library.asked():
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
            _library.streams -= 1


def open_stream(
    device: Device, direction: Direction, rate: int, channels: int, latency_s: float, callback: Hear | Fill
) -> Stream:
    """Open `device` and start it. Blocks: call it in a thread. Raises: StageError where it will not open."""
    with _library.asked() as sd:
        kind = sd.RawInputStream if direction == "input" else sd.RawOutputStream
        try:
            stream = kind(
                samplerate=rate,
                device=device.index,
                channels=channels,
                dtype="int16",
                latency=latency_s,
                dither_off=True,  # a device of another format would add noise to silence
                callback=_called(callback, direction, channels),
            )
        except sd.PortAudioError as refused:
            raise StageError(_why_not(sd, device, direction, rate, channels, refused)) from refused
        try:
            stream.start()
        except sd.PortAudioError as refused:
            stream.close()
            raise StageError(_why_not(sd, device, direction, rate, channels, refused)) from refused
        _library.streams += 1
        return Stream(float(stream.latency), stream)


def _called(callback: Any, direction: Direction, channels: int) -> Callable[[Any, int, Any, Any], None]:
    def heard(buffer: Any, frames: int, time: Any, status: Any) -> None:
        samples, captured = np.frombuffer(buffer, np.int16).reshape(frames, channels), time.inputBufferAdcTime
        callback(samples, _delay(time.currentTime - captured), bool(status.input_overflow), captured)

    def played(buffer: Any, frames: int, time: Any, status: Any) -> None:
        samples = np.frombuffer(buffer, np.int16).reshape(frames, channels)
        callback(samples, _delay(time.outputBufferDacTime - time.currentTime), bool(status.output_underflow))

    return heard if direction == "input" else played


def _delay(seconds: float) -> float:
    return seconds if 0 < seconds < _LONGEST_DELAY_S else 0.0
