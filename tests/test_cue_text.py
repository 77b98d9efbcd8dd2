from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions.text import clean, clusters, width
from tests.cue_texts import ODD, SAMPLES


@given(st.text() | st.sampled_from(ODD))
def test_clean_text_is_one_line_without_controls(text: str) -> None:
    out = clean(text)
    assert out == " ".join(out.split())
    assert "-->" not in out
    assert not {unicodedata.category(character) for character in out} & {"Cc", "Cs", "Zl", "Zp"}
    assert clean(out) == out
    assert all(width(word) for word in out.split())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  two\t words \n", "two words"),
        ("a-->b", "a→b"),
        ("a ---> b", "a -→ b"),
        ("\x1b[31mred\x07", "[31mred"),
        ("\u202egnihton\u202c", "gnihton"),
        ("10\u00a0%", "10 %"),
        ("\ud800", "\ufffd"),
        ("\u200b\ufeff \u200d", ""),
        ("क्‍ष", "क्‍ष"),
    ],
)
def test_clean_examples(text: str, wanted: str) -> None:
    assert clean(text) == wanted


@pytest.mark.parametrize("text", SAMPLES.values())
def test_clean_changes_nothing_in_plain_text(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "units"),
    [("abc", 3), ("東京", 4), ("ｶﾅ", 2), ("한국", 4), ("e\u0301", 1), ("السَّلامُ", 6), ("", 0), ("ＡＢ", 4)],
)
def test_width(text: str, units: int) -> None:
    assert width(text) == units


@pytest.mark.parametrize(
    "text",
    [
        "e\u0301 é",
        "👩‍👩‍👧‍👦 👍🏽 🇧🇷",
        "क्ष त्र क्‍ष ज्ञा",
        "السَّ",
        "\u1112\u1161\u11ab",
        "❤️",
        "กำ",
    ],
)
def test_characters_are_kept_whole(text: str) -> None:
    for word in text.split(" "):
        wanted = 2 if word in ("ज्ञा", "السَّ") else 1
        assert len(list(clusters(word))) <= wanted * 2


def test_clusters_of_flags_and_plain_letters() -> None:
    assert list(clusters("🇧🇷🇵🇹🇬")) == ["🇧🇷", "🇵🇹", "🇬"]
    assert list(clusters("abc")) == ["a", "b", "c"]
    assert list(clusters("क्षमा")) == ["क्ष", "मा"]
    assert list(clusters("")) == []


@given(st.text())
def test_clusters_are_the_text(text: str) -> None:
    assert "".join(clusters(text)) == text
