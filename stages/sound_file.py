"""Writes sound files block by block: WAV with a header that is true after every block, the rest with libsndfile.

What a killed process leaves, by suffix:

- `.wav`: every block that was written.
- `.flac`: all but the last, unfinished FLAC frame of up to 4096 sample-frames.
- `.mp3`: all but what the encoder holds, up to a tenth of a second. (Constant bit rate: a file of variable bit
  rate has its length in a table that is only written at the end, and until then players guess it wrong.)
- `.ogg`, `.opus`: all but the last page of the container: a second or two of speech, more of silence.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from anyio.lowlevel import checkpoint
from attrs import define, field, frozen
from numpy.typing import NDArray

from pipeline.items import Audio, Samples
from pipeline.stage import Inbox, StageError
from stages.out_file import OutFile, named, out_file

__all__ = ["SUFFIXES", "SoundWriter", "rate_problem", "sound_name", "sound_writer", "wav_header"]


@frozen
class _Format:
    """A format of libsndfile's, and the rates and channels that its encoder can do without failing or crashing."""

    format: str
    subtype: str
    rates: Container[int]
    rates_text: str
    channels: int
    options: Mapping[str, Any] = field(factory=dict)


_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_CONSTANT = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}  # 80 kbit/s at 24 kHz, 160 at 48 kHz
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_FORMATS: Mapping[str, _Format | None] = {
    ".wav": None,
    ".flac": _Format("FLAC", "PCM_16", range(1, 655351), "1 to 655350", 8),
    ".ogg": _Format("OGG", "VORBIS", range(8000, 192001), "8000 to 192000", 8),
    ".opus": _Format("OGG", "OPUS", _OPUS_RATES, ", ".join(map(str, _OPUS_RATES)), 8),
    ".mp3": _Format("MP3", "MPEG_LAYER_III", _MP3_RATES, ", ".join(map(str, _MP3_RATES)), 2, _CONSTANT),
}
SUFFIXES = tuple(_FORMATS)
sound_name = named(*SUFFIXES)
"""A check for a path option: a file name whose suffix says which of the formats to write."""


def rate_problem(path: Path, rate: int | None) -> str | None:
    """Why the format of `path` cannot hold sound at `rate` Hz, and what to do, else None."""
    form = _FORMATS[path.suffix.lower()]
    if form is None or rate is None or rate in form.rates:
        return None
    wanted = f"{path.suffix} files have a rate of {form.rates_text} Hz"
    return f"{wanted}, this is {rate} Hz: put a `resample` before it, or write another format"


def wav_header(frames: int, rate: int, channels: int) -> bytes:
    """The 80 bytes that stand before `frames` sample-frames of PCM16; RF64 where RIFF's 4 GiB do not suffice.

    The place of RF64's `ds64` chunk, which must come first, is held by a `JUNK` chunk of the same size, as
    EBU Tech 3306 (1.0, section 3.4) and ITU-R BS.2088 lay it out.
    """
    data = frames * channels * 2
    riff = _HEADER.size - 8 + data
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    if riff <= _MAX_RIFF:
        return _HEADER.pack(b"RIFF", riff, b"WAVE", b"JUNK", 28, bytes(28), b"fmt ", 16, form, b"data", data)
    sizes = struct.pack("<QQQI", riff, data, frames, 0)
    return _HEADER.pack(b"RF64", _IN_DS64, b"WAVE", b"ds64", 28, sizes, b"fmt ", 16, form, b"data", _IN_DS64)


_HEADER = struct.Struct("<4sI4s4sI28s4sI16s4sI")
_IN_DS64 = 0xFFFFFFFF
_MAX_RIFF = _IN_DS64 - 1


class _Encoder(Protocol):
    def write(self, samples: Samples) -> None: ...

    def close(self) -> None: ...


@contextmanager
def sound_writer(path: Path, inbox: Inbox | None = None) -> Iterator[SoundWriter]:
    """Write a sound file; whatever happens within, what was written is finished at the end. See `out_file`."""
    with out_file(path, inbox) as file:
        writer = SoundWriter(file)
        try:
            yield writer
            if inbox is None or not inbox.stopped:
                writer.begin()
        finally:
            writer.close()


@define
class SoundWriter:
    """Takes blocks of sound, all of one rate and number of channels, and puts them one behind the other.

    Nothing taken: an empty file at 24 kHz, mono (one frame of silence in the formats that cannot be empty).
    """

    _file: OutFile
    _rate: int = 24000
    _channels: int = 1
    _encoder: _Encoder | None = None
    frames: int = 0

    def write(self, audio: Audio) -> None:
        """Raises: StageError where the rate or the channels change, do not fit the format, or the disk is full."""
        if self._encoder is None:
            self._rate, self._channels = audio.rate, audio.channels
            self._encoder = self._open()
        self._check_same(audio)
        self._encoder.write(audio.samples)
        self.frames += audio.frames

    async def write_all(self, blocks: Iterable[Audio]) -> None:
        """The same for blocks of which there may be many, as in a long silence: others run in between."""
        for number, block in enumerate(blocks):
            if number:
                await checkpoint()
            self.write(block)

    def begin(self) -> None:
        """Make it a sound file, also where nothing was taken."""
        if self._encoder is None:
            self._encoder = self._open()

    def close(self) -> None:
        """Finish what was begun."""
        if self._encoder is not None:
            self._encoder.close()

    def _open(self) -> _Encoder:
        form = _FORMATS[self._file.path.suffix.lower()]
        if form is None:
            return _Wav(self._file, self._rate, self._channels)
        if problem := rate_problem(self._file.path, self._rate):
            raise StageError(f"cannot write {str(self._file.path)!r}: {problem}", code=2)
        if self._channels > form.channels:
            raise StageError(
                f"cannot write {str(self._file.path)!r}: {form.subtype} has at most {form.channels} channels, "
                f"this has {self._channels}: put a `resample` with `channels: {form.channels}` before it",
                code=2,
            )
        return _Encoded(self._file, form, self._rate, self._channels)

    def _check_same(self, audio: Audio) -> None:
        if (audio.rate, audio.channels) != (self._rate, self._channels):
            raise StageError(
                f"cannot write {str(self._file.path)!r}: it began with {self._rate} Hz and {self._channels} "
                f"channels, now {audio.rate} Hz and {audio.channels} came: put a `resample` before it"
            )


@define
class _Wav:
    _file: OutFile
    _rate: int
    _channels: int
    _frames: int = 0

    def __attrs_post_init__(self) -> None:
        self._file.append(wav_header(0, self._rate, self._channels))

    def write(self, samples: Samples) -> None:
        if len(samples):
            self._file.append(np.ascontiguousarray(samples, "<i2").data.cast("B"))
            self._frames += len(samples)
            self._file.replace(0, wav_header(self._frames, self._rate, self._channels))

    def close(self) -> None:
        pass


@define
class _Sink:
    """What libsndfile writes into. Its callbacks cannot raise, so that an error is kept until it can be."""

    _file: OutFile
    _at: int = 0
    fault: StageError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, data: bytes) -> int:
        if self.fault is None:
            try:
                self._put(data)
            except StageError as fault:
                self.fault = fault
        self._at += len(data)
        return len(data)

    def _put(self, data: bytes) -> None:
        over = max(0, min(len(data), self._file.size - self._at))
        if over:
            self._file.replace(self._at, data[:over])
        if over < len(data):
            self._file.append(data[over:])


class _Encoded:
    """A file that libsndfile encodes."""

    def __init__(self, file: OutFile, form: _Format, rate: int, channels: int) -> None:
        import soundfile

        self._file, self._form, self._rate, self._channels = file, form, rate, channels
        self._sink = _Sink(file)
        self._frames = 0
        self._encoder = soundfile.SoundFile(
            self._sink, "w", rate, channels, form.subtype, format=form.format, **form.options
        )

    def write(self, samples: Samples) -> None:
        """A second at a time: encoders take blocks of any length, some of them on the stack."""
        for at in range(0, len(samples), self._rate):
            block = samples[at : at + self._rate]
            self._encoder.write(_as_float(block) if self._form.format == "MP3" else block)
            self._frames += len(block)
            self._check()
        if self._form.format == "FLAC" and self._frames:
            self._count_flac()

    def close(self) -> None:
        if self._sink.fault is not None:
            self._encoder.close()
            return
        if not self._frames:
            self._encoder.write(np.zeros((1, self._channels), np.int16))
        self._encoder.close()
        self._check()

    def _check(self) -> None:
        if self._sink.fault is not None:
            raise self._sink.fault

    def _count_flac(self) -> None:
        """Say in the file how many frames it has so far; libFLAC does so only at the end, readers trip over it.

        The eight bytes 18 to 25 hold 20 bits of rate, 3 of channels, 5 of sample size and 36 of frames
        (RFC 9639, section 8.2). libFLAC lets go of a block of 4096 when the frame after it has come.
        """
        whole = (self._frames - 1) // 4096 * 4096
        fields = self._rate << 44 | (self._channels - 1) << 41 | 15 << 36 | whole
        self._file.replace(18, fields.to_bytes(8, "big"))


def _as_float(samples: Samples) -> NDArray[np.float32]:
    """The same sound from -1 to 1: libsndfile 1.2.2 distorts stereo that it gets as int16 for MP3."""
    return samples.astype(np.float32) / np.float32(32768)
