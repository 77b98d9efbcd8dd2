"""Using a device that may go and come again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import anyio
from anyio import to_thread

from pipeline.stage import StageError
from stages.devices.device import WORDS, Device, Direction, lasting
from stages.devices.opened import DeviceLost, SteppedAside
from stages.devices.portaudio import Restarting, find_again
from stages.devices.retry import Retry

__all__ = ["Policy", "used"]

Policy = Literal["fail", "reopen"]


async def used(
    device: Device,
    use: Callable[[Device], Awaitable[None]],
    wanted: str | int | None,
    direction: Direction,
    retry: Retry,
    *,
    when_lost: Policy,
) -> None:
    """`use` the device, which was `wanted`, until that returns; where it is lost, find it again, and go on.

    `use` has `retry` begin where it loses the device, and end where it has it. Raises: StageError where it is lost
    and `when_lost` says fail, or will not open at first.
    """
    wanted, word = lasting(wanted, device), WORDS[direction]
    refusals = 0
    while True:
        try:
            await use(device)
            return
        except SteppedAside:
            retry.begin(f"{word} {device.name!r}", "PortAudio starts anew, to see a device that was plugged in")
            refusals = 0
        except DeviceLost as lost:
            if when_lost == "fail":
                raise StageError(f"the {word} {device.name!r} is lost: {lost}") from None
            refusals = 0
        except StageError as closed:
            if not retry.trying or when_lost == "fail":
                raise
            retry.failed(str(closed))
            refusals += 1
        device = await _found_again(wanted, direction, retry, when_lost, refused=refusals == 1)


async def _found_again(
    wanted: str | int | None, direction: Direction, retry: Retry, when_lost: Policy, *, refused: bool
) -> Device:
    while True:
        await anyio.sleep(retry.next_delay_s())
        try:
            return await to_thread.run_sync(partial(find_again, wanted, direction, refused=refused))
        except Restarting as wait:
            retry.failed(str(wait))
            refused = False
        except StageError as missing:
            if when_lost == "fail":
                raise
            retry.failed(str(missing))
