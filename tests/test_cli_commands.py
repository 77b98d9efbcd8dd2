"""The commands as such: their help, wrong usage in one line, how options are read, and what a shell completes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from pipeline.cli.command import Command, Commands, Time, option, titled
from pipeline.cli.exits import Exit
from pipeline.cli.main import cli
from stages.languages import LANGUAGES


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments, prog_name="dragoman")


# --- help


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ([], "0 1 2 3 69 78 130"),
        (["run"], "0 1 2 3 69 78 130"),
        (["validate"], "0 2 78"),
        (["tap"], "0 1 2 130"),
        (["languages"], ""),
    ],
)
def test_the_help_ends_with_the_exit_codes_there_are(command: Sequence[str], codes: str) -> None:
    told = invoke(*command, "--help").stdout.partition("Exit codes:")[2]
    assert re.findall(r"^  (\d+) +\S", told, re.MULTILINE) == codes.split()


def test_every_command_has_its_place_in_the_help() -> None:
    assert isinstance(cli, Commands)
    assert sorted(name for names in cli.headings.values() for name in names) == sorted(cli.commands)
    shown = invoke("--help").stdout
    assert max(len(line) for line in shown.splitlines()) <= 80
    told = re.findall(r"^  ([a-z]+) {2,}(\S.*)$", shown.partition("Run:")[2].partition("Exit")[0], re.MULTILINE)
    assert [name for name, _ in told] == cli.list_commands(click.Context(cli))
    assert all(about.endswith(".") for _, about in told)  # each whole, on its line


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_option_is_in_the_help_once_and_shows_no_range(name: str) -> None:
    command = cli.commands[name]
    assert isinstance(command, Command)
    told = invoke(name, "-h").stdout
    for each in command.params:
        if isinstance(each, click.Option):
            assert len(re.findall(rf"^  (?:-\w, )?{each.opts[-1]}(?![\w-])", told, re.MULTILINE)) == 1, each.name
            assert each.help
    assert not re.search(r"x[<>]=|RANGE|FLOAT|INTEGER", told)


def test_options_stand_under_their_headings() -> None:
    told = invoke("serve", "--help").stdout
    headings = re.findall(r"^(\w[\w ]*):$", told, re.MULTILINE)
    assert headings == ["Options", "Room", "Limits", "Running", "Exit codes"]
    room = told.partition("\nRoom:\n")[2].partition("\nLimits:\n")[0]
    assert "--room-grace TIME" in room
    assert "[default: 1m]" in room


# --- wrong usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tranlate", "x"], "there is no command 'tranlate'; did you mean 'translate'?"),
        (["frobnicate"], "there is no command 'frobnicate'; see dragoman --help"),
        (["-x"], "no such option -x; see dragoman --help"),
        (["translate"], "translate: missing argument 'IN'; see dragoman translate --help"),
        (["translate", "--layuot", "x"], "translate: no such option --layuot; did you mean '--layout'?"),
        (
            ["translate", "x", "-o"],
            "translate: option '-o' requires an argument; see dragoman translate --help",
        ),
        (["translate", "x", "--drain", "soon"], "translate: --drain: wanted a time such as 500ms, "),
        (["graph", "dub", "--as", "png"], "graph: --as: 'png' is not one of 'mermaid', 'dot', 'svg'"),
        (["completion"], "completion: missing argument 'SHELL'. Choose from: bash, zsh, fish; see"),
        (["serve", "--max-idle", "0"], "serve: --max-idle: wanted 0.1 s or more, came 0"),
        (["tap", "--count", "0"], "tap: --count: 0 is not in the range x>=1"),
        (["list", "--short", "--shorter"], "list: no such option --shorter; did you mean '--short'?"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(arguments: Sequence[str], said: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"dragoman: error: {said}")
    assert len(result.stderr.splitlines()) == 1


def test_without_a_command_there_is_the_help() -> None:
    result = invoke()
    assert result.exit_code == 2
    assert result.output == invoke("--help").output


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), click.Abort()])
def test_ctrl_c_is_an_exit_code_and_nothing_else(fault: BaseException) -> None:
    @click.group(cls=Commands)
    def group() -> None: ...

    @click.command(cls=Command)
    def wait() -> None:
        raise fault

    group.add_under("Do", wait)
    result = CliRunner().invoke(group, ["wait"])
    assert (result.exit_code, result.output) == (Exit.INTERRUPTED, "")


# --- options


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30), ("1.5", 1.5), ("8s", 8), ("500ms", 0.5), ("2m", 120), ("1:30", 90), ("0", 0)]
)
def test_a_time_is_written_as_in_a_graph(text: str, seconds: float) -> None:
    assert Time().convert(text, None, None) == seconds


def test_a_default_is_read_as_what_is_given() -> None:
    @click.command(cls=Command)
    @titled("More")("--wait", type=Time(), default="2m", show_default=True, help="How long.")
    @option("--fast", is_flag=True, help="Quickly.")
    def go(wait: float, fast: bool) -> None:
        click.echo(f"{wait} {fast}")

    assert CliRunner().invoke(go, []).stdout == "120.0 False\n"
    told = CliRunner().invoke(go, ["--help"]).stdout
    assert told.index("Options:\n  --fast") < told.index("More:\n  --wait TIME  How long.  [default: 2m]")


# --- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_a_shell(shell: str) -> None:
    assert "_DRAGOMAN_COMPLETE" in invoke("completion", shell).stdout


def offered_by_bash(line: str, folder: Path) -> list[str]:
    """What bash has after `line` and the tab key, by the script and the program."""
    words = line.split(" ")
    program = folder / "bin" / "dragoman"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f"#!/bin/sh\nPYTHONPATH='{Path(__file__).parents[1]}' exec '{sys.executable}' -m pipeline \"$@\"\n"
    )
    program.chmod(0o755)
    asked = f"COMP_WORDS=({' '.join(shlex.quote(word) for word in words)}); COMP_CWORD={len(words) - 1}"
    script = f"{invoke('completion', 'bash').stdout}\ncompopt() {{ :; }}\n{asked}\n_dragoman_completion dragoman\n"
    script += "printf '%s\\n' \"${COMPREPLY[@]}\""
    env = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    told = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert not told.stderr
    return told.stdout.split("\n")[:-1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_offers_names_of_graphs_and_files(tmp_path: Path) -> None:
    (tmp_path / "my trans.yaml").touch()
    (tmp_path / "transit.yaml").touch()
    assert offered_by_bash("dragoman run trans", tmp_path) == ["transcribe", "transit.yaml"]
    assert offered_by_bash("dragoman run my", tmp_path) == ["my trans.yaml"]
    assert offered_by_bash("dragoman tra", tmp_path) == ["translate"]


def completed(*words: str) -> list[str]:
    """What bash is offered for the last of `words`."""
    environment = {
        "_DRAGOMAN_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["dragoman", *words]),
        "COMP_CWORD": str(len(words)),
    }
    told = CliRunner().invoke(cli, [], env=environment, prog_name="dragoman").output
    return [line.partition(",")[2] for line in told.splitlines()]


def test_what_there_is_to_choose_from_is_completed() -> None:
    assert completed("tr") == ["translate"]
    assert completed("run", "fi") == ["file-to-file", "fi"]  # or a file
    assert completed("list", "ech") == ["echo_guard"]
    assert completed("translate", "--from", "EN") == ["en-gb", "en-us"]
    assert completed("serve", "--room-source", "") == [*LANGUAGES]
    assert completed("listen", "--engine", "") == ["local", "realtime", "echo"]
    assert completed("doctor", "l") == ["listen", "local"]
    assert completed("serve", "--room-mic") == ["--room-microphone"]
