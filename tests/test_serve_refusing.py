"""Every limit is told by its own code, and what a hostile client sends hurts nobody."""

from __future__ import annotations

import random
from pathlib import Path

import anyio
import pytest

from pipeline.serve.limits import Limits
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import (
    Append,
    AudioDone,
    ErrorEvent,
    SessionCreated,
    SessionUpdate,
    TextDone,
)
from tests.serve_client import client, sounds_of
from tests.serve_server import (
    SECOND,
    keys_in,
    ramp,
    server,
    session,
    wait_until,
)
from tests.test_realtime_protocol import CLIENT_FRAMES, mutated

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(sessions=1), "too_many_sessions"),
        (Limits(sessions_per_key=1), "too_many_sessions_for_key"),
        (Limits(sessions_per_address=1), "too_many_sessions_for_address"),
    ],
)
async def test_a_full_server_says_so_and_has_room_again_later(tmp_path: Path, limits: Limits, code: str) -> None:
    async with server(keys=keys_in(tmp_path), limits=limits) as running:
        async with session(running, key="canary-alice"), client(running.base_url) as second:
            await second.open(key="canary-alice")
            assert await second.refused() == (code, 1013)
        async with session(running, key="canary-alice"):
            pass


async def test_connections_that_say_nothing_are_limited() -> None:
    async with server(limits=Limits(opening=2)) as running:
        async with session(running), client(running.base_url) as one, client(running.base_url):
            with pytest.raises((OSError, EOFError, Exception)) as caught:
                async with client(running.base_url):
                    pass
            assert not isinstance(caught.value, AssertionError)
            await one.ready()
            async with session(running):
                pass
        assert 'dragoman_errors_total{code="too_many_connections"} 1.0' in running.service.metrics.text()


async def test_audio_that_is_too_fast_ends_the_session() -> None:
    async with server(limits=Limits(ahead_s=3.0)) as running, session(running) as speaker:
        await speaker.connection.send(dump_client(Append(bytes(200_000))))
        assert await speaker.refused() == ("audio_too_fast", 1008)


async def test_too_large_an_append_is_an_error_and_too_large_a_message_the_end() -> None:
    async with server() as running, session(running) as speaker:
        await speaker.connection.send(dump_client(Append(bytes(300_000))))
        assert isinstance(error := await speaker.next(), ErrorEvent)
        assert error.code == "append_too_large"
        await speaker.connection.send("x" * (1 << 20) + "x")
        assert await speaker.closed() == 1009


async def test_a_client_that_says_nothing_for_long_is_sent_away() -> None:
    async with server(limits=Limits(idle_s=0.2)) as running, session(running) as speaker:
        assert await speaker.refused() == ("session_idle", 1008)


async def test_a_session_has_an_end_and_what_was_said_is_still_told() -> None:
    async with server(limits=Limits(session_s=0.2)) as running, session(running) as speaker:
        await speaker.say(ramp(100))
        assert await speaker.closed() == 1001
        assert sounds_of(speaker.events) == [ramp(100).tobytes()]
        assert isinstance(last := speaker.events[-1], ErrorEvent)
        assert last.code == "session_expired"


async def test_mistakes_are_told_and_too_many_of_them_are_the_end() -> None:
    async with server(limits=Limits(mistakes=5)) as running, session(running) as speaker:
        for _ in range(6):
            await speaker.connection.send("{")
        assert await speaker.closed() == 1008
        codes = [event.code for event in speaker.events if isinstance(event, ErrorEvent)]
        assert codes == ["invalid_json"] * 5 + ["too_many_errors"]


async def test_a_busy_engine_takes_no_more_sessions() -> None:
    async with server(workers=1) as running:
        turns = running.service.turns
        async with session(running) as speaker, client(running.base_url) as second:
            turns.load.change(1, anyio.current_time() - 60)  # a worker has been busy for a minute
            await second.open()
            assert await second.refused() == ("server_busy", 1013)
            await speaker.say(ramp(2 * SECOND))
            await speaker.find(AudioDone)


async def test_whatever_a_client_sends_the_server_lives(pytestconfig: pytest.Config) -> None:
    dice = random.Random(3)
    frames = [frame for frame in CLIENT_FRAMES if "api_key" not in frame]
    left = min(3000, pytestconfig.getoption("fuzz_messages"))
    async with (
        server(limits=Limits(mistakes=10**9, ahead_s=1e9)) as running,
        session(running) as speaker,
        anyio.create_task_group() as tasks,
    ):

        async def talk() -> None:
            for _ in range(left):
                frame = mutated(dice.choice(frames), dice).encode("utf-8", "replace")
                await speaker.connection.send(frame.decode() if dice.random() < 0.9 else frame)
            await speaker.connection.send(dump_client(SessionUpdate("de-de", "ko-kr")))
            await speaker.say(ramp(3 * SECOND))

        tasks.start_soon(talk)
        while not (isinstance(event := await speaker.next(), TextDone) and event.text.startswith("[ko-kr]")):
            assert getattr(event, "code", None) != "internal_error"
        await speaker.find(AudioDone)


async def test_no_first_message_breaks_the_server() -> None:
    dice = random.Random(4)
    async with server() as running:
        for _ in range(60):
            async with client(running.base_url) as speaker:
                frame = mutated(CLIENT_FRAMES[0], dice).encode("utf-8", "replace").decode()
                await speaker.connection.send(frame)
                assert isinstance(await speaker.next(), ErrorEvent | SessionCreated)
        await wait_until(lambda: not running.sessions)
        assert "internal_error" not in running.service.metrics.text()
