"""The interpreter over real sockets, through a network that breaks: nothing is lost, and no key gets out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import numpy as np
import pytest
from attrs import evolve

from pipeline.items import Audio, Samples, Text
from pipeline.stage import StageError
from stages.translate.realtime import interpreter
from stages.translate.realtime.events import ErrorEvent
from stages.translate.realtime.interpreter import Interpreter
from tests.fakes import FakeInbox, FakeOutbox
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.realtime_server import Peer, Service, hang_up, refuse, scripted
from tests.serve_server import wait_until
from tests.toy_service import RATE, Ear, answers_to, blocks, talk

pytestmark = pytest.mark.anyio

KEY = "k-canary-7f3a9c"
SPANS = [(RATE, 3 * RATE), (4 * RATE, 5 * RATE), (6 * RATE, 9 * RATE), (10 * RATE, 11 * RATE)]
SOUND = talk(SPANS, 12 * RATE)
SECOND_BYTES = 2 * RATE


@pytest.fixture(autouse=True)
def no_key_in_any_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever happens in a test, at any level."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert KEY not in caplog.text
    assert not any(KEY in repr(vars(record)) for record in caplog.records)


def stage(base_url: str, **options: Any) -> Interpreter:
    """One that sends a short file at once, and does not wait long."""
    given = {"lead_s": 30, "quiet_s": 0.3, "api_key": KEY, **options}
    return Interpreter(source_language="en-us", target_language="pt-br", base_url=base_url, **given)


async def echo(peer: Peer) -> None:
    """A service that gives back what it hears, as long as the connection lives."""
    config = await peer.ready()
    ear, heard = Ear(RATE * 2 // 5), 0
    while True:
        audio = await peer.heard(heard + 1)
        whole = len(audio) // 2 * 2
        samples = np.frombuffer(audio[heard:whole], "<i2").reshape(-1, 1)
        heard = whole
        for utterance in ear.hear(samples):
            await peer.send(*answers_to(utterance, config.output_modalities))


Fault = Callable[[Service, FaultProxy], Awaitable[None]]


async def interpret_through(fault: Fault, **options: Any) -> tuple[Interpreter, FakeOutbox, Service]:
    """What comes of `SOUND` while `fault` happens to its connections."""
    outbox = FakeOutbox()
    async with scripted(echo) as service, fault_proxy(service.port) as line:
        interpreting = stage(line.url, **options)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fault, service, line)
            await interpreting.run(FakeInbox(blocks(SOUND)), outbox)
            tasks.cancel_scope.cancel()
    assert_no_key(interpreting)
    return interpreting, outbox, service


def assert_no_key(interpreting: Interpreter) -> None:
    told = (interpreting, interpreting.status, interpreting.counts(), interpreting.losses())
    assert KEY not in repr(told)


def assert_whole(interpreting: Interpreter, outbox: FakeOutbox) -> None:
    """Every utterance once, as text and as speech."""
    texts = [item for item in outbox.items("text") if isinstance(item, Text) and item.final]
    assert [text.text for text in texts] == [f"de {start // 240} a {(end - 1) // 240}" for start, end in SPANS]
    speech: list[Samples] = [item.samples for item in outbox.items("audio") if isinstance(item, Audio)]
    assert np.array_equal(np.concatenate(speech), np.concatenate([SOUND[start:end] for start, end in SPANS]))
    assert sum(interpreting.losses().values()) == 0
    assert interpreting.status == "all is answered"


async def when_heard(service: Service, seconds: float, session: int = 0) -> None:
    """Wait until a session has heard so much."""
    await (await service.peer(session)).heard(round(seconds * SECOND_BYTES))


async def no_fault(service: Service, line: FaultProxy) -> None:
    pass


async def cuts(service: Service, line: FaultProxy) -> None:
    for session, seconds in enumerate((2.0, 1.5, 3.0, 0.5)):
        await when_heard(service, seconds, session)
        await line.cut()


async def resets(service: Service, line: FaultProxy) -> None:
    for session in range(3):
        await when_heard(service, 3, session)
        await line.reset()


async def slices(service: Service, line: FaultProxy) -> None:
    line.slice_bytes = 1
    await service.peer(0)
    line.slice_bytes = 61


async def slow_reader(service: Service, line: FaultProxy) -> None:
    line.bytes_per_s = 1_000_000


async def refusing_for_a_while(service: Service, line: FaultProxy) -> None:
    await when_heard(service, 2)
    line.refusing = True
    await line.cut()
    await wait_until(lambda: line.refused >= 2)
    line.refusing = False


@pytest.mark.parametrize("fault", [no_fault, cuts, resets, slices, slow_reader, refusing_for_a_while])
async def test_nothing_is_lost_and_nothing_comes_twice(fault: Fault) -> None:
    interpreting, outbox, service = await interpret_through(fault)
    assert_whole(interpreting, outbox)
    if fault in (cuts, resets):
        assert len(service.peers) >= 4


async def test_a_half_open_connection_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = interpreter.KEEP_ALIVE
    assert real.ping_interval_s + real.ping_timeout_s < 10
    monkeypatch.setattr(interpreter, "KEEP_ALIVE", evolve(real, ping_interval_s=0.1, ping_timeout_s=0.2))

    async def freezes(service: Service, line: FaultProxy) -> None:
        await when_heard(service, 2)
        line.freeze()
        await wait_until(lambda: len(line.lines) >= 2)
        line.thaw()

    interpreting, outbox, service = await interpret_through(freezes)
    assert_whole(interpreting, outbox)
    assert len(service.peers) >= 2


async def test_a_cut_through_a_cold_boot_is_tried_again() -> None:
    async with scripted(hang_up, echo) as service:
        interpreting, outbox = stage(service.url), FakeOutbox()
        await interpreting.run(FakeInbox(blocks(SOUND)), outbox)
    assert_whole(interpreting, outbox)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_key_is_not_offered_again(status: int) -> None:
    async with scripted(refuse(status)) as service:
        interpreting = stage(service.url)
        with pytest.raises(StageError, match=f"HTTP {status}") as caught:
            await interpreting.run(FakeInbox(blocks(SOUND)), FakeOutbox())
        assert service.attempts == 1
    assert caught.value.code == 69
    assert_no_key(interpreting)


async def test_a_service_that_quotes_the_key_does_not_give_it_away() -> None:
    async def quotes(peer: Peer) -> None:
        await peer.receive()
        await peer.send(ErrorEvent(f"{KEY} is no key", f"bad {KEY}", "authentication_error", KEY))
        await peer.close(1008, f"not {KEY}")

    async with scripted(quotes) as service:
        interpreting = stage(service.url)
        with pytest.raises(StageError, match=r"\*\*\* is no key") as caught:
            await interpreting.run(FakeInbox(blocks(SOUND)), FakeOutbox())
    assert caught.value.code == 69
    assert KEY not in repr(caught.value)
    assert "\n" not in str(caught.value)
    assert interpreting.status.startswith("refused")
    assert_no_key(interpreting)


async def test_nobody_there_is_said_at_once() -> None:
    async with scripted(echo) as service:
        gone = service.url
    with anyio.fail_after(5), pytest.raises(StageError, match="cannot reach") as caught:
        await stage(gone).run(FakeInbox(blocks(SOUND)), FakeOutbox())
    assert caught.value.code == 69


async def test_a_cancelled_run_ends_at_once_wherever_it_is() -> None:
    async with scripted(echo) as service:
        for delay_s in (0, 0.01, 0.05, 0.2, 0.4):
            with anyio.fail_after(5):
                with anyio.move_on_after(delay_s):
                    await stage(service.url, lead_s=0.1).run(FakeInbox(blocks(SOUND)), FakeOutbox())
