from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.models.loop_guard import echoes, loops, word_count


@pytest.mark.parametrize(
    "text",
    [
        "the the the the the",
        "I don't know. I don't know. I don't know. I don't know.",
        "and so on, and so on, and so on,",
        "ハハハハハハハハハ",
    ],
)
def test_repetition_is_a_loop(text: str) -> None:
    assert loops(text, 10)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Ask not what your country can do for you, ask what you can do for your country.", 6.0),
        ("No, no, no.", 1.0),
        ("Yes.", 0.3),
        ("Row, row, row your boat.", 2.0),
        ("音声認識でもディープラーニングがよく使われてますね。", 5.0),
        ("", 1.0),
    ],
)
def test_speech_is_no_loop(text: str, seconds: float) -> None:
    assert not loops(text, seconds)


def test_more_words_than_anyone_can_say_are_a_loop() -> None:
    words = " ".join(f"word{number}" for number in range(60))
    assert loops(words, 5)
    assert not loops(words, 20)


def test_characters_of_wide_scripts_count_as_half_a_word() -> None:
    assert word_count("今日はいい天気だ") == 4
    assert word_count("a fine day") == 3


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=4), st.integers(5, 9))
def test_any_phrase_said_five_times_over_is_found(phrase: list[str], times: int) -> None:
    assert loops(" ".join(phrase * times), 100)


@pytest.mark.parametrize(
    ("before", "text", "seconds", "echo"),
    [
        ("Before this decade is out.", "Before this decade is out.", 0.37, True),
        ("before this decade is out", "Before this decade is out.", 0.9, True),
        ("Before this decade is out.", "Before this decade is out.", 1.1, False),
        ("Before this decade is out.", "Before this decade is over.", 0.37, False),
        ("Thank you.", "Thank you.", 0.3, False),
        ("我相信这个国家", "我相信这个国家。", 0.3, True),
    ],
)
def test_what_is_said_again_too_fast_is_an_echo(before: str, text: str, seconds: float, echo: bool) -> None:
    assert echoes(before, text, seconds) is echo
