"""Files that grow as a run goes on: what every sink writes through. A file is whole after every call.

What a file held gives way to the first thing that is written, or, where all went well and there was nothing, to
nothing. So a run that fails, or is stopped, before it had anything for a file leaves that file as it was.

Writes go straight to the operating system, unbuffered, so that a killed process leaves all that was written.
They happen in the event loop: a block of a tenth of a second costs a few microseconds, a thread would cost more.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TextIO

from attrs import define, field

from pipeline.stage import Inbox, StageError

__all__ = [
    "OutFile",
    "keep_file",
    "line_writer",
    "named",
    "out_file",
    "print_line",
    "probe_file",
    "replace_file",
    "sayable",
]


def named(*suffixes: str) -> Callable[[Path], str | None]:
    """A check for a path option: the name of a file that ends in one of `suffixes` (any, where none is given)."""
    wanted = f"a file name that ends in {' or '.join(suffixes)}" if suffixes else "a file name"

    def check(path: Path) -> str | None:
        fits = not suffixes or Path(path).suffix.lower() in suffixes
        return None if fits and Path(path).name and "\0" not in str(path) else wanted

    return check


def probe_file(path: Path) -> None:
    """Look, before a run, whether `path` can be written; nothing is touched. `-` is standard output.

    Raises: StageError.
    """
    if str(path) == "-":
        return
    try:
        if path.is_dir():
            raise IsADirectoryError
        if not path.parent.is_dir():
            raise FileNotFoundError
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise PermissionError
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def out_file(path: Path, inbox: Inbox | None = None, *, header: bytes = b"") -> Iterator[OutFile]:
    """`path`, open for what comes from `inbox`. It begins with `header`, which is there at once in a new file.

    What it held stays until something is written, or until the block ends well. A block that ends with an
    exception, or because the run was stopped, and wrote nothing leaves it as it was; a new one goes away again.
    Raises StageError where it cannot be opened, or later cannot be written.
    """
    new = not os.path.lexists(path)
    try:
        raw = FileIO(path, "wb", opener=_as_it_is)
    except OSError as error:
        raise _unwritable(path, error) from error
    file = OutFile(path, raw, header)
    try:
        with raw:
            if not os.fstat(raw.fileno()).st_size:
                file.begin()
            yield file
            if inbox is None or not inbox.stopped:
                file.begin()
                new = False
    finally:
        if new and file.size <= len(header):
            path.unlink(missing_ok=True)


def _as_it_is(path: str, flags: int) -> int:
    """An opener that leaves what is in the file."""
    return os.open(path, flags & ~os.O_TRUNC, 0o666)


def keep_file(path: Path, data: bytes) -> None:
    """Put `data` in the place of what `path` holds, for its owner's eyes only: all of it or nothing.

    That holds even when the power goes, and costs a wait for the disk. Raises: OSError.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes) -> None:
    """Have `path` hold `data` instead of what it held: who reads it sees all of the one or of the other.

    Raises: StageError where that cannot be; then it holds what it held.
    """
    place = path.resolve()
    if place.exists() and not place.is_file():
        raise StageError(f"cannot write {str(path)!r}: only a file can be replaced as a whole")
    new = place.with_name(f".{place.name}.new")
    try:
        new.write_bytes(data)
        new.replace(place)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


@contextmanager
def line_writer(path: Path, inbox: Inbox | None = None) -> Iterator[Callable[[str], None]]:
    """A function that writes a line into `path`, or to standard output where that is `-`, and holds none back.

    See `out_file`.
    """
    if str(path) == "-":
        yield partial(print_line, sys.stdout)
        return
    with out_file(path, inbox) as file:
        yield lambda line: file.append(f"{line}\n".encode(errors="backslashreplace"))


def print_line(stream: TextIO, line: str) -> None:
    """Write `line` to a terminal or a pipe at once. What its encoding does not have is written as an escape."""
    try:
        stream.write(f"{sayable(stream, line)}\n")
        stream.flush()
    except OSError as error:
        raise _unwritable(Path(stream.name), error) from error


def sayable(stream: TextIO, text: str) -> str:
    """`text` with escapes for the characters that `stream` cannot encode."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


@define
class OutFile:
    """An open file. Every call does the whole of its work or, raising StageError, leaves what was there before."""

    path: Path
    _raw: FileIO
    _header: bytes = b""
    size: int = 0
    _begun: bool = field(init=False, default=False)

    def begin(self) -> None:
        """Have it hold the header and no more, unless it was begun before."""
        if not self._begun:
            self._begun = True
            self._cut()
            self.append(self._header)

    def append(self, data: bytes | memoryview) -> None:
        """Write `data` behind all the rest."""
        self.begin()
        try:
            self._write(data)
        except OSError as error:
            self._cut()
            raise _unwritable(self.path, error) from error
        self.size += len(data)

    def replace(self, at: int, data: bytes) -> None:
        """Write `data` over what stands `at` bytes from the start."""
        try:
            self._raw.seek(at)
            self._write(data)
            self._raw.seek(self.size)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _write(self, data: bytes | memoryview) -> None:
        done = self._raw.write(data)
        while done < len(data):
            done += self._raw.write(data[done:])

    def _cut(self) -> None:
        """Take back a write that was only half done; a pipe or a device takes nothing back."""
        if stat.S_ISREG(os.fstat(self._raw.fileno()).st_mode):
            self._raw.truncate(self.size)


def _unwritable(path: Path, error: OSError) -> StageError:
    return StageError(f"cannot write {str(path)!r}: {_reason(path, error)}")


def _reason(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: make room on it; what was written so far is whole"
    if isinstance(error, IsADirectoryError):
        return "it is a folder: give the name of a file"
    if isinstance(error, BrokenPipeError):
        return "whoever read it has gone"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"there is no folder {str(path.parent)!r}: make it first, or write elsewhere"
    if isinstance(error, PermissionError):
        return "permission denied: write elsewhere, or change the permissions"
    return (error.strerror or str(error)).lower()
