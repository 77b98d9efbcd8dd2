"""The server as a whole: health, figures, clients that vanish, stopping in good order."""

from __future__ import annotations

import json

import anyio
import pytest

from pipeline.serve.limits import Limits
from pipeline.serve.listener import Server, serving
from pipeline.stage import Inbox, Outbox
from stages.translate.realtime.events import (
    AudioDone,
    SessionUpdated,
)
from tests.serve_client import PATH, client, sounds_of
from tests.serve_server import (
    SECOND,
    Engine,
    http,
    ramp,
    server,
    service,
    session,
    wait_until,
)

pytestmark = pytest.mark.anyio


async def test_a_stopping_server_tells_what_it_has_and_lets_nobody_in() -> None:
    async with (
        server(silence_s=60.0) as running,
        client(running.base_url) as speaker,
        client(running.base_url) as silent,
    ):
        await speaker.ready()
        await speaker.say(ramp(2 * SECOND + 100))
        await speaker.find(AudioDone)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.stop)
            await wait_until(lambda: running.stopping)
            assert await speaker.closed() == 1001
            assert await silent.closed() == 1001
        assert b"".join(sounds_of(speaker.events)) == ramp(2 * SECOND + 100).tobytes()
        assert (await http(running, f"GET {PATH}"))[0] == 503
        status, body = await http(running, "GET /healthz")
        assert (status, json.loads(body)["status"]) == (503, "stopping")


async def test_a_session_that_does_not_come_to_an_end_is_cut_at_the_deadline() -> None:
    async def never(inbox: Inbox, outbox: Outbox) -> None:
        await anyio.sleep_forever()

    async with server(engine=Engine(never), limits=Limits(drain_s=0.1)) as running, session(running) as speaker:
        await speaker.say(ramp(SECOND))
        await running.stop()
        assert await speaker.closed() == 1001
    assert 'code="1001"} 1.0' in running.service.metrics.text()


async def test_health_and_metrics() -> None:
    async with server() as running, session(running) as speaker:
        await speaker.say(ramp(2 * SECOND))
        await speaker.find(AudioDone)
        status, body = await http(running, "GET /healthz")
        assert status == 200
        assert json.loads(body) == {
            "status": "ok",
            "engine": "echo",
            "sessions": 1,
            "sessions_limit": 32,
            "load": 0.0,
        }
        status, body = await http(running, "GET /metrics")
        assert status == 200
        for line in (
            "dragoman_sessions 1.0",
            "dragoman_utterances_total 1.0",
            "dragoman_audio_seconds_total 2.",
            "dragoman_first_text_seconds_count 1.0",
            "dragoman_first_audio_seconds_count 1.0",
        ):
            assert any(told.startswith(line) for told in body.splitlines()), line
        assert "_created" not in body
        assert (await http(running, "GET /"))[0] == 404
        assert (await http(running, f"GET {PATH}"))[0] == 426


async def test_two_servers_have_figures_of_their_own() -> None:
    async with server() as one, server() as other, session(one):
        assert "dragoman_sessions 1.0" in one.service.metrics.text()
        assert "dragoman_sessions 0.0" in other.service.metrics.text()


async def test_a_port_in_use_is_an_error() -> None:
    async with server() as running:
        with pytest.raises(OSError, match="in use"):
            async with serving(service(), port=running.port):
                pass


async def test_cancelled_hard_it_ends_at_once_though_clients_are_connected() -> None:
    ready, ends = anyio.Event(), anyio.CancelScope()
    running: list[Server] = []

    async def serve() -> None:
        with ends:
            async with serving(service()) as server:
                running.append(server)
                ready.set()
                await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await ready.wait()
        async with client(running[0].base_url) as speaker, client(running[0].base_url) as silent:
            await speaker.ready()
            await speaker.say(ramp(3 * SECOND))
            await speaker.find(AudioDone)
            begun = anyio.current_time()
            ends.cancel()
            for each in (speaker, silent):
                assert await each.closed() in (1001, 1006)
            await wait_until(lambda: not running[0].sessions)
    assert anyio.current_time() - begun < 5


async def test_clients_that_vanish_leave_nothing_behind() -> None:
    async with server() as running:
        for after in range(4):
            async with client(running.base_url) as speaker:
                if after:
                    await speaker.open()
                if after > 1:
                    await speaker.find(SessionUpdated)
                if after > 2:
                    await speaker.say(ramp(3 * SECOND))
                await speaker.cut()
        await wait_until(lambda: not running.sessions)
        assert running.service.admission.sessions == running._opening == 0
        async with session(running):
            pass


async def test_idle_connections_and_slow_handshakes_do_not_disturb_a_session() -> None:
    async with (
        server(limits=Limits(sessions=100, sessions_per_address=100)) as running,
        anyio.create_task_group() as tasks,
    ):
        ready: list[int] = []

        async def idle() -> None:
            async with session(running):
                ready.append(1)
                await anyio.sleep_forever()

        async def slow() -> None:
            async with await anyio.connect_tcp("127.0.0.1", running.port) as stream:
                await stream.send(b"GET ")
                ready.append(1)
                await anyio.sleep_forever()

        for task in [idle] * 20 + [slow] * 20:
            tasks.start_soon(task)
        await wait_until(lambda: len(ready) == 40)
        async with session(running) as speaker:
            await speaker.say(ramp(4 * SECOND))
            for _ in range(2):
                await speaker.find(AudioDone)
        tasks.cancel_scope.cancel()
