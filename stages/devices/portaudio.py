"""PortAudio: the sound devices there are, and streams on them. The only module that imports sounddevice.

PortAudio is one library for the whole process, and is not made for threads: it is asked under one lock. It lists
the devices when it starts and never again, so that to see one that was plugged in it has to be started anew, which
would close every open stream: that is only done while there is none.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

import numpy as np
from attrs import define, field, frozen

from pipeline.items import Samples
from pipeline.stage import StageError

__all__ = [
    "USUAL_RATES_HZ",
    "Callback",
    "Device",
    "Direction",
    "Stream",
    "check",
    "choose",
    "devices",
    "find",
    "offered_rates",
    "open_stream",
    "takes",
    "version",
]

Direction = Literal["input", "output"]
_WORDS = {"input": "microphone", "output": "speaker"}
USUAL_RATES_HZ = (8000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000)
_ANSWERS_WITHIN_S = 5.0
_LONGEST_DELAY_S = 2.0
"""More than this is no delay, but a clock that some drivers leave at zero."""
_BAD_RATE, _BAD_CHANNELS, _BUSY = -9997, -9998, -9985  # PaErrorCode in portaudio.h

Callback = Callable[[Samples, float, bool], None]
"""Called in PortAudio's thread with the device's own buffer, int16 (frames, channels), to read or to fill; with
the seconds since its first frame was captured, or until it will sound (0: not known); and whether the device
itself ran over or dry before."""


@frozen
class Device:
    """A sound device: `inputs` and `outputs` are the channels it has each way, `rate_hz` is its own rate."""

    index: int
    name: str
    host_api: str
    inputs: int
    outputs: int
    rate_hz: int
    default_input: bool = False
    default_output: bool = False

    def channels(self, direction: Direction) -> int:
        return self.inputs if direction == "input" else self.outputs

    def is_default(self, direction: Direction) -> bool:
        return self.default_input if direction == "input" else self.default_output

    def __str__(self) -> str:
        return f"{self.index} {self.name!r} ({self.host_api})"


@define
class _Library:
    """PortAudio as this process has it: `streams` counts those that are open."""

    lock: threading.Lock = field(factory=threading.Lock)
    streams: int = 0

    @contextmanager
    def asked(self) -> Iterator[Any]:
        """The module sounddevice, for one question at a time. Raises StageError where it is not to be had."""
        if not self.lock.acquire(timeout=_ANSWERS_WITHIN_S):
            raise StageError("PortAudio does not answer: a sound device hangs; unplug it, or start again")
        try:
            with _without_chatter():
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
            sd._terminate()
            _start(sd)
        return _listed(sd)


def _start(sd: Any) -> None:
    """As `sd._initialize` does, which throws away meanwhile whatever anybody writes on standard error."""
    sd._check(sd._lib.Pa_Initialize(), "Error initializing PortAudio")
    sd._initialized += 1


def find(wanted: str | int | None, direction: Direction) -> Device:
    """The device numbered `wanted`, or with `wanted` in its name (in any case), or the system's default.

    Raises: StageError, with the candidates, where there is none or not one alone.
    """
    return choose(devices(), wanted, direction)


def choose(listed: Sequence[Device], wanted: str | int | None, direction: Direction) -> Device:
    """What `find` finds among `listed`."""
    able = [device for device in listed if device.channels(direction)]
    word = _WORDS[direction]
    if not able:
        raise StageError(f"this machine has no {word}: `dragoman devices` lists what there is")
    if wanted is None:
        found = [device for device in able if device.is_default(direction)]
        if not found:
            raise StageError(f"no {word} is the default; say which: device: {_candidates(able)}")
        return found[0]
    found = _matching(able, wanted)
    if not found:
        raise StageError(f"no {word} {wanted!r}; there is {_candidates(able)}", code=2)
    if len(found) > 1:
        raise StageError(
            f"several {word}s match {wanted!r}; say which, by name or number: {_candidates(found)}", 2
        )
    return found[0]


def _matching(able: Sequence[Device], wanted: str | int) -> list[Device]:
    """By number, else by the whole name, else by a part of it."""
    text = str(wanted).strip()
    numbered = [device for device in able if text == str(device.index)]
    if numbered or isinstance(wanted, int):
        return numbered
    folded = text.casefold()
    same = [device for device in able if device.name.casefold() == folded]
    return same or [device for device in able if folded in device.name.casefold()]


def _candidates(able: Sequence[Device]) -> str:
    return ", ".join(str(device) for device in able)


def _listed(sd: Any) -> list[Device]:
    apis = sd.query_hostapis()
    default_input, default_output = (_default(sd, direction) for direction in ("input", "output"))
    return [
        Device(
            index=index,
            name=told["name"],
            host_api=apis[told["hostapi"]]["name"],
            inputs=told["max_input_channels"],
            outputs=told["max_output_channels"],
            rate_hz=round(told["default_samplerate"]),
            default_input=index == default_input,
            default_output=index == default_output,
        )
        for index, told in enumerate(sd.query_devices())
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
    word, code = f"the {_WORDS[direction]} {device.name!r}", refused.args[1] if len(refused.args) > 1 else None
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
    device: Device, direction: Direction, rate: int, channels: int, latency_s: float, callback: Callback
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


def _called(callback: Callback, direction: Direction, channels: int) -> Callable[[Any, int, Any, Any], None]:
    def heard(buffer: Any, frames: int, time: Any, status: Any) -> None:
        samples = np.frombuffer(buffer, np.int16).reshape(frames, channels)
        callback(samples, _delay(time.currentTime - time.inputBufferAdcTime), bool(status.input_overflow))

    def played(buffer: Any, frames: int, time: Any, status: Any) -> None:
        samples = np.frombuffer(buffer, np.int16).reshape(frames, channels)
        callback(samples, _delay(time.outputBufferDacTime - time.currentTime), bool(status.output_underflow))

    return heard if direction == "input" else played


def _delay(seconds: float) -> float:
    return seconds if 0 < seconds < _LONGEST_DELAY_S else 0.0


# --- what PortAudio and ALSA write on standard error


_CHATTER = (
    b"Expression '",
    b"ALSA lib ",
    b"Cannot connect to server",
    b"jack server",
    b"JackShm",
    b"connect(2) call to ",
    b"attempt to connect to server failed",
)
"""What lines begin with: the last five are those of JACK, where it is installed and does not run."""


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Leave out what the two libraries tell of their own source code; the errors come as such.

    They write past Python, on the file descriptor. What anybody else writes meanwhile goes where it belongs.
    """
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            aside.seek(0)
            others = b"".join(line for line in aside if not _is_chatter(line))
            if others:
                os.write(2, others)


def _is_chatter(line: bytes) -> bool:
    return line.startswith(_CHATTER) or not line.strip()
