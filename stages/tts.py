"""Text into speech, on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar

import anyio
import anyio.to_thread
import numpy as np
from attrs import define, evolve, field
from numpy.typing import NDArray

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.items import Audio, Mark, MarkKind, Samples, Text
from pipeline.stage import Inbox, Outbox, between, option
from stages.echo.said import Said
from stages.languages import checked
from stages.models.speakers import Choice, Speaker, choose
from stages.resample import scaled

__all__ = ["RATE", "Tts"]

RATE = 24000
_BLOCK = RATE // 10


@define(kw_only=True)
class Tts:
    """Speak texts: each as one stretch of sound that begins at the text's own time and ends with `UTTERANCE_END`.

    The translation may be longer than the original, so a stretch may begin before the last one ended: a sink
    decides what that means (`layout: timeline`). Texts that are not final are not spoken. English is spoken by
    hibari, Portuguese and Spanish by Kokoro, all else by espeak-ng, which also stands in where the others
    are not installed, and says so.
    """

    language: str = option(help="the language to speak", check=checked, example="pt-br")
    voice: str | None = option(
        None, help="heart, pf_dora, pm_alex, ef_dora, espeak, or the path of a Piper .onnx or Kokoro .bin voice"
    )
    speed: float = option(1.0, help="1 is the voice's own pace, 1.25 a quarter faster", check=between(0.5, 2))
    threads: int = option(
        2, help="processor cores to use; with 1, speech is made at twice to thrice real time", check=between(1, 64)
    )

    limiter: anyio.CapacityLimiter | None = field(default=None, repr=False)
    """What its work in threads waits for; None: one of its own. Graphs that run at once may share one."""

    said: Said = field(init=False, factory=Said)
    """What it spoke of late, for who has to know its words again."""
    _status: str = field(init=False, default="")
    _counts: dict[str, int] = field(init=False, factory=dict)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Audio at 24 kHz. Raises ValueError for a voice that there is not."""
        choose(self.language, self.voice)
        return {"out": AudioCaps(RATE, 1)}

    @property
    def status(self) -> str:
        return self._status

    def counts(self) -> Mapping[str, int]:
        return self._counts

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        limiter = self.limiter or anyio.CapacityLimiter(1)
        choice = choose(self.language, self.voice)
        hint = choice.fallback
        speaker = await self._load(choice, limiter)
        self._status = hint
        async for item in inbox:
            if isinstance(item, Mark):
                await _hand_on(item, outbox)
            elif isinstance(item, Text) and item.final and item.text.strip():
                await self._say(item, speaker, limiter, outbox)
                self._count("utterances spoken")
                if hint:
                    self._count(hint)

    async def _load(self, choice: Choice, limiter: anyio.CapacityLimiter) -> Speaker:
        self._status = f"loading the voice {choice.voice}"
        load = partial(choice.load, self.threads)
        return await anyio.to_thread.run_sync(load, abandon_on_cancel=True, limiter=limiter)

    async def _say(self, text: Text, speaker: Speaker, limiter: anyio.CapacityLimiter, outbox: Outbox) -> None:
        self.said.note(text.text)
        position = text.start_ms * RATE // 1000
        sentences = speaker.speak(text.text, self.speed)
        say_next = partial(_next_sound, sentences, speaker.rate)
        while True:
            sound = await anyio.to_thread.run_sync(say_next, abandon_on_cancel=True, limiter=limiter)
            if sound is None:
                break
            for begin in range(0, len(sound), _BLOCK):
                block = Audio(sound[begin : begin + _BLOCK, None], position, RATE)
                position = block.end
                await outbox.send(block)
        await outbox.send(Mark(MarkKind.UTTERANCE_END, position, RATE))

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1


async def _hand_on(mark: Mark, outbox: Outbox) -> None:
    """`mark` at our rate. Where utterances begin and end is for the sound to say, not for what it came from."""
    if mark.kind not in (MarkKind.UTTERANCE_START, MarkKind.UTTERANCE_END):
        start, end = (scaled(place, mark.rate, RATE) for place in (mark.start, mark.start + mark.frames))
        await outbox.send(evolve(mark, start=start, rate=RATE, frames=end - start))


def _next_sound(sentences: Iterator[NDArray[np.float32]], rate: int) -> Samples | None:
    """The next piece of speech as int16 at 24 kHz; None where all is said."""
    sound = next(sentences, None)
    if sound is None:
        return None
    if rate != RATE:
        import soxr

        sound = soxr.resample(sound, rate, RATE)
    return np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16)
