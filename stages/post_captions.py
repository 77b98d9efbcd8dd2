"""Captions to a live stream on YouTube or a meeting in Zoom, by HTTP POST."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import anyio
from attrs import define, evolve, field

from pipeline.caps import TEXT, Caps, Port
from pipeline.items import Text
from pipeline.stage import Duration, Inbox, Outbox, StageError, between, option
from stages.languages import canonical, checked
from stages.out_file import named
from stages.posting.http import Answer, NoAnswer, Target, check_address, post
from stages.posting.numbers import Numbers, default_path, fingerprint
from stages.posting.services import SERVICES, WHERE_YOUTUBE, WHERE_ZOOM, Post, Service, ServiceName, Verdict
from stages.posting.waiting import Fate, WaitingPosts
from stages.posting.wall import WallClock, check_utc, utc_ms
from stages.translate.realtime.backoff import Backoff

__all__ = ["PostCaptions", "Poster"]

BASE_S, CAP_S = 0.5, 20.0

_SAID = {
    Verdict.AGAIN: "trying again",
    Verdict.REFUSED: "refused, trying again",
    Verdict.SKIPPED: "skipped a text",
}

Poster = Callable[[Target, Sequence[str], bytes, float], Awaitable[Answer]]
"""`stages.posting.http.post`, or what a test has in its place."""


@define(kw_only=True)
class PostCaptions:
    """Post final texts as captions to a YouTube live stream or a Zoom meeting, each once and in order.

    A service that is slow or away never slows the graph: a bounded number of texts waits, each for a bounded time,
    and what was not posted is counted as lost. What the services want stands in `stages.posting.services`.

    Texts are timed by the source's clock; YouTube wants UTC. The time of day is read once, when the run begins,
    and that is taken for position 0 of the source, which is right for a microphone; `zero` says otherwise.
    """

    url: str = option(
        help="the address to post captions to, a secret: whoever has it can write there. It is found in "
        f"{WHERE_YOUTUBE}; or in {WHERE_ZOOM}",
        check=check_address,
        secret=True,
        example="https://upload.youtube.com/closedcaption?cid=abcd-1234",
    )
    service: ServiceName = option(help="whose address it is", example="youtube")
    language: str | None = option(
        None, help="the language that the service is told; left out: that of each text", check=checked
    )
    state: Path | None = option(
        None,
        help="the file that keeps the number of the last caption, so that a restart goes on from it; its folder "
        "must exist; left out: one for each address, in the user's state directory",
        check=named(),
        opens="writes",
    )
    zero: str | None = option(
        None,
        help="YouTube: the time in UTC of position 0 of the source, such as 2012-12-24T00:00:06.873; left out: "
        "when the run begins",
        check=check_utc,
    )
    delay_s: float = option(
        0.0,
        help="YouTube: so much later than they were said captions are shown: the picture may go a longer way",
        check=between(-600, 600, "s"),
    )
    most_waiting: int = option(
        64,
        help="texts that wait while the service does not take them; for one more the oldest is dropped",
        check=between(1, 10000, "texts"),
    )
    give_up_s: Duration = option(
        Duration(30), help="a text that could not be posted for so long is given up: it would come too late"
    )
    timeout_s: float = option(5.0, help="how long a post may take", check=between(0.1, 60, "s"))
    heartbeat_s: Duration = option(
        Duration(30),
        help="YouTube: an empty post at the start, and when nothing was said for so long, so that an address that "
        "is not right is told before anybody speaks; 0: none",
    )
    when_refused: Literal["go_on", "fail"] = option(
        "go_on",
        help="when the service says that the address is not right: go_on goes on trying, and says so in the "
        "status; fail ends the run",
    )
    deadline_s: float = option(
        10.0, help="at the end: how long what still waits may take", check=between(0, 600, "s")
    )

    _post: Poster = field(default=post, repr=False)
    _dice: Callable[[], float] = field(factory=lambda: random.Random().random, repr=False)
    _utc_s: Callable[[], float] = field(default=time.time, repr=False)
    """The time of day in seconds since 1970. Asked once."""
    _target: Target = field(init=False, repr=False)
    _numbers: Numbers = field(init=False, factory=lambda: Numbers(Path(), ""), repr=False)
    _clock: WallClock = field(init=False, factory=lambda: WallClock(0, 0, 0.0), repr=False)
    _backoff: Backoff = field(init=False, repr=False)
    _waiting: WaitingPosts = field(init=False, repr=False)
    _changed: anyio.Event = field(init=False, factory=anyio.Event, repr=False)
    _trouble: str = field(init=False, default="")
    _ended: bool = field(init=False, default=False)
    _retries: int = field(init=False, default=0)
    _heartbeats: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def __attrs_post_init__(self) -> None:
        self._target = Target(self.url)
        self._waiting = WaitingPosts(self.most_waiting)
        self._backoff = Backoff(BASE_S, CAP_S, self._dice)

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}

    # --- what it tells

    @property
    def status(self) -> str:
        lost = self._waiting.lost
        return "; ".join(part for part in (self._trouble, f"texts lost: {lost}" if lost else "") if part)

    def losses(self) -> Mapping[str, int]:
        return self._waiting.losses(ended=self._ended)

    def counts(self) -> Mapping[str, int]:
        told = {"texts posted": self._waiting.posted, "tries again": self._retries, "heartbeats": self._heartbeats}
        return {what: count for what, count in told.items() if count}

    # --- the work

    def probe(self) -> None:
        """Raises: StageError where the number of the last caption cannot be read."""
        stream = fingerprint(self.url)
        self._numbers = Numbers(self.state or default_path(stream), stream, makes_folder=self.state is None)
        self._numbers.load()

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        """Raises: StageError where numbers cannot be kept, or, with `when_refused: fail`, a post is refused."""
        await anyio.to_thread.run_sync(self.probe)
        self._clock = self._new_clock(anyio.current_time())
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send)
                async for item in inbox:
                    if isinstance(item, Text) and item.final:
                        self._waiting.add(self._posts(item))
                        self._tell()
                with anyio.move_on_after(self.deadline_s):
                    while self._waiting.held:
                        await self._changed.wait()
                tasks.cancel_scope.cancel()
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
        finally:
            self._ended = True

    @property
    def _service(self) -> Service:
        return SERVICES[self.service]

    def _new_clock(self, now_s: float) -> WallClock:
        start_ms = round(self._utc_s() * 1000)
        zero_ms = utc_ms(self.zero) if self.zero is not None else None
        return WallClock(
            zero_ms=start_ms if zero_ms is None else zero_ms,
            start_ms=start_ms,
            start_s=now_s,
            delay_ms=round(self.delay_s * 1000),
            follows=zero_ms is None,
        )

    def _posts(self, text: Text) -> Sequence[Post]:
        told = text if self.language is None else evolve(text, language=canonical(self.language))
        return list(self._service.posts(told, anyio.current_time()))

    def _tell(self) -> None:
        """Wake who waits for a post, or for the last of them."""
        self._changed.set()
        self._changed = anyio.Event()

    # --- sending

    async def _send(self) -> None:
        """Post what waits, one after the other; for ever."""
        if self._beats:
            await self._beat()
        while True:
            if (each := self._waiting.take()) is not None:
                self._waiting.settle(await self._deliver(each))
                self._tell()
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Wait for the next text; where there is none for long, show that we are still there."""
        arrived = self._changed
        with anyio.move_on_after(self.heartbeat_s if self._beats else None):
            await arrived.wait()
        if self._beats and not arrived.is_set():
            await self._beat()

    @property
    def _beats(self) -> bool:
        return self._service.heartbeats and self.heartbeat_s > 0

    async def _beat(self) -> None:
        """An empty post, tried once. Its number is the last one: it is nothing new."""
        self._heartbeats += 1
        await self._try(self._numbers.last, "", b"")

    async def _deliver(self, each: Post) -> Fate:
        """Try until it is taken or will never be. Raises StageError."""
        give_up_at_s = each.since_s + self.give_up_s
        number = 0
        while anyio.current_time() < give_up_at_s:
            if number:
                self._retries += 1
            else:
                number = await anyio.to_thread.run_sync(self._numbers.take)
            verdict = await self._try(number, each.language, self._service.body(each, self._clock.stamp))
            if verdict in (Verdict.TAKEN, Verdict.SKIPPED):
                return "posted" if verdict is Verdict.TAKEN else "skipped"
            await anyio.sleep(self._backoff.next_s())
        return "too late"

    async def _try(self, number: int, language: str, body: bytes) -> Verdict:
        """Post once, and say in the status what came of it. Raises StageError."""
        sent_s = anyio.current_time()
        try:
            answer = await self._post(self._target, self._service.query(number, language), body, self.timeout_s)
        except NoAnswer as reason:
            self._trouble = f"trying again: {reason}"
            return Verdict.AGAIN
        verdict = self._service.verdict(answer.status)
        if verdict is Verdict.TAKEN:
            self._trouble = ""
            self._backoff.succeeded()
            self._clock.exchanged(sent_s, anyio.current_time(), answer.body)
            return verdict
        hint = self._service.hint(answer.status)
        said = f"{self._target.place} answers with HTTP {answer.status}{hint and f': {hint}'}"
        self._trouble = f"{_SAID[verdict]}: {said}"
        if verdict is Verdict.REFUSED and self.when_refused == "fail":
            raise StageError(f"captions are refused: {said}", code=69)
        return verdict
