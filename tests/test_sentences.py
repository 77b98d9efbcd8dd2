from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stages.models.sentences import pieces, split_sentences


def letters(text: str) -> str:
    return "".join(text.split())


def test_sentences_end_at_full_stops_and_not_at_titles_initials_or_numbers() -> None:
    text = 'Mr. Quilter met J. F. Kennedy at 3.5 p.m. today. "Really?" he said... Then it rained!'
    assert split_sentences(text) == [
        "Mr. Quilter met J. F. Kennedy at 3.5 p.m. today.",
        '"Really?" he said...',
        "Then it rained!",
    ]


def test_scripts_without_spaces_have_their_own_full_stops() -> None:
    assert split_sentences("你好。今天天气怎么样？很好！") == ["你好。", "今天天气怎么样？", "很好！"]


def test_nothing_has_no_sentences() -> None:
    assert split_sentences(" \n ") == []
    assert pieces("  ", 10) == []


@given(st.text(max_size=200))
def test_no_letter_is_lost_between_sentences(text: str) -> None:
    found = split_sentences(text)
    assert letters("".join(found)) == letters(text)
    assert all(sentence == sentence.strip() != "" for sentence in found)


@given(st.text(max_size=300), st.integers(1, 40))
def test_pieces_fit_and_lose_nothing(text: str, most: int) -> None:
    found = pieces(text, most)
    assert all(len(piece) <= most for piece in found)
    assert letters("".join(found)) == letters(text)


def test_pieces_are_cut_after_clauses_where_they_can_be() -> None:
    assert pieces("one two, three four five; six seven eight nine ten", 20) == [
        "one two,",
        "three four five;",
        "six seven eight nine",
        "ten",
    ]
