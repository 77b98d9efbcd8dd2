"""The level at a microphone, from moment to moment."""

from __future__ import annotations

import math
import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

import numpy as np
from anyio import to_thread
from attrs import define, field, frozen
from rich.live import Live
from rich.text import Text

from pipeline.cli.json_lines import JsonLines
from pipeline.items import Samples
from pipeline.stage import StageError
from stages.devices.listening import listening
from stages.devices.opened import INPUT_LATENCY_MS, DeviceLost
from stages.devices.portaudio import check, find

__all__ = ["JsonMeter", "Level", "LineMeter", "Meter", "ScreenMeter", "level_of", "watch_level"]

_FLOOR_DB = -60.0
_LOUD_DB, _CLIPPED_DB = -12.0, -0.1
_MUTE_AFTER_S = 3.0


@frozen
class Level:
    """How loud a stretch is, in decibels below full scale; None for digital silence."""

    at_s: float
    peak_db: float | None
    rms_db: float | None


class Meter(AbstractContextManager["Meter"], Protocol):
    """Who shows levels, every `every_s`."""

    every_s: float

    def show(self, name: str, level: Level, note: str) -> None: ...


async def watch_level(wanted: str | None, seconds: float | None, meter: Meter) -> None:
    """Show the level at the microphone `wanted` (None: the default) for `seconds`, or without end.

    Raises: StageError where there is none, or it goes away.
    """
    device = await to_thread.run_sync(find, wanted, "input")
    await to_thread.run_sync(check, device, "input", device.rate_hz, 1)
    frames = int(meter.every_s * device.rate_hz)
    silent_s = 0.0
    with meter:
        async with listening(device, device.rate_hz, 1, INPUT_LATENCY_MS / 1000) as ear:
            try:
                while True:
                    for piece in await ear.pieces(frames):
                        at_s = piece.end / device.rate_hz
                        level = level_of(piece.samples, at_s)
                        silent_s = silent_s + meter.every_s if level.peak_db is None else 0.0
                        meter.show(device.name, level, _note(level, silent_s))
                        if seconds is not None and at_s >= seconds:
                            return
            except DeviceLost as lost:
                raise StageError(f"the microphone {device.name!r} is lost: {lost}") from None


def level_of(samples: Samples, at_s: float = 0.0) -> Level:
    """The level of int16 `samples` of any shape."""
    wave = samples.astype(np.float64) / 32768
    peak = float(np.abs(wave).max()) if wave.size else 0.0
    rms = math.sqrt(float(np.mean(np.square(wave)))) if wave.size else 0.0
    return Level(at_s, _db(peak), _db(rms))


def _db(amplitude: float) -> float | None:
    return round(20 * math.log10(amplitude), 1) if amplitude else None


def _note(level: Level, silent_s: float) -> str:
    if silent_s >= _MUTE_AFTER_S:
        return "not the slightest noise: is it muted, or not allowed?"
    return "too loud" if (level.peak_db or _FLOOR_DB) >= _CLIPPED_DB else ""


def bar(level: Level, width: int) -> tuple[int, int]:
    """Cells of `width` that the mean fills, and the cell of the peak, from -60 dB up."""

    def cell(db: float | None) -> int:
        return round(width * max(0.0, 1 - max(_FLOOR_DB, db) / _FLOOR_DB)) if db is not None else 0

    return cell(level.rms_db), max(cell(level.peak_db) - 1, 0)


@define
class ScreenMeter:
    """A bar that moves, on a terminal."""

    every_s: float = 0.1
    _live: Live = field(init=False, factory=lambda: Live(auto_refresh=False, transient=True))

    def __enter__(self) -> ScreenMeter:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, name: str, level: Level, note: str) -> None:
        figures = f" {_figure(level.peak_db)} {note}"
        width = max(10, self._live.console.width - len(name) - len(figures) - 4)
        self._live.update(drawn(name, level, figures, width), refresh=True)


def drawn(name: str, level: Level, figures: str, width: int) -> Text:
    """The bar: green, yellow from -12 dB on, with a mark at the peak."""
    filled, peak = bar(level, width)
    loud = round(width * (1 - _LOUD_DB / _FLOOR_DB))
    line = Text(f"{name}  ", no_wrap=True, overflow="ellipsis")
    for place in range(width):
        style = "green" if place < loud else "yellow"
        line.append("█" if place < filled else "▏" if place == peak and level.peak_db else "·", style)
    return line.append(figures, "bold")


@define
class LineMeter:
    """A line a second, where there is no terminal."""

    every_s: float = 1.0

    def __enter__(self) -> LineMeter:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        return None

    def show(self, name: str, level: Level, note: str) -> None:
        told = f"{name}: peak {_figure(level.peak_db)}, mean {_figure(level.rms_db)}"
        print(f"{told}, {note}" if note else told, flush=True)


@define
class JsonMeter:
    """A JSON object ten times a second."""

    every_s: float = 0.1

    def __enter__(self) -> JsonMeter:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        return None

    def show(self, name: str, level: Level, note: str) -> None:
        JsonLines(sys.stdout).write(
            "level", device=name, at_s=round(level.at_s, 3), peak_db=level.peak_db, rms_db=level.rms_db
        )


def _figure(db: float | None) -> str:
    return "silence" if db is None else f"{db:6.1f} dB"
