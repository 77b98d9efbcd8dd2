"""What is shown of a growing hypothesis is never taken back, and in the end it is all there."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.translate.agreement import Agreement, words

WORDS = st.lists(st.sampled_from(["the", "The", "cat", "cat,", "sat", "on", "a", "mat.", "你", "好"]), max_size=8)
TEXTS = WORDS.map(" ".join)


def test_words_joined_are_the_text() -> None:
    assert words("Guten Tag, 你好 Welt") == ["Guten", " Tag,", " 你", "好", " Welt"]


@given(st.text())
def test_words_lose_nothing_but_doubled_spaces(text: str) -> None:
    assert "".join("".join(words(text)).split()) == "".join(text.split())


@given(st.lists(TEXTS, max_size=6), TEXTS)
def test_what_was_given_is_a_prefix_of_all_that_comes_later(hypotheses: list[str], final: str) -> None:
    agreement, given_so_far = Agreement(), ""
    for hypothesis in hypotheses:
        given_so_far += agreement.feed(hypothesis)
        assert agreement.settled == given_so_far
    given_so_far += agreement.finish(final)
    assert agreement.settled == given_so_far


@given(WORDS, st.lists(st.integers(0, 8), max_size=5))
def test_a_speaker_whose_words_only_grow_is_quoted_exactly(said: list[str], lengths: list[int]) -> None:
    agreement = Agreement()
    for length in sorted(lengths):
        agreement.feed(" ".join(said[:length]))
    agreement.finish(" ".join(said))
    assert agreement.settled == "".join(words(" ".join(said)))


@given(st.lists(TEXTS, max_size=6), TEXTS)
@example(["cat", "cat"], "cat,")
def test_the_final_text_is_kept_where_it_agrees(hypotheses: list[str], final: str) -> None:
    agreement = Agreement()
    for hypothesis in hypotheses:
        agreement.feed(hypothesis)
    before = agreement.settled
    agreement.finish(final)
    if "".join(words(final)).startswith(before):
        assert agreement.settled == "".join(words(final))


def test_two_in_a_row_must_agree() -> None:
    agreement = Agreement()
    assert agreement.feed("The cat") == ""
    assert agreement.feed("The cat sat") == "The cat"
    assert agreement.feed("The cat sad on") == ""
    assert agreement.feed("The cat sat on the") == ""
    assert agreement.feed("The cat sat on the mat") == " sat on the"
    assert agreement.finish("The cat sat on the mat.") == " mat."


def test_case_and_punctuation_do_not_hold_it_up() -> None:
    agreement = Agreement()
    agreement.feed("Hello world.")
    assert agreement.feed("hello, world and") == "hello, world"


@pytest.mark.parametrize(
    ("settled", "final", "rest"),
    [
        ("the cat sat", "the black cat sat down", " down"),  # a word more
        ("the cat sat", "the hat sat down", " down"),  # another word
        ("the cat sat", "cat sat down", " down"),  # a word less
        ("the cat sat", "", ""),  # nothing after all
        ("the cat", "dogs bark loudly", " loudly"),  # something else altogether
    ],
)
def test_a_final_text_that_disagrees_only_adds(settled: str, final: str, rest: str) -> None:
    agreement = Agreement()
    agreement.feed(settled)
    agreement.feed(settled)
    assert agreement.settled == settled
    assert agreement.finish(final) == rest


def test_behind_a_sentence_that_is_final_hypotheses_go_on() -> None:
    """Its sign came last, and is no word of its own."""
    agreement = Agreement()
    agreement.feed("Congratulations")
    assert agreement.feed("Congratulations you") == "Congratulations"
    assert agreement.finish("Congratulations!") == "!"
    assert agreement.feed("Congratulations! You have") == " You"
    assert agreement.feed("Congratulations! You have installed") == " have"
    assert agreement.finish("Congratulations! You have installed it.") == " installed it."


def test_another_utterance_begins_anew() -> None:
    agreement = Agreement()
    agreement.finish("one")
    agreement.clear()
    assert agreement.finish("two") == "two"
    assert agreement.settled == "two"
