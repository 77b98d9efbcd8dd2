"""Single keys while a run is on a terminal: space pauses and goes on, q ends.

The terminal is told not to wait for Enter and not to show what is typed; Ctrl-C stays what it is. However the run
ends, the terminal is as it was: `restore` may be called at any time, and more than once. While another program is
in front (Ctrl-Z and `bg`), the terminal is not touched: who does so from behind is stopped by the system.
"""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, Protocol

import anyio
from attrs import define, field

from pipeline.cli.watch import View
from pipeline.runner import Execution

__all__ = ["HINT", "PAUSE", "Keyboard", "can_listen", "keyboard", "pausing"]

HINT = "space pauses, q ends"
PAUSE, _END = " p", "q\x04"
_LOOK_S = 0.25
"""How soon after Ctrl-Z and `fg` keys are listened to again."""
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|.)?", re.DOTALL)
"""What arrows and other keys send that are no letters (ECMA-48, control sequences)."""


class _Pausing(Protocol):
    paused: bool


def pausing(stages: Iterable[Any]) -> list[_Pausing]:
    """Those of `stages` that can be paused: microphones."""
    return [stage for stage in stages if hasattr(type(stage), "paused")]


@contextmanager
def keyboard() -> Iterator[Keyboard | None]:
    """The keys of the terminal that standard input is; None where it is none, or another program's in front."""
    keys = _opened()
    try:
        yield keys
    finally:
        if keys is not None:
            keys.restore()


@define
class Keyboard:
    """The keys that are pressed, and what they do."""

    fd: int
    restore: Callable[[], None] = field(repr=False)

    async def obey(self, execution: Execution, view: View) -> None:
        """Do what the keys say, for as long as there are any."""
        await self.heed(lambda key: _obey(key, execution, view))

    async def heed(self, press: Callable[[str], None]) -> None:
        """Call `press` with each key, for as long as there are any."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_single)
            await self._read(press)
            tasks.cancel_scope.cancel()

    async def _keep_single(self) -> None:
        """A shell that was in front meanwhile has set the terminal to what it was."""
        while True:
            if _in_front(self.fd):
                _take_single(self.fd)
            await anyio.sleep(_LOOK_S)

    async def _read(self, press: Callable[[str], None]) -> None:
        while True:
            await anyio.wait_readable(self.fd)
            if not _in_front(self.fd):  # somebody else's keys
                await anyio.sleep(_LOOK_S)
                continue
            if not select.select([self.fd], [], [], 0)[0]:  # somebody else was quicker: a read would wait
                continue
            pressed = os.read(self.fd, 64)
            if not pressed:
                return
            for key in _SEQUENCE.sub(b"", pressed).decode("ascii", "replace"):
                press(key)


def _obey(key: str, execution: Execution, view: View) -> None:
    if key in PAUSE:
        stages = pausing(node.stage for node in execution.plan.nodes.values())
        paused = not all(stage.paused for stage in stages)
        for stage in stages:
            stage.paused = paused
        if stages:
            view.say("paused: nothing that is said is heard" if paused else "listening again")
    elif key in _END:
        execution.stop()
        view.say("ending: what is under way still arrives")


def can_listen() -> bool:
    """Whether standard input is a terminal in front, of a kind whose keys can be waited for."""
    try:
        return find_spec("termios") is not None and sys.stdin.isatty() and _in_front(sys.stdin.fileno())
    except ValueError:  # closed
        return False


def _in_front(fd: int) -> bool:
    """Whether the keys of this terminal are for us."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # it is gone
        return False


def _opened() -> Keyboard | None:
    if not can_listen():
        return None
    import termios  # here: Windows has none, and its consoles cannot be waited for

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def restore() -> None:
        if _in_front(fd):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)

    _take_single(fd)
    return Keyboard(fd, restore)


def _take_single(fd: int) -> None:
    """Have the terminal give each key at once."""
    import termios
    import tty

    with suppress(termios.error):  # it has gone meanwhile
        if termios.tcgetattr(fd)[3] & termios.ICANON:
            tty.setcbreak(fd, termios.TCSADRAIN)
