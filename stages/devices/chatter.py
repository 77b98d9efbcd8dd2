"""What PortAudio and ALSA write on standard error."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_chatter"]

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
def without_chatter() -> Iterator[None]:
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
