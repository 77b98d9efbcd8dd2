"""Watches an edge."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from attrs import define, field

from pipeline.caps import ANY, Caps, Port
from pipeline.items import Audio, Item, Mark, Text
from pipeline.stage import Inbox, Outbox, option
from stages.captions.text import clean
from stages.console import clock
from stages.jsonl import as_line, peak_db
from stages.out_file import line_writer, named, print_line, probe_file
from stages.sound_file import SUFFIXES, sound_writer
from stages.timeline import Append

__all__ = ["Tap"]


@define(kw_only=True)
class Tap:
    """Copy what passes along an edge, without ever slowing it: what the tap cannot keep up with it does without.

    A sound file holds the audio, with silence for what is missing; a `.jsonl` file every item; without a path
    standard error tells of texts, marks, and once a second of the level of the audio.
    """

    path: Path | None = option(
        None,
        help="where the copy goes: .wav, .flac, .ogg, .opus or .mp3 for the sound, .jsonl for every item; "
        "left out: the terminal",
        check=named(*SUFFIXES, ".jsonl"),
        opens="writes",
    )
    label: str = option("", help="what each line on the terminal begins with, to tell taps apart")
    _items: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY)}
    watches: ClassVar[bool] = True
    """The edge to a tap drops what waited longest when it is full, so that it never holds up anybody."""

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    def probe(self) -> None:
        """Raises: StageError where the file cannot be written."""
        if self.path is not None:
            probe_file(self.path)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        if self.path is None:
            await self._tell(inbox)
        elif self.path.suffix.lower() == ".jsonl":
            await self._write(inbox, self.path)
        else:
            await self._record(inbox, self.path)

    def counts(self) -> Mapping[str, int]:
        return {"items seen": self._items}

    async def _tell(self, inbox: Inbox) -> None:
        told = Telling(label=self.label)
        async for item in inbox:
            self._items += 1
            for line in told.feed(item):
                print_line(sys.stderr, line)

    async def _write(self, inbox: Inbox, path: Path) -> None:
        with line_writer(path, inbox) as write:
            async for item in inbox:
                self._items += 1
                write(as_line(item))

    async def _record(self, inbox: Inbox, path: Path) -> None:
        layout = Append()
        with sound_writer(path, inbox) as sound:
            async for item in inbox:
                self._items += 1
                await sound.write_all(layout.feed(item))
            await sound.write_all(layout.flush())


@define(kw_only=True)
class Telling:
    """Lines for a person about the items of a stream: every text and mark, and one for each second of audio."""

    label: str = ""
    _second: int | None = field(init=False, default=None)

    def feed(self, item: Item) -> Iterator[str]:
        if isinstance(item, Text):
            kind = "final" if item.final else f"revision {item.revision}"
            yield self._line(
                item.start_ms, f"{item.language or 'text'} {item.utterance}, {kind}: {clean(item.text)}"
            )
        elif isinstance(item, Mark):
            missing = f", {item.frames} frames" if item.frames else ""
            yield self._line(item.start_ms, f"{item.kind.value}{missing}")
        elif item.start_ms // 1000 != self._second:
            self._second = item.start_ms // 1000
            yield self._line(item.start_ms, _level(item))

    def _line(self, ms: int, text: str) -> str:
        return f"[{clock(ms)}] {f'{self.label}: ' if self.label else ''}{text}"


def _level(audio: Audio) -> str:
    peak = peak_db(audio)
    level = "silence" if peak is None else f"peak {peak:.1f} dB"
    return f"audio, {audio.rate} Hz, {audio.channels} ch, {audio.frames} frames, {level}"
