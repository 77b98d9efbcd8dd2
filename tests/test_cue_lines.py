from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.captions.lines import break_into_cues
from stages.captions.text import clean, clusters, width
from stages.captions.words import CLINGS
from tests.cue_texts import SAMPLES, languages, texts


def broken(
    text: str, language: str = "en", line: int = 42, lines: int = 2, cue: int = 84
) -> list[tuple[str, ...]]:
    return break_into_cues(clean(text), language, line_units=line, max_lines=lines, cue_units=cue)


@given(st.data(), languages, st.sampled_from([8, 32, 42]), st.integers(1, 3), st.integers(1, 200))
@settings(deadline=None)
def test_nothing_is_lost_and_every_line_fits(
    data: st.DataObject, language: str, line: int, lines: int, cue: int
) -> None:
    text = data.draw(texts(language))
    cues = broken(text, language, line, lines, cue)
    assert "".join(itertools.chain(*cues)).replace(" ", "") == clean(text).replace(" ", "")
    assert all(1 <= len(each) <= lines for each in cues)
    assert all(width(part) <= line and part == part.strip() and part for part in itertools.chain(*cues))


@given(st.data(), languages)
@settings(deadline=None)
def test_characters_are_never_split(data: st.DataObject, language: str) -> None:
    text = clean(data.draw(texts(language)))
    pieces = list(itertools.chain(*broken(text, language)))
    if max(map(width, clusters(text)), default=0) > 42:
        return  # no line has room for it
    for piece in pieces:
        assert unicodedata.category(piece[0]) not in ("Mn", "Me", "Mc") or piece[0] == text[0] or text.isspace(), (
            piece
        )
        assert not piece.endswith("\u200d") or text.endswith("\u200d")


def test_what_fits_on_one_line_stays_on_one() -> None:
    assert broken("Not because they are easy, but hard.") == [("Not because they are easy, but hard.",)]


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("en", "We choose to go to the Moon, | not because it is easy."),
        ("en", "She walked slowly along the river | with her old brown dog."),
        ("en", "This was told to us long ago | by good old Mr. Quilter himself."),
        ("pt-br", "Escolhemos ir à Lua nesta década | porque é muito difícil."),
        ("fr", "Nous avons décidé de partir : | il n'était plus temps d'attendre."),
        ("de", "Wir fliegen zum Mond, | nicht weil es leicht ist, sondern schwer."),
        ("es", "No sabemos dónde está el niño, | pero su hermana lo sabe todo."),
    ],
)
def test_lines_break_where_phrases_do(language: str, wanted: str) -> None:
    assert broken(wanted.replace(" | ", " "), language) == [tuple(wanted.split(" | "))]


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("ja", "我々は十年以内に月へ|行くことを選びました。"),
        ("zh", "因为这个目标将有助于组织|和衡量我们最好的能力。"),
        ("ko", "우리는 이 십 년 안에| 달에 가기로 결정했습니다."),
    ],
)
def test_lines_of_full_width_characters(language: str, wanted: str) -> None:
    lines = tuple(line.strip() for line in wanted.split("|"))
    assert broken(wanted.replace("|", ""), language, line=32, cue=64) == [lines]


def test_captions_break_after_sentences() -> None:
    text = "Nor is Mr. Quilter's manner less interesting than his matter. He tells us that at this festive season."
    assert [cue[-1][-1] for cue in broken(text)] == [".", "."]


@pytest.mark.parametrize("language", ["en", "pt", "es", "fr", "de", "it"])
def test_no_line_ends_with_an_article(language: str) -> None:
    """Where words are short enough that the break may be elsewhere."""
    for sample in [text for name, text in SAMPLES.items() if name.startswith(language)]:
        for line in itertools.chain(*broken(" ".join([sample] * 4), language)):
            assert line.split()[-1].lower() not in CLINGS[language], line


def test_the_lower_line_is_rather_the_longer() -> None:
    ((upper, lower),) = broken("wwwww " * 11)
    assert len(upper) < len(lower)


@pytest.mark.parametrize(
    "text", ["「はい」と言った。", "それは「東京タワー」、でした！", "ヴァイオリン、ちょっと、待って。"]
)
def test_japanese_lines_begin_and_end_as_they_may(text: str) -> None:
    for line in itertools.chain(*broken(text * 4, "ja", line=16, cue=32)):
        assert line[0] not in "、。」！？ーっゃゅょァ"
        assert line[-1] not in "「『（"


def test_a_word_longer_than_a_line_is_broken() -> None:
    assert broken("x" * 50) == [("x" * 42, "x" * 8)]


def test_a_long_text_does_not_take_long() -> None:
    """The search is linear in the length of the text: this would be hours if it were not."""
    cues = broken("We choose to go to the Moon in this decade, and do the other things. " * 200)
    assert sum(len(line) for cue in cues for line in cue) > 13000
