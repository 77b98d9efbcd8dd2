"""`dragoman top`: what it makes of what it is told, in any window; and as a process that looks into another."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from click.testing import CliRunner
from rich.console import Console

from pipeline.cli import looking
from pipeline.cli.looking import meant
from pipeline.cli.main import cli
from pipeline.cli.seen import LOOKS, Seen, act, report_of, rows
from pipeline.cli.top import plain
from pipeline.cli.top_screen import picture
from pipeline.control.client import Process, readable
from pipeline.control.places import Place
from pipeline.graph import Graph
from pipeline.node import Buffer, Read
from pipeline.runner import Execution
from pipeline.snapshot import take
from tests.looking import LIVE, live, private
from tests.stages_for_tests import Blocked, Endless, Pass, PassActor
from tests.test_cli_process import environment, finished, started


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with private() as environ:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        yield


def stage(name: str, **more: Any) -> dict[str, Any]:
    plain = {"kind": "asr", "task": name, "state": "running", "busy": False, "waits_for": "input", "status": ""}
    return {"name": name, **plain, "counts": {}, "losses": {}, **more}


def edge(producer: str, consumer: str, **more: Any) -> dict[str, Any]:
    ends = {"name": f"{producer} -> {consumer}", "producer": producer, "port": "out", "consumer": consumer}
    sound = dict.fromkeys(("sent_s", "queue_s", "peak_queue_s", "dropped_s", "rate_x"), 0.0)
    texts = dict.fromkeys(("texts", "texts_waiting", "texts_dropped"), 0)
    return {**ends, "policy": "block", "fused": False, "tap": False, **sound, **texts, **more}


def text(words: str, **more: Any) -> dict[str, Any]:
    told = {"output": "mt.out", "text": words, "language": "pt-br", "utterance": 1, "final": True, "lag_s": 1.25}
    return {**told, "start_ms": 0, "end_ms": 1000, "revision": 0, **more}


def graph(name: str = "sunday", **more: Any) -> dict[str, Any]:
    stages = [
        stage("talk", kind="file", busy=True, waits_for=""),
        stage("pcm", kind="resample", task="talk", busy=True, waits_for=""),
        stage("en/asr", waits_for="room", counts={"utterances": 1200}, status="loading whisper base"),
        stage("en/mt", kind="mt"),
        stage("speech", kind="wav"),
    ]
    edges = [
        edge("pcm", "en/asr", sent_s=30.0, queue_s=1.9, peak_queue_s=2.0, dropped_s=0.5, rate_x=1.0),
        edge("en/asr", "en/mt", texts=12, texts_waiting=3),
        edge("en/mt", "speech", sent_s=20.0, rate_x=0.02),
        edge("talk", "pcm", sent_s=32.0, rate_x=1.0, fused=True),
        edge("talk", "speech", name="talk -> speech.under", sent_s=32.0, peak_queue_s=75.0),
    ]
    shot = {"state": "running", "at_s": 40.0, "done_s": 32.0, "total_s": 60.0}
    return {"name": name, **shot, "stages": stages, "edges": edges, "texts": [text("Não perguntem")], **more}


def room(title: str = "Sunday service", **more: Any) -> dict[str, Any]:
    listeners = {
        "en-us": {"count": 1, "voices": 1, "dropped_s": 0.0},
        "pt-br": {"count": 11, "voices": 3, "dropped_s": 0.5},
    }
    lag = {"shown": {"n": 9, "p50_s": 1.234, "p95_s": 2.0}, "heard": {"n": 0, "p50_s": None, "p95_s": None}}
    return {
        "name": "room",
        "title": title,
        "state": "live",
        "people": 12,
        "listeners": listeners,
        "lag": lag,
        **more,
    }


def seen(*graphs: dict[str, Any], more: int = 0, rooms: Sequence[dict[str, Any]] = ()) -> Seen:
    told = Seen()
    told.feed(readable({"type": "snapshot", "graphs": list(graphs), "more": more, "rooms": list(rooms)}))
    return told


def drawn(told: Seen, width: int = 100, height: int = 24, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding, errors="replace")
    console = Console(file=file, width=width, height=height, no_color=True, legacy_windows=False)
    console.print(picture(told, "run, process 7", console), end="")
    file.seek(0)
    return [line.rstrip() for line in file.read().splitlines()]


# --- what it makes of it


def test_what_a_stage_does_in_a_word() -> None:
    assert act(stage("a", busy=True, waits_for="")) == "busy"
    assert act(stage("a")) == "waits"
    assert act(stage("a", waits_for="room")) == "held up"
    assert act(stage("a", state="waiting", waits_for="")) == "not begun"
    assert act(stage("a", state="failed", waits_for="")) == "failed"
    assert act(stage("a", waits_for="")) == "cut off"
    assert act(stage("a", task="head")) == ""


def test_each_stage_comes_with_its_inputs() -> None:
    told = [(row.name, row.source, row.queue, row.peak, row.dropped, row.rate) for row in rows(graph())]
    assert told == [
        ("talk", "", "", "", "", ""),
        ("+ pcm", "talk", "", "", "", "1.0x"),
        ("en/asr", "pcm", "1.9 s", "2.0 s", "0.5 s", "1.0x"),
        ("en/mt", "en/asr", "3 texts", "", "", "12 texts"),
        ("speech", "en/mt", "0.0 s", "0.0 s", "", "0.02x"),
        ("", "talk", "0.0 s", "1:15", "", "0.00x"),
    ]


def test_what_a_stage_did_is_remembered_for_some_looks() -> None:
    told = Seen()
    for number in range(LOOKS + 3):
        busy = number >= LOOKS
        asr = stage("asr", busy=busy, waits_for="" if busy else "input")
        told.feed({"type": "snapshot", "graphs": [graph(stages=[asr])], "more": 0, "rooms": []})
    assert list(told.acts("sunday", "asr")) == ["waits"] * (LOOKS - 3) + ["busy"] * 3
    assert told.acts("monday", "asr") == ()


def test_texts_grow_until_they_are_final_and_then_make_room() -> None:
    told = Seen()
    for each in (
        text("Não", final=False),
        text("Não per", final=False, revision=1),
        text("Não perguntem."),
        text("Não perguntem.", lag_s=None),
        text("O quê?", start_ms=900),
        text("Olá", utterance=2, final=False),
    ):
        told.feed({"type": "snapshot", "graphs": [graph(texts=[each])], "more": 0, "rooms": []})
    assert [each["text"] for each in told.texts("sunday")] == ["Não perguntem.", "O quê?", "Olá"]


@pytest.mark.anyio
async def test_a_report_comes_back_as_it_was_told(anyio_backend: str) -> None:
    execution = Execution(
        Graph("g").add("a", Endless()).add("b", Pass(), "a").add("c", Blocked(), Read("b", "out"))
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        execution.cancel()
    report = execution.report()
    assert report.lost
    assert report_of(json.loads(json.dumps(report.as_json()))) == report


@pytest.mark.anyio
async def test_a_real_graph_is_drawn(anyio_backend: str) -> None:
    graph = Graph("held").add("a", Endless()).add("b", PassActor(), "a")
    execution = Execution(graph.add("c", Blocked(first=1), Read("b", buffer=Buffer(4))))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        shot = json.loads(json.dumps(take(execution).as_json()))
        execution.cancel()
    lines = drawn(seen(shot))
    assert [re.sub(r"[ █▒·─]+", " ", line).split(" ")[:3] for line in lines[2:5]] == [
        ["a", "held", "up"],
        ["b", "held", "up"],
        ["c", "busy", "b"],
    ]


# --- on a terminal


def test_one_graph_at_100_columns() -> None:
    sound = graph()
    sound["edges"] = sound["edges"][:-1]
    told = seen(sound)
    told.feed({"type": "snapshot", "graphs": [sound], "more": 0, "rooms": []})
    lines = drawn(told)
    assert lines[0] == f"{'sunday  running, 0:32 of 1:00, 0.8x real time':<86}run, process 7"
    assert [word.split()[0] for word in lines[2:7]] == ["talk", "+", "en/asr", "en/mt", "speech"]
    assert re.search(r"▒▒ held up +pcm +\S{8} 1\.9 s +2\.0 s +0\.5 s +1\.0x", lines[4])
    assert lines[7] == "en/asr: loading whisper base"
    assert lines[9] == "pt-br 1.2 s behind  Não perguntem"
    assert lines[-1] == "Ctrl-C leaves; what runs runs on"


@pytest.mark.parametrize("width", [20, 40, 80, 89, 90, 130, 160])
@pytest.mark.parametrize("height", [5, 10, 24, 50])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_into_any_window(width: int, height: int, encoding: str) -> None:
    many = graph(stages=[stage(f"stage-{number}") for number in range(40)], edges=[])
    rooms = [room(), room("Monday")]
    several = seen(*(graph(str(n)) for n in range(60)), more=4, rooms=rooms)
    for told in (seen(), seen(rooms=rooms), seen(graph()), seen(graph(), rooms=rooms), seen(many), several):
        lines = drawn(told, width, height, encoding)
        assert len(lines) == height
        assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("width", [60, 79, 80, 100])
def test_names_and_losses_are_told_also_where_there_is_little_room(width: int) -> None:
    one, several = drawn(seen(graph()), width), drawn(seen(graph("sunday"), graph("monday")), width)
    for lines, names in ((one, ["talk", "+ pcm", "en/asr", "en/mt", "speech"]), (several, ["sunday", "monday"])):
        assert [line[: len(name)] for line, name in zip(lines[2:], names, strict=False)] == names
        assert "DROPPED" in lines[1]
        assert any("0.5 s" in line for line in lines)


def test_what_does_not_fit_is_counted() -> None:
    many = graph(stages=[stage(f"s{number}") for number in range(40)], edges=[], texts=[])
    assert "and 23 more, for which this window is too low" in drawn(seen(many), 80, 21)
    fused = graph(stages=[stage("s0"), *(stage(f"f{n}", task="s0") for n in range(20)), stage("s1")], texts=[])
    fused["edges"] = [edge("s0", f"f{number}", fused=True) for number in range(20)]
    lines = drawn(seen(fused), 80, 10)
    assert [line.split()[0] for line in lines[2:4]] == ["s0", "s1"], "what shares a task goes first"
    assert lines[4] == "and 20 more, for which this window is too low"


def test_several_graphs_are_a_line_each() -> None:
    told = seen(graph("one"), graph("two", state="failed", texts=[]), more=3)
    report = {"graph": "g", "stages": [], "edges": [], "media_s": 3.0, "wall_s": 3.0, "stopped": False}
    told.feed({"type": "ledger", "graph": "three", "state": "done", "report": report})
    lines = drawn(told, 90, 12)
    assert lines[0].startswith("5 graphs")
    assert lines[2].split() == [
        "one",
        "running",
        "0:32",
        "0.8x",
        "1.9",
        "s",
        "0.5",
        "s",
        "1.2",
        "s",
        "Não",
        "perguntem",
    ]
    assert lines[3].split()[:2] == ["two", "failed"]
    assert lines[4] == "and 3 more"
    assert lines[5] == "three: done after 3.0 s; lost nothing"


def test_nothing_that_is_told_can_do_anything_to_a_terminal() -> None:
    evil = "\x1b[2J\x9b1m\u202ex\n"
    told = graph(evil, texts=[text(evil, language=evil)], stages=[stage(evil, status=evil, kind=evil)], edges=[])
    rooms = [room(evil, listeners={evil: {"count": 1, "voices": 0, "dropped_s": 0.0}})]
    one, two = seen(told, rooms=rooms), seen(told, told, rooms=rooms)
    for lines in (drawn(one), drawn(two), list(plain(one, 1))):
        shown = "\n".join(lines)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
        assert "[2J1mx" in shown


def test_rooms_tell_how_late_they_are_and_who_listens() -> None:
    late = {"n": 8, "p50_s": 2.25, "p95_s": 3.0}
    both = room("Monday", people=1, listeners={}, lag={"shown": late, "heard": late})
    lines = [
        "Sunday service: live, 12 listeners",
        "  shown after 1.2 s (p95 2.0 s)",
        "  en-us 1, 1 hears the voice; pt-br 11, 3 hear the voice, 0.5 s dropped",
        "Monday: live, 1 listener",
        "  shown after 2.2 s (p95 3.0 s), heard after 2.2 s (p95 3.0 s)",
    ]
    for told in (seen(rooms=[room(), both]), seen(graph(), rooms=[room(), both])):
        assert "\n".join(lines) in "\n".join(drawn(told))
        assert "\n".join(lines) in "\n".join(plain(told, 7))


# --- in plain lines


def test_plain_lines() -> None:
    told = seen(graph(), more=2)
    assert list(plain(told, 7))[:4] == [
        "sunday: running, 0:32 of 1:00, 0.8x real time (process 7)",
        "  stage   does     from    queue    peak   dropped  rate",
        "  talk    busy",
        "  + pcm            talk                             1.0x",
    ]
    assert list(plain(told, 7))[-3:] == [
        "  en/asr: loading whisper base",
        "  mt.out, 1.2 s behind: Não perguntem",
        "and 2 graphs more",
    ]
    assert list(plain(Seen(), 7)) == ["no graph runs (process 7)"]


# --- whom is meant


def test_a_process_is_meant_by_number_command_name_or_a_part_of_it() -> None:
    serving = Process(Place(10, Path("x")), "serve", [{"name": "s-1"}, {"name": "s-12"}])
    running = Process(Place(12, Path("y")), "run", [{"name": "sunday"}])
    there = [serving, running]

    def found(wanted: str | None) -> list[tuple[int, str | None]]:
        return [(each.process.place.pid, each.graph) for each in meant(there, wanted)]

    assert found(None) == [(10, None), (12, None)]
    assert found("12") == [(12, None)]
    assert found("serve") == [(10, None)]
    assert found("sunday") == [(12, "sunday")]
    assert found("sun") == [(12, "sunday")]
    assert found("s-1") == [(10, "s-1")]
    assert found("s-") == [(10, "s-1"), (10, "s-12")]
    assert found("monday") == found("") == []


def test_a_process_of_another_version_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    async def processes(folder: Path, edge: str | None) -> list[Process]:
        return [Process(Place(10, folder), "run", [{"name": "sunday"}], protocol=2)]

    monkeypatch.setattr(looking, "processes", processes)
    result = CliRunner().invoke(cli, ["top", "--once"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "process 10 runs another version of dragoman than this" in result.stderr


# --- as a process


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_one_look_at_a_running_graph(tmp_path: Path, backend: str) -> None:
    with live(tmp_path, "--backend", backend) as run:
        look = finished(["top", "--once"], tmp_path)
        assert look.returncode == 0, look.stderr
        assert re.match(
            rf"sunday: running, \d:\d\d of 1:00:00, .* real time \(process {run.pid}\)", look.stdout.decode()
        )
        assert re.search(r"loud +waits +talk +0\.\d s", look.stdout.decode())
        (told,) = map(json.loads, finished(["top", "sunday", "--json", "--once"], tmp_path).stdout.splitlines())
    assert (told["type"], told["graphs"][0]["name"]) == ("snapshot", "sunday")
    into = {each["name"]: each for each in told["graphs"][0]["edges"]}
    assert into["talk -> loud"]["rate_x"] == pytest.approx(1.0, abs=0.5), "a rate is of the last half second"


def test_the_room_of_a_running_graph_is_told_of(tmp_path: Path) -> None:
    shown = "room: {use: room, from: interpreter.text, title: Sunday service, port: 0, rooms_file: rooms.json}"
    with live(tmp_path, graph=f"{LIVE}  {shown}\n"):
        (told,) = map(json.loads, finished(["top", "--json", "--once"], tmp_path).stdout.splitlines())
        assert [(each["name"], each["title"], each["people"]) for each in told["rooms"]] == [
            ("room", "Sunday service", 0)
        ]
        assert "Sunday service: live, 0 listeners" in finished(["top", "--once"], tmp_path).stdout.decode()


def test_json_goes_on_to_the_ledger(tmp_path: Path) -> None:
    with live(tmp_path) as run, started(["top", "--json"], tmp_path) as top:
        assert top.stdout is not None
        assert json.loads(top.stdout.readline())["type"] == "snapshot"
        run.send_signal(signal.SIGINT)
        told = [json.loads(line) for line in top.stdout]
        assert top.wait(30) == 0
        assert run.wait(30) == 130
    assert [message["type"] for message in told[-3:]] == ["snapshot", "ledger", "over"]
    report = told[-2]["report"]
    assert (report["balanced"], report["stopped"], report["lost"]) == (True, True, {})


def test_where_nothing_runs_it_says_so(tmp_path: Path) -> None:
    result = finished(["top"], tmp_path)
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode() == (
        "dragoman: error: nothing runs that can be looked into: `dragoman run GRAPH` starts something\n"
    )


def test_a_pipe_that_is_closed_is_no_error(tmp_path: Path) -> None:
    with live(tmp_path), started(["top", "--json"], tmp_path) as top:
        assert top.stdout is not None
        assert top.stderr is not None
        top.stdout.readline()
        top.stdout.close()
        assert top.wait(30) == 0
        assert top.stderr.read() == ""


class OnATerminal:
    """A command on a terminal of its own: all that it wrote is in `written`."""

    def __init__(self, arguments: list[str], folder: Path, columns: int, rows: int) -> None:
        self.written = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        command = [sys.executable, "-m", "pipeline", *arguments]
        streams = {"stdin": slave, "stdout": slave, "stderr": slave}
        env = environment(TERM="xterm-256color")
        self.process = subprocess.Popen(command, cwd=folder, env=env, start_new_session=True, **streams)  # type: ignore[call-overload]
        os.close(slave)

    def __enter__(self) -> OnATerminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def read_until(self, words: str) -> str:
        """Everything up to where `words` are shown."""
        while words not in self.plain:
            try:
                self.written += os.read(self._master, 65536).decode(errors="replace")
            except OSError:  # Linux says so at the end
                raise AssertionError(f"ended without {words!r}: {self.plain[-2000:]}") from None
        return self.plain

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    @property
    def plain(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.written)


def test_the_screen_shows_the_graph_and_then_its_ledger(tmp_path: Path) -> None:
    with live(tmp_path) as run, OnATerminal(["top"], tmp_path, 100, 24) as top:
        top.read_until("interpreter/echo")
        assert "\x1b[?1049h" in top.written, "on a screen of its own, which is given back at the end"
        top.read_until("pt-br")
        run.send_signal(signal.SIGINT)
        top.read_until("sunday: done; what became of everything")
        top.read_until("lost     nothing")
        assert "\x1b[?1049l" in top.written
        assert top.process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_leaving_gives_the_screen_back_and_leaves_the_graph_alone(tmp_path: Path, number: signal.Signals) -> None:
    with live(tmp_path) as run, OnATerminal(["top"], tmp_path, 80, 24) as top:
        top.read_until("Ctrl-C leaves")
        top.process.send_signal(number)
        assert top.process.wait(30) == 0
        top.read_until("")
        assert run.poll() is None


def test_of_several_one_is_chosen(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    other = LIVE.replace("name: sunday", "name: monday")
    with live(first), live(second, graph=other) as chosen, OnATerminal(["top"], tmp_path, 80, 24) as top:
        top.read_until("Which [1]:")
        listed = re.findall(r"^ +(\d)  (\d+)  run  (\w+)\r?$", top.plain, re.MULTILINE)
        assert {name for _, _, name in listed} == {"sunday", "monday"}
        number = next(number for number, pid, _ in listed if int(pid) == chosen.pid)
        top.type(f"{number}\n")
        top.read_until("monday  running")


def test_the_shell_completes_the_names_of_what_runs(tmp_path: Path) -> None:
    env = {"_DRAGOMAN_COMPLETE": "bash_complete", "COMP_WORDS": "dragoman top s", "COMP_CWORD": "2"}
    with live(tmp_path):
        result = subprocess.run(
            [sys.executable, "-c", "from pipeline.cli.main import main; main()"],
            env=environment(**env),
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert result.stdout.decode() == "plain,sunday\n"


def test_a_graph_that_ends_by_itself_ends_the_watching(tmp_path: Path) -> None:
    short = LIVE.replace("duration: 1h", "duration: 5s")
    with live(tmp_path, graph=short) as run:
        look = finished(["top", "--json"], tmp_path)
        assert json.loads(look.stdout.splitlines()[-1])["type"] == "over"
        assert run.wait(30) == 0
