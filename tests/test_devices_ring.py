"""What passes between a device's thread and the event loop: rings, holes, times, the watchdog. All pure."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

import anyio
import numpy as np
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Audio, Mark, MarkKind, Samples
from stages.devices.intake import Intake, Piece
from stages.devices.listening import Listening
from stages.devices.retry import Retry
from stages.devices.ring import Ring
from stages.devices.timing import Timing
from stages.devices.track import Track
from stages.devices.watchdog import LOST_AFTER_S, START_WITHIN_S, TICK_S, Watchdog

RATE = 1000


def counting(start: int, frames: int, channels: int = 1) -> Samples:
    """Frames whose value is their position."""
    column = (np.arange(start, start + frames) % 30_000).astype(np.int16)
    return np.repeat(column[:, None], channels, axis=1)


# --- the ring


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12))), st.integers(1, 16), st.integers(1, 3))
def test_a_ring_gives_what_it_took_in_order(steps: list[tuple[int, int]], capacity: int, channels: int) -> None:
    ring = Ring(capacity, channels)
    put = taken = 0
    for come, go in steps:
        kept = ring.put(counting(put, come, channels))
        assert kept == min(come, capacity - (put - taken))
        put += kept
        out = ring.take(go)
        assert np.array_equal(out, counting(taken, len(out), channels))
        taken += len(out)
        assert (ring.held, ring.room) == (put - taken, capacity - (put - taken))


def test_a_ring_between_two_threads_loses_nothing() -> None:
    ring, got = Ring(97, 1), []

    def write() -> None:
        done = 0
        while done < 5_000:
            done += ring.put(counting(done, min(31, 5_000 - done)))

    thread = threading.Thread(target=write)
    thread.start()
    while sum(map(len, got)) < 5_000:
        got.append(ring.take(23))
    thread.join()
    assert np.array_equal(np.concatenate(got), counting(0, 5_000))


# --- the intake


@define
class Room:
    """An intake, what was given to it, and what a reader of its pieces knows."""

    intake: Intake
    given: int = 0
    pieces: list[Piece] = field(factory=list)

    def give(self, frames: int) -> None:
        self.intake.give(counting(self.given, frames))
        self.given += frames

    def take(self, frames: int) -> None:
        while (piece := self.intake.take(frames, all_of_it=True)) is not None:
            self.pieces.append(piece)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.integers(1, 30)),
        st.tuples(st.just("take"), st.integers(1, 25)),
        st.tuples(st.just("close"), st.just(0)),
        st.tuples(st.just("open"), st.integers(0, 40)),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 60))
def test_every_frame_comes_once_at_its_place_or_is_counted(done: list[tuple[str, int]], capacity: int) -> None:
    room = Room(Intake(capacity, 1))
    for what, number in done:
        if what == "give":
            room.give(number)
        elif what == "take":
            room.take(number)
        elif what == "close":
            room.intake.closed = True
        else:
            room.intake.opens_at = room.intake.position + number
            room.intake.closed = False
    room.take(1000)
    end = lost = unheard = 0
    for piece in room.pieces:
        assert np.array_equal(piece.samples, counting(piece.start, len(piece.samples)))
        assert piece.start == end + piece.lost + piece.unheard
        end, lost, unheard = piece.end, lost + piece.lost, unheard + piece.unheard
    intake = room.intake
    assert intake.position == room.given
    assert lost == intake.lost - intake.missing
    kept = sum(len(piece.samples) for piece in room.pieces)
    assert kept + intake.lost + intake.unheard == room.given
    assert unheard <= intake.unheard


@given(steps)
def test_nothing_given_while_closed_is_ever_taken(done: list[tuple[str, int]]) -> None:
    room, secret = Room(Intake(500, 1)), set()
    for what, number in done:
        if what == "give":
            until = room.given + number
            opens = until if room.intake.closed else min(max(room.intake.opens_at, room.given), until)
            secret |= set(range(room.given, opens))
            room.give(number)
        elif what == "take":
            room.take(number)
        elif what == "close":
            room.intake.closed = True
        else:
            room.intake.opens_at = room.intake.position + number
            room.intake.closed = False
    room.take(500)
    assert secret.isdisjoint(position for piece in room.pieces for position in range(piece.start, piece.end))


def test_pieces_are_whole_blocks_but_before_a_hole() -> None:
    room = Room(Intake(50, 1))
    room.give(45)
    room.give(10)  # half of it is lost
    assert [len(piece.samples) for _ in range(3) if (piece := room.intake.take(20)) is not None] == [20, 20]
    room.give(30)
    first, second = room.intake.take(20), room.intake.take(20)
    assert first is not None
    assert second is not None
    assert (first.start, len(first.samples), first.lost) == (40, 10, 0)
    assert (second.start, len(second.samples), second.lost) == (55, 20, 5)
    assert room.intake.take(20) is None
    assert room.intake.held == 10


@pytest.mark.parametrize("held", [0, 4])
def test_a_hole_may_come_between_any_two_lines_of_the_taker(held: int) -> None:
    """The device's thread may give at any moment; what it gives then lies behind a hole here."""
    for moment in range(100):
        room, lines = Room(Intake(30, 1)), iter(range(1000))
        room.give(held)
        room.intake.closed = True
        room.give(5)
        room.intake.closed = False

        def meanwhile(frame: FrameType, event: str, value: Any, room: Room = room, at: int = moment) -> Any:
            if frame.f_code.co_filename.endswith(("intake.py", "ring.py")):
                if event == "line" and next(lines) == at:  # noqa: B023 - called within the round
                    sys.settrace(None)
                    room.give(20)
                return meanwhile
            return None

        before = sys.gettrace()
        sys.settrace(meanwhile)
        try:
            first = room.intake.take(10)
        finally:
            sys.settrace(before)
        room.pieces += [first] if first is not None else []
        if room.given < held + 25:
            assert moment > 1, "it was never between two lines"
            return
        room.take(10)
        assert all(len(piece.samples) for piece in room.pieces)
        assert all(
            np.array_equal(piece.samples, counting(piece.start, len(piece.samples))) for piece in room.pieces
        )
        assert [piece.unheard for piece in room.pieces if piece.start == held + 5] == [5]
        assert sum(len(piece.samples) for piece in room.pieces) == held + 20
    pytest.fail("it took more lines than that")


def test_an_overrun_is_counted_while_nobody_takes() -> None:
    room = Room(Intake(10, 1))
    room.give(7)
    room.give(7)
    room.give(7)
    assert (room.intake.lost, room.intake.missing, room.intake.held) == (11, 11, 10)


@pytest.mark.anyio
async def test_resumed_it_hears_nothing_that_was_captured_before() -> None:
    """Also what the driver hands over late: it is told by its position when it was captured."""
    ear = Listening(rate=RATE, intake=Intake(5000, 1))
    begun = anyio.current_time() - 2
    for number in range(100):
        ear.timing.note(number * 20, begun + number * 0.02)
        ear.intake.give(counting(number * 20, 20))
    ear.heed(True)
    ear.intake.give(counting(2000, 20))
    assert not ear.silent, "what was heard before it was paused is still to be given"
    ear.rest()
    assert ear.silent
    ear.heed(False)
    resumed = anyio.current_time()
    ear.intake.give(counting(2020, 1000))  # half a second of it is said after, as soon as the driver gives it
    (heard,) = ear.rest()
    captured = ear.timing.time_of(heard.start)
    assert captured is not None
    assert resumed + 0.14 <= captured < resumed + 0.2
    assert heard.unheard == heard.start - 2000


@pytest.mark.anyio
@pytest.mark.parametrize("waver_s", [0.0, 0.01])
async def test_what_the_device_itself_lost_is_a_hole_as_long_as_its_clock_says(waver_s: float) -> None:
    ear = Listening.of(RATE, 1)
    for number in range(50):
        gone = 0.3 if number >= 30 else 0.0
        stamp = 7.0 + number * 0.02 + gone + (number % 2) * waver_s
        ear.hear(counting(number * 20, 20), 0.0, number == 30, stamp)
    before, after = ear.rest()
    assert (before.start, before.end, before.lost) == (0, 600, 0)
    assert (after.start, after.lost, len(after.samples)) == (900, 300, 400)
    assert (ear.overflows, ear.intake.lost) == (1, 300)
    assert ear.timing.time_of(after.start) is not None


@pytest.mark.anyio
async def test_a_device_without_a_clock_runs_over_for_nobody_knows_how_long() -> None:
    ear = Listening.of(RATE, 1)
    for number in range(3):
        ear.hear(counting(number * 20, 20), 0.0, True)
    (piece,) = ear.rest()
    assert (ear.overflows, ear.intake.lost, len(piece.samples)) == (3, 0, 60)


@pytest.mark.anyio
async def test_what_the_device_loses_in_a_pause_was_not_heard_by_intention() -> None:
    ear = Listening.of(RATE, 1)
    ear.hear(counting(0, 20), 0.0, False, 5.0)
    ear.heed(True)
    ear.hear(counting(20, 20), 0.0, True, 5.1)
    assert (ear.intake.lost, ear.intake.unheard) == (0, 100)


# --- times


@given(st.floats(0, 1e6), st.lists(st.floats(0, 0.3), min_size=5, max_size=200), st.integers(0, 100_000))
def test_the_earliest_block_tells_the_time(zero: float, delays: list[float], position: int) -> None:
    timing = Timing(RATE)
    assert timing.time_of(0) is None
    assert timing.position_at(zero) is None
    delays[-1] = 0.0
    for number, delay in enumerate(delays):
        timing.note(number * 20, zero + number * 0.02 + delay)
    assert timing.time_of(position) == pytest.approx(zero + position / RATE, abs=1e-6)
    assert timing.position_at(zero + position / RATE) == pytest.approx(position, abs=1)


def test_a_clock_that_runs_away_is_followed() -> None:
    """200 ppm over an hour are 720 ms; the last ten seconds are 2 ms off at the most."""
    timing = Timing(RATE)
    for number in range(36_000):
        timing.note(number * 100, number * 0.1 * (1 + 200e-6))
    told = timing.time_of(3_600_000)
    assert told is not None
    assert abs(told - 3600 * (1 + 200e-6)) < 0.0025


# --- the watchdog


def looks(watchdog: Watchdog, calls: int, begin: float, seconds: float, every: float = TICK_S) -> float | None:
    """The time after which it barks."""
    for number in range(round(seconds / every) + 1):
        if watchdog.look(calls, begin + number * every):
            return number * every
    return None


def test_a_device_that_calls_no_more_is_lost_within_a_second() -> None:
    watchdog = Watchdog()
    assert [watchdog.look(number, number * TICK_S) for number in range(100)] == [False] * 100
    lost = looks(watchdog, 99, 100 * TICK_S, 2)
    assert lost is not None
    assert LOST_AFTER_S - 2 * TICK_S <= lost < 1 - 2 * TICK_S


@pytest.mark.parametrize("calls", [0, 3])
def test_a_device_may_take_its_time_to_start(calls: int) -> None:
    """Also where it asks for all that it can hold, and then sleeps."""
    watchdog = Watchdog()
    watchdog.look(calls, -1)
    lost = looks(watchdog, calls, 0, 10)
    assert lost is not None
    assert START_WITHIN_S - 2 * TICK_S <= lost < START_WITHIN_S + 0.1


def test_a_loop_that_stood_still_is_no_lost_device() -> None:
    watchdog = Watchdog()
    assert not watchdog.look(5, 0)
    assert not watchdog.look(5, 30)
    assert not watchdog.look(6, 30.01)


def test_delays_grow_and_begin_anew() -> None:
    retry = Retry()
    assert not retry.trying
    retry.begin("microphone 'x'", "it has stopped")
    assert [retry.next_delay_s() for _ in range(6)] == [0.25, 0.5, 1, 2, 4, 4]
    retry.failed("it is gone")
    assert retry.status == "lost the microphone 'x': it is gone; trying again every 4 s"
    retry.end()
    assert (retry.status, retry.trying) == ("", False)
    retry.begin("microphone 'x'", "it has stopped")
    assert retry.next_delay_s() == 0.25


# --- the track


def opened(track: Track, at: float, closed: bool = False) -> Timing:
    timing = Timing(RATE)
    track.open(timing, closed=closed)
    timing.note(0, at)
    return timing


def piece(start: int, frames: int, lost: int = 0, unheard: int = 0) -> Piece:
    return Piece(counting(start, frames), start, lost, unheard)


def told(items: list[Audio | Mark]) -> list[tuple[str, int, int]]:
    return [
        ("audio", item.start, item.frames)
        if isinstance(item, Audio)
        else (item.kind.value, item.start, item.frames)
        for item in items
    ]


def test_what_is_lost_leaves_a_gap_of_its_length_in_its_place() -> None:
    track = Track(RATE)
    opened(track, 50.0)
    items = [*track.items(piece(0, 100)), *track.items(piece(130, 20, lost=30))]
    assert told(items) == [("audio", 0, 100), ("gap", 100, 30), ("audio", 130, 20)]
    assert track.time_of(130) == pytest.approx(50.13)


def test_a_pause_ends_the_utterance_and_positions_jump() -> None:
    track = Track(RATE)
    opened(track, 0.0)
    items = [*track.flush(), *track.items(piece(0, 100)), *track.flush(), *track.flush()]
    items += track.items(piece(400, 10, unheard=300))
    assert told(items) == [("audio", 0, 100), ("flush", 100, 0), ("audio", 400, 10)]
    assert (track.away, track.unheard_away) == (0, 0)


def test_a_pause_too_short_for_the_loop_to_see_flushes_as_well() -> None:
    track = Track(RATE)
    opened(track, 0.0)
    items = [*track.items(piece(0, 100)), *track.items(piece(150, 10, lost=20, unheard=30))]
    assert told(items) == [("audio", 0, 100), ("gap", 100, 20), ("flush", 100, 0), ("audio", 150, 10)]


def test_a_device_that_comes_again_leaves_a_gap_as_long_as_it_was_away() -> None:
    track = Track(RATE)
    opened(track, 10.0)
    items = [*track.items(piece(0, 1000)), *track.lose(1200, missing=200)]
    opened(track, 13.5)
    items += track.items(piece(40, 10, lost=40))
    assert told(items) == [("audio", 0, 1000), ("flush", 1000, 0), ("gap", 1000, 2540), ("audio", 3540, 10)]
    assert track.away == 2300
    assert track.time_of(3540) == pytest.approx(13.54)


def test_positions_never_go_back() -> None:
    track = Track(RATE)
    opened(track, 10.0)
    items = [*track.items(piece(0, 1000)), *track.lose(1000)]
    opened(track, 10.5)  # its clock says otherwise
    items += track.items(piece(0, 10))
    assert told(items) == [("audio", 0, 1000), ("flush", 1000, 0), ("audio", 1000, 10)]


def test_a_device_that_comes_again_in_a_pause_has_lost_nothing() -> None:
    track = Track(RATE)
    opened(track, 10.0)
    items = [*track.items(piece(0, 1000)), *track.lose(1000)]
    opened(track, 12.0, closed=True)
    items += track.items(piece(500, 10, unheard=500))
    assert told(items) == [("audio", 0, 1000), ("flush", 1000, 0), ("audio", 2500, 10)]
    assert (track.away, track.unheard_away) == (0, 1000)


def test_an_opening_that_gave_nothing_is_a_part_of_the_hole() -> None:
    track = Track(RATE)
    opened(track, 10.0)
    items = [*track.items(piece(0, 1000)), *track.lose(1000)]
    track.open(Timing(RATE))
    items += track.lose(0)
    opened(track, 15.0)
    items += track.items(piece(0, 10))
    assert told(items)[-2:] == [("gap", 1000, 4000), ("audio", 5000, 10)]
    assert [item.kind for item in items if isinstance(item, Mark)] == [MarkKind.FLUSH, MarkKind.GAP]
