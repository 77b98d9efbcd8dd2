from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from attrs import define, evolve
from rich.console import Console

from pipeline.cli.live_screen import Level, LiveScreen, render_live
from pipeline.cli.watch import Snapshot
from pipeline.graph import Graph
from pipeline.items import Audio, Item, Text
from pipeline.node import Read
from pipeline.runner import run
from pipeline.testing import Collect, Playlist
from stages.console import Console as Captions
from tests.fakes import FakeInbox, FakeOutbox

SHOT = Snapshot("listen", 72.0, 70.0, None, [], 0.0, {}, {}, [], stopping=False)


@define(kw_only=True)
class Microphone(Playlist):
    paused: bool = False


def tone(level: int) -> Audio:
    return Audio(np.full((800, 1), level, np.int16), 0, 8000)


def drawn(shot: Snapshot, *growing: str, levels: Any = None, devices: Any = None, width: int = 80) -> list[str]:
    levels = {"mic": Level()} if levels is None else levels
    devices = {"mic": "Built-in", "speaker": "Headphones"} if devices is None else devices
    console = Console(file=io.StringIO(), width=width)
    console.print(render_live(shot, width, levels, devices, growing, "space pauses"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_it_shows_what_is_being_said_each_device_and_the_time() -> None:
    told = [re.sub(" +", " ", line) for line in drawn(SHOT, "and so my fellow")]
    assert told == [
        "and so my fellow",
        "mic -------------------- -60 dB Built-in",
        "speaker Headphones",
        "1:12 space pauses",
    ]


def test_it_shows_that_a_microphone_is_paused_and_what_was_dropped() -> None:
    shot = evolve(SHOT, statuses={"mic": "paused", "asr": "loading whisper"}, dropped_s=1.25)
    told = drawn(shot)
    assert sum("paused, nothing is heard" in line for line in told) == 1
    assert any("loading whisper" in line for line in told)
    assert "1.2 s dropped" in told[-1]


@pytest.mark.parametrize("width", [24, 40, 200])
def test_it_never_wraps(width: int) -> None:
    shot = evolve(SHOT, statuses={"interpreter/asr": "loading " * 20}, stopping=True, waiting_for=["a" * 90])
    lines = drawn(shot, "said " * 60, width=width)
    assert len(lines) == 6
    assert all(len(line) <= width for line in lines)


def test_its_lines_end_with_what_they_say() -> None:
    """So that a terminal that is made narrower breaks none of them, and draws over all of them."""
    lines = drawn(SHOT, "and so", devices={"mic": "Built-in", "speaker": ""}, width=200)
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_file_with_captions_tells_how_far_it_is() -> None:
    lines = drawn(evolve(SHOT, total_s=140.0), levels={}, devices={})
    assert [re.sub(" +", " ", line) for line in lines] == ["listen 1:10 of 2:20 1.0x real time 1:12 left"]


def test_what_has_settled_no_longer_grows() -> None:
    """Also at once: a line that settles while a screen is full would leave the growing one in the scrollback."""
    written = io.StringIO()
    screen = LiveScreen(console=Console(file=written, width=80, height=10, force_terminal=True))
    with screen:
        screen.caption(Text("and so", 0, 500, "en-us", 1, final=False))
        screen.look(SHOT)
        assert "en-us: and so" in written.getvalue()
        written.truncate(0)
        screen.caption(Text("And so.", 0, 500, "en-us", 1))
        settled, _, block = written.getvalue().partition("And so.")
    assert "[00:00.0] en-us:" in settled
    assert "1:12" in block
    assert "and so" not in block


@pytest.mark.anyio
async def test_a_level_rises_at_once_and_falls_slowly(anyio_backend: str) -> None:
    level = Level()
    await level.run(FakeInbox([tone(16384), tone(0)]), FakeOutbox())
    assert level.peak_db == pytest.approx(-6, abs=0.1)
    assert level.shown.startswith("==================--")
    for _ in range(8):
        level.fall()
    assert level.peak_db == pytest.approx(-26, abs=0.1)
    for _ in range(20):
        level.fall()
    assert level.shown == "-" * 20 + "  -60 dB"


@pytest.mark.anyio
async def test_captions_of_the_graph_settle_on_the_screen_and_its_microphones_are_measured(
    anyio_backend: str,
) -> None:
    items: list[Item] = [Text("and so", 0, 500, "en-us", 1, final=False), Text("And so.", 0, 900, "en-us", 1)]
    graph = Graph().add("mic", Microphone(items=[tone(32767)])).add("keep", Collect(), Read("mic"))
    graph.add("say", Playlist(items=items)).add("see", Captions(), "say", kind="console")
    screen, shown = LiveScreen.of(graph)
    written = io.StringIO()
    screen.console = Console(file=written, width=80)
    report = await run(shown)
    assert report.balanced
    assert not report.lost
    assert written.getvalue() == "[00:00.0] en-us: And so.\n"
    assert screen.levels["mic"].peak_db == pytest.approx(0, abs=0.1)
    counts = {stage.name: stage.counts for stage in report.stages}
    assert counts["see"] == {"captions": 1}
    assert isinstance(graph.nodes["see"].stage, Captions)  # the graph itself is as it was
