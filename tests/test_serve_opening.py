"""Who is let in, with what, and that a key shows nowhere."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipeline.serve.limits import Limits
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import (
    Append,
    AudioDone,
    ErrorEvent,
    SessionStarting,
    SessionUpdated,
)
from tests.serve_client import client
from tests.serve_server import (
    SECOND,
    Slow,
    asking,
    http,
    keys_in,
    ramp,
    server,
    session,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("{", "invalid_json", None),
        (b"\0\0", "session_not_started", None),
        (dump_client(Append(b"")), "session_not_started", "type"),
        (asking(target_language=None), "missing_field", "session.target_language"),
        (asking(target_language="xx-yy"), "unsupported_language", "session.target_language"),
        (asking(source_language="\0"), "unsupported_language", "session.source_language"),
        (asking(mode="turbo"), "unsupported_mode", "session.mode"),
        (asking(output_modalities=[]), "unsupported_modality", "session.output_modalities"),
        (
            asking(output_modalities=["x"]),
            "unsupported_modality",
            "session.output_modalities",
        ),
        (asking(speaker_setup="x"), "unsupported_speaker_setup", "session.speaker_setup"),
        (
            asking(voice={"type": "cloned", "voice_id": 7}),
            "unsupported_voice",
            "session.voice",
        ),
        (
            asking(source_language_candidates=["en-us"] * 11),
            "too_many_candidates",
            "session.source_language_candidates",
        ),
    ],
)
async def test_what_cannot_be_a_session_is_told_why_and_closed(
    frame: str | bytes, code: str, param: str | None
) -> None:
    async with server() as running, client(running.base_url) as speaker:
        await speaker.connection.send(frame)
        assert await speaker.refused() == (code, 1008)
        assert isinstance(error := speaker.events[0], ErrorEvent)
        assert error.param == param


async def test_the_first_message_must_come_in_time() -> None:
    async with server(limits=Limits(first_message_s=0.05)) as running, client(running.base_url) as speaker:
        assert await speaker.refused() == ("session_not_started", 1008)


async def test_while_models_load_the_session_starts_and_takes_no_audio() -> None:
    engine = Slow()
    async with server(engine=engine) as running, client(running.base_url) as speaker:
        await speaker.open()
        assert await speaker.next() == SessionStarting()
        await speaker.say(ramp(100))
        error = await speaker.next()
        assert isinstance(error, ErrorEvent)
        assert error.code == "session_not_ready"
        engine.gate.set()
        await speaker.find(SessionUpdated)
        await speaker.say(ramp(2 * SECOND))
        await speaker.find(AudioDone)


@pytest.mark.parametrize(
    ("body", "header", "code"),
    [
        (None, None, "missing_api_key"),
        ("", None, "missing_api_key"),
        ("canary-mallory", None, "invalid_api_key"),
        ("canary-alice", "canary-mallory", "invalid_api_key"),  # the header wins
    ],
)
async def test_without_a_valid_key_nobody_gets_in(
    tmp_path: Path, body: str | None, header: str | None, code: str
) -> None:
    headers = {} if header is None else {"x-api-key": header}
    async with (
        server(keys=keys_in(tmp_path)) as running,
        client(running.base_url, additional_headers=headers) as speaker,
    ):
        await speaker.open(key=body)
        assert await speaker.refused() == (code, 1008)
        assert isinstance(error := speaker.events[0], ErrorEvent)
        assert error.error_type == "authentication_error"


@pytest.mark.parametrize(
    ("body", "header"), [("canary-alice", None), (None, "canary-bob"), ("canary-mallory", "canary-bob")]
)
async def test_a_key_comes_in_the_first_message_or_in_a_header(
    tmp_path: Path, body: str | None, header: str | None
) -> None:
    headers = {} if header is None else {"X-API-Key": header}
    async with (
        server(keys=keys_in(tmp_path)) as running,
        session(running, key=body, additional_headers=headers) as speaker,
    ):
        await speaker.say(ramp(2 * SECOND))
        await speaker.find(AudioDone)


async def test_a_key_is_in_no_log_no_error_and_no_metric(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    # The client's own logs are its own affair.
    quiet = logging.getLogger("nobody")
    quiet.propagate, quiet.disabled = False, True
    async with server(keys=keys_in(tmp_path), limits=Limits(mistakes=1, sessions_per_key=1)) as running:
        async with session(running, key="canary-alice", logger=quiet) as speaker:
            async with client(running.base_url, logger=quiet) as second:
                await second.open(key="canary-alice")
                assert await second.refused() == ("too_many_sessions_for_key", 1013)
            await speaker.connection.send('{"type": "canary-alice"}')
            await speaker.connection.send('{"auth": {"api_key": "canary-alice"}}')
            await speaker.closed()
        for frame in ('{"type": "session.update", "auth": {"api_key": "canary-x"}}', '"canary-x"', "canary-x"):
            async with client(running.base_url, logger=quiet, additional_headers={"x-api-key": "canary-x"}) as bad:
                await bad.connection.send(frame)
                await bad.closed()
                told += repr(bad.events)
        for request in ("GET /?canary-x", "GET /healthz?canary-x", "canary-x", "GET /\r\nx-api-key : canary-x"):
            told += str(await http(running, request))
        told += running.service.metrics.text() + repr(running.service.keys)
    assert "canary" not in told
    assert "canary" not in caplog.text
    assert caplog.records
