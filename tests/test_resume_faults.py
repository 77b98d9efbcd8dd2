"""The interpreter and our own server over real sockets, and a network that cuts every half second of speech."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
import soundfile
import soxr

from pipeline.items import Audio, Text
from pipeline.serve.engine import Local
from pipeline.serve.listener import serving
from stages.translate.realtime.interpreter import Interpreter
from tests.engine import needs_models
from tests.fakes import FakeInbox, FakeOutbox
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.serve_server import ramp, server, service, wait_until
from tests.toy_service import RATE, blocks

pytestmark = pytest.mark.anyio

HALF_SECOND_UP = 32_000
"""Bytes of 0.5 s of sound, as base64."""
RESUMED = "times that a session went on after a cut"


def stage(base_url: str, **options: object) -> Interpreter:
    given = {"lead_s": 30, "quiet_s": 0.3, "api_key": "k", "deadline_s": 60, "dice": lambda: 0.0, **options}
    return Interpreter(source_language="en-us", target_language="pt-br", base_url=base_url, **given)  # type: ignore[arg-type]


async def cut_every(up_bytes: int, line: FaultProxy, cuts: int) -> None:
    for number in range(cuts):
        if number % 3 == 2:
            line.slice_bytes = 61 if line.slice_bytes is None else None
        line.cut_after_up_bytes = up_bytes
        await wait_until(lambda: line.cut_after_up_bytes is None)


def texts_of(outbox: FakeOutbox, port: str = "text") -> list[str]:
    return [item.text for item in outbox.items(port) if isinstance(item, Text) and item.final]


def speech_of(outbox: FakeOutbox) -> bytes:
    return b"".join(item.samples.tobytes() for item in outbox.items("audio") if isinstance(item, Audio))


async def test_cuts_after_every_half_second_of_speech() -> None:
    """The echo's utterances are counted by its session: so they tell that it was one session all along."""
    sound, outbox = ramp(12 * RATE)[:, None], FakeOutbox()
    async with server(silence_s=1.0) as running, fault_proxy(running.port) as line:
        interpreting = stage(line.url)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cut_every, HALF_SECOND_UP, line, 20)
            await interpreting.run(FakeInbox(blocks(sound)), outbox)
            tasks.cancel_scope.cancel()
        await wait_until(lambda: not running.sessions)
    said = [f"utterance {number}, 2.0 s" for number in range(1, 7)]
    assert texts_of(outbox, "transcript")[:6] == said
    assert texts_of(outbox)[:6] == [f"[pt-br] {words}" for words in said]
    assert speech_of(outbox)[: 24 * RATE] == sound.tobytes()
    assert not any(speech_of(outbox)[24 * RATE :]), "behind it, the silence after the end"
    assert interpreting.counts()[RESUMED] >= 18
    assert sum(interpreting.losses().values()) == 0


@needs_models
@pytest.mark.models
async def test_cuts_faster_than_the_offline_engine_answers(speech: Path) -> None:
    """Real speech: cut or not, it is the same translation, word for word, and the same voice."""
    samples, rate = soundfile.read(speech / "en_kennedy_ask_not_1961.flac", dtype="int16", always_2d=True)
    sound = soxr.resample(samples[: 20 * rate, :1], rate, RATE)
    told: list[tuple[list[str], list[str], int]] = []
    offline = service(engine=Local(partials_s=None), silence_s=1.0)
    async with serving(offline) as running, fault_proxy(running.port) as line:
        for cuts in (0, 30):
            interpreting, outbox = stage(line.url, deadline_s=120), FakeOutbox()
            with anyio.fail_after(120):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(cut_every, HALF_SECOND_UP, line, cuts)
                    await interpreting.run(FakeInbox(blocks(sound)), outbox)
                    tasks.cancel_scope.cancel()
            line.cut_after_up_bytes = line.slice_bytes = None
            assert sum(interpreting.losses().values()) == 0
            told.append((texts_of(outbox, "transcript"), texts_of(outbox), len(speech_of(outbox))))
    assert interpreting.counts()[RESUMED] >= 20
    assert told[0] == told[1]
    assert told[0][0]
