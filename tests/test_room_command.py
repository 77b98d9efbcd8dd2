"""`dragoman serve --room` as a user meets it: what it refuses, and the links that it prints."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import anyio
import pytest
from attrs import define
from click.testing import CliRunner

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.cli import serving
from pipeline.cli.main import cli
from pipeline.cli.room import Plan, links
from pipeline.cli.serving import _let_speak
from pipeline.serve.room.hall import Settings
from pipeline.stage import Inbox, Outbox, StageError
from stages import sockets
from stages.room.keys import RoomKeys
from stages.room.qr import qr_code
from tests.room_people import KEYS, Listener, listener, room
from tests.serve_client import client

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "graphs" / "samples" / "en_demo.flac"
LINK = re.compile(r"^dragoman: (listeners|speaker|operator): +(http\S+)$", re.M)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--room", "Sunday Service"],
            2,
            "--room 'Sunday Service': a room's name has small letters, digits and hyphens",
        ),
        (["--room", "--room-source", "xx"], 2, "--room-source xx: wanted a language"),
        (["--room", "--room-languages", "pt-br,xx"], 2, "--room-languages xx: wanted a language"),
        (["--room", "--rooms-file", "BROKEN"], 2, "BROKEN: this is no file of rooms"),
        (["--room", "--rooms-file", "BROKEN/rooms"], 2, "--rooms-file BROKEN/rooms: "),
        (["--room", "--rooms-file", "/proc/rooms/rooms"], 2, "--rooms-file /proc/rooms/rooms: "),
        (["--room", "--room-file", "BROKEN"], 2, "--room-file: nobody says what is spoken: give --room-source"),
        (["--room", "--room-file", "BROKEN", "--room-source", "en"], 1, "--room-file: "),
        (["--room", "--room-file", "BROKEN", "--room-microphone"], 2, "cannot both speak"),
        (["--room-file", "BROKEN"], 2, "--room-file needs a room: give --room too"),
        (["--room-microphone"], 2, "--room-microphone needs a room: give --room too"),
        (["--room-title", "hello"], 2, "--room-title needs a room: give --room too"),
        (["--max-listeners", "500"], 2, "--max-listeners needs a room: give --room too"),
        (["--no-qr"], 2, "--qr needs a room: give --room too"),
        (["--room", "--max-listeners", "0"], 2, "--max-listeners"),
        (["--host", "0.0.0.0"], 2, "lets anybody in"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("BROKEN").write_text("canary")
    where = ["--rooms-file", "rooms"] if "--room" in arguments and "--rooms-file" not in arguments else []
    result = CliRunner().invoke(cli, ["serve", "--engine", "echo", "--port", "0", *where, *arguments])
    assert message in result.stderr
    assert "canary" not in result.stderr
    assert result.exit_code == code
    assert not Path("rooms").exists(), "a room that never was is not kept"


def test_a_room_is_kept_once_its_port_is_had(tmp_path: Path) -> None:
    rooms = tmp_path / "rooms"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = ["--port", str(taken.getsockname()[1]), "--rooms-file", str(rooms)]
        result = CliRunner().invoke(cli, ["serve", "--engine", "echo", "--room", *where])
    assert (result.exit_code, result.stderr.count("cannot listen at")) == (1, 1)
    assert not rooms.exists()


def test_a_language_without_a_way_to_it_is_refused(tmp_path: Path) -> None:
    arguments = ["--room-source", "en-us", "--room-languages", "ko-kr", "--rooms-file", str(tmp_path / "rooms")]
    result = CliRunner().invoke(cli, ["serve", "--port", "0", "--room", *arguments])
    assert "--room-languages ko-kr: no route from en-us to ko-kr" in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "opening"),
    [([], 300), (["--max-opening", "128"], 128), (["--max-opening", "7"], 7), (["--max-listeners", "9"], 128)],
)
def test_all_listeners_may_come_at_once_unless_a_limit_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], opening: int
) -> None:
    found = list[int]()
    monkeypatch.setattr(serving, "serve", lambda service, *_: found.append(service.limits.opening))
    room = ["--room", "--rooms-file", str(tmp_path / "rooms"), "--max-listeners", "300"]
    assert CliRunner().invoke(cli, ["serve", "--engine", "echo", *room, *arguments]).exit_code == 0
    assert found == [opening]


def plan() -> Plan:
    return Plan(RoomKeys("sunday-1a", "canary-s", "canary-o"), Settings(), None, qr=False)


def test_the_links_lead_to_the_three_pages() -> None:
    lines = list(links(plan(), "ws://127.0.0.1:8765"))
    assert lines[:3] == [
        "listeners: http://127.0.0.1:8765/r/sunday-1a",
        "speaker:   http://127.0.0.1:8765/r/sunday-1a/speak?key=canary-s",
        "operator:  http://127.0.0.1:8765/r/sunday-1a/watch?key=canary-o",
    ]
    assert "--host 0.0.0.0" in lines[3]
    assert "--tls-cert" in list(links(plan(), "ws://192.168.1.20:8765"))[3]
    assert (
        next(iter(links(plan(), "wss://talks.example:443"))) == "listeners: https://talks.example:443/r/sunday-1a"
    )
    assert len(list(links(plan(), "wss://talks.example:443"))) == 3


@pytest.mark.parametrize("base", ["ws://0.0.0.0:8765", "ws://[::]:8765"])
def test_who_listens_everywhere_gets_the_address_that_others_can_reach(
    monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    monkeypatch.setattr(sockets, "_lan_address", lambda: "192.168.1.7")
    assert next(iter(links(plan(), base))) == "listeners: http://192.168.1.7:8765/r/sunday-1a"


def test_the_qr_code_is_drawn_with_half_blocks() -> None:
    drawn = qr_code("http://127.0.0.1:8765/r/sunday-1a")
    assert len(drawn.splitlines()) > 10
    assert set(drawn) <= {"█", "▀", "▄", " ", "\n"}


@define(kw_only=True)
class Source:
    """Speaks until it is told to end, or fails with `fault`."""

    fault: Exception | None = None

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(24000, 1)}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        if self.fault is not None:
            raise self.fault
        await anyio.sleep_forever()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (StageError("it is unplugged"), "nobody speaks any more: it is unplugged"),
        (ZeroDivisionError(), "nobody speaks any more: something went wrong"),
    ],
)
async def test_what_happens_to_a_local_speaker_does_not_end_the_room(
    capfd: pytest.CaptureFixture[str], fault: Exception, said: str
) -> None:
    async with room(Settings(source="en-us")) as server, listener(server, "en-us") as maria:
        assert server.hall is not None
        await _let_speak(server.hall, Plan(KEYS, Settings(), Source(fault=fault), qr=False))
        assert said in capfd.readouterr().err
        await maria.find("room", state="waiting")


@pytest.mark.anyio
async def test_a_room_that_ends_does_not_say_that_it_stays_open(capfd: pytest.CaptureFixture[str]) -> None:
    async with room(Settings(source="en-us")) as server, listener(server, "en-us") as maria:
        assert server.hall is not None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_let_speak, server.hall, Plan(KEYS, Settings(), Source(), qr=False))
            await maria.find("room", state="live")
            await server.stop()
        assert capfd.readouterr().err == ""


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[anyio.abc.Process, dict[str, str], str]]:
    """The command as a process of its own, its links, and what else it has said until then."""
    command = [sys.executable, "-m", "pipeline", "serve", "--engine", "echo", "--port", "0", "--room", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    with anyio.fail_after(60):
        async with await anyio.open_process(command, stdout=subprocess.DEVNULL, env=environment) as process:
            assert process.stderr is not None
            said = ""
            while len(found := dict(LINK.findall(said))) < 3 or not said.endswith("\n"):
                said += (await process.stderr.receive()).decode()
            try:
                yield process, found, said
            finally:
                if process.returncode is None:
                    process.kill()


@pytest.mark.anyio
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_the_links_are_the_same_next_sunday_and_a_recording_can_speak(tmp_path: Path, backend: str) -> None:
    rooms = ["sunday", "--rooms-file", str(tmp_path / "rooms.json"), "--backend", backend, "--log-level", "debug"]
    async with running(*rooms) as (process, first, said):
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert "█" not in said
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    arguments = [*rooms, "--port", port, "--qr", "--room-file", str(SAMPLE), "--room-source", "en"]
    async with running(*arguments) as (process, second, said):
        old, new = (re.sub(r":\d+/", "/", links["speaker"]) for links in (first, second))
        assert old == new
        assert f":{port}/r/sunday-" in second["listeners"]
        base, _, path = second["listeners"].partition("/r/")
        async with client(base.replace("http", "ws"), f"/r/{path}/listen-socket") as connected:
            phone = Listener(connected.connection)
            await phone.say(languages=["pt-br"])
            assert (await phone.find("caption"))["text"] == "[pt-br] utterance 1, 2.0 s"
            process.send_signal(signal.SIGTERM)
            assert await phone.closed() == 1001
        assert process.stderr is not None
        log = b"".join([part async for part in process.stderr]).decode()
        assert await process.wait() == 0
        key = second["speaker"].partition("key=")[2]
        assert key
        assert key not in log
        assert (said + log).count(key) == 1
