from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.cli.new import graph_from
from pipeline.cli.shortcut import Shortcut
from pipeline.cli.sketch import Sketch, SketchedParam, SketchedStage, literal
from pipeline.load import load
from stages import KINDS


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        ("file//resample//chunk//translate//wav", "file resample chunk translate wav"),
        ("talk.wav//translate:pt-br//out.wav//out.srt", "file resample translate wav subtitles"),
        ("talk.flac//gain:-6//out.wav//tap", "file gain wav tap"),
        ("tone:2s//out.wav//out.flac", "tone wav wav-2"),
        ("tone:2s//silence:3s//mix//out.wav", "tone silence mix wav"),
        ("file//vad//asr:en-us//out.vtt//jsonl", "file resample vad asr subtitles jsonl"),
        ("tone:hz=440,duration=2s,rate=48000//console", None),
        ("tone:2s//resample//vad//asr//mt:pt-br//tts//wav", "tone resample resample-2 vad asr mt tts wav"),
    ],
)
def test_words_make_a_graph_that_is_right(words: str, stages: str | None) -> None:
    result = CliRunner().invoke(cli, ["new", words])
    if stages is None:
        assert result.exit_code == 2
        return
    assert result.exit_code == 0, result.stderr
    loaded = load(result.stdout, "new.yaml", KINDS)
    assert loaded.problems == ()
    assert list(loaded.graph.nodes) == stages.split()


def test_a_sink_reads_what_gives_what_it_takes() -> None:
    sketch = graph_from("talk.wav//translate//out.srt//out.wav//console")
    assert sketch.stages["subtitles"].reads == ["translate.text"]
    assert sketch.stages["wav"].reads == ["translate.audio"]
    assert sketch.stages["console"].reads == ["translate.text"]


def test_required_options_and_files_become_params() -> None:
    sketch = graph_from("talk.wav//translate//wav")
    assert list(sketch.params) == ["input", "source", "target", "wav"]
    assert sketch.params["input"].default == "talk.wav"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "empty word"),
        ("file////wav", "empty word"),
        ("a.wav//b.srt", "nothing before it gives text; put a translate or an asr before it"),
        ("wav", "nothing before it gives audio"),
        ("a.wav//resampel//b.wav", "did you mean 'resample'?"),
        ("a.wav//b.xyz", "files end in .wav, .flac"),
        ("a.wav//gain:dbb=3//b.wav", "gain has no option 'dbb'"),
        ("a.wav//gain:db=3,db=4//b.wav", "sets db twice"),
        ("a.wav//gain:999//b.wav", "cannot be '999'"),
        ("a.wav//mix:1//b.wav", "a list"),
    ],
)
def test_words_that_make_no_graph_are_refused_in_one_line(words: str, said: str) -> None:
    result = CliRunner().invoke(cli, ["new", words])
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_new_writes_into_a_file(tmp_path: Path) -> None:
    target = tmp_path / "graph.yaml"
    assert CliRunner().invoke(cli, ["new", "tone:1s//x.wav", "-o", str(target)]).exit_code == 0
    assert CliRunner().invoke(cli, ["validate", "--deny-warnings", str(target)]).exit_code == 0


@pytest.mark.parametrize(
    "text", ["no", "12:30", "-6", "a: b", "$HOME and ${x}", "{x}", "it's", "日本", "#1", "- a"]
)
def test_a_literal_means_just_that(text: str) -> None:
    stage = SketchedStage("file", (), {"path": literal(text)})
    sketch = Sketch("t", help=text, stages={"talk": stage}, params={"p": SketchedParam(text, text)})
    loaded = load(sketch.as_yaml(), "t.yaml", KINDS)
    assert not loaded.errors
    assert loaded.help == text
    assert str(loaded.graph.nodes["talk"].stage.path) == text  # type: ignore[union-attr]
    assert loaded.params["p"].help == text


# --- the shortcut


def test_the_shortcut_without_outputs_writes_speech_and_subtitles() -> None:
    sketch = Shortcut(recording=Path("a/talk.flac"), target="en-us", source="pt-br").sketch()
    assert sketch.stages["speech"].options["path"] == "talk.en-us.wav"
    assert sketch.stages["subtitles"].options["path"] == "talk.en-us.srt"


def test_the_shortcut_reads_only_what_was_asked_for() -> None:
    sketch = Shortcut(recording=Path("talk.flac"), transcript=Path("t.vtt")).sketch()
    assert list(sketch.stages) == ["recording", "pcm", "interpreter", "transcript"]
    assert sketch.stages["transcript"].reads == ("interpreter.transcript",)


def test_the_shortcut_can_keep_the_original_under_the_speech() -> None:
    shortcut = Shortcut(
        recording=Path("talk.flac"), speech=Path("o.wav"), layout="timeline", under=True, engine="echo"
    )
    (edge,) = [edge for edge in shortcut.graph().edges() if edge.in_port == "under"]
    assert (edge.producer, edge.consumer) == ("pcm", "speech")


def test_the_shortcut_shows_its_graph_and_what_it_shows_is_right() -> None:
    result = CliRunner().invoke(cli, ["translate", "talk.wav", "--under", "--show-graph", "--voice", "pf_dora"])
    assert result.exit_code == 0
    assert load(result.stdout, "shown.yaml", KINDS).ok


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "xx"], "cannot be 'xx'; wanted a language"),
        (["--from", "ko-kr", "--to", "de-de"], "no route from ko-kr to de-de"),
        (["-o", "out.txt"], "wanted a file name that ends in .wav"),
        (["-o", "talk.wav"], "which 'recording' reads"),
        (["--engine", "cloud"], "--engine: 'cloud' is not one of"),
        (["--under", "--layout", "append"], "--under lies under speech at its own time"),
    ],
)
def test_the_shortcut_refuses_in_one_line_without_places(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["translate", "talk.wav", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert ".yaml" not in result.stderr
