"""Reads with PyAV (FFmpeg) what libsndfile does not: AAC, M4A, WebM, the sound of a video, rarer codecs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from stages.decode.reader import PIECE, Pieces, Unreadable

__all__ = ["AvReader", "open_av"]

# No playlists: they name other files and addresses, which a recording has no business to make us read.
_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,gsm,matroska,mov,mp3,mpeg,mpegts,ogg,rm,tak,tta,"
    "w64,wav,webm,wv"
)
_STATES_LENGTH = ("matroska", "mov")  # the rest is reckoned from the bit rate, or from the last page
_PREROLL_S = 0.5  # decoders of AAC and Opus need some frames before they are right
_JITTER_S = 0.1  # timestamps of live recordings waver; what is more is a hole
_MOST_S = 600.0  # a longer jump is a wrong timestamp, not a hole


def open_av(path: Path) -> AvReader:
    """Raises: Unreadable where FFmpeg does not know the format, or finds no sound in it."""
    try:
        with _open(path) as container:
            stream = container.streams.best("audio")
            if stream is None or stream.codec_context is None or not stream.rate or not stream.channels:
                raise Unreadable("FFmpeg: no sound in it that it can decode")
            frames = _frames(container, stream)
            states = any(name in container.format.name for name in _STATES_LENGTH)
            slack = round(stream.rate * _JITTER_S) if states else None
            return AvReader(path, stream.rate, stream.channels, frames, slack)
    except (av.error.FFmpegError, ValueError) as error:  # ValueError: a name that is no UTF-8
        raise Unreadable(_words(error)) from error


def _open(path: Path) -> Any:
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    return av.open(f"file:{path}", options=options, metadata_errors="replace")


def _frames(container: Any, stream: Any) -> int | None:
    if stream.duration:
        return int(stream.duration * stream.time_base * stream.rate)
    if container.duration and len(container.streams) == 1:
        return int(container.duration * stream.rate / av.time_base)
    return None


def _words(error: Exception) -> str:
    return f"FFmpeg: {str(getattr(error, 'strerror', None) or error).rstrip('.').lower()}"


@frozen
class AvReader:
    """A Reader of `path`."""

    path: Path
    rate: int
    channels: int
    frames: int | None
    slack: int | None
    may_begin_late: bool = True

    def pieces(self, begin: int) -> Pieces:
        """Positions are the timestamps', so that what could not be decoded leaves a hole of its own length."""
        with _open(self.path) as container:
            stream = container.streams.best("audio")
            if begin:
                _seek(container, begin / self.rate - _PREROLL_S)
            yield from _gathered(self._placed(_decoded(container, stream), begin), self.channels)

    def _placed(self, frames: Iterator[_Decoded], begin: int) -> Pieces:
        """Floats of (frames, channels) at the file's rate, each with its position."""
        convert = _Converter(self.rate)
        place: int | None = None
        for decoded in frames:
            place = self._place(place, decoded, begin)
            for samples in convert(decoded.frame):
                yield place, samples
                place += len(samples)

    def _place(self, place: int | None, decoded: _Decoded, begin: int) -> int:
        """Where a frame lies that would follow at `place`: there, unless its time tells of a hole before it."""
        said = place if decoded.time_s is None else round(decoded.time_s * self.rate)
        most = round(_MOST_S * self.rate)
        if place is None or said is None:
            return said if said is not None and 0 <= said <= begin + most else begin
        jitter = 0 if decoded.after_damage else round(_JITTER_S * self.rate)
        return said if place + jitter < said <= place + most else place


@frozen
class _Decoded:
    frame: Any
    time_s: float | None
    after_damage: bool


def _seek(container: Any, time_s: float) -> None:
    if time_s > 0:
        with suppress(av.error.FFmpegError):  # where it cannot, all is decoded and what comes before is cut off
            container.seek(round(time_s * av.time_base) + (container.start_time or 0))


def _decoded(container: Any, stream: Any) -> Iterator[_Decoded]:
    """Every frame that can be decoded, with its time in seconds from the file's beginning.

    Raises: Unreadable at the end where the last of it could not be decoded.
    """
    begin_s = (container.start_time or 0) / av.time_base
    damage: av.error.FFmpegError | None = None
    packets: Iterator[Any] = container.demux(stream)
    packet: Any = packets
    while packet is not None:
        try:
            packet = next(packets, None)
            for frame in packet.decode() if packet is not None else ():
                time_s = None if frame.pts is None else frame.pts * float(frame.time_base) - begin_s
                yield _Decoded(frame, time_s, damage is not None)
                damage = None
        except av.error.FFmpegError as error:
            damage = error  # the time of the next frame tells how much was lost
    if damage is not None:
        raise Unreadable(_words(damage)) from damage


@define
class _Converter:
    """Frames of whatever format to floats of (frames, channels), at `rate` and in the channels of the first."""

    rate: int
    _layout: Any = field(init=False, default=None)
    _came: Any = field(init=False, default=None)
    _resampler: Any = field(init=False, default=None)

    def __call__(self, frame: Any) -> Iterator[NDArray[np.float32]]:
        came = (frame.format.name, frame.layout.name, frame.rate)
        if came != self._came:
            self._layout = self._layout or frame.layout
            self._came = came
            self._resampler = av.AudioResampler("flt", self._layout, self.rate)
        for packed in self._resampler.resample(frame):
            yield packed.to_ndarray().reshape(packed.samples, -1)


def _gathered(pieces: Pieces, channels: int) -> Pieces:
    """The same in larger pieces: codecs give 20 ms at a time, and every piece costs a turn of the event loop."""
    held: list[NDArray[Any]] = []
    begin = end = 0
    try:
        for place, samples in pieces:
            if held and (place != end or (end - begin) * channels >= PIECE):
                yield begin, np.concatenate(held)
                held = []
            begin = begin if held else place
            held.append(samples)
            end = place + len(samples)
    except Unreadable:
        if held:
            yield begin, np.concatenate(held)
        raise
    if held:
        yield begin, np.concatenate(held)
