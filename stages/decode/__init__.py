"""Sound files as audio: any format that libsndfile or FFmpeg reads, in pieces, never the whole file.

What is in the file decides, not its name. What is wrong with a file is one StageError in one line; what is
wrong within it is counted in `Findings`, and the rest is given. All of it is synchronous: the `file` stage runs
it in a thread. The two libraries are only imported when a file is read, FFmpeg's only when libsndfile gives up.
"""

from __future__ import annotations

import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define
from numpy.typing import NDArray

from pipeline.items import Audio, Samples
from pipeline.stage import StageError
from stages.decode.reader import Pieces, Reader, Unreadable

__all__ = ["Findings", "decode"]

_RATES = range(1000, 768_001)
_CHANNELS = range(1, 65)


@define
class Findings:
    """What came to light while a file was read. All but `limited` and `not_finite` are sample-frames.

    `total`: the length of what was asked for, None where the file does not tell. `damaged`: what could not be
    decoded, in the middle, where positions jump. `truncated`: what else lacks of the length that the header
    promises; 1 where it promises none and the decoder gave up. `limited` and `not_finite`: samples beyond full
    scale, and NaN or infinite ones, which become silence.
    """

    rate: int = 0
    total: int | None = None
    damaged: int = 0
    truncated: int = 0
    limited: int = 0
    not_finite: int = 0


def decode(
    path: Path, start_s: float = 0.0, duration_s: float | None = None, findings: Findings | None = None
) -> Generator[Audio]:
    """The sound of a file from `start_s` on, for `duration_s` (None: to its end), in pieces of some seconds.

    Positions count from the beginning of the file. They jump where something in it is damaged. The file is open
    as long as the iterator lives, from its first piece on.

    Raises: StageError where there is no such file, it is no sound that can be read, or there is none in it.
    """
    _check_file(path)
    found = findings if findings is not None else Findings()
    reasons = []
    for open_file in (_open_sndfile, _open_av):
        some = False
        try:
            reader = open_file(path)
            for audio in _given(reader, *_excerpt(path, reader, start_s, duration_s), found):
                yield audio
                some = True
        except Unreadable as reason:
            reasons.append(str(reason))
        else:
            reasons.append(f"no sound in it from {start_s:g} s on" if start_s else "no sound in it")
        if some:
            return
    raise StageError(f"cannot read {str(path)!r} as sound: {'; '.join(dict.fromkeys(reasons))}")


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            path.open("rb").close()  # the libraries would not say that it is the permission
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StageError(f"cannot read {str(path)!r}: {reason}") from error
    except ValueError as error:  # a NUL in the name
        raise StageError(f"cannot read {str(path)!r}: {error}") from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
        raise StageError(f"cannot read {str(path)!r}: wanted a sound file, came {what}")
    if not found.st_size:
        raise StageError(f"cannot read {str(path)!r}: the file is empty")


def _open_sndfile(path: Path) -> Reader:
    from stages.decode.with_sndfile import open_sndfile

    return open_sndfile(path)


def _open_av(path: Path) -> Reader:
    try:
        from stages.decode.with_av import open_av
    except ImportError as error:
        raise Unreadable('if it is AAC, M4A, WebM or video: pip install "dragoman[media]"') from error
    return open_av(path)


def _excerpt(path: Path, reader: Reader, start_s: float, duration_s: float | None) -> tuple[int, int | None]:
    """First and last position of what is wanted, in frames. Raises StageError for headers that cannot be true."""
    if reader.rate not in _RATES or reader.channels not in _CHANNELS:
        raise StageError(
            f"cannot read {str(path)!r}: wanted {_RATES[0]} to {_RATES[-1]} Hz and up to {_CHANNELS[-1]} channels,"
            f" came {reader.rate} Hz and {reader.channels}"
        )
    begin = round(start_s * reader.rate)
    if begin and reader.frames is not None and reader.slack is not None and begin >= reader.frames:
        length_s = reader.frames / reader.rate
        raise StageError(
            f"start: wanted less than {length_s:.3f} s, the length of {str(path)!r}, came {start_s:g} s"
        )
    return begin, None if duration_s is None else begin + round(duration_s * reader.rate)


def _given(reader: Reader, begin: int, end: int | None, found: Findings) -> Iterator[Audio]:
    """What lies from `begin` to `end`, with an account of it in `found`."""
    stop = min((each for each in (reader.frames, end) if each is not None), default=None)
    found.rate, found.total = reader.rate, None if stop is None else max(0, stop - begin)
    place, slack = begin, reader.slack
    try:
        for at, samples in _cut(reader.pieces(begin), begin, end):
            if place > begin or not reader.may_begin_late:
                found.damaged += at - place
            place = at + len(samples)
            yield Audio(_pcm16(samples, found), at, reader.rate)
    except Unreadable:
        if place == begin:
            raise
        stop, slack = max(stop or 0, place + 1), 0
    if place > begin and stop is not None and slack is not None and stop - place > slack:
        found.truncated = stop - place


def _cut(pieces: Pieces, begin: int, end: int | None) -> Pieces:
    """What of `pieces` lies from `begin` to `end`."""
    for at, samples in pieces:
        low = max(0, begin - at)
        high = len(samples) if end is None else min(len(samples), end - at)
        if high > low:
            yield at + low, samples[low:high]
        if end is not None and at + len(samples) >= end:
            return


def _pcm16(samples: NDArray[Any], found: Findings) -> Samples:
    """int16, whatever comes: full scale of floats is 1.0, limited to that, and what is not finite is silence."""
    if samples.dtype == np.int16:
        return samples
    low, high = samples.min(), samples.max()
    if not (low >= -1 and high <= 1):
        samples = _finite(samples, found)
        found.limited += int(np.count_nonzero(np.abs(samples) > 1))
        samples = np.clip(samples, -1, 1)  # before it is scaled: a damaged file has numbers that would overflow
    scaled = np.multiply(samples, 32768, dtype=samples.dtype)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32768, 32767, out=scaled)
    pcm16: Samples = scaled.astype(np.int16)
    return pcm16


def _finite(samples: NDArray[Any], found: Findings) -> NDArray[Any]:
    finite = np.isfinite(samples)
    found.not_finite += int(finite.size - np.count_nonzero(finite))
    return np.where(finite, samples, 0)
