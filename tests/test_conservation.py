"""Conservation in any legal graph: what a source sends arrives by every way there is, once, in order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.graph import Graph
from pipeline.items import Audio, Item, Mark, MarkKind
from pipeline.ledger import Report
from pipeline.node import Buffer, Read
from pipeline.runner import run
from pipeline.testing import Collect, Playlist, noise
from tests.stages_for_tests import Halve, Hold, Merge, Pass, PassActor

MIDDLES: dict[str, Any] = {"pass": Pass, "halve": Halve, "hold": Hold, "actor": PassActor, "merge": Merge}
ONE_INPUT = ("pass", "halve", "hold")


@define
class Drawn:
    """A drawn graph: by name its kind and what it reads; `rate` tells a source's audio from another's."""

    sources: dict[str, list[Item]] = field(factory=dict)
    middles: dict[str, tuple[str, list[Read]]] = field(factory=dict)
    sinks: dict[str, Read] = field(factory=dict)

    def build(self) -> tuple[Graph, dict[str, Collect]]:
        graph = Graph()
        for name, items in self.sources.items():
            graph.add(name, Playlist(items=items))
        for name, (kind, reads) in self.middles.items():
            graph.add(name, MIDDLES[kind](), reads)
        collected = {name: Collect() for name in self.sinks}
        for name, read in self.sinks.items():
            graph.add(name, collected[name], read)
        return graph, collected

    def ways(self, source: str, node: str) -> int:
        """How many ways lead from `source` to `node`."""
        if node == source:
            return 1
        reads = self.middles[node][1] if node in self.middles else [self.sinks[node]] if node in self.sinks else []
        return sum(self.ways(source, read.stage) for read in reads)


@st.composite
def graphs(draw: st.DrawFn, policies: tuple[str, ...] = ("block",)) -> Drawn:
    """Graphs of up to 8 nodes, with tees, merges, and edges of all sizes and the given policies."""
    drawn = Drawn()

    def read(name: str) -> Read:
        buffer = draw(st.sampled_from([None, Buffer(1), Buffer(3), Buffer(ms=2)]))
        policy = draw(st.sampled_from([None, *policies]))
        return Read(name, buffer=buffer, when_full=policy)

    for number in range(draw(st.integers(1, 2))):
        sizes = draw(st.lists(st.integers(1, 40), max_size=12))
        starts = [sum(sizes[:place]) for place in range(len(sizes))]
        rate = 8000 + number
        drawn.sources[f"s{number}"] = [noise(n, rate=rate, start=at) for n, at in zip(sizes, starts, strict=True)]
    names = list(drawn.sources)
    for number in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(sorted(MIDDLES)))
        most = 1 if kind in ONE_INPUT else 3
        chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=most))
        drawn.middles[f"m{number}"] = (kind, [read(name) for name in chosen])
        names.append(f"m{number}")
    for number in range(draw(st.integers(1, 3))):
        drawn.sinks[f"k{number}"] = read(draw(st.sampled_from(names)))
    return drawn


def frames_of(items: list[Item]) -> Counter[tuple[int, int]]:
    """How often each frame (by its source's rate and its position) is there."""
    audio = [item for item in items if isinstance(item, Audio)]
    return Counter((item.rate, place) for item in audio for place in range(item.start, item.end))


def assert_in_order(items: list[Item]) -> None:
    place = 0
    for item in items:
        if isinstance(item, Audio) or item.kind is MarkKind.GAP:
            assert item.start == place
            place += item.frames


def go(graph: Graph, backend: str) -> Report:
    return anyio.run(run, graph, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(drawn=graphs())
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_doubled_or_moved(backend: str, drawn: Drawn) -> None:
    graph, collected = drawn.build()
    report = go(graph, backend)
    assert report.balanced
    assert not report.lost
    for name, sink in collected.items():
        want: Counter[tuple[int, int]] = Counter()
        for source, items in drawn.sources.items():
            for frame, once in frames_of(items).items():
                want[frame] += once * drawn.ways(source, name)
        assert frames_of(sink.items) == +want
        for source, items in drawn.sources.items():
            if drawn.ways(source, name) == 1 and items:
                rate = items[0].rate
                assert_in_order([item for item in sink.items if isinstance(item, Audio) and item.rate == rate])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(drawn=graphs(policies=("drop_oldest", "drop_newest", "block")))
@settings(max_examples=150, deadline=None)
def test_with_lossy_edges_received_and_counted_make_what_was_sent(backend: str, drawn: Drawn) -> None:
    graph, _ = drawn.build()
    report = go(graph, backend)
    for edge in report.edges:
        assert edge.sent == edge.received + edge.dropped, edge
        assert edge.in_flight == edge.declined == 0
    assert bool(report.lost) == any(edge.dropped for edge in report.edges)


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
@given(sizes=st.lists(st.integers(1, 40), max_size=40), buffer=st.integers(1, 5))
@settings(deadline=None)
def test_gaps_keep_time_true(policy: Any, sizes: list[int], buffer: int) -> None:
    """Audio and gaps together leave no hole and reach as far as the source did."""
    items: list[Item] = [noise(n, rate=8000, start=sum(sizes[:at])) for at, n in enumerate(sizes)]
    sink = Collect()
    graph = Graph().add("a", Playlist(items=items))
    report = go(graph.add("b", sink, Read("a", buffer=Buffer(buffer), when_full=policy)), "asyncio")
    assert_in_order(sink.items)
    gaps = sum(item.frames for item in sink.items if isinstance(item, Mark))
    assert sink.frames + gaps == sum(sizes)
    assert report.edges[0].dropped == gaps
