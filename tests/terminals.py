"""`dragoman` on a pseudo-terminal, with somebody who reads it and presses keys."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from tests.pulse import ROOT, Pulse

__all__ = ["Terminal", "on_a_terminal"]


@define
class Terminal:
    """A person's: what is written on it, and what is typed."""

    fd: int
    process: subprocess.Popen[bytes]
    _written: bytearray = field(factory=bytearray)

    @property
    def shown(self) -> str:
        """All that was ever shown, without colours and cursors, a line for each."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._written.decode("utf-8", "replace")).replace("\r", "\n")

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def read(self) -> None:
        while chunk := _read(self.fd):
            self._written += chunk


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # Linux says so at the end
        return b""


@contextmanager
def on_a_terminal(room: Pulse, *arguments: str) -> Iterator[Terminal]:
    """`dragoman` as the foreground of a terminal of its own."""
    person, program = pty.openpty()
    env = {**room.env, "COLUMNS": "100", "LINES": "30", "TERM": "xterm-256color", "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", _FOREGROUND, *arguments]
    streams: dict[str, Any] = {"stdin": program, "stdout": program, "stderr": program}
    with subprocess.Popen(command, env=env, cwd=ROOT, start_new_session=True, **streams) as process:
        terminal = Terminal(person, process)
        reader = threading.Thread(target=terminal.read)
        reader.start()
        try:
            yield terminal
        finally:
            process.kill()
            process.wait(10)
            mode = termios.tcgetattr(program)[3]
            os.close(program)
            reader.join(10)
            os.close(person)
    assert mode & termios.ECHO, "the terminal was left without echo"


_FOREGROUND = f"""
import fcntl
fcntl.ioctl(0, {termios.TIOCSCTTY}, 0)
from pipeline.cli.main import main
main()
"""
