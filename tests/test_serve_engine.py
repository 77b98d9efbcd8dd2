"""What an engine does to its sessions: guesses, takes long, fails, falls behind."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import anyio
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.serve.engine import Relay
from pipeline.serve.limits import Limits
from pipeline.stage import Inbox, Outbox, StageError
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import (
    Append,
    AudioDone,
    ErrorEvent,
    SessionUpdate,
    SessionUpdated,
    TextDelta,
    TextDone,
)
from tests.serve_client import PATH, sounds_of, texts_of
from tests.serve_server import (
    SECOND,
    Engine,
    asking,
    keys_in,
    masked,
    ramp,
    server,
    session,
    wait_until,
)

pytestmark = pytest.mark.anyio


async def test_translations_are_told_while_somebody_still_speaks() -> None:
    async def guess(inbox: Inbox, outbox: Outbox) -> None:
        said = "Good morning to all of you."
        async for item in inbox:
            if isinstance(item, Audio):
                words = said.split()[: item.end // SECOND]
                await outbox.send(Text(" ".join(words), 0, item.end_ms, final=False), "text")
            elif item.kind is MarkKind.FLUSH:
                await outbox.send(Text(said, 0, 5000), "text")
                for port in ("text", "audio"):
                    await outbox.send(Mark(MarkKind.UTTERANCE_END, item.start, item.rate), port)

    async with server(engine=Engine(guess), silence_s=0.5) as running, session(running) as speaker:
        for _ in range(3):
            await speaker.say(ramp(SECOND))
        assert (await speaker.find(TextDelta)).delta == "Good"
        await speaker.say(ramp(SECOND))
        done = await speaker.find(TextDone)
        assert done.text == "Good morning to all of you."
        assert (done.start_frame, done.end_frame) == (0, 4 * SECOND)
        await speaker.find(AudioDone)
        assert texts_of(speaker.events) == [done.text]
        assert 'dragoman_first_text_seconds_bucket{le="0.05"} 1.0' in running.service.metrics.text()


async def test_a_language_does_not_change_in_the_middle_of_an_utterance() -> None:
    heard: list[list[tuple[int, int]]] = []

    async def listen(inbox: Inbox, outbox: Outbox) -> None:
        heard.append([])
        async for item in inbox:
            if isinstance(item, Audio):
                heard[-1].append((item.start, item.end))

    engine = Engine(listen)
    async with server(engine=engine) as running, session(running) as speaker:
        engine.stages[0].speaking = True
        await speaker.say(ramp(100))
        await speaker.connection.send(dump_client(SessionUpdate(target_language="en-us")))
        await speaker.find(SessionUpdated)
        await speaker.say(ramp(200))
        await wait_until(lambda: bool(heard[0]) and heard[0][-1][1] == 300)
        assert len(engine.stages) == 1
        engine.stages[0].speaking = False
        await speaker.say(ramp(100))
        await wait_until(lambda: len(engine.stages) == 2)
        await speaker.say(ramp(100))
        await wait_until(lambda: len(heard) == 2 and bool(heard[1]) and heard[1][-1][1] == 500)
        assert heard[0][-1][1] == heard[1][0][0]
        assert engine.stages[0].limiter is not None


@pytest.mark.parametrize(
    ("fault", "code"),
    [(StageError("no weights in /secret"), "engine_failed"), (RuntimeError("?"), "internal_error")],
)
async def test_an_engine_that_fails_ends_its_session_and_no_other(
    fault: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            if isinstance(item, Audio) and item.samples.any():
                raise fault

    async with server(engine=Engine(fail)) as running, session(running) as other, session(running) as speaker:
        await other.say(np.zeros(100, np.int16))
        await speaker.say(ramp(100))
        assert await speaker.refused() == (code, 1011)
        assert "/secret" not in repr(speaker.events)
        await other.connection.send("{")
        assert isinstance(await other.next(), ErrorEvent)
    assert str(fault) in caplog.text


async def test_a_relay_speaks_to_another_service_and_keeps_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMB_API_KEY", "canary-alice")
    async with (
        server(keys=keys_in(tmp_path), silence_s=1.0) as service,
        server(engine=Relay(service.base_url)) as running,
        session(running) as speaker,
    ):
        await speaker.say(ramp(2 * SECOND))
        await speaker.find(AudioDone)
        assert texts_of(speaker.events) == ["[pt-br] utterance 1, 2.0 s"]
        assert sounds_of(speaker.events) == [ramp(2 * SECOND).tobytes()]
        assert "canary" not in repr(speaker.events)


async def test_a_relay_that_is_refused_ends_the_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMB_API_KEY", "canary-mallory")
    async with (
        server(keys=keys_in(tmp_path), silence_s=1.0) as service,
        server(engine=Relay(service.base_url)) as running,
        session(running) as speaker,
    ):
        await speaker.say(ramp(100))
        assert await speaker.refused() == ("engine_failed", 1011)


async def test_a_client_is_slowed_down_by_a_slow_engine_but_not_without_end() -> None:
    async def idle(inbox: Inbox, outbox: Outbox) -> None:
        await anyio.sleep_forever()

    limits = Limits(behind_s=1.0, patience_s=0.1)
    async with (
        server(engine=Engine(idle), limits=limits) as running,
        session(running) as speaker,
        anyio.create_task_group() as tasks,
    ):

        async def talk() -> None:
            with suppress(ConnectionClosed):
                for _ in range(100):
                    await speaker.say(ramp(SECOND))

        tasks.start_soon(talk)
        assert await speaker.refused() == ("server_busy", 1013)


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    async def pour(inbox: Inbox, outbox: Outbox) -> None:
        async for _ in inbox:
            break
        await outbox.send(Text("much", 0, 0), "text")
        for n in range(1000):
            await outbox.send(Audio(np.ones((SECOND, 1), np.int16), SECOND * n, SECOND), "audio")

    async with (
        server(engine=Engine(pour), limits=Limits(send_s=0.2)) as running,
        await anyio.connect_tcp("127.0.0.1", running.port) as stream,
    ):
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}"
        await stream.send(
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await stream.receive()
        for frame in (asking(), dump_client(Append(bytes(4800)))):
            await stream.send(masked(frame))
        await wait_until(lambda: bool(running.sessions))
        await wait_until(lambda: not running.sessions)
    assert 'sessions_ended_total{code="1006"} 1.0' in running.service.metrics.text()
