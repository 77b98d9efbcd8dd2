"""Events that wait for whoever is slower, in order and within bounds."""

from __future__ import annotations

from collections import deque

import anyio
from attrs import define, field

from stages.translate.realtime.events import Event

__all__ = ["Backlog"]

_OBJECT_BYTES = 500
"""About what an event costs beside its text or sound, so that many empty ones are bounded too."""


@define(eq=False)
class Backlog:
    """Up to `limit_bytes` of events, and the one that goes over it; `put` waits where there is more.

    Nothing is ever dropped. `stalls` counts how often a `put` had to wait.
    """

    limit_bytes: int
    held_bytes: int = field(init=False, default=0)
    stalls: int = field(init=False, default=0)
    _events: deque[tuple[Event, int]] = field(init=False, factory=deque)
    _awaited: anyio.Event | None = field(init=False, default=None)
    """Where somebody waits, which is seldom: an event for each change would be most of what this costs."""
    _closed: bool = field(init=False, default=False)

    def __len__(self) -> int:
        return len(self._events)

    async def put(self, event: Event, size_bytes: int) -> None:
        if self.offer(event, size_bytes):
            return
        self.stalls += 1
        while not self.offer(event, size_bytes):
            await self._change()

    def offer(self, event: Event, size_bytes: int) -> bool:
        """Take `event` without waiting; False where it must wait."""
        if self.held_bytes > self.limit_bytes:
            return False
        self._events.append((event, size_bytes + _OBJECT_BYTES))
        self.held_bytes += size_bytes + _OBJECT_BYTES
        self._ring()
        return True

    async def take(self) -> tuple[Event, int] | None:
        """The next event and its size; None once it is closed and empty."""
        while not self._events:
            if self._closed:
                return None
            await self._change()
        event, held = self._events.popleft()
        self.held_bytes -= held
        self._ring()
        return event, held - _OBJECT_BYTES

    def close(self) -> None:
        """Nothing more will be put."""
        self._closed = True
        self._ring()

    async def _change(self) -> None:
        self._awaited = self._awaited or anyio.Event()
        await self._awaited.wait()

    def _ring(self) -> None:
        if self._awaited is not None:
            self._awaited.set()
            self._awaited = None
