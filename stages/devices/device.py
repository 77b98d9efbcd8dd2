"""A sound device, and which of those that there are is meant. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from pipeline.stage import StageError

__all__ = ["WORDS", "Device", "Direction", "choose", "lasting"]

Direction = Literal["input", "output"]
WORDS = {"input": "microphone", "output": "speaker"}
_ALSA_NUMBERS = re.compile(r" \(hw:\d+,\d+\)$")


@frozen
class Device:
    """A sound device: `inputs` and `outputs` are the channels it has each way, `rate_hz` is its own rate."""

    index: int
    name: str
    host_api: str
    inputs: int
    outputs: int
    rate_hz: int
    default_input: bool = False
    default_output: bool = False

    def channels(self, direction: Direction) -> int:
        return self.inputs if direction == "input" else self.outputs

    def is_default(self, direction: Direction) -> bool:
        return self.default_input if direction == "input" else self.default_output

    def __str__(self) -> str:
        return f"{self.index} {self.name!r} ({self.host_api})"


def choose(listed: Sequence[Device], wanted: str | int | None, direction: Direction) -> Device:
    """The device numbered `wanted`, or with `wanted` in its name (in any case), or the system's default.

    Raises: StageError, with the candidates, where there is none or not one alone.
    """
    able = [device for device in listed if device.channels(direction)]
    word = WORDS[direction]
    if not able:
        raise StageError(f"this machine has no {word}: `dragoman devices` lists what there is")
    if wanted is None:
        found = [device for device in able if device.is_default(direction)]
        if not found:
            raise StageError(f"no {word} is the default; say which: device: {_candidates(able)}")
        return found[0]
    found = _matching(able, wanted)
    if not found:
        raise StageError(f"no {word} {wanted!r}; there is {_candidates(able)}", code=2)
    if len(found) > 1:
        raise StageError(
            f"several {word}s match {wanted!r}; say which, by name or number: {_candidates(found)}", 2
        )
    return found[0]


def _matching(able: Sequence[Device], wanted: str | int) -> list[Device]:
    """By number, else by the whole name, else by a part of it."""
    text = str(wanted).strip()
    numbered = [device for device in able if text == str(device.index)]
    if numbered or isinstance(wanted, int):
        return numbered
    folded = text.casefold()
    same = [device for device in able if device.name.casefold() == folded]
    return same or [device for device in able if folded in device.name.casefold()]


def _candidates(able: Sequence[Device]) -> str:
    return ", ".join(str(device) for device in able)


def lasting(wanted: str | int | None, found: Device) -> str | int | None:
    """What to look for when `found`, which `wanted` meant, is gone: not its number, which others may have then."""
    if wanted is None or str(wanted).strip() != str(found.index):
        return wanted
    return _ALSA_NUMBERS.sub("", found.name)
