from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.drawing import dot, drawing_of, mermaid
from pipeline.cli.layout import Line, lay_out
from pipeline.cli.main import cli
from pipeline.cli.svg import svg
from pipeline.graph import Graph
from pipeline.node import Buffer, Read
from pipeline.testing import Collect, Playlist, noise
from tests.stages_for_tests import Divide, Pass, Twofold


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[float, float]], list[Line]]:
    """Boxes of various sizes, and lines that go from earlier to later ones."""
    count = draw(st.integers(1, 9))
    names = [f"n{number}" for number in range(count)]
    sizes = {name: (draw(st.integers(40, 160)) * 1.0, draw(st.integers(30, 90)) * 1.0) for name in names}
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=14, unique=True))
    ports = st.sampled_from(["", "audio", "text"])
    lines = [
        Line(start, end, draw(st.integers(0, 50)) * 1.0, draw(st.integers(0, 50)) * 1.0, draw(ports))
        for start, end in pairs
        if start < end
    ]
    return sizes, lines


@given(graphs())
def test_boxes_never_overlap_and_lines_go_from_left_to_right(
    graph: tuple[dict[str, tuple[float, float]], list[Line]],
) -> None:
    sizes, lines = graph
    layout = lay_out(sizes, lines)
    for one, other in itertools.combinations(layout.boxes.values(), 2):
        apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
        apart_y = one.y + one.height <= other.y + 1e-6 or other.y + other.height <= one.y + 1e-6
        assert apart_x or apart_y
    for line, route in zip(lines, layout.routes, strict=True):
        start, end = layout.boxes[line.start], layout.boxes[line.end]
        assert (route[0].left, route[-1].right) == (start.x + start.width, end.x)
        assert start.y <= route[0].y <= start.y + start.height
        assert end.y <= route[-1].y <= end.y + end.height
        for before, after in itertools.pairwise(route):
            assert before.left <= before.right < after.left
    for box in layout.boxes.values():
        assert -1e-6 <= box.x <= box.x + box.width <= layout.width + 1e-6
        assert -1e-6 <= box.y <= box.y + box.height <= layout.height + 1e-6


@given(graphs())
def test_a_line_never_passes_behind_a_box(graph: tuple[dict[str, tuple[float, float]], list[Line]]) -> None:
    sizes, lines = graph
    layout = lay_out(sizes, lines)
    for line, route in zip(lines, layout.routes, strict=True):
        for name, box in layout.boxes.items():
            if name not in (line.start, line.end):
                for level in route:
                    beside = level.right <= box.x or level.left >= box.x + box.width
                    assert beside or not box.y < level.y < box.y + box.height


def test_lines_cross_only_where_they_must() -> None:
    """The order in which stages are written would make three crossings here."""
    lines = [Line("a", "z", port="z"), Line("a", "y", port="y"), Line("a", "x", port="x")]
    layout = lay_out(dict.fromkeys("axyz", (50.0, 50.0)), lines)
    leaving = [route[0].y for route in layout.routes]
    arriving = [route[-1].y for route in layout.routes]
    assert sorted(leaving) in (leaving, leaving[::-1])
    assert (sorted(leaving) == leaving) == (sorted(arriving) == arriving)


def test_what_leaves_by_one_port_leaves_at_one_place() -> None:
    layout = lay_out(dict.fromkeys("abc", (50.0, 50.0)), [Line("a", "b"), Line("a", "c")])
    first, second = layout.routes
    assert first[0] == second[0]


def example() -> Graph:
    graph = Graph("a & b").add("talk", Playlist(items=[noise(10)])).add("loud", Pass(), "talk")
    graph.add("two", Divide(), "loud").add("even", Collect(), "two.even")
    return graph.add("end", Collect(), Read("two", "odd", buffer=Buffer(ms=2000), when_full="drop_oldest"))


def test_an_svg_names_every_stage_and_port_and_shows_what_is_lossy() -> None:
    root = ET.fromstring(svg(drawing_of(example())))
    words = {"".join(element.itertext()).strip() for element in root.iter() if element.tag.endswith("text")}
    assert {"talk", "loud", "two", "even", "end", "drop oldest · 2 s"} <= words
    assert {word.split()[0] for word in words} >= {"even", "odd", "24"}
    classes = [element.get("class") for element in root.iter() if element.tag.endswith("path")]
    assert classes.count("line lossy") == 1


def test_an_svg_stands_by_itself_on_light_and_on_dark() -> None:
    text = svg(drawing_of(example()))
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"<script|<image|<use|@import|url\(|href", text)


def test_a_planned_drawing_has_a_group_for_each_shared_task() -> None:
    root = ET.fromstring(svg(drawing_of(example(), plan=True)))
    groups = [element for element in root.iter() if element.get("class") == "task"]
    assert [next(iter(group)).text for group in groups] == ["one task: talk > loud > two"]
    assert "subgraph task1" in mermaid(drawing_of(example(), plan=True))
    assert "subgraph cluster_1" in dot(drawing_of(example(), plan=True))


def test_a_planned_drawing_shows_an_assembly_in_parts() -> None:
    graph = Graph().add("a", Playlist(items=[noise(10)])).add("two", Twofold(), "a")
    graph.add("b", Collect(), "two.text")
    assert "two/halve" not in drawing_of(graph).shapes
    assert "two/halve" in drawing_of(graph, plan=True).shapes


def test_mermaid_gets_identifiers_that_it_takes() -> None:
    """`end` is a word of Mermaid's own."""
    lines = mermaid(drawing_of(example())).splitlines()
    assert lines[0] == "flowchart LR"
    assert '  stage4["end<br/><small>collect</small>"]:::sink' in lines
    assert '  two -.->|"odd, 24 kHz mono, drop oldest at 2 s"| stage4' in lines


def test_dot_is_quoted_and_a_lossy_edge_dashed() -> None:
    text = dot(drawing_of(Graph('say "hi"', example().nodes)))
    assert text.startswith('digraph "say \\"hi\\"" {')
    assert "style=dashed" in next(line for line in text.splitlines() if '-> "end"' in line)


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        ([], "flowchart LR"),
        (["--as", "dot"], "digraph"),
        (["--as", "svg"], "<svg"),
        (["--plan"], "task 1: talk > pcm"),
    ],
)
def test_the_command_draws_a_shipped_graph_whose_input_nobody_has_named(arguments: list[str], begins: str) -> None:
    result = CliRunner().invoke(cli, ["graph", "file-to-file", *arguments])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(begins)


def test_the_suffix_of_the_output_says_how_to_draw(tmp_path: Path) -> None:
    for name, begins in (("g.svg", "<svg"), ("g.dot", "digraph"), ("g.mmd", "flowchart")):
        result = CliRunner().invoke(cli, ["graph", "dub", "-o", str(tmp_path / name)])
        assert (result.exit_code, result.stdout) == (0, "")
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)
    result = CliRunner().invoke(cli, ["graph", "dub", "-o", str(tmp_path / "no" / "where.svg")])
    assert result.exit_code == 1
    assert "no such file or directory" in result.stderr


def test_a_suffix_of_no_drawing_is_refused(tmp_path: Path) -> None:
    picture = tmp_path / "call.png"
    result = CliRunner().invoke(cli, ["graph", "call", "-o", str(picture)])
    assert result.exit_code == 2
    assert "no drawing ends in .png: wanted .mmd, .mermaid, .dot, .gv, .svg, or --as" in result.stderr
    assert not picture.exists()
    assert CliRunner().invoke(cli, ["graph", "call", "--as", "dot", "-o", str(picture)]).exit_code == 0


def test_a_graph_that_is_wrong_is_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("stages: {a: {use: nope}}\n")
    result = CliRunner().invoke(cli, ["graph", str(tmp_path / "bad.yaml")])
    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr.splitlines()[-1] == "dragoman: error: 1 error in the graph"
