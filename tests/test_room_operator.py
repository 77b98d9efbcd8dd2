"""What whoever runs a room sees: graphs, lag, listeners, and the ledger of what has ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import anyio
import pytest
from attrs import define, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.serve.listener import Server
from pipeline.serve.room.hall import Settings
from pipeline.stage import Inbox, Outbox
from stages.translate.realtime.events import TranscriptCompleted
from tests.room_people import KEYS, ROOM, Listener, listener, room, speaker
from tests.serve_client import client
from tests.serve_server import SECOND, http, ramp, wait_until

pytestmark = pytest.mark.anyio


async def test_an_operator_sees_everything_that_goes_on() -> None:
    settings = Settings(source="en-us", languages=("pt-br",), grace_s=0.0)
    async with room(settings) as running, client(running.base_url, f"{ROOM}/watch-socket") as connected:
        operator = Listener(connected.connection)
        await operator.say(key=KEYS.operator)
        assert (await operator.find("snapshot"))["state"] == "waiting"
        async with listener(running, "pt-br", voice="pt-br") as maria:
            await maria.find("ready")
            async with speaker(running) as pastor:
                await pastor.say(ramp(2 * SECOND))
                await pastor.find(TranscriptCompleted)
                await maria.find("voice", event="end")
                seen = await operator.find("snapshot", state="live")
                while not seen["lag"]["heard"]["n"]:
                    seen = await operator.find("snapshot")
        graphs = {graph["name"]: graph for graph in seen["graphs"]}
        assert list(graphs) == ["pt-br captions", "recognition"]
        assert {stage["name"] for stage in graphs["pt-br captions"]["stages"]} >= {"fed", "shown", "spoken"}
        assert {edge["producer"] for edge in graphs["recognition"]["edges"]} >= {"ears"}
        assert seen["lag"]["shown"]["n"] == 2
        assert 0 <= seen["lag"]["heard"]["p50_s"] <= seen["lag"]["heard"]["p95_s"] < 5
        assert seen["listeners"] == {"pt-br": {"count": 1, "voices": 1, "dropped_s": 0.0}}
        assert seen["names"] == {"en-us": "English (US)", "pt-br": "Português (Brasil)"}
        assert [each["state"] for each in seen["sessions"]] == ["live"]
        ledger = await operator.find("ledger")
        assert ledger["graph"] == "pt-br captions"
        assert ledger["report"]["balanced"]
        assert not ledger["report"]["lost"]
        assert "canary" not in json.dumps(operator.told)
        told = running.service.watched.audiences["room"]()
        assert (told["lag"], told["people"]) == (seen["lag"], 0), "`dragoman top` is told the same"
        _, figures = await http(running, "GET /metrics")
        for line in ('room_lag_seconds{quantile="0.95",until="heard"}', 'room_listeners{language="pt-br"} 0.0'):
            assert f"dragoman_{line}" in figures


async def test_when_the_room_ends_an_operator_gets_the_last_ledgers_and_sees_that_it_has_ended() -> None:
    async with (
        room(Settings(source="en-us", languages=("pt-br",)), silence_s=60.0) as running,
        client(running.base_url, f"{ROOM}/watch-socket") as connected,
        listener(running, "pt-br") as maria,
        speaker(running) as pastor,
    ):
        operator = Listener(connected.connection)
        await operator.say(key=KEYS.operator)
        await operator.find("snapshot", state="live")
        await maria.find("ready")
        await pastor.say(ramp(SECOND))
        await wait_until(lambda: running.hall is not None and running.hall.intake.position == SECOND)
        await running.stop()
        assert await operator.closed() == 1001
        ledgers = {each["graph"]: each["report"] for each in operator.told if each["type"] == "ledger"}
        assert set(ledgers) == {"pt-br captions", "recognition"}
        assert all(report["balanced"] for report in ledgers.values())
        last = operator.told[-1]
        assert (last["type"], last["state"], last["graphs"]) == ("snapshot", "ended", [])


async def test_figures_of_what_is_no_more_are_not_told() -> None:
    figure = 'dragoman_room_listeners{language="fr-ca"} '
    async with room(Settings()) as running:
        async with listener(running, "fr-ca") as marie:
            await wait_until(lambda: running.hall is not None and bool(running.hall.room.listeners))
            assert f"{figure}1.0" in (await http(running, "GET /metrics"))[1]
            async with speaker(running, "fr-fr"):
                await marie.find("room", source="fr-fr")
                assert f"{figure}1.0" in (await http(running, "GET /metrics"))[1], "she is still there"
        await wait_until(lambda: running.hall is not None and not running.hall.room.listeners)
        assert figure not in (await http(running, "GET /metrics"))[1]


@define(kw_only=True)
class Ear:
    """A microphone in all but the device: what it hears it gives at once, until it is paused."""

    when_changed: Callable[[], None] | None = None
    lost: str = ""
    _paused: bool = field(init=False, default=False)

    accepts: ClassVar[Mapping[str, Port]] = {}
    live: ClassVar[bool] = True

    @property
    def paused(self) -> bool:
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._paused = paused
        assert self.when_changed is not None
        self.when_changed()

    def lose(self, lost: str) -> None:
        self.lost = lost
        assert self.when_changed is not None
        self.when_changed()

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(SECOND, 1)}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        await anyio.sleep_forever()


@asynccontextmanager
async def watched(running: Server) -> AsyncIterator[Listener]:
    """An operator whose key was the right one."""
    async with client(running.base_url, f"{ROOM}/watch-socket") as connected:
        operator = Listener(connected.connection)
        await operator.say(key=KEYS.operator)
        await operator.find("snapshot")
        yield operator


async def heeded(operator: Listener) -> None:
    """Wait until all that the operator said before must have been read."""
    for _ in range(3):
        await operator.find("snapshot")


async def test_an_operator_pauses_a_microphone_of_this_machine_and_everybody_sees_that() -> None:
    ear = Ear()
    async with (
        room(Settings(source="en-us")) as running,
        watched(running) as operator,
        watched(running) as other,
        listener(running, "en-us") as maria,
        anyio.create_task_group() as tasks,
    ):
        assert running.hall is not None
        assert operator.told[-1]["microphone"] is None
        await operator.say("pause", paused=True)  # there is nothing to pause
        await heeded(operator)
        tasks.start_soon(running.hall.let_speak, ear)
        await operator.find("snapshot", microphone={"paused": False, "lost": ""}, state="live")
        await operator.say("pause", paused=True)
        await maria.find("room", state="paused")
        assert ear.paused
        await other.find("snapshot", microphone={"paused": True, "lost": ""}, state="paused")
        ear.paused = False  # as the terminal does, and `dragoman pause`
        await maria.find("room", state="live")
        await operator.find("snapshot", microphone={"paused": False, "lost": ""}, state="live")
        ear.paused = True
        async with speaker(running) as pastor:
            await pastor.status(state="live", paused=False)
            await operator.find("snapshot", microphone={"paused": True, "lost": ""}, state="live")
        await maria.find("room", state="live")
        await maria.find("room", state="paused")
        await running.stop()
        await other.find("snapshot", state="ended", microphone=None)


async def test_a_microphone_that_is_lost_is_told_and_nobody_is_live() -> None:
    ear = Ear()
    async with (
        room(Settings(source="en-us")) as running,
        watched(running) as operator,
        listener(running, "en-us") as maria,
        anyio.create_task_group() as tasks,
    ):
        assert running.hall is not None
        tasks.start_soon(running.hall.let_speak, ear)
        await maria.find("room", state="live")
        for lost, state in (("lost the microphone 'usb'", "paused"), ("", "live")):
            ear.lose(lost)
            await maria.find("room", state=state)
            await operator.find("snapshot", state=state, microphone={"paused": False, "lost": lost})
        ear.lose("lost the microphone 'usb'")
        async with speaker(running) as pastor:
            await pastor.status(state="live")  # the browser is not
        await running.stop()


async def test_nobody_else_pauses_it_and_an_operator_only_in_plain_words() -> None:
    ear = Ear()
    async with (
        room(Settings(source="en-us")) as running,
        watched(running) as operator,
        listener(running, "en-us") as maria,
        client(running.base_url, f"{ROOM}/watch-socket") as connected,
        anyio.create_task_group() as tasks,
    ):
        assert running.hall is not None
        tasks.start_soon(running.hall.let_speak, ear)
        stranger = Listener(connected.connection)
        await stranger.say("pause", paused=True, key=KEYS.speaker)
        assert await stranger.closed() == 1008
        await maria.say("pause", paused=True)
        async with speaker(running) as pastor:
            await pastor.pause()
            await pastor.status(paused=True)
            assert not ear.paused
        for said in ({"paused": 1}, {"paused": "true"}, {}, {"paused": True, "more": "x" * 1000}):
            await operator.say("pause", **said)
        await operator.connection.send(b'{"type":"pause","paused":true}')
        await operator.connection.send("[" * 900)
        await operator.say("paused", paused=True)
        await heeded(operator)
        assert operator.told[-1]["microphone"] == {"paused": False, "lost": ""}
        await operator.say("pause", paused=True)
        await operator.find("snapshot", microphone={"paused": True, "lost": ""})
        await running.stop()


@pytest.mark.parametrize("hello", [{"key": KEYS.speaker}, {"key": "x"}, {"key": 7}, {}, {"type": "choose"}])
async def test_only_the_operators_key_lets_watch(hello: dict[str, object]) -> None:
    async with room() as running, client(running.base_url, f"{ROOM}/watch-socket") as connected:
        stranger = Listener(connected.connection)
        await connected.connection.send(json.dumps({"type": "hello", **hello}))
        assert (await stranger.next())["code"] == "invalid_api_key"  # type: ignore[call-overload]
        assert await stranger.closed() == 1008


async def test_a_page_of_another_site_cannot_watch_even_with_the_key() -> None:
    headers = {"origin": "https://elsewhere.example"}
    async with (
        room() as running,
        client(running.base_url, f"{ROOM}/watch-socket", additional_headers=headers) as connected,
    ):
        stranger = Listener(connected.connection)
        assert (await stranger.next())["code"] == "foreign_origin"  # type: ignore[call-overload]
        assert await stranger.closed() == 1008
