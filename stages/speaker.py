"""A sink that speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import ClassVar, Literal, Protocol

import anyio
import numpy as np
from anyio import to_thread
from attrs import define, field

from pipeline.caps import AUDIO, Caps, Port
from pipeline.items import Audio, Item, Mark, Samples, Text
from pipeline.stage import Duration, Inbox, Outbox, StageError, between, option
from stages.devices.opened import DEFAULT_LATENCY_MS, DeviceLost
from stages.devices.playing import LEAD_S, Playing, playing
from stages.devices.portaudio import Device, check, find
from stages.devices.retry import Retry
from stages.devices.ring import Ring
from stages.playout import Playout, Skipped
from stages.resample import Resample

__all__ = ["Speaker"]

_TICK_S = 0.02
_HOLD_S = 10.0
"""What waits here where nothing is ever skipped: the rest waits where it came from."""
_LATE_S = 2.0
"""Worth telling."""
_TOLD_S = 10.0
"""How long a skipped utterance is told of."""


class Noting(Protocol):
    """Who wants to know what was played, and when it sounds: `stages.played.Played`."""

    def note(self, samples: Samples, rate: int, at: float) -> None: ...


@define(kw_only=True)
class Speaker:
    """Play speech as it comes, on a speaker: without a click, and, if `max_lag` says so, never later than that.

    Sound of another rate is resampled to the device's, mono sounds on both sides. At the end all is played before
    the run ends. Speech that is late is hurried, and then skipped, which is counted as lost.

    Raises: StageError where there is no such device, it will not open, or is lost and `when_lost` says fail.
    """

    device: int | str | None = option(
        None,
        help="its number or a part of its name, as `dragoman devices` tells them; null for the system's default",
    )
    volume_db: float = option(0.0, help="how much louder or softer to play", check=between(-60, 20, "dB"))
    latency_ms: float = option(
        200,
        help="how much of an utterance is gathered before it is played, so that it goes on without a break",
        check=between(0, 5000, "ms"),
    )
    max_lag: Duration | None = option(
        None,
        help="how late speech may come: then silence is cut, it is spoken up to a quarter faster, and at last whole "
        "utterances are skipped; null never skips, but lets what comes wait",
        check=between(1, 600, "seconds"),
    )
    when_lost: Literal["fail", "reopen"] = option(
        "fail", help="where it is unplugged or stalls: `fail`, or `reopen` it, trying for as long as it takes"
    )
    played: Noting | None = field(default=None, repr=False)
    """Told of everything that is played, with the loop's time at which it sounds."""
    _form: _Form | None = field(init=False, default=None)
    _playout: Playout | None = field(init=False, default=None)
    _ring: Ring | None = field(init=False, default=None)
    _mouth: Playing | None = field(init=False, default=None)
    _retry: Retry = field(init=False, factory=Retry)
    _resample: Resample | None = field(init=False, default=None)
    _volume: _Volume = field(init=False)
    _skipped: _Told = field(init=False, factory=lambda: _Told())
    _starved: int = field(init=False, default=0)
    _unsounded: int = field(init=False, default=0)
    _times_lost: int = field(init=False, default=0)
    _late_s: float = field(init=False, default=0.0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}
