"""What the echo guard silences: our own speech through rooms and loudspeakers, and what others say meanwhile.

Each scene is 16 s: our speech (Kokoro, hibari, or a recording) with short and long pauses, an echo path by chance
(see `tests.echo_paths`), noise at -65 to -52 dB of full scale, and somebody else, who speaks in pieces of 1.5 to
5 s. Counted is the time in which one of both is loud: of our own, what passed; of others', what was silenced.

    python -m benchmarks.echo_guard --speech FOLDER [--json] [--scenes 100] [--seed 1]

FOLDER has recordings in which one person speaks, of any format and any rate.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from attrs import define
from numpy.typing import NDArray

from benchmarks.measure import show
from stages.echo_guard import EchoGuard
from stages.models.speakers import choose
from tests.echo_paths import RATE, EchoPath, Sound, guarded, level, noise, speech_of

SCENE_S = 16
SENTENCES = {
    "pt-br": (
        "Bom dia a todos, e obrigado por terem vindo a esta reunião.",
        "Hoje vamos falar sobre o novo projeto e sobre os prazos que temos pela frente.",
        "Sim, claro.",
        "Quantas pessoas vão participar da conferência em setembro?",
    ),
    "en-us": (
        "Good morning everybody, and thank you for coming to this meeting.",
        "The first part of the work is done, and it was tested last week.",
        "Yes, of course.",
        "I do not know whether that is possible before the end of the month.",
    ),
    "es-es": ("Buenos días a todos, y gracias por venir a esta reunión.",),
}
LOUDER_DB = (None, 12, 6, 0, -6)
"""How much louder others are than our echo; None: we are not heard at all."""


@define
class Scene:
    """What we play, what of it is heard, and what others say."""

    ours: Sound
    echo: Sound
    others: Sound


def voices() -> Iterator[Sound]:
    import soxr

    for language, sentences in SENTENCES.items():
        speaker = choose(language, None).load(2)
        for sentence in sentences:
            spoken = np.concatenate(list(speaker.speak(sentence, 1.0)))
            yield np.asarray(soxr.resample(spoken, speaker.rate, RATE), np.float64)


def ours_of(clips: Sequence[Sound], dice: np.random.Generator) -> Sound:
    """One clip after another, with pauses."""
    out, place = np.zeros(SCENE_S * RATE), round(dice.uniform(0.5, 1.5) * RATE)
    while True:
        clip = clips[int(dice.integers(len(clips)))][: 6 * RATE]
        if place + len(clip) > len(out) - 2 * RATE:
            return out
        out[place : place + len(clip)] += level(clip, -22)
        pause = dice.uniform(0.05, 0.4) if dice.random() < 0.5 else dice.uniform(0.5, 2)
        place += len(clip) + round(pause * RATE)


def others_of(clip: Sound, dice: np.random.Generator) -> Sound:
    """Pieces of a recording, each after a pause, in a room of their own."""
    talk = np.resize(np.roll(clip, -int(dice.integers(len(clip)))), SCENE_S * RATE)
    speaking, place = np.zeros(len(talk)), round(dice.uniform(0, 3) * RATE)
    while place < len(talk):
        length = round(dice.uniform(1.5, 5) * RATE)
        speaking[place : place + length] = 1
        place += length + round(dice.uniform(1, 4) * RATE)
    near = EchoPath(0, 0, 100, 7000, dice.uniform(0.15, 0.5), 8, int(dice.integers(2**31)))
    return near.heard(talk) * speaking


def scene(
    machine: Sequence[Sound],
    people: Sequence[Sound],
    louder_db: int | None,
    alone: bool,
    dice: np.random.Generator,
) -> Scene:
    who = int(dice.integers(len(people)))
    recorded = [clip for number, clip in enumerate(people) if number != who]
    ours = ours_of(machine if dice.random() < 0.75 else recorded, dice)
    echo = EchoPath.any(dice).heard(ours)
    others = np.zeros(len(ours)) if alone else others_of(people[who], dice)
    if louder_db is None and not alone:
        return Scene(ours, echo * 0, level(others, dice.uniform(-40, -20)))
    if not alone:
        loud = np.sqrt(np.mean(np.square(echo[np.abs(echo) > np.abs(echo).max() / 50])))
        others = level(others, 20 * np.log10(loud) + (louder_db or 0))
    return Scene(ours, echo, others)


def powers(sound: Sound) -> Sound:
    """In steps of 100 ms."""
    return np.asarray(np.square(sound.reshape(-1, RATE // 10)).mean(axis=1))


def measured(what: Scene, dice: np.random.Generator) -> NDArray[np.int64]:
    """Steps: of ours loud, of those passed, of others' loud, of those silenced."""
    hum = noise(len(what.ours), dice.uniform(-65, -52), int(dice.integers(2**31)))
    passed = guarded(EchoGuard(speaker="speaker"), what.ours, what.echo + what.others + hum)
    silenced = (passed.reshape(-1, RATE // 10) == 0).all(axis=1)
    echo, others = powers(what.echo), powers(what.others)
    ours_loud = (echo > max(echo.max() / 100, 1e-9)) & (echo > 4 * others)
    others_loud = (others > max(others.max() / 100, 1e-9)) & (others > echo / 4)
    counts = (ours_loud, ours_loud & ~silenced, others_loud, others_loud & silenced)
    return np.array([int(steps.sum()) for steps in counts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    machine = [*voices()]
    people = [speech_of(path, 0, 25) for path in sorted(options.speech.glob("*.flac"))]
    rows = []
    for alone, louder_db in ((True, None), *((False, db) for db in LOUDER_DB)):
        dice = np.random.default_rng(options.seed)
        total = sum(measured(scene(machine, people, louder_db, alone, dice), dice) for _ in range(options.scenes))
        assert isinstance(total, np.ndarray)
        ours, passed, others, silenced = (int(count) for count in total)
        heard = "ours alone" if alone else "others alone" if louder_db is None else f"others {louder_db:+d} dB"
        rows.append(
            {
                "heard": heard,
                "ours, s": ours / 10,
                "of it passed": f"{passed / ours:.2%}" if ours else "",
                "others, s": others / 10,
                "of it silenced": f"{silenced / others:.2%}" if others else "",
            }
        )
        print(heard, file=sys.stderr, flush=True)
    show(f"echo guard, {options.scenes} scenes of {SCENE_S} s", rows)


if __name__ == "__main__":
    main()
