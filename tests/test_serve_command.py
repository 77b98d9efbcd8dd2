"""`dragoman serve` as a user meets it: what it refuses, what it prints, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from click.testing import CliRunner

from pipeline.cli.commands.serve import LIMITS
from pipeline.cli.main import cli
from pipeline.control.client import connected, processes
from pipeline.control.places import control_folder
from pipeline.serve.limits import Limits
from stages.translate.realtime.events import AudioDone
from tests.looking import private
from tests.serve_client import client
from tests.serve_server import SECOND, ramp

SERVING = re.compile(r"^dragoman: serving (wss?://\S+)/v1/realtime \(engine echo, .+\)$", re.M)


def refused(*arguments: str) -> tuple[int, str]:
    """Exit code and what is said of a command that does not serve."""
    result = CliRunner().invoke(cli, ["serve", "--engine", "echo", "--port", "0", *arguments])
    return result.exit_code, result.stderr


def test_the_defaults_are_those_of_the_limits() -> None:
    assert {name: default for _, name, default, _ in LIMITS}.items() <= {
        name: getattr(Limits(), name) for name in Limits.__slots__ if not name.startswith("_")
    }.items()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--host", "0.0.0.0"], 2, "lets anybody in: give --api-key-file FILE, or --open"),
        (["--host", "nowhere.invalid", "--open"], 1, "cannot listen at nowhere.invalid:0"),
        (["--api-key-file", "missing"], 2, "does not exist"),
        (["--tls-key", "KEYS"], 2, "--tls-key needs --tls-cert"),
        (["--tls-cert", "KEYS"], 2, "no certificate with its key in KEYS"),
        (["--api-key-file", "EMPTY"], 2, "wanted an API key a line, came none"),
        (["--api-key-file", "LATIN"], 2, "LATIN: not UTF-8 at byte 1"),
        (["--load", "en-us:xx"], 2, "--load en-us:xx: 'xx' is not supported"),
        (["--load", "en-us"], 2, "--load en-us: wanted FROM:TO"),
        (["--max-sessions", "0"], 2, "--max-sessions"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("KEYS").write_text("canary\n")
    Path("EMPTY").write_text("# nobody\n")
    Path("LATIN").write_bytes(b"k\xff")
    came, said = refused(*arguments)
    assert message in said
    assert "canary" not in said
    assert came == code


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(cli, ["serve", "--engine", "echo", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "address already in use" in result.stderr


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[anyio.abc.Process, str]]:
    """The command as a process of its own, and the address that it prints."""
    command = [sys.executable, "-m", "pipeline", "serve", "--engine", "echo", "--port", "0", *arguments]
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"}
    with anyio.fail_after(60):
        async with await anyio.open_process(command, stdout=subprocess.DEVNULL, env=environment) as process:
            assert process.stderr is not None
            said = ""
            while (found := SERVING.search(said)) is None:
                said += (await process.stderr.receive()).decode()
            try:
                yield process, found[1]
            finally:
                if process.returncode is None:
                    process.kill()


@pytest.mark.anyio
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_it_serves_until_it_is_told_to_stop_and_says_goodbye(tmp_path: Path, backend: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text("canary-key\n")
    arguments = ["--api-key-file", str(keys), "--backend", backend, "--log-level", "debug"]
    async with running(*arguments) as (process, address), client(address) as speaker:
        await speaker.ready(key="canary-key")
        await speaker.say(ramp(2 * SECOND))
        await speaker.find(AudioDone)
        process.send_signal(signal.SIGTERM)
        assert await speaker.closed() == 1001
        assert process.stderr is not None
        log = b"".join([part async for part in process.stderr])
        assert await process.wait() == 0
        assert b"stopping: 1 session may end" in log
        assert b"canary" not in log


@pytest.mark.anyio
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_its_user_can_look_in_and_sees_the_ledger_of_every_session(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    with private() as environ:
        monkeypatch.setenv("XDG_RUNTIME_DIR", environ["XDG_RUNTIME_DIR"])
        folder = control_folder(os.environ)
        async with running("--backend", backend) as (process, address), client(address) as speaker:
            created = await speaker.ready()
            await speaker.say(ramp(SECOND))
            await speaker.find(AudioDone)
            (found,) = await processes(folder)
            assert (found.place.pid, found.command, found.names) == (process.pid, "serve", [created.id])
            async with connected(found.place.path) as watcher:
                await watcher.say("watch")
                assert (await watcher.next() or {})["graphs"][0]["name"] == created.id
                process.send_signal(signal.SIGTERM)
                await speaker.closed()
                told = [message async for message in watcher]
            assert await process.wait() == 0
        assert [message["type"] for message in told[-2:]] == ["ledger", "over"]
        assert (told[-2]["graph"], told[-2]["report"]["balanced"]) == (created.id, True)
        assert await processes(folder) == []
        async with running("--backend", backend, "--no-control"):
            assert await processes(folder) == []


@pytest.mark.anyio
async def test_encrypted(tmp_path: Path) -> None:
    import ssl

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with running("--tls-cert", str(cert), "--tls-key", str(key)) as (process, address):
        assert address.startswith("wss://")
        async with client(address, ssl=trusting) as speaker:
            await speaker.ready()
            await speaker.say(ramp(100))
            await speaker.find(AudioDone)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
