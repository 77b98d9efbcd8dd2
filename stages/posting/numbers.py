"""The numbers of posts, kept in a file so that they go on after a restart.

A number is written down before it is used for the first time: a process that is killed leaves one out at worst,
and never gives two posts the same, of which a service would take the second for a repetition.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from attrs import define, field

from pipeline.stage import StageError
from stages.out_file import keep_file

__all__ = ["Numbers", "default_path", "fingerprint"]

LARGEST = 1 << 53
"""A number beyond it would not survive JSON."""


def fingerprint(address: str) -> str:
    """What tells a stream's address from others and does not give it away."""
    return hashlib.sha256(address.encode()).hexdigest()[:16]


def default_path(stream: str) -> Path:
    """Where the number of the stream with the fingerprint `stream` is kept if no other place is named.

    That is the user's state directory (freedesktop.org, XDG Base Directory Specification 0.8), on Windows that of
    local data. Raises: StageError where nobody knows the user's home.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise StageError(
            "there is no home directory to keep the number of the last caption in: name a file"
        ) from None
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    else:
        root = os.environ.get("XDG_STATE_HOME") or home / ".local" / "state"
    return Path(root) / "dragoman" / "captions" / f"{stream}.json"


@define
class Numbers:
    """Numbers from 1 on for the stream with the fingerprint `stream`, kept at `path`. Everything blocks a little.

    The folder is made where `makes_folder`. A file of another stream is begun again at 1.
    """

    path: Path
    stream: str
    makes_folder: bool = False
    last: int = field(init=False, default=0)

    def load(self) -> None:
        """Read the last number, and change nothing. Raises StageError where the file is none of ours."""
        try:
            kept = json.loads(self.path.read_bytes())
            last, stream = kept["seq"], kept["stream"]
        except FileNotFoundError:
            if not (self.makes_folder or self.path.parent.is_dir()):
                raise self._trouble(f"there is no folder {str(self.path.parent)!r}: make it first") from None
            return
        except OSError as error:
            raise self._trouble((error.strerror or str(error)).lower()) from None
        except (ValueError, KeyError, TypeError):
            last = stream = None
        if type(last) is not int or not 0 <= last < LARGEST:
            raise self._trouble("it holds no number of a post: name another file, or delete it to begin at 1")
        self.last = last if stream == self.stream else 0

    def take(self) -> int:
        """The next number, written down. Raises StageError where it cannot be."""
        text = json.dumps({"stream": self.stream, "seq": self.last + 1})
        try:
            if self.makes_folder:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            keep_file(self.path, text.encode())
        except OSError as error:
            raise self._trouble((error.strerror or str(error)).lower()) from None
        self.last += 1
        return self.last

    def _trouble(self, what: str) -> StageError:
        return StageError(f"cannot keep the number of the last caption in {str(self.path)!r}: {what}")
