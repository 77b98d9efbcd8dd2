from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.stage import StageError
from stages.jsonl import as_json
from stages.tap import Tap, Telling
from tests.fakes import FakeInbox, FakeOutbox

pytestmark = pytest.mark.anyio


def sound(start: int, frames: int, value: int) -> Audio:
    return Audio(np.full((frames, 1), value, np.int16), start, 8000)


ITEMS: list[Item] = [
    sound(0, 4, 1),
    Mark(MarkKind.GAP, 4, 8000, 2),
    Text("Sim.", 0, 900, "pt-br", 1, True),
    sound(6, 3, 2),
]


def test_a_tap_watches() -> None:
    assert Tap.watches
    assert Tap().gives({}) == {}


async def test_a_sound_file_has_silence_for_what_is_missing(tmp_path: Path) -> None:
    tap = Tap(path=tmp_path / "x.wav")
    await tap.run(FakeInbox(ITEMS), FakeOutbox())
    assert soundfile.read(tmp_path / "x.wav", dtype="int16")[0].tolist() == [1] * 4 + [0] * 2 + [2] * 3
    assert tap.counts() == {"items seen": 4}


async def test_jsonl_has_every_item(tmp_path: Path) -> None:
    await Tap(path=tmp_path / "x.jsonl").run(FakeInbox(ITEMS), FakeOutbox())
    lines = (tmp_path / "x.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [as_json(item) for item in ITEMS]


async def test_the_terminal_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    await Tap(label="mic").run(FakeInbox(ITEMS), FakeOutbox())
    captured = capsys.readouterr()
    assert captured.out == "", "standard output is for results"
    assert captured.err.splitlines() == [
        "[00:00.0] mic: audio, 8000 Hz, 1 ch, 4 frames, peak -90.3 dB",
        "[00:00.0] mic: gap, 2 frames",
        "[00:00.0] mic: pt-br 1, final: Sim.",
    ]


def test_audio_is_told_of_once_a_second() -> None:
    told = Telling()
    lines = [line for start in range(0, 24000, 800) for line in told.feed(sound(start, 800, 0))]
    assert [line[:9] for line in lines] == ["[00:00.0]", "[00:01.0]", "[00:02.0]"]
    assert lines[0].endswith("silence")


def test_a_partial_text_is_told_with_its_revision() -> None:
    assert list(Telling().feed(Text("\x1bSi", 1000, 1200, "", 4, False, 2))) == [
        "[00:01.0] text 4, revision 2: Si"
    ]


async def test_an_unwritable_path_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there is no folder"):
        await Tap(path=tmp_path / "no" / "x.wav").run(FakeInbox([]), FakeOutbox())


def test_a_suffix_that_is_no_format_is_refused() -> None:
    with pytest.raises(ValueError, match="path: wanted a file name that ends in"):
        Tap(path=Path("x.txt"))
