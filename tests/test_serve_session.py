"""A session with the echo engine, over real sockets, on asyncio and on trio."""

from __future__ import annotations

import pytest
from attrs import evolve

from pipeline.items import Text
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import (
    Append,
    AudioDone,
    ErrorEvent,
    IgnoreForDetection,
    SessionConfig,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SourceLanguageChanged,
    TextDone,
    TranscriptCompleted,
)
from tests.serve_client import CONFIG, client, sounds_of, texts_of
from tests.serve_server import (
    SECOND,
    ramp,
    server,
    session,
    wait_until,
)

pytestmark = pytest.mark.anyio


async def test_a_session_from_beginning_to_end() -> None:
    async with server() as running, client(running.base_url) as speaker:
        await speaker.open(SessionConfig("EN_us", "pt", mode="slow"))
        settled = SessionConfig("en-us", "pt-br", mode="slow")
        created = await speaker.next()
        assert isinstance(created, SessionCreated)
        assert created.session == settled
        assert created.id.startswith("s-")
        assert await speaker.next() == SessionUpdated(settled)
        await speaker.say(ramp(5 * SECOND))
        for _ in range(3):
            await speaker.find(AudioDone)
        texts = [f"[pt-br] utterance {n}, {s} s" for n, s in ((1, "2.0"), (2, "2.0"), (3, "1.0"))]
        assert texts_of(speaker.events) == texts
        assert b"".join(sounds_of(speaker.events)) == ramp(5 * SECOND).tobytes()
        places = [(event.start_frame, event.end_frame) for event in speaker.events if isinstance(event, TextDone)]
        assert places == [(0, 48000), (48000, 96000), (96000, 120000)]


async def test_the_graph_of_a_session_can_be_watched_by_the_name_of_the_session() -> None:
    async with server() as running:
        watched = running.service.watched
        async with client(running.base_url) as speaker:
            created = await speaker.ready()
            await wait_until(lambda: created.id in watched.graphs)
            with watched.graphs[created.id].tap("interpreter.text") as tapped:
                await speaker.say(ramp(SECOND))
                assert await anext(aiter(tapped)) == Text("[pt-br] utterance 1, 1.0 s", 0, 1000, "pt-br", 1)
            await speaker.find(AudioDone)
    (ended,) = watched.ended_since(0)
    assert (ended.name, ended.report.balanced, dict(watched.graphs)) == (created.id, True, {})


async def test_an_utterance_ends_where_the_client_falls_silent_and_the_next_goes_on_from_there() -> None:
    async with server() as running, session(running) as speaker:
        for end in (100, 2517):
            await speaker.say(ramp(end)[100 if end > 100 else 0 :])
            done = await speaker.find(TextDone)
            await speaker.find(AudioDone)
            assert done.end_frame == end
        assert done.start_frame == 100


@pytest.mark.parametrize("modality", ["text", "audio"])
async def test_only_what_was_asked_for_is_sent(modality: str) -> None:
    async with server() as running, session(running, SessionConfig("en-us", "pt-br", [modality])) as speaker:
        await speaker.say(ramp(4 * SECOND))
        for _ in range(2):
            await speaker.find(TextDone if modality == "text" else AudioDone)
        assert len(texts_of(speaker.events)) == (2 if modality == "text" else 0)
        assert len(sounds_of(speaker.events)) == (2 if modality == "audio" else 0)


async def test_half_a_sample_waits_for_its_other_half() -> None:
    async with server() as running, session(running) as speaker:
        data = ramp(200).tobytes()
        for begin in range(0, len(data), 7):
            await speaker.connection.send(dump_client(Append(data[begin : begin + 7])))
        await speaker.connection.send(dump_client(Append(b"")))
        await speaker.find(AudioDone)
        assert sounds_of(speaker.events) == [data]


async def test_languages_change_from_the_next_utterance_on() -> None:
    async with server() as running, session(running) as speaker:
        await speaker.say(ramp(2 * SECOND))
        await speaker.find(AudioDone)
        await speaker.connection.send(dump_client(SessionUpdate("de-DE", "es-es")))
        assert (await speaker.find(SessionUpdated)).session == evolve(
            CONFIG, source_language="de-de", target_language="es-es"
        )
        assert await speaker.next() == SourceLanguageChanged("de-de", "en-us")
        await speaker.say(ramp(2 * SECOND))
        done = await speaker.find(TextDone)
        assert done.text.startswith("[es-es]")
        assert (done.start_frame, done.end_frame) == (48000, 96000)


async def test_a_language_that_there_is_not_is_refused_and_the_session_goes_on() -> None:
    async with server() as running, session(running) as speaker:
        await speaker.connection.send(dump_client(SessionUpdate(target_language="xx-yy")))
        error = await speaker.next()
        assert isinstance(error, ErrorEvent)
        assert (error.code, error.error_type, error.param) == (
            "unsupported_language",
            "invalid_request_error",
            "session.target_language",
        )
        await speaker.say(ramp(2 * SECOND))
        assert (await speaker.find(TextDone)).text.startswith("[pt-br]")


async def test_an_automatic_session_without_a_target_transcribes_until_it_gets_one() -> None:
    async with server() as running, session(running, SessionConfig("AUTO")) as speaker:
        await speaker.say(ramp(2 * SECOND))
        assert await speaker.find(SourceLanguageChanged) == SourceLanguageChanged("en-us")
        completed = await speaker.find(TranscriptCompleted)
        assert (completed.item_id, completed.language, completed.passthrough) == ("item_1", "en-us", False)
        await speaker.connection.send(dump_client(IgnoreForDetection("item_1")))
        await speaker.connection.send(dump_client(SessionUpdate(target_language="pt-br")))
        assert (await speaker.find(SessionUpdated)).session == SessionConfig("auto", "pt-br")
        await speaker.say(ramp(2 * SECOND))
        assert (await speaker.find(TextDone)).text.startswith("[pt-br]")
        assert (await speaker.find(AudioDone)) == AudioDone()
