"""Running a graph: what it says, its exit code, its report; in this process, on both event loops."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
import soundfile
from attrs import define, evolve
from click.exceptions import Exit as ClickExit
from click.testing import CliRunner

from pipeline.cli import running
from pipeline.cli.exits import Exit
from pipeline.cli.main import cli
from pipeline.cli.running import Wishes, run_graph
from pipeline.cli.watch import Outcome
from pipeline.graph import Graph
from pipeline.items import Item, Text
from pipeline.node import Buffer, Read
from pipeline.problems import Where
from pipeline.stage import Inbox, Outbox, StageError
from pipeline.testing import Collect, Playlist, noise
from stages.jsonl import Jsonl
from stages.subtitles import Subtitles
from stages.tap import Tap
from stages.wav import Wav
from tests.stages_for_tests import Blocked, Breaks, Endless, Pass, PassActor


def blocks(count: int) -> list[Item]:
    return [noise(80, rate=8000, start=number * 80, seed=number) for number in range(count)]


@pytest.fixture(params=["asyncio", "trio"])
def wishes(request: pytest.FixtureRequest) -> Wishes:
    return Wishes(backend=request.param)


@define(kw_only=True)
class Fails(Pass):
    """A transform that raises `fault` at once."""

    fault: Exception

    def feed(self, item: Item) -> Any:
        raise self.fault


@define(kw_only=True)
class Truncated(Playlist):
    """A source that could not read all of it."""

    def losses(self) -> Mapping[str, int]:
        return {"the file ends too early": 4000}


@define(kw_only=True)
class Interrupted(Endless):
    """A source that never ends, and sends its own process the signals in `numbers`."""

    numbers: tuple[int, ...] = (signal.SIGINT,)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        await outbox.send(noise(80, rate=8000))
        for number in self.numbers:
            os.kill(os.getpid(), number)
        await anyio.sleep_forever()


@define(kw_only=True)
class FailsLate(PassActor):
    """Reads one block, and fails when all have been sent."""

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for _ in inbox:
            await anyio.wait_all_tasks_blocked()
            raise StageError("the service has gone", code=69)


@define(kw_only=True)
class Keeps(PassActor):
    """Hands on nothing."""

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        async for _ in inbox:
            pass


@define(kw_only=True)
class Retrying(PassActor):
    """An actor that says what keeps it."""

    status: str = "reconnecting, try 3"


def test_a_run_that_delivers_everything(wishes: Wishes, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph().add("talk", Playlist(items=blocks(100))).add("all", Collect(), "talk")
    assert run_graph(graph, wishes) == Exit.OK
    out, err = capsys.readouterr()
    assert out == ""
    assert "heard    1.0 s in" in err
    assert "lost     nothing" in err


def test_what_a_stage_cannot_do_is_one_line_with_its_place_in_the_graph(
    wishes: Wishes, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = StageError("talk.wav: no such file; look at the name", code=69)
    graph = Graph().add("talk", Playlist(items=blocks(1)))
    graph.add("bad", Fails(fault=fault), "talk", where=Where("g.yaml", 7, 3)).add("all", Collect(), "bad")
    assert run_graph(graph, evolve(wishes, quiet=True)) == Exit.UNREACHABLE
    expected = "dragoman: error: bad: talk.wav: no such file; look at the name (g.yaml:7:3)\n"
    assert capsys.readouterr() == ("", expected)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (OSError(28, "No space left on device", "o.wav"), "bad: o.wav: no space left on device"),
        (OSError("strange"), "bad: OSError: strange"),
        (
            ModuleNotFoundError("No module named 'soxr'", name="soxr"),
            "bad: the package soxr is not installed: `dragoman doctor` says what to install",
        ),
        (KeyError("x"), "bad: KeyError: 'x'; this is a bug in the stage bad: --traceback shows it"),
        (
            ValueError("two\nlines"),
            "bad: ValueError: two lines; this is a bug in the stage bad: --traceback shows it",
        ),
    ],
)
def test_other_faults_are_one_line_too(fault: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph().add("talk", Playlist(items=blocks(1))).add("bad", Fails(fault=fault), "talk")
    assert run_graph(graph.add("all", Collect(), "bad"), Wishes(quiet=True)) == Exit.FAILED
    assert capsys.readouterr().err == f"dragoman: error: {line}\n"


def test_the_traceback_is_shown_to_who_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    graph = (
        Graph().add("talk", Playlist(items=blocks(1))).add("bad", Breaks(), "talk").add("all", Collect(), "bad")
    )
    run_graph(graph, Wishes(quiet=True, traceback=True))
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert 'raise RuntimeError("out of order")' in err


def test_several_faults_are_a_line_each(wishes: Wishes, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph().add("talk", Playlist(items=blocks(3)))
    for name in ("x", "y"):
        graph.add(name, Breaks(at=2), Read("talk", buffer=Buffer(1))).add(f"to-{name}", Collect(), name)
    assert run_graph(graph, evolve(wishes, quiet=True)) == Exit.FAILED
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split(":")[2].strip() for line in lines) == ["x", "y"]


def test_a_loss_has_its_own_exit_code_and_is_told_in_seconds(
    wishes: Wishes, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = Graph().add("talk", Truncated(items=blocks(3))).add("all", Collect(), "talk")
    assert run_graph(graph, wishes) == Exit.LOSS
    assert "lost     0.500 s" in (err := capsys.readouterr().err)
    assert "talk: the file ends too early" in err


def test_a_lossy_edge_tells_where_and_by_which_policy(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Blocked()
    graph = Graph().add("talk", Playlist(items=[*blocks(300), Text("a", 0, 1)]))
    graph.add("all", sink, Read("talk", buffer=Buffer(100), when_full="drop_newest"))

    @define(kw_only=True)
    class Opens(Collect):
        async def run(self, inbox: Inbox, outbox: Outbox) -> None:
            async for _ in inbox:
                pass
            sink.gate.set()

    assert run_graph(graph.add("key", Opens(), "talk"), Wishes()) == Exit.LOSS
    err = capsys.readouterr().err
    assert "lost     2.0 s" in err
    assert "talk -> all: the edge was full (drop_newest)" in err
    assert "1 text" in err


def test_of_subtitles_what_was_written_is_told_and_not_the_guesses_that_came(
    wishes: Wishes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    guesses = [Text("so", 0, 500, final=False), Text("so my", 0, 900, final=False)]
    texts = [*guesses, Text("So my fellow Americans.", 0, 1500), Text("Ask not.", 2000, 3000, utterance=2)]
    path = tmp_path / "live.vtt"
    graph = Graph().add("talk", Playlist(items=texts)).add("live", Subtitles(path=path), "talk")
    assert run_graph(graph, wishes) == Exit.OK
    assert f"wrote    {path}  2 cues" in capsys.readouterr().err.splitlines()
    assert path.read_text().count("-->") == 2


def test_after_a_fault_comes_what_was_written_and_what_was_lost(
    wishes: Wishes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What the stage that failed had not read yet is lost: nobody else will read it."""
    made, kept, none = (tmp_path / name for name in ("made.wav", "kept.wav", "none.wav"))
    kept.write_text("of an earlier run")
    graph = Graph().add("talk", Playlist(items=[*blocks(10), Text("a", 0, 1)]))
    graph.add("made", Wav(path=made), "talk").add("bad", FailsLate(), "talk")
    graph.add("kept", Wav(path=kept), "bad").add("none", Wav(path=none), "bad")
    assert run_graph(graph, wishes) == Exit.UNREACHABLE
    lines = capsys.readouterr().err.splitlines()
    wide = len(str(made))
    assert lines == [
        "dragoman: error: bad: the service has gone",
        f"wrote    {made}  0.100 s of sound, 1 text",
        f"         {kept}  nothing; the file is as it was",
        f"         {none}  nothing; there is no such file",
        "heard    0.100 s",
        f"lost     {'0.090 s':<{wide}}  talk -> bad: its reader failed",
        f"         {'1 text':<{wide}}  talk -> bad: its reader failed",
    ]


def test_interrupted_it_tells_what_was_not_written(
    wishes: Wishes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    graph = Graph().add("talk", Interrupted()).add("all", Collect(), "talk").add("mid", Keeps(), "talk")
    assert run_graph(graph.add("file", Wav(path=tmp_path / "x.wav"), "mid"), wishes) == Exit.INTERRUPTED
    assert f"wrote    {tmp_path / 'x.wav'}  nothing; there is no such file" in capsys.readouterr().err


def test_a_live_run_has_no_pace(wishes: Wishes, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph().add("talk", Playlist(items=blocks(100), live=True)).add("all", Collect(), "talk")
    assert run_graph(graph, wishes) == Exit.OK
    assert capsys.readouterr().err == "heard    1.0 s\nlost     nothing\n"


def test_quiet_still_tells_of_a_loss(capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph().add("talk", Truncated(items=blocks(3))).add("all", Collect(), "talk")
    assert run_graph(graph, Wishes(quiet=True)) == Exit.LOSS
    assert (
        capsys.readouterr().err
        == "dragoman: error: finished with loss: 0.500 s at talk: the file ends too early\n"
    )


def test_a_ledger_that_does_not_balance_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = running.attend

    async def doctored(*arguments: Any) -> Outcome:
        outcome = await real(*arguments)
        edges = tuple(evolve(edge, received=edge.received + 1) for edge in outcome.report.edges)
        return evolve(outcome, report=evolve(outcome.report, edges=edges))

    monkeypatch.setattr(running, "attend", doctored)
    graph = Graph().add("talk", Playlist(items=blocks(1))).add("all", Collect(), "talk")
    assert run_graph(graph, Wishes(quiet=True)) == Exit.FAILED
    expected = "the ledger does not balance, which is a bug in dragoman: talk -> all: sent 80, received 81"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_drains_and_says_what_it_waits_for(
    wishes: Wishes, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = Collect()
    graph = Graph().add("talk", Interrupted(numbers=(number,))).add("mid", Retrying(), "talk")
    assert run_graph(graph.add("all", sink, "mid"), wishes) == Exit.INTERRUPTED
    assert sink.frames == 80
    err = capsys.readouterr().err
    expected = "stopping: waiting 30 s at most for mid (reconnecting, try 3), all (Ctrl-C again to end at once)"
    assert expected in err
    assert "lost     nothing" in err


def test_the_second_signal_ends_at_once_and_tells_what_was_on_its_way(
    wishes: Wishes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_leave", lambda _code: None)  # while a thread is there it ends this process
    graph = Graph().add("talk", Interrupted(numbers=(signal.SIGINT, signal.SIGTERM))).add("all", Blocked(), "talk")
    assert run_graph(graph, wishes) == Exit.INTERRUPTED
    err = capsys.readouterr().err
    assert "0.010 s" in err
    assert "talk -> all: cut off on its way" in err


@pytest.mark.parametrize("drain_s", [30.0, 0.0])
def test_what_stages_held_when_they_were_cut_off_is_said_not_to_be_counted(
    wishes: Wishes, capsys: pytest.CaptureFixture[str], tmp_path: Path, drain_s: float
) -> None:
    """A `Blocked` sink has taken what came: every edge is empty, and yet nothing has arrived."""
    presses = (signal.SIGINT, signal.SIGTERM) if drain_s else (signal.SIGINT,)
    graph = Graph().add("talk", Interrupted(numbers=presses)).add("all", Blocked(first=1), "talk")
    report = tmp_path / "r.json"
    assert run_graph(graph, evolve(wishes, drain_s=drain_s, report=report)) == Exit.INTERRUPTED
    err = capsys.readouterr().err
    assert "unknown  what the stages still held when they were cut off" in err
    assert "nothing" not in err
    told = json.loads(report.read_text())
    assert told["lost"] == {}
    assert (told["cut_off"], len(told["not_counted"])) == (True, 1)


def test_a_drain_has_a_deadline(wishes: Wishes, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph().add("talk", Interrupted()).add("all", Blocked(), "talk")
    assert run_graph(graph, evolve(wishes, drain_s=0.0)) == Exit.INTERRUPTED
    assert "talk -> all: cut off on its way" in capsys.readouterr().err


def test_json_lines_tell_of_every_text_and_the_report_comes_last(
    wishes: Wishes, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [Text(f"sentence é {number}", number, number + 1, "en-us", number) for number in range(50)]
    graph = Graph().add("talk", Playlist(items=texts)).add("all", Collect(), "talk")
    assert run_graph(graph, evolve(wishes, json=True)) == Exit.OK
    out, err = capsys.readouterr()
    assert err == ""
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["text"] for line in lines if line["type"] == "text"] == [text.text for text in texts]
    assert {line["output"] for line in lines if line["type"] == "text"} == {"talk.out"}
    assert lines[-1]["type"] == "report"
    assert (lines[-1]["exit_code"], lines[-1]["errors"], lines[-1]["balanced"]) == (0, [], True)
    assert {line["type"] for line in lines} == {"progress", "text", "report"}


def test_what_stages_print_goes_out_of_the_way_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    @define(kw_only=True)
    class Prints(Pass):
        def feed(self, item: Item) -> Any:
            print("loud")
            return (item,)

    graph = (
        Graph().add("talk", Playlist(items=blocks(1))).add("loud", Prints(), "talk").add("all", Collect(), "loud")
    )
    run_graph(graph, Wishes(json=True))
    out, err = capsys.readouterr()
    assert all(json.loads(line) for line in out.splitlines())
    assert err == "loud\n"


@pytest.mark.parametrize(
    "sink",
    [
        Wav(path=Path("none/a.wav")),
        Subtitles(path=Path("none/a.srt")),
        Jsonl(path=Path("none/a.jsonl")),
        Tap(path=Path("none/a.wav")),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_begins(
    wishes: Wishes, sink: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Item] = [Text("a", 0, 1)] if isinstance(sink, Subtitles) else blocks(1)
    seen = Collect()
    graph = Graph().add("talk", Playlist(items=given)).add("file", sink, "talk").add("seen", seen, "talk")
    assert run_graph(graph, wishes) == Exit.FAILED
    assert not seen.items
    assert "file: cannot write" in (err := capsys.readouterr().err)
    assert "there is no folder 'none': make it first" in err


def test_a_report_that_cannot_be_written_is_told_before_the_run(
    wishes: Wishes, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = Collect()
    graph = Graph().add("talk", Playlist(items=blocks(1))).add("seen", seen, "talk")
    with pytest.raises(ClickExit) as ended:
        run_graph(graph, evolve(wishes, report=Path("none/r.json")))
    assert (ended.value.exit_code, seen.items) == (Exit.FAILED, [])
    assert capsys.readouterr().err.startswith("dragoman: error: --report: cannot write 'none/r.json': there is no")


def test_the_report_is_written_even_where_a_stage_failed(tmp_path: Path) -> None:
    graph = Graph().add("talk", Playlist(items=blocks(2))).add("bad", Breaks(at=2), "talk")
    graph.add("all", Collect(), "bad")
    assert run_graph(graph, Wishes(quiet=True, report=tmp_path / "r.json")) == Exit.FAILED
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["exit_code"] == 1
    assert "out of order" in report["errors"][0]
    assert report["balanced"]


# --- the commands


GRAPH = """
name: small
params: {out: {default: out.wav, help: "where to, [really]"}}
stages:
  talk: {use: tone, duration: 2s, rate: 8000}
  loud: {use: gain, from: talk, db: 3}
  file: {use: wav, from: loud, path: "${out}"}
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.yaml").write_text(GRAPH)
    return tmp_path


def invoke(*arguments: str, **more: Any) -> Any:
    return CliRunner().invoke(cli, arguments, **more)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_run_writes_what_the_graph_says_and_tells_of_it(small: Path, backend: str) -> None:
    result = invoke("run", "g.yaml", "--backend", backend, "-p", "out=a b.wav", "-s", "talk.duration=3s")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0].split() == ["wrote", "a", "b.wav", "3.0", "s", "of", "sound"]
    assert soundfile.info(small / "a b.wav").frames == 3 * 8000


def test_a_graph_may_come_from_standard_input(small: Path) -> None:
    assert invoke("run", "-", input=GRAPH).exit_code == 0
    assert (small / "out.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nope.yaml"], 2, "nope.yaml: is no file, and no graph of that name ships"),
        (["file-to-fil"], 2, "did you mean 'file-to-file'?"),
        (["."], 2, "is a folder"),
        (["g.yaml", "-p", "out"], 2, "-p 'out' is no NAME=VALUE"),
        (["g.yaml", "-p", "out=a", "-p", "out=b"], 2, "given twice"),
        (["g.yaml", "-s", "loud=3"], 78, "loud"),
        (["g.yaml", "-p", "nope=3"], 78, "nope"),
        (["g.yaml", "-s", "loud.db=loud"], 78, "cannot be 'loud'"),
        (["g.yaml", "--backend", "curio"], 2, "curio"),
        (["g.yaml", "-p", "out=no/where.wav"], 1, "file: cannot write"),
        (["file-to-file"], 78, "param 'input' has no value"),
        (["g.yaml", "--report", "no/where.json"], 1, "--report: cannot write 'no/where.json': there is no folder"),
    ],
)
def test_what_cannot_be_run_says_so(small: Path, arguments: list[str], code: int, said: str) -> None:
    result = invoke("run", *arguments)
    assert result.exit_code == code, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("more", [["-s", "loud=3"], ["-p", "nope=3"]])
def test_what_is_wrong_with_a_graph_is_told_to_programs_as_validate_does(small: Path, more: list[str]) -> None:
    result = invoke("run", "g.yaml", *more, "--format", "json")
    assert result.exit_code == 78
    assert result.stdout == invoke("validate", "g.yaml", *more, "--format", "json").stdout
    assert [json.loads(line)["type"] for line in result.stdout.splitlines()] == ["problem", "summary"]
    assert "nothing was run" in result.stderr


def test_warnings_can_be_denied(small: Path) -> None:
    Path("w.yaml").write_text("stages: {talk: {use: tone, duration: 1s}}")
    assert invoke("run", "w.yaml").exit_code == 0
    result = invoke("run", "w.yaml", "--deny-warnings")
    assert result.exit_code == 78
    assert "1 warning in the graph; nothing was run" in result.stderr


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_an_output_that_is_the_input_by_another_name_is_refused(small: Path, link: Any) -> None:
    Path("in.wav").write_bytes(b"precious")
    link(Path("out.wav"), Path("in.wav").absolute())
    Path("g.yaml").write_text(GRAPH.replace("use: tone, duration: 2s, rate: 8000", "use: file, path: in.wav"))
    result = invoke("run", "g.yaml")
    assert result.exit_code == 78
    assert "g.yaml:7:3" in result.stderr
    assert "'file' writes out.wav, which is the same file as in.wav that 'talk' reads" in result.stderr
    assert Path("in.wav").read_bytes() == b"precious"


def test_translate_with_the_echo_engine(small: Path) -> None:
    invoke("run", "g.yaml")
    arguments = ["--engine", "echo", "-o", "o.wav", "--subtitles", "o.srt", "--transcript", "t.vtt"]
    result = invoke("translate", "out.wav", *arguments)
    assert result.exit_code == 0, result.output
    assert "[pt-br] utterance 1" in Path("o.srt").read_text()
    assert Path("t.vtt").read_text().startswith("WEBVTT")
    wrote = [line.split()[-4:] for line in result.stderr.splitlines()[:3]]
    assert wrote == [["2.0", "s", "of", "sound"], ["o.srt", "1", "cue"], ["t.vtt", "1", "cue"]]


def test_translate_says_in_one_line_that_there_is_no_recording(small: Path) -> None:
    result = invoke("translate", "nope.wav", "--engine", "echo", "--subtitles", "o.srt")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("dragoman: error: recording: ")
    assert "nope.wav" in line


def test_params_tells_what_can_be_set(small: Path) -> None:
    assert invoke("params", "g.yaml").stdout == "  -p out=out.wav  where to, [really]\n"
    assert "-p input=...  " in invoke("params", "file-to-file").stdout
    Path("none.yaml").write_text("stages: {a: {use: tone, duration: 1s}}")
    assert "it has no params" in invoke("params", "none.yaml").stdout


def test_params_as_json_are_for_programs_and_show_no_secret(small: Path) -> None:
    Path("s.yaml").write_text(
        "params:\n  out: {default: out.wav, help: where to}\n  key: {secret: true, default: canary}\n"
        "stages: {a: {use: tone, duration: 1s, rate: 8000}, b: {use: wav, from: a, path: '${out}'}}\n"
    )
    out, key = json.loads(invoke("params", "s.yaml", "--json").stdout)
    assert (out["name"], out["default"], out["type"], out["secret"]) == ("out", "out.wav", "str", False)
    assert (key["default"], key["secret"]) == ("***", True)


def test_params_of_what_is_no_graph_are_an_error(small: Path) -> None:
    Path("bad.yaml").write_text("stages: {a: {use: nope}}\n")
    result = invoke("params", "bad.yaml")
    assert (result.exit_code, result.stdout) == (78, "")
    assert "'nope' is no kind of stage" in result.stderr
