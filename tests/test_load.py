from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.graph import Graph
from pipeline.load import Loaded, load, load_file
from pipeline.loading.page import MOST_PROBLEMS
from pipeline.problems import GraphError
from pipeline.stage import StageError
from stages.gain import Gain
from tests.hostile import HOSTILE
from tests.kinds_for_tests import TEST_KINDS, File, Translate, Typed

GRAPHS = Path(__file__).parent / "graphs"
GOOD = sorted((GRAPHS / "good").glob("*.yaml"))
ALL = [path.read_text(encoding="utf-8") for path in [*GOOD, *sorted((GRAPHS / "bad").glob("*.yaml"))]]
TINY = "stages:\n  talk: {use: tone, duration: 1s}\n  out: {use: collect, from: talk}\n"


def loaded(text: str, **more: Any) -> Loaded:
    more.setdefault("env", {})
    return load(text, "g.yaml", TEST_KINDS, **more)


def said(text: str, **more: Any) -> list[str]:
    return [problem.headline for problem in loaded(text, **more).problems]


def check_places(text: str, result: Loaded) -> None:
    """Every problem lies inside the text; without a place it is about the command line."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for problem in result.problems:
        assert problem.where is not None, problem
        assert 1 <= problem.where.line <= len(lines)
        assert 1 <= problem.where.column <= len(lines[problem.where.line - 1]) + 1


# --- good graphs


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_graph_loads_without_a_word(path: Path) -> None:
    given_params = {"input": "talk.mp3"} if path.stem == "design" else {}
    result = load_file(path, TEST_KINDS, params=given_params, env={})
    assert not result.problems, "\n".join(map(str, result.problems))
    assert result.ok
    assert result.raise_for_errors().edges()


def test_the_graph_of_the_design_is_what_it_says() -> None:
    text = (GRAPHS / "good" / "design.yaml").read_text(encoding="utf-8")
    result = loaded(text, params={"input": "talk.mp3", "target": "no"})
    graph = result.raise_for_errors()
    assert result.name == graph.name == "file-to-file"
    assert list(graph.nodes) == ["talk", "pcm", "blocks", "interpreter", "speech", "captions"]
    assert graph.nodes["talk"].stage == File(path=Path("talk.mp3"))
    assert graph.nodes["interpreter"].stage == Translate(source_language="en-us", target_language="no")
    assert [str(read) for read in graph.nodes["captions"].reads] == ["interpreter.text"]
    assert graph.nodes["talk"].kind == "file"
    assert str(graph.nodes["talk"].where) == "g.yaml:6:3"
    assert str(graph.nodes["talk"].option_where["path"]) == "g.yaml:6:31"
    assert str(graph.nodes["captions"].reads[0].where) == "g.yaml:11:36"


def test_edges_may_say_more_than_a_name() -> None:
    graph = load_file(GRAPHS / "good" / "edges.yaml", TEST_KINDS, env={}).raise_for_errors()
    edges = {str(edge): edge for edge in graph.edges()}
    lossy = edges["mic -> both"]
    assert (str(lossy.buffer), lossy.when_full, lossy.plain) == ("2000ms", "drop_oldest", False)
    assert str(edges["beep -> file.under"].buffer) == "32"
    assert edges["both -> watch"].tap


def test_a_graph_without_a_name_is_called_as_its_file() -> None:
    assert load(TINY, "a/my-graph.yaml", TEST_KINDS).name == "my-graph"
    assert loaded("name: other\nhelp: me\n" + TINY).help == "me"
    assert loaded("description: me\n" + TINY).help == "me"


# --- all problems at once, in the order of the file


def test_every_problem_is_said_at_once() -> None:
    text = """
nmae: six mistakes
params: {input: {help: what to read}}
stages:
  talk: {use: tone, duration: 2 sec, rate: 2, rate: 3}
  soft: {use: gian, from: talk, db: -6}
  pcm: {use: resample, from: soft, rte: 24000}
  svc: {use: remote, from: pcmm}
  out: {use: collect, from: {stage: svc.adio, bufer: 1s}}
"""
    assert said(text) == [
        "g.yaml:2:1: error: a graph has no key 'nmae'",
        "g.yaml:3:10: error: param 'input' has no value",
        "g.yaml:3:10: warning: nothing refers to the param 'input'",
        "g.yaml:5:31: error: 'talk.duration' cannot be '2 sec'",
        "g.yaml:5:44: error: 'talk.rate' cannot be '2'",
        "g.yaml:5:47: error: 'rate' is written twice, first on line 5",
        "g.yaml:6:15: error: 'soft': 'gian' is no kind of stage",
        "g.yaml:7:36: error: 'pcm' (resample) has no option 'rte'",
        "g.yaml:8:3: error: 'svc' needs the option 'url'",
        "g.yaml:8:28: error: 'svc' reads 'pcmm', which is no stage of this graph",
        "g.yaml:9:47: error: 'from' of 'out' has no key 'bufer'",
    ]


def test_what_a_stage_that_is_wrong_reads_is_looked_at_too() -> None:
    text = "stages:\n  talk: {use: tone, duration: 1s}\n  out: {use: gain, from: talk.outt, db: loud}\n"
    assert [line.partition("error: ")[2] for line in said(text)] == [
        "'talk' has no output 'outt'",
        "'out.db' cannot be 'loud'",
    ]


def test_a_param_whose_reference_is_replaced_from_outside_is_no_mistake() -> None:
    text = "params: {level: {default: '-6'}}\nstages:\n  talk: {use: tone, duration: 1s}\n"
    text += "  soft: {use: gain, from: talk, db: '${level}'}\n  out: {use: collect, from: soft}\n"
    assert loaded(text, options={"soft.db": "-3"}).problems == ()


def test_a_problem_shows_line_place_and_remedy() -> None:
    (problem,) = loaded(
        "stages:\n  talk: {use: tone, duration: 1s, chanels: 2}\n  out: {use: collect, from: talk}"
    ).problems
    assert str(problem) == (
        "g.yaml:2:35: error: 'talk' (tone) has no option 'chanels'\n"
        "      talk: {use: tone, duration: 1s, chanels: 2}\n"
        "                                      ^\n"
        "    wanted: one of: hz, db, duration, rate, channels, block_ms, realtime, from, use\n"
        "    came:   'chanels'\n"
        "    try:    did you mean 'channels'?"
    )


def test_the_place_on_a_long_line_is_in_the_window_shown() -> None:
    text = "stages: {" + " " * 5000 + "talk: {use: tone, duration: x}, out: {use: collect, from: talk}}"
    lines = str(loaded(text).problems[0]).splitlines()
    assert lines[1][lines[2].index("^")] == "x"
    assert max(map(len, lines)) < 200


def test_problems_are_no_more_than_anybody_reads() -> None:
    assert len(loaded("".join(f"key{n}: a\n" for n in range(1000))).problems) == MOST_PROBLEMS + 1


def test_errors_and_warnings() -> None:
    result = loaded("params: {a: b}\n" + TINY)
    assert result.ok
    assert [problem.warning for problem in result.problems] == [True]
    assert (result.errors, len(result.warnings)) == ((), 1)
    assert isinstance(result.raise_for_errors(), Graph)
    bad = loaded("params: {a: b}\nodd: 1\n" + TINY)
    assert not bad.ok
    with pytest.raises(GraphError) as caught:
        bad.raise_for_errors()
    assert caught.value.problems == bad.problems


# --- from outside


def test_an_option_can_be_set_from_outside() -> None:
    text = "params: {a: x}\nstages: {it: {use: typed, whole: 1, text: ${a}}, out: {use: collect, from: it}}"
    options = {"whole": "2", "texts": "[a, no]", "choice": "no", "either": "", "names": "{a: 1}"}
    result = loaded(text, options={f"it.{name}": value for name, value in options.items()})
    assert not result.problems
    assert result.graph.nodes["it"].stage == Typed(
        whole=2, text="x", texts=["a", "no"], choice="no", either=None, names={"a": 1}
    )


def test_what_is_read_can_be_set_from_outside() -> None:
    text = TINY + "  soft: {use: gain, from: talk, db: -6}\n"
    graph = loaded(text, options={"out.from": "soft"}).raise_for_errors()
    assert [str(edge) for edge in graph.edges()] == ["talk -> soft", "soft -> out"]
    graph = loaded(text, options={"out.from": "[talk, {stage: soft, buffer: 3}]"}).raise_for_errors()
    assert [str(edge.buffer) for edge in graph.edges()] == ["16", "16", "3"]
    graph = loaded(text, options={"soft.use": "resample", "soft.db": ""}, complete=False).graph
    assert graph.nodes["soft"].kind == "resample"


def test_a_missing_option_can_come_from_outside() -> None:
    text = "stages: {talk: {use: tone}, out: {use: collect, from: talk}}"
    assert loaded(text, options={"talk.duration": "1:30"}).ok


@pytest.mark.parametrize(
    ("option", "value", "headline"),
    [
        ("talk.rate", "x", "error: 'talk.rate' cannot be 'x' (given on the command line)"),
        ("talk.rate", "5", "error: 'talk.rate' cannot be '5' (given on the command line)"),
        ("talk.rte", "5", "error: 'talk' (tone) has no option 'rte' (given on the command line)"),
        ("tlak.rate", "5", "error: there is no stage 'tlak' (given on the command line)"),
        ("rate", "5", "error: 'rate' is no option of a stage (given on the command line)"),
        ("out.from", "tlak", "error: 'out' reads 'tlak', which is no stage of this graph"),
        ("talk.rate", "${x}", "error: there is no param 'x'"),
    ],
)
def test_what_is_wrong_on_the_command_line_has_no_place(option: str, value: str, headline: str) -> None:
    problem = loaded(TINY, options={option: value}).problems[0]
    # A name in `from` is looked up by the check, which knows where the stage stands.
    assert problem.headline.removeprefix("g.yaml:3:3: ") == headline


# --- files


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    (problem,) = load_file(missing, TEST_KINDS).problems
    assert problem.headline == f"error: cannot read the graph '{missing}': no such file or directory"
    assert "is a directory" in load_file(tmp_path, TEST_KINDS).problems[0].what
    assert "null byte" in load_file("a\0b", TEST_KINDS).problems[0].what
    assert "cannot read" in load_file("x" * 5000, TEST_KINDS).problems[0].what


@pytest.mark.parametrize(
    ("data", "headline"),
    [
        (b"", "1:1: error: the file is empty"),
        (TINY.encode("utf-16"), "1:1: error: the file is UTF-16"),
        (TINY.encode("utf-16-be"), "1:1: error: the file holds a character that no text has"),
        ("a: \u00e9".encode() + b" \xff\n" + TINY.encode(), "1:6: error: the file is not UTF-8"),
        (b"\xef\xbb\xbfa: b\nc: \xff", "2:4: error: the file is not UTF-8"),
        ("name: \u00e9\n".encode("latin-1") + TINY.encode(), "1:7: error: the file is not UTF-8"),
        (b"\0" * 1000, "1:1: error: the file holds a character that no text has"),
        (b"\x7fELF\x02\x01", "1:1: error: the file holds a character that no text has"),
        (b"RIFF\n\x9f", "2:1: error: the file is not UTF-8"),
        (b"\xff" * 3_000_000, "1:1: error: the file is UTF-16"),
        (b"\xe9" * 3_000_000, "1:262145: error: the file is too long"),
    ],
)
def test_a_file_that_is_no_text_is_a_problem_with_a_place(tmp_path: Path, data: bytes, headline: str) -> None:
    path = tmp_path / "g.yaml"
    path.write_bytes(data if data != b"\xff" * 3_000_000 else b"\xff\xfe" + data)
    assert [problem.headline for problem in load_file(path, TEST_KINDS).problems] == [f"{path}:{headline}"]


def test_how_a_file_ends_its_lines_or_begins_changes_nothing(tmp_path: Path) -> None:
    text = TINY + "  odd: {use: gain, from: tlak, db: 1}\n"
    want = said(text)
    for name, data in (("crlf", text.replace("\n", "\r\n")), ("bom", "\ufeff" + text), ("end", text.rstrip("\n"))):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "g.yaml"
        path.write_bytes(data.encode())
        got = [
            problem.headline.removeprefix(f"{path.parent}/") for problem in load_file(path, TEST_KINDS).problems
        ]
        assert got == want, name


# --- kinds


class Broken(Mapping[str, type[Any]]):
    """Kinds one of which cannot be imported."""

    def __getitem__(self, name: str) -> type[Any]:
        if name == "theirs":
            raise StageError("the stage 'theirs' of the package them cannot be imported: ImportError: no")
        return {"gain": Gain, "odd": int}[name]

    def __iter__(self) -> Any:
        return iter(["gain", "theirs", "odd"])

    def __len__(self) -> int:
        return 3


def test_a_kind_that_cannot_be_had_is_a_problem_where_it_is_used() -> None:
    text = "stages:\n  a: {use: theirs, x: 1}\n  b: {use: odd, from: a}\n  c: {use: gain, from: b, db: 1}\n"
    assert [problem.headline for problem in load(text, "g.yaml", Broken()).errors] == [
        "g.yaml:2:12: error: 'a': the stage 'theirs' of the package them cannot be imported: ImportError: no",
        "g.yaml:3:12: error: 'b': the kind of stage 'odd' cannot be built from YAML: it is no attrs class",
    ]


# --- whatever comes


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_answered_within_a_second_and_100_MB(name: str) -> None:
    text = HOSTILE[name]
    began, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = loaded(text)
    printed = "\n".join(map(str, result.problems))
    assert time.process_time() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 100_000, "KiB"
    assert len(result.problems) <= MOST_PROBLEMS + 1
    assert len(printed) < 200_000
    check_places(text, result)


@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    check_places(text, loaded(text))


@given(st.text("{}[]:,-?&*!|>'\"%@#$~\\ \n\tab<", max_size=60))
def test_any_yaml_punctuation_is_answered(text: str) -> None:
    check_places(text, loaded(text))
    check_places(TINY + text, loaded(TINY + text))


PIECES = [*" \n\t[]{}:'\"~<", "- ", "&a ", "*a", "!t ", "${", "${a}", "<<: *a"]


@given(st.data())
def test_any_change_to_a_graph_is_answered(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(ALL))
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = begin + data.draw(st.integers(0, 12))
        other = data.draw(st.sampled_from(ALL))
        put = data.draw(st.sampled_from(["", other[begin:end], *PIECES]) | st.text(max_size=4))
        text = text[:begin] + put + text[end:]
    result = loaded(text)
    check_places(text, result)


@given(st.binary(max_size=100))
def test_any_bytes_are_answered(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any", numbered=True) / "g.yaml"
    path.write_bytes(data)
    assert isinstance(load_file(path, TEST_KINDS).problems, tuple)


def test_thirty_stages_load_in_a_blink() -> None:
    lines = [f"  s{n}: {{use: gain, from: s{n - 1}, db: -1}}\n" for n in range(1, 29)]
    text = "stages:\n  s0: {use: tone, duration: 2s}\n" + "".join(lines) + "  out: {use: collect, from: s28}\n"
    assert loaded(text).ok
    began = time.process_time()
    loaded(text)
    assert time.process_time() - began < 0.1
