from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.loading.page import Findings, Page
from pipeline.loading.yaml_nodes import Scalar, Series, Table, Yaml, compose, compose_flow


def nodes(text: str) -> Yaml:
    findings = Findings(Page("g.yaml", text))
    node = compose(findings)
    assert not findings.problems(), findings.problems()
    assert node is not None
    return node


def plain(node: Yaml | None) -> Any:
    """Texts, lists and dicts."""
    if isinstance(node, Table):
        return {entry.key.text: plain(entry.value) for entry in node.entries}
    if isinstance(node, Series):
        return [plain(each) for each in node.nodes]
    assert isinstance(node, Scalar)
    return node.text


def said(text: str) -> list[str]:
    findings = Findings(Page("g.yaml", text))
    compose(findings)
    return [problem.headline for problem in findings.problems()]


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=12) | st.sampled_from(
    [
        "no",
        "12:30",
        "",
        "~",
        "${a}",
        "$${",
        "a: b",
        "a #b",
        "- a",
        "a?b",
        "?",
        "x\ny",
        "'",
        '"',
        "[",
        "2001-13-45",
        "<",
    ]
)
data = st.recursive(texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))


@given(data, st.sampled_from([None, True, False]), st.integers(20, 200))
def test_what_yaml_dumps_is_read_back_as_texts(value: Any, flow: bool | None, width: int) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, width=width, allow_unicode=True)
    assert plain(nodes(text)) == value


@given(st.lists(st.text("abc ${}.:-_?é", min_size=1, max_size=20), max_size=5))
def test_a_plain_scalar_is_exactly_what_stands_at_its_place(values: list[str]) -> None:
    text = yaml.safe_dump({"k": values}, allow_unicode=True, width=1000)
    page = Page("g.yaml", text)
    node = compose(Findings(page))
    assert isinstance(node, Table)
    for each in node.entries[0].value.nodes if isinstance(node.entries[0].value, Series) else ():
        assert isinstance(each, Scalar)
        assert not each.plain or page.text[each.start : each.end] == each.text


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("{path: ${input}}", {"path": "${input}"}),
        ("{path: ${input}, b: c}", {"path": "${input}", "b": "c"}),
        ("{path: ${ input }, b: c}", {"path": "${ input }", "b": "c"}),
        ("{path: a/${x}/${y}.wav, b: c}", {"path": "a/${x}/${y}.wav", "b": "c"}),
        ("[${a},${b}, c]", ["${a}", "${b}", "c"]),
        ("{a: ${env:X:-b, c: [d] #}, e: f}", {"a": "${env:X:-b, c: [d] #}", "e": "f"}),
        ("{a: $${x}, b: $$, c: $}", {"a": "$${x}", "b": "$$", "c": "$"}),
        ('{a: "${env:x", b: y}', {"a": "${env:x", "b": "y"}),
        ("{a: '${x', b: '}'}", {"a": "${x", "b": "}"}),
        ('{a: "${env:A:-\\u0041}"}', {"a": "${env:A:-A}"}),
        ("a: ${x} and ${y}", {"a": "${x} and ${y}"}),
        ("a: ${env:X:-b: c} # ${comment", {"a": "${env:X:-b: c}"}),
        ("a: |\n  ${x} {${y}\n", {"a": "${x} {${y}\n"}),
        ("{${a}: b}", {"${a}": "b"}),
        ("{a: ws://h/p?q=${q}&r, b: c?}", {"a": "ws://h/p?q=${q}&r", "b": "c?"}),
        ("# ${x\na: b", {"a": "b"}),
    ],
)
def test_references_need_no_quotes(text: str, want: object) -> None:
    assert plain(nodes(text)) == want


def test_places_are_true_behind_a_reference() -> None:
    text = "{path: ${input}, b: [c, ${d}]}"
    node = nodes(text)
    assert isinstance(node, Table)
    places = [(entry.key.start, entry.value.start) for entry in node.entries]
    assert places == [(text.index("path"), text.index("$")), (text.index("b:"), text.index("["))]


def test_crlf_and_cr_end_lines_as_lf_does() -> None:
    text = "a: b\nc:\n  - d\n  - |\n    e\n    f\n"
    assert plain(nodes(text.replace("\n", "\r\n"))) == plain(nodes(text)) == plain(nodes(text.replace("\n", "\r")))


def test_merges_give_way_to_what_is_written_and_the_first_goes_before() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\nw: {a: 0, <<: *x}\n'<<': text\n"
    assert plain(nodes(text)) == {
        "x": {"a": "1", "b": "1"},
        "y": {"b": "2", "c": "2"},
        "z": {"c": "3", "a": "1", "b": "1"},
        "w": {"a": "0", "b": "1"},
        "<<": "text",
    }


def test_a_name_may_be_marked_again() -> None:
    assert plain(nodes("[&a 1, *a, &a 2, *a]")) == ["1", "1", "2", "2"]


def test_all_that_can_be_said_is_said_at_once() -> None:
    assert said("a: !!str b\na: c\n? [x]\n: y\n<<: z\n") == [
        "g.yaml:1:4: error: tags are refused",
        "g.yaml:2:1: error: 'a' is written twice, first on line 1",
        "g.yaml:3:3: error: a key must be a word",
        "g.yaml:5:1: error: only mappings can be merged",
    ]


def test_what_counts_is_what_a_reader_would_walk() -> None:
    ten = "[" + ", ".join(["a"] * 10) + "]"
    lines = [f"x0: &x0 {ten}"] + [f"x{n}: &x{n} [" + ", ".join([f"*x{n - 1}"] * 10) + "]" for n in range(1, 5)]
    assert not said("\n".join(lines[:3]))
    assert said("\n".join(lines)) == ["g.yaml:4:45: error: the file holds too much"]


@pytest.mark.parametrize(
    ("text", "want"),
    [("[a, b: c]", ["a", {"b": "c"}]), ("{a: [b]}", {"a": ["b"]}), ("[a", None), ("[!!x a]", None), ("", None)],
)
def test_a_text_from_outside_can_be_a_list(text: str, want: object) -> None:
    node = compose_flow(text, 7)
    assert (plain(node) if node else None) == want
    assert node is None or node.start == 7
