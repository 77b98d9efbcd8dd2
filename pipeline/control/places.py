"""Where the sockets are: in a folder that is the user's alone, one a process.

The folder's owner and mode are all the protection there is, so they are looked at before it is used: in a
temporary folder that everybody can write to, somebody else may have been there first.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import frozen

__all__ = ["PATH_LIMIT_BYTES", "NoControl", "Place", "control_folder", "new_socket", "sockets", "supported"]

PATH_LIMIT_BYTES = 103
"""What fits into `sockaddr_un` everywhere: 108 on Linux, 104 on macOS and the BSDs, with the zero at the end."""

_NAME = re.compile(r"(?P<pid>[1-9]\d{0,9})-[0-9a-f]{6}\.sock")


class NoControl(Exception):
    """There can be no control socket; the message says why, in one line."""


@frozen
class Place:
    """The socket of a process."""

    pid: int
    path: Path


def supported() -> bool:
    """Whether this platform has sockets in the file system, and owners of files."""
    return hasattr(socket, "AF_UNIX") and hasattr(os, "getuid")


def control_folder(environ: Mapping[str, str]) -> Path:
    """The folder for this user: in `$XDG_RUNTIME_DIR` where that is the user's, else in the temporary folder."""
    runtime = Path(environ.get("XDG_RUNTIME_DIR") or "-")
    if runtime.is_absolute() and _is_mine(runtime):
        return runtime / "dragoman"
    return Path(environ.get("TMPDIR") or tempfile.gettempdir()) / f"dragoman-{os.getuid()}"


def new_socket(folder: Path) -> Path:
    """The path for this process's socket in `folder`, which is made and checked. Raises: NoControl."""
    path = folder / f"{os.getpid()}-{secrets.token_hex(3)}.sock"
    if len(os.fsencode(path)) > PATH_LIMIT_BYTES:
        raise NoControl(f"{path}: too long for the name of a socket")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as wrong:
        raise NoControl(f"{folder}: {(wrong.strerror or str(wrong)).lower()}") from None
    _check(folder)
    return path


def sockets(folder: Path) -> list[Place]:
    """The processes that listen, by number; what others have left behind is removed. Raises: NoControl."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names, which are looked at before they are paths
    except FileNotFoundError:
        return []
    except OSError as wrong:
        raise NoControl(f"{folder}: {(wrong.strerror or str(wrong)).lower()}") from None
    _check(folder)
    matches = [match for name in names if (match := _NAME.fullmatch(name))]
    places = [Place(int(match["pid"]), folder / match[0]) for match in matches]
    return sorted((place for place in places if _listens(place)), key=lambda place: place.pid)


def _check(folder: Path) -> None:
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise NoControl(f"{folder}: wanted a folder, and it is none")
    if found.st_uid != os.getuid():
        raise NoControl(f"{folder}: belongs to somebody else")
    if found.st_mode & 0o077:
        raise NoControl(f"{folder}: others may enter it: chmod 700 {folder}")


def _is_mine(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.getuid() and folder.is_dir()
    except OSError:
        return False


def _listens(place: Place) -> bool:
    """Whether anybody does; what a process that is gone has left is removed.

    Nobody listens for a moment after a process has made its socket, too: so it is asked whether there is one.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(place.path))
        except FileNotFoundError:
            return False
        except ConnectionRefusedError:
            if not _lives(place.pid):
                with suppress(OSError):
                    place.path.unlink()
            return False
        except OSError:  # busy, perhaps
            return True
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
