"""Session after session: how long to wait before the next, when to give up, and a spare one that is ready."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from pipeline.stage import StageError
from stages.translate.realtime.backoff import Backoff
from stages.translate.realtime.events import Resume
from stages.translate.realtime.line import Interrupted, Line, Refused

__all__ = ["Lines"]

FIRST_TRIES = 3
"""A service that has never been there is not waited for: an address may be wrong."""
STEADY_S = 10.0
"""A session that has lived so long is no part of a quick-close loop."""
CUT_S = 0.1
"""Nor is one that has lived so long and that the network ended: a service that closes says so."""


@define
class Lines:
    """`fresh` opens a session, and calls what it is given when the service boots; it may go on with a lost one.

    `status` is what happens: connecting, starting, ready, reconnecting, refused.
    """

    fresh: Callable[[Callable[[], None], Resume | None], AbstractAsyncContextManager[Line]]
    backoff: Backoff
    give_up_s: float
    shown: Callable[[str], str]
    """What a service says, fit to be shown."""
    status: str = field(init=False, default="")
    sessions: int = field(init=False, default=0)
    spares_used: int = field(init=False, default=0)
    _spare: Line | None = field(init=False, default=None)
    _well_at: float | None = field(init=False, default=None)
    _ready_at: float | None = field(init=False, default=None)
    """When the session there is was ready."""

    @asynccontextmanager
    async def next(self, resume: Resume | None = None) -> AsyncIterator[Line]:
        """The next session, ready: the lost one where it may go on, or the spare. Raises Refused, Interrupted."""
        if not self.sessions:
            self.status = "connecting"
        if self._well_at is None:
            self._well_at = anyio.current_time()
        spare = self._spare is not None and resume is None
        async with self._take_spare() if spare else self.fresh(self._boots, resume) as line:
            self.sessions += 1
            self.status = "ready"
            self._ready_at = anyio.current_time()
            yield line

    def is_well(self, *, answered: bool) -> None:
        """The session works: it answers, or has lived for a while."""
        if answered or self._lived_s() > STEADY_S:
            self._well_at = anyio.current_time()
            self.backoff.succeeded()

    def _lived_s(self) -> float:
        return 0.0 if self._ready_at is None else anyio.current_time() - self._ready_at

    async def wait(self, interrupted: Interrupted) -> None:
        """Wait before the next, after one that ended or could not be had. Raises StageError if that is enough."""
        reason = self.shown(str(interrupted))
        if interrupted.broken and self._lived_s() > CUT_S:
            self.backoff.succeeded()
        self._ready_at = None
        tries = self.backoff.failures + 1
        if not self.sessions and (interrupted.unreachable or tries >= FIRST_TRIES):
            raise StageError(reason, code=69)
        since_s = anyio.current_time() - (self._well_at or 0)
        if since_s > self.give_up_s:
            raise StageError(
                f"the service has been out of reach for {since_s:.0f} s and {tries} tries: {reason}",
                code=69,
            )
        self.status = f"reconnecting, try {tries}: {reason}"
        await anyio.sleep(self.backoff.next_s())

    def refuse(self, refused: Refused) -> StageError:
        """What to raise when there will be no session."""
        reason = self.shown(str(refused))
        self.status = f"refused: {reason}"
        return StageError(reason, refused.exit_code)

    def _boots(self) -> None:
        self.status = "starting: the service boots"

    # --- the spare

    async def keep_spare(self, tasks: TaskGroup, backoff: Backoff) -> None:
        """Hold a session ready until it is taken, then have `tasks` hold the next. Refused, it does without.

        A socket belongs to the task that opened it, so this one stays until who took it is done with it.
        """
        taken = False
        while not taken:
            try:
                async with self.fresh(lambda: None, None) as line:
                    backoff.succeeded()
                    await self._offer(line)
                    taken = True
                    tasks.start_soon(self.keep_spare, tasks, backoff)
                    await line.done.wait()
            except Interrupted:
                await anyio.sleep(backoff.next_s())
            except Refused:
                return

    async def _offer(self, line: Line) -> None:
        """Return when somebody has taken `line`. Raises Refused, Interrupted."""
        self._spare = line
        try:
            await line.idle()
        finally:
            if self._spare is line:
                self._spare = None

    @asynccontextmanager
    async def _take_spare(self) -> AsyncIterator[Line]:
        line, self._spare = self._spare, None
        assert line is not None
        try:
            await line.take_over()
            self.spares_used += 1
            yield line
        finally:
            line.done.set()
