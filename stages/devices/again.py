"""Using a device that may go and come again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import anyio
from anyio import to_thread

from pipeline.stage import StageError
from stages.devices.opened import DeviceLost
from stages.devices.portaudio import Device
from stages.devices.retry import Retry

__all__ = ["Policy", "used"]

Policy = Literal["fail", "reopen"]


async def used(
    device: Device,
    use: Callable[[Device], Awaitable[None]],
    find: Callable[[], Device],
    retry: Retry,
    *,
    word: str,
    when_lost: Policy,
) -> None:
    """`use` the device until that returns; where it is lost, find it again, for as long as it takes, and go on.

    `find` blocks, and is called in a thread. `use` has `retry` begin where it loses the device, and end where it
    has it. Raises: StageError where it is lost and `when_lost` says fail, or will not open at first.
    """
    while True:
        try:
            await use(device)
            return
        except DeviceLost as lost:
            if when_lost == "fail":
                raise StageError(f"the {word} {device.name!r} is lost: {lost}") from None
        except StageError as closed:
            if not retry.trying:
                raise
            retry.failed(str(closed))
        device = await _found_again(find, retry)


async def _found_again(find: Callable[[], Device], retry: Retry) -> Device:
    while True:
        await anyio.sleep(retry.next_delay_s())
        try:
            return await to_thread.run_sync(find)
        except StageError as missing:
            retry.failed(str(missing))
