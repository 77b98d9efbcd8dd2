from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Audio
from stages.playout.waiting import Skipped, Waiting

RATE = 1000


def sound(start: int, frames: int) -> Audio:
    return Audio((np.arange(start, start + frames) % 10_000).astype(np.int16)[:, np.newaxis], start, RATE)


def test_what_goes_on_is_one_utterance_and_a_jump_begins_another() -> None:
    waiting = Waiting(RATE, 1)
    assert waiting.head is None
    assert [waiting.put(sound(start, 10), 0.0) for start in (100, 110, 90, 100)] == [False, True, False, True]
    first = waiting.head
    assert first is not None
    assert (first.start, first.frames, first.ended) == (100, 20, True)
    assert (waiting.held_frames, waiting.held_blocks) == (40, 4)
    taken = [waiting.take(most)[:, 0].tolist() for most in (4, 100, 100, 5, 100, 100)]
    assert taken == [[*range(100, 104)], [*range(104, 110)], [*range(110, 120)], [*range(90, 95)],
                     [*range(95, 100)], [*range(100, 110)]]  # fmt: skip
    assert len(waiting.take(100)) == 0
    assert (waiting.held_frames, waiting.held_blocks) == (0, 0)


def test_an_utterance_ends_where_it_is_said_to() -> None:
    waiting = Waiting(RATE, 1)
    waiting.end()
    waiting.put(sound(0, 10), 0.0)
    assert waiting.head is not None
    assert not waiting.head.ended
    waiting.end()
    assert waiting.put(sound(10, 10), 0.0)
    assert (waiting.head.frames, waiting.head.ended) == (10, True)
    waiting.take(10)
    assert (waiting.head.start, waiting.head.ended) == (10, False)
    waiting.take(10)
    assert waiting.head is not None
    waiting.end()
    assert waiting.head is None


def test_the_wait_is_reckoned_from_when_a_frame_could_have_sounded() -> None:
    waiting = Waiting(RATE, 1)
    waiting.put(sound(0, 1000), 5.0)
    waiting.put(sound(1000, 1000), 5.0)
    waiting.put(sound(2000, 1000), 9.0)
    head = waiting.head
    assert head is not None
    assert head.wait_s(5.5) == 0.5
    waiting.take(1000)
    assert head.wait_s(6.5) == pytest.approx(0.5)
    waiting.take(1000)
    assert head.wait_s(9.0) == 0
    assert head.wait_s(9.25) == pytest.approx(0.25)


def test_nobody_is_late_because_the_one_before_was_long() -> None:
    """Two as long as their originals, each put when it was over: the second has to wait, and is not late."""
    waiting = Waiting(RATE, 1)
    waiting.put(sound(0, 10_500), 10.5)
    waiting.end()
    waiting.put(sound(11_000, 1000), 12.0)
    waiting.take(10_500)
    second = waiting.head
    assert second is not None
    assert second.fair_at == pytest.approx(20.5)
    assert second.wait_s(21.0) == pytest.approx(0.5)


def test_what_was_long_once_excuses_nothing_when_nobody_has_to_wait_any_more() -> None:
    waiting = Waiting(RATE, 1)
    for start, frames, now in ((0, 10_000, 10.0), (11_000, 1000, 12.0), (60_000, 1000, 61.0)):
        waiting.put(sound(start, frames), now)
    for number in range(4):
        waiting.put(sound(62_000 + 5000 * number, 1000), 90.0)
    fair = [(waiting.head.fair_at, waiting.take(10_000)) for _ in range(7) if waiting.head is not None]
    assert fair[1][0] > 12.5
    assert [at for at, _ in fair[3:]] == pytest.approx([90, 90 + 1 / 1.05, 91, 91])


def test_an_utterance_that_is_longer_than_its_original_makes_the_next_late() -> None:
    waiting = Waiting(RATE, 1)
    waiting.put(sound(0, 6000), 4.2)
    waiting.end()
    waiting.put(sound(4200, 6000), 8.4)
    waiting.take(6000)
    assert waiting.head is not None
    assert waiting.head.wait_s(10.2) == pytest.approx(1.8)
    waiting.put(sound(1000, 100), 8.5)
    assert waiting.worst_wait_s(10.2) == pytest.approx(10.2 + 6 - (8.4 + 6 / 1.05))


def test_what_is_skipped_is_counted_and_told_with_all_that_is_still_to_come_of_it() -> None:
    waiting = Waiting(RATE, 1)
    waiting.put(sound(0, 100), 0.0)
    waiting.put(sound(100, 100), 0.0)
    waiting.skip(9.5)
    assert waiting.head is None
    assert waiting.held_frames == 0
    waiting.put(sound(200, 50), 1.0)
    assert waiting.held_frames == 0
    assert waiting.take_skipped() == []
    waiting.put(sound(700, 10), 2.0)
    assert waiting.head is not None
    assert waiting.head.start == 700
    assert waiting.take_skipped() == [Skipped(start=0, frames=250, rate=RATE, lag_s=9.5)]
    assert waiting.take_skipped() == []
    assert (waiting.skipped_utterances, waiting.skipped_frames) == (1, 250)


def test_where_nobody_asks_the_oldest_skipped_are_forgotten_but_counted() -> None:
    waiting = Waiting(RATE, 1)
    for number in range(100):
        waiting.put(sound(100 * number, 10), 0.0)
        waiting.skip(1.0)
    waiting.end()
    assert waiting.head is None
    assert [skipped.start for skipped in waiting.take_skipped()] == [*range(3600, 10000, 100)]
    assert waiting.skipped_utterances == 100


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.integers(1, 50), st.booleans()),
            st.tuples(st.just("take"), st.integers(1, 80), st.just(False)),
            st.tuples(st.sampled_from(["end", "skip"]), st.just(0), st.just(False)),
        ),
        max_size=40,
    )
)
def test_every_frame_is_taken_skipped_or_held(steps: list[tuple[str, int, bool]]) -> None:
    waiting, put, taken, next_ = Waiting(RATE, 1), 0, 0, 0
    for what, frames, jump in steps:
        if what == "put":
            next_ += 7 if jump else 0
            waiting.put(sound(next_, frames), 0.0)
            next_, put = next_ + frames, put + frames
        elif what == "take":
            taken += len(waiting.take(frames))
        elif what == "end":
            waiting.end()
        elif waiting.head is not None:
            waiting.skip(0.0)
        assert put == taken + waiting.skipped_frames + waiting.held_frames
        assert 0 <= waiting.held_blocks <= waiting.held_frames
