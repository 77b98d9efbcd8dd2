"""How long a sound file says it is, read from its own header: what shows that the end of it is missing.

Readers of sound quietly take a cut file for a short one. Only the formats whose headers say a length that can
be relied on are looked at: WAV, RF64 and AIFF state the bytes of their data; an MP3 states its frames in a
`Xing`, `Info` or `VBRI` tag, and without one every reader guesses.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["bytes_missing", "tells_length"]

_MOST_CHUNKS = 1000


def bytes_missing(path: Path) -> tuple[int, int]:
    """Of the sound in a WAV, RF64 or AIFF file: the bytes that are there, and those that lack. (0, 0): not known.

    Sizes that writers put there who do not know it yet (a pipe) say nothing: 0, and what lies from 0x7ffff000
    (sox, arecord) to 0x80000000, and from 0xffff0000 (ffmpeg, GStreamer) on.

    Raises: OSError.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        form = file.read(12)
        order = ">" if form[:4] in (b"RIFX", b"FORM") else "<"
        if form[:4] not in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
            return 0, 0
        large = None
        for name, begin, claimed in _chunks(file, order, size):
            if name == b"ds64" and claimed >= 16:
                file.seek(begin + 8)
                (large,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            elif name == b"SSND":  # its first eight bytes say where the sound begins in it
                return _there_and_missing(begin + 8, claimed - 8, size)
            elif name == b"data" and claimed == 0xFFFFFFFF and large:
                return _there_and_missing(begin, large, size)
            elif name == b"data":
                return _there_and_missing(begin, claimed, size) if _is_length(claimed) else (0, 0)
    return 0, 0


def _chunks(file: BinaryIO, order: str, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each chunk, as EA IFF 85 lays them out: padded to an even length."""
    place = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        name, claimed = struct.unpack(f"{order}4sI", head)
        yield name, place + 8, claimed
        place += 8 + claimed + claimed % 2
        if place >= size:
            return


def _is_length(claimed: int) -> bool:
    return 0 < claimed < 0xFFFF0000 and not 0x7FFFF000 <= claimed <= 0x80000000


def _there_and_missing(begin: int, claimed: int, size: int) -> tuple[int, int]:
    there = max(0, size - begin)
    return there, max(0, claimed - there)


def tells_length(path: Path) -> bool:
    """Whether an MP3 file has a tag with its number of frames. It lies in the first frame, behind any ID3 tag."""
    with path.open("rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3" and len(head) == 10:
            # ID3v2.4, section 3.1: a size of four times seven bits, without the header of ten bytes.
            size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            file.seek(10 + size)
        else:
            file.seek(0)
        frame = file.read(4096)
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))
