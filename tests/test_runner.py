from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio
import trio.testing
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from pipeline.graph import Graph
from pipeline.items import Item, Mark, MarkKind, Text
from pipeline.node import Buffer, Read
from pipeline.problems import GraphError
from pipeline.runner import Execution, run
from pipeline.stage import StageError
from pipeline.testing import Collect, Playlist, joined, noise
from tests.stages_for_tests import (
    Blocked,
    Breaks,
    Divide,
    Endless,
    Halve,
    Hold,
    Meets,
    Merge,
    Pass,
    PassActor,
    TakeOne,
    Twofold,
)

pytestmark = pytest.mark.anyio


def blocks(count: int, frames: int = 10) -> list[Item]:
    return [noise(frames, rate=8000, start=number * frames, seed=number) for number in range(count)]


async def test_a_chain_delivers_everything_in_order(anyio_backend: str) -> None:
    sink = Collect()
    graph = Graph().add("a", Playlist(items=blocks(100)))
    graph.add("b", Halve(), "a").add("c", PassActor(), "b").add("d", Hold(), "c").add("e", sink, "d")
    report = await run(graph)
    assert joined(sink.items) == joined(blocks(100))
    assert report.balanced
    assert not report.lost
    assert report.media_s == pytest.approx(100 * 10 / 8000)
    assert {stage.name: stage.state for stage in report.stages} == dict.fromkeys("abcde", "done")


async def test_a_mark_is_not_passed_by_audio_and_flushes_what_is_held(anyio_backend: str) -> None:
    mark = Mark(MarkKind.UTTERANCE_END, 10, 8000)
    first, second = blocks(2)
    sink = Collect()
    await run(Graph().add("a", Playlist(items=[first, mark, second])).add("b", Hold(), "a").add("c", sink, "b"))
    assert sink.items == [first, mark, second]


async def test_every_reader_of_a_port_gets_all_of_it_and_shares_the_samples(anyio_backend: str) -> None:
    left, right = Collect(), Collect()
    graph = Graph().add("a", Playlist(items=blocks(50))).add("l", left, "a").add("r", right, "a")
    await run(graph)
    assert left.items == right.items == blocks(50)
    assert all(x.samples is y.samples for x, y in zip(left.items, right.items, strict=True))


async def test_a_transform_with_two_ports(anyio_backend: str) -> None:
    even, odd = Collect(), Collect()
    graph = Graph().add("a", Playlist(items=blocks(5))).add("d", Divide(), "a")
    report = await run(graph.add("e", even, "d.even").add("o", odd, "d.odd"))
    assert even.items == blocks(5)[::2]
    assert odd.items == blocks(5)[1::2]
    assert next(stage.frames_out for stage in report.stages if stage.name == "d") == {"even": 30, "odd": 20}


async def test_a_join_hears_of_every_lane_and_its_end(anyio_backend: str) -> None:
    merge, sink = Merge(), Collect()
    graph = Graph().add("a", Playlist(items=blocks(9))).add("b", Playlist(items=blocks(7)))
    await run(graph.add("m", merge, ["a", "b"]).add("c", sink, "m"))
    assert merge.lanes == ["in.0", "in.1"]
    assert sorted(merge.ended) == ["in.0", "in.1"]
    assert len(sink.items) == 16


@pytest.mark.parametrize("size", [1, 4])
async def test_a_blocked_sink_lets_exactly_so_much_through(anyio_backend: str, size: int) -> None:
    """The source's edge holds `size`, the actor one in hand, its edge `size`, and the source one in hand."""
    source, sink = Endless(), Blocked()
    graph = Graph().add("a", source)
    graph.add("b", PassActor(), Read("a", buffer=Buffer(size))).add("c", sink, Read("b", buffer=Buffer(size)))
    execution = Execution(graph)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        assert source.sent == 2 * size + 1
        execution.stop()
        await wait_all_tasks_blocked()
        sink.gate.set()
    # Stopped, the block in the source's hand is still delivered: 2 * size in the edges, one in each hand.
    assert len(sink.items) == 2 * size + 2
    assert not execution.report().lost


async def test_the_slow_reader_of_a_port_governs_and_a_lossy_one_does_not(anyio_backend: str) -> None:
    source, slow, quick = Endless(), Blocked(), Collect()
    graph = Graph().add("a", source).add("slow", slow, Read("a", buffer=Buffer(4))).add("quick", quick, "a")
    execution = Execution(graph)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        assert (source.sent, len(quick.items)) == (4, 5)  # the fifth waits for the slow one only
        execution.cancel()
    lossy = Playlist(items=blocks(1000))
    held, quick = Blocked(), Collect()
    graph = Graph().add("a", lossy).add("quick", quick, "a")
    graph.add("held", held, Read("a", buffer=Buffer(4), when_full="drop_oldest"))
    execution = Execution(graph)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        assert len(quick.items) == 1000
        held.gate.set()
    assert held.items == [Mark(MarkKind.GAP, 0, 8000, 9960), *blocks(1000)[-4:]]
    report = execution.report()
    assert report.balanced
    assert report.lost == {"a -> held: drop_oldest": 9960}


async def test_stopping_drains_and_flushes(anyio_backend: str) -> None:
    source, sink = Endless(), Collect()
    graph = Graph().add("a", source).add("b", Hold(), "a").add("c", PassActor(), "b").add("d", Hold(), "c")
    execution = Execution(graph.add("e", sink, "d"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        while len(sink.items) < 100:
            await checkpoint()
        execution.stop()
        execution.stop()
    sent = execution.report().edges[0].sent
    assert sink.frames >= sent >= source.sent * 10
    assert execution.report().balanced
    assert not execution.report().lost
    assert execution.waiting_for == []


async def test_what_is_stopped_or_cancelled_before_it_runs_ends_at_once(anyio_backend: str) -> None:
    """A signal can come between the building of a graph and its run."""
    for end in ("stop", "cancel"):
        execution = Execution(Graph().add("a", Endless()).add("b", Blocked(), "a"), drain_s=0.0)
        getattr(execution, end)()
        with anyio.fail_after(10):
            report = await execution.run()
        assert report.stopped
        assert report.balanced


async def test_a_run_that_does_not_drain_is_cut_off_and_says_what_was_in_flight(anyio_backend: str) -> None:
    source = Endless()
    graph = Graph().add("a", source).add("b", Blocked(), Read("a", buffer=Buffer(3)))
    execution = Execution(graph, drain_s=0.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        assert execution.waiting_for == ["a", "b"]
        execution.stop()
    report = execution.report()
    assert report.balanced
    assert report.stopped
    assert report.lost["a -> b: cut off in flight"] == 40  # three in the edge, one in the source's hand


async def test_texts_that_were_cut_off_are_told_too(anyio_backend: str) -> None:
    texts: list[Item] = [Text(str(number), 0, 1) for number in range(5)]
    graph = Graph().add("a", Playlist(items=texts)).add("b", Blocked(first=1), Read("a", buffer=Buffer(2)))
    execution = Execution(graph)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        execution.cancel()
    assert execution.report().lost == {"a -> b: cut off in flight, texts": 3}  # two in the edge, one in hand


@pytest.mark.parametrize("middle", [Pass, PassActor])
async def test_a_fault_ends_the_run_with_its_stage_named_and_sinks_whole(anyio_backend: str, middle: Any) -> None:
    sink = Collect()
    graph = Graph().add("a", Endless()).add("b", middle(), "a").add("c", Breaks(at=5), "b").add("d", sink, "c")
    with pytest.raises(RuntimeError, match="out of order") as caught:
        await run(graph)
    assert caught.value.__notes__ == ["in stage 'c'"]
    assert len(sink.items) == 4


async def test_several_faults_are_all_told(anyio_backend: str) -> None:
    graph = Graph().add("a", Playlist(items=blocks(3)))
    for name in ("x", "y"):
        graph.add(name, Breaks(at=2), Read("a", buffer=Buffer(1))).add(f"to-{name}", Collect(), name)
    with pytest.raises(ExceptionGroup) as caught:
        await run(graph)
    assert {fault.__notes__[0] for fault in caught.value.exceptions} == {"in stage 'x'", "in stage 'y'"}


async def test_a_source_ends_when_nobody_reads_it_any_more(anyio_backend: str) -> None:
    sink = TakeOne()
    report = await run(Graph().add("a", Endless()).add("b", Pass(), "a").add("c", sink, "b"))
    assert len(sink.items) == 1
    assert report.balanced
    assert sum(edge.declined for edge in report.edges) > 0


async def test_the_caller_may_cancel_from_outside(anyio_backend: str) -> None:
    execution = Execution(Graph().add("a", Endless()).add("b", Collect(), "a"))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(execution.run)
            await checkpoint()
            scope.cancel()
    assert execution.report().balanced


async def test_an_assembly_is_replaced_by_its_parts_and_unread_parts_are_left_out(anyio_backend: str) -> None:
    texts = Collect()
    graph = Graph().add("a", Playlist(items=blocks(3))).add("two", Twofold(), "a").add("t", texts, "two.text")
    assert graph.check() == []
    report = await run(graph)
    assert [item.text for item in texts.items if isinstance(item, Text)] == ["5 frames"] * 6
    assert [stage.name for stage in report.stages] == ["a", "two/halve", "two/describe", "t"]


async def test_a_stage_that_wants_to_meets_all_others_by_name(anyio_backend: str) -> None:
    source, meets, sink = Playlist(items=blocks(2)), Meets(needs="t/describe"), Collect()
    graph = Graph().add("a", source).add("m", meets, "a").add("t", Twofold(), "m").add("z", sink, "t")
    await run(graph)
    assert meets.met.keys() >= {"a", "m", "t/describe", "z"}
    assert "t" not in meets.met
    assert meets.met["a"] is source
    assert meets.met["m"] is meets


async def test_who_misses_somebody_ends_the_run_before_anything_is_opened(anyio_backend: str) -> None:
    sink = Collect()
    graph = Graph().add("a", Playlist(items=blocks(2))).add("m", Meets(needs="b"), "a").add("z", sink, "m")
    execution = Execution(graph)
    with pytest.raises(StageError, match="there is no 'b'") as caught:
        await execution.run()
    assert caught.value.__notes__ == ["in stage 'm'"]
    assert execution.state == "failed"
    assert sink.items == []


async def test_a_wrong_graph_does_not_start(anyio_backend: str) -> None:
    with pytest.raises(GraphError, match="which is no stage"):
        await run(Graph().add("a", Collect(), "nothing"))


def test_a_run_in_virtual_time_measures_by_the_loops_clock() -> None:
    """An hour of waiting takes no time under trio's clock, and the report tells the hour."""

    class Slow(Playlist):
        async def run(self, inbox: Any, outbox: Any) -> None:
            for item in self.items:
                await anyio.sleep(1800)
                await outbox.send(item)

    graph = Graph().add("a", Slow(items=blocks(2))).add("b", Collect(), "a")
    report = trio.run(run, graph, clock=trio.testing.MockClock(autojump_threshold=0))
    assert report.wall_s == pytest.approx(3600)


async def test_frames_are_those_of_audio_only(anyio_backend: str) -> None:
    text = Text("hello", 0, 10)
    report = await run(Graph().add("a", Playlist(items=[text])).add("b", Collect(), "a"))
    (edge,) = report.edges
    assert (edge.sent, edge.texts) == (0, 1)
    assert report.as_json()["edges"][0]["name"] == "a -> b"
