"""What a client says, on its way into the graph: bytes from the socket in, blocks and marks out.

An `Intake` outlives the graphs of a session: when a language changes, the graph that runs ends between two
utterances, and the next one goes on with the next frame.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from typing import ClassVar

import anyio
import numpy as np
from attrs import define, field

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.items import Audio, Mark, MarkKind
from pipeline.stage import Inbox, Outbox
from stages.translate.realtime.events import SAMPLE_RATE_HZ

__all__ = ["Ears", "Intake"]

BLOCK_FRAMES = SAMPLE_RATE_HZ // 10
_BLOCK_BYTES = 2 * BLOCK_FRAMES
_REMEMBERED_S = 120
"""How long it is known when a frame came: a response later than that is not worth a finer measure."""
_STEP_S = 0.01
"""And how finely, so that a flood of tiny messages leaves no more behind than others."""


@define
class Intake:
    """The audio that nobody has listened to yet. One task puts, one takes; neither waits in here."""

    closed: bool = field(init=False, default=False)
    """Nothing more comes, or counts: what still does is thrown away, and counted."""
    turning: bool = field(init=False, default=False)
    """The graph that listens shall end as soon as no utterance is going on."""
    away: bool = field(init=False, default=False)
    """The client has been cut off, and will send the rest when it is back: its silence means nothing."""
    unheard_s: float = field(init=False, default=0.0)
    """What came too late."""
    position: int = field(init=False, default=0)
    """The frame that is taken next."""
    _pieces: deque[bytes] = field(init=False, factory=deque)
    """What is held, mostly as it came: a client that sends blocks of 100 ms has nothing copied."""
    _bytes: int = field(init=False, default=0)
    """In `_pieces`."""
    _came: deque[tuple[int, float]] = field(init=False, factory=deque)
    _parted: deque[int] = field(init=False, factory=deque)
    """Frames that begin something else than what came before them."""
    _more: anyio.Event = field(init=False, factory=anyio.Event)
    _room: anyio.Event = field(init=False, factory=anyio.Event)

    def put(self, data: bytes, now: float) -> None:
        """PCM16 that has come `now`. Half a sample waits for its other half."""
        if self.closed:
            self.unheard_s += len(data) / 2 / SAMPLE_RATE_HZ
            return
        if not data:
            return
        self._hold(data)
        if self._came and now - now % _STEP_S <= self._came[-1][1]:
            self._came.pop()
        self._came.append((self.end, now))
        while self._came[0][1] < now - _REMEMBERED_S:
            self._came.popleft()
        self._more.set()

    @property
    def end(self) -> int:
        """The frame that comes next."""
        return self.position + self._bytes // 2

    @property
    def held_s(self) -> float:
        return (self.end - self.position) / SAMPLE_RATE_HZ

    def came_at(self, frame: int) -> float | None:
        """When the audio up to `frame` had come; None where that is not known (any more)."""
        if not self._came:
            return None
        place = bisect_left(self._came, frame, key=lambda each: each[0])
        return self._came[min(place, len(self._came) - 1)][1]

    def take(self) -> Audio | None:
        """The next 100 ms, or less; None where there is nothing yet, or something else begins: see `parted`."""
        size = min(self._bytes // 2, BLOCK_FRAMES, *(frame - self.position for frame in self._parted)) * 2
        if not size:
            return None
        samples = np.frombuffer(self._cut(size), "<i2").astype(np.int16, copy=False)[:, np.newaxis]
        audio = Audio(samples, self.position, SAMPLE_RATE_HZ)
        self.position = audio.end
        self._room.set()
        return audio

    def _drop_half(self) -> None:
        """Forget half a sample, whose other half does not come."""
        if self._bytes % 2:
            self._bytes -= 1
            self._pieces.append(self._pieces.pop()[:-1])

    def _hold(self, data: bytes) -> None:
        """Keep `data` behind the rest, in pieces that are neither tiny nor much longer than a block."""
        self._bytes += len(data)
        if self._pieces and len(self._pieces[-1]) < _BLOCK_BYTES:
            data = self._pieces.pop() + data
        if len(data) <= _BLOCK_BYTES:
            self._pieces.append(data)
        else:
            self._pieces.extend(data[begin : begin + _BLOCK_BYTES] for begin in range(0, len(data), _BLOCK_BYTES))

    def _cut(self, size: int) -> bytes:
        """The first `size` bytes of what is held."""
        self._bytes -= size
        data = self._pieces.popleft()
        while len(data) < size:
            data += self._pieces.popleft()
        if len(data) > size:
            self._pieces.appendleft(data[size:])
        return data[:size]

    def part(self) -> None:
        """Somebody else speaks from here, with a whole sample: no utterance goes on."""
        self._drop_half()
        if self.end not in self._parted:
            self._parted.append(self.end)
            self._more.set()

    def parted(self) -> bool:
        """Whether what is taken next begins something else; asked once for each."""
        if self._parted and self._parted[0] == self.position:
            self._parted.popleft()
            return True
        return False

    def turn(self) -> None:
        """Let the graph that listens end; the next one sets `turning` back."""
        self.turning = True
        self._more.set()

    def move(self, away: bool) -> None:
        """The client has been cut off, or is back; then it begins with a whole sample."""
        self.away = away
        self._drop_half()
        self._more.set()

    def close(self) -> None:
        """What has come is still taken; then it is the end."""
        self.closed = True
        self._more.set()
        self._room.set()

    async def more(self) -> None:
        """Wait until something new can be seen: audio, a turn, the end. The caller has just found nothing."""
        self._more = anyio.Event()
        await self._more.wait()

    async def room(self, held_s: float) -> None:
        """Wait until no more than `held_s` are held, or nothing more counts anyway."""
        while self.held_s > held_s and not self.closed:
            self._room = anyio.Event()
            await self._room.wait()


@define(kw_only=True)
class Ears:
    """A source of what a client says, with a FLUSH where somebody else goes on, and where the client says nothing
    for `silence_s`, not even silence.

    The protocol has no end of input: clients just stop sending, mid-silence or not.
    """

    intake: Intake
    silence_s: float
    ongoing: Callable[[], bool]
    """Whether the graph hears an utterance that has not ended: it has heard all that was sent to it."""

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(SAMPLE_RATE_HZ, 1)}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        flushed = True
        while not (self.intake.turning and not self.ongoing()):
            if self.intake.parted():
                over = not flushed
            elif (audio := self.intake.take()) is not None:
                flushed = over = False
                await outbox.send(audio)
            elif self.intake.closed:
                return
            else:
                over = await self._patiently(None if flushed or self.intake.away else self.silence_s)
            if over:
                flushed = True
                await outbox.send(Mark(MarkKind.FLUSH, self.intake.position, SAMPLE_RATE_HZ))

    async def _patiently(self, timeout_s: float | None) -> bool:
        """Wait for more; whether that took too long of somebody who could have sent it."""
        with anyio.move_on_after(timeout_s) as waiting:
            await self.intake.more()
        return waiting.cancelled_caught and not self.intake.away
