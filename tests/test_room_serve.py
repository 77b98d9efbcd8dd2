"""A room on the network: a speaker, listeners in two languages, and what may go wrong between them."""

from __future__ import annotations

import pytest

from stages.translate.realtime.events import TranscriptCompleted
from tests.room_people import listener, room, speaker
from tests.serve_server import SECOND, ramp

pytestmark = pytest.mark.anyio


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
            assert status["by_language"] == {"en-us": 1, "es-es": 1, "pt-br": 1}
        await maria.find("room", state="waiting")
