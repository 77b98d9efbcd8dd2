"""What we put on the wire beside what the vendor's own SDK does, for the same input: they say the same."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from stages.translate.realtime import connect
from tests.realtime_server import Peer, scripted

sdk = pytest.importorskip("camb.realtime", reason="needs the vendor's SDK: pip install 'dragoman[test]'")
pytestmark = pytest.mark.anyio
SOUND = bytes(range(256)) * 375  # two seconds
Use = Callable[[str, dict[str, Any]], Awaitable[None]]


@pytest.fixture(scope="module", params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The SDK knows only asyncio."""
    return str(request.param)


async def chunks() -> AsyncIterator[bytes]:
    for begin in range(0, len(SOUND), 4800):
        yield SOUND[begin : begin + 4800]


async def with_ours(url: str, asked: dict[str, Any]) -> None:
    async with await connect(api_key="k-123", base_url=url, **asked) as session:
        await use(session, asked)


async def with_theirs(url: str, asked: dict[str, Any]) -> None:
    async with await sdk.connect("k-123", base_url=url, **asked) as session:
        await use(session, asked)


async def use(session: Any, asked: dict[str, Any]) -> None:
    """What the page does, by names that both have."""
    await session.wait_until_ready()
    if asked["source_language"] == "auto":
        await session.update_languages(target_language="es-es")
        await session.ignore_utterance_for_language_detection("item_4")
    await session.stream_audio(chunks())


async def recorded(user: Use, asked: dict[str, Any], prefix: str = "") -> Peer:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.heard(len(SOUND))

    async with scripted(script) as service:
        await user(service.url + prefix, asked)
        await service.peers[0].closed.wait()
        return service.peers[0]


@pytest.mark.parametrize(
    "asked",
    [
        {"source_language": "en-us", "target_language": "pt-br"},
        {
            "source_language": "en-us",
            "target_language": "pt-br",
            "output_modalities": ["text"],
            "voice_id": 147320,
        },
        {"source_language": "auto", "mode": "slow"},
        {
            "source_language": "auto",
            "target_language": "es-es",
            "mode": "slow",
            "speaker_setup": "single_known_speaker",
            "source_language_candidates": ["en-us", "de-de"],
        },
    ],
)
async def test_our_frames_and_the_sdks_say_the_same(asked: dict[str, Any]) -> None:
    ours, theirs = await recorded(with_ours, asked), await recorded(with_theirs, asked)
    assert ours.path == theirs.path
    assert ours.audio == theirs.audio == SOUND
    assert without_audio(ours) == without_audio(theirs)
    assert (ours.close_code, theirs.close_code) == (1000, 1000)
    assert [name for name in ours.headers if name.startswith("x-")] == []


async def test_a_prefix_in_the_address_survives_in_both() -> None:
    asked = {"source_language": "en-us", "target_language": "pt-br"}
    ours, theirs = await recorded(with_ours, asked, "/gate/"), await recorded(with_theirs, asked, "/gate/")
    assert ours.path == theirs.path == "/gate/v1/realtime?mode=fast"


def without_audio(peer: Peer) -> list[dict[str, Any]]:
    messages = [json.loads(frame) for frame in peer.received if isinstance(frame, str)]
    return [message for message in messages if message["type"] != "input_audio_buffer.append"]
