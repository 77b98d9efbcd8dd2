"""The engine's workers, shared by sessions in turn: nobody waits longer because somebody else asks more often.

`Rota` decides who is next, `Load` tells how busy the workers were; both are plain counting. `Turns` makes
sessions wait. What a session holds is a `Seat`, which can stand wherever anyio takes a limiter for threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from types import TracebackType

import anyio
from attrs import define, field

__all__ = ["Load", "Rota", "Seat", "Turns"]

LOAD_WINDOW_S = 10.0
"""An utterance takes a few seconds to come and a second to translate: less would see only one of the two."""


@define(eq=False)
class Ticket:
    """One request: `granted` is set when its turn has come."""

    session: Hashable
    asked: float = 0.0
    granted: anyio.Event | None = None


@define
class Rota:
    """Who is next. `free` workers serve sessions in turn; the requests of one session stay in order."""

    free: int
    _waiting: dict[Hashable, deque[Ticket]] = field(init=False, factory=dict)
    """In the order of their turns."""

    def ask(self, ticket: Ticket) -> bool:
        """Whether a worker is free for `ticket` now; otherwise it waits."""
        if self.free:
            self.free -= 1
            return True
        self._waiting.setdefault(ticket.session, deque()).append(ticket)
        return False

    def give_back(self) -> Ticket | None:
        """A worker is done: the ticket whose turn it is now, or None where nobody waits."""
        if not self._waiting:
            self.free += 1
            return None
        session = next(iter(self._waiting))
        tickets = self._waiting.pop(session)
        ticket = tickets.popleft()
        if tickets:
            self._waiting[session] = tickets  # behind all others
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """`ticket` waits no more."""
        tickets = self._waiting[ticket.session]
        tickets.remove(ticket)
        if not tickets:
            del self._waiting[ticket.session]

    @property
    def waiting(self) -> list[Ticket]:
        return [ticket for tickets in self._waiting.values() for ticket in tickets]


@define
class Load:
    """How much of their time `workers` were busy over the last seconds."""

    workers: int
    window_s: float = LOAD_WINDOW_S
    _busy: int = field(init=False, default=0)
    _changes: deque[tuple[float, int]] = field(init=False, factory=deque)
    """When how many workers began to be busy, oldest first; the first may lie before the window."""

    def change(self, by: int, now: float) -> None:
        self._busy += by
        self._changes.append((now, self._busy))
        while len(self._changes) > 1 and self._changes[1][0] <= now - self.window_s:
            self._changes.popleft()

    def fraction(self, now: float) -> float:
        """From 0.0 to 1.0."""
        begin, seconds, until = now - self.window_s, 0.0, now
        for when, busy in reversed(self._changes):
            seconds += busy * max(0.0, until - max(when, begin))
            until = max(when, begin)
        return seconds / (self.window_s * self.workers)


class Turns:
    """A bounded pool of engine workers. `seat` gives a session its place at it."""

    def __init__(self, workers: int, told: Callable[[float], None] = lambda waited_s: None) -> None:
        """`told` hears how long each request has waited."""
        self.load = Load(workers)
        self._rota = Rota(workers)
        self._told = told

    def seat(self, session: Hashable) -> Seat:
        """Where `session` asks for workers."""
        return Seat(self, session)

    @property
    def longest_wait_s(self) -> float:
        """How long the oldest request has waited so far."""
        now = anyio.current_time()
        return max((now - ticket.asked for ticket in self._rota.waiting), default=0.0)

    @property
    def free(self) -> int:
        return self._rota.free

    async def take(self, session: Hashable) -> None:
        """Wait for a worker."""
        ticket = Ticket(session, anyio.current_time())
        if not self._rota.ask(ticket):
            ticket.granted = anyio.Event()
            try:
                await ticket.granted.wait()
            except BaseException:
                if ticket.granted.is_set():
                    self._pass_on()
                else:
                    self._rota.withdraw(ticket)
                raise
        now = anyio.current_time()
        self._told(now - ticket.asked)
        self.load.change(1, now)

    def give_back(self) -> None:
        """The worker is done."""
        self.load.change(-1, anyio.current_time())
        self._pass_on()

    def _pass_on(self) -> None:
        following = self._rota.give_back()
        if following is not None:
            assert following.granted is not None
            following.granted.set()


@define
class Seat:
    """A session's place: `async with seat:` around the work, or `anyio.to_thread.run_sync(..., limiter=seat)`."""

    _turns: Turns
    _session: Hashable
    busy_s: float = field(init=False, default=0.0)
    """How long workers worked for it, once they are all done."""

    @property
    def available_tokens(self) -> int:
        """How many workers are free now: what can wait asks before it takes one."""
        return self._turns.free

    async def __aenter__(self) -> None:
        await self.acquire_on_behalf_of(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release_on_behalf_of(self)

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """What trio calls where anyio on asyncio uses `async with`."""
        await self._turns.take(self._session)
        self.busy_s -= anyio.current_time()

    def release_on_behalf_of(self, borrower: object) -> None:
        self.busy_s += anyio.current_time()
        self._turns.give_back()
