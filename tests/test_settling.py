from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.models.whisper import Sentence
from stages.settling import settled


def guess(*said: tuple[str, float], end_s: float = 30.0) -> list[Sentence]:
    """Sentences, each with the time at which it begins."""
    ends = [begin_s for _, begin_s in said[1:]] + [end_s]
    return [Sentence(text, begin_s, end) for (text, begin_s), end in zip(said, ends, strict=True)]


@st.composite
def guesses(draw: st.DrawFn) -> list[Sentence]:
    """A guess of one sentence or more, at most three words a second."""
    words = st.lists(st.text("abcdefg", min_size=1, max_size=6), min_size=1, max_size=6).map(" ".join)
    texts = draw(st.lists(st.builds("{}{}".format, words, st.sampled_from(".?!")), min_size=1, max_size=6))
    lasts_s = draw(st.lists(st.floats(2.0, 8.0), min_size=len(texts), max_size=len(texts)))
    times_s = list(itertools.accumulate(lasts_s, initial=0.0))
    return [Sentence(text, *span) for text, span in zip(texts, itertools.pairwise(times_s), strict=True)]


@given(guesses(), guesses())
def test_the_last_sentence_is_never_settled(before: Sequence[Sentence], now: Sequence[Sentence]) -> None:
    assert 0 <= settled(before, now) < len(now)


@given(guesses())
def test_one_guess_alone_settles_nothing(now: Sequence[Sentence]) -> None:
    assert settled((), now) == 0


@given(guesses())
def test_what_is_said_twice_is_settled_up_to_its_last_sentence(now: Sequence[Sentence]) -> None:
    assert settled(now, now) == len(now) - 1


@given(guesses(), guesses())
def test_what_comes_behind_changes_nothing_of_it(now: Sequence[Sentence], more: Sequence[Sentence]) -> None:
    later = [Sentence(each.text, each.begin_s + now[-1].end_s, each.end_s + now[-1].end_s) for each in more]
    assert settled(now, [*now, *later]) == len(now) - 1


@given(guesses(), st.floats(0.5, 5.0))
def test_sentences_that_begin_at_other_times_are_others(now: Sequence[Sentence], late_s: float) -> None:
    shift_s = now[-1].end_s + late_s
    shifted = [Sentence(each.text, each.begin_s + shift_s, each.end_s + shift_s) for each in now]
    assert settled(shifted, now) == 0


BEFORE = guess(("Fala personalizada fornece ferramentas.", 0.0), ("No portal", 4.1))


@pytest.mark.parametrize(
    ("now", "count"),
    [
        (guess(("Fala personalizada fornece ferramentas.", 0.0), ("No portal de fala", 4.1)), 1),
        (guess(("Fala personalizado forne se ferramentas.", 0.0), ("No portal de fala", 4.3)), 1),
        (guess(("Fala personalizada fornece ferramentas?", 0.0), ("No portal de fala", 4.1)), 0),
        (guess(("Fala personalizada fornece ferramentas.", 0.0), ("No portal de fala", 5.1)), 0),
        (guess(("Fala personalizada fornece ferramentas, no portal de fala", 0.0)), 0),
        (guess(("Ferramentas.", 0.0), ("No portal de fala", 4.1)), 0),
    ],
    ids=[
        "the same",
        "a word is spelt otherwise",
        "another sign",
        "another time",
        "no end",
        "something is left out",
    ],
)
def test_two_guesses_must_agree_on_the_end(now: Sequence[Sentence], count: int) -> None:
    assert settled(BEFORE, now) == count


def test_a_full_stop_where_the_sound_is_cut_off_settles_nothing() -> None:
    cut_off = guess(("I went to the shop.", 0.0))
    assert settled(cut_off, guess(("I went to the shop and then", 0.0))) == 0
    assert settled(cut_off, cut_off) == 0


def test_where_there_is_no_time_for_what_was_said_nothing_is_settled() -> None:
    hurried = guess(("We met at noon, and he came late.", 0.4), ("Then we", 0.9))
    assert settled(hurried, hurried) == 0


def test_sentences_that_only_one_guess_parts_are_settled_together() -> None:
    parted = guess(("Well.", 0.0), ("We begin.", 0.8), ("Now", 2.0))
    joined = guess(("Well, we begin.", 0.0), ("Now then", 2.1))
    assert settled(parted, joined) == 1
    assert settled(joined, parted) == 2


def test_without_spaces_the_last_letters_tell() -> None:
    before = guess(("今日はいい天気ですね。", 0.0), ("明日", 2.0))
    assert settled(before, guess(("今日はいい天気ですね。", 0.0), ("明日は雨", 2.0))) == 1
    assert settled(before, guess(("今日はいい天気でした。", 0.0), ("明日は雨", 2.0))) == 0
