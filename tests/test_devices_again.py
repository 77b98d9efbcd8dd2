"""Finding a device again that was lost, or was left for a moment: in simulated time, without a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.stage import StageError
from stages.devices import portaudio
from stages.devices.again import used
from stages.devices.device import Device
from stages.devices.opened import DeviceLost, SteppedAside
from stages.devices.portaudio import Restarting, find_again, step_aside
from stages.devices.retry import Retry
from tests.simulated import in_simulated_time

OLD, NEW = Device(1, "USB", "ALSA", 1, 0, 48000), Device(4, "USB", "ALSA", 1, 0, 48000)


def go(
    monkeypatch: pytest.MonkeyPatch, uses: list[Exception | None], finds: list[Exception | Device], policy: Any
) -> list[Any]:
    """What happens while the device ends as in `uses`, one after the other, and looking for it as in `finds`."""
    done: list[Any] = []
    retry = Retry()

    async def use(device: Device) -> None:
        done.append(f"use {device.index}")
        end = uses.pop(0)
        if isinstance(end, DeviceLost):
            retry.begin("microphone 'USB'", str(end))
        if end is not None:
            raise end

    def find_again(wanted: Any, direction: str, *, refused: bool) -> Device:
        done.append((wanted, direction, refused))
        found = finds.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("stages.devices.again.find_again", find_again)

    async def run() -> None:
        try:
            await used(OLD, use, 1, "input", retry, when_lost=policy)
        except StageError as wrong:
            done.append(str(wrong))

    in_simulated_time(run)
    return done


LOOKED, LOOKED_AFTER_REFUSAL = ("USB", "input", False), ("USB", "input", True)


def test_a_lost_device_is_looked_for_by_its_name_until_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are asked to step aside once: it may not open because another program has it."""
    uses = [DeviceLost("gone"), StageError("busy"), StageError("busy"), None]
    finds = [StageError("none"), OLD, StageError("none"), Restarting("later"), NEW, NEW]
    assert go(monkeypatch, uses, finds, "reopen") == [
        *("use 1", LOOKED, LOOKED, "use 1"),
        *(LOOKED_AFTER_REFUSAL, LOOKED_AFTER_REFUSAL, LOOKED, "use 4"),
        *(LOOKED, "use 4"),
    ]


def test_a_device_that_may_not_be_lost_may_be_left_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    finds = [Restarting("later"), NEW]
    assert go(monkeypatch, [SteppedAside(), None], finds, "fail") == ["use 1", LOOKED, LOOKED, "use 4"]
    assert go(monkeypatch, [SteppedAside()], [StageError("none")], "fail") == ["use 1", LOOKED, "none"]
    assert go(monkeypatch, [SteppedAside(), StageError("busy")], [NEW], "fail")[2:] == ["use 4", "busy"]
    (told,) = go(monkeypatch, [DeviceLost("gone")], [], "fail")[1:]
    assert told == "the microphone 'USB' is lost: gone"


def test_streams_are_asked_to_step_aside_for_a_while_and_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(portaudio, "time", Clock(lambda: now))
    library = portaudio._Library()
    assert not library.waits
    library.ask_to_step_aside()
    assert library.waits
    now += 3.1
    assert not library.waits, "one of them has not heeded it"
    now += 10
    library.ask_to_step_aside()
    assert not library.waits
    now += 10
    library.ask_to_step_aside()
    assert library.waits


@pytest.mark.parametrize(
    ("ours", "refused", "steps_aside"), [([OLD], False, False), ([OLD], True, True), ([], False, True)]
)
def test_what_another_process_sees_is_opened_as_our_own_has_it(
    monkeypatch: pytest.MonkeyPatch, ours: list[Device], refused: bool, steps_aside: bool
) -> None:
    library = portaudio._Library()
    library.streams = 1
    monkeypatch.setattr(portaudio, "_library", library)
    monkeypatch.setattr(portaudio, "_sounddevice", lambda: None)
    monkeypatch.setattr(portaudio, "_told", lambda sd: ())
    monkeypatch.setattr(portaudio, "_listed", lambda: ours)
    monkeypatch.setattr(portaudio, "_seen_from_outside", lambda: [NEW])
    if steps_aside:
        with pytest.raises(Restarting, match="'USB' is there, but PortAudio has to be started anew to use it"):
            find_again("usb", "input", refused=refused)
        with pytest.raises(Restarting, match="PortAudio starts anew, to see a device that was plugged in"):
            find_again("usb", "input")
    else:
        assert find_again("usb", "input", refused=refused) == OLD
    assert step_aside() == steps_aside


class Clock:
    """In place of the module `time`."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic
