"""Reads what libsndfile reads: WAV, FLAC, MP3, Ogg, Opus, AIFF, CAF and more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from attrs import frozen
from numpy.typing import NDArray

from stages.decode.header import bytes_missing, tells_length
from stages.decode.reader import PIECE, Pieces, Unreadable

__all__ = ["SndfileReader", "open_sndfile"]

# What decodes to floats may exceed full scale, and libsndfile's conversion of that to int16 wraps round.
_FLOATS = {"DOUBLE": "float64", "FLOAT": "float32", "VORBIS": "float32", "OPUS": "float32"}
_UNKNOWN_FRAMES = 2**62  # libsndfile's SF_COUNT_MAX, for a FLAC that was streamed
_HOP = 4096  # the usual length of a FLAC frame: the least that damage takes away
_MP3_SLACK = 2 * 1152  # encoders' delay and padding, which not every tag states


def open_sndfile(path: Path) -> SndfileReader:
    """Raises: Unreadable where libsndfile does not know the format, or finds its header damaged."""
    try:
        with soundfile.SoundFile(_name(path)) as file:
            frames, slack = _length(file, path)
            dtype = "float32" if file.subtype.startswith("MPEG") else _FLOATS.get(file.subtype, "int16")
            resumes = file.format == "FLAC"
            return SndfileReader(path, file.samplerate, file.channels, frames, slack, dtype, resumes)
    except soundfile.LibsndfileError as error:
        raise Unreadable(_words(error)) from error


def _name(path: Path) -> str | bytes:
    """Elsewhere than on Windows a name is bytes, which need not be UTF-8."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _words(error: soundfile.LibsndfileError) -> str:
    return f"libsndfile: {error.error_string.removeprefix('Error : ').rstrip('.').lower()}"


def _length(file: soundfile.SoundFile, path: Path) -> tuple[int | None, int | None]:
    """The frames that the file says it has, and how far that may be off (None: a guess)."""
    frames: int = file.frames
    if frames >= _UNKNOWN_FRAMES:
        return None, None
    if file.format in ("FLAC", "OGG"):
        return frames, 0
    if file.format == "MP3":
        return frames, _MP3_SLACK if tells_length(path) else None
    if file.format in ("WAV", "WAVEX", "RF64", "AIFF"):
        there, missing = bytes_missing(path)
        return frames + (frames * missing // there if there else 0), 0
    return frames, None


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A file read from front to back.

    soundfile seeks to where it is after every read of a file that can seek. That takes time, and makes
    libmpg123 complain on stderr of valid MP3s, whose frames borrow bits from those before.
    """

    def seekable(self) -> bool:
        return False

    def go_to(self, frame: int) -> None:
        """Raises: LibsndfileError where the file is damaged there."""
        if super().seekable():
            self.seek(frame)
            return
        while frame > 0 and (done := len(self.read(min(frame, _HOP), dtype="int16"))):
            frame -= done


@frozen
class SndfileReader:
    """A Reader of `path`, in `dtype`.

    `resumes`: the decoder gives up where the file is damaged, and says so. Those of other formats skip the damage
    and go on; to seek past it would give the same sound twice.
    """

    path: Path
    rate: int
    channels: int
    frames: int | None
    slack: int | None
    dtype: str
    resumes: bool
    may_begin_late: bool = False

    def pieces(self, begin: int) -> Pieces:
        """Where the decoder gives up, it is tried again further on, further each time, up to the end."""
        place, hop = begin, _HOP
        while True:
            try:
                for samples in self._stretch(place):
                    yield place, samples
                    place, hop = place + len(samples), _HOP
                return
            except soundfile.LibsndfileError as error:
                place, hop = place + hop, hop * 2
                if not self.resumes or self.frames is None or place >= self.frames:
                    raise Unreadable(_words(error)) from error

    def _stretch(self, place: int) -> Iterator[NDArray[Any]]:
        """The sound from `place` to the end. Raises: LibsndfileError where the decoder gives up."""
        with _Sequential(_name(self.path)) as file:
            if place:
                file.go_to(place)
            while True:
                samples = np.empty((max(1, PIECE // self.channels), self.channels), self.dtype)
                try:
                    samples = samples[: len(file.read(out=samples))]
                except soundfile.LibsndfileError:
                    # What was decoded before the damage is in the buffer; the file's position says how much.
                    yield samples[: max(0, file.tell() - place)]
                    raise
                if not len(samples):
                    return
                yield samples
                place += len(samples)
