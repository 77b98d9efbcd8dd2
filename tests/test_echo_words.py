from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field

from pipeline.items import Text
from stages.echo.said import Said
from stages.echo.words import OwnWords

SAID = "Bom dia a todos, e obrigado por terem vindo."


@define
class Ears:
    """A guard whose likeness is what it is told."""

    like: float = 0.6

    def likeness(self, start_ms: int, end_ms: int) -> float:
        return self.like if (start_ms, end_ms) == (1000, 3000) else 0.0


@define
class Voice:
    said: Said = field(factory=Said)


def words(like: float = 0.6, *, spoken: str = SAID) -> OwnWords:
    voice, own = Voice(), OwnWords(guard=Ears(like))
    voice.said.note(spoken)
    met: dict[str, Any] = {"tts": voice, "wav": object()}
    own.meet(met)
    return own


def heard(text: str, *, final: bool = True) -> Text:
    return Text(text, 1000, 3000, "pt-br", 1, final)


def test_what_we_said_and_what_sounds_like_it_is_left_out_and_counted() -> None:
    own = words()
    assert list(own.feed(heard("Bom dia a todos e obrigada", final=False))) == []
    assert list(own.feed(heard("Bom dia a todos e obrigada por terem vindo"))) == []
    assert own.counts() == {"texts left out that were our own speech": 1}


@pytest.mark.parametrize(
    ("text", "like", "spoken"),
    [
        ("Quantas pessoas vão participar?", 0.6, SAID),  # other words
        (SAID, 0.3, SAID),  # somebody repeats it
        ("Sim.", 0.9, "Sim."),  # too short to tell
        ("...........", 0.9, "..........."),
    ],
)
def test_all_else_passes(text: str, like: float, spoken: str) -> None:
    own, item = words(like, spoken=spoken), heard(text)
    assert list(own.feed(item)) == [item]
    assert own.counts() == {"texts left out that were our own speech": 0}


def test_what_was_translated_and_comes_back_in_its_own_language_is_ours_too() -> None:
    own = words()
    first = Text("Good morning to all of you.", 0, 500, "en-us")
    assert list(own.feed(first)) == [first]
    assert list(own.feed(heard("Good morning to all."))) == []
