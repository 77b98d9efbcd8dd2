"""Captions on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import define, field

from pipeline.caps import TEXT, Caps, Port
from pipeline.items import Text
from pipeline.stage import Inbox, Outbox, StageError
from stages.captions.lines import break_into_cues
from stages.captions.text import clean
from stages.out_file import print_line, sayable

__all__ = ["Captions", "Console", "clock"]


@define(kw_only=True)
class Console:
    """Show captions on the terminal: while they are spoken they grow, at their end they settle into a line each.

    Each says its language. Where standard output is no terminal, only the settled lines are written; when its
    reader has gone, the captions end there, and the rest of the graph goes on.
    """

    _captions: Captions = field(init=False, factory=lambda: Captions())

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT, many=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        if sys.stdout.isatty():
            await self._live(inbox)
            return
        async for item in inbox:
            if isinstance(item, Text) and (line := self._captions.feed(item)):
                try:
                    print_line(sys.stdout, line)
                except StageError as fault:
                    if isinstance(fault.__cause__, BrokenPipeError):
                        return
                    raise

    def counts(self) -> Mapping[str, int]:
        return {"captions": self._captions.settled}

    async def _live(self, inbox: Inbox) -> None:
        """Redraw at every text, and in no thread: `auto_refresh` would start one."""
        from rich.console import Console as Terminal
        from rich.live import Live
        from rich.text import Text as Styled

        terminal = Terminal(file=sys.stdout)
        with Live(console=terminal, auto_refresh=False, transient=True, redirect_stderr=False) as live:
            async for item in inbox:
                if not isinstance(item, Text):
                    continue
                if line := self._captions.feed(item):
                    terminal.print(Styled(sayable(sys.stdout, line)))
                growing = "\n".join(self._captions.growing(terminal.width))
                live.update(Styled(sayable(sys.stdout, growing), style="dim"), refresh=True)


@define
class Captions:
    """What a screen shows of texts in one or several languages: `feed` it, and ask what is `growing`."""

    settled: int = field(init=False, default=0)
    _open: dict[str, Text] = field(init=False, factory=dict)
    _ended: dict[str, int] = field(init=False, factory=dict)

    def feed(self, text: Text) -> str | None:
        """The line that a final text settles into; None for a partial one, and for one without text."""
        now = self._open.get(text.language)
        if text.final:
            self._ended[text.language] = text.utterance
            if now and now.utterance <= text.utterance:
                del self._open[text.language]
            return self._line(text)
        late = self._ended.get(text.language) == text.utterance
        outdated = now is not None and (now.utterance, now.revision) > (text.utterance, text.revision)
        if not late and not outdated:
            self._open[text.language] = text
        return None

    def growing(self, columns: int) -> Sequence[str]:
        """The last two lines of what is being said, in each language."""
        lines: list[str] = []
        for text in self._open.values():
            cues = break_into_cues(
                self._labelled(text), text.language, line_units=max(8, columns), max_lines=2, cue_units=2 * columns
            )
            lines += cues[-1] if cues else ()
        return lines

    def _line(self, text: Text) -> str | None:
        line = self._labelled(text)
        if not line:
            return None
        self.settled += 1
        return f"[{clock(text.start_ms)}] {line}"

    def _labelled(self, text: Text) -> str:
        """With its language, and from the first line on: nobody can know whether another will come."""
        shown = clean(text.text)
        return f"{clean(text.language)}: {shown}" if shown and text.language else shown


def clock(ms: int) -> str:
    """`00:01.2`, with hours in front where there are any."""
    minutes, rest = divmod(max(0, ms) // 100, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{f'{hours}:' if hours else ''}{minutes:02}:{rest // 10:02}.{rest % 10}"
