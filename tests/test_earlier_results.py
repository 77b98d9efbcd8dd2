"""What a file held before a run, and what it holds after: one rule for everything that writes a file."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
import soundfile
from attrs import define, field, frozen

from pipeline.cli.exits import Exit
from pipeline.cli.running import Wishes, run_graph
from pipeline.graph import Graph
from pipeline.items import Item, Text
from pipeline.stage import Duration, Inbox, Outbox, StageError
from pipeline.testing import Playlist, noise
from stages.jsonl import Jsonl
from stages.silence import Silence
from stages.subtitles import Subtitles
from stages.tap import Tap
from stages.translate.realtime.interpreter import Interpreter
from stages.wav import Wav
from tests.cue_checker import parse_srt, parse_vtt
from tests.stages_for_tests import PassActor

OLD = b"of an earlier run"
SOUND, TEXT = [noise(2400)], [Text("Yes, of course.", 0, 1000, "en")]


def frames(path: Path) -> int:
    return int(soundfile.info(path).frames)


def cues(path: Path) -> int:
    return len((parse_vtt if path.suffix == ".vtt" else parse_srt)(path.read_text("utf-8")))


def lines(path: Path) -> int:
    return len([json.loads(line) for line in path.read_bytes().splitlines()])


@frozen
class Writer:
    """A stage that writes a file: how it is made, what it is given, and how much of it is in its file."""

    kind: Any
    suffix: str
    items: Sequence[Item]
    held: Any
    options: Mapping[str, Any] = field(factory=dict)
    empty: int = 0
    """What a file holds that has nothing in it."""

    def stage(self, folder: Path) -> Any:
        return self.kind(path=folder / f"x{self.suffix}", **self.options)


WRITERS = {
    "wav": Writer(Wav, ".wav", SOUND, frames),
    "timeline": Writer(Wav, ".wav", SOUND, frames, {"layout": "timeline"}),
    "flac": Writer(Wav, ".flac", SOUND, frames, empty=1),
    "srt": Writer(Subtitles, ".srt", TEXT, cues),
    "vtt": Writer(Subtitles, ".vtt", TEXT, cues),
    "rolling vtt": Writer(Subtitles, ".vtt", TEXT, cues, {"keep": Duration(60)}),
    "jsonl": Writer(Jsonl, ".jsonl", TEXT, lines),
    "tapped sound": Writer(Tap, ".wav", SOUND, frames),
    "tapped items": Writer(Tap, ".jsonl", TEXT, lines),
}


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest) -> Writer:
    return WRITERS[request.param]


@pytest.fixture(params=["asyncio", "trio"])
def wishes(request: pytest.FixtureRequest) -> Wishes:
    return Wishes(backend=request.param)


@pytest.fixture(params=[True, False], ids=["an earlier result", "no earlier result"])
def held(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def folder_with(writer: Writer, folder: Path, held: bool) -> Path:
    path: Path = writer.stage(folder).path
    if held:
        path.write_bytes(OLD)
    return path


def assert_as_it_was(path: Path, held: bool) -> None:
    assert sorted(each.name for each in path.parent.iterdir()) == ([path.name] if held else [])
    if held:
        assert path.read_bytes() == OLD


@define(kw_only=True)
class Interrupted(Playlist):
    """A source that gives `items`, never ends, and sends its own process Ctrl-C."""

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        await super().run(inbox, outbox)
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()


@define(kw_only=True)
class Fails(PassActor):
    """Hands on `passes` items and then fails, as a service does that goes away."""

    passes: int = 0

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for item in inbox:
            if not self.passes:
                raise StageError("the service has gone", code=69)
            self.passes -= 1
            await outbox.send(item)


def test_a_service_that_is_not_there(writer: Writer, wishes: Wishes, held: bool, tmp_path: Path) -> None:
    path = folder_with(writer, tmp_path, held)
    port = "text" if writer.items is TEXT else "audio"
    graph = Graph().add("talk", Silence(duration=Duration(3), rate=24000))
    service = Interpreter(
        source_language="en-us", target_language="pt-br", api_key="k", base_url="ws://127.0.0.1:9"
    )
    graph.add("service", service, "talk").add("file", writer.stage(tmp_path), f"service.{port}")
    assert run_graph(graph, wishes) == Exit.UNREACHABLE
    assert_as_it_was(path, held)


def test_a_fault_behind_which_others_stand(writer: Writer, wishes: Wishes, held: bool, tmp_path: Path) -> None:
    path = folder_with(writer, tmp_path, held)
    graph = Graph().add("talk", Playlist(items=writer.items)).add("bad", Fails(), "talk")
    graph.add("mid", PassActor(), "bad").add("file", writer.stage(tmp_path), "mid")
    assert run_graph(graph, wishes) == Exit.UNREACHABLE
    assert_as_it_was(path, held)


def test_interrupted_before_there_was_anything(writer: Writer, wishes: Wishes, held: bool, tmp_path: Path) -> None:
    path = folder_with(writer, tmp_path, held)
    graph = Graph().add("talk", Interrupted(items=[])).add("mid", PassActor(), "talk")
    graph.add("file", writer.stage(tmp_path), "mid")
    assert run_graph(graph, wishes) == Exit.INTERRUPTED
    assert_as_it_was(path, held)


@pytest.mark.parametrize("code", [Exit.INTERRUPTED, Exit.UNREACHABLE])
def test_what_there_was_before_it_ended_is_written(
    writer: Writer, wishes: Wishes, code: Exit, tmp_path: Path
) -> None:
    path = folder_with(writer, tmp_path, held=True)
    interrupted = code == Exit.INTERRUPTED
    source = Interrupted(items=writer.items) if interrupted else Playlist(items=[*writer.items] * 2)
    graph = Graph().add("talk", source).add("mid", Fails(passes=1), "talk")
    graph.add("file", writer.stage(tmp_path), "mid")
    assert run_graph(graph, wishes) == code
    assert writer.held(path) >= 1
    assert OLD not in path.read_bytes()


def test_a_run_that_ends_well_with_nothing(writer: Writer, wishes: Wishes, held: bool, tmp_path: Path) -> None:
    """A recording of silence has a result, too: an empty one."""
    path = folder_with(writer, tmp_path, held)
    graph = Graph().add("talk", Playlist(items=[])).add("mid", PassActor(), "talk")
    graph.add("file", writer.stage(tmp_path), "mid")
    assert run_graph(graph, wishes) == Exit.OK
    assert writer.held(path) == writer.empty
