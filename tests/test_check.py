"""What the check finds in graphs that are built in code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import define, field

from pipeline.caps import ANY, AUDIO, TEXT, AudioCaps, Caps, Port
from pipeline.check import flow_order
from pipeline.graph import Graph
from pipeline.items import Text
from pipeline.node import Buffer, Read, parse_buffer
from pipeline.problems import GraphError, Problem, Where, did_you_mean, one_of
from pipeline.stage import Duration, option
from pipeline.testing import Collect, Playlist, noise
from stages.gain import Gain
from tests.kinds_for_tests import File, Live, Remote, Typed, Wary, Write


def source(rate: int = 24000, channels: int = 1) -> Playlist:
    return Playlist(items=[noise(10, rate, channels)])


def texts() -> Playlist:
    return Playlist(items=[Text("a", 0, 1)])


def said(graph: Graph) -> list[str]:
    return [problem.headline for problem in graph.check()]


def only(graph: Graph) -> Problem:
    (problem,) = graph.check()
    return problem


@define(kw_only=True)
class Strict:
    """A transform that trips over caps it cannot take, as a stage may: it need not defend itself."""

    seen: list[Mapping[str, Caps]] = field(factory=list)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(16000, 1))}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        self.seen.append(caps)
        came = caps["in"]
        assert isinstance(came, AudioCaps)
        assert came.rate_hz == 16000
        return {"out": came}


class Portless:
    """A transform whose author has forgotten `accepts` and `gives`."""

    def feed(self, item: Text) -> list[Text]:
        return [item]

    def flush(self) -> list[Text]:
        return []


class Mute(Portless):
    """One whose author has forgotten `gives`."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY)}


@pytest.mark.parametrize(
    ("stage", "lacking"),
    [(Portless(), "Portless has no `accepts` and no `gives`"), (Mute(), "Mute has no `gives`")],
)
def test_what_a_class_lacks_to_be_a_stage_is_said(stage: Any, lacking: str) -> None:
    graph = Graph().add("talk", source()).add("own", stage, "talk").add("all", Collect(), "own")
    assert only(graph).what == f"'own' is no stage: {lacking}"
    with pytest.raises(GraphError, match="is no stage"):
        graph.edges()


@define(kw_only=True)
class Two:
    """A sink with a second input that may be left out."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO), "under": Port(AUDIO, optional=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        if caps.get("under", AUDIO) not in (AUDIO, caps["in"]) and caps["in"] != AUDIO:
            raise ValueError("wanted two of a kind: put a `resample` before one")
        return {}


@define(kw_only=True)
class Tap(Collect):
    watches: ClassVar[bool] = True


@define(kw_only=True)
class Copy:
    """A stage that reads one file and writes another."""

    reads: Path = option(help="from", opens="reads")
    writes: Path = option(help="to", opens="writes")
    wait: Duration = option(Duration(1), help="wait")

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}


def test_a_good_graph_has_nothing_to_say() -> None:
    graph = (
        Graph().add("talk", source()).add("soft", Gain(db=1), "talk").add("all", Collect(), ["soft", "talk.out"])
    )
    assert graph.check() == []
    assert [(edge.lane, edge.caps) for edge in graph.edges()] == [
        ("in", AudioCaps(24000, 1)),
        ("in.0", AudioCaps(24000, 1)),
        ("in.1", AudioCaps(24000, 1)),
    ]


def test_an_empty_graph_is_none() -> None:
    assert said(Graph()) == ["error: a graph needs at least one stage"]


def test_a_name_can_be_had_once() -> None:
    with pytest.raises(GraphError, match="there is a stage named 'talk' already"):
        Graph().add("talk", source()).add("talk", source())


@pytest.mark.parametrize("name", ["", "a.b", "a b", "é", "-", "a" * 101])
def test_a_name_is_letters_digits_and_dashes(name: str) -> None:
    with pytest.raises(GraphError, match="is no name for a stage"):
        Graph().add(name, source())


def test_what_is_read_must_be_there() -> None:
    problem = only(Graph().add("talk", source()).add("soft", Gain(db=1), "talk").add("all", Collect(), "sofd"))
    assert problem.what == "'all' reads 'sofd', which is no stage of this graph"
    assert (problem.wanted, problem.remedy) == ("one of: talk, soft", "did you mean 'soft'?")
    problem = only(Graph().add("talk", source()).add("all", Collect(), ["talk", "other"]))
    assert problem.remedy == "add a stage 'other', or read another"


def test_a_name_that_is_not_there_leaves_nobody_unread() -> None:
    graph = Graph().add("talk", source()).add("all", Collect(), "tlak").add("more", Collect(), "talk2")
    assert said(graph) == [
        "error: 'all' reads 'tlak', which is no stage of this graph",
        "error: 'more' reads 'talk2', which is no stage of this graph",
    ]


def test_a_port_must_be_there() -> None:
    graph = Graph().add("talk", source()).add("svc", Remote(url="a"), "talk")
    problem = only(graph.add("all", Collect(), "svc.txt"))
    assert problem.what == "'svc' has no output 'txt'"
    assert (problem.wanted, problem.remedy) == ("one of: svc.audio, svc.text", "did you mean 'text'?")


def test_an_input_must_be_there() -> None:
    problem = only(Graph().add("talk", source()).add("out", Two(), [Read("talk", into="undr"), "talk"]))
    assert problem.what == "'out' has no input 'undr'"
    assert (problem.wanted, problem.remedy) == ("one of: in, under", "did you mean 'under'?")


@pytest.mark.parametrize(
    ("rate", "channels", "remedy"),
    [
        (48000, 1, "{use: resample, rate: 24000}"),
        (24000, 2, "{use: resample, channels: 1}"),
        (48000, 2, "{use: resample, rate: 24000, channels: 1}"),
    ],
)
def test_audio_that_does_not_fit_wants_a_resample(rate: int, channels: int, remedy: str) -> None:
    graph = (
        Graph()
        .add("talk", source(rate, channels))
        .add("svc", Remote(url="a"), "talk")
        .add("all", Collect(), "svc")
    )
    problem = only(graph)
    assert problem.what == "what 'talk' gives does not fit into 'svc'"
    assert problem.remedy == f"put a `resample` between them: {remedy}"


def test_text_and_audio_are_not_the_same() -> None:
    problem = only(Graph().add("talk", texts()).add("soft", Gain(db=1), "talk").add("all", Collect(), "soft"))
    assert (problem.wanted, problem.came) == ("audio (any rate, any channels)", "text")
    assert "put a `tts` between them" in problem.remedy


@pytest.mark.parametrize("stage", [texts(), source(48000), None])
def test_a_stage_is_asked_only_about_what_it_can_take(stage: Playlist | None) -> None:
    strict = Strict()
    graph = Graph().add("talk", stage or Unknown()).add("strict", strict, "talk").add("all", Collect(), "strict")
    assert len(graph.check()) == (0 if stage is None else 1)
    assert strict.seen
    assert all(caps == {"in": AudioCaps(16000, 1)} for caps in strict.seen)


def test_what_is_unknown_is_taken_for_what_was_wanted() -> None:
    strict = Strict()
    graph = Graph().add("talk", None).add("strict", strict, "talk").add("all", Collect(), "strict.outt")
    assert only(graph).what == "'strict' has no output 'outt'"
    assert strict.seen
    assert all(caps == {"in": AudioCaps(16000, 1)} for caps in strict.seen)


@define(kw_only=True)
class Unknown:
    """A source that gives nobody knows what."""

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": ANY}


def test_a_circle_is_named_whole() -> None:
    graph = Graph().add("talk", source())
    graph.add("a", Collect2(), ["c", "talk"]).add("b", Collect2(), "a").add("c", Collect2(), "b")
    graph.add("all", Collect(), "c")
    assert said(graph) == ["error: the stages go round in a circle: b -> c -> a -> b"]


@define(kw_only=True)
class Collect2:
    """A stage that takes and gives anything."""

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY, many=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": ANY}


def test_each_circle_is_told() -> None:
    graph = Graph().add("a", Collect2(), "b").add("b", Collect2(), "a").add("c", Collect2(), "c")
    assert said(graph.add("d", Collect2(), ["a", "e"]).add("e", Collect2(), "d").add("all", Collect(), "e")) == [
        "error: the stages go round in a circle: b -> a -> b",
        "error: the stages go round in a circle: c -> c",
        "error: the stages go round in a circle: e -> d -> e",
    ]


def test_the_circle_is_shown_where_it_closes() -> None:
    where = Where("g", 7, 3)
    graph = Graph().add("a", Collect2(), Read("b", where=where)).add("b", Collect2(), "a").add("c", Collect(), "b")
    assert only(graph).where == where


def test_flow_order_puts_producers_first_and_leaves_circles_out() -> None:
    graph = Graph().add("c", Collect(), "b").add("b", Gain(db=1), "a").add("a", source())
    graph.add("x", Collect2(), "y").add("y", Collect2(), "x").add("z", Collect(), "x")
    assert flow_order(graph.nodes) == ["a", "b", "c"]


def test_an_input_must_be_fed_unless_it_is_optional() -> None:
    graph = Graph().add("talk", source()).add("out", Two(), Read("talk", into="under"))
    problem = only(graph)
    assert problem.what == "nothing feeds the input 'in' of 'out'"
    assert "talk" in problem.remedy
    assert Graph().add("talk", source()).add("out", Two(), "talk").check() == []
    assert "add a source" in only(Graph().add("out", Two())).remedy


def test_an_input_takes_one_producer_unless_it_takes_many() -> None:
    problem = only(Graph().add("a", source()).add("b", source()).add("out", Two(), ["a", "b"]))
    assert problem.what == "two things feed the input 'in' of 'out', which takes one"
    assert problem.remedy == "say which input it is for (`into: under`), or put a `mix` between them"
    assert (
        Graph().add("a", source()).add("b", source()).add("out", Two(), ["a", Read("b", into="under")]).check()
        == []
    )


def test_a_source_reads_nothing_and_a_sink_gives_nothing() -> None:
    graph = Graph().add("talk", source()).add("more", source(), "talk").add("out", Collect(), ["more", "talk"])
    assert said(graph.add("again", Collect(), "out")) == [
        "error: 'more' is a source: it reads nothing",
        "error: 'again' reads 'out', which gives nothing: it is a sink",
    ]


def test_an_output_that_nobody_reads_is_worth_a_warning() -> None:
    problem = only(Graph().add("talk", source()).add("walk", source()).add("all", Collect(), "talk"))
    assert problem.headline == "warning: nobody reads what 'walk' gives"
    assert problem.came == "walk.out"


def test_what_a_stage_refuses_is_told_with_its_name() -> None:
    graph = Graph().add("a", source()).add("b", source(48000)).add("out", Two(), ["a", Read("b", into="under")])
    assert said(graph) == ["error: 'out': wanted two of a kind: put a `resample` before one"]


def test_a_stage_that_was_not_built_is_left_alone_and_so_is_what_reads_it() -> None:
    graph = Graph().add("talk", None).add("svc", Remote(url="a"), "talk").add("soft", Gain(db=1), "svc")
    assert said(graph.add("out", Collect(), ["soft", "talk.text"])) == []


# --- hazards


def test_a_live_source_wants_an_edge_that_says_what_to_lose() -> None:
    problem = only(Graph().add("mic", Live()).add("all", Collect(), "mic"))
    assert problem.headline == ("warning: 'all' can hold up 'mic', which is live: it cannot wait, only overrun")
    assert problem.remedy == "from: {stage: mic, buffer: 2s, when_full: drop_oldest}"
    for good in (Read("mic", when_full="drop_oldest"), Read("mic", when_full="drop_newest")):
        assert Graph().add("mic", Live()).add("all", Collect(), good).check() == []
    assert Graph().add("mic", Live()).add("tap", Tap(), "mic").check() == []
    assert Graph().add("mic", Live(live=False)).add("all", Collect(), "mic").check() == []


def test_only_what_stands_straight_behind_a_live_source_is_warned() -> None:
    graph = Graph().add("mic", Live()).add("soft", Gain(db=1), Read("mic", when_full="drop_oldest"))
    assert graph.add("all", Collect(), "soft").check() == []


@pytest.mark.parametrize("path", ["a.wav", "./a.wav", "x/../a.wav", Path("a.wav").absolute()])
def test_nothing_is_written_over_what_is_read_or_written(path: str | Path) -> None:
    reading = Graph().add("talk", File(path=Path("a.wav"))).add("out", Write(path=Path(path)), "talk")
    assert only(reading).what == f"'out' writes {Path(path)}, which 'talk' reads"
    writing = Graph().add("talk", source()).add("one", Write(path=Path("a.wav")), "talk")
    assert (
        only(writing.add("two", Write(path=Path(path)), "talk")).what
        == f"'two' writes {Path(path)}, which 'one' writes"
    )
    both = Graph().add("copy", Copy(reads=Path("a.wav"), writes=Path(path)))
    assert only(both).what == f"'copy' writes {Path(path)}, which 'copy' reads"


def test_a_file_may_be_read_twice_and_a_terminal_written_twice() -> None:
    graph = (
        Graph()
        .add("a", File(path=Path("a.wav")))
        .add("b", File(path=Path("a.wav")))
        .add("all", Collect(), ["a", "b"])
    )
    assert graph.check() == []
    for place in ("-", "/dev/null"):
        graph = (
            Graph()
            .add("a", source())
            .add("b", Write(path=Path(place)), "a")
            .add("c", Write(path=Path(place)), "a")
        )
        assert graph.check() == []
    assert Graph().add("a", Typed()).add("b", Typed()).add("all", Collect(), ["a", "b"]).check() == []


def test_a_path_is_shown_where_it_stands() -> None:
    where = Where("g", 3, 9)
    graph = Graph().add("talk", File(path=Path("a.wav")))
    graph.add("out", Write(path=Path("a.wav")), "talk", option_where={"path": where})
    assert only(graph).where == where


# --- as they are told


def test_problems_come_in_the_order_of_the_file() -> None:
    graph = (
        Graph().add("b", Collect(), "x", where=Where("g", 9, 1)).add("a", Collect(), "y", where=Where("g", 2, 5))
    )
    assert [str(problem.where) for problem in graph.check()] == ["g:2:5", "g:9:1"]


def test_edges_are_not_told_of_a_wrong_graph() -> None:
    with pytest.raises(GraphError) as caught:
        Graph().add("all", Collect(), "talk").edges()
    assert [problem.what for problem in caught.value.problems] == [
        "'all' reads 'talk', which is no stage of this graph"
    ]
    assert "which is no stage of this graph" in str(caught.value)


def test_a_problem_is_shown_with_its_line_and_a_caret() -> None:
    problem = Problem("no", Where("g", 2, 3, "\t-x"), "this", "that", "do")
    assert (
        str(problem) == "g:2:3: error: no\n    \t-x\n    \t ^\n    wanted: this\n    came:   that\n    try:    do"
    )
    long = str(Problem("no", Where("g", 1, 5001, "." * 5000 + "x" + "." * 5000))).splitlines()
    assert long[1][long[2].index("^")] == "x"


def test_did_you_mean() -> None:
    assert did_you_mean("rte", ["rate", "channels"]) == "did you mean 'rate'?"
    assert did_you_mean("xyz", ["rate", "channels"]) == ""
    assert one_of([]) == "none is there"
    assert one_of(map(str, range(20)), most=3) == "one of: 0, 1, 2 and 17 more"


@pytest.mark.parametrize(
    ("text", "buffer"),
    [
        ("1", Buffer(items=1)),
        ("16", Buffer(items=16)),
        ("500ms", Buffer(ms=500)),
        ("1.5s", Buffer(ms=1500)),
        ("1:00", Buffer(ms=60000)),
    ],
)
def test_buffers(text: str, buffer: Buffer) -> None:
    assert parse_buffer(text) == buffer


@pytest.mark.parametrize("text", ["0", "-1", "1234567", "0ms", "2h", "big", "", "1.5", "0.1ms"])
def test_no_buffers(text: str) -> None:
    with pytest.raises(ValueError, match="wanted"):
        parse_buffer(text)


def test_reads() -> None:
    assert Read.parse("a") == Read("a")
    assert Read.parse("a.b") == Read("a", "b")
    assert str(Read("a", "b")) == "a.b"
    assert TEXT != AUDIO


def test_a_stage_named_in_an_option_must_be_there_and_be_of_use() -> None:
    graph = Graph().add("mike", Live(live=False)).add("tone", source()).add("keep", Collect(), "tone")
    problem = only(graph.add("wary", Wary(of="mice"), "mike"))
    assert problem.what == "'wary.of' names 'mice', which is no stage of this graph"
    assert problem.wanted == "one of: mike"
    assert problem.remedy == "did you mean 'mike'?"


def test_a_stage_named_in_an_option_that_cannot_be_built_is_left_alone() -> None:
    graph = Graph().add("mike", Live(live=False)).add("broken", None)
    assert said(graph.add("wary", Wary(of="broken"), "mike")) == []
