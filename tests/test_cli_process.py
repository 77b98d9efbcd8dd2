"""The command as a process of its own: signals, pipes, terminals, and what is imported."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

LIVE = """
name: live
stages:
  talk: {use: tone, duration: 1h, rate: 8000, realtime: true}
  out: {use: wav, from: {stage: talk, buffer: 2s, when_full: drop_oldest}, path: out.wav}
"""

STUCK = """
import sys
import anyio
import stages
from attrs import define
from tests.stages_for_tests import Blocked

@define(kw_only=True)
class Stuck(Blocked):
    pass  # takes nothing, and so never ends, whether or not something has come yet

@define(kw_only=True)
class Shielded(Blocked):
    async def run(self, inbox, outbox):
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()

stages.KINDS = stages.KINDS | {"stuck": Stuck, "shielded": Shielded}
from pipeline.cli.main import main
main()
"""


def environment(**more: str) -> dict[str, str]:
    ours = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUTF8": "1", **more}


@contextmanager
def started(arguments: Sequence[str], folder: Path, code: str = "") -> Iterator[subprocess.Popen[str]]:
    python = [sys.executable, *(["-c", code] if code else ["-m", "pipeline"])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*python, *arguments], cwd=folder, text=True, env=environment(), **pipes) as process:  # type: ignore[call-overload]
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def finished(
    arguments: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(**(env or {})), capture_output=True, timeout=60, check=False
    )


def read_until(process: subprocess.Popen[str], kind: str) -> Mapping[str, object]:
    """The next JSON line of that type."""
    assert process.stdout is not None
    for line in process.stdout:
        told: Mapping[str, object] = json.loads(line)
        if told["type"] == kind:
            return told
    raise AssertionError(f"the run ended without a {kind}: {process.stderr and process.stderr.read()}")


# --- signals


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_leaves_a_whole_file(tmp_path: Path, backend: str, number: signal.Signals) -> None:
    (tmp_path / "g.yaml").write_text(LIVE)
    with started(["run", "g.yaml", "--format", "json", "--backend", backend], tmp_path) as process:
        while not read_until(process, "progress")["done_s"]:
            pass
        process.send_signal(number)
        assert "Ctrl-C again to end at once" in str(read_until(process, "state")["text"])
        report = read_until(process, "report")
        code = process.wait(30)
        assert code == 130, process.stderr.read()
    assert (report["exit_code"], report["stopped"], report["balanced"], report["lost"]) == (130, True, True, {})
    assert (tmp_path / "out.wav").read_bytes().startswith(b"RIFF")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("sink", "presses"), [("stuck", 2), ("shielded", 3)])
def test_pressing_again_ends_what_does_not_drain(tmp_path: Path, backend: str, sink: str, presses: int) -> None:
    """A third is needed where a stage does not even let itself be cancelled."""
    (tmp_path / "g.yaml").write_text(LIVE.replace("use: wav", f"use: {sink}").replace(", path: out.wav", ""))
    arguments = ["run", "g.yaml", "--format", "json", "--backend", backend]
    with started(arguments, tmp_path, STUCK) as process:
        read_until(process, "progress")
        process.send_signal(signal.SIGINT)
        read_until(process, "state")
        for _ in range(presses - 2):
            process.send_signal(signal.SIGINT)
            read_until(process, "state")
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
        assert code == 130, process.stderr.read()


SLOW_IMPORT = """
import signal
import sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "pipeline.cli.main":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from pipeline.__main__ import main
main()
"""


def test_ctrl_c_among_the_imports_is_no_traceback(tmp_path: Path) -> None:
    with started(["list"], tmp_path, SLOW_IMPORT) as process:
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait(30)) == ("", 130)


# --- what is imported


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["--help"], set()),
        (["run", "--help"], set()),
        (["--version"], set()),
        (["validate", "file-to-file"], {"numpy", "yaml", "attr", "stages", "pipeline.graph", "anyio"}),
    ],
)
def test_nothing_heavy_is_imported_where_it_is_not_needed(arguments: list[str], more: set[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "pipeline", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    imported = set(re.findall(r"\|\s+(\S+)$", result.stderr, re.MULTILINE))
    heavy = {"numpy", "anyio", "asyncio", "trio", "soundfile", "soxr", "rich", "yaml", "attr", "stages"}
    heavy |= {"pipeline.graph", "onnxruntime", "ctranslate2", "av"}
    assert "pipeline.cli.main" in imported
    assert imported & heavy <= more


# --- pipes, encodings, terminals


@pytest.mark.parametrize("arguments", [["list"], ["languages", "--json"], ["schema"], ["--help"]])
def test_a_reader_that_goes_away_is_no_traceback(arguments: list[str], tmp_path: Path) -> None:
    with started(arguments, tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert not process.stderr.read()
        assert process.wait(30) in (0, 141)  # as other tools do


@pytest.mark.parametrize("arguments", [["list"], ["schema"], ["--version"]])
def test_a_full_disk_behind_standard_output_is_told_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "pipeline", *arguments]
        result = subprocess.run(command, env=environment(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert result.stderr == b"dragoman: error: standard output: no space left on device\n"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_whose_output_is_full_ends_with_a_line_about_it(tmp_path: Path, backend: str) -> None:
    (tmp_path / "g.yaml").write_text(LIVE)
    command = [sys.executable, "-m", "pipeline", "run", "g.yaml", "--format", "json", "--backend", backend]
    with Path("/dev/full").open("w") as full:
        told = {"stdout": full, "stderr": subprocess.PIPE}
        result = subprocess.run(command, cwd=tmp_path, env=environment(), timeout=60, check=False, **told)  # type: ignore[call-overload]
    assert result.returncode == 1
    assert result.stderr == b"dragoman: error: standard output: no space left on device\n"


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_standard_streams_may_be_closed(closed: str, tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m pipeline list {closed}'
    result = subprocess.run(command, shell=True, env=environment(), capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_run_whose_reader_goes_away_ends_with_a_line_about_it(tmp_path: Path, backend: str) -> None:
    (tmp_path / "g.yaml").write_text(LIVE)
    with started(["run", "g.yaml", "--format", "json", "--backend", backend], tmp_path) as process:
        read_until(process, "progress")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == "dragoman: error: nobody reads standard output any more\n"
    assert (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_captions_that_nobody_reads_any_more_stop_alone(tmp_path: Path, backend: str) -> None:
    graph = "stages:\n  talk: {use: tone, duration: 8s}\n  en: {use: translate, from: talk, engine: echo, "
    graph += "source_language: en-us, target_language: pt-br}\n  see: {use: console, from: en.text}\n"
    graph += "  all: {use: jsonl, from: en.text, path: all.jsonl}\n"
    (tmp_path / "g.yaml").write_text(graph)
    with started(["run", "g.yaml", "--backend", backend], tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(30) == 0, told
    assert "error" not in told
    texts = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [text["utterance"] for text in texts if text.get("final")] == [1, 2, 3, 4]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf8_is_no_reason_to_fail(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "日本.yaml").write_text("stages: {a: {use: tone, duration: 日本}}")
    env = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONIOENCODING": encoding}
    result = finished(["validate", "日本.yaml"], tmp_path, env)
    assert result.returncode == 78
    assert b"Traceback" not in result.stderr
    languages = finished(["languages"], tmp_path, env).stdout.decode("ascii")
    assert "Whisper -> en-pt translation" in languages


def on_a_terminal(arguments: Sequence[str], folder: Path, columns: int, **env: str) -> tuple[int, str]:
    """The exit code, and everything that was written to the terminal."""
    master, slave = pty.openpty()
    size = {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color", **env}
    command = [sys.executable, "-m", "pipeline", *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment(**size), stdout=slave, stderr=slave) as process:
        os.close(slave)
        written = b""
        while chunk := _read(master):
            written += chunk
        code = process.wait(60)
    os.close(master)
    return code, written.decode()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux says so at the end
        return b""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ctrl_z_leaves_the_terminal_as_it_was_and_fg_goes_on(tmp_path: Path, backend: str) -> None:
    (tmp_path / "g.yaml").write_text(LIVE)
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "pipeline", "run", "g.yaml", "--backend", backend]
    env = environment(COLUMNS="80", LINES="24", TERM="xterm-256color")
    streams = {"stdout": slave, "stderr": slave, "process_group": 0}  # a job of its own, as a shell has them
    with subprocess.Popen(command, cwd=tmp_path, env=env, **streams) as process:  # type: ignore[call-overload]
        os.close(slave)
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            _read_until(master, b"live")
            process.send_signal(signal.SIGTSTP)
            assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
            assert b"live" not in _read_until(master, b"\x1b[?25h").rpartition(b"\x1b[2K")[2]  # gone, and a cursor
            process.send_signal(signal.SIGCONT)
            assert b"\x1b[?25l" in _read_until(master, b"live")
            process.send_signal(signal.SIGINT)
            _read_until(master, b"wrote")
            assert process.wait(30) == 130
        finally:
            watchdog.cancel()
            process.kill()
            os.close(master)


def _read_until(master: int, words: bytes) -> bytes:
    written = b""
    while words not in written:
        chunk = _read(master)
        assert chunk, written
        written += chunk
    return written


@pytest.mark.parametrize("columns", [20, 120])
def test_a_terminal_shows_progress_and_then_the_summary(tmp_path: Path, columns: int) -> None:
    graph = LIVE.replace("1h", "1s")
    (tmp_path / "g.yaml").write_text(graph)
    code, written = on_a_terminal(["run", "g.yaml"], tmp_path, columns)
    assert code == 0
    assert "\x1b[2K" in written  # drawn over itself
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "live" in plain
    assert "0:00" in plain
    assert "wrote    out.wav" in plain
    assert "\x1b[" in written[written.index("wrote") - 10 :]  # in colour


def test_a_terminal_without_colours_gets_none(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(LIVE.replace("1h", "100ms"))
    code, written = on_a_terminal(["run", "g.yaml"], tmp_path, 80, NO_COLOR="1")
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", written)


def test_captions_have_the_terminal_for_themselves(tmp_path: Path) -> None:
    graph = "stages:\n  talk: {use: tone, duration: 5s}\n  en: {use: translate, from: talk, engine: echo, "
    graph += "source_language: en-us, target_language: pt-br}\n  see: {use: console, from: en.text}\n"
    (tmp_path / "g.yaml").write_text(graph)
    code, written = on_a_terminal(["run", "g.yaml"], tmp_path, 80)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "[00:00.0] pt-br: [pt-br] utterance 1, 2.0 s" in plain
    assert "queues" not in plain
