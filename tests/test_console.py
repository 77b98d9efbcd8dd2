from __future__ import annotations

import io
import sys
from collections.abc import Iterable

import pytest

from pipeline.items import Mark, MarkKind, Text
from stages.console import Captions, Console, clock
from tests.fakes import FakeInbox, FakeOutbox


def partial(words: str, revision: int, utterance: int = 0, language: str = "") -> Text:
    return Text(words, 1200, 2000, language, utterance, False, revision)


def final(words: str, utterance: int = 0, language: str = "") -> Text:
    return Text(words, 1200, 2000, language, utterance, True, 9)


def shown(texts: Iterable[Text]) -> tuple[list[str], list[str]]:
    captions = Captions()
    settled = [line for text in texts if (line := captions.feed(text)) is not None]
    return settled, list(captions.growing(80))


def test_partial_texts_grow_and_final_ones_settle() -> None:
    assert shown([partial("We", 1), partial("We choose", 2)]) == ([], ["We choose"])
    assert shown([partial("We", 1), final("We choose.")]) == (["[00:01.2] We choose."], [])


def test_what_is_outdated_is_not_shown() -> None:
    assert shown([partial("We choose", 2), partial("We", 1)])[1] == ["We choose"]
    assert shown([final("We choose."), partial("We", 1)])[1] == []
    assert shown([partial("And", 1, utterance=1), final("We choose.")])[1] == ["And"]


def test_only_the_last_two_lines_grow() -> None:
    lines = shown([partial("We choose to go to the Moon in this decade, " * 12, 1)])[1]
    assert 1 <= len(lines) <= 2
    assert all(len(line) <= 80 for line in lines)


def test_each_says_its_language_from_the_first_on() -> None:
    texts = [
        *(final("Yes.", language="en"), final("Sim.", language="pt")),
        *(partial("And", 1, 1, "en"), partial("E", 1, 1, "pt")),
    ]
    assert shown(texts) == (["[00:01.2] en: Yes.", "[00:01.2] pt: Sim."], ["en: And", "pt: E"])


def test_control_characters_and_empty_texts_are_left_out() -> None:
    assert shown([final("\x1b[2Jred\n\x07")])[0] == ["[00:01.2] [2Jred"]
    assert shown([final(" \x00 ")])[0] == []


@pytest.mark.parametrize(
    ("ms", "wanted"), [(0, "00:00.0"), (61_250, "01:01.2"), (3_661_999, "1:01:01.9"), (-5, "00:00.0")]
)
def test_clock(ms: int, wanted: str) -> None:
    assert clock(ms) == wanted


TEXTS = [partial("We", 1), Mark(MarkKind.FLUSH, 0, 24000), final("We choose [bold]."), final("No.", 1)]


@pytest.mark.anyio
async def test_piped_only_settled_lines_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    await console.run(FakeInbox(TEXTS), FakeOutbox())
    assert capsys.readouterr().out == "[00:01.2] We choose [bold].\n[00:01.2] No.\n"
    assert console.counts() == {"captions": 2}


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.anyio
async def test_on_a_terminal_captions_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    await Console().run(FakeInbox(TEXTS), FakeOutbox())
    drawn = terminal.getvalue()
    assert "We" in drawn.split("[00:01.2]")[0], "the partial text came first"
    assert "[00:01.2] We choose [bold]." in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 1, "the cursor is back at the end"
