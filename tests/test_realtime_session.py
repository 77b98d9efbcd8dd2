"""A session with a scripted service: what its users are told, whatever the service does."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from pipeline.testing import noise
from stages.translate.realtime import (
    ErrorEvent,
    Event,
    FileAudio,
    LocalProtocolError,
    RealtimeSession,
    ServerEventType,
    ServiceUnreachable,
    SessionEnded,
    SessionNotReady,
    SessionRefused,
    SocketClosed,
    SocketOptions,
    connect,
)
from stages.translate.realtime.backlog import Backlog
from stages.translate.realtime.codec import APPEND_LIMIT_BYTES
from stages.translate.realtime.config import api_key_or_env, language_change, session_config
from stages.translate.realtime.events import (
    AudioDelta,
    AudioDone,
    Closed,
    Payload,
    SessionConfig,
    SessionStarting,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
)
from tests.realtime_server import Peer, Script, Service, hang_up, refuse, scripted

pytestmark = pytest.mark.anyio
KEY = "k-canary-4711"


async def to(service: Service, **changes: Any) -> RealtimeSession:
    """A session with `service`, from English to Portuguese."""
    asked: dict[str, Any] = {"source_language": "en-US", "target_language": "pt_BR", "api_key": KEY}
    return await connect(**{**asked, "base_url": service.url, **changes})


async def stay(peer: Peer) -> None:
    await peer.ready()


# --- what is asked for


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"source_language": "klingon"}, "source_language: wanted a language: .*, came 'klingon'"),
        ({"target_language": "nl-nl"}, "target_language: wanted a language of the service: .*, came 'nl-nl'"),
        ({"target_language": None}, "target_language: wanted a language, came none"),
        ({"target_language": "auto"}, "target_language: wanted a language"),
        ({"mode": "iris"}, "mode: wanted fast or slow, came 'iris'"),
        ({"output_modalities": ["smell"]}, "output_modalities: wanted text or audio, came 'smell'"),
        ({"output_modalities": []}, "output_modalities: wanted text or audio, came ''"),
        ({"speaker_setup": "changing_speakers"}, "only go with source_language auto"),
        ({"source_language": "auto", "speaker_setup": "choir"}, "speaker_setup: wanted changing_speakers or"),
        ({"source_language": "auto", "source_language_candidates": ["en-us"] * 11}, "wanted up to 10, came 11"),
    ],
)
def test_what_the_service_cannot_do_is_told_in_one_line(asked: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as caught:
        session_config(**{"source_language": "en-us", "target_language": "pt-br", **asked})
    assert "\n" not in str(caught.value)


def test_languages_are_taken_as_people_write_them() -> None:
    config = session_config(source_language="AUTO", source_language_candidates=["EN_us", "de"])
    assert config == SessionConfig("auto", "", source_language_candidates=("en-us", "de-de"))
    with pytest.raises(ValueError, match="came neither"):
        language_change(None, None)


def test_a_key_comes_from_the_environment_or_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMB_API_KEY", f" {KEY}\n")
    assert api_key_or_env(None) == KEY
    monkeypatch.setenv("CAMB_API_KEY", "")
    with pytest.raises(ValueError, match=r"\Ano API key: set CAMB_API_KEY in the environment, or pass api_key\Z"):
        api_key_or_env(None)


async def test_nothing_is_opened_before_the_session_is_entered() -> None:
    async with scripted(stay) as service:
        session = await to(service)
        assert KEY not in repr(session)
        assert not session.is_ready
        assert not session.is_closed
        await session.close()
        for early in (session.wait_until_ready(), session.send_audio(b"\0\0"), session.run_until_closed()):
            with pytest.raises(RuntimeError, match="enter the session first"):
                await early
        assert service.attempts == 0


async def test_a_session_is_entered_once() -> None:
    async with scripted(stay) as service:
        session = await to(service)
        async with session:
            pass
        with pytest.raises(RuntimeError, match="entered once"):
            await session.__aenter__()


# --- the whole of it


async def test_the_first_message_has_the_whole_configuration() -> None:
    async with scripted(stay) as service, await to(service, voice_id=7, output_modalities=["text"]) as session:
        await session.wait_until_ready()
        assert (session.is_ready, session.id, session.config.target_language) == (True, "s-1", "pt-br")
    assert service.peers[0].path == "/v1/realtime?mode=fast"
    assert service.peers[0].messages[0] == {
        "type": "session.update",
        "session": {
            "mode": "fast",
            "source_language": "en-us",
            "target_language": "pt-br",
            "output_modalities": ["text"],
            "voice": {"type": "cloned", "voice_id": 7},
        },
        "auth": {"api_key": KEY},
    }
    assert session.is_closed
    assert service.peers[0].close_code == 1000


async def test_events_reach_handlers_in_order_plain_and_async() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.send(
            TranscriptCompleted("hi"), TextDelta("o"), TextDelta("lá"), TextDone("olá"), b"\1\0", AudioDone()
        )
        await peer.send('{"type": "response.smell.delta", "delta": 3}')
        await peer.close(1001, "bye")

    told: list[Any] = []
    every: list[tuple[str, Any]] = []
    async with scripted(script) as service:
        session = await to(service)

        @session.on(ServerEventType.TEXT_DELTA)
        async def on_delta(event: TextDelta) -> None:
            await checkpoint()
            told.append(event.delta)

        session.on(ServerEventType.TEXT_DONE, lambda event: told.append(event.text))
        session.on(ServerEventType.TRANSCRIPT_COMPLETED, told.append)
        session.off(ServerEventType.TRANSCRIPT_COMPLETED, told.append)
        session.off(ServerEventType.TRANSCRIPT_COMPLETED, told.append)
        session.on("response.smell.delta", lambda raw: told.append(raw["delta"]))

        @session.on_any
        def on_any(event_type: str, payload: Any) -> None:
            every.append((event_type, payload))

        async with session:
            await session.run_until_closed()
    assert told == ["o", "lá", "olá", 3]
    assert [kind for kind, _ in every] == [
        "session.created",
        "session.updated",
        "conversation.item.input_audio_transcription.completed",
        "response.text.delta",
        "response.text.delta",
        "response.text.done",
        "response.audio.delta",
        "response.audio.done",
        "response.smell.delta",
        "Closed",
    ]
    assert every[6][1] == AudioDelta(b"\1\0")
    assert every[-1][1] == Closed(1001, "bye")


async def test_events_can_be_iterated() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.send(TextDone("um"), TextDone("dois"))
        await peer.close(1000)

    async with scripted(script) as service, await to(service) as session:
        await session.wait_until_ready()
        seen: list[Event] = []
        async for event in session:
            seen.append(event)
            if event.payload == TextDone("um"):
                break
        rest = [event.payload async for event in session]
    assert [event.type for event in seen] == ["session.created", "session.updated", "response.text.done"]
    assert rest == [TextDone("dois"), Closed(1000)]


async def test_audio_is_sent_whole() -> None:
    sent = [b"\1", b"\2\3", b"", bytearray(b"\4"), noise(500), bytes(APPEND_LIMIT_BYTES + 10), b"\5"]
    wanted = b"\1\2\3\4" + noise(500).samples.tobytes() + bytes(APPEND_LIMIT_BYTES + 10)
    async with scripted(stay) as service, await to(service) as session:
        await session.wait_until_ready()
        for chunk in sent:
            await session.send_audio(chunk)  # type: ignore[arg-type]
        for wrong in (noise(10, rate=16000), noise(10, channels=2)):
            with pytest.raises(ValueError, match="wanted mono audio at 24000 Hz, came"):
                await session.send_audio(wrong)
        assert await service.peers[0].heard(len(wanted)) == wanted


async def test_the_other_messages() -> None:
    async with scripted(stay) as service, await to(service, source_language="auto", mode="slow") as session:
        with pytest.raises(LocalProtocolError, match="not ready"):
            await session.send_audio(b"\0\0")
        await session.wait_until_ready()
        await session.update_languages(target_language="ES_es")
        await session.update_languages(source_language="Auto")
        await session.ignore_utterance_for_language_detection("item_4")
        with pytest.raises(ValueError, match="came 'xx'"):
            await session.update_languages(target_language="xx")
        await service.peers[0].until("input_audio_buffer.ignore_for_language_detection")
    assert service.peers[0].messages[1:] == [
        {"type": "session.update", "session": {"target_language": "es-es"}},
        {"type": "session.update", "session": {"source_language": "auto"}},
        {"type": "input_audio_buffer.ignore_for_language_detection", "item_id": "item_4"},
    ]


# --- before it is ready


async def refuse_language(peer: Peer) -> None:
    await peer.expect("session.update")
    await peer.send(ErrorEvent(f"no xx for {KEY}", "unsupported_language", param="session.target_language"))
    await peer.close(1008)


async def test_a_refusal_has_the_services_own_words() -> None:
    async with scripted(refuse_language) as service, await to(service) as session:
        with pytest.raises(SessionRefused) as caught:
            await session.wait_until_ready()
        assert str(caught.value) == (
            "the service refused the session: no xx for *** (unsupported_language, session.target_language)"
        )
        assert (caught.value.code, caught.value.close_code) == ("unsupported_language", 1008)


@pytest.mark.parametrize(
    ("script", "why"), [(hang_up, "1006"), (lambda peer: peer.close(4001, "full"), "4001 full")]
)
async def test_an_end_before_it_is_ready_fails_at_once(script: Script, why: str) -> None:
    async with scripted(script) as service, await to(service) as session:
        with pytest.raises(SessionRefused, match=f"ended the connection before the session was ready: {why}"):
            await session.wait_until_ready()
        with pytest.raises(SessionRefused):
            await session.stream_audio(FileAudio("nothing.wav"))
        with pytest.raises(SocketClosed):
            await session.send_audio(b"\0\0")


async def test_a_refusal_that_comes_before_we_have_said_a_word_is_heard() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(ErrorEvent("come back later", "server_busy"))
        await peer.close(1013)

    async with scripted(script) as service, await to(service) as session:
        with pytest.raises(SessionRefused, match=r"come back later \(server_busy\)"):
            await session.wait_until_ready()


async def test_patience_has_an_end() -> None:
    async def boots(peer: Peer) -> None:
        await peer.send(SessionStarting())

    async with scripted(boots) as service, await to(service) as session:
        assert (await anext(aiter(session))).payload == SessionStarting()
        with pytest.raises(SessionNotReady, match=r"not ready after 0.01 s: it is still starting"):
            await session.wait_until_ready(0.01)


async def test_an_error_that_no_goodbye_follows_is_told_when_time_is_up() -> None:
    async def grumble(peer: Peer) -> None:
        await peer.send(ErrorEvent("no credit", "insufficient_credits"))

    async with scripted(grumble) as service, await to(service) as session:
        assert (await anext(aiter(session))).type == ServerEventType.ERROR
        with pytest.raises(SessionRefused, match=r"no credit \(insufficient_credits\)"):
            await session.wait_until_ready(0.01)


async def test_a_service_out_of_reach_is_told_on_entering() -> None:
    async with scripted(refuse(403)) as service:
        with pytest.raises(ServiceUnreachable, match="HTTP 403"):
            async with await to(service):
                pass


async def test_ready_for_a_moment_only() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.close(1011, "sorry")

    async with scripted(script) as service, await to(service) as session:
        await session.run_until_closed()
        with pytest.raises(SocketClosed, match="closed with 1011: sorry"):
            await session.wait_until_ready()


# --- handlers that misbehave


async def test_what_a_handler_raises_is_an_error_event() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.send(TextDone("um"), TextDone("dois"))
        await peer.close()

    told: list[str] = []
    every: list[str] = []
    async with scripted(script) as service:
        session = await to(service)

        @session.on(ServerEventType.TEXT_DONE)
        async def picky(event: TextDone) -> None:
            told.append(event.text)
            raise KeyError(event.text)

        @session.on(ServerEventType.ERROR)
        def broken(event: ErrorEvent) -> None:
            raise ZeroDivisionError

        session.on(ServerEventType.ERROR, lambda event: told.append(event.message))
        session.on_any(lambda kind, _: every.append(kind))
        async with session:
            await session.run_until_closed()
    own = "test_what_a_handler_raises_is_an_error_event.<locals>."
    assert [re.sub(r"\(.*\.py:\d+\)", "(file:line)", line.replace(own, "")) for line in told] == [
        "um",
        "the handler picky (file:line) raised KeyError: 'um'",
        "the handler broken (file:line) raised ZeroDivisionError: ",
        "dois",
    ]
    assert every.count("error") == 2


async def test_a_handler_that_raises_is_told_once_with_its_line_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.send(*[TextDone("um")] * 100)
        await peer.close()

    def takes_no_type(event: Any) -> None:
        raise AssertionError("it cannot be called")

    async def raises(event: Any) -> None:
        await checkpoint()
        raise KeyError(event.text)

    def line(handler: Callable[..., object], more: int) -> str:
        code = handler.__code__  # type: ignore[attr-defined]
        return f"{handler.__qualname__} ({code.co_filename}:{code.co_firstlineno + more})"

    async with scripted(script) as service:
        session = await to(service)
        session.on_any(takes_no_type)  # type: ignore[arg-type]
        session.on(ServerEventType.TEXT_DONE, raises)
        async with session:
            await session.run_until_closed()
    first, second, *again = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert first.startswith(f"the handler {line(takes_no_type, 0)} raised TypeError: ")
    assert second == f"the handler {line(raises, 2)} raised KeyError: 'um'"
    assert again == [
        f"the handler {line(takes_no_type, 0)} raised 102 times more",
        f"the handler {line(raises, 2)} raised 99 times more",
    ]


async def test_an_error_that_nobody_listens_to_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.close()

    async with scripted(script) as service:
        session = await to(service)
        session.on(ServerEventType.SESSION_CREATED, lambda event: 1 / 0)
        async with session:
            await session.run_until_closed()
    assert "raised ZeroDivisionError: division by zero" in caplog.text


async def test_a_slow_handler_does_not_stop_the_reading() -> None:
    """A service of ours would be blocked by less than a megabyte that nobody reads."""

    async def script(peer: Peer) -> None:
        await peer.ready()
        for _ in range(100):
            await peer.send(bytes(100_000))
        await peer.send(TextDone("all out"))
        sent.set()

    sent, let_go, got = anyio.Event(), anyio.Event(), 0

    async with scripted(script) as service:
        session = await to(service)

        @session.on(ServerEventType.AUDIO_DELTA)
        async def slow(event: AudioDelta) -> None:
            nonlocal got
            await let_go.wait()
            got += len(event.data)

        finished = anyio.Event()
        session.on(ServerEventType.TEXT_DONE, lambda _: finished.set())
        async with session:
            await sent.wait()
            assert got == 0
            let_go.set()
            await finished.wait()
    assert (got, session.stalls) == (10_000_000, 0)


async def test_a_backlog_that_is_full_stops_the_reading_and_loses_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        for _ in range(200):
            await peer.send(bytes(100_000))
        await peer.send(TextDone("all out"))

    begin, got = anyio.Event(), 0

    async with scripted(script) as service:
        session = await to(service, backlog_bytes=200_000)

        @session.on(ServerEventType.AUDIO_DELTA)
        async def slow(event: AudioDelta) -> None:
            nonlocal got
            await begin.wait()
            got += len(event.data)

        finished = anyio.Event()
        session.on(ServerEventType.TEXT_DONE, lambda _: finished.set())
        async with session:
            while not session.stalls:
                await checkpoint()
            begin.set()
            await finished.wait()
    assert got == 20_000_000
    assert session.stalls > 0


async def test_a_handler_that_never_returns_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stages.translate.realtime.session.LEAVE_S", 0.05)
    async with scripted(stay) as service:
        session = await to(service)
        entered = anyio.Event()

        @session.on(ServerEventType.SESSION_CREATED)
        async def stuck(_: object) -> None:
            entered.set()
            await anyio.sleep_forever()

        async with session:
            await entered.wait()
    assert session.is_closed
    assert "left while handlers were at work" in caplog.text


async def test_a_handler_may_close_the_session() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.send(AudioDone())

    async with scripted(script) as service:
        session = await to(service)
        session.on(ServerEventType.AUDIO_DONE, lambda _: session.close())
        closed: list[Closed] = []
        session.on(ServerEventType.CLOSED, closed.append)
        async with session:
            await session.run_until_closed()
    assert closed == [Closed(1000)]


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    async with scripted(stay) as service:
        closed: list[Closed] = []
        session = await to(service)
        session.on(ServerEventType.CLOSED, closed.append)
        with pytest.raises(ZeroDivisionError):
            async with session:
                raise ZeroDivisionError
    assert closed == [Closed(1000)]


async def test_cancelled_it_ends_for_all_who_wait() -> None:
    ended: list[str] = []

    async def iterate() -> None:
        ended.extend([event.type async for event in session])

    async with scripted(stay) as service, anyio.create_task_group() as group:
        session = await to(service)
        group.start_soon(iterate)
        with anyio.CancelScope() as scope:
            async with session:
                await session.wait_until_ready()
                scope.cancel()
                await session.run_until_closed()
        assert scope.cancelled_caught
        assert session.is_closed
        with pytest.raises(SocketClosed):
            await session.send_audio(b"\0\0")
    assert ended[:2] in ([], ["session.created"], ["session.created", "session.updated"])


# --- streaming


class Endless:
    """A source that gives one chunk and then waits for ever, as a microphone behind a button does."""

    def __init__(self) -> None:
        self.closed = False
        self.given = 0

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> bytes:
        self.given += 1
        if self.given > 1:
            await anyio.sleep_forever()
        return bytes(4800)

    async def close(self) -> None:
        self.closed = True


async def test_streaming_stops_when_the_connection_ends_though_the_source_waits() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.heard(4800)
        await peer.close(1001, "going down")

    source = Endless()
    async with scripted(script) as service, await to(service) as session:
        told: list[Closed] = []
        session.on(ServerEventType.CLOSED, told.append)
        with pytest.raises(SessionEnded) as caught:
            await session.stream_audio(source)
        await session.run_until_closed()
    assert str(caught.value) == ("the session has ended: closed with 1001: going down; connect again for another")
    assert (caught.value.code, caught.value.reason) == (1001, "going down")
    assert told == [Closed(1001, "going down")]
    assert source.closed


async def test_streaming_ends_quietly_when_we_close() -> None:
    source = Endless()
    async with scripted(stay) as service, await to(service) as session, anyio.create_task_group() as group:
        group.start_soon(session.stream_audio, source)
        await service.peers[0].heard(4800)
        await session.close()
    assert source.closed


async def test_a_source_that_fails_is_closed_and_its_error_comes_out() -> None:
    async def source() -> AsyncIterator[bytes]:
        try:
            yield bytes(4800)
            raise OSError("unplugged")
        finally:
            closed.set()

    closed = anyio.Event()
    async with scripted(stay) as service, await to(service) as session:
        with pytest.raises(OSError, match="unplugged"):
            await session.stream_audio(source())
    assert closed.is_set()


async def test_waiting_until_it_is_quiet() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.heard(4800)
        await peer.send(TextDone("olá"), AudioDone())

    async with scripted(script) as service, await to(service) as session:
        await session.wait_until_ready()
        assert not await session.wait_until_quiet(quiet_s=5, timeout_s=0.01)
        await session.send_audio(bytes(4800))
        assert await session.wait_until_quiet(quiet_s=0.1)
        assert [event.payload async for event in _first(session, 4)][-1] == AudioDone()
        await session.close()
        assert not await session.wait_until_quiet()


ANSWERS: dict[str, list[Payload]] = {
    "a transcript": [TranscriptCompleted("hello")],
    "part of a transcript": [TranscriptDelta("hel")],
    "part of a text": [TextDelta("ol")],
    "a text": [TextDone("olá")],
    "part of its speech": [TextDone("olá"), AudioDelta(bytes(2))],
    "one of two": [TranscriptCompleted("one"), TranscriptCompleted("two"), TextDone("um"), AudioDone()],
}
REST: dict[str, list[Payload]] = {
    "a transcript": [TextDone("olá"), AudioDone()],
    "part of a transcript": [TranscriptCompleted("hello"), TextDone("olá"), AudioDone()],
    "part of a text": [TextDone("olá"), AudioDone()],
    "a text": [AudioDone()],
    "part of its speech": [AudioDone()],
    "one of two": [AudioDone(), TextDone("dois")],
}


@pytest.mark.parametrize("begun", ANSWERS)
async def test_it_is_not_quiet_while_an_answer_is_owed(begun: str) -> None:
    come = anyio.Event()

    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.send(*ANSWERS[begun])
        await come.wait()
        await peer.send(*REST[begun])

    async with scripted(script) as service, await to(service) as session:
        assert [event async for event in _first(session, 2 + len(ANSWERS[begun]))]
        assert not await session.wait_until_quiet(quiet_s=0, timeout_s=0.3)  # it waits
        assert not await session.wait_until_quiet(quiet_s=0, answer_s=0.1)  # it gives up
        come.set()
        assert await session.wait_until_quiet(quiet_s=0.1)
        assert [event.payload async for event in _first(session, len(REST[begun]))] == REST[begun]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"output_modalities": ["text"]}, [TranscriptCompleted("hi"), TextDone("oi")]),
        ({"output_modalities": ["audio"]}, [TranscriptCompleted("hi"), AudioDelta(bytes(2)), AudioDone()]),
        ({}, [AudioDelta(bytes(2)), AudioDone(), TranscriptCompleted("hi"), TextDone("oi"), AudioDone()]),
        ({}, [TranscriptCompleted("oi", "item_1", "pt-br", passthrough=True)]),
        ({}, [TranscriptCompleted("")]),
        ({}, [TranscriptCompleted("hm", None, None, False, 0, 9), TextDone("oi", 10, 20), AudioDone()]),
        ({"source_language": "auto", "target_language": None, "mode": "slow"}, [TranscriptCompleted("hi")]),
    ],
)
async def test_it_is_quiet_where_nothing_more_is_to_come(asked: dict[str, Any], told: list[Payload]) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.send(*told)

    async with scripted(script) as service, await to(service, **asked) as session:
        assert [event async for event in _first(session, 2 + len(told))]
        assert await session.wait_until_quiet(quiet_s=0)


async def _first(session: RealtimeSession, count: int) -> AsyncIterator[Event]:
    for _ in range(count):
        yield await anext(aiter(session))


# --- secrets


async def parrot(peer: Peer) -> None:
    await peer.ready()
    await peer.send(
        ErrorEvent(f"your key is {KEY}", "x"), f'{{"type": "error", "error": "{KEY}"}}', "no json " + KEY
    )
    await peer.close(1008, f"bad key {KEY}")


@pytest.mark.parametrize("script", [stay, parrot, refuse_language, hang_up, refuse(401), Peer.reset])
async def test_a_key_gets_into_no_log_and_no_error(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    async with scripted(script) as service:
        session = await to(service, options=SocketOptions(headers={"x-api-key": KEY}))
        session.on_any(lambda kind, payload: said.append(f"{kind} {payload}"))
        session.on(ServerEventType.CLOSED, lambda event: 1 / 0)
        try:
            async with session:
                await session.wait_until_ready()
                if script is parrot:
                    await session.run_until_closed()
                await session.send_audio(bytes(4800))
        except (ServiceUnreachable, SessionRefused, SocketClosed) as error:
            said.append(f"{error!r} {error} {error.__cause__!r}")
        said.append(repr(session))
    assert "k-canary" not in "".join(said)
    assert "k-canary" not in caplog.text + "".join(repr(record.__dict__) for record in caplog.records)


# --- the backlog


@given(st.lists(st.integers(0, 3000), max_size=20), st.integers(1, 5000))
async def test_a_backlog_keeps_order_and_bounds(sizes: list[int], limit: int) -> None:
    backlog, taken = Backlog(limit), []

    async def write(_: TaskGroup) -> None:
        for number, size in enumerate(sizes):
            await backlog.put(Event(str(number), {}), size)
            assert backlog.held_bytes <= limit + size + 500
        backlog.close()

    async with anyio.create_task_group() as group:
        group.start_soon(write, group)
        while (event := await backlog.take()) is not None:
            taken.append((event[0].type, event[1]))
    assert taken == [(str(number), size) for number, size in enumerate(sizes)]
    assert (len(backlog), backlog.held_bytes) == (0, 0)
