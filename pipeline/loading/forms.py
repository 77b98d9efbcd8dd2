"""What YAML must look like for a Python type: a form reads a node, says what it wants, and gives the JSON Schema.

The type decides how a text is read, never the text: for a `str` the language `no` is a text, and so is `12:30`.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, Union, get_args, get_origin

from attrs import frozen

from pipeline.loading.page import shown
from pipeline.loading.yaml_nodes import Scalar, Series, Table, Yaml, compose_flow
from pipeline.problems import did_you_mean, one_of
from pipeline.stage import Duration, parse_duration

__all__ = ["Choice", "Form", "Misread", "Plain", "came", "form_of", "or_reference"]

JsonSchema = dict[str, Any]


class Misread(Exception):
    """What was wanted of `node` instead, and what to do about it."""

    def __init__(self, wanted: str, node: Yaml, remedy: str = "") -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.node = node
        self.remedy = remedy


def came(node: Yaml) -> str:
    """What `node` is, for a message."""
    if isinstance(node, Scalar):
        return "nothing" if node.nothing else shown(node.text)
    return f"a list of {len(node.nodes)}" if isinstance(node, Series) else "a mapping"


class Form(Protocol):
    """How a value is written. `read` raises Misread for what is written otherwise."""

    @property
    def wanted(self) -> str: ...

    def read(self, node: Yaml) -> Any: ...

    def schema(self) -> JsonSchema: ...


def or_reference(form: Form) -> JsonSchema:
    """The schema of what `form` reads or of a text with `${...}` in it, which the schema calls `reference`."""
    return {"anyOf": [form.schema(), {"$ref": "#/$defs/reference"}]}


@frozen
class Plain:
    """One text, read by `parse`, which raises ValueError(remedy)."""

    wanted: str
    parse: Callable[[str], object]
    json: JsonSchema

    def read(self, node: Yaml) -> Any:
        if not isinstance(node, Scalar) or node.nothing:
            raise Misread(self.wanted, node)
        try:
            return self.parse(node.text)
        except ValueError as remedy:
            raise Misread(self.wanted, node, str(remedy)) from None

    def schema(self) -> JsonSchema:
        return dict(self.json)


@frozen
class Choice:
    """One of `values`, as a text."""

    values: tuple[object, ...]

    @property
    def wanted(self) -> str:
        return one_of(str(value) for value in self.values)

    def read(self, node: Yaml) -> object:
        if isinstance(node, Scalar):
            for value in self.values:
                if node.text == str(value):
                    return value
        known = [str(value) for value in self.values]
        raise Misread(self.wanted, node, did_you_mean(node.text, known) if isinstance(node, Scalar) else "")

    def schema(self) -> JsonSchema:
        return {"enum": list(self.values)}


@frozen
class Maybe:
    """`inner`, or None for `null`, `~` or nothing at all."""

    inner: Form

    @property
    def wanted(self) -> str:
        return f"{self.inner.wanted}, or null"

    def read(self, node: Yaml) -> Any:
        if isinstance(node, Scalar) and node.plain and node.text in ("", "~", "null"):
            return None
        return self.inner.read(node)

    def schema(self) -> JsonSchema:
        return {"anyOf": [self.inner.schema(), {"type": "null"}]}


@frozen
class Either:
    """What the first of `forms` makes of it that can read it."""

    forms: tuple[Form, ...]

    @property
    def wanted(self) -> str:
        return " or ".join(form.wanted for form in self.forms)

    def read(self, node: Yaml) -> Any:
        remedy = ""
        for form in self.forms:
            try:
                return form.read(node)
            except Misread as wrong:
                remedy = remedy or wrong.remedy
        raise Misread(self.wanted, node, remedy)

    def schema(self) -> JsonSchema:
        return {"anyOf": [form.schema() for form in self.forms]}


@frozen
class Many:
    """A list of `inner`. A text that came from outside (`-s`, `-p`) may be one too: `[a, b]`."""

    inner: Form
    make: Callable[[Sequence[Any]], object]

    @property
    def wanted(self) -> str:
        return f"a list, each of it {self.inner.wanted}"

    def read(self, node: Yaml) -> object:
        if isinstance(node, Scalar) and node.plain and node.text.startswith("["):
            node = compose_flow(node.text, node.start) or node
        if not isinstance(node, Series):
            one = node.text if isinstance(node, Scalar) and not node.nothing else ""
            raise Misread(self.wanted, node, f"write [{one[:40]}]" if one else "")
        return self.make([self.inner.read(each) for each in node.nodes])

    def schema(self) -> JsonSchema:
        return {"type": "array", "items": or_reference(self.inner)}


@frozen
class Named:
    """A mapping from names to `inner`."""

    inner: Form

    @property
    def wanted(self) -> str:
        return f"a mapping, each value {self.inner.wanted}"

    def read(self, node: Yaml) -> dict[str, Any]:
        if isinstance(node, Scalar) and node.plain and node.text.startswith("{"):
            node = compose_flow(node.text, node.start) or node
        if not isinstance(node, Table):
            raise Misread(self.wanted, node, "write {name: value}")
        return {entry.key.text: self.inner.read(entry.value) for entry in node.entries}

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": or_reference(self.inner)}


# --- plain texts

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_LONGEST_NUMBER = 64


def _whole(text: str) -> int:
    if len(text) <= _LONGEST_NUMBER and _WHOLE.fullmatch(text):
        return int(text)
    if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) and _number(text).is_integer():
        raise ValueError(f"write {int(_number(text))}")
    raise ValueError


def _number(text: str) -> float:
    if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    raise ValueError("write a point, not a comma" if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", text[:99]) else "")


def _truth(text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    truth = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    known = truth.get(text.lower())
    raise ValueError(f"write {known}" if known else "")


def _path(text: str) -> Path:
    if not text:
        raise ValueError
    if text.startswith("~/"):
        raise ValueError(f"`~` is not followed here: write ${{env:HOME}}{text[1:40]}")
    return Path(text)


def _duration(text: str) -> Duration:
    try:
        if len(text) <= _LONGEST_NUMBER:
            return parse_duration(text)
    except ValueError:
        pass
    raise ValueError


_TEXT_JSON: JsonSchema = {"type": ["string", "number", "boolean"]}
_NUMBER_JSON = r"^[-+]?[0-9_]*\.?[0-9]*([eE][-+]?[0-9]+)?$"
_PLAIN: Mapping[object, Plain] = {
    str: Plain("a text", str, _TEXT_JSON),
    int: Plain("a whole number", _whole, {"type": ["integer", "string"], "pattern": r"^[-+]?[0-9][0-9_]*$"}),
    float: Plain("a number", _number, {"type": ["number", "string"], "pattern": _NUMBER_JSON}),
    bool: Plain("true or false", _truth, {"type": "boolean"}),
    Path: Plain("a path", _path, {"type": ["string", "number"], "minLength": 1}),
    Duration: Plain(
        "a time such as 500ms, 1.5s or 1:30",
        _duration,
        {"type": ["number", "string"], "minimum": 0, "pattern": r"^[0-9.:hms]+$"},
    ),
}


def form_of(hint: Any) -> Form:
    """The form for a Python type. Raises TypeError for a type that no YAML can give."""
    if (plain := _PLAIN.get(hint)) is not None:
        return plain
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return Choice(inner)
    if origin in (Union, types.UnionType):
        return _union(inner)
    if origin in (list, Sequence):
        return Many(form_of(inner[0]), list)
    if origin is tuple and len(inner) == 2 and inner[1] is ...:
        return Many(form_of(inner[0]), tuple)
    if origin in (dict, Mapping) and inner[0] is str:
        return Named(form_of(inner[1]))
    raise TypeError(f"no YAML gives {hint!r}")


def _union(members: tuple[Any, ...]) -> Form:
    # A text can always be read, so it is tried last.
    some = sorted((member for member in members if member is not types.NoneType), key=lambda each: each is str)
    forms = tuple(form_of(member) for member in some)
    form = forms[0] if len(forms) == 1 else Either(forms)
    return Maybe(form) if types.NoneType in members else form
