"""`dragoman tap`: the items of one edge of a running graph, as they pass."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field

from pipeline.cli.columns import columns
from pipeline.cli.exits import Exit, say_error
from pipeline.cli.looking import Chosen, all_meant, attend_until_interrupted, choose
from pipeline.cli.words import plural, seconds
from pipeline.control.client import Conversation, Message, Refused, connected, readable
from stages.console import clock
from stages.out_file import sayable

__all__ = ["Lines", "Missed", "tap"]


def tap(edge: str | None, of: str | None, as_json: bool, count: int | None) -> int:
    """Print the items of `edge` until it ends, or `count` of them; without one, all edges. The exit code."""
    if edge is None:
        _list(all_meant(of))
        return Exit.OK
    chosen = choose(of, edge)
    return attend_until_interrupted(lambda: _tap(chosen, edge, as_json, count))


def _list(found: Sequence[Chosen]) -> None:
    """Every edge of the graphs that are meant, a line each; of several, with the process and the graph."""
    graphs = [(str(each.process.place.pid), graph) for each in found for graph in each.graphs]
    rows = [[pid, graph["name"], edge] for pid, graph in graphs for edge in graph["edges"]]
    _write(columns([readable(row[2:] if len(graphs) == 1 else row) for row in rows]))


async def _tap(chosen: Chosen, edge: str, as_json: bool, count: int | None) -> int:
    try:
        async with connected(chosen.process.place.path) as conversation:
            await conversation.say("tap", edge=edge, graph=chosen.graph)
            return await _print(conversation, as_json, count)
    except BrokenPipeError:  # ours: nobody reads what is printed
        raise
    except (Refused, OSError) as why:
        say_error(str(why))
        return Exit.FAILED


async def _print(conversation: Conversation, as_json: bool, count: int | None) -> int:
    lines: Lines | JsonItems = JsonItems() if as_json else Lines()
    missed, items = Missed(), 0
    async for message in conversation:
        match message["type"]:
            case "tapping":
                _say(f"{readable(message['graph'])}: {readable(message['edge'])}")
            case "missed":
                _say(missed.feed(message))
            case "item":
                _write(lines.feed(message["item"]))
                items += 1
                if items == count:
                    _write(lines.flush())
                    return Exit.OK
            case "ended":
                _write(lines.flush())
                _say(f"the edge has ended; {missed.feed(message['missed'], in_all=True)}")
                return Exit.OK
    say_error("the process has ended without a word")
    return Exit.FAILED


def _write(lines: Iterable[str]) -> None:
    for line in lines:
        print(sayable(sys.stdout, line), flush=True)


def _say(line: str) -> None:
    print(f"dragoman: {line}", file=sys.stderr, flush=True)


@define
class Missed:
    """What the process says that we were too slow for; it tells sums."""

    _audio_s: float = 0.0
    _texts: int = 0

    def feed(self, told: Mapping[str, Any], *, in_all: bool = False) -> str:
        """In words: what is new, or all of it."""
        audio_s, texts = told["audio_s"], told["texts"]
        if not in_all:
            audio_s, texts = audio_s - self._audio_s, texts - self._texts
        self._audio_s, self._texts = told["audio_s"], told["texts"]
        amounts = [seconds(audio_s)] if audio_s >= 0.0005 else []
        amounts += [plural(texts, "text")] if texts else []
        return f"missed {' and '.join(amounts) or 'nothing'}{'' if in_all else ': this end was too slow'}"


@define
class JsonItems:
    """Lines for a program: each item as the stage `jsonl` writes it."""

    def feed(self, item: Message) -> Iterable[str]:
        return (json.dumps(item, ensure_ascii=False, separators=(",", ":")),)

    def flush(self) -> Iterable[str]:
        return ()


@define
class Lines:
    """Lines for a person: every text and mark at once, and of audio what there was in each second, at its end.

    Items are as `stages.jsonl.as_json` has them. Nothing of them can do anything to a terminal.
    """

    _second: _Second | None = field(init=False, default=None)

    def feed(self, item: Message) -> Iterator[str]:
        start_ms = int(item["start_ms"])
        if item["type"] == "audio":
            if self._second is not None and self._second.number != start_ms // 1000:
                yield from self.flush()
            if self._second is None:
                self._second = _Second(start_ms // 1000, item["rate_hz"], item["channels"])
            self._second.add(item)
            return
        yield from self.flush()
        yield f"[{clock(start_ms)}] {_text(item) if item['type'] == 'text' else _mark(item)}"

    def flush(self) -> Iterator[str]:
        """The second that is not over yet."""
        if self._second is not None:
            yield str(self._second)
        self._second = None


@define
class _Second:
    """The audio that began in second `number`."""

    number: int
    rate_hz: int
    channels: int
    frames: int = 0
    peak_db: float | None = None

    def add(self, audio: Message) -> None:
        self.frames += audio["frames"]
        peaks = [peak for peak in (self.peak_db, audio["peak_db"]) if peak is not None]
        self.peak_db = max(peaks, default=None)

    def __str__(self) -> str:
        level = "silence" if self.peak_db is None else f"peak {self.peak_db:.1f} dB {_meter(self.peak_db)}"
        sound = f"audio, {self.rate_hz} Hz, {self.channels} ch, {seconds(self.frames / self.rate_hz)}"
        return f"[{clock(self.number * 1000)}] {sound}, {level}".rstrip()


def _meter(peak_db: float) -> str:
    """A sign for each 3 dB above -60: what is loud can be seen as it scrolls by."""
    return "#" * max(round((peak_db + 60) / 3), 0)


def _text(item: Message) -> str:
    kind = "final" if item["final"] else f"revision {item['revision']}"
    return f"{readable(item['language']) or 'text'} {item['utterance']}, {kind}: {readable(item['text'])}"


def _mark(item: Message) -> str:
    missing = f", {seconds(item['frames'] / item['rate_hz'])}" if item["frames"] else ""
    return f"{readable(item['kind'])}{missing}"
