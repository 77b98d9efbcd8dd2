"""`dragoman pause`: from another process, and only what can be paused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.control.places import control_folder, sockets
from tests.looking import live, private, until
from tests.test_cli_process import finished, started

PAUSABLE = """
import anyio
import stages
from attrs import define
from tests.stages_for_tests import Endless

@define(kw_only=True)
class Ear(Endless):
    live: bool = True
    paused: bool = False

    async def run(self, inbox, outbox):
        was = False
        while True:
            if self.paused != was:
                was = self.paused
                print("deaf" if was else "listening", flush=True)
            await anyio.sleep(0.01)

stages.KINDS = stages.KINDS | {"ear": Ear}
from pipeline.cli.main import main
main()
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with private() as environ:
        monkeypatch.setenv("XDG_RUNTIME_DIR", environ["XDG_RUNTIME_DIR"])
        yield


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_source_is_paused_and_goes_on(tmp_path: Path, backend: str) -> None:
    (tmp_path / "g.yaml").write_text(
        "name: talk\nstages:\n  ear: {use: ear}\n  out: {use: jsonl, from: ear, path: out.jsonl}\n"
    )
    with started(["run", "g.yaml", "-q", "--backend", backend], tmp_path, PAUSABLE) as run:
        assert run.stdout is not None
        until(lambda: bool(sockets(control_folder(os.environ))), run)
        for arguments, told, heard in ((["talk"], "is paused", "deaf"), (["--off"], "goes on", "listening")):
            result = finished(["pause", *arguments], tmp_path)
            assert (result.returncode, result.stdout.decode()) == (0, f"talk: ear {told}\n"), result.stderr
            assert run.stdout.readline() == f"{heard}\n"


def test_what_cannot_be_paused_is_said(tmp_path: Path) -> None:
    with live(tmp_path):
        result = finished(["pause"], tmp_path)
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr == b"dragoman: error: nothing in it can be paused: only a microphone can\n"
