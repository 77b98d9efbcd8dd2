"""A room with the models of this machine: a recording speaks at its own pace, and is read in two languages."""

from __future__ import annotations

from pathlib import Path

import anyio
import numpy as np
import pytest

from pipeline.serve.engine import Local
from pipeline.serve.limits import Limits
from pipeline.serve.listener import serving
from pipeline.serve.room.hall import Hall, Settings
from pipeline.serve.service import Service
from stages.file import File
from tests.engine import needs_models
from tests.room_people import KEYS, Listener, listener
from tests.wer import error_rate

pytestmark = [pytest.mark.anyio, pytest.mark.models, needs_models]

SAID = (
    "Congratulations. You have successfully installed and executed the Asterisk open source PBX. You have also "
    "installed a set of sample sounds and configuration files that should help you to get started. Like a "
    "normal PBX you will navigate this demonstration by dialing digits. If you are using a console channel driver "
    "instead of a real phone you can use the dial, answer, and hang up commands to simulate the actions of a "
    "standard telephone."
)
SAMPLE = Path(__file__).parents[1] / "graphs" / "samples" / "en_demo.flac"


async def test_a_recording_is_read_in_two_languages_and_heard_in_one() -> None:
    settings = Settings(source="en-us", languages=("pt-br",), title="Demo")
    with anyio.fail_after(180):
        hall = Hall(Service(Local(), limits=Limits(drain_s=120.0), workers=2), KEYS, settings)
        async with (
            serving(hall.service, hall=hall) as running,
            listener(running, "en-us") as reader,
            listener(running, "pt-br", voice="pt-br") as hearer,
        ):
            assert hearer.told[0]["languages"][1]["quality"] == "good"
            await hearer.find("ready", language="pt-br")
            codes = list[int]()

            async def follow(phone: Listener) -> None:
                codes.append(await phone.closed())

            async with anyio.create_task_group() as tasks:
                for phone in (reader, hearer):
                    tasks.start_soon(follow, phone)
                await hall.let_speak(File(path=SAMPLE, realtime=True))
                await running.stop()
            assert codes == [1001, 1001]
    assert error_rate(SAID, " ".join(line["text"] for line in reader.captions("en-us"))) < 0.1
    original, translation = reader.captions("en-us"), hearer.captions("pt-br")
    assert [line["utterance"] for line in translation] == [line["utterance"] for line in original]
    assert [line["start_ms"] for line in translation] == [line["start_ms"] for line in original]
    told = " ".join(line["text"] for line in translation).lower()
    for word in ("parabéns", "instal", "código aberto", "arquivos de configuração", "telefone"):
        assert word in told
    begun = [each["utterance"] for each in hearer.told if each.get("event") == "begin"]
    assert begun == [line["utterance"] for line in translation]
    sound = np.frombuffer(bytes(hearer.sound), "<i2")
    assert 10 < len(sound) / 24000 < 90
    assert np.abs(sound).max() > 3000
    assert not reader.sound
    assert not [each for each in hearer.told if each.get("event") == "dropped"]
