"""Every item as a line of JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from attrs import define, field

from pipeline.caps import ANY, Caps, Port
from pipeline.items import Audio, Item, Mark, Text
from pipeline.stage import Inbox, Outbox, option
from stages.out_file import line_writer, named, probe_file

__all__ = ["Jsonl", "as_json", "as_line", "peak_db"]

AudioDetail = Literal["summary", "base64", "none"]


@define(kw_only=True)
class Jsonl:
    """Write every item as a line of JSON, with its times in milliseconds, at once: for other programs to read.

    `output` says where it comes from: `call.text_here`.
    """

    path: Path = option(
        help="the file, which is overwritten; its folder must exist; `-` is standard output",
        check=named(),
        example="items.jsonl",
        opens="writes",
    )
    audio: AudioDetail = option(
        "summary",
        help="what of the audio: `summary` (times and peak level), `base64` (the samples too, as 16-bit "
        "little-endian PCM, channels interleaved), or `none` (no line)",
    )
    _lines: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(ANY, many=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    def probe(self) -> None:
        """Raises: StageError where the file cannot be written."""
        probe_file(self.path)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        with line_writer(self.path, inbox) as write:
            async for output, item in inbox.with_outputs():
                if self.audio == "none" and isinstance(item, Audio):
                    continue
                write(as_line(item, self.audio, output=output))
                self._lines += 1

    def counts(self) -> Mapping[str, int]:
        return {"lines": self._lines}


def as_line(item: Item, audio: AudioDetail = "summary", **more: str) -> str:
    """`as_json` as text, and what there is `more` of it, without a line end."""
    return json.dumps({**as_json(item, audio), **more}, ensure_ascii=False, separators=(",", ":"))


def as_json(item: Item, audio: AudioDetail = "summary") -> dict[str, object]:
    """`item` as what JSON can hold. `type` says which: text, audio or mark; all times are in milliseconds.

    `peak_db` is the loudest sample against full scale, null for digital silence.
    """
    if isinstance(item, Text):
        return {
            "type": "text",
            "text": item.text,
            "start_ms": item.start_ms,
            "end_ms": item.end_ms,
            "language": item.language,
            "utterance": item.utterance,
            "final": item.final,
            "revision": item.revision,
        }
    if isinstance(item, Mark):
        return {
            "type": "mark",
            "kind": item.kind.value,
            "start_ms": item.start_ms,
            "frames": item.frames,
            "rate_hz": item.rate,
        }
    summary: dict[str, object] = {
        "type": "audio",
        "start_ms": item.start_ms,
        "end_ms": item.end_ms,
        "frames": item.frames,
        "rate_hz": item.rate,
        "channels": item.channels,
        "peak_db": peak_db(item),
    }
    if audio == "base64":
        summary["samples"] = base64.b64encode(item.samples.astype("<i2").tobytes()).decode()
    return summary


def peak_db(audio: Audio) -> float | None:
    """The loudest sample in decibels below full scale, to a tenth; None for digital silence."""
    if not audio.samples.size:
        return None
    peak = max(int(audio.samples.max()), -int(audio.samples.min()))
    return round(20 * math.log10(peak / 32768), 1) if peak else None
