"""An inbox and an outbox for testing an actor alone, lists instead of channels; and a disk that is soon full."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest
from anyio.lowlevel import checkpoint
from attrs import define, field

from pipeline.items import Item

OUTPUT = "talk.out"
"""Where all that is in a `FakeInbox` comes from."""


class FakeInbox:
    """Gives `items` and ends. A mapping has the items of several ports; a plain iterable is all for `in`."""

    def __init__(self, items: Iterable[Item] | Mapping[str, Iterable[Item]]) -> None:
        self._ports = items if isinstance(items, Mapping) else {"in": items}
        self._rest = itertools.chain.from_iterable(self._ports.values())

    def __aiter__(self) -> FakeInbox:
        return self

    async def __anext__(self) -> Item:
        await checkpoint()
        for item in self._rest:
            return item
        raise StopAsyncIteration

    def with_outputs(self) -> AsyncIterator[tuple[str, Item]]:
        async def pairs() -> AsyncIterator[tuple[str, Item]]:
            async for item in self:
                yield OUTPUT, item

        return pairs()

    def __getitem__(self, port: str) -> FakeInbox:
        return FakeInbox({port: self._ports.get(port, ())})

    @property
    def ports(self) -> Sequence[str]:
        return list(self._ports)

    @property
    def stopped(self) -> bool:
        return False


@define
class FakeOutbox:
    """Keeps what is sent as (port, item) in `sent`; the port is None where the stage named none."""

    sent: list[tuple[str | None, Item]] = field(factory=list)
    unread: frozenset[str] = frozenset()

    async def send(self, item: Item, port: str | None = None) -> None:
        await checkpoint()
        self.sent.append((port, item))

    def wanted(self, port: str) -> bool:
        return port not in self.unread

    def items(self, port: str | None = None) -> list[Item]:
        """What was sent to `port`."""
        return [item for to, item in self.sent if to == port]


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes: a write that would is done in part, the next fails."""
    resource, signal = pytest.importorskip("resource"), pytest.importorskip("signal")
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, handler)
