"""A room with the models of this machine: a recording speaks at its own pace, two languages are read, one is heard."""

from __future__ import annotations

from pathlib import Path

import anyio
import numpy as np
import pytest

from pipeline.serve.engine import Local
from pipeline.serve.room.hall import Hall, Settings
from pipeline.serve.service import Service
from pipeline.serve.listener import serving
from stages.file import File
from tests.engine import needs_models
from tests.room_people import KEYS, listener

pytestmark = [pytest.mark.anyio, pytest.mark.models, needs_models]

SAMPLE = Path(__file__).parents[1] / "graphs" / "samples" / "en_demo.flac"


async def test_a_recording_is_read_in_two_languages_and_heard_in_one() -> None:
    settings = Settings(source="en-us", languages=("pt-br",), title="Demo")
    with anyio.fail_after(180):
        hall = Hall(Service(Local(), workers=2), KEYS, settings)
        async with (
            serving(hall.service, hall=hall) as running,
            listener(running, "en-us") as reader,
            listener(running, "pt-br", voice="pt-br") as hearer,
        ):
            assert hearer.told[0]["languages"][1]["quality"] == "good"
            await hearer.find("ready", language="pt-br")
            await hall.let_speak(File(path=SAMPLE, realtime=True))
            await hearer.has("voice", event="end")
            await running.stop()
            for phone in (reader, hearer):
                assert await phone.closed() == 1001
            original = " ".join(line["text"] for line in reader.captions("en-us"))
            translation = " ".join(line["text"] for line in hearer.captions("pt-br"))
            print(original, "|", translation, "|", hall.floor.lag(anyio.current_time()), [m for m in reader.told if m["type"]=="partial"])
