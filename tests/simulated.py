"""Time that jumps over every wait, for tests of what takes long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from trio.testing import MockClock

from pipeline.items import Item
from tests.fakes import FakeOutbox

__all__ = ["TimedOutbox", "in_simulated_time"]


class TimedOutbox(FakeOutbox):
    """Also keeps when each item came, in `times`."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    async def send(self, item: Item, port: str | None = None) -> None:
        self.times.append(anyio.current_time())
        await super().send(item, port)


def in_simulated_time(run: Callable[..., Awaitable[None]], *args: object) -> None:
    """Run an async function on trio's clock, which jumps over every wait: an hour takes a moment."""
    clock = MockClock(autojump_threshold=0)
    anyio.run(run, *args, backend="trio", backend_options={"clock": clock})
