"""Both sides of a call: what one speaks becomes what the other hears, in any order of events."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from stages.translate.realtime import ServiceUnreachable, SessionRefused, Speaker, connect_pair
from stages.translate.realtime.events import (
    Closed,
    ErrorEvent,
    Payload,
    SessionConfig,
    SessionCreated,
    SessionUpdated,
    SourceLanguageChanged,
    TextDone,
)
from stages.translate.realtime.pair import Side, Targets
from tests.realtime_server import Peer, refuse, scripted

pytestmark = pytest.mark.anyio
AUTO = SessionConfig("auto")


def test_a_source_that_is_found_out_becomes_the_others_target() -> None:
    targets = Targets()
    assert targets.hear("local", SessionCreated("a", AUTO)) == []
    assert targets.hear("local", SourceLanguageChanged("de-de")) == [], "the other side is not ready yet"
    assert targets.hear("other", SessionCreated("b", AUTO)) == [("other", "de-de")]
    assert targets.hear("other", SessionUpdated(SessionConfig("auto", "de-de"))) == []
    assert targets.hear("local", SourceLanguageChanged("DE_de")) == [], "it is that already"
    assert targets.hear("other", SourceLanguageChanged("en-us")) == [("local", "en-us")]
    assert targets.hear("other", TextDone("hello")) == []
    assert targets.hear("local", SourceLanguageChanged("fr-fr")) == [("other", "fr-fr")]


def test_a_source_that_was_fixed_is_known_at_once() -> None:
    targets = Targets()
    assert targets.hear("local", SessionCreated("a", SessionConfig("pt-br", "en-us"))) == []
    assert targets.hear("other", SessionCreated("b", SessionConfig("en-us", "es-es"))) == [("other", "pt-br")]


TAGS = st.sampled_from(["de-de", "en-us", "EN_US", "pt-br"])
EVENTS: st.SearchStrategy[Payload] = st.one_of(
    st.builds(SessionCreated, st.just("s"), st.builds(SessionConfig, TAGS | st.just("auto"), TAGS | st.just(""))),
    st.builds(SourceLanguageChanged, TAGS),
    st.just(TextDone("x")),
)


@given(st.lists(st.tuples(st.sampled_from(["local", "other"]), EVENTS)))
def test_ready_sides_always_end_up_with_the_others_language(events: list[tuple[Side, Payload]]) -> None:
    targets = Targets()
    source, target = {"local": "", "other": ""}, {"local": "", "other": ""}
    ready: set[Side] = set()
    for side, payload in events:
        match payload:
            case SessionCreated(session=session):
                ready.add(side)
                target[side] = session.target_language
                source[side] = session.source_language if session.source_language != "auto" else source[side]
            case SourceLanguageChanged(language):
                source[side] = language
        for listening, language in targets.hear(side, payload):
            assert listening in ready
            target[listening] = language
        for listening, speaking in (("local", "other"), ("other", "local")):
            if listening in ready and source[speaking]:
                assert folded(target[listening]) == folded(source[speaking])


def folded(tag: str) -> str:
    return tag.lower().replace("_", "-")


def test_a_side_that_is_closed_is_told_nothing() -> None:
    targets = Targets()
    targets.hear("local", SessionCreated("a", AUTO))
    targets.hear("local", Closed(1000))
    assert targets.hear("other", SourceLanguageChanged("de-de")) == []


async def test_a_call_over_two_connections() -> None:
    async def local(peer: Peer) -> None:
        config = await peer.ready("a")
        await peer.send(SourceLanguageChanged("de-de"))
        assert (await peer.until("session.update"))["session"] == {"target_language": "en-us"}
        await peer.send(SessionUpdated(evolve(config, target_language="en-us")))
        heard.set()

    async def other(peer: Peer) -> None:
        config = await peer.ready("b")
        assert (await peer.until("session.update"))["session"] == {"target_language": "de-de"}
        await peer.send(SessionUpdated(evolve(config, target_language="de-de")), SourceLanguageChanged("en-us"))

    heard = anyio.Event()
    async with scripted(local, other) as service:
        quiet = Speaker(source_language_candidates=["en-us", "de"])
        pair = await connect_pair(local=quiet, api_key="k", base_url=service.url)
        updated: list[Any] = []
        pair.local.on("session.updated", updated.append)
        async with pair:
            await pair.wait_until_ready()
            await heard.wait()
        setups = [peer.messages[0]["session"] for peer in service.peers]
    assert [setup["speaker_setup"] for setup in setups] == ["single_known_speaker", "changing_speakers"]
    assert setups[0]["source_language_candidates"] == ["en-us", "de-de"]
    assert {setup["mode"] for setup in setups} == {"slow"}
    assert updated[-1].session.target_language == "en-us"


async def boots(peer: Peer) -> None:
    await peer.closed.wait()


async def test_both_or_none() -> None:
    async with scripted(boots, refuse(503)) as service:
        pair = await connect_pair(api_key="k", base_url=service.url)
        with pytest.raises(ServiceUnreachable, match="503"):
            async with pair:
                pass
        await service.peers[0].closed.wait()
        assert pair.local.is_closed


async def test_one_that_is_refused_is_told_at_once_though_the_other_still_boots() -> None:
    async def refuses(peer: Peer) -> None:
        await peer.send(ErrorEvent("no credit", "insufficient_credits"))
        await peer.close(1008)

    async with scripted(boots, refuses) as service, await connect_pair(api_key="k", base_url=service.url) as pair:
        with pytest.raises(SessionRefused, match="insufficient_credits"):
            await pair.wait_until_ready()


async def test_a_side_that_has_gone_disturbs_nothing() -> None:
    async def speaks(peer: Peer) -> None:
        await peer.ready()
        await gone.wait()
        await peer.send(SourceLanguageChanged("de-de"), TextDone("hallo"))

    async def goes(peer: Peer) -> None:
        await peer.ready()
        await peer.close(1000)

    errors: list[ErrorEvent] = []
    gone, told = anyio.Event(), anyio.Event()
    async with scripted(speaks, goes) as service:
        pair = await connect_pair(api_key="k", base_url=service.url)
        pair.local.on("error", errors.append)
        pair.local.on("response.text.done", lambda _: told.set())
        async with pair:
            await pair.other.run_until_closed()
            gone.set()
            await told.wait()
    assert errors == []
