"""An engine without models: it gives back what it hears, and texts that say when. For tests, and for learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from attrs import define, field

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.stage import Out, between, option
from stages.languages import canonical

__all__ = ["Echo"]

_PORTS = ("audio", "text", "transcript")
_RATE = 24000


@define(kw_only=True)
class Echo:
    """Call every two seconds an utterance, and give it back once it is over.

    `transcript` says "utterance 1, 2.0 s", `text` the same in the target language's brackets, and `audio` has
    every frame that came, exactly once and at its own position.
    """

    source_language: str = option("en-us", help="the language to put on transcripts")
    target_language: str = option("pt-br", help="the language to put on translations")
    utterance_ms: int = option(2000, help="how long an utterance is", check=between(10, 60000, "ms"))

    _held: list[Audio] = field(init=False, factory=list)
    _frames: int = field(init=False, default=0)
    _utterance: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(_RATE, 1))}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"audio": AudioCaps(_RATE, 1), "text": TEXT, "transcript": TEXT}

    def feed(self, item: Audio) -> Iterator[Out]:
        if self._held and self._held[-1].end != item.start:
            yield from self.flush()
        most = self.utterance_ms * _RATE // 1000
        begin = 0
        while begin < item.frames:
            part = item.samples[begin : begin + most - self._frames]
            self._held.append(Audio(part, item.start + begin, item.rate))
            self._frames += len(part)
            begin += len(part)
            if self._frames == most:
                yield from self.flush()

    def flush(self) -> Iterator[Out]:
        """The utterance that is going on, as it is."""
        if not self._held:
            return
        whole = Audio(np.concatenate([audio.samples for audio in self._held]), self._held[0].start, _RATE)
        self._held, self._frames = [], 0
        self._utterance += 1
        said = f"utterance {self._utterance}, {whole.frames / _RATE:.1f} s"
        source, target = canonical(self.source_language), canonical(self.target_language)
        yield Out("transcript", Text(said, whole.start_ms, whole.end_ms, source, self._utterance))
        yield Out("text", Text(f"[{target}] {said}", whole.start_ms, whole.end_ms, target, self._utterance))
        yield Out("audio", whole)
        end = Mark(MarkKind.UTTERANCE_END, whole.end, _RATE)
        yield from (Out(port, end) for port in _PORTS)

    def mark(self, mark: Mark) -> Iterator[Out]:
        """End the utterance, so that the mark is passed by nothing; then it goes to every port."""
        yield from self.flush()
        yield from (Out(port, mark) for port in _PORTS)
