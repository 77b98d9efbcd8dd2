"""A graph that runs in a process of its own, for the commands that look into it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.control.places import control_folder, sockets
from tests.test_cli_process import started

__all__ = ["LIVE", "live", "private", "until"]

SOON_S = 30.0

LIVE = """
name: sunday
stages:
  talk: {use: tone, duration: 1h, rate: 24000, realtime: true}
  loud: {use: gain, from: {stage: talk, buffer: 2s, when_full: drop_oldest}, db: -6}
  interpreter: {use: translate, from: loud, engine: echo, source_language: en-us, target_language: pt-br}
  see: {use: jsonl, from: interpreter.text, path: texts.jsonl}
"""


@contextmanager
def private() -> Iterator[dict[str, str]]:
    """The environment of a user whom nobody else looks in on. A short path: a socket's name has little room."""
    with TemporaryDirectory(prefix="dgm") as folder:
        yield {"XDG_RUNTIME_DIR": folder}


@contextmanager
def live(folder: Path, *arguments: str, graph: str = LIVE) -> Iterator[subprocess.Popen[str]]:
    """`graph` runs in `folder`, and can be looked into."""
    (folder / "g.yaml").write_text(graph)
    before = len(sockets(control_folder(os.environ)))
    with started(["run", "g.yaml", "-q", *arguments], folder) as process:
        until(lambda: len(sockets(control_folder(os.environ))) > before, process)
        yield process


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until it is so, while the process runs."""
    deadline = time.monotonic() + SOON_S
    while not true():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
