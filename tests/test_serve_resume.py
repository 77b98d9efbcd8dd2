"""A session whose client was cut off, over real sockets: who gets it back, with what, and who does not."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.serve.limits import Limits
from pipeline.serve.listener import Server
from pipeline.serve.session import Session
from pipeline.serve.wires import Told
from stages.translate.realtime.codec import dump_client
from stages.translate.realtime.events import (
    Acknowledge,
    AudioDone,
    Resume,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    TextDone,
)
from tests.serve_client import CONFIG, Client, client, sounds_of
from tests.serve_server import SECOND, keys_in, ramp, server, session, wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_key_and_no_token_in_any_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Whatever happens in a test, at any level, the server tells neither."""
    drawn = secrets.token_urlsafe
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: f"canary-{drawn(size)}")
    with caplog.at_level(logging.DEBUG, "pipeline"), caplog.at_level(logging.DEBUG, "stages"):
        yield
    assert "canary" not in caplog.text
    assert not any("canary" in repr(vars(record)) for record in caplog.records)


def resume_of(created: SessionCreated, events: int) -> Resume:
    assert created.resume is not None
    return Resume(created.resume.token, events)


async def acknowledge(speaker: Client, events: int) -> None:
    await speaker.connection.send(dump_client(Acknowledge(events)))


def events_of(speaker: Client) -> int:
    """How many of its events count."""
    return sum(not isinstance(event, SessionCreated | SessionUpdated) for event in speaker.events)


async def lost_session(running: Server, seconds: int = 3, key: str | None = None) -> tuple[SessionCreated, Client]:
    """A session that heard so much, told the first utterance of two seconds, and lost its client."""
    async with client(running.base_url) as speaker:
        created = await speaker.ready(key=key)
        await acknowledge(speaker, 0)
        await speaker.say(ramp(seconds * SECOND))
        await speaker.find(AudioDone)
        (running_session,) = running._sessions
        work = running_session._work
        assert work is not None
        await wait_until(lambda: work.intake.position == seconds * SECOND)
        await speaker.cut()
        await wait_until(lambda: running_session._wires.away)
    return created, speaker


async def test_it_goes_on_at_the_sample_and_the_event_where_it_was() -> None:
    async with server(silence_s=0.3) as running:
        created, before = await lost_session(running)
        assert created.resume is not None
        assert created.resume.token.startswith("canary-")
        assert running.service.admission.sessions == 1
        async with client(running.base_url) as speaker:
            again = await speaker.ready(resume=resume_of(created, events_of(before)))
            assert again.id == created.id
            assert again.resume is not None
            assert again.resume.received == 3 * SECOND
            assert running.service.admission.sessions == 1
            await speaker.say(ramp(5 * SECOND)[3 * SECOND :])
            done = await speaker.find(TextDone)
            assert (done.start_frame, done.end_frame) == (2 * SECOND, 4 * SECOND)
            await speaker.find(AudioDone)
            await speaker.find(AudioDone)
        sounds = sounds_of(before.events) + sounds_of(speaker.events)
        assert b"".join(sounds) == ramp(5 * SECOND).tobytes()
        await wait_until(lambda: not running.sessions)
        assert running.service.admission.sessions == 0
        assert "dragoman_sessions_resumed_total 1.0" in running.service.metrics.text()
        assert 'dragoman_sessions_ended_total{code="1000"} 1.0' in running.service.metrics.text()


async def test_what_had_not_come_is_told_again_and_what_is_said_meanwhile_is_kept() -> None:
    async with server() as running:
        created, before = await lost_session(running, seconds=4)
        (kept,) = running._sessions
        await wait_until(lambda: kept._wires.told.end > events_of(before))
        async with client(running.base_url) as speaker:
            await speaker.ready(resume=resume_of(created, 3))
            for _ in range(2):
                await speaker.find(AudioDone)
        missed = before.events[2 + 3 :]
        assert speaker.events[2 : 2 + len(missed)] == missed


@pytest.mark.parametrize("wrong", ["another token", "another key", "too many events", "too few events"])
async def test_who_may_not_have_it_gets_a_fresh_session(wrong: str, tmp_path: Path) -> None:
    async with server(keys=keys_in(tmp_path)) as running:
        created, before = await lost_session(running, key="canary-alice")
        (kept,) = running._sessions
        resume, key = resume_of(created, events_of(before)), "canary-alice"
        if wrong == "another token":
            resume = Resume("guess", 0)
        elif wrong == "another key":
            key = "canary-bob"
        elif wrong == "too many events":
            resume = resume_of(created, 10_000)
        else:
            kept._wires.told.acknowledge(2)
            resume = resume_of(created, 1)
        async with client(running.base_url) as speaker:
            fresh = await speaker.ready(key=key, resume=resume)
            assert fresh.id != created.id
            assert fresh.resume is not None
            assert fresh.resume.received is None
            await speaker.say(ramp(2 * SECOND))
            assert (await speaker.find(TextDone)).start_frame == 0
        if wrong in ("another token", "another key"):
            assert kept._wires.away, "whoever guesses does no harm to who has lost it"
            async with client(running.base_url) as speaker:
                again = await speaker.ready(key="canary-alice", resume=resume_of(created, events_of(before)))
                assert again.id == created.id


async def test_it_is_not_kept_for_ever() -> None:
    async with server(limits=Limits(resume_s=0.05)) as running:
        created, before = await lost_session(running)
        await wait_until(lambda: not running.sessions)
        assert running.service.admission.sessions == 0
        async with client(running.base_url) as speaker:
            assert (await speaker.ready(resume=resume_of(created, events_of(before)))).id != created.id


async def test_it_is_not_kept_for_a_client_that_knows_nothing_of_it() -> None:
    async with server() as running, client(running.base_url) as speaker:
        await speaker.ready()
        await speaker.say(ramp(2 * SECOND))
        await speaker.find(AudioDone)
        await speaker.cut()
        await wait_until(lambda: not running.sessions)


async def test_a_client_that_says_goodbye_has_left() -> None:
    async with server() as running:
        async with client(running.base_url) as speaker:
            await speaker.ready()
            await acknowledge(speaker, 0)
            await speaker.say(ramp(2 * SECOND))
            await speaker.find(AudioDone)
        await wait_until(lambda: not running.sessions)


async def is_stuck(session: Session) -> bool:
    """Whether it cannot tell what it has to tell, however long one waits."""
    for _ in range(20):
        await anyio.wait_all_tasks_blocked()
        if not session._wires._telling.locked():
            return False
    return True


async def test_a_connection_that_hangs_is_taken_over() -> None:
    """The old one takes nothing any more, and the server is stuck in sending to it."""
    limits = Limits(ahead_s=1e6, behind_s=1e6, resume_bytes=1 << 30)
    async with server(limits=limits) as running, client(running.base_url, max_queue=1) as hanging:
        created = await hanging.ready()
        await acknowledge(hanging, 0)
        (kept,) = running._sessions
        said = b""
        while not await is_stuck(kept):
            said += ramp(2 * SECOND).tobytes()
            await hanging.say(said[-4 * SECOND :])
        async with client(running.base_url, max_queue=None) as speaker:
            again = await speaker.ready(resume=resume_of(created, 0))
            assert again.id == created.id
            assert again.resume is not None
            assert again.resume.received is not None
            await speaker.say(said[2 * again.resume.received :])
            for _ in range(len(said) // (4 * SECOND)):
                await speaker.find(AudioDone)
        assert b"".join(sounds_of(speaker.events)) == said
        assert await hanging.closed() == 1006


async def test_a_server_that_stops_waits_for_nobody() -> None:
    async with server() as running:
        await lost_session(running)
        with anyio.fail_after(5):
            await running.stop()
        assert running.service.admission.sessions == 0


async def test_a_session_that_was_taken_over_ends_in_good_order() -> None:
    async with server() as running:
        created, before = await lost_session(running)
        async with client(running.base_url) as speaker:
            await speaker.ready(resume=resume_of(created, events_of(before)))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(running.stop)
                assert await speaker.closed() == 1001
            assert b"".join(sounds_of(before.events + speaker.events)) == ramp(3 * SECOND).tobytes()


async def test_languages_may_change_after_it() -> None:
    async with server() as running:
        created, before = await lost_session(running, seconds=2)
        async with client(running.base_url) as speaker:
            await speaker.ready(resume=resume_of(created, events_of(before)))
            await speaker.connection.send(dump_client(SessionUpdate(target_language="es-es")))
            assert (await speaker.find(SessionUpdated)).session.target_language == "es-es"
            await speaker.say(ramp(2 * SECOND))
            assert (await speaker.find(TextDone)).text.startswith("[es-es]")


async def test_a_client_that_acknowledges_nothing_any_more_cannot_come_back() -> None:
    async with server(limits=Limits(resume_bytes=100_000)) as running, session(running) as speaker:
        await acknowledge(speaker, 0)
        (kept,) = running._sessions
        await speaker.say(ramp(4 * SECOND))
        while events_of(speaker) < 20:
            await speaker.next()
        assert not kept._wires.returns
        assert kept._wires.told._bytes == 0
        await acknowledge(speaker, events_of(speaker))
        await wait_until(lambda: kept._wires.returns)
        assert kept._wires.told.end == events_of(speaker)


def test_a_token_shows_nowhere() -> None:
    assert "secret" not in repr(SessionUpdate(opening=CONFIG, resume=Resume("secret", 0)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12))))
def test_what_is_told_is_kept_until_it_is_acknowledged(steps: list[tuple[bool, int]]) -> None:
    told, every, acknowledged = Told(10_000), list[str | bytes](), 0
    for tells, events in steps:
        if tells:
            every.append(f"event {len(every)}")
            told.add(every[-1])
        else:
            told.acknowledge(events)
            acknowledged = max(acknowledged, min(events, len(every)))
        assert (told.first, told.end) == (acknowledged, len(every))
        for since in range(told.first, told.end + 1):
            assert told.since(since) == every[since:]
    told.clear()
    assert told.since(told.end) == []
    assert not told.full
