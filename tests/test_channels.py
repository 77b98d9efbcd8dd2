from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.caps import ANY
from pipeline.channels import Channel, Inlet
from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.node import Buffer, Edge
from pipeline.stage import Overflow
from pipeline.testing import noise

pytestmark = pytest.mark.anyio


def channel(items: int | None = None, ms: int | None = None, when_full: Overflow = "block") -> Channel:
    return Channel(Edge("a", "out", "b", "in", "in", ANY, Buffer(items, ms), when_full))


def block(number: int, frames: int = 10) -> Audio:
    return noise(frames, rate=1000, start=number * frames, seed=number)


def drain(edge: Channel) -> list[Item]:
    found = []
    while (item := edge.take()) is not None:
        found.append(item)
    return found


def test_a_blocking_edge_refuses_when_full_and_gives_in_order() -> None:
    edge = channel(items=2)
    assert [edge.offer(block(n)) for n in range(3)] == [True, True, False]
    assert drain(edge) == [block(0), block(1)]
    edge.close()
    assert edge.finished
    assert edge.dispose() == 0


def test_drop_newest_leaves_a_gap_where_it_dropped() -> None:
    edge = channel(items=2, when_full="drop_newest")
    assert all(edge.offer(block(n)) for n in range(5))
    first = edge.take()
    assert edge.offer(block(5))
    gap = Mark(MarkKind.GAP, start=20, rate=1000, frames=30)
    assert [first, *drain(edge)] == [block(0), block(1), gap, block(5)]
    assert (edge.tally.sent, edge.tally.received, edge.tally.dropped) == (60, 30, 30)
    edge.dispose()


def test_drop_oldest_leaves_a_gap_in_front_of_what_is_left() -> None:
    edge = channel(items=2, when_full="drop_oldest")
    assert all(edge.offer(block(n)) for n in range(5))
    assert drain(edge) == [Mark(MarkKind.GAP, start=0, rate=1000, frames=30), block(3), block(4)]
    assert (edge.tally.sent, edge.tally.received, edge.tally.dropped) == (50, 20, 30)
    edge.dispose()


@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest"])
def test_marks_are_never_dropped(when_full: Overflow) -> None:
    edge = channel(items=1, when_full=when_full)
    end = Mark(MarkKind.UTTERANCE_END, 20, 1000)
    for item in (block(0), block(1), end, block(2), block(3)):
        assert edge.offer(item)
    edge.close()
    assert end in drain(edge)
    assert edge.finished
    edge.dispose()


def test_dropped_texts_are_counted() -> None:
    edge = channel(items=1, when_full="drop_newest")
    for number in range(3):
        edge.offer(Text(str(number), 0, 1))
    assert drain(edge) == [Text("0", 0, 1)]
    assert (edge.tally.texts_sent, edge.tally.texts_dropped) == (3, 2)
    edge.close()
    assert edge.finished
    edge.dispose()


def test_a_buffer_in_time_counts_audio_and_lets_one_long_item_in() -> None:
    edge = channel(ms=25)
    assert [edge.offer(block(n)) for n in range(4)] == [True, True, True, False]  # 10 ms each
    drain(edge)
    assert edge.offer(block(0, frames=1000))
    assert not edge.offer(block(1))
    edge.dispose()


def test_what_comes_after_the_reader_left_is_declined() -> None:
    edge = channel(items=2)
    edge.offer(block(0))
    edge.leave()
    edge.offer(block(1))
    assert (edge.tally.sent, edge.tally.declined) == (20, 20)
    edge.close()
    edge.dispose()


Moves = st.lists(st.one_of(st.just("take"), st.integers(1, 30), st.sampled_from(list(MarkKind))), max_size=60)


@given(moves=Moves, when_full=st.sampled_from(["block", "drop_oldest", "drop_newest"]), size=st.integers(1, 4))
def test_received_and_counted_make_what_was_sent(moves: list[Any], when_full: Overflow, size: int) -> None:
    """Whatever is put in and taken out: nothing is lost uncounted, and time stays true through the gaps."""
    edge = channel(items=size, when_full=when_full)
    position, given_out, accepted = 0, [], 0
    for move in moves:
        if move == "take":
            if (item := edge.take()) is not None:
                given_out.append(item)
        elif isinstance(move, MarkKind):
            if move is not MarkKind.GAP:
                edge.offer(Mark(move, position, 1000))
        elif edge.offer(noise(move, rate=1000, start=position)):
            position += move
            accepted += move
    edge.close()
    given_out += drain(edge)
    tally = edge.tally
    assert edge.finished
    assert tally.queued == 0 == edge.dispose()
    assert tally.sent == accepted == tally.received + tally.dropped
    assert tally.received == sum(item.frames for item in given_out if isinstance(item, Audio))
    place = 0
    for item in given_out:
        if isinstance(item, Audio) or item.kind is MarkKind.GAP:
            assert item.start == place
            place += item.frames
    assert place == accepted


async def test_an_inlet_gives_each_channel_in_order_and_tells_its_end(anyio_backend: str) -> None:
    left, right = channel(items=4), channel(items=4)
    inlet = Inlet([left, right])
    seen: list[Any] = []

    async def read() -> None:
        while (pair := await inlet.receive()) is not None:
            seen.append((pair[0] is left, pair[1]))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        left.offer(block(0))
        left.offer(block(1))
        right.offer(block(2))
        left.close()
        await anyio.wait_all_tasks_blocked()
        assert len(seen) == 4
        right.close()
    assert [item for is_left, item in seen if is_left] == [block(0), block(1), None]
    assert [item for is_left, item in seen if not is_left] == [block(2), None]
    left.dispose()
    right.dispose()
