"""Keys on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field

from pipeline.cli.exits import Exit
from pipeline.cli.keyboard import Keyboard, keyboard, pausing
from pipeline.cli.views import QuietView
from pipeline.cli.watch import _Interrupts
from pipeline.graph import Graph
from pipeline.node import Read
from pipeline.runner import Execution
from pipeline.testing import Collect, Playlist
from tests.stages_for_tests import Endless

pytestmark = pytest.mark.anyio


@define(kw_only=True)
class Pausable(Endless):
    paused: bool = False


@define
class Heard(QuietView):
    """Keeps what is said."""

    said: list[str] = field(factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)


@contextmanager
def as_input(program: int) -> Iterator[None]:
    """The terminal is standard input meanwhile."""
    with os.fdopen(os.dup(program)) as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", file)
        yield


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """What a person types into, and what a program reads from."""
    person, program = pty.openpty()
    yield person, program
    os.close(person)
    os.close(program)


def is_plain(fd: int) -> bool:
    """Whether the terminal waits for Enter and shows what is typed."""
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO and termios.tcgetattr(fd)[3] & termios.ICANON)


async def until(true: Any) -> None:
    with anyio.fail_after(5):
        while not true():  # noqa: ASYNC110 - a terminal takes its real time
            await anyio.sleep(0.001)


async def test_space_pauses_and_goes_on_and_q_ends(
    anyio_backend: str, terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.tcgetpgrp", lambda fd: os.getpgrp())
    person, program = terminal
    one, other = Pausable(), Pausable(paused=True)
    lossy = [Read(name, when_full="drop_oldest") for name in ("one", "other")]
    graph = Graph().add("one", one).add("other", other)
    execution = Execution(graph.add("a", Collect(), lossy[0]).add("b", Collect(), lossy[1]))
    view, keys = Heard(), Keyboard(program, lambda: None)
    before = termios.tcgetattr(program)
    before[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(program, termios.TCSANOW, before)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        tasks.start_soon(keys.obey, execution, view)
        os.write(person, b" ")
        await until(lambda: one.paused and other.paused)
        os.write(person, b"\x1b[Ax")  # an arrow, and a key of no meaning behind it
        os.write(person, b"p")
        await until(lambda: not one.paused and not other.paused)
        assert not execution.report().stopped
        os.write(person, b"q")
        await until(lambda: execution.report().stopped)
        tasks.cancel_scope.cancel()
    assert view.said == [
        "paused: nothing that is said is heard",
        "listening again",
        "ending: what is under way still arrives",
    ]


async def test_keys_are_listened_to_again_when_another_program_was_in_front(
    anyio_backend: str, terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl-Z, `bg` and `fg`: the shell has set the terminal to what it was, and has read its own keys."""
    person, program = terminal
    stage, front = Pausable(), [True]
    monkeypatch.setattr("os.tcgetpgrp", lambda fd: os.getpgrp() if front[0] else os.getpgrp() + 1)
    monkeypatch.setattr("pipeline.cli.keyboard._LOOK_S", 0.001)
    execution = Execution(Graph().add("one", stage).add("a", Collect(), Read("one", when_full="drop_oldest")))
    plain = termios.tcgetattr(program)
    with as_input(program), keyboard() as keys:
        assert keys is not None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(execution.run)
            tasks.start_soon(keys.obey, execution, Heard())
            await until(lambda: not is_plain(program))
            front[0] = False
            termios.tcsetattr(program, termios.TCSANOW, plain)
            os.write(person, b" \n")
            for _ in range(10):
                await anyio.sleep(0.001)
            assert is_plain(program), "the terminal is another's"
            assert not stage.paused
            await until(lambda: select.select([program], [], [], 0)[0])
            assert os.read(program, 9) == b" \n"
            front[0] = True
            await until(lambda: not is_plain(program))
            os.write(person, b" ")
            await until(lambda: stage.paused)
            front[0] = False
            tasks.cancel_scope.cancel()
    assert not is_plain(program), "another's, too"


async def test_a_terminal_that_is_closed_ends_no_run(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.tcgetpgrp", lambda fd: os.getpgrp())
    person, program = pty.openpty()
    keys, execution = Keyboard(program, lambda: None), Execution(Graph().add("a", Playlist(items=[])))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keys.obey, execution, Heard())
            await anyio.wait_all_tasks_blocked()
            os.close(person)
    await execution.run()
    os.close(program)


def test_the_terminal_is_as_it_was_however_it_ends(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, program = terminal
    monkeypatch.setattr("os.tcgetpgrp", lambda fd: os.getpgrp())  # a terminal of ours, as a shell would have it
    with as_input(program):
        with keyboard() as keys:
            assert keys is not None
            assert not is_plain(program)
            assert termios.tcgetattr(program)[3] & termios.ISIG
        assert is_plain(program)
        with pytest.raises(RuntimeError), keyboard():
            raise RuntimeError
        assert is_plain(program)
        with keyboard() as keys:
            assert keys is not None
            keys.restore()
            assert is_plain(program)


def test_there_are_no_keys_where_input_is_no_terminal_or_another_program_has_it(
    terminal: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, program = terminal
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", file)
        with keyboard() as keys:
            assert keys is None
    monkeypatch.setattr("os.tcgetpgrp", lambda fd: os.getpgrp() + 1)
    with as_input(program), keyboard() as keys:
        assert keys is None
    assert is_plain(program)


def test_only_stages_that_say_so_can_be_paused() -> None:
    microphone = Pausable()
    assert pausing([Collect(), microphone, None]) == [microphone]


async def test_the_terminal_is_restored_before_the_process_is_torn_down(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third interrupt ends what does not let itself be cancelled, and nothing else runs after it."""
    told = list[object]()
    monkeypatch.setattr("os._exit", told.append)
    execution = Execution(Graph().add("a", Playlist(items=[])).add("b", Collect(), "a"))

    @define
    class Drawn(Heard):
        def __exit__(self, *_: object) -> None:
            told.append("undrawn")

    interrupts = _Interrupts(execution, Drawn(), Keyboard(0, lambda: told.append("restored")))
    for number in (1, 2, 3):
        interrupts.count = number
        interrupts._obey()
    await execution.run()  # cancelled, it only closes what it holds
    assert told == ["undrawn", "restored", Exit.INTERRUPTED]
