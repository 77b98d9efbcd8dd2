"""YAML text to nodes that know their places, within bounds. No tag is obeyed, no type is guessed.

PyYAML's pure scanner and parser give events one by one; nodes are put together here, so that depth, count,
aliases and merges are bounded before they cost anything, and so that duplicate keys are seen. (Its own
composer recurses without bound, libyaml's crashes the interpreter, and its constructors take the language
`no` for False.) Scalars stay text: what reads them knows what it wants.

One thing is not plain YAML: `${name}` may stand unquoted inside `{...}`, as in `{use: file, path: ${input}}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import define, field, frozen
from yaml import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner
from yaml.tokens import ScalarToken

from pipeline.loading.page import Findings, Page, shown

__all__ = ["MOST_CHARS", "MOST_DEPTH", "MOST_NODES", "Entry", "Scalar", "Series", "Table", "Yaml"]
__all__ += ["compose", "compose_flow"]

MOST_CHARS = 256 * 1024
"""The pure scanner reads about 300,000 characters a second at its slowest; graphs have a few thousand."""
MOST_NODES = 10_000
"""Aliases and merges count as often as they are used: this is what a reader would have to walk."""
MOST_DEPTH = 50


@frozen
class Scalar:
    """A text from `start` to `end` on its page. `plain`: written without quotes, so that it may mean nothing."""

    text: str
    start: int = -1
    end: int = -1
    plain: bool = False
    size: int = 1

    @property
    def nothing(self) -> bool:
        """Whether nothing at all is written here, as after `path:`."""
        return self.plain and not self.text and 0 <= self.start == self.end


@frozen
class Series:
    """A list. `size` counts all nodes within, each as often as it is used."""

    nodes: tuple[Yaml, ...]
    start: int = -1
    end: int = -1
    size: int = 1


@frozen
class Entry:
    key: Scalar
    value: Yaml


@frozen
class Table:
    """A mapping; no key is there twice, and merges (`<<`) are done. `doubles` were left out for that."""

    entries: tuple[Entry, ...]
    start: int = -1
    end: int = -1
    size: int = 1
    doubles: tuple[Entry, ...] = ()

    def get(self, key: str) -> Yaml | None:
        entry = self.entry(key)
        return entry.value if entry else None

    def entry(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key.text == key), None)


Yaml = Scalar | Series | Table


def compose(findings: Findings) -> Yaml | None:
    """The document on the page. None where there is none to be had, and then `findings` says why."""
    page = findings.page
    if len(page.text) > MOST_CHARS:
        findings.say(
            "the file is too long",
            MOST_CHARS,
            wanted=f"at most {MOST_CHARS // 1024} KiB",
            came="more",
            remedy="is it a graph at all?",
        )
        return None
    if (control := _REFUSED.search(page.text)) is not None:
        _say_control(findings, control[0], control.start())
        return None
    composer = _Composer(findings, _Events(page.text))
    try:
        return composer.document()
    except _StopComposing:
        return None
    except MarkedYAMLError as wrong:
        _say_syntax(findings, wrong)
    except (ValueError, OverflowError):
        # The scanner hands digits to int() and chr() unchecked: an escape \UFFFFFFFF, a version of 5,000 digits.
        findings.say("a number or an escape that YAML does not know", composer.events.index)
    return None


def compose_flow(text: str, at: int) -> Yaml | None:
    """The nodes of a short YAML text such as `[a, b]`, all placed at `at`, or None where it is no YAML."""
    findings = Findings(Page("", text))
    node = compose(findings)
    return None if node is None or len(findings) else _moved(node, at)


def _moved(node: Yaml, at: int) -> Yaml:
    if isinstance(node, Scalar):
        return Scalar(node.text, at, at, node.plain)
    if isinstance(node, Series):
        return Series(tuple(_moved(each, at) for each in node.nodes), at, at, node.size)
    entries = (Entry(Scalar(each.key.text, at, at), _moved(each.value, at)) for each in node.entries)
    return Table(tuple(entries), at, at, node.size)


# --- characters

# All but: control characters, line separators that editors do not show as such, surrogates, a byte order
# mark in the middle, and the private characters that stand for `${...}` below.
_REFUSED = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010feff]")


def _say_control(findings: Findings, char: str, at: int) -> None:
    what = "the file holds a character that no text has"
    findings.say(what, at, came=f"U+{ord(char):04X}", remedy="delete it, or save the file as UTF-8 text")


_REFERENCE = re.compile(r"\$(\{ *(?:env:[^{}$\n]*|[^\s{}$,:\"'\[\]]*) *\})")
_QUESTION = re.compile(r"(?<=[^\s,{}\[\]:])\?")
_SHIELD = {code: 0x10FF00 + code for code in range(128)}
_UNSHIELD = {shield: code for code, shield in _SHIELD.items()}


class _Events(Reader, Scanner, Parser):
    """PyYAML's events, with `${...}` part of an unquoted text even inside `{...}` and `[...]`.

    While an unquoted text is scanned the buffer is exchanged for one of the same length in which the braces
    of a reference, and what is between them, are characters without a meaning in YAML. So is the question mark
    of an address such as `wss://host/path?key=value`, which PyYAML would take for YAML's own.
    """

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        text = _REFERENCE.sub(lambda match: "$" + match[1].translate(_SHIELD), text)
        self._shielded = _QUESTION.sub(chr(_SHIELD[ord("?")]), text) + "\0"

    def next(self) -> Event:
        event: Event = self.get_event()  # type: ignore[no-untyped-call]
        return event

    def at_end(self, *kinds: type[Event]) -> bool:
        """Whether the next event is one of `kinds`."""
        return bool(self.check_event(*kinds))

    def scan_plain(self) -> ScalarToken:
        # A text that begins inside what looks like a reference is none: a quote with `${` was closed before.
        if self._shielded[self.pointer] != self.buffer[self.pointer]:
            return super().scan_plain()
        self.buffer, self._shielded = self._shielded, self.buffer
        token = super().scan_plain()
        self.buffer, self._shielded = self._shielded, self.buffer
        token.value = token.value.translate(_UNSHIELD)
        return token


# --- nodes


class _StopComposing(Exception):
    """What is wrong has been said, and there is no going on."""


@define
class _Composer:
    findings: Findings
    events: _Events
    _anchors: dict[str, Yaml | None] = field(factory=dict)
    _nodes: int = 0

    def document(self) -> Yaml | None:
        self.events.next()
        if self.events.at_end(StreamEndEvent):
            self.findings.say("the file is empty", 0, wanted="a graph", remedy="see `dragoman new file//wav`")
            return None
        self.events.next()
        node = self._node(0)
        self.events.next()
        if not self.events.at_end(StreamEndEvent):
            at = _start(self.events.next())
            self.findings.say("a second document begins here", at, wanted="one graph a file", came="---")
        return node

    def _node(self, depth: int) -> Yaml:
        event = self.events.next()
        at = _start(event)
        self._count(1, at)
        if depth >= MOST_DEPTH:
            self._stop("too deep: lists and mappings within each other", at, wanted=f"at most {MOST_DEPTH} levels")
        if isinstance(event, AliasEvent):
            return self._alias(str(event.anchor), at)
        assert isinstance(event, ScalarEvent | CollectionStartEvent)
        if event.tag is not None:
            remedy = "take the tag away: a value is read as its option wants it"
            self.findings.say("tags are refused", at, came=shown(event.tag), remedy=remedy)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._made(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _made(self, event: ScalarEvent | CollectionStartEvent, depth: int) -> Yaml:
        start = _start(event)
        if isinstance(event, ScalarEvent):
            if (control := _REFUSED.search(event.value)) is not None:
                _say_control(self.findings, control[0], start)
            return Scalar(_REFUSED.sub("?", event.value), start, _end(event), plain=event.style is None)
        if isinstance(event, SequenceStartEvent):
            nodes = tuple(self._until(SequenceEndEvent, depth))
            size = 1 + sum(node.size for node in nodes)
            return Series(nodes, start, self._end(), size)
        pairs = list(self._until(MappingEndEvent, depth))
        entries, doubles = self._entries(zip(pairs[::2], pairs[1::2], strict=True))
        size = 1 + sum(1 + entry.value.size for entry in (*entries, *doubles))
        return Table(tuple(entries), start, self._end(), size, tuple(doubles))

    def _until(self, end: type[Event], depth: int) -> Iterator[Yaml]:
        while not self.events.at_end(end):
            yield self._node(depth + 1)

    def _end(self) -> int:
        return _end(self.events.next())

    def _entries(self, pairs: Iterable[tuple[Yaml, Yaml]]) -> tuple[list[Entry], list[Entry]]:
        entries: dict[str, Entry] = {}
        merged: list[Entry] = []
        doubles: list[Entry] = []
        for key, value in pairs:
            if not isinstance(key, Scalar):
                self.findings.say("a key must be a word", key.start, came="a list or a mapping")
            elif key.plain and key.text == "<<":
                merged += self._merged(value, key.start)
            elif key.text in entries:
                line = self.findings.page.line(entries[key.text].key.start)
                what = f"{shown(key.text)} is written twice, first on line {line}"
                self.findings.say(what, key.start, wanted="each key once", remedy="keep one of them")
                doubles.append(Entry(key, value))
            else:
                entries[key.text] = Entry(key, value)
        doubles += [entry for entry in merged if entries.setdefault(entry.key.text, entry) is not entry]
        return list(entries.values()), doubles

    def _merged(self, value: Yaml, at: int) -> list[Entry]:
        tables = value.nodes if isinstance(value, Series) else (value,)
        entries: list[Entry] = []
        for table in tables:
            if isinstance(table, Table):
                self._count(table.size, at)
                entries += table.entries
            else:
                remedy = "write `<<: *name`, where `&name` marks a mapping"
                self.findings.say("only mappings can be merged", at, came="a text or a list", remedy=remedy)
        return entries

    def _alias(self, name: str, at: int) -> Yaml:
        node = self._anchors.get(name)
        if node is None:
            if name in self._anchors:
                self._stop(f"'*{name[:60]}' is inside of what it stands for", at, remedy="write it out")
            self._stop(
                f"'*{name[:60]}' stands for nothing", at, remedy=f"mark something with `&{name[:60]}` before"
            )
        assert node is not None
        self._count(node.size, at)
        return node

    def _count(self, nodes: int, at: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            self._stop("the file holds too much", at, wanted=f"at most {MOST_NODES} values, aliases followed")

    def _stop(self, what: str, at: int, wanted: str = "", remedy: str = "") -> None:
        self.findings.say(what, at, wanted=wanted, remedy=remedy)
        raise _StopComposing


def _start(event: Event) -> int:
    return event.start_mark.index if event.start_mark else 0


def _end(event: Event) -> int:
    return event.end_mark.index if event.end_mark else 0


# --- syntax errors

# What PyYAML says; what we say; the remedy; whether the place to show is where the trouble began.
_SYNTAX = (
    (r"character '\t'", "a tab where only spaces can be", "indent with spaces", False),
    ("cannot start any token", "no text without quotes can begin so", "put the text in quotes", False),
    ("mapping values are not allowed", "a `:` where none can be", "put text that holds `: ` in quotes", False),
    ("could not find expected ':'", "a key without its `:`", "write `key: value`, with a space", True),
    ("unexpected end of stream", "a quote that is never closed", "close it", True),
    ("unexpected document separator", "a quote that is never closed", "close it", True),
    ("got '<stream end>'", "a bracket that is never closed", "close it", True),
    ("found '<stream end>'", "a bracket that is never closed", "close it", True),
    ("expected ',' or", "a comma or a closing bracket is missing before this", "", False),
    ("expected <block end>", "this stands neither inside nor beside what is above", "indent it alike", False),
    ("sequence entries are not allowed", "a `- ` where none can be", "begin the list on a line of its own", False),
    ("unknown escape character", "no escape in double quotes", "write `\\\\`, or use single quotes", False),
    ("found undefined tag handle", "tags are refused", "take the tag away", False),
    ("expected '<document start>'", "the document has ended before this", "indent it as what is above", False),
)


def _say_syntax(findings: Findings, wrong: MarkedYAMLError) -> None:
    problem = str(wrong.problem or wrong.context or "this is no YAML")
    known = (reading for reading in _SYNTAX if reading[0] in problem)
    _, what, remedy, began = next(known, ("", f"this is no YAML: {problem}", "", False))
    mark = wrong.context_mark if began and wrong.context_mark else wrong.problem_mark or wrong.context_mark
    findings.say(what, mark.index if mark else 0, remedy=remedy)
