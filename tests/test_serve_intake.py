"""What a client says on its way into the graph: cut anyhow, it comes out whole, in blocks, and in order."""

from __future__ import annotations

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Audio, Mark, MarkKind
from pipeline.serve.intake import BLOCK_FRAMES, Ears, Intake
from tests.fakes import FakeInbox
from tests.simulated import TimedOutbox, in_simulated_time

PIECES = st.lists(st.binary(max_size=40) | st.integers(0, 30_000).map(bytes), max_size=12)


@given(PIECES, st.lists(st.booleans(), max_size=40))
def test_however_it_is_cut_it_comes_out_in_blocks_without_a_gap(pieces: list[bytes], takes: list[bool]) -> None:
    intake, taken, put = Intake(), [], b""
    for piece in pieces:
        intake.put(piece, 0.0)
        put += piece
        assert intake.end == len(put) // 2
        if takes and takes.pop() and (audio := intake.take()) is not None:
            taken.append(audio)
    while (audio := intake.take()) is not None:
        taken.append(audio)
    assert b"".join(audio.samples.tobytes() for audio in taken) == put[: len(put) // 2 * 2]
    assert [audio.start for audio in taken] == [0, *(audio.end for audio in taken)][: len(taken)]
    assert all(0 < audio.frames <= BLOCK_FRAMES for audio in taken)
    assert intake.held_s == 0


@given(st.lists(PIECES, max_size=6))
def test_no_block_has_sound_of_two_who_speak(turns: list[list[bytes]]) -> None:
    intake, begun, put = Intake(), set[int](), b""
    for pieces in turns:
        intake.part()
        begun.add(intake.end)
        said = b"".join(pieces)
        put += said[: len(said) // 2 * 2]
        for piece in pieces:
            intake.put(piece, 0.0)
    taken, parted = b"", set[int]()
    while True:
        if intake.parted():
            parted.add(intake.position)
        elif (audio := intake.take()) is not None:
            taken += audio.samples.tobytes()
            assert not any(audio.start < frame < audio.end for frame in begun)
        else:
            break
    assert (taken, parted) == (put, begun)


def test_a_block_that_comes_whole_is_not_copied() -> None:
    intake, block = Intake(), np.arange(BLOCK_FRAMES, dtype="<i2").tobytes()
    intake.put(block, 0.0)
    audio = intake.take()
    assert audio is not None
    assert audio.samples.base is not None
    assert np.shares_memory(audio.samples, np.frombuffer(block, "<i2"))


def test_when_a_frame_came_is_known_to_10_ms_and_costs_no_more_for_a_flood() -> None:
    intake = Intake()
    for number in range(10_000):
        intake.put(b"\0\0", number / 50_000)
    assert len(intake._came) <= 21
    for frame in (1, 2_500, 5_000, 10_000):
        came = intake.came_at(frame)
        assert came is not None
        assert 0 <= came - (frame - 1) / 50_000 <= 0.011
    intake.put(b"", 5.0)
    assert intake.came_at(10_000) != 5.0


def test_what_comes_after_the_end_is_counted() -> None:
    intake = Intake()
    intake.close()
    intake.put(bytes(48_000), 0.0)
    assert intake.unheard_s == 1.0
    assert intake.take() is None


def test_who_waits_for_room_is_not_left_waiting_when_nobody_takes_any_more() -> None:
    async def run() -> None:
        intake = Intake()
        intake.put(bytes(4 * 48_000), 0.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(intake.room, 1.0)
            await anyio.sleep(20)
            intake.close()
        assert intake.held_s == 4.0

    in_simulated_time(run)


def test_silence_ends_an_utterance_but_not_that_of_a_client_that_was_cut_off() -> None:
    async def run() -> None:
        intake, outbox = Intake(), TimedOutbox()
        ears = Ears(intake=intake, silence_s=0.8, ongoing=lambda: False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ears.run, FakeInbox([]), outbox)
            for away_at_s in (0.5, 0.0):
                begun = anyio.current_time()
                intake.put(bytes(4801), begun)
                await anyio.sleep(away_at_s)
                intake.move(away=True)
                await anyio.sleep(20)
                intake.move(away=False)
                assert [type(item) for item in outbox.items()] == [Audio]
                await anyio.sleep(1)
                (_, mark) = outbox.items()
                assert isinstance(mark, Mark)
                assert mark.kind is MarkKind.FLUSH
                assert outbox.times[-1] - begun == pytest.approx(away_at_s + 20.8)
                outbox.sent.clear()
            assert intake.end == 4800, "half a sample is said again, whole"
            intake.close()

    in_simulated_time(run)


def test_whoever_goes_on_ends_the_utterance_before_at_once() -> None:
    async def run() -> None:
        intake, outbox = Intake(), TimedOutbox()
        ears = Ears(intake=intake, silence_s=0.8, ongoing=lambda: False)
        intake.part()
        for _ in range(2):
            intake.put(bytes(1000), 0.0)
            intake.part()
        intake.put(bytes(1000), 0.0)
        intake.close()
        await ears.run(FakeInbox([]), outbox)
        told = [item.kind if isinstance(item, Mark) else item.end for item in outbox.items()]
        assert told == [500, MarkKind.FLUSH, 1000, MarkKind.FLUSH, 1500]

    in_simulated_time(run)
