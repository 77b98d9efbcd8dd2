from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.echo.said import KEPT, Said, plain

SAID = "Bom dia a todos, e obrigado por terem vindo a esta reunião."


def said(*texts: str) -> Said:
    memory = Said()
    for text in texts:
        memory.note(text)
    return memory


@pytest.mark.parametrize(
    ("heard", "least", "most"),
    [
        (SAID, 1, 1),
        ("BOM DIA A TODOS E OBRIGADO", 1, 1),
        ("bom dia a todos e obrigada por terem vindo a essa reuniao", 0.9, 0.99),
        ("obrigado por terem vindo a esta reunião. Quantas pessoas", 0.7, 0.95),
        ("Não sei se isso é possível antes do fim do mês.", 0, 0.5),
        ("The first part of the work is done, and it was tested last week.", 0, 0.5),
        ("...", 0, 0),
        ("", 0, 0),
        ("日本語", 0, 0.4),
    ],
)
def test_how_much_of_a_text_was_said(heard: str, least: float, most: float) -> None:
    assert least <= said("Sim, claro.", SAID, "Vamos começar.").share(heard) <= most


def test_two_sentences_heard_as_one_were_said() -> None:
    assert said("Sim, claro.", "Vamos começar.").share("sim claro vamos começar") == 1


def test_only_the_last_texts_count() -> None:
    memory = said(SAID, *(f"número {number}" for number in range(KEPT)))
    assert memory.share(SAID) < 0.5


@given(before=st.text(max_size=40), text=st.text(max_size=60), after=st.text(max_size=40))
def test_what_was_said_word_for_word_is_known_again(before: str, text: str, after: str) -> None:
    memory = said(f"{before} {text} {after}")
    assert memory.share(text) == (1 if plain(text) else 0)


@given(one=st.text(max_size=50), other=st.text(max_size=50))
def test_a_share_is_from_none_to_all(one: str, other: str) -> None:
    assert 0 <= said(one).share(other) <= 1


def test_what_people_say_is_not_like_what_others_said(speech: Path) -> None:
    """The highest of 40 recordings is 0.49."""
    told = json.loads((speech / "manifest.json").read_text(encoding="utf-8"))["speech"]
    texts = [entry["transcript"] for entry in told]
    for number, text in enumerate(texts):
        others = said(*texts[:number][-7:], *texts[number + 1 :][:7])
        assert others.share(text[:120]) < 0.55, text
