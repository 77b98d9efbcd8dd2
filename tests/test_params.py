from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.load import Loaded, load
from pipeline.loading.page import SECRET
from pipeline.loading.params import references
from tests.kinds_for_tests import TEST_KINDS, Typed


def loaded(text: str, **more: Any) -> Loaded:
    more.setdefault("env", {})
    return load(text, "g.yaml", TEST_KINDS, **more)


def typed(declared: str, options: str, **more: Any) -> Typed:
    """The Typed stage of a graph with these params (as YAML) and options, which must load."""
    text = f"params: {{{declared}}}\nstages: {{it: {{use: typed, {options}}}, out: {{use: collect, from: it}}}}\n"
    result = loaded(text, **more)
    assert result.ok, result.problems
    stage = result.graph.nodes["it"].stage
    assert isinstance(stage, Typed)
    return stage


def said(text: str, **more: Any) -> list[str]:
    return [problem.headline for problem in loaded(text, **more).problems]


def graph(params: str, options: str = "") -> str:
    return f"params:\n{params}\nstages:\n  it: {{use: typed, {options}}}\n  out: {{use: collect, from: it}}\n"


# --- values


def test_a_default_stands_until_a_value_is_given() -> None:
    assert typed("a: no", "text: ${a}").text == "no"
    assert typed("a: no", "text: ${a}", params={"a": "yes"}).text == "yes"
    assert typed("a: {default: no}", "text: ${a}", params={"a": ""}).text == ""


def test_what_is_filled_in_is_read_by_the_option() -> None:
    stage = typed(
        "n: 12, t: 1:30", "whole: ${n}, number: 1${n}.5, time: ${t}, texts: [${n}, a${t}], text: ${n}${n}"
    )
    assert (stage.whole, stage.number, stage.time) == (12, 112.5, 90.0)
    assert (stage.texts, stage.text) == (["12", "a1:30"], "1212")


def test_a_value_from_outside_is_not_filled_in_again_nor_read_as_yaml() -> None:
    assert typed("a: b", "text: ${a}", params={"a": "${a} $$ ${env:X}: #"}).text == "${a} $$ ${env:X}: #"


def test_a_list_can_be_given_as_yaml_writes_it() -> None:
    assert typed("l: '[a, no]'", "texts: ${l}").texts == ["a", "no"]
    assert typed("l: x", "texts: ${l}", params={"l": "[1:30, 'b, c']"}).texts == ["1:30", "b, c"]


def test_a_param_that_is_not_required_may_stand_for_nothing() -> None:
    stage = typed("a: {required: false}", "either: ${a}, path: ${a}, text: x${a}")
    assert (stage.either, stage.path, stage.text) == (None, None, "x")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("${env:A}", "from outside"),
        ("${env:A:-b}", "from outside"),
        ("${env:B:-b}", "b"),
        ("${env:B:-}", ""),
        ("${env:EMPTY}", ""),
        ("${env:EMPTY:-b}", "b"),
        ("${env:B:-a, b: c}", "a, b: c"),
        ("${env:B:-a:-b}", "a:-b"),
        ("'${env:B:-''}'", "'"),
        ("$$", "$"),
        ("$${a}", "${a}"),
        ("$$${a}", "$x"),
        ("$5 and $", "$5 and $"),
        ("${ a }", "x"),
        ("'${a} {b}'", "x {b}"),
    ],
)
def test_references(text: str, want: str) -> None:
    env = {"A": "from outside", "EMPTY": ""}
    assert typed("a: {default: x, required: false}, u: '${env:A}'", f"text: {text}", env=env).text == want


def test_a_default_may_come_from_the_environment() -> None:
    params = "a: {default: '${env:A:-b}', type: int}"
    assert typed(params, "whole: ${a}", env={"A": "3"}).whole == 3


def test_keys_names_and_helps_are_not_filled_in() -> None:
    result = loaded("name: ${x}\nhelp: ${y}\nx-a: ${z}\nstages: {it: {use: typed}, out: {use: collect, from: it}}")
    assert (result.name, result.help, result.problems) == ("${x}", "${y}", ())


def test_a_reference_may_name_what_is_read() -> None:
    result = loaded(graph("  a: it").replace("from: it", "from: {stage: '${a}', buffer: '${env:B:-2s}'}"))
    assert result.ok
    (read,) = result.graph.nodes["out"].reads
    assert (str(read), str(read.buffer)) == ("it", "2000ms")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30))
def test_any_value_goes_through_unchanged(value: str) -> None:
    assert typed("a: ''", "text: ${a}", params={"a": value}).text == value
    assert typed("", "text: '${env:A:-}'", env={"A": value}).text == value


@given(st.text("ab$", max_size=20))
def test_doubled_dollars_are_dollars(value: str) -> None:
    assert typed("", f'text: "{value.replace("$", "$$")}"').text == value


@given(st.text("a${}:-env ", max_size=30))
def test_no_text_breaks_it(value: str) -> None:
    result = loaded(f'params: {{a: x}}\nstages: {{it: {{use: typed, text: "{value}"}}}}')
    assert all(problem.where is not None for problem in result.problems)
    assert all(name.strip() == name for name in references(value))


# --- what is declared


def test_what_a_param_says_of_itself() -> None:
    text = graph(
        "  a: {help: what a is, type: int, default: 3, choices: [3, 4]}\n  b: x\n  c: {help: needed}\n  d:",
        "text: '${a}${b}${c}${d}'",
    )
    a, b, c, d = loaded(text, params={"c": "C", "d": "D"}).params.values()
    assert (a.help, a.type, a.choices) == ("what a is", "int", ("3", "4"))
    assert (a.default, a.required, a.value) == ("3", False, "3")
    assert (b.default_text, b.required) == ("x", False)
    assert (c.help, c.required, c.default, c.value) == ("needed", True, None, "C")
    assert (d.required, d.default, d.value) == (True, None, "D")
    assert a.where is not None
    assert str(a.where) == "g.yaml:2:3"


def test_a_missing_value_is_one_problem_however_often_it_is_used() -> None:
    text = graph("  a: {help: what a is}", "text: ${a}, whole: ${a}, path: ${a}")
    (problem,) = loaded(text).problems
    assert problem.headline == "g.yaml:2:3: error: param 'a' has no value"
    assert (problem.wanted, problem.remedy) == ("what a is", "give one: -p a=..., or write a default")


@pytest.mark.parametrize(
    ("params", "given", "headline"),
    [
        ("  a: {type: int, default: 1}", {"a": "x"}, "error: param 'a' cannot be 'x' (given on the command line)"),
        ("  a: {choices: [b, c]}", {"a": "x"}, "error: param 'a' cannot be 'x' (given on the command line)"),
        ("  a: {type: duration, default: 2 x}", {}, "g.yaml:2:32: error: param 'a' cannot be '2 x'"),
        ("  a: 1", {"aa": "x"}, "error: the graph has no param 'aa' (given on the command line)"),
        ("  a: {type: bool, default: yes}", {}, "g.yaml:2:28: error: param 'a' cannot be 'yes'"),
        ("  a: {choices: b, default: c}", {}, "g.yaml:2:16: error: 'choices' of param 'a' cannot be 'b'"),
        (
            "  a: {required: maybe, default: c}",
            {},
            "g.yaml:2:17: error: 'required' of param 'a' cannot be 'maybe'",
        ),
        ("  a: {default: [c]}", {}, "g.yaml:2:16: error: 'default' of param 'a' cannot be a list of 1"),
    ],
)
def test_what_is_wrong_with_params(params: str, given: Mapping[str, str], headline: str) -> None:
    assert said(graph(params, "text: ${a}"), params=given) == [headline]


def test_a_misspelt_reference_does_not_make_its_param_unused() -> None:
    (problem,) = loaded(graph("  input: a", "text: ${inptu}")).problems
    assert problem.headline == "g.yaml:4:26: error: there is no param 'inptu'"
    assert problem.remedy == "did you mean 'input'?"


def test_where_nobody_has_chosen_yet_a_graph_can_still_be_checked() -> None:
    text = graph("  a: {help: a file}\n  b:", "path: ${a}/x.wav, text: '${b} ${env:NOT_THERE}', whole: no")
    assert [problem.what for problem in loaded(text, complete=False).problems] == ["'it.whole' cannot be 'no'"]
    result = loaded(graph("  a: {help: a file}", "path: ${a}/x.wav"), complete=False)
    assert result.ok
    stage = result.graph.nodes["it"].stage
    assert isinstance(stage, Typed)
    assert str(stage.path) == "${a}/x.wav"


def test_a_secret_param_is_not_shown() -> None:
    result = loaded(graph("  a: {secret: true, default: hunter2}", "text: x"), params={"a": "swordfish"})
    assert "hunter2" not in repr(result)
    assert "swordfish" not in repr(result)
    assert result.params["a"].default_text == SECRET
