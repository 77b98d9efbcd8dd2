"""A room's microphone at the terminal of `dragoman serve`: space pauses it, and goes on; who loses it is told."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from pipeline.cli.keyboard import PAUSE, Keyboard
from pipeline.serve.room.hall import Hall

__all__ = ["HINT", "obey_keys", "tell_losses"]

HINT = "space pauses the microphone"
PAUSED = "paused: the microphone hears nothing (space goes on)"
LISTENING = "listening again (space pauses)"
BACK = "the microphone is back"


async def obey_keys(keys: Keyboard, hall: Hall, say: Callable[[str], None]) -> None:
    """Pause the microphone of `hall` by `keys`, and `say` whenever it is paused or goes on, whoever did that."""

    def press(key: str) -> None:
        if key in PAUSE and hall.microphone is not None:
            hall.pause_microphone(not hall.microphone.paused)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keys.heed, press)
        tasks.start_soon(_say_pauses, hall, say)


async def _say_pauses(hall: Hall, say: Callable[[str], None]) -> None:
    said = False
    while True:
        changed = hall.changed
        if hall.microphone is not None and hall.microphone.paused != said:
            said = not said
            say(PAUSED if said else LISTENING)
        await changed.wait()


async def tell_losses(hall: Hall, say: Callable[[str], None]) -> None:
    """`say` when the microphone of `hall` is lost, and when it is back."""
    said = False
    while True:
        changed = hall.changed
        if hall.microphone is not None and bool(hall.microphone.lost) != said:
            said = not said
            say(f"{hall.microphone.lost}; it is waited for" if said else BACK)
        await changed.wait()
