"""What a run looks like from moment to moment, without a run."""

from __future__ import annotations

import io
from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from pipeline.cli.faults import tell
from pipeline.cli.json_lines import JsonLines
from pipeline.cli.screen import render
from pipeline.cli.summary import losses, summary
from pipeline.cli.views import JsonView, PlainView, with_texts_told
from pipeline.cli.watch import Queue, Snapshot, share_through, snapshot
from pipeline.graph import Graph
from pipeline.items import Text
from pipeline.ledger import EdgeLine, Report, StageLine
from pipeline.runner import Execution, run
from pipeline.stage import StageError
from pipeline.testing import Collect, Playlist, noise

COUNTS = ("sent", "received", "dropped", "declined", "in_flight")
COUNTS += ("texts", "texts_received", "texts_dropped", "texts_in_flight")


def edge(producer: str, consumer: str, **counts: Any) -> EdgeLine:
    ends = {"name": f"{producer} -> {consumer}", "producer": producer, "port": "out", "consumer": consumer}
    rest = {"policy": "block", "rate_hz": 0, "fused": False, "tap": False, "queue_s": 0.0, "peak_queue_s": 0.0}
    return EdgeLine(**{**dict.fromkeys(COUNTS, 0), **ends, **rest, **counts})


def report(*edges: EdgeLine, **more: Any) -> Report:
    return Report(**{"graph": "g", "stages": (), "edges": edges, "media_s": 10.0, "wall_s": 2.0, **more})


SHOT = Snapshot(
    graph="talk-to-text",
    wall_s=4.0,
    done_s=20.0,
    total_s=60.0,
    queues=[
        Queue("pcm -> en/vad", "pcm", "en/vad", 1.25, 0),
        Queue("en/mt -> en/tts", "en/mt", "en/tts", 0.0, 3),
    ],
    dropped_s=0.0,
    texts={"en/asr.out": Text("Ask not", 0, 1, "en-us"), "en/mt.out": Text("Não\npergunte", 0, 1, "pt-br")},
    statuses={"en/tts": "loading the voice"},
    waiting_for=["en/tts"],
    stopping=False,
)


def drawn(shot: Snapshot, width: int = 100, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding, errors="replace")
    console = Console(file=file, width=width, force_terminal=False, no_color=True)
    console.print(render(shot, width))
    file.seek(0)
    return [line.rstrip() for line in file.read().splitlines()]


# --- how far it is


def test_what_is_done_is_what_has_come_to_the_end_of_the_slowest_way() -> None:
    edges = [
        edge("talk", "vad", sent=1000, in_flight=200),
        edge("vad", "asr", sent=800),
        edge("asr", "mt", texts=10, texts_received=5),
        edge("mt", "file", texts=4, texts_received=4),
        edge("talk", "copy", sent=1000),
        edge("talk", "tap", sent=1000, in_flight=1000, tap=True),
    ]
    assert share_through(report(*edges), {"talk"}) == pytest.approx(0.8 * 0.5)
    assert share_through(report(*reversed(edges)), {"talk"}) == pytest.approx(0.8 * 0.5)
    assert share_through(report(), {"talk"}) == 1.0


@pytest.mark.anyio
async def test_a_snapshot_of_a_run_that_is_over(anyio_backend: str) -> None:
    text = Text("hello", 0, 1000, "en-us")
    graph = Graph().add("talk", Playlist(items=[noise(8000, rate=8000), text])).add("all", Collect(), "talk")
    execution = Execution(graph)
    await execution.run()
    shot = snapshot(execution)
    assert (shot.done_s, shot.total_s, shot.left_s) == (1.0, None, None)
    assert (shot.queues, shot.waiting_for, shot.texts) == ([], [], {"talk.out": text})


def test_pace_and_time_left() -> None:
    assert (SHOT.times_realtime, SHOT.left_s) == (5.0, 8.0)
    assert evolve(SHOT, done_s=0.0).left_s is None
    assert evolve(SHOT, done_s=70.0).left_s == 0.0


# --- on a terminal


def test_the_screen_shows_pace_statuses_queues_and_the_newest_texts() -> None:
    first, *rows = drawn(SHOT)
    assert first.startswith("talk-to-text")
    assert first.endswith("0:20 of 1:00  5.0x real time  0:08 left")
    assert rows == [
        "en/tts        loading the voice",
        "queues        pcm > vad 1.2 s   mt > tts 3 texts",
        "en-us         Ask not",
        "pt-br         Não pergunte",
    ]


def test_the_screen_tells_of_drops_of_stopping_and_of_a_source_without_an_end() -> None:
    shot = evolve(SHOT, total_s=None, dropped_s=1.5, stopping=True, statuses={}, queues=[], texts={})
    first, stopping = drawn(shot)
    assert first.endswith("0:20  5.0x real time  1.5 s dropped")
    assert stopping == "stopping      waiting for en/tts"


@pytest.mark.parametrize("width", [10, 30, 69, 70, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_screen_never_wraps(width: int, encoding: str) -> None:
    """Four cells stay free for the `^C` that a terminal writes itself."""
    lines = drawn(SHOT, width, encoding)
    assert len(lines) == 5
    assert all(len(line) <= max(width - 4, 20) for line in lines)


# --- in a log


def test_a_log_gets_statuses_once_and_the_state_every_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        for wall_s in (1.0, 2.0, 4.9, 5.0, 9.9):
            view.look(evolve(SHOT, wall_s=wall_s))
        view.look(evolve(SHOT, wall_s=11.0, stopping=True, total_s=None, done_s=0.0, statuses={}))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "dragoman: en/tts: loading the voice",
        "dragoman: 0:20 of 1:00, 4.0x real time, 0:10 left",
        "dragoman: 0:00, waiting for en/tts",
    ]


def test_of_a_live_run_a_log_tells_what_was_dropped_and_what_it_waits_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    live = evolve(SHOT, live=True, total_s=None)
    with PlainView() as view:
        for wall_s, dropped_s in ((5.0, 0.0), (10.0, 1.5), (15.0, 1.5)):
            view.look(evolve(live, wall_s=wall_s, dropped_s=dropped_s))
        view.look(evolve(live, wall_s=20.0, stopping=True, total_s=20.0))
    assert capsys.readouterr().err.splitlines() == [
        "dragoman: en/tts: loading the voice",
        "dragoman: 0:20, 1.5 s dropped",
        "dragoman: 0:20 of 0:20, 0:00 left, waiting for en/tts",
    ]


def test_the_screen_of_a_live_run_has_no_pace() -> None:
    assert drawn(evolve(SHOT, live=True))[0].endswith("0:20 of 1:00  0:08 left")


def test_a_program_gets_the_same_as_json() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    view = JsonView(lines=JsonLines(stream))
    view.look(SHOT)
    stream.seek(0)
    line = stream.read()
    assert '"type": "progress", "done_s": 20.0, "total_s": 60.0' in line
    assert '"edge": "pcm -> en/vad", "producer": "pcm", "consumer": "en/vad", "audio_s": 1.25' in line


@pytest.mark.anyio
async def test_texts_are_told_once_for_each_output_that_somebody_reads(anyio_backend: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    graph = Graph().add("talk", Playlist(items=[Text("one", 0, 1)]))
    graph.add("a", Collect(), "talk").add("b", Collect(), "talk")
    told = with_texts_told(graph, JsonLines(stream))
    assert list(graph.nodes) == ["talk", "a", "b"]
    await run(told)
    stream.seek(0)
    assert len(stream.readlines()) == 1


# --- at the end


def test_every_loss_in_the_report_is_told() -> None:
    edges = [
        edge("a", "b", sent=100, dropped=8000, rate_hz=8000, texts_dropped=2, policy="drop_oldest"),
        edge("b", "c", in_flight=4000, rate_hz=8000),
        edge("b", "tap", dropped=5, rate_hz=8000, tap=True),
        edge("b", "f", declined=8000, rate_hz=8000, texts_declined=1),
        edge("b", "gone", declined=8000, rate_hz=8000, texts_declined=1),
    ]
    stages = (
        StageLine("f", "x", "failed", 0, {}),
        StageLine("b", "x", "done", 0, {}, losses={"overrun": 80, "none": 0}),
        StageLine("c", "x", "done", 0, {}, losses={"too late": 800}),  # a sink: at the rate of what comes to it
        StageLine("z", "x", "done", 0, {}, losses={"odd": 3, "late, texts": 1}),
    )
    full = report(*edges, stages=stages)
    assert [(loss.where, loss.amount) for loss in losses(full)] == [
        ("a -> b", "1.0 s"),
        ("a -> b", "2 texts"),
        ("b -> c", "0.500 s"),
        ("b -> f", "1.0 s"),
        ("b -> f", "1 text"),
        ("b", "0.010 s"),
        ("c", "0.100 s"),
        ("z", "3 frames"),
        ("z", "1 text"),
    ]
    assert len(losses(full)) == len(full.lost)


def test_the_summary_counts_what_is_worth_telling() -> None:
    stages = (StageLine("s", "x", "done", 0, {}, counts={"cues": 1200, "too fast": 0, "late": 2}),)
    sections = {section.label: section.rows for section in summary(Graph(), report(stages=stages), {})}
    assert sections == {
        "heard": [("10 s in 2.0 s", "5.0x real time")],
        "lost": [("nothing", "")],
        "counted": [("s", "cues 1,200, late 2")],
    }


def test_what_failed_before_anything_was_heard_has_lost_nothing_worth_telling() -> None:
    failed = (StageLine("s", "x", "failed", 0, {}),)
    assert not summary(Graph(), report(stages=failed, media_s=0.0), {})
    assert summary(Graph(), report(stages=failed), {})[0].rows == [("10 s", "")]


def test_a_fault_without_a_note_is_told_too() -> None:
    assert tell(StageError("no", 69)).line == "no"
    assert tell(RuntimeError()).line == "RuntimeError; this is a bug in dragoman: --traceback shows it"
