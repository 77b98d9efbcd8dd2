"""The vendor's own SDK, unmodified but for the address, against our server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import soundfile
from attrs import define, field

from pipeline.items import Audio
from pipeline.serve.engine import Local
from pipeline.serve.listener import Server
from pipeline.testing import feed_all
from stages.resample import Resample
from tests.engine import needs_models
from tests.serve_server import SECOND, keys_in, ramp, server

sdk = pytest.importorskip("camb.realtime", reason="the vendor's SDK is not installed: pip install camb-sdk")
# The SDK asks `websockets` for what is deprecated there, and would lose the close code to a warning that raises.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
KEY = "canary-alice"
TRANSCRIPT = "conversation.item.input_audio_transcription.completed"
SAMPLE = Path(__file__).parents[1] / "graphs" / "samples" / "en_demo.flac"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The SDK knows asyncio only."""
    return "asyncio"


@define(eq=False)
class Caller:
    """A session of the SDK, and what its handlers have got."""

    session: Any
    events: list[tuple[str, Any]] = field(factory=list)
    _news: anyio.Event = field(factory=anyio.Event)

    def got(self, kind: str, payload: Any) -> None:
        self.events.append((getattr(kind, "value", kind), payload))
        self._news.set()

    def all(self, kind: str) -> list[Any]:
        return [payload for name, payload in self.events if name == kind]

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._news = anyio.Event()
            await self._news.wait()

    async def say(self, data: bytes) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for begin in range(0, len(data), 4800):
                yield data[begin : begin + 4800]

        await self.session.stream_audio(chunks())


@asynccontextmanager
async def call(running: Server, key: str = KEY, **options: Any) -> AsyncIterator[Caller]:
    """The quickstart of the SDK: connect, register handlers, enter."""
    wish = {"source_language": "en-US", "target_language": "pt-BR", **options}
    with anyio.fail_after(120):
        session = await sdk.connect(key, base_url=running.base_url.replace("ws", "http", 1) + "/", **wish)
        caller = Caller(session)
        session.on_any(caller.got)
        async with session:
            yield caller


async def test_the_quickstart(tmp_path: Path) -> None:
    async with server(keys=keys_in(tmp_path)) as running, call(running) as caller:
        await caller.session.wait_until_ready(5)
        await caller.say(ramp(5 * SECOND).tobytes())
        await caller.until(lambda: len(caller.all("response.audio.done")) == 3)
        done = [event.text for event in caller.all("response.text.done")]
        assert "".join(event.delta for event in caller.all("response.text.delta")) == "".join(done)
        assert len(done) == len(caller.all(TRANSCRIPT)) == 3
        assert b"".join(event.data for event in caller.all("response.audio.delta")) == ramp(5 * SECOND).tobytes()
        created, updated = caller.all("session.created")[0], caller.all("session.updated")[0]
        assert (created.session.mode, created.session.target_language) == ("fast", "pt-br")
        assert updated.session.output_modalities == ["text", "audio"]
        assert not caller.all("error")


async def test_text_only(tmp_path: Path) -> None:
    async with server() as running, call(running, output_modalities=["text"]) as caller:
        await caller.session.wait_until_ready(5)
        await caller.say(ramp(2 * SECOND).tobytes())
        await caller.until(lambda: bool(caller.all("response.text.done")))
        assert not caller.all("response.audio.delta")


@pytest.mark.parametrize(
    ("options", "code", "param"),
    [
        ({"target_language": "xx-YY"}, "unsupported_language", "session.target_language"),
        ({"voice_id": 147320}, "unsupported_voice", "session.voice"),
        ({"key": "canary-mallory"}, "invalid_api_key", "auth.api_key"),
    ],
)
async def test_a_refusal_is_told_at_once(tmp_path: Path, options: dict[str, Any], code: str, param: str) -> None:
    async with server(keys=keys_in(tmp_path)) as running, call(running, **options) as caller:
        with pytest.raises(sdk.RealtimeConnectError, match="closed before"):
            await caller.session.wait_until_ready(5)
        error = caller.all("error")[0]
        assert (error.code, error.param) == (code, param)
        await caller.until(lambda: bool(caller.all("Closed")))
        assert caller.all("Closed")[0].code == 1008


async def test_a_session_that_detects_gets_its_target_later() -> None:
    async with (
        server() as running,
        call(running, source_language="auto", target_language=None, mode="slow") as caller,
    ):
        await caller.session.wait_until_ready(5)
        await caller.say(ramp(2 * SECOND).tobytes())
        await caller.until(lambda: bool(caller.all(TRANSCRIPT)))
        completed = caller.all(TRANSCRIPT)[0]
        assert (completed.item_id, completed.language, completed.passthrough) == ("item_1", "en-us", False)
        assert caller.all("session.source_language_changed")[0].language == "en-us"
        await caller.session.ignore_utterance_for_language_detection("item_1")
        await caller.session.update_languages(target_language="es-ES")
        await caller.say(ramp(2 * SECOND).tobytes())
        await caller.until(lambda: bool(caller.all("response.text.done")))
        assert caller.all("response.text.done")[0].text.startswith("[es-es]")
        await caller.session.update_languages(target_language="xx")
        await caller.until(lambda: bool(caller.all("error")))
        assert caller.all("error")[0].code == "unsupported_language"
        await caller.session.send_audio(ramp(100).tobytes())


async def test_what_one_side_of_a_call_speaks_the_other_side_gets() -> None:
    async with server() as running:
        with anyio.fail_after(30):
            pair = await sdk.connect_session_pair(KEY, base_url=running.base_url, mode="slow")
            listener = Caller(pair.other_party_session)
            listener.session.on_any(listener.got)
            async with pair:
                await pair.wait_until_ready(5)
                await pair.local_speaker_session.send_audio(ramp(2 * SECOND).tobytes())
                await listener.until(
                    lambda: any(
                        each.session.target_language == "en-us" for each in listener.all("session.updated")
                    )
                )


@pytest.mark.models
@needs_models
async def test_the_quickstart_with_the_offline_engine() -> None:
    sound = as_pcm(SAMPLE)[: 2 * 19 * SECOND]  # what ends the last sentence is that no more comes
    async with server(engine=Local(), silence_s=0.8) as running, call(running) as caller:
        await caller.session.wait_until_ready(60)
        await caller.until(lambda: bool(caller.all("session.updated")))
        assert [name for name, _ in caller.events][:3] == [
            "session.starting",
            "session.created",
            "session.updated",
        ]
        await caller.say(sound)
        await caller.until(lambda: any(each.end_frame > 18 * SECOND for each in caller.all(TRANSCRIPT)))
        said = [each.transcript for each in caller.all(TRANSCRIPT)]
        await caller.until(lambda: len(caller.all("response.audio.done")) == len(said))
        done = [each.text for each in caller.all("response.text.done")]
        assert len(done) == len(said) >= 1
        assert "".join(each.delta for each in caller.all("response.text.delta")) == "".join(done)
        assert "you have successfully installed" in " ".join(said).lower()
        assert "você instalou" in " ".join(done).lower()
        spoken = b"".join(each.data for each in caller.all("response.audio.delta"))
        assert 10 * SECOND < len(spoken) // 2 < 40 * SECOND
        places = [(each.start_frame, each.end_frame) for each in caller.all(TRANSCRIPT)]
        assert all(one[1] <= other[0] for one, other in pairwise(places))
        assert not caller.all("error")


def as_pcm(path: Path) -> bytes:
    """A recording as the protocol wants it."""
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    items = feed_all(Resample(rate=SECOND, channels=1), [Audio(samples, 0, rate)])
    return np.concatenate([item.samples for item in items if isinstance(item, Audio)]).tobytes()
