"""What is wrong with a graph, said so that it can be mended: where, what was wanted, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from attrs import frozen

__all__ = ["GraphError", "Problem", "Where", "did_you_mean", "one_of"]


@frozen
class Where:
    """A place in a file: `line` and `column` count from 1, `text` is the whole offending line."""

    file: str
    line: int
    column: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@frozen
class Problem:
    """One mistake in a graph, or one hazard (`warning`)."""

    what: str
    where: Where | None = None
    wanted: str = ""
    came: str = ""
    remedy: str = ""
    warning: bool = False

    @property
    def headline(self) -> str:
        """The problem in one line, as editors and CI logs read it."""
        place = f"{self.where}: " if self.where else ""
        return f"{place}{'warning' if self.warning else 'error'}: {self.what}"

    def __str__(self) -> str:
        """The headline, the offending line with a caret under the place, and what to do."""
        lines = [self.headline]
        if self.where and self.where.text.strip():
            # A window of a long line, so that the caret is under what it points at.
            begin = max(0, self.where.column - 100)
            shown = self.where.text[begin : begin + 160]
            caret = "".join("\t" if char == "\t" else " " for char in shown[: self.where.column - 1 - begin])
            lines += [f"    {shown}", f"    {caret}^"]
        for label, text in (("wanted", self.wanted), ("came", self.came), ("try", self.remedy)):
            if text:
                lines.append(f"    {label + ':':<8}{text}")
        return "\n".join(lines)


class GraphError(Exception):
    """A graph that cannot run. `problems` says everything that is wrong with it, warnings included."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'pcm'?` where something known is close to `word`, else an empty string."""
    close = difflib.get_close_matches(word[:80], [str(name) for name in known], n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def one_of(names: Iterable[str], most: int = 12) -> str:
    """`one of: a, b, c`, shortened where there are many."""
    known = list(names)
    if not known:
        return "none is there"
    shown = ", ".join(known[:most])
    return f"one of: {shown}" + (f" and {len(known) - most} more" if len(known) > most else "")
