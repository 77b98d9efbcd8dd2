"""The commands that look at things: validate, list, languages, doctor, schema; and their pieces."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.cli import doctor, graphs, languages
from pipeline.cli import problems as shown
from pipeline.cli.columns import columns, width
from pipeline.cli.graphs import shipped
from pipeline.cli.json_lines import JsonLines
from pipeline.cli.main import cli
from pipeline.cli.paint import paint
from pipeline.cli.words import clock, plural, seconds, times
from pipeline.load import load
from pipeline.problems import Problem, Where
from stages import KINDS
from stages.translate.languages import table


def invoke(*arguments: str, **more: Any) -> Any:
    return CliRunner().invoke(cli, arguments, **more)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- validate


def test_every_shipped_graph_is_right_without_a_word_about_it() -> None:
    result = invoke("validate", "--deny-warnings", *shipped())
    assert result.exit_code == 0, result.output
    assert "dub: ok (4 stages)" in result.stdout.splitlines()


def test_every_mistake_is_told_with_its_place_and_the_exit_code_is_78(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("stages:\n  a: {use: tone, duration: no}\n  b: {use: gian, from: a}\n")
    result = invoke("validate", str(bad), "dub")
    assert result.exit_code == 78
    assert f"{bad}:2:28: error: " in result.stdout
    assert f"{bad}:3:12: error: " in result.stdout
    assert "did you mean 'gain'?" in result.stdout
    assert "\n" + " " * 4 + " " * 27 + "^\n" in result.stdout
    assert result.stdout.splitlines()[-2:] == [f"{bad}: wrong (2 stages, 2 errors)", "dub: ok (4 stages)"]


def test_a_program_gets_problems_as_json_lines(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("stages:\n  a: {use: tone, duration: no}\n")
    result = invoke("validate", "--format", "json", str(bad))
    assert result.exit_code == 78
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["problem"] * (len(lines) - 1) + ["summary"]
    assert (lines[0]["file"], lines[0]["line"], lines[0]["column"]) == (str(bad), 2, 28)
    assert lines[0]["severity"] == "error"
    assert lines[-1]["ok"] is False


def test_what_depends_on_a_param_without_a_value_is_checked_all_the_same(tmp_path: Path) -> None:
    """The source's path is open, and yet the 8 kHz that go into the vad behind it are found."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "params: {input: {help: the recording}, way: {help: how}}\n"
        "stages:\n"
        "  talk: {use: file, path: '${input}'}\n"
        "  pcm: {use: resample, from: talk, rate: 8000, channels: 1}\n"
        "  said: {use: vad, from: pcm}\n"
        "  text: {use: asr, from: said, language: '${way}'}\n"
        "  out: {use: subtitles, from: text, path: o.srt}\n"
    )
    result = invoke("validate", str(bad))
    assert result.exit_code == 78
    assert "5:26: error: what 'pcm' gives does not fit into 'said'" in result.stdout
    assert "(5 stages, 1 error)" in result.stdout
    assert invoke("validate", str(bad), "-s", "pcm.rate=16000").exit_code == 0


def test_a_warning_is_no_error_until_it_is_denied(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("stages: {a: {use: tone, duration: 1s}}")
    result = invoke("validate", str(path))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"{path}: ok (1 stage, 1 warning)")
    assert invoke("validate", "--deny-warnings", str(path)).exit_code == 78


def test_problems_are_coloured_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    problem = Problem("bad", Where("g.yaml", 3, 5, "  a: {use: x}"), "good", "bad: it: is", "mend it")
    terminal, pipe = Terminal(), io.StringIO()
    shown.show([problem, problem], terminal)
    shown.show([problem, problem], pipe)
    assert "\x1b[1;31merror:\x1b[0m" in terminal.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()) == pipe.getvalue()
    assert pipe.getvalue() == f"{problem}\n\n{problem}\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "bold red", terminal) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert paint("x", "bold red", pipe) == "\x1b[1;31mx\x1b[0m"


def test_a_problem_is_broken_where_a_terminal_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal, where = Terminal(), Where("g.yaml", 3, 5, "  a: {use: x}")
    shown.show([Problem("it is bad and longer than that", where, "one of: a, b, c, d, e, f, g, h")], terminal)
    assert terminal.getvalue().splitlines() == [
        "g.yaml:3:5: error: it is bad and longer than that",
        "      a: {use: x}",
        "        ^",
        "    wanted: one of: a, b, c, d, e, f, g,",
        "            h",
    ]


def test_a_problem_in_one_line() -> None:
    assert shown.in_one_line(Problem("bad", None, "good", "worse", "mend it")) == "bad; wanted good; mend it"
    assert shown.count([Problem("a"), Problem("b"), Problem("c", warning=True)]) == "2 errors, 1 warning"


# --- list


def test_list_tells_all_there_is_to_know_of_every_kind() -> None:
    result = invoke("list")
    assert result.exit_code == 0
    for name in KINDS:
        assert re.search(rf"^{name}  \S", result.stdout, re.MULTILINE), name
    assert "  in  audio (16000 Hz, mono)" in result.stdout
    assert "  out audio: audio (24000 Hz, mono)" in result.stdout
    assert "a number; required" in invoke("list", "gain").stdout


def test_every_example_in_the_list_is_right() -> None:
    for entry in json.loads(invoke("list", "--json").stdout):
        assert not entry["missing"]
        loaded = load(f"stages: {{talk: {{use: tone, duration: 1s}}, it: {entry['example']}}}", "e", KINDS)
        assert loaded.graph.nodes["it"].stage is not None, entry["example"]
        assert entry["about"].endswith(".")
        assert entry["about"].count("`") % 2 == 0
        assert entry["inputs"] or entry["outputs"]
        assert all(option["help"] for option in entry["options"])


def test_list_knows_only_what_there_is() -> None:
    result = invoke("list", "gian")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'gain'?" in result.stderr


def test_the_short_list_and_the_table_have_a_line_a_kind() -> None:
    assert len(invoke("list", "--short").stdout.splitlines()) == len(KINDS)
    table = invoke("list", "--markdown").stdout.splitlines()
    assert len(table) == len(KINDS) + 2
    assert {re.sub(r"\\\|", "", line).count("|") for line in table} == {6}


# --- languages, schema, version


def test_languages_shows_the_table() -> None:
    result = invoke("languages")
    assert result.exit_code == 0
    assert re.search(r"^en-gb, en-us +pt-br +good +Whisper → en-pt", result.stdout, re.MULTILINE)
    pairs = json.loads(invoke("languages", "--json").stdout)
    assert {"source": "pt-br", "target": "en-us", "quality": "good"}.items() <= pairs[3].items()


def test_languages_says_what_to_install_where_something_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing, told, installed in (
        ({"local", "voices"}, ["en-gb, en-us: pip install 'dragoman[local]'", "pt-br: "], {False}),
        ({"voices"}, ["into pt-br: pip install 'dragoman[local,voices]'"], {False, True}),
        (set[str](), [], {True}),
    ):
        monkeypatch.setattr(languages, "missing_of", lambda extra, missing=missing: [extra] * (extra in missing))
        shown = invoke("languages").stdout
        assert shown.count("pip install") == len(told)
        assert all(line in shown for line in told)
        assert {pair["installed"] for pair in json.loads(invoke("languages", "--json").stdout)} == installed


def test_every_pair_is_in_the_table_of_languages() -> None:
    """Read as a person reads it: a row without a target goes on with the sources of the one above."""
    found, sources, targets, quality = set(), list[str](), list[str](), ""
    for row in invoke("languages").stdout.partition("\n\n")[0].splitlines()[1:]:
        tags, *told = re.split(r" {2,}", row)
        if told:
            sources, targets, quality = [], told[0].split(", "), told[1]
        sources += tags.rstrip(",").split(", ")
        found |= {(source, target, quality) for source in sources for target in targets}
    assert found == {(route.source, route.target, route.quality) for route in table()}


def test_the_schema_is_that_of_the_kinds() -> None:
    schema = json.loads(invoke("schema").stdout)
    assert set(KINDS) == {name.removeprefix("stage-") for name in schema["$defs"] if name.startswith("stage-")}


def test_the_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"dragoman \d+\.\d+\.\d+\S*\n", invoke("--version").stdout)
    assert invoke("-V").stdout == invoke("--version").stdout


# --- doctor


def test_doctor_finds_that_the_core_works() -> None:
    result = invoke("doctor")
    assert result.exit_code == 0, result.output
    assert re.search(r"ok +libsndfile", result.stdout)


def test_doctor_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", version)
    result = invoke("doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 1  # nothing works without numpy
    assert findings["numpy"]["remedy"] == "pip install numpy"
    assert findings["local"]["remedy"] == "pip install 'dragoman[local]'"
    assert "faster-whisper 1.2.1" in findings["local"]["told"]
    assert (findings["trio"]["needed"], findings["trio"]["good"]) == (False, False)
    told = invoke("doctor").stdout
    assert "to mend: pip install numpy\n" in told
    assert "if you want it: pip install 'dragoman[local,voices,media,piper,devices,serve]'" in told


@pytest.mark.parametrize(
    ("wanted", "extras"),
    [("listen", ["local", "voices", "devices"]), ("serve", ["serve", "local", "voices"]), ("piper", ["piper"])],
)
def test_doctor_says_what_is_missing_for_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, wanted: str, extras: list[str]
) -> None:
    monkeypatch.setattr(doctor, "missing_of", lambda extra: [("it", "1.0")])
    monkeypatch.setattr(doctor, "_sound_devices", tuple)
    result = invoke("doctor", wanted)
    assert result.exit_code == 1
    assert re.findall(r"^  missing +(\w+) ", result.stdout, re.MULTILINE) == extras
    assert f"to mend: pip install 'dragoman[{','.join(extras)}]'" in result.stdout
    assert "optional" not in result.stdout


def test_doctor_lets_optional_things_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "missing_of", lambda extra: [("it", "1.0")] * (extra == "media"))
    monkeypatch.setattr(doctor, "_sound_devices", tuple)
    result = invoke("doctor")
    assert result.exit_code == 0
    assert re.search(r"^  optional +media ", result.stdout, re.MULTILINE)
    assert "All that is needed works.\nif you want it: pip install 'dragoman[media]'\n" in result.stdout
    assert invoke("doctor", "translate").stdout.endswith("All that is needed works.\n")


def test_doctor_knows_only_what_there_is() -> None:
    result = invoke("doctor", "lisen")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'listen'?" in result.stderr


def test_doctor_tells_of_weights_that_are_not_the_tested_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.models import weights

    monkeypatch.setattr(weights, "SILERO", weights.Weights("Other", (("pipeline", "py.typed"),), "00"))
    findings = {finding.name: finding for finding in doctor.examine()}
    assert not findings["Other"].good
    assert "not the ones tested" in findings["Other"].told
    assert findings["Other"].needed  # whoever has them uses them
    assert "--force-reinstall" in findings["Other"].remedy


# --- pieces


def test_numbers_are_said_as_a_person_says_them() -> None:
    assert [clock(value) for value in (0, 59.9, 61, 3723)] == ["0:00", "0:59", "1:01", "1:02:03"]
    assert [seconds(value) for value in (0.25, 3.21, 34, 75)] == ["0.250 s", "3.2 s", "34 s", "1:15"]
    assert [times(value) for value in (0.05, 0.5, 5.21, 130)] == ["0.05x", "0.5x", "5.2x", "130x"]
    assert [plural(count, "text") for count in (0, 1, 1200)] == ["0 texts", "1 text", "1,200 texts"]


def test_columns_stand_under_each_other_whatever_is_in_them() -> None:
    rows = [("a", "x"), ("日本", "y"), ("\x1b[1mbold\x1b[0m", "z")]
    assert [width(row[0]) for row in rows] == [1, 4, 4]
    assert list(columns(rows)) == ["a     x", "日本  y", "\x1b[1mbold\x1b[0m  z"]
    assert list(columns([])) == []


def test_the_last_column_is_broken_where_there_is_little_room() -> None:
    rows = [("name", "what there is to say of it, in many words"), ("a", "short")]
    assert list(columns(rows, room=30)) == [
        "name  what there is to say of",
        "      it, in many words",
        "a     short",
    ]
    assert next(columns(rows, room=5)) == "name  what there is to say"  # no narrower than can be read
    assert len(list(columns(rows))) == 2
    assert list(columns([("longer than there is room", "")], room=10)) == ["longer than there is room"]


def test_json_for_a_stream_that_is_not_utf8_is_escaped() -> None:
    streams = [io.TextIOWrapper(io.BytesIO(), encoding) for encoding in ("ascii", "utf-8")]
    for stream in streams:
        JsonLines(stream).write("text", text="é")
        stream.seek(0)
    first, second = (stream.read() for stream in streams)
    assert first == '{"type": "text", "text": "\\u00e9"}\n'
    assert second == '{"type": "text", "text": "é"}\n'


def test_graphs_that_ship_are_found_in_a_wheel_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipeline" / "graphs").mkdir(parents=True)
    (tmp_path / "pipeline" / "graphs" / "mine.yaml").touch()
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "somebody-elses.yaml").touch()
    monkeypatch.setattr(graphs.pipeline, "__file__", str(tmp_path / "pipeline" / "__init__.py"))
    assert list(shipped()) == ["mine"]
