from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from pipeline.load import load
from pipeline.loading.forms import Misread, form_of
from pipeline.loading.options import example, inputs_of, options_of, render
from pipeline.loading.page import Findings, Page
from pipeline.loading.yaml_nodes import Scalar, Table, compose
from pipeline.stage import Duration, option
from stages import KINDS
from stages.gain import Gain
from tests.kinds_for_tests import NoOptions, Remote, Typed


def read(hint: Any, text: str) -> Any:
    """What a value written as `text` in a mapping is for the type `hint`."""
    findings = Findings(Page("g.yaml", f"{{key: {text}}}"))
    table = compose(findings)
    assert isinstance(table, Table), findings.problems()
    return form_of(hint).read(table.entries[0].value)


def refused(hint: Any, text: str) -> tuple[str, str]:
    with pytest.raises(Misread) as caught:
        read(hint, text)
    return caught.value.wanted, caught.value.remedy


@pytest.mark.parametrize(
    ("hint", "text", "want"),
    [
        (str, "no", "no"),
        (str, "12:30", "12:30"),
        (str, "2001-13-45", "2001-13-45"),
        (str, "null", "null"),
        (str, "0x10", "0x10"),
        (str, "''", ""),
        (str, "' a '", " a "),
        (int, "0", 0),
        (int, "-12", -12),
        (int, "+48_000", 48000),
        (int, "'7'", 7),
        (float, "3", 3.0),
        (float, "-.5", -0.5),
        (float, "1e-3", 0.001),
        (float, "1_000.5", 1000.5),
        (bool, "true", True),
        (bool, "False", False),
        (Path, "a/b c.wav", Path("a/b c.wav")),
        (Path, "12", Path("12")),
        (Duration, "500ms", 0.5),
        (Duration, "1:30", 90.0),
        (Duration, "2", 2.0),
        (Literal["no", "yes"], "no", "no"),
        (Literal[1, 2], "2", 2),
        (int | None, "3", 3),
        (int | None, "null", None),
        (int | None, "~", None),
        (int | None, "", None),
        (str | None, "'null'", "null"),
        (str | None, "''", ""),
        (str | int, "3", 3),
        (str | int, "three", "three"),
        (int | Literal["all"], "all", "all"),
        (list[str], "[no, 12:30]", ["no", "12:30"]),
        (list[int], "[]", []),
        (tuple[float, ...], "[1, 2.5]", (1.0, 2.5)),
        (int | list[int] | None, "[1, 2]", [1, 2]),
        (dict[str, int], "{a: 1}", {"a": 1}),
        (list[int | None], "[1, null]", [1, None]),
    ],
)
def test_a_value_is_read_as_its_type_wants_it(hint: Any, text: str, want: object) -> None:
    got = read(hint, text)
    assert got == want
    assert type(got) is type(want)


@pytest.mark.parametrize(
    ("hint", "text", "wanted", "remedy"),
    [
        (str, "", "a text", ""),
        (str, "[a]", "a text", ""),
        (int, "", "a whole number", ""),
        (int, "24k", "a whole number", ""),
        (int, "1.5", "a whole number", ""),
        (int, "2.0", "a whole number", "write 2"),
        (int, "1e3", "a whole number", "write 1000"),
        (int, "007", "a whole number", "write 7"),
        (int, "0x10", "a whole number", ""),
        (int, "1__0", "a whole number", ""),
        (int, "true", "a whole number", ""),
        (int, "٣", "a whole number", ""),
        (int, "9" * 5000, "a whole number", ""),
        (float, ".inf", "a number", ""),
        (float, "nan", "a number", ""),
        (float, "1e9999", "a number", ""),
        (float, "'1,5'", "a number", "write a point, not a comma"),
        (float, "12:30:00", "a number", ""),
        (bool, "yes", "true or false", "write true"),
        (bool, "off", "true or false", "write false"),
        (bool, "1", "true or false", "write true"),
        (bool, "2", "true or false", ""),
        (Path, "''", "a path", ""),
        (Path, "~/a", "a path", "`~` is not followed here: write ${env:HOME}/a"),
        (Duration, "2 sec", "a time such as 500ms, 1.5s or 1:30", ""),
        (Duration, "-1s", "a time such as 500ms, 1.5s or 1:30", ""),
        (Duration, "9" * 400 + ":00:00", "a time such as 500ms, 1.5s or 1:30", ""),
        (Literal["one", "two"], "tow", "one of: one, two", "did you mean 'two'?"),
        (Literal["one"], "[one]", "one of: one", ""),
        (int | None, "x", "a whole number", ""),
        (int | Literal["all"], "al", "a whole number or one of: all", "did you mean 'all'?"),
        (list[str], "a", "a list, each of it a text", "write [a]"),
        (list[str], "'[a]'", "a list, each of it a text", "write [[a]]"),
        (list[int], "[1, x]", "a whole number", ""),
        (dict[str, int], "[a]", "a mapping, each value a whole number", "write {name: value}"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(hint: Any, text: str, wanted: str, remedy: str) -> None:
    assert refused(hint, text) == (wanted, remedy)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for hint in (int, float, bool, Path, Duration, int | None, list[int], dict[str, int], Literal["a"], int | str):
        try:
            form_of(hint).read(Scalar(text, plain=True))
        except Misread:
            continue


@given(st.one_of(st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False), st.booleans()))
def test_numbers_come_back_from_what_is_rendered(value: float) -> None:
    assert read(type(value), render(value)) == value


written = st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.sampled_from(" \n\t$?:#,'\"")


@given(st.text(written, max_size=20))
def test_texts_come_back_from_what_is_rendered(value: str) -> None:
    assert read(str, render(value)) == value
    assert read(list[str], render([value, value])) == [value, value]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (-12.0, "-12"),
        (0.5, "0.5"),
        ("en-us", "en-us"),
        ("no", "'no'"),
        ("", "''"),
        ("it's", "'it''s'"),
        (Path("a/b.wav"), "a/b.wav"),
        ((1, 2), "[1, 2]"),
        ({"a": [1]}, "{a: [1]}"),
    ],
)
def test_a_value_is_rendered_as_a_person_writes_it(value: object, text: str) -> None:
    assert render(value) == text


# --- the options of a class


def test_options_are_read_off_the_class() -> None:
    options = options_of(Gain)
    db = options["db"]
    assert list(options) == ["db"]
    assert (db.required, db.wanted, db.example_text, db.default_text) == (True, "a number", "-6", "")
    assert "decibels" in db.help


def test_defaults_are_shown_and_secrets_are_not() -> None:
    options = options_of(Remote)
    assert options["timeout"].default_text == "10"
    assert options["api_key"].secret
    assert options["api_key"].default_text == "null"
    assert options_of(Typed)["texts"].default_text == "[]"


@define(kw_only=True)
class Hidden:
    key: str = option("hunter2", help="a key", secret=True)
    many: list[int] = option(help="numbers", example=[1, 2])


def test_a_secret_default_is_not_shown() -> None:
    assert options_of(Hidden)["key"].default_text == "***"
    assert example("hidden", Hidden) == "{use: hidden, from: STAGE, many: [1, 2]}"


@define
class WrongType:
    thing: complex = option(help="no YAML is complex")


@define
class Unresolved:
    thing: Nowhere = option(help="what is that?")  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (NoOptions, "its field 'thing' must be given, and is no option"),
        (WrongType, "its option 'thing': no YAML gives <class 'complex'>"),
        (Unresolved, "its annotations cannot be resolved: name 'Nowhere' is not defined"),
        (int, "it is no attrs class"),
    ],
)
def test_a_class_that_no_yaml_can_build_is_refused(kind: type[Any], why: str) -> None:
    with pytest.raises(TypeError) as caught:
        options_of(kind)
    assert str(caught.value) == why


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_an_example_that_loads(name: str) -> None:
    kind = KINDS[name]
    line = example(name, kind, reads="talk")
    loaded = load(f"stages: {{it: {line}, talk: {{use: silence, duration: 1s}}}}", "g", KINDS)
    assert loaded.graph.nodes["it"].stage is not None, loaded.problems


@pytest.mark.parametrize("name", KINDS)
def test_each_option_has_a_help_and_each_kind_says_what_it_does(name: str) -> None:
    kind = KINDS[name]
    assert (kind.__doc__ or "").strip()
    assert inputs_of(kind) is not None or name == "room", "which has an input for each of its voices"
    for each in options_of(kind).values():
        assert len(each.help) > 5, f"{name}.{each.name}"
