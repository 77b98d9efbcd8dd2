"""Visits to a room over a socket: each has one end, which says why, and all can be sent home."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
from attrs import define, field, frozen

from stages.room.wire import Fault, dump
from stages.sockets import Socket, SocketGone

__all__ = ["GOING_AWAY", "LATER", "POLICY", "Excluded", "Visits", "at_once"]

log = logging.getLogger(__name__)

POLICY, LATER, GOING_AWAY, INTERNAL = 1008, 1013, 1001, 1011
"""Close codes: against the rules, try again later, the room ends, a fault (RFC 6455, 7.4.1; IANA's registry)."""

GOODBYE_S = 2.0
"""How long visitors may take for the last of what there is, when the room ends."""


@frozen
class Excluded(Exception):
    """Why a visit cannot be, or go on: what the visitor is told, and its socket's close code."""

    code: str
    message: str
    close_code: int = POLICY


@define(eq=False)
class Visits:
    """Those who are here."""

    send_s: float
    """How long a visitor may take to read what is sent to it."""
    _scopes: set[anyio.CancelScope] = field(init=False, factory=set)
    _left: anyio.Event = field(init=False, factory=anyio.Event)

    async def receive(self, socket: Socket, visit: Callable[[Socket], Awaitable[None]]) -> int:
        """One visit to its end; the close code. Raises nothing but cancellation."""
        try:
            with anyio.CancelScope() as scope:
                self._scopes.add(scope)
                await visit(socket)
            await socket.close(GOING_AWAY, "the room ends")
            return GOING_AWAY
        except Excluded as excluded:
            return await self._part(socket, excluded)
        except SocketGone as gone:
            return gone.code
        except Exception:
            log.exception("a visit to the room failed")
            wrong = Excluded("internal_error", "the server has met what it did not expect", INTERNAL)
            return await self._part(socket, wrong)
        finally:
            self._scopes.discard(scope)
            self._left.set()

    async def see_off(self) -> None:
        """Give everybody a while to come to an end, then send home who is left; return when all have gone."""
        with anyio.move_on_after(GOODBYE_S):
            await self._emptied()
        self.cut()
        await self._emptied()

    async def _emptied(self) -> None:
        while self._scopes:
            self._left = anyio.Event()
            await self._left.wait()

    def cut(self) -> None:
        """Send everybody home now."""
        for scope in self._scopes:
            scope.cancel()

    async def _part(self, socket: Socket, excluded: Excluded) -> int:
        try:
            await socket.send(dump(Fault(excluded.code, excluded.message)), self.send_s)
            await socket.close(excluded.close_code, excluded.code)
        except SocketGone as gone:
            return gone.code
        return excluded.close_code


async def at_once(*works: Callable[[], Awaitable[None]]) -> None:
    """Do all `works` until one of them comes to its end, which ends the others. Raises what ended it."""
    ends: list[Excluded | SocketGone] = []

    async def until_its_end(work: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        try:
            await work()
        except (Excluded, SocketGone) as end:
            ends.append(end)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        for work in works:
            tasks.start_soon(until_its_end, work, tasks.cancel_scope)
    if ends:
        raise ends[0]
