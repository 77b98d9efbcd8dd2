"""Who holds the speaker's key and does not speak yet, and what a room says of itself while somebody begins to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pipeline.serve.listener import Server
from stages.translate.realtime.events import SessionConfig, SessionStarting
from tests.room_people import KEYS, ROOM, Listener, listener, room, speaker
from tests.serve_client import client
from tests.serve_server import SECOND, Slow, ramp

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def waiting(running: Server, key: object = KEYS.speaker) -> AsyncIterator[Listener]:
    """Somebody with this key."""
    async with client(running.base_url, f"{ROOM}/meet-socket") as connected:
        person = Listener(connected.connection)
        await person.say(key=key)
        yield person


async def test_who_waits_to_speak_sees_who_listens() -> None:
    async with room() as running, waiting(running) as pastor:
        info = await pastor.find("room")
        assert (info["state"], info["source"]) == ("waiting", "en-us")
        await pastor.find("room.status", listeners=0, by_language={})
        async with listener(running, "pt-br"):
            await pastor.find("room.status", listeners=1, by_language={"pt-br": 1})
            async with speaker(running) as other:
                await pastor.find("room", state="live")
                await other.say(ramp(SECOND))
        await pastor.find("room.status", listeners=0)
        await running.stop()
        assert await pastor.closed() == 1001


@pytest.mark.parametrize("key", [None, 7, "", "canary-operator", KEYS.speaker + "x"])
async def test_another_key_is_told_at_once(key: object) -> None:
    async with room() as running, waiting(running, key) as pastor:
        assert await pastor.closed() == 1008
        assert [each["type"] for each in pastor.told] == ["error"]
        assert pastor.told[0]["code"] == "invalid_api_key"
        assert "speaker's link" in pastor.told[0]["message"]


async def test_a_room_is_live_once_somebody_can_be_heard() -> None:
    engine = Slow()
    async with (
        room(engine=engine) as running,
        listener(running, "en-us") as maria,
        speaker(running, ready=False) as pastor,
    ):
        await pastor.open(SessionConfig("en-us"), KEYS.speaker)
        await pastor.find(SessionStarting)
        assert running.hall is not None
        assert running.hall.speaker is not None
        assert running.hall.room.board.state == "waiting"
        engine.gate.set()
        await maria.find("room", state="live")


async def test_who_comes_back_in_a_pause_is_not_live_for_a_moment() -> None:
    async with room() as running, listener(running, "en-us") as maria:
        async with speaker(running, ready=False) as pastor:
            await pastor.pause()
            await pastor.ready(SessionConfig("en-us"), KEYS.speaker)
            await maria.find("room", state="paused")
            await pastor.pause(False)
            await maria.find("room", state="live")
        await maria.find("room", state="waiting")
        states = [each["state"] for each in maria.told if each["type"] == "room"]
        assert states == ["waiting", "paused", "live", "waiting"]


async def test_a_pause_without_the_key_is_nobodys() -> None:
    async with room() as running, listener(running, "en-us") as maria, speaker(running):
        await maria.find("room", state="live")
        async with speaker(running, key="wrong", ready=False) as other:
            await other.pause()
            await other.open(SessionConfig("en-us"), "wrong")
            assert await other.refused_later() == ("invalid_api_key", 1008)
        assert running.hall is not None
        assert not running.hall.paused


async def test_a_voice_says_how_late_it_is() -> None:
    async with (
        room() as running,
        listener(running, "pt-br", voice="pt-br") as maria,
        speaker(running) as pastor,
    ):
        await maria.find("ready")
        await pastor.say(ramp(SECOND))
        begun = await maria.find("voice", event="begin")
        assert 0 <= begun["behind_ms"] < 5000
