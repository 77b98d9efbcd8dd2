"""The text of a graph file, and what is wrong with it: places by line and column, and secrets never shown.

The rule to keep: mask first, then ask for a `Where`. It carries the whole line it points at, so whatever is
secret on that line must be covered before.
"""

from __future__ import annotations

import bisect
import re

from attrs import define, evolve, field

from pipeline.problems import Problem, Where

__all__ = ["MOST_PROBLEMS", "SECRET", "Findings", "Page", "looks_secret", "shown"]

SECRET = "***"

MOST_PROBLEMS = 100
"""More than anybody mends in one go; it also bounds the work that a hostile file can ask for."""

_LINE_END = re.compile(r"\r\n|\n|\r")
_SECRET_WORD = re.compile(r"(?i)(?:key|token|secret|passw|credential)")
_SECRET_ENTRY = re.compile(r"(?i)(?:key|token|secret|passw|credential)[\w-]{0,40}[\"']?[ \t]*:")


def shown(text: str, most: int = 60) -> str:
    """`text` in quotes, for a message: shortened, on one line, and printable whatever it holds."""
    return repr(text if len(text) <= most else text[: most - 1] + "…")


def looks_secret(name: str) -> bool:
    """Whether a name, such as `API_KEY`, says by itself that its value is nobody's business."""
    return _SECRET_WORD.search(name) is not None


@define
class Page:
    """The text of `file`. A place in it is an index into `text`; -1 is no place at all."""

    file: str
    text: str
    _starts: list[int] = field(init=False)
    _masked: list[str] | None = field(init=False, default=None)
    _lines: dict[int, str] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._starts = [0, *(end.end() for end in _LINE_END.finditer(self.text))]

    def line(self, index: int) -> int:
        """The line, from 1, on which `index` lies."""
        return bisect.bisect_right(self._starts, index)

    def where(self, index: int) -> Where | None:
        """The place of `index`. The end of the text counts as the end of its last line that is not empty."""
        if index < 0:
            return None
        index = min(index, len(self.text))
        if index == len(self.text):
            index = len(self.text.rstrip("\r\n"))
        line = self.line(index)
        text = self._line_text(line)
        return Where(self.file, line, min(index - self._starts[line - 1], len(text)) + 1, text)

    def mask(self, start: int, end: int) -> None:
        """Let nobody see what stands from `start` to `end`; what follows on the line keeps its column."""
        if not 0 <= start < end:
            return
        if self._masked is None:
            self._masked = list(self.text)
        left = len(SECRET)
        for index in range(start, min(end, len(self.text))):
            if self.text[index] not in "\r\n":
                self._masked[index] = "*" if left > 0 else " "
                left -= 1
        self._lines.clear()

    def mask_text(self, secret: str) -> None:
        """Cover `secret` wherever it stands, in a comment too."""
        at = self.text.find(secret)
        while at >= 0:
            self.mask(at, at + len(secret))
            at = self.text.find(secret, at + len(secret))

    def mask_suspects(self) -> None:
        """Cover what follows a key such as `api_key:`: a text that is no YAML cannot tell its secrets."""
        done = 0
        for match in _SECRET_ENTRY.finditer(self.text):
            if match.start() >= done:
                done = self._entry_end(match.start())
                self.mask(match.end(), done)

    def _entry_end(self, index: int) -> int:
        """Where the block that begins on the line of `index` ends: all that follows and is indented deeper."""
        line = self.line(index)
        indent = _indent(self._raw_line(line))
        while line < len(self._starts):
            following = self._raw_line(line + 1)
            if following.strip() and _indent(following) <= indent:
                break
            line += 1
        return self._starts[line] if line < len(self._starts) else len(self.text)

    def _raw_line(self, line: int) -> str:
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        return self.text[self._starts[line - 1] : end]

    def _line_text(self, line: int) -> str:
        if line not in self._lines:
            end = self._starts[line] if line < len(self._starts) else len(self.text)
            text = self._masked if self._masked is not None else self.text
            self._lines[line] = "".join(text[self._starts[line - 1] : end]).rstrip("\r\n")
        return self._lines[line]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


@define
class Findings:
    """The problems found on one page so far. Their places are looked up at the end, when all is masked."""

    page: Page
    _said: list[tuple[Problem, int]] = field(init=False, factory=list)

    def __len__(self) -> int:
        return len(self._said)

    @property
    def full(self) -> bool:
        """Whether there are so many that it is no use to look for more."""
        return len(self._said) > MOST_PROBLEMS

    def say(
        self,
        what: str,
        at: int = -1,
        *,
        wanted: str = "",
        came: str = "",
        remedy: str = "",
        warning: bool = False,
    ) -> None:
        """Note a problem at the index `at` of the page; without a place it is about the command line."""
        if not self.full:
            self._said.append((Problem(what, None, wanted, came, remedy, warning), at))

    def problems(self) -> list[Problem]:
        """All of them with their places."""
        return [evolve(problem, where=self.page.where(at)) for problem, at in self._said]
