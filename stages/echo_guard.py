"""Keeps our own speech out of the microphone's: what the speaker just said must not be translated again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Protocol, cast

import numpy as np
from attrs import define, field

from pipeline.caps import AUDIO, AudioCaps, Caps, Port
from pipeline.items import Audio
from pipeline.stage import Stage, StageError, between, option
from stages.chunk import Chunk
from stages.echo.bands import HOPS_PER_S
from stages.echo.gate import STEP_S, Gate, Verdict
from stages.echo.likeness import AHEAD_S, likeness
from stages.played import Played
from stages.resample import scaled

__all__ = ["EchoGuard", "Hears", "Plays"]

_LATEST_TEXT_S = 2.0
"""Where the words are ours too, a delay may be this long: some loudspeakers without a wire need it."""


class Plays(Protocol):
    """A speaker, as far as the guard must know it: told of what it plays is whom the guard puts there."""

    played: Played | None


class Hears(Protocol):
    """A microphone, as far as the guard must know it."""

    @property
    def rate_hz(self) -> int:
        """The rate that its positions count in; 0 before it is known."""

    def time_of(self, position_frames: int) -> float | None:
        """The loop's time at which the frame at this position was captured; None where it is not known."""


@define(kw_only=True)
class EchoGuard:
    """Silence what the microphone hears of our own speech, so that it is not translated again.

    While the speaker plays, and a second longer, the sound waits for 1.6 s and its envelope is compared with that
    of what was played: whatever the level, at delays of up to 0.6 s. What is like it is silenced, and counted;
    what somebody else says meanwhile passes, and everything as long as the speaker is silent. With `half_duplex`
    nothing is compared: all that is heard while the speaker plays is silenced. Positions stay as they were.

    Raises: StageError where the graph has no such speaker, or no microphone, or several and none is named.
    """

    speaker: str = option(help="the stage that plays our speech", names_stage="played", example="speaker")
    microphone: str | None = option(
        None, help="the stage that hears; it may be left out where there is only one", names_stage="time_of"
    )
    half_duplex: bool = option(
        False, help="silence all that is heard while the speaker plays: for rooms where it is hard to tell"
    )
    tail_ms: int = option(
        600, help="half_duplex: how long after our speech it may still be heard", check=between(0, 5000, "ms")
    )

    _hears: Hears | None = field(init=False, default=None, repr=False)
    _gate: Gate = field(init=False, factory=lambda: Gate(Played()), repr=False)
    _steps: Chunk = field(init=False, factory=lambda: Chunk(ms=STEP_S * 1000), repr=False)
    _silenced: int = field(init=False, default=0)
    """Frames silenced so far, at the rate that came."""
    _rate: int = field(init=False, default=1)
    _echoes: int = field(init=False, default=0)
    _in_echo: bool = field(init=False, default=False)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """The same rate and channels, in blocks of other lengths."""
        came = caps["in"] if isinstance(caps["in"], AudioCaps) else AUDIO
        return {"out": AudioCaps(came.rate_hz, came.channels)}

    def meet(self, stages: Mapping[str, Stage]) -> None:
        plays = cast(Plays, _the(stages, self.speaker, "played", "speaker"))
        if plays.played is None:
            plays.played = Played()
        self._hears = cast(Hears, _the(stages, self.microphone, "time_of", "microphone"))
        self._gate = Gate(plays.played)

    def counts(self) -> Mapping[str, int]:
        return {
            "times our own speech was heard and silenced": self._echoes,
            "ms of it": self._silenced * 1000 // self._rate,
        }

    def feed(self, item: Audio) -> Iterator[Audio]:
        for step in self._steps.feed(item):
            yield from self._on_step(step)

    def flush(self) -> Iterator[Audio]:
        """What is held, judged by what is known."""
        for step in self._steps.flush():
            yield from self._on_step(step)
        yield from self._pass_on(self._gate.flush())
        self._in_echo = False

    def likeness(self, start_ms: int, end_ms: int) -> float:
        """How like our speech is what was heard there, from -1 to 1; 0 where that is not known any more."""
        begin = self._time_of(start_ms, 1000)
        if begin is None:
            return 0.0
        frames = (end_ms - start_ms) * HOPS_PER_S // 1000
        around = round((_LATEST_TEXT_S + AHEAD_S) * HOPS_PER_S)
        heard = self._gate.heard.energies(begin, frames)
        played = self._gate.played.energies(begin - _LATEST_TEXT_S, frames + around)
        return likeness(heard, played).score if played.any() else 0.0

    def _on_step(self, step: object) -> Iterator[Audio]:
        assert isinstance(step, Audio)
        at = self._time_of(step.start, step.rate)
        if at is None:
            yield from self._pass_on(self._gate.flush())
            yield step
        elif self.half_duplex:
            yield from self._pass_on([Verdict(step, self._speaks(at))])
        else:
            yield from self._pass_on(self._gate.feed(step, at))

    def _time_of(self, position: int, rate: int) -> float | None:
        """When the microphone heard it."""
        assert self._hears is not None, "meet comes first"
        hz = self._hears.rate_hz
        return self._hears.time_of(scaled(position, rate, hz)) if hz else None

    def _speaks(self, at: float) -> bool:
        tail_s = self.tail_ms / 1000
        frames = round((tail_s + STEP_S + AHEAD_S) * HOPS_PER_S)
        return bool(self._gate.played.sounds(at - tail_s, frames).any())

    def _pass_on(self, verdicts: Iterable[Verdict]) -> Iterator[Audio]:
        for verdict in verdicts:
            audio = verdict.audio
            self._echoes += verdict.ours and not self._in_echo
            self._in_echo = verdict.ours
            if verdict.ours:
                self._silenced, self._rate = self._silenced + audio.frames, audio.rate
                audio = Audio(np.zeros_like(audio.samples), audio.start, audio.rate)
            yield audio


def _the(stages: Mapping[str, Stage], name: str | None, needed: str, role: str) -> Stage:
    """The stage of that name, or where none is given the only one that has what is needed."""
    able = {each: stage for each, stage in stages.items() if hasattr(stage, needed)}
    if name in able:
        return able[name]
    if name is not None:
        raise StageError(f"echo_guard: {name!r} is no {role}: wanted {' or '.join(able) or 'a stage'}", code=2)
    if len(able) != 1:
        which = f"there are {', '.join(able)}: name one" if able else "there is none in this graph"
        raise StageError(f"echo_guard: which {role}? {which}", code=2)
    return next(iter(able.values()))
