"""`dragoman devices`: which microphones and speakers there are, and how loud it is at one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence

from attrs import asdict

from pipeline.cli.columns import columns
from pipeline.cli.exits import refuse
from pipeline.cli.paint import paint
from pipeline.stage import StageError
from stages.devices.portaudio import Device, Direction, devices, offered_rates

__all__ = ["show", "show_meter"]

Rates = Callable[[Device, Direction], Sequence[int]]


def show(as_json: bool) -> None:
    """Every device, inputs first. Exits where PortAudio is missing."""
    try:
        listed = devices()
        told = json.dumps(_as_json(listed, offered_rates), indent=2, ensure_ascii=False) if as_json else None
        print(told if told is not None else "\n".join(_lines(listed, offered_rates)))
    except StageError as wrong:
        raise refuse(str(wrong), wrong.code) from None


def show_meter(device: str | None, seconds: float | None, as_json: bool) -> None:
    """The level at a microphone, until Ctrl-C or for `seconds`. Exits where there is none."""
    import anyio

    from pipeline.cli.meter import JsonMeter, LineMeter, ScreenMeter, watch_level

    meter = JsonMeter() if as_json else ScreenMeter() if sys.stdout.isatty() else LineMeter()
    try:
        anyio.run(watch_level, device, seconds, meter)
    except KeyboardInterrupt:
        return
    except StageError as wrong:
        raise refuse(str(wrong), wrong.code) from None


def _lines(listed: Sequence[Device], rates: Rates) -> Iterator[str]:
    titles: Sequence[tuple[Direction, str]] = (("input", "microphones"), ("output", "speakers"))
    for direction, title in titles:
        able = [device for device in listed if device.channels(direction)]
        yield paint(title, "bold", sys.stdout)
        if not able:
            yield "  none"
        rows = [_row(device, direction, rates(device, direction)) for device in able]
        yield from (
            f"  {line}" for line in columns([("", "NO", "NAME", "THROUGH", "CH", "HZ"), *rows] if rows else [])
        )
        yield ""
    yield "* the default; in a graph: {use: microphone, device: NAME or NO}, a part of the name will do"


def _row(device: Device, direction: Direction, rates: Sequence[int]) -> Sequence[str]:
    marked = paint("*", "green", sys.stdout) if device.is_default(direction) else ""
    own = device.rate_hz
    offered = ", ".join(paint(str(rate), "bold" if rate == own else "", sys.stdout) for rate in rates)
    channels = str(device.channels(direction))
    return marked, str(device.index), device.name, device.host_api, channels, offered or "none now"


def _as_json(listed: Sequence[Device], rates: Rates) -> list[dict[str, object]]:
    return [
        {
            **asdict(device),
            "input_rates_hz": list(rates(device, "input")) if device.inputs else [],
            "output_rates_hz": list(rates(device, "output")) if device.outputs else [],
        }
        for device in listed
    ]
