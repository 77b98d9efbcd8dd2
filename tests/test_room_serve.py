"""A room on the network: a speaker, listeners in two languages, and what may go wrong between them."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import anyio
import pytest
import trustme
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import define, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.items import Audio
from pipeline.serve.engine import Echo
from pipeline.serve.limits import Limits
from pipeline.serve.listener import Server
from pipeline.serve.room import translation
from pipeline.serve.room.hall import Hall, Settings
from pipeline.stage import Inbox, Outbox, StageError
from pipeline.testing import Playlist
from stages.room.audience import AudienceLimits
from stages.room.listener import Listener
from stages.translate.realtime.events import SessionConfig, TranscriptCompleted
from tests.room_people import KEYS, listener, room, speaker
from tests.room_people import Listener as Phone
from tests.serve_client import client
from tests.serve_server import SECOND, Engine, http, masked, ramp, wait_until

pytestmark = pytest.mark.anyio


def hall_of(running: Server) -> Hall:
    assert running.hall is not None
    return running.hall


async def test_what_is_said_is_read_in_two_languages_and_heard_in_one() -> None:
    async with (
        room() as running,
        listener(running, "pt-br", voice="pt-br") as maria,
        listener(running, "es-es", "en-us") as juan,
    ):
        info = maria.told[0]
        assert (info["state"], info["source"]) == ("waiting", "en-us")
        assert [each["tag"] for each in info["languages"]] == ["en-us", "pt-br", "es-es"]
        await maria.find("ready", language="pt-br")
        await juan.find("ready", language="es-es")
        async with speaker(running) as pastor:
            await maria.find("room", state="live")
            await pastor.say(ramp(4 * SECOND))
            assert (await pastor.find(TranscriptCompleted)).transcript == "utterance 1, 2.0 s"
            first = await maria.find("caption")
            assert first == {
                "type": "caption",
                "language": "pt-br",
                "seq": 1,
                "utterance": 1,
                "text": "[pt-br] utterance 1, 2.0 s",
                "start_ms": 0,
                "end_ms": 2000,
            }
            await maria.find("voice", event="begin", utterance=1)
            await maria.find("voice", event="end", utterance=2)
            assert maria.sound == ramp(4 * SECOND).tobytes()
            await juan.has("caption", language="es-es", seq=2)
            await juan.has("caption", language="en-us", seq=2)
            assert not juan.sound
            status = await pastor.status(listeners=2)
            assert status["by_language"] == {"es-es": 1, "pt-br": 1}, "each counts once"
            assert status["link"] == f"http://127.0.0.1:{running.port}/r/{KEYS.name}"
        await maria.find("room", state="waiting")


# --- who speaks


@pytest.mark.parametrize(
    ("key", "code"),
    [(None, "missing_api_key"), ("wrong", "invalid_api_key"), (KEYS.operator, "invalid_api_key")],
)
async def test_only_the_speakers_key_lets_speak(key: str | None, code: str) -> None:
    async with room() as running, speaker(running, ready=False) as stranger:
        await stranger.open(SessionConfig("en-us"), key)
        assert await stranger.refused() == (code, 1008)
        assert hall_of(running).speaker is None


async def test_a_page_of_another_site_cannot_speak_even_with_the_key() -> None:
    headers = {"origin": "https://elsewhere.example"}
    async with room() as running, speaker(running, ready=False, additional_headers=headers) as stranger:
        await stranger.open(SessionConfig("en-us"), KEYS.speaker)
        assert await stranger.refused() == ("foreign_origin", 1008)
    async with room() as running:
        own = {"origin": f"http://127.0.0.1:{running.port}"}
        async with speaker(running, additional_headers=own):
            pass


async def test_a_second_speaker_takes_over_where_the_first_one_stopped() -> None:
    async with room() as running, listener(running, "pt-br") as maria, speaker(running) as first:
        await first.say(ramp(2 * SECOND))
        assert (await maria.find("caption"))["start_ms"] == 0
        async with speaker(running) as second:
            assert await first.refused_later() == ("taken_over", 1000)
            await second.say(ramp(2 * SECOND))
            line = await maria.find("caption")
            assert (line["seq"], line["utterance"], line["start_ms"]) == (2, 2, 2000)
            assert hall_of(running).room.board.state == "live"


async def test_a_speaker_who_comes_back_goes_on_and_what_was_said_before_is_not_lost() -> None:
    async with room() as running, listener(running, "pt-br") as maria:
        async with speaker(running) as pastor:
            await pastor.say(ramp(SECOND))
            await wait_until(lambda: hall_of(running).intake.position == SECOND)
        assert (await maria.find("caption"))["text"] == "[pt-br] utterance 1, 1.0 s"
        async with speaker(running) as pastor:
            await pastor.say(ramp(SECOND))
            line = await maria.find("caption")
            assert (line["seq"], line["utterance"], line["start_ms"]) == (2, 2, 1000)


async def test_numbers_go_on_when_the_room_has_stopped_listening_meanwhile() -> None:
    settings = Settings(source="en-us", languages=("pt-br",), linger_s=0.0)
    async with room(settings) as running, listener(running, "pt-br", "en-us") as maria:
        for number in (1, 2, 3):
            async with speaker(running) as pastor:
                await pastor.say(ramp(SECOND))
                line = await maria.has("caption", language="en-us", seq=number)
                assert (line["utterance"], line["start_ms"]) == (number, (number - 1) * 1000)
                await maria.has("caption", language="pt-br", seq=number)
            await wait_until(lambda: hall_of(running).hearing is None)


async def test_nothing_said_in_a_pause_is_heard() -> None:
    async with room() as running, listener(running, "en-us") as maria, speaker(running) as pastor:
        await pastor.say(ramp(SECOND))
        await maria.find("caption")
        await pastor.pause()
        await maria.find("room", state="paused")
        assert (await pastor.status(paused=True))["state"] == "paused"
        await pastor.say(ramp(SECOND))
        await pastor.pause(False)
        await maria.find("room", state="live")
        await pastor.say(ramp(SECOND))
        assert (await maria.find("caption"))["start_ms"] == 1000
        assert hall_of(running).intake.position == 2 * SECOND
    told = re.search(r'dragoman_dropped_seconds_total{why="paused"} (\S+)', running.service.metrics.text())
    assert told is not None
    assert float(told[1]) == pytest.approx(1.0)


async def test_the_language_changes_between_two_utterances() -> None:
    settings = Settings(source="en-us", languages=("en-us", "pt-br", "es-es"))
    async with room(settings) as running, listener(running, "pt-br") as maria, speaker(running) as pastor:
        await pastor.say(ramp(SECOND))
        assert (await maria.find("caption"))["text"] == "[pt-br] utterance 1, 1.0 s"
        await pastor.speak_in("pt")
        info = await maria.find("room", source="pt-br")
        assert [each["tag"] for each in info["languages"]] == ["pt-br", "en-us", "es-es"]
        await pastor.say(ramp(SECOND))
        line = await maria.find("caption")
        assert (line["text"], line["seq"]) == ("utterance 1, 1.0 s", 2)
        await maria.say("choose", languages=["en-us"])
        await maria.find("ready", language="en-us")
        await pastor.say(ramp(SECOND))
        assert (await maria.find("caption"))["text"] == "[en-us] utterance 1, 1.0 s"


async def test_without_a_source_language_the_speaker_says_it() -> None:
    async with room(Settings()) as running, listener(running, "pt-br") as maria:
        assert maria.told[0]["source"] is None
        assert maria.told[0]["languages"][0] == {
            "tag": "auto",
            "name": "Original",
            "dir": "ltr",
            "quality": "original",
            "voice": False,
        }
        assert not hall_of(running).booths.running
        async with speaker(running, "es") as pastor:
            await maria.find("room", source="es-es")
            await maria.find("ready", language="pt-br")
            await pastor.say(ramp(SECOND))
            await maria.find("caption", language="pt-br")


# --- who listens


async def test_who_comes_late_or_back_gets_the_last_lines_and_misses_nothing() -> None:
    async with room() as running, listener(running, "en-us") as early, speaker(running) as pastor:
        for _ in range(3):
            await pastor.say(ramp(2 * SECOND))
        await early.has("caption", seq=3)
        async with listener(running, "en-us") as late:
            await late.has("caption", seq=3)
            assert [line["seq"] for line in late.captions("en-us")] == [1, 2, 3]
        life = early.told[0]["life"]
        async with listener(running, "en-us", after={"en-us": 2}, life=life) as back:
            await pastor.say(ramp(2 * SECOND))
            await back.has("caption", seq=4)
            assert [line["seq"] for line in back.captions("en-us")] == [3, 4]


async def test_a_language_runs_while_somebody_wants_it_and_a_while_longer() -> None:
    settings = Settings(source="en-us", languages=("pt-br", "es-es"), grace_s=0.0)
    async with room(settings) as running:
        hall = hall_of(running)
        async with listener(running, "en-us") as maria:
            assert not hall.booths.running
            await maria.say("choose", languages=["pt-br"])
            await maria.find("ready", language="pt-br")
            await maria.say("choose", languages=["es-es"], voice="es-es")
            await maria.find("ready", language="es-es")
            await wait_until(lambda: [key.language for key in hall.booths.running] == ["es-es"])
        await wait_until(lambda: not hall.booths.running)
        assert running.service.watched.ended == 2
        assert not hall.floor.sound.channels


async def test_a_language_that_cannot_be_started_says_so_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Fickle(Echo):
        tries = 0

        async def load(self, session: SessionConfig) -> None:
            if session.target_language == "pt-br":
                Fickle.tries += 1
                if Fickle.tries < 3:
                    raise StageError("no model in /canary")

    monkeypatch.setattr(translation, "RETRY_S", 0.05)
    async with room(engine=Fickle()) as running, listener(running, "pt-br") as maria:
        failed = await maria.find("failed", language="pt-br")
        assert failed["message"] == "this language cannot be had now; it is tried again"
        await maria.find("ready", language="pt-br")
        assert Fickle.tries == 3
        assert "canary" not in json.dumps(maria.told)
        assert "pt-br captions: no model in /canary" in caplog.text


async def test_what_is_said_while_a_language_is_prepared_has_the_numbers_of_the_original() -> None:
    class Slow(Echo):
        loaded: ClassVar[anyio.Event]

        async def load(self, session: SessionConfig) -> None:
            if session.target_language == "pt-br":
                await Slow.loaded.wait()

    Slow.loaded = anyio.Event()
    async with (
        room(engine=Slow()) as running,
        listener(running, "pt-br", "en-us") as maria,
        speaker(running) as pastor,
    ):
        await maria.find("preparing", language="pt-br")
        for number in (1, 2):
            await pastor.say(ramp(2 * SECOND))
            assert (await maria.find("caption", language="en-us"))["utterance"] == number
        Slow.loaded.set()
        for number in (1, 2):
            assert (await maria.find("caption", language="pt-br"))["utterance"] == number


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (AudienceLimits(listeners=1), "room_full"),
        (AudienceLimits(listeners_per_address=1), "too_many_listeners_for_address"),
    ],
)
async def test_a_full_room_says_so_and_has_room_again_later(limits: AudienceLimits, code: str) -> None:
    async with room(Settings(source="en-us", audience=limits)) as running:
        async with listener(running, "en-us"), listener(running) as second:
            assert (await second.next())["code"] == code  # type: ignore[call-overload]
            assert await second.closed() == 1013
        await wait_until(lambda: hall_of(running).audience.size == 0)
        async with listener(running, "en-us"):
            pass


async def test_listeners_are_no_sessions() -> None:
    async with room(limits=Limits(sessions=1)) as running, listener(running, "en-us"), listener(running, "en-us"):
        assert running.service.admission.sessions == 0
        assert running.sessions == 0
        assert running._opening == 0


async def test_mistakes_are_answered_and_forgiven_but_not_without_end() -> None:
    limits = AudienceLimits(mistakes=2)
    async with room(Settings(source="en-us", audience=limits)) as running, listener(running, "en-us") as odd:
        for bad, code in (("nonsense", "invalid_json"), ('{"type":"shout"}', "unknown_message")):
            await odd.connection.send(bad)
            assert (await odd.next())["code"] == code  # type: ignore[call-overload]
        await odd.connection.send(b"\x00")
        assert (await odd.next())["code"] == "too_many_errors"  # type: ignore[call-overload]
        assert await odd.closed() == 1008


async def test_who_says_nothing_is_sent_away() -> None:
    limits = AudienceLimits(first_message_s=0.05)
    async with room(Settings(source="en-us", audience=limits)) as running, listener(running) as silent:
        assert (await silent.next())["code"] == "no_hello"  # type: ignore[call-overload]
        assert await silent.closed() == 1008
    async with room() as running, listener(running) as odd:
        await odd.connection.send("[]")
        assert (await odd.next())["code"] == "invalid_message"  # type: ignore[call-overload]
        assert await odd.closed() == 1008


@asynccontextmanager
async def stalled(running: Server) -> AsyncIterator[anyio.abc.ByteStream]:
    """A phone that asks for everything, and then reads nothing."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", running.port))
    raw.setblocking(False)
    async with await anyio.abc.SocketStream.from_socket(raw) as stream:
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13"
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade"
        request = f"GET /r/{KEYS.name}/listen-socket HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n"
        await stream.send(f"{request}{key}\r\n\r\n".encode())
        await stream.send(masked('{"type":"hello","languages":["pt-br"],"voice":"pt-br"}'))
        await stream.receive(100)
        yield stream


async def test_a_stalled_phone_harms_nobody_and_is_cut_off() -> None:
    settings = Settings(
        source="en-us", languages=("pt-br",), audience=AudienceLimits(send_s=0.5, listeners_per_address=3)
    )
    async with (
        room(settings, silence_s=60.0) as running,
        listener(running, "pt-br", voice="pt-br") as maria,
        stalled(running),
        speaker(running) as pastor,
    ):
        hall = hall_of(running)
        await wait_until(lambda: len(hall.room.listeners) == 2)
        for number in range(1, 31):
            await pastor.say(ramp(2 * SECOND))
            await pastor.find(TranscriptCompleted)
            await maria.find("voice", event="end", utterance=number)
        assert len(maria.captions("pt-br")) == 30
        assert len(maria.sound) == 30 * 2 * SECOND * 2
        assert not [each for each in maria.told if each.get("event") == "dropped"]
        while len(hall.room.listeners) > 1:
            await hall.changed.wait()
        assert hall.room.dropped_ms()["pt-br"] > 1000
        _, body = await http(running, "GET /metrics")
        assert 'dragoman_room_dropped_seconds{language="pt-br"}' in body


# --- the end, and faults


async def test_a_room_that_ends_tells_what_there_is_and_says_goodbye() -> None:
    async with (
        room(silence_s=60.0) as running,
        listener(running, "pt-br", voice="pt-br") as maria,
        speaker(running) as pastor,
    ):
        await maria.find("room", state="live")
        await pastor.say(ramp(SECOND))
        await wait_until(lambda: hall_of(running).intake.position == SECOND)
        await running.stop()
        assert await maria.closed() == 1001
        assert await pastor.closed() == 1001
        assert [line["text"] for line in maria.captions("pt-br")] == ["[pt-br] utterance 1, 1.0 s"]
        assert maria.sound == ramp(SECOND).tobytes()
        assert [each["state"] for each in maria.told if each["type"] == "room"][-1] == "ended"


async def test_recognition_that_fails_is_told_to_the_speaker_who_may_come_back() -> None:
    async def fail(inbox: Inbox, outbox: Outbox) -> None:
        async for _ in inbox:
            raise StageError("out of order")

    async with room(engine=Engine(fail)) as running, listener(running, "en-us") as maria:
        for _ in range(2):
            async with speaker(running) as pastor:
                await maria.find("room", state="live")
                await pastor.say(ramp(100))
                assert await pastor.refused_later() == ("engine_failed", 1011)
            await maria.find("room", state="waiting")


async def test_a_source_of_this_machine_can_speak_until_somebody_comes() -> None:
    blocks = [Audio(ramp(SECOND)[:, None], place * SECOND, SECOND) for place in range(2)]
    async with room() as running, listener(running, "en-us") as maria:
        await hall_of(running).let_speak(Playlist(items=blocks))
        line = await maria.find("caption")
        assert line["end_ms"] == 2000
        async with speaker(running) as pastor:
            await pastor.status(state="live")
            await hall_of(running).let_speak(Playlist(items=blocks))
            await pastor.say(ramp(SECOND))
            assert (await maria.find("caption"))["start_ms"] == 2000
            assert hall_of(running).intake.position == 3 * SECOND


@define
class Microphone:
    """A source of this machine that says what it is told to."""

    say: MemoryObjectSendStream[Audio] = field(init=False)
    _said: MemoryObjectReceiveStream[Audio] = field(init=False)

    accepts: ClassVar[Mapping[str, Port]] = {}

    def __attrs_post_init__(self) -> None:
        self.say, self._said = anyio.create_memory_object_stream[Audio](8)

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(SECOND, 1)}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        with self.say, self._said:
            async for audio in self._said:
                await outbox.send(audio)


async def test_a_source_of_this_machine_does_not_end_the_sentence_of_a_browser_nor_a_browser_its() -> None:
    hers, his = ramp(SECOND // 2), ramp(SECOND // 4)
    microphone = Microphone()
    async with room() as running, listener(running, "en-us") as maria, anyio.create_task_group() as tasks:
        hall = hall_of(running)
        async with speaker(running) as pastor:
            tasks.start_soon(hall.let_speak, microphone)
            await pastor.status(state="live")
            await pastor.say(hers)
            await wait_until(lambda: hall.intake.position == hers.size)
        await wait_until(lambda: hall.speaker is None)
        await microphone.say.send(Audio(his[:, None], 0, SECOND))
        await wait_until(lambda: hall.intake.position == hers.size + his.size)
        async with speaker(running) as pastor:
            await pastor.say(hers)
            lines = [await maria.find("caption") for _ in range(3)]
        assert [line["text"] for line in lines] == [
            f"utterance {n}, {s} s" for n, s in ((1, 0.5), (2, 0.2), (3, 0.5))
        ]
        tasks.cancel_scope.cancel()


async def test_what_a_room_hears_is_counted_whoever_speaks() -> None:
    blocks = [Audio(ramp(SECOND)[:, None], 0, SECOND)]
    async with room() as running, listener(running, "en-us") as maria:
        await hall_of(running).let_speak(Playlist(items=blocks))
        await maria.find("caption")
        async with speaker(running) as pastor:
            await pastor.say(ramp(SECOND))
            await pastor.find(TranscriptCompleted)
        _, told = await http(running, "GET /metrics")
        assert "dragoman_audio_seconds_total 2.0" in told
        assert "dragoman_utterances_total 2.0" in told


async def test_hundreds_of_listeners_come_and_go() -> None:
    settings = Settings(source="en-us", languages=("pt-br", "es-es"))
    async with room(settings, limits=Limits(opening=200)) as running, speaker(running) as pastor:
        got = list[int]()

        async def phone(tag: str) -> None:
            async with listener(running, tag, voice=tag) as one:
                await one.has("caption", seq=1)
                got.append(1)

        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(phone, ("pt-br", "es-es")[number % 2])
            await wait_until(lambda: len(hall_of(running).room.listeners) == 60)
            await pastor.say(ramp(2 * SECOND))
        assert len(got) == 60
        await wait_until(lambda: not hall_of(running).room.listeners)


async def test_a_source_of_this_machine_does_not_try_again_and_again_what_fails() -> None:
    tries = list[int]()

    async def fail(inbox: Inbox, outbox: Outbox) -> None:
        tries.append(1)
        raise StageError("out of order")

    blocks = [Audio(ramp(2400)[:, None], place * 2400, SECOND) for place in range(50)]

    async with room(engine=Engine(fail)) as running:
        await hall_of(running).let_speak(Playlist(items=blocks[:1]))
        await wait_until(lambda: hall_of(running).hearing is None)
        await hall_of(running).let_speak(Playlist(items=blocks))
        assert len(tries) == 1


async def test_what_nobody_expected_ends_one_visit_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with room() as running, listener(running, "pt-br") as maria:
        with monkeypatch.context() as patch:
            patch.setattr(Listener, "choose", lambda *_: 1 / 0)
            async with listener(running) as unlucky:
                await unlucky.say(languages=["en-us"])
                assert (await unlucky.next())["code"] == "internal_error"  # type: ignore[call-overload]
                assert await unlucky.closed() == 1011
        assert "ZeroDivisionError" in caplog.text
        async with speaker(running) as pastor:
            await pastor.say(ramp(SECOND))
            await maria.find("caption")


async def test_encrypted() -> None:
    authority = trustme.CA()
    server, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    async with (
        room(ssl=server) as running,
        client(running.base_url, f"/r/{KEYS.name}/listen-socket", ssl=trusting) as connected,
    ):
        phone = Phone(connected.connection)
        await phone.say(languages=["en-us"])
        await phone.find("room")
        await wait_until(lambda: len(hall_of(running).room.listeners) == 1)
