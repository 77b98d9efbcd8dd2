"""A call as a graph: what one side speaks is found out, and becomes what the other hears; through cuts as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import numpy as np
import pytest
from attrs import define, evolve

from pipeline.caps import AudioCaps
from pipeline.graph import Graph
from pipeline.items import Audio, Item, Text
from pipeline.ledger import Report
from pipeline.node import Read
from pipeline.runner import run
from pipeline.serve.service import Service
from pipeline.stage import StageError
from pipeline.testing import Collect, Playlist
from stages.translate.call import Call
from stages.translate.realtime.events import SessionConfig
from tests.memory_server import MemoryServer, Plan, SlowEcho, memory_server
from tests.realtime_server import refuse, scripted
from tests.serve_server import SECOND, ramp, server
from tests.test_realtime_interpreter import in_virtual_time
from tests.toy_service import RATE, blocks, talk

PORTS = ("audio_there", "text_there", "transcript_here", "audio_here", "text_here", "transcript_there")
HERE = [(RATE, 3 * RATE), (8 * RATE, 10 * RATE), (14 * RATE, 17 * RATE), (20 * RATE, 22 * RATE)]
THERE = [(4 * RATE, 6 * RATE), (11 * RATE, 13 * RATE), (18 * RATE, 19 * RATE), (24 * RATE, 27 * RATE)]


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


async def call_in_memory(plan: Plan | None = None, engine: dict[str, Any] | None = None, **options: Any) -> Ended:
    service = Service(SlowEcho(speaks=spoken_in, **(engine or {})))
    frames = 30 * RATE
    async with memory_server(service) as memory, anyio.create_task_group() as disturbing:
        if plan is not None:
            disturbing.start_soon(plan, memory)
        stage = Call(api_key="k", open=memory.opener, **options)
        ended = await call(stage, blocks(talk(HERE, frames)), blocks(talk(THERE, frames)))
        disturbing.cancel_scope.cancel()
    assert service.admission.sessions == 0
    return ended


def said(spans: Sequence[tuple[int, int]], words: str = "from {} to {}") -> list[str]:
    return [words.format(start // 240, (end - 1) // 240) for start, end in spans]


def assert_interpreted(ended: Ended, here: Sequence[tuple[int, int]], there: Sequence[tuple[int, int]]) -> None:
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
    assert not ended.report.lost


def test_what_one_speaks_the_other_hears_without_anybody_saying_which_it_is() -> None:
    """The first words of this side fall before the other has said anything."""
    ended = in_virtual_time(call_in_memory)
    assert_interpreted(ended, HERE[1:], THERE)
    assert ended.stage.counts()["here: utterances before there was a target language"] == 1
    assert "there: utterances before there was a target language" not in ended.stage.counts()
    assert ended.stage.counts()["here: sessions"] == ended.stage.counts()["there: sessions"] == 1
    assert ended.stage.status == "here: all is answered; there: all is answered"


@pytest.mark.parametrize(("period_s", "answer_s", "early"), [(0.5, 0.1, 0), (2.9, 1.5, 1), (7, 0.5, 0)])
def test_through_cuts_as_well(period_s: float, answer_s: float, early: int) -> None:
    """`early` utterances there have begun before it is known what is spoken here."""

    async def plan(memory: MemoryServer) -> None:
        while True:
            await anyio.sleep(period_s)
            memory.cut()

    ended = in_virtual_time(lambda: call_in_memory(plan, {"answer_s": answer_s}))
    assert_interpreted(ended, HERE[1:], THERE[early:])


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
    assert_interpreted(ended, HERE[1:], THERE)


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
    assert_interpreted(ended, HERE[1:], [])
    assert ended.stage.counts()["there: errors from the service"] == 1
    assert "the service says: no English here" in ended.stage.status
    assert ended.stage.counts()["there: utterances before there was a target language"] == len(THERE)


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
    async with scripted(refuse(401), refuse(401)) as service:
        stage = Call(api_key="k-canary", base_url=service.url)
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
