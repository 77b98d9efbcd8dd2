"""Looking at an edge of a running graph, and that it makes no difference to the graph."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from hypothesis import given, settings

from pipeline.expand import renamed
from pipeline.graph import Graph
from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.ledger import Report
from pipeline.node import Buffer, Read
from pipeline.plan import make_plan
from pipeline.runner import Execution
from pipeline.stage import StageError
from pipeline.tapping import Tapped, UnknownEdge, edge_named
from pipeline.testing import Collect, Playlist, joined, noise
from tests.stages_for_tests import (
    Blocked,
    Describe,
    Divide,
    Endless,
    Halve,
    Hold,
    Merge,
    Pass,
    PassActor,
    Twofold,
)
from tests.test_conservation import Drawn, graphs

pytestmark = pytest.mark.anyio


def blocks(count: int, frames: int = 10) -> list[Item]:
    return [noise(frames, rate=8000, start=number * frames, seed=number) for number in range(count)]


async def everything(tapped: Tapped) -> list[Item]:
    return [item async for item in tapped]


def chain(items: Sequence[Item], sink: Collect) -> Graph:
    """Two fused edges, `a -> b` and `c -> d`, and two channels, `b -> c` and `d -> e`."""
    graph = Graph().add("a", Playlist(items=items)).add("b", Halve(), "a").add("c", PassActor(), "b")
    return graph.add("d", Hold(), "c").add("e", sink, "d")


# --- what it sees


@pytest.mark.parametrize(
    ("edge", "fused", "came"),
    [("a -> b", True, 30), ("b -> c", False, 60), ("c -> d", True, 60), ("d>e", False, 60)],
)
async def test_a_tap_sees_every_item_of_an_edge_in_order(
    anyio_backend: str, edge: str, fused: bool, came: int
) -> None:
    end = Mark(MarkKind.UTTERANCE_END, 300, 8000)
    sink = Collect()
    execution = Execution(chain([*blocks(30), end], sink))
    assert any(str(each) == edge for each in execution.plan.fused) == fused
    with execution.tap(edge) as tapped:
        await execution.run()
        items = await everything(tapped)
    assert joined(items) == joined([*blocks(30), end])
    assert len(items) == came + 1
    assert (tapped.missed_frames, tapped.missed_texts) == (0, 0)
    assert joined(sink.items) == joined([*blocks(30), end])


async def test_a_tap_of_one_port_of_a_stage(anyio_backend: str) -> None:
    graph = Graph().add("a", Playlist(items=blocks(5))).add("d", Divide(), "a")
    execution = Execution(graph.add("e", Collect(), "d.even").add("o", Collect(), "d.odd"))
    with execution.tap("d.odd") as odd, execution.tap("d -> e") as even:
        await execution.run()
        assert (await everything(odd), await everything(even)) == (blocks(5)[1::2], blocks(5)[::2])


async def test_behind_a_join(anyio_backend: str) -> None:
    graph = Graph().add("a", Playlist(items=blocks(5))).add("b", Playlist(items=blocks(3)))
    execution = Execution(graph.add("m", Merge(), ["a", "b"]).add("p", Pass(), "m").add("k", Collect(), "p"))
    with execution.tap("m") as merged, execution.tap("b -> m.in.1") as second:
        await execution.run()
        assert len(await everything(merged)) == 8
        assert await everything(second) == blocks(3)


async def test_several_taps_of_one_edge_are_independent(anyio_backend: str) -> None:
    for edge in ("a -> b", "b -> c"):
        sink = Collect()
        execution = Execution(chain(blocks(10), sink))
        first, second, third = (execution.tap(edge) for _ in range(3))
        with first, third:
            with second:
                pass
            await execution.run()
            assert joined(await everything(first)) == joined(await everything(third)) == joined(blocks(10))
        assert joined(sink.items) == joined(blocks(10))


# --- when


@pytest.mark.parametrize("edge", ["a -> b", "b -> c"])
async def test_a_tap_comes_and_goes_while_the_graph_runs(anyio_backend: str, edge: str) -> None:
    source, sink = Endless(), Collect()
    execution = Execution(Graph().add("a", source).add("b", Pass(), "a").add("c", sink, "b"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_until_sent(source, 100)
        with execution.tap(edge) as tapped:
            first = await anext(aiter(tapped))
            assert isinstance(first, Audio)
            assert first.start >= 1000
            second = await anext(aiter(tapped))
            assert isinstance(second, Audio)
            assert second.start == first.end
        gone_at = source.sent
        await wait_until_sent(source, gone_at + 500)
        execution.stop()
    (whole,) = joined(sink.items)
    assert isinstance(whole, Audio)
    assert (whole.start, whole.frames) == (
        0,
        source.sent * 10 + 10,
    )  # with what it had in hand


async def wait_until_sent(source: Endless, count: int) -> None:
    while source.sent < count:
        await checkpoint()


async def test_after_the_end_there_is_nothing_to_see(anyio_backend: str) -> None:
    for edge in ("a -> b", "b -> c"):
        execution = Execution(chain(blocks(3), Collect()))
        await execution.run()
        with execution.tap(edge) as tapped:
            assert await everything(tapped) == []


async def test_a_tap_ends_when_the_graph_is_cut_off_or_cannot_begin(anyio_backend: str) -> None:
    class Cannot(Playlist):
        def probe(self) -> None:
            raise StageError("no")

    execution = Execution(Graph().add("a", Endless()).add("b", Blocked(), "a"))
    with execution.tap("a") as tapped:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(execution.run)
            await wait_all_tasks_blocked()
            execution.cancel()
        assert len(await everything(tapped)) == 17  # 16 on the edge, and the one in the source's hand
    execution = Execution(Graph().add("a", Cannot(items=blocks(1))).add("b", Pass(), "a").add("c", Collect(), "b"))
    with execution.tap("a -> b") as fused, execution.tap("b -> c") as channel:
        with pytest.raises(StageError):
            await execution.run()
        assert (await everything(fused), await everything(channel)) == ([], [])


# --- a slow reader


@pytest.mark.parametrize("edge", ["a -> b", "b -> c"])
async def test_a_reader_that_sleeps_misses_the_oldest_and_holds_up_nobody(anyio_backend: str, edge: str) -> None:
    sink = Collect()
    execution = Execution(Graph().add("a", Playlist(items=blocks(10))).add("b", Pass(), "a").add("c", sink, "b"))
    with execution.tap(edge, items=4) as tapped:
        report = await execution.run()
        assert (tapped.missed_frames, tapped.missed_s) == (60, 60 / 8000)
        assert await everything(tapped) == [Mark(MarkKind.GAP, 0, 8000, 60), *blocks(10)[-4:]]
    assert sink.items == blocks(10)
    assert report.balanced
    assert not report.lost, "what a tap missed is no loss"


async def test_missed_texts_are_counted_and_marks_are_kept(anyio_backend: str) -> None:
    texts: list[Item] = [Text(str(number), 0, 1) for number in range(7)]
    mark = Mark(MarkKind.FLUSH, 0, 8000)
    execution = Execution(
        Graph().add("a", Playlist(items=[*texts[:2], mark, *texts[2:]])).add("b", Collect(), "a")
    )
    with execution.tap("a", items=2) as tapped:
        await execution.run()
        assert await everything(tapped) == [mark, *texts[-2:]]
        assert (tapped.missed_texts, tapped.missed_frames) == (5, 0)


async def test_a_reader_that_leaves_is_forgotten(anyio_backend: str) -> None:
    source = Endless()
    execution = Execution(Graph().add("a", source).add("b", Pass(), "a").add("c", Collect(), "b"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        with execution.tap("a -> b") as fused, execution.tap("b -> c") as channel:
            await wait_until_sent(source, 10)
        missed = fused.missed_frames, channel.missed_frames
        await wait_until_sent(source, 1000)
        assert (fused.missed_frames, channel.missed_frames) == missed
        execution.stop()


# --- nothing changes


def frames(items: Sequence[Item]) -> int:
    return sum(item.frames for item in items if isinstance(item, Audio))


@settings(max_examples=100, deadline=None)
@given(drawn=graphs(policies=("block", "drop_oldest", "drop_newest")))
def test_a_tapped_run_is_the_untapped_run(drawn: Drawn) -> None:
    """With a tap on every edge, sinks and ledger are the same, and every tap sees what its edge was sent.

    On asyncio, whose order of tasks is the same each time, lossy edges included; on trio see the ledger balance.
    """
    graph, plain = drawn.build()
    untapped = anyio.run(Execution(graph).run)
    for backend in ("asyncio", "trio"):
        graph, collected = drawn.build()
        report = anyio.run(run_tapped, Execution(graph), backend=backend)
        assert report.balanced
        if backend == "asyncio":
            assert {name: sink.items for name, sink in collected.items()} == {k: v.items for k, v in plain.items()}
            assert report.edges == untapped.edges


async def run_tapped(execution: Execution) -> Report:
    edges = [*execution.plan.edges, *execution.plan.fused]
    taps = [execution.tap(str(edge), items=10_000) for edge in edges]
    report = await execution.run()
    sent = {line.name: line.sent for line in report.edges}
    for edge, tapped in zip(edges, taps, strict=True):
        with tapped:
            assert frames(await everything(tapped)) == sent[str(edge)]
            assert tapped.missed_frames == 0
    return report


@pytest.mark.parametrize("edge", ["a -> b", "b -> c", "c -> d", "d -> e"])
async def test_a_tap_that_nobody_reads_changes_neither_the_order_nor_the_pace(
    anyio_backend: str, edge: str
) -> None:
    """Held up in the middle, a graph lets exactly as much through with a tap as without one."""
    sent = []
    for watched in (False, True):
        source, sink = Endless(), Blocked()
        graph = Graph().add("a", source).add("b", Pass(), "a").add("c", PassActor(), Read("b", buffer=Buffer(4)))
        execution = Execution(graph.add("d", Pass(), "c").add("e", sink, "d"))
        async with anyio.create_task_group() as tasks:
            tapped = execution.tap(edge, items=1) if watched else None
            tasks.start_soon(execution.run)
            await wait_all_tasks_blocked()
            sent.append(source.sent)
            execution.cancel()
        if tapped is not None:
            with tapped:
                pass
    assert sent[0] == sent[1] > 0


# --- names


def meant(graph: Graph, text: str) -> str:
    plan = make_plan(graph)
    return str(edge_named(text, [*plan.edges, *plan.fused], plan.outputs, renamed(graph.nodes)))


def named() -> Graph:
    graph = (
        Graph().add("talk", Playlist(items=blocks(1))).add("pcm", Pass(), "talk").add("both", Describe(), "pcm")
    )
    graph.add("speech", Collect(), "both.audio").add("captions", Collect(), "both.text")
    return graph.add("copy", Collect(), "both.text")


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("talk -> pcm", "talk -> pcm"),
        ("talk->pcm", "talk -> pcm"),
        ("talk>pcm", "talk -> pcm"),
        ("talk.out > pcm.in", "talk -> pcm"),
        ("talk", "talk -> pcm"),
        ("talk.out", "talk -> pcm"),
        ("both.audio -> speech", "both.audio -> speech"),
        ("both>speech", "both.audio -> speech"),
        ("both.audio", "both.audio -> speech"),
        ("both", "both.audio -> speech"),
        ("both.text", "both.text -> captions"),
        ("both>copy", "both.text -> copy"),
        ("captions", "both.text -> captions"),
        ("speech", "both.audio -> speech"),
    ],
)
def test_names_that_an_edge_goes_by(text: str, means: str) -> None:
    assert meant(named(), text) == means


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("both.text", "both/describe.text -> captions"),
        ("both.halves", "both/hold -> sound"),
        ("both.text > captions", "both/describe.text -> captions"),
        ("talk > both", "talk -> both/halve"),
        ("both/halve", "both/halve -> both/describe"),
    ],
)
def test_an_assembly_goes_by_its_own_name(text: str, means: str) -> None:
    graph = Graph().add("talk", Playlist(items=blocks(1))).add("both", Twofold(), "talk")
    graph.add("captions", Collect(), "both.text").add("sound", Collect(), "both.halves")
    assert meant(graph, text) == means


def test_an_assembly_means_its_main_output_or_the_only_one_that_is_read() -> None:
    for port, means in (("audio", "both/describe.audio -> k"), ("halves", "both/hold -> k")):
        graph = Graph().add("talk", Playlist(items=blocks(1))).add("both", Twofold(), "talk")
        assert meant(graph.add("k", Collect(), f"both.{port}"), "both") == means


def test_an_output_that_is_the_only_one_read_is_the_one_that_is_meant() -> None:
    graph = (
        Graph().add("a", Playlist(items=blocks(1))).add("both", Describe(), "a").add("k", Collect(), "both.text")
    )
    assert meant(graph, "both") == "both.text -> k"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("both.txt", "there is no edge 'both.txt'; did you mean 'both'? there is one of: pcm -> both, both.audio"),
        ("tlak -> pcm", "did you mean 'talk -> pcm'?"),
        ("", "there is no edge ''; there is one of: "),
        ("\x00" * 1000, "there is one of: "),
    ],
)
def test_a_name_that_is_none(text: str, told: str) -> None:
    with pytest.raises(UnknownEdge) as wrong:
        meant(named(), text)
    assert told in str(wrong.value)
    assert "talk -> pcm" in str(wrong.value)


def test_a_name_that_can_mean_two() -> None:
    graph = Graph().add("a", Playlist(items=blocks(1))).add("both", Describe(), "a")
    graph.add("k", Collect(), ["both.audio", "both.text"])
    with pytest.raises(
        UnknownEdge, match=r"'both>k' can be one of: both\.audio -> k, both\.text -> k\.in\.1: say which"
    ):
        meant(graph, "both>k")
    assert meant(graph, "both>k.in.1") == "both.text -> k.in.1"
