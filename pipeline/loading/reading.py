"""Reading a node by the form it should have, and saying what is wrong with it: one wording for all of a graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args

from pipeline.loading.forms import Choice, Form, Misread, Plain, came
from pipeline.loading.page import SECRET, Findings, shown
from pipeline.loading.yaml_nodes import Entry, Scalar, Series, Table, Yaml, compose_flow
from pipeline.node import Buffer, Read, parse_buffer
from pipeline.problems import did_you_mean, one_of
from pipeline.stage import Overflow

__all__ = ["FROM", "UNREAD", "read_from", "read_table", "read_value", "say_unknown", "say_wrong"]

UNREAD: Any = object()
"""What `read_value` answers where there is no value: what is wrong has been said."""


def read_value(findings: Findings, label: str, form: Form, node: Yaml, secret: bool = False) -> Any:
    """The value of `node` as `form` reads it, or UNREAD."""
    try:
        return form.read(node)
    except Misread as wrong:
        what = SECRET if secret else came(wrong.node)
        remedy = "" if secret else wrong.remedy
        say_wrong(findings, label, wrong.wanted, what, wrong.node.start, remedy)
        return UNREAD


def say_wrong(findings: Findings, label: str, wanted: str, came: str, at: int, remedy: str = "") -> None:
    by_hand = " (given on the command line)" if at < 0 else ""
    findings.say(f"{label} cannot be {came}{by_hand}", at, wanted=wanted, came=came, remedy=remedy)


def say_unknown(findings: Findings, owner: str, word: str, key: Scalar, known: Collection[str]) -> None:
    """`key` is none of the keys that `owner` may have; `word` is what they are called."""
    if findings.full:
        return
    by_hand = " (given on the command line)" if key.start < 0 else ""
    findings.say(
        f"{owner} has no {word} {shown(key.text)}{by_hand}",
        key.start,
        wanted=one_of(known, most=30),
        came=shown(key.text),
        remedy=_right_key(key.text, known),
    )


def _right_key(text: str, known: Collection[str]) -> str:
    head, colon, tail = text.partition(":")
    if colon and head.strip() in known:
        return f"write `{head.strip()}: {tail.strip()[:40]}`, with a space after the colon"
    if "${" in text:
        return "only values are filled in, not keys"
    return did_you_mean(text, known)


def read_table(
    findings: Findings, owner: str, word: str, node: Table, forms: Mapping[str, Form]
) -> dict[str, Any]:
    """What `forms` read in a mapping, by key; what is unknown or cannot be read is said, and left out."""
    values = {}
    for entry in node.entries:
        key = entry.key.text
        if key not in forms:
            say_unknown(findings, owner, word, entry.key, forms)
        elif (value := read_value(findings, f"{key!r} of {owner}", forms[key], entry.value)) is not UNREAD:
            values[key] = value
    return values


# --- from:


def _name(text: str) -> str:
    if not text.strip() or len(text) > 201:
        raise ValueError
    return text


def _buffer(text: str) -> Buffer:
    try:
        if len(text) <= 64:
            return parse_buffer(text)
    except ValueError:
        pass
    raise ValueError


_STAGE = Plain("the name of a stage, or stage.port", _name, {"type": "string", "minLength": 1})

FROM: Mapping[str, Form] = {
    "stage": _STAGE,
    "into": Plain("the name of an input", _name, {"type": "string", "minLength": 1}),
    "buffer": Plain(
        "how much an edge holds: items such as 16, or a time such as 500ms",
        _buffer,
        {"type": ["integer", "string"], "minimum": 1, "pattern": r"^[0-9.:hms]+$"},
    ),
    "when_full": Choice(get_args(Overflow)),
}
"""What a mapping under `from:` may say."""


def read_from(findings: Findings, owner: str, node: Yaml) -> list[Read] | None:
    """What a stage reads: `stage`, `stage.port`, a mapping, or a list of those. None where one names no stage."""
    if isinstance(node, Scalar) and node.plain and node.text.startswith(("[", "{")):
        node = compose_flow(node.text, node.start) or node
    wishes = [_read(findings, owner, each) for each in (node.nodes if isinstance(node, Series) else (node,))]
    reads = [wish for wish in wishes if wish is not None]
    return reads if len(reads) == len(wishes) else None


def _read(findings: Findings, owner: str, node: Yaml) -> Read | None:
    if isinstance(node, Table):
        return _read_mapping(findings, owner, node)
    text = read_value(findings, f"'from' of {owner}", _STAGE, node)
    return None if text is UNREAD else Read.parse(text, findings.page.where(node.start))


def _read_mapping(findings: Findings, owner: str, node: Table) -> Read | None:
    entry = node.entry("stage") or _misspelt_stage(node)
    values = read_table(findings, f"'from' of {owner}", "key", node, FROM)
    if entry is None:
        remedy = "add `stage: NAME`"
        findings.say(f"'from' of {owner} names no stage", node.start, wanted="{stage: NAME, ...}", remedy=remedy)
    if entry is None or "stage" not in values:
        return None
    read = Read.parse(values["stage"], findings.page.where(entry.value.start))
    return Read(
        read.stage, read.port, values.get("into"), values.get("buffer"), values.get("when_full"), read.where
    )


def _misspelt_stage(node: Table) -> Entry | None:
    return next((entry for entry in node.entries if did_you_mean(entry.key.text, ["stage"])), None)
