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
from stages.devices.device import Device, Direction
from stages.devices.portaudio import USUAL_RATES_HZ, devices, offered_rates

__all__ = ["show", "show_meter"]

_UNUSABLE = "not usable: busy or gone"

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
    if not any(device.channels(direction) for device in listed for direction, _ in titles):
        yield "The system offers no microphone and no speaker: plug one in, and look again."
        return
    for direction, title in titles:
        able = [device for device in listed if device.channels(direction)]
        yield paint(title, "bold", sys.stdout)
        rows = [_row(device, direction, rates(device, direction)) for device in able]
        head = [("", "NO", "NAME", "THROUGH", "CH", "HZ")] if rows else [("none",)]
        yield from (f"  {line}" for line in columns([*head, *rows]))
        yield ""
    yield "* the default; in a graph {use: microphone, device: NO, or a part of the NAME}"
    yield "HZ: the sample rate that is its own; then all that it takes"


def _row(device: Device, direction: Direction, rates: Sequence[int]) -> Sequence[str]:
    marked = paint("*", "green", sys.stdout) if device.is_default(direction) else ""
    channels = str(device.channels(direction))
    return marked, str(device.index), device.name, device.host_api, channels, _offered(rates, device.rate_hz)


def _offered(rates: Sequence[int], own: int) -> str:
    """The device's own rate, if it has that now, and what else there is: usual rates without a break as a range.

    >>> _offered([8000, 16000, 22050, 24000, 44100, 48000], 48000)
    '48000; 8000 to 24000, 44100 to 48000'
    """
    if not rates:
        return _UNUSABLE
    told = [] if own not in rates else [paint(str(own), "bold", sys.stdout)]
    told += [] if list(rates) == [own] else [", ".join(_ranges(rates))]
    return "; ".join(told)


def _ranges(rates: Sequence[int]) -> Iterator[str]:
    usual = sorted({*USUAL_RATES_HZ, *rates})
    first = last = rates[0]
    for rate in rates[1:]:
        if usual.index(rate) != usual.index(last) + 1:
            yield _range(first, last)
            first = rate
        last = rate
    yield _range(first, last)


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _as_json(listed: Sequence[Device], rates: Rates) -> list[dict[str, object]]:
    return [
        {
            **asdict(device),
            "input_rates_hz": list(rates(device, "input")) if device.inputs else [],
            "output_rates_hz": list(rates(device, "output")) if device.outputs else [],
        }
        for device in listed
    ]
