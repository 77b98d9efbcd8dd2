"""The sink `room`: what a graph gives, in listeners' browsers, on a port of its own."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import numpy as np
import pytest

from pipeline.graph import Graph
from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.node import Read
from pipeline.problems import GraphError
from pipeline.runner import Execution
from pipeline.stage import StageError
from pipeline.testing import Playlist
from stages import sockets
from stages.room.sink import RoomSink
from tests.fakes import FakeInbox, FakeOutbox
from tests.room_people import Listener
from tests.serve_client import client
from tests.serve_server import SOON_S, wait_until

pytestmark = pytest.mark.anyio

TEXTS = [
    Text("Good", 0, 500, "en-us", 1, final=False),
    Text("Good morning.", 0, 1000, "en-us", 1),
    Text("Bom dia.", 0, 1000, "pt-br", 1),
    Mark(MarkKind.UTTERANCE_END, 24000, 24000),
]
SOUND = [Audio(np.full((9600, 1), 7, np.int16), 0, 24000), Mark(MarkKind.UTTERANCE_END, 9600, 24000)]


class Gated(FakeInbox):
    """An inbox whose items come when the test says so."""

    def __init__(self, items: Any, gate: anyio.Event) -> None:
        super().__init__(items)
        self._gate = gate

    async def __anext__(self) -> Item:
        await self._gate.wait()
        return await super().__anext__()

    def __getitem__(self, port: str) -> Gated:
        return Gated({port: self._ports.get(port, ())}, self._gate)


@asynccontextmanager
async def running(sink: RoomSink, items: Any) -> AsyncIterator[anyio.Event]:
    """The sink at work; what it gets comes once the event that is given is set."""
    gate = anyio.Event()
    with anyio.fail_after(SOON_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.run, Gated(items, gate), FakeOutbox())
            await wait_until(lambda: bool(sink.address))
            yield gate


@asynccontextmanager
async def phone(sink: RoomSink, *languages: str, **wish: Any) -> AsyncIterator[Listener]:
    base, _, path = sink.address.partition("/r/")
    async with client(base.replace("http", "ws"), f"/r/{path}/listen-socket") as connected:
        one = Listener(connected.connection)
        await one.say(languages=languages, **wish)
        await one.find("room")
        yield one


async def test_who_listens_everywhere_tells_the_address_that_others_can_reach(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sockets, "_lan_address", lambda: "127.0.0.1")
    sink = RoomSink(name="talk", source_language="en", host="0.0.0.0", port=0)
    async with running(sink, {"text": TEXTS}) as gate, phone(sink, "en-us") as john:
        assert re.search(r"room talk: http://127\.0\.0\.1:\d+/r/talk-\w+", capfd.readouterr().err)
        gate.set()
        await john.find("caption")


@pytest.mark.parametrize(
    ("host", "told"), [("192.168.1.7", "192.168.1.7"), ("talks.example", "talks.example"), ("::1", "[::1]")]
)
def test_an_address_of_this_machine_alone_is_told_as_it_is(host: str, told: str) -> None:
    assert sockets.reachable(host) == told


async def test_texts_and_a_voice_reach_those_who_want_them(capfd: pytest.CaptureFixture[str]) -> None:
    sink = RoomSink(name="talk", title="A talk", source_language="en", language="pt-br", port=0)
    async with (
        running(sink, {"text": TEXTS, "audio": SOUND}) as gate,
        phone(sink, "pt-br", voice="pt-br") as maria,
        phone(sink, "en-us") as john,
    ):
        assert maria.told[0]["title"] == "A talk"
        gate.set()
        assert (await maria.find("caption"))["text"] == "Bom dia."
        await maria.find("voice", event="begin", utterance=1)
        await maria.find("voice", event="end", utterance=1)
        assert maria.sound == SOUND[0].samples.tobytes()  # type: ignore[union-attr]
        assert (await john.find("caption"))["text"] == "Good morning."
        for one in (maria, john):
            await one.has("room", state="ended")
            assert await one.closed() == 1001
    assert capfd.readouterr().err == f"room talk: {sink.address}\n"
    assert sink.counts() == {"captions": 2, "listeners at most": 2, "ms of sound that stalled listeners lost": 0}


async def test_a_language_is_offered_once_it_has_come() -> None:
    sink = RoomSink(port=0)
    async with running(sink, {"text": [*TEXTS, Text("?", 0, 1)]}) as gate, phone(sink) as one:
        assert one.told[0]["languages"] == []
        gate.set()
        info = await one.find("room", state="ended")
        assert [each["tag"] for each in info["languages"]] == ["en-us", "pt-br", "und"]


async def test_in_a_graph() -> None:
    sink = RoomSink(port=0, language="pt-br")
    graph = Graph("talk").add("texts", Playlist(items=TEXTS)).add("sound", Playlist(items=SOUND))
    graph.add("room", sink, reads=["texts", Read("sound", into="audio")])
    with anyio.fail_after(SOON_S):
        report = await Execution(graph).run()
    assert report.balanced
    assert sink.counts()["captions"] == 2


def test_sound_in_an_unknown_language_is_refused_before_it_runs() -> None:
    graph = Graph("talk").add("sound", Playlist(items=SOUND))
    graph.add("room", RoomSink(port=0), reads=Read("sound", into="audio"))
    with pytest.raises(GraphError, match="audio needs `language`"):
        Execution(graph)


def test_a_port_in_use_is_said_before_it_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sink = RoomSink(port=taken.getsockname()[1])
        with pytest.raises(StageError, match=r"cannot listen at \S+: address already in use; give another `port`"):
            sink.probe()


@pytest.mark.parametrize("name", ["Sunday Service", "../x", ""])
def test_a_name_that_no_url_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name: wanted small letters"):
        RoomSink(name=name)


async def test_the_address_is_a_secret_unless_it_is_open_on_purpose() -> None:
    sinks = [RoomSink(port=0), RoomSink(port=0), RoomSink(port=0, open=True)]
    addresses = []
    for sink in sinks:
        async with running(sink, {"text": []}) as gate:
            addresses.append(sink.address.partition("/r/")[2])
            gate.set()
    assert addresses[2] == "room"
    assert len(set(addresses)) == 3
    assert all(len(address) == len("room-") + 12 for address in addresses[:2])


async def test_nobody_speaks_or_watches_there() -> None:
    sink = RoomSink(port=0, open=True)
    for part in ("speak", "watch", "speak-socket", "watch-socket"):
        found = sink._answer(f"/r/room/{part}")
        assert found is not None
        assert found.status == 404
    assert sink._answer("/r/room/listen-socket") is None
