"""`dragoman tap`: what is printed of an edge of a graph that another process runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.tap import Lines, Missed
from pipeline.control.client import Message
from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.testing import noise
from stages.jsonl import as_json
from tests.looking import LIVE, live, private
from tests.test_cli_process import environment, finished, started


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with private() as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield


def lines(*items: Audio | Text | Mark) -> list[str]:
    told = Lines()
    return [line for item in items for line in told.feed(json.loads(json.dumps(as_json(item))))] + list(
        told.flush()
    )


# --- the lines


def test_texts_and_marks_are_told_at_once() -> None:
    assert lines(
        Text("Sim.", 61_500, 62_000, "pt-br", 4, True),
        Text("Si", 0, 900, "", 5, False, 2),
        Mark(MarkKind.UTTERANCE_END, 12_000, 8000),
        Mark(MarkKind.GAP, 8000, 8000, 12_000),
    ) == [
        "[01:01.5] pt-br 4, final: Sim.",
        "[00:00.0] text 5, revision 2: Si",
        "[00:01.5] utterance_end",
        "[00:01.0] gap, 1.5 s",
    ]


def test_audio_is_told_of_once_a_second_with_the_loudest_of_it() -> None:
    blocks = [noise(800, rate=8000, start=start, seed=start) for start in range(0, 20_000, 800)]
    silent = Audio(blocks[0].samples * 0, 24_000, 8000)
    told = lines(*blocks, silent)
    assert told == [
        "[00:00.0] audio, 8000 Hz, 1 ch, 1.0 s, peak -6.0 dB ##################",
        "[00:01.0] audio, 8000 Hz, 1 ch, 1.0 s, peak -6.0 dB ##################",
        "[00:02.0] audio, 8000 Hz, 1 ch, 0.500 s, peak -6.0 dB ##################",
        "[00:03.0] audio, 8000 Hz, 1 ch, 0.100 s, silence",
    ]


def test_a_second_is_told_of_before_what_comes_after_it() -> None:
    first, *_ = told = lines(noise(800, rate=8000), Text("Sim.", 100, 200, "pt-br"))
    assert first.startswith("[00:00.0] audio")
    assert len(told) == 2


def test_nothing_of_a_text_can_do_anything_to_a_terminal() -> None:
    (line,) = lines(Text("\x1b]0;mine\x07Sim\u202e\nnão\x9b2J", 0, 100, "pt\x1b[31m", 1))
    assert line == "[00:00.0] pt[31m 1, final: ]0;mineSim não2J"


def test_what_was_missed_is_told_as_it_grows_and_in_all() -> None:
    missed = Missed()

    def told(audio_s: float, texts: int) -> Message:
        return {"frames": 0, "audio_s": audio_s, "texts": texts}

    assert missed.feed(told(1.5, 0)) == "missed 1.5 s: this end was too slow"
    assert missed.feed(told(1.5, 2)) == "missed 2 texts: this end was too slow"
    assert missed.feed(told(2.0, 3), in_all=True) == "missed 2.0 s and 3 texts"
    assert Missed().feed(told(0.0, 0), in_all=True) == "missed nothing"


# --- the command


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_items_of_a_running_graph(tmp_path: Path, backend: str) -> None:
    with live(tmp_path, "--backend", backend):
        edges = finished(["tap"], tmp_path)
        assert set(edges.stdout.decode().splitlines()) >= {"talk -> loud", "loud -> interpreter/echo"}
        audio = finished(["tap", "loud", "--json", "--count", "3", "--of", "sunday"], tmp_path)
        assert audio.returncode == 0, audio.stderr
        items = [json.loads(line) for line in audio.stdout.splitlines()]
        assert [(item["type"], item["rate_hz"], item["frames"]) for item in items] == [("audio", 24000, 2400)] * 3
        assert [item["start_ms"] for item in items[1:]] == [item["end_ms"] for item in items[:-1]]
        assert audio.stderr.decode() == "dragoman: sunday: loud -> interpreter/echo\n"
        texts = finished(["tap", "interpreter.text", "--count", "1"], tmp_path)
        assert texts.stdout.decode().startswith("[00:")
        assert "pt-br" in texts.stdout.decode()


def test_json_lines_are_those_that_the_stage_jsonl_writes(tmp_path: Path) -> None:
    """But for the output that each comes from: here it is always the one that was asked for."""
    with live(tmp_path):
        told = finished(["tap", "interpreter.text", "--json", "--count", "2"], tmp_path)
        lines = [json.loads(line) for line in (tmp_path / "texts.jsonl").read_bytes().splitlines()]
    assert {line.pop("output") for line in lines} == {"interpreter/echo.text"}
    first, second = (json.loads(line) for line in told.stdout.splitlines())
    place = lines.index(first)
    assert lines[place + 1 : place + 2] in ([second], [])  # the file may be a moment behind


def test_the_end_of_the_graph_is_the_end_of_the_edge(tmp_path: Path) -> None:
    with live(tmp_path) as run, started(["tap", "loud", "--json"], tmp_path) as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        tap.stdout.readline()
        run.send_signal(signal.SIGINT)
        tap.stdout.read()
        assert tap.wait(30) == 0
        assert tap.stderr.read().endswith("the edge has ended; missed nothing\n")
        assert run.wait(30) == 130


def test_a_graph_that_is_killed_ends_without_a_word(tmp_path: Path) -> None:
    with live(tmp_path) as run, started(["tap", "loud", "--json"], tmp_path) as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        tap.stdout.readline()
        run.kill()
        tap.stdout.read()
        assert tap.wait(30) == 1
        assert "the process has ended without a word" in tap.stderr.read()
    left = finished(["tap", "loud"], tmp_path)
    assert left.returncode == 1
    assert b"nothing runs that can be looked into" in left.stderr
    assert list(Path(os.environ["XDG_RUNTIME_DIR"], "dragoman").iterdir()) == [], "what it left is swept up"


def test_an_interrupt_ends_the_tap_and_not_the_graph(tmp_path: Path) -> None:
    with live(tmp_path) as run:
        with started(["tap", "loud", "--json"], tmp_path) as tap:
            assert tap.stdout is not None
            tap.stdout.readline()
            tap.send_signal(signal.SIGINT)
            assert tap.wait(30) == 130
        assert run.poll() is None
        assert finished(["tap", "loud", "--count", "1"], tmp_path).returncode == 0


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    with live(tmp_path), started(["tap", "loud", "--json"], tmp_path) as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        tap.stdout.readline()
        tap.stdout.close()
        assert tap.wait(30) == 0
        assert tap.stderr.read() == "dragoman: sunday: loud -> interpreter/echo\n"


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["loudd"], 1, "there is no edge 'loudd'; did you mean 'loud'? there is one of: "),
        (["loud", "--of", "monday"], 2, "nothing that runs is 'monday'; did you mean 'sunday'?"),
        (["loud", "--of", "1"], 2, "nothing that runs is '1'"),
        (["loud", "--count", "0"], 2, "--count"),
    ],
)
def test_what_cannot_be_tapped_is_said(tmp_path: Path, arguments: list[str], code: int, why: str) -> None:
    with live(tmp_path):
        result = finished(["tap", *arguments], tmp_path)
    assert (result.returncode, result.stdout) == (code, b"")
    assert why in result.stderr.decode()


def test_several_graphs_are_told_apart_by_name_or_number(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    with live(first) as one, live(second) as two:
        unsaid = finished(["tap", "loud", "--count", "1"], tmp_path)
        assert unsaid.returncode == 2
        said = unsaid.stderr.decode().splitlines()
        assert (
            said[0]
            == "dragoman: error: several have it: say which, by the process's number or the graph's name (--of)"
        )
        assert {line.split()[0] for line in said[1:]} == {str(one.pid), str(two.pid)}
        assert all(line.endswith("run  sunday: loud -> interpreter/echo") for line in said[1:])
        assert finished(["tap", "loud", "--count", "1", "--of", "sunday"], tmp_path).returncode == 2
        assert finished(["tap", "loud", "--count", "1", "--of", str(two.pid)], tmp_path).returncode == 0


MONDAY = """
name: monday
stages:
  tune: {use: tone, duration: 1h, rate: 8000, realtime: true}
  soft: {use: gain, from: tune, db: -6}
  file: {use: wav, from: {stage: soft, buffer: 10s, when_full: drop_oldest}, path: soft.wav}
"""


def test_an_edge_that_only_one_graph_has_needs_no_name_of_the_graph(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    with live(first) as one, live(second, graph=MONDAY) as two:
        for edge, graph in (("interpreter.text", b"sunday: "), ("soft", b"monday: "), ("soft>file", b"monday: ")):
            told = finished(["tap", edge, "--count", "1", "--json"], tmp_path)
            assert told.returncode == 0, told.stderr
            assert told.stderr.startswith(b"dragoman: " + graph)
        listed = finished(["tap"], tmp_path).stdout.decode().splitlines()
        assert f"{two.pid}  monday  soft -> file" in listed
        assert {line.split()[0] for line in listed} == {str(one.pid), str(two.pid)}
        complete = {"_DRAGOMAN_COMPLETE": "bash_complete", "COMP_WORDS": "dragoman tap s", "COMP_CWORD": "2"}
        command = [sys.executable, "-c", "from pipeline.cli.main import main; main()"]
        completed = subprocess.run(command, env={**environment(), **complete}, capture_output=True, check=False)
        assert completed.stdout == b"plain,soft\n", completed.stderr
        nowhere = finished(["tap", "louder"], tmp_path)
        assert nowhere.returncode == 1
        assert b"of 2 graphs none has an edge 'louder': `dragoman tap` lists them" in nowhere.stderr


# --- the socket of the run


def test_a_graph_that_does_not_want_to_be_looked_at_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(LIVE)
    with started(["run", "g.yaml", "--format", "json", "--no-control"], tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert b"nothing runs" in finished(["tap", "loud"], tmp_path).stderr


def test_a_folder_that_cannot_be_used_is_a_warning_and_no_failed_run(tmp_path: Path) -> None:
    folder = Path(os.environ["XDG_RUNTIME_DIR"], "dragoman")
    folder.mkdir(mode=0o755)
    (tmp_path / "g.yaml").write_text(
        "stages:\n  a: {use: tone, duration: 100ms, rate: 8000}\n  b: {use: wav, from: a, path: b.wav}\n"
    )
    result = finished(["run", "g.yaml", "-q"], tmp_path)
    assert result.returncode == 0
    assert result.stderr.decode() == (
        f"dragoman: warning: `dragoman top` cannot look in: {folder}: others may enter it: chmod 700 {folder}\n"
    )
    assert (tmp_path / "b.wav").exists()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_tapped_run_writes_the_same_file(tmp_path: Path, backend: str) -> None:
    """Byte for byte, with three taps of which one stands still, and one comes and goes."""
    graph = (
        "name: sunday\nstages:\n  talk: {{use: tone, duration: 6s, rate: 8000, realtime: {0}}}\n"
        "  loud: {{use: gain, from: talk, db: -6}}\n  out: {{use: wav, from: loud, path: {1}.wav}}\n"
    )
    (tmp_path / "plain.yaml").write_text(graph.format("false", "plain"))
    assert finished(["run", "plain.yaml", "-q", "--backend", backend], tmp_path).returncode == 0
    tap = [sys.executable, "-m", "pipeline", "tap", "loud", "--json"]
    with live(tmp_path, "--backend", backend, graph=graph.format("true", "tapped")) as run:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "env": environment(), "text": True}
        with subprocess.Popen(tap, **pipes) as stalled, subprocess.Popen(tap, **pipes) as reader:  # type: ignore[call-overload]
            try:
                assert stalled.stdout.readline()
                stalled.send_signal(signal.SIGSTOP)
                assert finished(["tap", "talk", "--count", "1"], tmp_path).returncode == 0
                frames = sum(json.loads(line)["frames"] for line in reader.stdout)
                assert run.wait(30) == 0
            finally:
                stalled.kill()
    assert 0 < frames <= 48_000
    assert (tmp_path / "tapped.wav").read_bytes() == (tmp_path / "plain.wav").read_bytes()
