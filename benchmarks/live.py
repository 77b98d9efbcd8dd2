"""Live translation of somebody who speaks: how late final text and the voice are, and what words that costs.

Every recording is recognised as it is spoken, in three ways: at the end of each utterance ("pauses"), the same
with guesses meanwhile, as a text an utterance ("guesses"), and sentence by sentence ("settled"): see `asr`. Each
comes as it is, and once more with its pauses shortened to 150 ms: somebody who does not pause. A delay is the time
from the end of a text, as it was said, to when it is final, or to the first of its sound.

Time is simulated, so that a busy machine changes nothing: sound comes at the pace of speech, and work takes the
processor time that it took. Each stage has a processor of its own.

    python -m benchmarks.live [--json] [--voice] [--speech FOLDER] [--languages en,es,pt] [--longer-than 15]

Without a folder (of recordings with their manifest) the sample that ships is measured. `--voice` has the sentences
translated and spoken too, English in Portuguese and Portuguese in English.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import soundfile
import soxr
import trio
from anyio.lowlevel import checkpoint
from attrs import define, evolve, field, frozen

from benchmarks.engine import Recording, recordings
from benchmarks.measure import show
from pipeline.items import Audio, Item, Mark, MarkKind, Samples, Text
from stages.asr import Asr
from stages.mt import Mt
from stages.tts import Tts
from stages.vad import Vad
from tests.wer import error_rate, words

RATE = 16000
WAYS = {"pauses": Asr(), "guesses": Asr(partials_s=1.0, sentences=False), "settled": Asr(partials_s=1.0)}
TARGETS = {"en": "pt-br", "pt": "en-us"}
PAUSE_S, STEP_S = 0.15, 0.02

Timed = Sequence[tuple[float, Item]]
"""Items, each with the second at which it came."""


# --- simulated time -------------------------------------------------------------------------------------------


@define(eq=False)
class WorkClock(trio.abc.Clock):
    """Stands still, but for what comes later and what is worked."""

    now_s: float = 0.0

    def start_clock(self) -> None: ...

    def current_time(self) -> float:
        return self.now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline - self.now_s


@define(eq=False)
class Worker:
    """Stands where a stage's limiter does: work takes the processor time that it took."""

    clock: WorkClock
    busy_s: float = 0.0
    available_tokens: int = 1
    _begun_s: float = 0.0

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        self._begun_s = time.process_time()

    def release_on_behalf_of(self, borrower: object) -> None:
        took_s = time.process_time() - self._begun_s
        self.busy_s += took_s
        self.clock.now_s += took_s


@define
class Arriving:
    """An inbox, and an outbox that notes when things are sent."""

    clock: WorkClock
    items: Iterator[tuple[float, Item]]
    sent: list[tuple[float, Item]] = field(factory=list)
    ports: Sequence[str] = ("in",)

    def __aiter__(self) -> Arriving:
        return self

    def __getitem__(self, port: str) -> Arriving:
        return self

    async def __anext__(self) -> Item:
        await checkpoint()
        for at_s, item in self.items:
            self.clock.now_s = max(self.clock.now_s, at_s)
            return item
        raise StopAsyncIteration

    async def send(self, item: Item, port: str | None = None) -> None:
        self.sent.append((self.clock.now_s, item))

    def wanted(self, port: str) -> bool:
        return True


def after(stage: Asr | Mt | Tts, items: Iterable[tuple[float, Item]]) -> tuple[Timed, float]:
    """What comes out of `stage`, and how long it worked for it, in seconds."""
    clock = WorkClock()
    worker, ends = Worker(clock), Arriving(clock, iter(items))
    stage.limiter = worker  # type: ignore[assignment]
    anyio.run(stage.run, ends, ends, backend="trio", backend_options={"clock": clock})
    return ends.sent, worker.busy_s


# --- what is said ---------------------------------------------------------------------------------------------


def sound_of(path: Path) -> Samples:
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    resampled: Samples = soxr.resample(samples[:, :1], rate, RATE)
    return resampled


def hurried(sound: Samples) -> Samples:
    """The same with its pauses shortened to `PAUSE_S`."""
    step = int(STEP_S * RATE)
    steps = sound[: len(sound) // step * step].reshape(-1, step)
    level = np.sqrt(np.mean(np.square(steps, dtype=np.float64), axis=1))
    kept, pause = [], 0
    for each, quiet in zip(steps, level < 0.06 * np.percentile(level, 90), strict=True):
        pause = pause + 1 if quiet else 0
        if pause * STEP_S <= PAUSE_S:
            kept.append(each)
    return np.concatenate(kept)[:, None]


def utterances(sound: Samples, vad: Vad) -> Iterator[tuple[float, Item]]:
    """The sound as it comes, in blocks of 100 ms, with the marks of `vad`."""
    for begin in range(0, len(sound), RATE // 10):
        block = Audio(sound[begin : begin + RATE // 10], begin, RATE)
        yield from ((block.end / RATE, item) for item in vad.feed(block))
    yield from ((len(sound) / RATE, item) for item in vad.flush())


# --- what is measured -----------------------------------------------------------------------------------------


@frozen
class Measured:
    seconds: float
    words: int
    wrong: float
    sentences: int
    worked_s: float
    text_s: Sequence[float]
    voice_s: Sequence[float]


def measure(recording: Recording, sound: Samples, way: str, *, voice: bool) -> Measured:
    vad = Vad()
    asr = evolve(WAYS[way], language=recording.language, when_settled=vad.begin_anew)
    texts, worked_s = after(asr, utterances(sound, vad))
    finals = [(at_s, item) for at_s, item in texts if isinstance(item, Text) and item.final]
    said, count = " ".join(text.text for _, text in finals), len(words(recording.transcript))
    return Measured(
        seconds=len(sound) / RATE,
        words=count,
        wrong=error_rate(recording.transcript, said) * count,
        sentences=len(finals),
        worked_s=worked_s,
        text_s=[at_s - text.end_ms / 1000 for at_s, text in finals],
        voice_s=voiced(recording.language, finals) if voice and recording.language in TARGETS else [],
    )


def voiced(language: str, finals: Timed) -> list[float]:
    """How long after the end of each sentence its translation begins to be heard."""
    translated, _ = after(Mt(source_language=language, target_language=TARGETS[language]), finals)
    spoken, _ = after(Tts(language=TARGETS[language], threads=1), translated)
    delays, texts, begun = [], iter(item for _, item in translated if isinstance(item, Text)), False
    for at_s, item in spoken:
        if isinstance(item, Audio) and not begun:
            delays.append(at_s - next(texts).end_ms / 1000)
        begun = not (isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END)
    return delays


def row(kind: str, way: str, measured: Sequence[Measured]) -> dict[str, Any]:
    seconds, count = sum(each.seconds for each in measured), sum(each.words for each in measured)
    text_s = [delay for each in measured for delay in each.text_s]
    voice_s = [delay for each in measured for delay in each.voice_s]
    return {
        "speech": kind,
        "final": way,
        "s": round(seconds),
        "words": count,
        "wrong": sum(each.wrong for each in measured) / count,
        "texts": sum(each.sentences for each in measured),
        "text p50": part(text_s, 0.5),
        "p95": part(text_s, 0.95),
        "voice p50": part(voice_s, 0.5),
        "p95 ": part(voice_s, 0.95),
        "cores": sum(each.worked_s for each in measured) / seconds,
    }


def part(delays: Sequence[float], fraction: float) -> float:
    if len(delays) < 2:
        return delays[0] if delays else float("nan")
    return statistics.quantiles(delays, n=100, method="inclusive")[round(100 * fraction) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--voice", action="store_true")
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--languages", default="en,es,pt")
    parser.add_argument("--longer-than", type=float, default=15.0)
    wishes = parser.parse_args()
    languages = wishes.languages.split(",") if wishes.speech else ["en"]
    chosen = [(each, sound_of(each.path)) for tag in languages for each in recordings(wishes.speech, tag)]
    chosen = [(each, sound) for each, sound in chosen if len(sound) > wishes.longer_than * RATE]
    kinds = {"as it is": chosen, "no pauses": [(each, hurried(sound)) for each, sound in chosen]}
    show(
        f"live: {len(chosen)} recordings; delays in seconds, cores for the recognition",
        [
            row(kind, way, [measure(each, sound, way, voice=wishes.voice) for each, sound in spoken])
            for kind, spoken in kinds.items()
            for way in WAYS
        ],
    )


if __name__ == "__main__":
    main()
