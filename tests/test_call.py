"""A call as a graph: what one side speaks is found out, and becomes what the other hears; through cuts as well."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import anyio
import numpy as np
import pytest
import soundfile
import soxr
from attrs import define, evolve, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.graph import Graph
from pipeline.items import Audio, Item, Samples, Text
from pipeline.ledger import Report
from pipeline.node import Read
from pipeline.runner import run
from pipeline.serve.engine import Local
from pipeline.serve.listener import serving
from pipeline.serve.service import Service
from pipeline.stage import Inbox, Outbox, StageError
from pipeline.testing import Collect, Playlist
from stages.translate.call import Call
from stages.translate.realtime.events import SessionConfig
from stages.translate.realtime.line import Opener
from stages.translate.realtime.transport import Socket, SocketOptions
from tests.engine import needs_models
from tests.memory_server import MemoryServer, Plan, SlowEcho, memory_server
from tests.realtime_server import refuse, scripted
from tests.serve_server import SECOND, ramp, server, service
from tests.test_realtime_interpreter import in_virtual_time
from tests.toy_service import RATE, blocks, talk
from tests.wer import error_rate

EXTRAS = ("resume", "start_frame", "end_frame")
"""What our own server tells beside the protocol."""
Span = tuple[int, int]
UNTRANSLATED = "said before it was known into which language to translate, texts"
PORTS = ("audio_there", "text_there", "transcript_here", "audio_here", "text_here", "transcript_there")
HERE = [(RATE, 3 * RATE), (8 * RATE, 10 * RATE), (14 * RATE, 17 * RATE), (20 * RATE, 22 * RATE)]
THERE = [(4 * RATE, 6 * RATE), (11 * RATE, 13 * RATE), (18 * RATE, 19 * RATE), (24 * RATE, 27 * RATE)]


@define(eq=False)
class Vague:
    """A client's end of a connection to a service that tells no places, and keeps no session that was cut."""

    socket: Socket

    async def send(self, frame: str | bytes) -> None:
        await self.socket.send(frame)

    async def receive(self) -> str | bytes:
        frame = await self.socket.receive()
        if isinstance(frame, bytes):
            return frame
        told = json.loads(frame)
        return json.dumps({name: value for name, value in told.items() if name not in EXTRAS})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.socket.close(code, reason)


def vague(opener: Opener) -> Opener:
    @asynccontextmanager
    async def opened(url: str, options: SocketOptions) -> AsyncIterator[Socket]:
        async with opener(url, options) as socket:
            yield Vague(socket)

    return opened


@define
class Ended:
    """A call that is over: what came out of its ports."""

    stage: Call
    report: Report
    ports: dict[str, list[Item]]

    def texts(self, port: str) -> list[Text]:
        return [item for item in self.ports[port] if isinstance(item, Text) and item.final]

    def sound(self, port: str) -> np.ndarray[Any, Any]:
        found = [item.samples for item in self.ports[port] if isinstance(item, Audio)]
        return np.concatenate([np.zeros((0, 1), np.int16), *found])


async def call(stage: Call, here: Sequence[Audio], there: Sequence[Audio]) -> Ended:
    ports = {port: Collect() for port in PORTS}
    graph = Graph("call").add("here", Playlist(items=list(here))).add("there", Playlist(items=list(there)))
    graph.add("call", stage, reads=[Read("here", into="here"), Read("there", into="there")])
    for port, collect in ports.items():
        graph.add(port, collect, reads=f"call.{port}")
    report = await run(graph)
    assert report.balanced
    return Ended(stage, report, {port: collect.items for port, collect in ports.items()})


def spoken_in(session: SessionConfig) -> str:
    """By which side it is: only the one here is a single speaker."""
    return "en-us" if session.speaker_setup == "single_known_speaker" else "pt-br"


async def call_in_memory(
    plan: Plan | None = None,
    engine: dict[str, Any] | None = None,
    here: Sequence[Span] = HERE,
    there: Sequence[Span] = THERE,
    tells: bool = True,
    **options: Any,
) -> Ended:
    serves = Service(SlowEcho(speaks=spoken_in, **(engine or {})))
    frames = max(end for _, end in (*here, *there)) + 3 * RATE
    async with memory_server(serves) as memory, anyio.create_task_group() as disturbing:
        if plan is not None:
            disturbing.start_soon(disturb, plan, memory)
        stage = Call(api_key="k", open=memory.opener if tells else vague(memory.opener), **options)
        ended = await call(stage, blocks(talk(here, frames)), blocks(talk(there, frames)))
        disturbing.cancel_scope.cancel()
    assert serves.admission.sessions == 0
    return ended


async def disturb(plan: Plan, memory: MemoryServer) -> None:
    while not memory.opened:  # noqa: ASYNC110 - a run begins with threads, which simulated time does not wait for
        await anyio.sleep(0.001)
    await plan(memory)


def said(spans: Sequence[Span], words: str = "from {} to {}") -> list[str]:
    return [words.format(start // 240, (end - 1) // 240) for start, end in spans]


def assert_interpreted(
    ended: Ended, here: Sequence[Span], there: Sequence[Span], lost: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Everything was transcribed, and `here` and `there` were translated: once, and all of them."""
    assert [text.text for text in ended.texts("transcript_here")] == said(HERE)
    assert [text.text for text in ended.texts("transcript_there")] == said(THERE)
    assert {text.language for text in ended.texts("transcript_here")} == {"en-us"}
    assert {text.language for text in ended.texts("transcript_there")} == {"pt-br"}
    for port, spans, language in (("there", here, "pt-br"), ("here", there, "en-us")):
        texts = ended.texts(f"text_{port}")
        assert [text.text for text in texts] == said(spans, "de {} a {}")
        assert {text.language for text in texts} <= {language}
        assert len(ended.sound(f"audio_{port}")) == sum(end - start for start, end in spans)
    assert ended.report.lost == lost


@pytest.mark.parametrize("tells", [True, False], ids=["places told", "places guessed"])
def test_what_one_speaks_the_other_hears_without_anybody_saying_which_it_is(tells: bool) -> None:
    """The first words of this side fall before the other has said anything: they are translated once it has."""
    ended = in_virtual_time(lambda: call_in_memory(tells=tells))
    assert_interpreted(ended, HERE, THERE)
    assert ended.stage.counts()["here: sessions"] == ended.stage.counts()["there: sessions"] == 1
    assert ended.stage.status == "here: all is answered; there: all is answered"


@pytest.mark.parametrize("tells", [True, False], ids=["places told", "places guessed"])
def test_all_that_was_said_before_the_other_side_spoke_is_translated_in_its_order(tells: bool) -> None:
    here = [(RATE, 2 * RATE), (4 * RATE, 7 * RATE), (9 * RATE, 10 * RATE), (24 * RATE, 26 * RATE)]
    there = [(17 * RATE, 19 * RATE), (21 * RATE, 22 * RATE)]
    ended = in_virtual_time(lambda: call_in_memory(here=here, there=there, tells=tells))
    assert [text.text for text in ended.texts("transcript_here")] == said(here), "once, though it was sent twice"
    assert [text.text for text in ended.texts("text_there")] == said(here, "de {} a {}")
    assert len(ended.sound("audio_there")) == sum(end - start for start, end in here)
    assert [text.text for text in ended.texts("text_here")] == said(there, "de {} a {}")
    spoken = [text.utterance for text in ended.texts("text_there")]
    assert spoken == [text.utterance for text in ended.texts("transcript_here")], "each by its number"
    assert not ended.report.lost
    assert ended.stage.counts()["here: sessions"] == 1


@pytest.mark.parametrize("tells", [True, False], ids=["places told", "places guessed"])
def test_what_was_said_too_long_before_is_lost_and_counted(tells: bool) -> None:
    """Two minutes of sound are kept."""
    here = [(RATE, 2 * RATE), (4 * RATE, 7 * RATE), (130 * RATE, 132 * RATE)]
    there = [(135 * RATE, 137 * RATE)]
    ended = in_virtual_time(lambda: call_in_memory(here=here, there=there, tells=tells))
    assert [text.text for text in ended.texts("transcript_here")] == said(here)
    assert [text.text for text in ended.texts("text_there")] == said(here[2:], "de {} a {}")
    assert ended.report.lost == {f"call: here: {UNTRANSLATED}": 2}


@pytest.mark.parametrize("tells", [True, False], ids=["places told", "places guessed"])
def test_where_the_other_side_says_nothing_all_of_it_is_lost(tells: bool) -> None:
    ended = in_virtual_time(lambda: call_in_memory(there=[], tells=tells))
    assert [text.text for text in ended.texts("transcript_here")] == said(HERE)
    assert ended.report.lost == {f"call: here: {UNTRANSLATED}": len(HERE)}
    assert ended.stage.status == "here: all is answered; there: all is answered"


@pytest.mark.parametrize(("period_s", "answer_s"), [(0.5, 0.1), (2.9, 1.5), (7, 0.5)])
def test_through_cuts_as_well(period_s: float, answer_s: float) -> None:
    async def plan(memory: MemoryServer) -> None:
        while True:
            await anyio.sleep(period_s)
            memory.cut()

    ended = in_virtual_time(lambda: call_in_memory(plan, {"answer_s": answer_s}))
    assert_interpreted(ended, HERE, THERE)


@pytest.mark.parametrize("seed", range(3))
def test_whenever_it_is_cut_nothing_is_said_twice_and_what_is_not_translated_is_counted(seed: int) -> None:
    """The server keeps no session that was cut, and works slowly: it may be behind when it gets its language."""
    dice = random.Random(seed)

    async def plan(memory: MemoryServer) -> None:
        memory.server.service.limits = evolve(memory.server.service.limits, resume_s=0.05)
        while memory.opened < 2:  # noqa: ASYNC110 - a run begins with threads, which simulated time does not wait for
            await anyio.sleep(0.001)
        await anyio.sleep(dice.uniform(10, 30))
        while True:
            memory.down = True
            memory.cut()
            await anyio.sleep(1.5)
            memory.down = False
            await anyio.sleep(dice.uniform(0.5, 9))

    ended = in_virtual_time(lambda: call_in_memory(plan, {"answer_s": 1.5}))
    for here, there, spans in (("here", "there", HERE), ("there", "here", THERE)):
        assert [text.text for text in ended.texts(f"transcript_{here}")] == said(spans)
        words, wanted = [text.text for text in ended.texts(f"text_{there}")], said(spans, "de {} a {}")
        assert set(words) <= set(wanted)
        assert len(words) == len(set(words))
        assert len(wanted) - len(words) == ended.report.lost.get(f"call: {here}: {UNTRANSLATED}", 0)


def test_a_new_session_begins_with_the_language_that_was_found() -> None:
    """The outage is longer than the server keeps a session."""

    async def plan(memory: MemoryServer) -> None:
        memory.server.service.limits = evolve(memory.server.service.limits, resume_s=0.1)
        await anyio.sleep(10.6)
        memory.down = True
        memory.cut()
        await anyio.sleep(3)
        memory.down = False

    ended = in_virtual_time(lambda: call_in_memory(plan))
    assert_interpreted(ended, HERE, THERE)


def test_a_language_that_is_given_is_translated_into_from_the_first_word_on() -> None:
    ended = in_virtual_time(lambda: call_in_memory(there_language="pt-br"))
    assert_interpreted(ended, HERE, THERE)


class Limited(SlowEcho):
    """An engine that cannot translate into English."""

    def check(self, session: SessionConfig) -> None:
        if session.target_language.startswith("en"):
            raise ValueError("no English here")


def test_a_language_that_the_service_cannot_do_is_told_and_the_rest_goes_on() -> None:
    async def run_it() -> Ended:
        async with memory_server(Service(Limited(speaks=spoken_in))) as memory:
            stage = Call(api_key="k", open=memory.opener)
            return await call(stage, blocks(talk(HERE, 30 * RATE)), blocks(talk(THERE, 30 * RATE)))

    ended = in_virtual_time(run_it)
    lost = {f"call: there: {UNTRANSLATED}": len(THERE)}
    assert_interpreted(ended, HERE, [], lost)
    assert ended.stage.counts()["there: errors from the service"] == 1
    assert "the service says: no English here" in ended.stage.status


@pytest.mark.anyio
async def test_languages_that_are_both_given_over_real_sockets(anyio_backend: str) -> None:
    sound = blocks(ramp(4 * SECOND)[:, None])
    async with server(silence_s=1.0) as running:
        stage = Call(api_key="k", base_url=running.base_url, here_language="de-de", there_language="pt-br")
        ended = await call(stage, sound, sound)
    assert [text.text for text in ended.texts("text_there")][:2] == [
        f"[pt-br] utterance {number}, 2.0 s" for number in (1, 2)
    ]
    assert [text.text for text in ended.texts("text_here")][:2] == [
        f"[de-de] utterance {number}, 2.0 s" for number in (1, 2)
    ]
    for port in ("audio_here", "audio_there"):
        assert ended.sound(port)[: 4 * SECOND].tobytes() == ramp(4 * SECOND).tobytes()


@pytest.mark.anyio
async def test_one_side_that_is_refused_ends_the_call(anyio_backend: str) -> None:
    async with scripted(refuse(401), refuse(401)) as refusing:
        stage = Call(api_key="k-canary", base_url=refusing.url)
        with pytest.raises(StageError, match="HTTP 401") as caught:
            await call(stage, blocks(ramp(SECOND)[:, None]), blocks(ramp(SECOND)[:, None]))
    assert caught.value.code == 69


def test_it_says_what_it_gives_and_what_it_cannot_do() -> None:
    assert list(Call(api_key="k").gives({})) == list(PORTS)
    assert Call(api_key="k").gives({})["audio_here"] == AudioCaps(RATE, 1)
    for wrong in ({"languages": ["en-us"]}, {"languages": ["en-us", "xx"]}, {"here_language": "klingon"}):
        with pytest.raises(ValueError, match="wanted"):
            Call(api_key="k", **wrong)
    assert "canary" not in repr(Call(api_key="canary"))


# --- real speech --------------------------------------------------------------------------------------------


@define(kw_only=True)
class Speaker:
    """A source that says each of `turns` once it is `due`."""

    turns: Sequence[tuple[anyio.Event | None, Samples]]

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(RATE, 1)}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        end = 0
        for due, samples in self.turns:
            if due is not None:
                await due.wait()
            pause = np.zeros((RATE, 1), np.int16)
            for block in blocks(np.concatenate([samples, pause])):
                await outbox.send(Audio(block.samples, end, RATE))
                end += block.frames


@define(kw_only=True)
class Listener(Collect):
    """Also says when the first final text has come."""

    heard: anyio.Event = field(factory=anyio.Event)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            self.items.append(item)
            if isinstance(item, Text) and item.final:
                self.heard.set()


def recording(path: Path) -> Samples:
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    return np.asarray(soxr.resample(samples[:, :1], rate, RATE))


@needs_models
@pytest.mark.models
@pytest.mark.anyio
async def test_english_and_portuguese_find_each_other(anyio_backend: str, speech: Path) -> None:
    """One says something in English, the other answers in Portuguese, and the first goes on."""
    ports = {port: Listener() for port in PORTS}
    english, portuguese = ports["transcript_here"].heard, ports["transcript_there"].heard
    first, second = (recording(speech / name) for name in ("en_cv_651325.flac", "en_ls_1272_quilter.flac"))
    here = Speaker(turns=[(None, first), (portuguese, second)])
    there = Speaker(turns=[(english, recording(speech / "pt_leopard.flac"))])
    async with serving(service(engine=Local(partials_s=None), silence_s=1.0)) as running:
        stage = Call(api_key="k", base_url=running.base_url)
        graph = Graph("call").add("here", here).add("there", there)
        graph.add("call", stage, reads=[Read("here", into="here"), Read("there", into="there")])
        for port, collect in ports.items():
            graph.add(port, collect, reads=f"call.{port}")
        with anyio.fail_after(180):
            report = await run(graph)
    ended = Ended(stage, report, {port: collect.items for port, collect in ports.items()})
    words = {
        port: " ".join(text.text for text in ended.texts(port)).lower() for port in PORTS if "audio" not in port
    }
    said = (
        "every purchase is a vote mr quilter is the apostle of the middle classes and we are glad to welcome his"
    )
    assert error_rate(f"{said} gospel", words["transcript_here"]) < 0.3
    assert "raposa" in words["transcript_there"]
    assert "learn" in words["text_here"]
    assert "classe" in words["text_there"]
    assert "compra" in words["text_there"], "what was said before anybody answered"
    assert {text.language for text in ended.texts("text_there")} == {"pt-br"}
    assert {text.language for text in ended.texts("text_here")} == {"en-us"}
    assert len(ended.sound("audio_here")) > RATE
    assert len(ended.sound("audio_there")) > 2 * RATE
    assert not report.lost
