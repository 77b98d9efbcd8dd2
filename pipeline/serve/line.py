"""What a session needs of a connection."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Line"]


class Line(Protocol):
    """The connection of a session: see `stages.sockets.Socket`."""

    @property
    def address(self) -> str: ...

    @property
    def foreign(self) -> bool: ...

    def header(self, name: str) -> str | None: ...

    def known(self) -> None: ...

    async def receive(self) -> str | bytes: ...

    async def send(self, frame: str | bytes, timeout_s: float) -> None: ...

    async def close(self, code: int, reason: str = "") -> None: ...

    async def cut(self) -> None: ...
