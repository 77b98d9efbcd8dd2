"""What the two libraries that decode have in common: a reader, and a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["PIECE", "Pieces", "Reader", "Unreadable"]

PIECE = 2**18
"""Samples in a piece, all channels together: 2.7 s of 48 kHz stereo, 1 MB as float32."""

Pieces = Iterator[tuple[int, NDArray[Any]]]
"""Positions in frames, and the samples there: (frames, channels) of int16, or float of which 1.0 is full scale."""


class Unreadable(Exception):
    """Why a library does not read a file, in a few lower-case words."""


class Reader(Protocol):
    """A file whose header has been read, and that is closed again."""

    @property
    def rate(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def frames(self) -> int | None:
        """How long the file says it is; None where it does not."""

    @property
    def slack(self) -> int | None:
        """By how many frames less than `frames` is still no loss; None where `frames` is only a guess."""

    @property
    def may_begin_late(self) -> bool:
        """Whether sound may begin after position 0 with nothing missing, as it can under a picture."""

    def pieces(self, begin: int) -> Pieces:
        """The sound from `begin` (or a little before) on, in order; where positions jump, something is damaged.

        The file is open as long as the generator lives.

        Raises: Unreadable, after all that there was, where the decoder had to give up before the end.
        """
