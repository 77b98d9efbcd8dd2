"""What a task waits for that has nothing to do, and others ring when there is something again."""

from __future__ import annotations

import anyio

__all__ = ["Bell"]


class Bell:
    """Wakes the one task that waits for it."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def ring(self) -> None:
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait for the next ring. The caller has just seen that it must: nothing may be awaited in between."""
        event = self._event = anyio.Event()
        try:
            await event.wait()
        finally:
            if self._event is event:  # cancelled: nobody waits any more
                self._event = None

    @property
    def waited_for(self) -> bool:
        """Whether a task waits for it now."""
        return self._event is not None
