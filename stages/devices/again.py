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
    while True:
        refused = False
        try:
            await use(device)
            return
        except SteppedAside:
            retry.begin(f"{word} {device.name!r}", "PortAudio starts anew, to see a device that was plugged in")
        except DeviceLost as lost:
            if when_lost == "fail":
                raise StageError(f"the {word} {device.name!r} is lost: {lost}") from None
        except StageError as closed:
            if not retry.trying or when_lost == "fail":
                raise
            retry.failed(str(closed))
            refused = True
        device = await _found_again(partial(find_again, wanted, direction, refused=refused), retry, when_lost)


async def _found_again(find: Callable[[], Device], retry: Retry, when_lost: Policy) -> Device:
    while True:
        await anyio.sleep(retry.next_delay_s())
        try:
            return await to_thread.run_sync(find)
        except StageError as missing:
            if when_lost == "fail" and not isinstance(missing, Restarting):
                raise
            retry.failed(str(missing))
