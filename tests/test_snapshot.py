"""What a running graph looks like, and that looking changes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from pipeline.graph import Graph
from pipeline.items import Item, Text
from pipeline.node import Buffer, Read
from pipeline.runner import Execution
from pipeline.snapshot import GraphSnapshot, take
from pipeline.stage import Inbox, Outbox, Run, StageError
from pipeline.testing import Collect, Playlist, noise
from tests.simulated import in_simulated_time
from tests.stages_for_tests import Blocked, Breaks, Endless, Pass, PassActor

pytestmark = pytest.mark.anyio


def seconds(count: int) -> list[Item]:
    return [noise(1000, rate=1000, start=number * 1000) for number in range(count)]


def held_up(sink: Blocked) -> Execution:
    """An endless source, a fused transform, an actor, and a sink that takes nothing."""
    graph = Graph("held-up").add("a", Endless()).add("b", Pass(), "a")
    graph.add("c", PassActor(), Read("b", buffer=Buffer(4))).add("d", sink, Read("c", buffer=Buffer(2)))
    return Execution(graph)


@asynccontextmanager
async def running(execution: Execution) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        yield
        execution.cancel()


def busy(shot: GraphSnapshot) -> dict[str, tuple[bool, str]]:
    return {stage.name: (stage.busy, stage.waits_for) for stage in shot.stages}


async def test_who_waits_for_room_and_who_is_busy(anyio_backend: str) -> None:
    """The sink works on something (it waits for a gate of its own), and all before it wait for it."""
    execution = held_up(Blocked(first=1))
    async with running(execution):
        room = (False, "room")
        assert busy(take(execution)) == {"a": room, "b": room, "c": room, "d": (True, "")}
    assert set(busy(take(execution)).values()) == {(False, "")}


async def test_who_waits_for_input(anyio_backend: str) -> None:
    gate = anyio.Event()

    class Quiet(Playlist):
        async def run(self, inbox: object, outbox: object) -> None:
            await gate.wait()

    graph = Graph().add("a", Quiet(items=seconds(1))).add("b", PassActor(), "a").add("c", Collect(), "b")
    execution = Execution(graph)
    async with running(execution):
        waits = (False, "input")
        assert busy(take(execution)) == {"a": (True, ""), "b": waits, "c": waits}


async def test_who_gave_up_waiting_waits_no_more(anyio_backend: str) -> None:
    """An actor with a deadline on its input is busy once it goes on without."""
    gone_on, gate = anyio.Event(), anyio.Event()

    class Impatient(PassActor):
        async def run(self, inbox: object, outbox: object) -> None:
            with anyio.move_on_after(0):
                async for _ in inbox:  # type: ignore[attr-defined]
                    pass
            gone_on.set()
            await gate.wait()

    class Quiet(Playlist):
        async def run(self, inbox: object, outbox: object) -> None:
            await gate.wait()

    graph = Graph().add("a", Quiet(items=seconds(1))).add("b", Impatient(), "a").add("c", Collect(), "b")
    execution = Execution(graph)
    async with running(execution):
        await gone_on.wait()
        assert busy(take(execution))["b"] == (True, "")


async def test_an_edge_tells_what_waits_on_it_in_seconds(anyio_backend: str) -> None:
    graph = Graph("g").add("a", Playlist(items=seconds(9)))
    sink = Blocked(first=1)
    graph.add("b", sink, Read("a", buffer=Buffer(3), when_full="drop_oldest"))
    execution = Execution(graph)
    async with running(execution):
        (edge,) = take(execution).edges
        assert (edge.name, edge.policy, edge.fused) == ("a -> b", "drop_oldest", False)
        sent = (edge.sent_s, edge.queue_s, edge.peak_queue_s, edge.dropped_s)
        received = execution.report().edges[0].received / 1000
        assert sent == (9.0, 3.0, 3.0, 9.0 - 3.0 - received)
    (edge,) = take(execution).edges
    assert edge.queue_s == 3.0


async def test_texts_wait_and_the_newest_is_known(anyio_backend: str) -> None:
    texts: list[Item] = [Text(str(number), 0, 1000 * number, "en-us", number) for number in range(1, 5)]
    graph = Graph().add("a", Playlist(items=[*seconds(9), *texts]))
    execution = Execution(graph.add("b", Blocked(first=10), "a"))
    before = take(execution)
    async with running(execution):
        shot = take(execution, before)
        assert (shot.edges[0].texts, shot.edges[0].texts_waiting) == (4, 3)
        (told,) = shot.texts
        assert (told.output, told.text, told.lag_s) == ("a.out", texts[-1], 5.0)
        assert take(execution, shot).texts[0] is told
        assert take(execution).texts[0].lag_s is None, "who comes late cannot know"
        assert execution.behind_s(10_000) == 0.0


async def test_how_late_it_is_goes_by_positions(anyio_backend: str) -> None:
    """A recording that begins in its middle, or a microphone that was paused, has given less than it is far."""
    graph = Graph().add("a", Playlist(items=[noise(1000, rate=1000, start=60_000)])).add("b", Collect(), "a")
    execution = Execution(graph)
    assert execution.behind_s(0) is None
    await execution.run()
    assert execution.behind_s(59_000) == 2.0
    graph.add("c", Playlist(items=[noise(1000, rate=1000)])).add("d", Collect(), "c")
    two = Execution(graph)
    await two.run()
    assert two.behind_s(0) is None, "nobody knows whose words they are"
    graph = Graph().add("a", Playlist(items=seconds(9)))
    full = Execution(graph.add("b", Blocked(first=1), Read("a", buffer=Buffer(1), when_full="drop_newest")))
    async with running(full):
        assert full.behind_s(0) == 9.0, "what was dropped was spoken as well"
    graph = Graph().add("a", Playlist(items=seconds(9))).add("b", Pass(), "a").add("c", Collect(), "b")
    fused = Execution(graph)
    await fused.run()
    assert [edge.fused for edge in fused.report().edges] == [False, True]
    assert fused.behind_s(0) == 9.0


async def test_a_stage_can_look_at_the_run_that_it_is_a_part_of(anyio_backend: str) -> None:
    found = dict[str, Any]()

    class Overseer(Collect):
        def oversee(self, run: Run) -> None:
            found["run"] = run

        async def run(self, inbox: Inbox, outbox: Outbox) -> None:
            looks = found["run"].looks()
            found["first"] = next(looks)
            await super().run(inbox, outbox)
            found["last"], found["ledger"] = next(looks), found["run"].ledger()

    report = await Execution(Graph("g").add("a", Playlist(items=seconds(2))).add("b", Overseer(), "a")).run()
    assert [stage["state"] for stage in found["first"]["stages"]][1] == "running"
    assert (found["last"]["name"], found["last"]["done_s"], found["last"]["edges"][0]["queue_s"]) == (
        "g",
        2.0,
        0.0,
    )
    assert found["ledger"]["edges"] == report.as_json()["edges"]


def test_a_rate_is_since_the_last_look() -> None:
    """Twice real time for ten seconds, then nothing."""

    class Paced(Playlist):
        async def run(self, inbox: object, outbox: object) -> None:
            for item in self.items:
                await outbox.send(item)  # type: ignore[attr-defined]
                await anyio.sleep(0.5)
            await anyio.sleep(10)

    async def look() -> None:
        execution = Execution(Graph().add("a", Paced(items=seconds(20))).add("b", Collect(), "a"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(execution.run)
            await anyio.sleep(4.9)
            first = take(execution)
            await anyio.sleep(2)
            second = take(execution, first)
            assert (first.at_s, first.edges[0].rate_x) == (pytest.approx(4.9), pytest.approx(10 / 4.9))
            assert second.edges[0].rate_x == pytest.approx(2.0)
            assert take(execution, second).edges[0].rate_x == second.edges[0].rate_x  # no time has passed
            await anyio.sleep(9)
            third = take(execution)
            await anyio.sleep(2)
            assert take(execution, third).edges[0].rate_x == 0.0
            assert take(execution, third).done_s == 20.0

    in_simulated_time(look)


async def test_the_states_of_a_graph(anyio_backend: str) -> None:
    execution = held_up(Blocked(first=1))
    before = take(execution)
    assert (before.state, before.at_s, busy(before)["a"]) == ("waiting", 0.0, (False, ""))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        assert take(execution).state == "running"
        execution.stop()
        assert take(execution).state == "stopping"
        execution.cancel()
    assert take(execution).state == "done"
    broken = Execution(
        Graph().add("a", Playlist(items=seconds(1))).add("b", Breaks(), "a").add("c", Collect(), "b")
    )
    with pytest.raises(Exception):  # noqa: B017 - whatever it breaks with
        await broken.run()
    assert take(broken).state == "failed"


async def test_a_stage_that_cannot_fails_the_graph_before_it_runs(anyio_backend: str) -> None:
    class Cannot(Playlist):
        def probe(self) -> None:
            raise StageError("no")

    execution = Execution(Graph().add("a", Cannot(items=seconds(1))).add("b", Collect(), "a"))
    with pytest.raises(StageError):
        await execution.run()
    assert take(execution).state == "failed"


async def test_as_json_is_plain_and_has_the_shape_that_pages_read(anyio_backend: str) -> None:
    execution = held_up(Blocked(first=1))
    async with running(execution):
        told = json.loads(json.dumps(take(execution, name="recognition").as_json()))
    assert (told["name"], told["state"]) == ("recognition", "running")
    first = {"name": "a", "kind": "endless", "task": "a", "state": "running", "busy": False, "waits_for": "room"}
    assert {key: told["stages"][0][key] for key in first} == first
    assert {"status", "counts", "losses"} <= told["stages"][0].keys()
    fused = next(edge for edge in told["edges"] if edge["name"] == "a -> b")
    assert (fused["fused"], fused["queue_s"], fused["producer"], fused["consumer"]) == (True, 0.0, "a", "b")
    shown = {"port", "queue_s", "peak_queue_s", "dropped_s", "rate_x", "texts_waiting", "policy"}
    assert all(shown <= edge.keys() for edge in told["edges"])


async def test_a_text_is_flat_in_json(anyio_backend: str) -> None:
    graph = Graph().add("a", Playlist(items=[Text("Hi", 0, 500, "en-us", 7)])).add("b", Collect(), "a")
    execution = Execution(graph)
    await execution.run()
    (told,) = take(execution).as_json()["texts"]
    assert told == {
        "output": "a.out",
        "text": "Hi",
        "start_ms": 0,
        "end_ms": 500,
        "language": "en-us",
        "utterance": 7,
        "final": True,
        "revision": 0,
        "lag_s": None,
    }
