from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.graph import Graph
from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.runner import run
from pipeline.testing import Playlist, noise
from stages.jsonl import Jsonl, as_json, as_line, peak_db
from tests.fakes import OUTPUT, FakeInbox, FakeOutbox
from tests.stages_for_tests import Divide

TEXT = Text("Olá", 1000, 2500, "pt-br", 3, False, 2)
MARK = Mark(MarkKind.GAP, 24000, 24000, 480)
AUDIO = Audio(np.array([[16384, -1], [0, 2]], np.int16), 48000, 24000)


def test_every_item_in_milliseconds() -> None:
    assert as_json(TEXT) == {
        "type": "text",
        "text": "Olá",
        "start_ms": 1000,
        "end_ms": 2500,
        "language": "pt-br",
        "utterance": 3,
        "final": False,
        "revision": 2,
    }
    assert as_json(MARK) == {"type": "mark", "kind": "gap", "start_ms": 1000, "frames": 480, "rate_hz": 24000}
    assert as_json(AUDIO) == {
        "type": "audio",
        "start_ms": 2000,
        "end_ms": 2000,
        "frames": 2,
        "rate_hz": 24000,
        "channels": 2,
        "peak_db": -6.0,
    }


def test_samples_in_base64() -> None:
    sent = base64.b64decode(str(as_json(AUDIO, "base64")["samples"]))
    assert np.frombuffer(sent, "<i2").reshape(-1, 2).tolist() == AUDIO.samples.tolist()


@pytest.mark.parametrize(("value", "db"), [(0, None), (32767, 0.0), (-32768, 0.0), (1, -90.3)])
def test_peak(value: int, db: float | None) -> None:
    assert peak_db(Audio(np.full((3, 1), value, np.int16), 0, 8000)) == db
    assert peak_db(Audio(np.zeros((0, 1), np.int16), 0, 8000)) is None


@given(st.text())
def test_any_text_is_one_line(text: str) -> None:
    line = as_line(Text(text, 0, 1))
    assert "\n" not in line
    assert json.loads(line)["text"] == text


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def written(path: Path, items: Iterable[Item], **options: Any) -> list[Any]:
    stage = Jsonl(path=path, **options)
    await stage.run(FakeInbox(items), FakeOutbox())
    lines = lines_of(path)
    assert stage.counts() == {"lines": len(lines)}
    return lines


@pytest.mark.anyio
async def test_a_file(tmp_path: Path) -> None:
    items = [TEXT, MARK, AUDIO, Text("lone \ud800", 0, 1)]
    told = [{**as_json(item), "output": OUTPUT} for item in items]
    assert await written(tmp_path / "x.jsonl", items) == told
    assert await written(tmp_path / "x", items, audio="none") == [told[at] for at in (0, 1, 3)]
    assert "samples" in (await written(tmp_path / "x", items, audio="base64"))[2]


@pytest.mark.anyio
async def test_every_line_says_where_it_comes_from(tmp_path: Path, anyio_backend: str) -> None:
    graph = Graph().add("talk", Playlist(items=[TEXT])).add("halves", Divide(), "talk")
    graph.add("lines", Jsonl(path=tmp_path / "x"), reads=["talk", "halves.even", "halves.odd"])
    await run(graph)
    assert sorted(line["output"] for line in lines_of(tmp_path / "x")) == ["halves.even", "talk.out"]


@pytest.mark.anyio
async def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    await Jsonl(path=Path("-")).run(FakeInbox([noise(10)]), FakeOutbox())
    assert json.loads(capsys.readouterr().out)["frames"] == 10
