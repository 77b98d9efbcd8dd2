"""Sessions that are cut and go on: with our own server, and in virtual time, however slow the engine is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import anyio
import numpy as np
import pytest
from attrs import define

from pipeline.items import Audio, Mark, MarkKind, Samples, Text
from pipeline.serve.limits import Limits
from pipeline.serve.service import Service
from stages.translate.realtime.interpreter import Interpreter
from tests.fakes import FakeInbox, FakeOutbox
from tests.memory_server import MemoryServer, Plan, SlowEcho, memory_server
from tests.test_realtime_interpreter import in_virtual_time, utterances
from tests.toy_service import RATE, blocks, talk


@define
class Run:
    """What came of a recording that was interpreted by our own server, and what that has heard."""

    spans: Sequence[tuple[int, int]]
    sound: Samples
    stage: Interpreter
    outbox: FakeOutbox
    engine: SlowEcho
    service: Service
    opened: int = 0
    seconds: float = 0.0

    def texts(self, port: str) -> list[str]:
        return [item.text for item in self.outbox.items(port) if isinstance(item, Text) and item.final]

    def assert_whole(self) -> None:
        """Every utterance once as transcript, text and speech, every sample of it; nothing is left over."""
        said = [f"from {start // 240} to {(end - 1) // 240}" for start, end in self.spans]
        assert self.texts("transcript") == said
        assert self.texts("text") == [words.replace("from", "de").replace("to", "a") for words in said]
        speech = np.concatenate([item.samples for item in self.outbox.items("audio") if isinstance(item, Audio)])
        spoken = np.concatenate([self.sound[start:end] for start, end in self.spans])
        assert speech.shape == spoken.shape
        # The first sample of a frame may be changed a little, see `undisguised`.
        assert np.abs(speech.astype(int) - spoken).max() <= 4, "speech is what was said, sample by sample"
        assert sum(self.stage.losses().values()) == 0
        assert not [item for item in self.outbox.items("audio") if getattr(item, "kind", None) is MarkKind.GAP]
        assert self.service.admission.sessions == 0
        assert not self.service.kept._sessions

    def resumed(self) -> int:
        return self.stage.counts().get("times that a session went on after a cut", 0)


async def interpret(
    seconds: float,
    plan: Plan | None = None,
    limits: Limits | None = None,
    engine: dict[str, Any] | None = None,
    **options: Any,
) -> Run:
    spans = utterances(seconds)
    sound = talk(spans, round(seconds * RATE))
    service = Service(SlowEcho(**(engine or {})), limits=limits or Limits())
    async with memory_server(service) as server:
        stage = Interpreter(
            source_language="en-us",
            target_language="pt-br",
            api_key="k-canary-0123",
            open=server.opener,
            dice=random.Random(7).random,
            **options,
        )
        assert isinstance(service.engine, SlowEcho)
        run = Run(spans, sound, stage, FakeOutbox(), service.engine, service)
        async with anyio.create_task_group() as disturbing:
            if plan is not None:
                disturbing.start_soon(plan, server)
            begun = anyio.current_time()
            await stage.run(FakeInbox(blocks(sound)), run.outbox)
            run.seconds = anyio.current_time() - begun
            disturbing.cancel_scope.cancel()
        run.opened = server.opened
    return run


def every(period_s: float) -> Plan:
    async def plan(server: MemoryServer) -> None:
        while True:
            await anyio.sleep(period_s)
            server.cut()

    return plan


@pytest.mark.parametrize(
    ("period_s", "answer_s"), [(0.5, 3.0), (0.5, 0.0), (1, 3.0), (2.9, 3.3), (7, 1.0), (30, 3.0)]
)
def test_cuts_faster_than_the_engine_answers_cost_nothing(period_s: float, answer_s: float) -> None:
    engine = {"answer_s": answer_s}
    run = in_virtual_time(lambda: interpret(120, every(period_s), engine=engine, deadline_s=300))
    run.assert_whole()
    assert run.resumed() == run.opened - 1 >= 120 // period_s - 1
    assert len(run.engine.heard) == 1, "one session"
    assert 120 * RATE <= run.engine.heard[0][1] < 125 * RATE + 3000 * run.opened, "and every sample once"


def test_ten_minutes_with_a_cut_every_second_and_an_engine_that_hardly_keeps_up() -> None:
    run = in_virtual_time(lambda: interpret(600, every(1), engine={"answer_s": 3.3}, deadline_s=300))
    run.assert_whole()
    assert run.resumed() > 550


@pytest.mark.parametrize("seed", range(6))
def test_cuts_at_any_moment_also_while_it_is_being_resumed(seed: int) -> None:
    dice = random.Random(seed)

    async def plan(server: MemoryServer) -> None:
        while True:
            await anyio.sleep(dice.choice([0.001, 0.03, 0.031, 0.05, 0.3, 1, dice.expovariate(1 / 3)]))
            server.cut()

    run = in_virtual_time(lambda: interpret(60, plan, engine={"answer_s": 2.0}, deadline_s=300))
    run.assert_whole()
    assert len(run.engine.heard) <= 2, "only a session that was cut before it had heard anything is not resumed"


def test_a_connection_that_hangs_is_taken_over_before_the_server_knows() -> None:
    async def plan(server: MemoryServer) -> None:
        await anyio.sleep(20)
        (link,) = server.links
        link.frozen = True
        await anyio.sleep(9)
        link.lose_client()

    run = in_virtual_time(lambda: interpret(60, plan, engine={"answer_s": 3.0}, deadline_s=300))
    run.assert_whole()
    assert run.resumed() == 1
    assert len(run.engine.heard) == 1


def outage(begin_s: float, seconds: float) -> Plan:
    async def plan(server: MemoryServer) -> None:
        await anyio.sleep(begin_s)
        server.down = True
        server.cut()
        await anyio.sleep(seconds)
        server.down = False

    return plan


def test_an_outage_in_which_the_session_is_kept() -> None:
    run = in_virtual_time(lambda: interpret(90, outage(31, 12), engine={"answer_s": 3.0}, deadline_s=300))
    run.assert_whole()
    assert run.resumed() == 1


def test_while_nobody_is_there_no_more_is_made_than_may_be_kept() -> None:
    held: list[int] = []

    async def plan(server: MemoryServer) -> None:
        await outage(31, 12)(server)
        (session,) = server.server._sessions
        held.append(session._wires.told._bytes)

    limits = Limits(resume_bytes=30_000)
    run = in_virtual_time(lambda: interpret(90, plan, limits, {"answer_s": 3.0}, deadline_s=300))
    run.assert_whole()
    assert run.resumed() == 1
    assert 30_000 < held[0] < 30_000 + 2 * 20_000, "one frame of sound goes over it"


def test_an_outage_longer_than_the_session_is_kept_begins_another_as_before() -> None:
    limits = Limits(resume_s=5)
    run = in_virtual_time(lambda: interpret(90, outage(31, 12), limits, {"answer_s": 3.0}, deadline_s=300))
    run.assert_whole()
    assert run.resumed() == 0
    assert len(run.engine.heard) == 2


def test_an_outage_longer_than_the_window_loses_what_is_counted_and_no_more() -> None:
    told = {"replay_s": 10.0, "deadline_s": 300.0}
    run = in_virtual_time(lambda: interpret(90, outage(31, 20), None, {"answer_s": 0.2}, **told))
    (gap,) = [item for item in run.outbox.items("text") if getattr(item, "kind", None) is MarkKind.GAP]
    assert isinstance(gap, Mark)
    assert run.stage.losses() == {"outage longer than the replay window": gap.frames}
    assert 8 * RATE < gap.frames < 20 * RATE
    assert run.resumed() == 0
    assert run.service.admission.sessions == 0


def test_a_silent_session_is_not_gone_on_with() -> None:
    async def plan(server: MemoryServer) -> None:
        await anyio.sleep(20)
        server.links[0].frozen = True

    run = in_virtual_time(lambda: interpret(60, plan, engine={"answer_s": 0.5}, silent_after_s=5.0))
    run.assert_whole()
    assert run.resumed() == 0
    assert run.opened == 2
