from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from stages.posting.services import Caption, Post
from stages.posting.waiting import Fate, WaitingPosts

FATES: list[Fate] = ["posted", "too late", "skipped"]


def post(number: int) -> Post:
    return Post((Caption(number, (f"Line {number}.",)),), "en-us", 0.0)


def test_the_oldest_makes_room() -> None:
    waiting = WaitingPosts(2)
    waiting.add([post(1)])
    assert waiting.take() == post(1), "what is under way is in nobody's way"
    waiting.add([post(2), post(3), post(4)])
    assert (waiting.held, waiting.dropped, waiting.lost) == (3, 1, 1)
    waiting.settle("posted")
    assert [waiting.take(), waiting.take(), waiting.take()] == [post(3), post(4), None]


@given(st.integers(1, 5), st.lists(st.sampled_from(["add", "take", *FATES])))
def test_it_is_known_what_became_of_each(limit: int, steps: list[str]) -> None:
    waiting, under_way = WaitingPosts(limit), False
    for number, step in enumerate(steps):
        if step == "add":
            waiting.add([post(number)])
        elif step == "take" and not under_way:
            under_way = waiting.take() is not None
        elif step in FATES and under_way:
            waiting.settle(cast(Fate, step))
            under_way = False
        assert waiting.added == waiting.posted + waiting.lost + waiting.held
        assert waiting.held <= limit + 1
    assert sum(waiting.losses(ended=True).values()) == waiting.lost + waiting.held
    assert sum(waiting.losses(ended=False).values()) == waiting.lost
