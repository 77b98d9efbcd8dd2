"""A realtime service in memory, for virtual time: it gives back what it hears, utterance by utterance.

Speech here is sound whose every sample tells when it was said, in hundredths of a second (`speech_at`), so that
what comes out can be compared with what went in, sample by sample. The service speaks an utterance as it was
spoken, and writes it as "from 1234 to 1301".
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import anyio.lowlevel
import numpy as np
from anyio.abc import TaskGroup
from attrs import define, field

from pipeline.items import Audio, Samples
from stages.translate.realtime.codec import dump_server
from stages.translate.realtime.events import (
    Append,
    AudioDelta,
    AudioDone,
    ErrorEvent,
    Payload,
    SessionCreated,
    SessionStarting,
    SessionUpdated,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
)
from stages.translate.realtime.protocol import ServerProtocol
from stages.translate.realtime.transport import ServiceUnreachable, Socket, SocketClosed, SocketOptions

__all__ = ["RATE", "Ear", "Toy", "answers_to", "blocks", "talk"]

RATE = 24000
STEP = RATE // 100
FRAME = RATE * 2 // 5


Heard = tuple[int, int, Samples]
"""An utterance as a session heard it: start, end, and what sounds in it."""


def speech_at(start: int, end: int) -> Samples:
    """Speech from frame `start` to `end` of the source's clock; good for ten minutes."""
    steps = np.arange(start, end) // STEP
    return np.where(steps < 30000, 1000 + steps, -(1000 + steps - 30000)).astype(np.int16)[:, None]


def said_at(sample: int) -> int:
    """The hundredth of a second at which it was said."""
    return sample - 1000 if sample > 0 else -sample - 1000 + 30000


def talk(utterances: Sequence[tuple[int, int]], frames: int) -> Samples:
    """A recording of `frames`: silence, but for `utterances` (from, to)."""
    samples = np.zeros((frames, 1), np.int16)
    for start, end in utterances:
        samples[start:end] = speech_at(start, end)
    return samples


def blocks(samples: Samples, frames: int = RATE // 10) -> list[Audio]:
    return [Audio(samples[begin : begin + frames], begin, RATE) for begin in range(0, len(samples), frames)]


class Wire:
    """A connection: a socket for the client, and what the service sends and receives, until it is cut."""

    def __init__(self) -> None:
        self.alive, self.deaf, self.used = True, False, False
        self.close_code, self.close_reason = 1006, "cut"
        self._down, self._from_server = anyio.create_memory_object_stream[str | bytes](math.inf)
        self._up, self.from_client = anyio.create_memory_object_stream[str | bytes](math.inf)

    async def send(self, frame: str | bytes) -> None:
        await anyio.lowlevel.checkpoint()
        if not self.alive:
            raise SocketClosed(self.close_code, self.close_reason)
        self._up.send_nowait(frame)

    async def receive(self) -> str | bytes:
        try:
            return await self._from_server.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            raise SocketClosed(self.close_code, self.close_reason) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.end(code, reason)

    def tell(self, frame: str | bytes) -> None:
        """The service sends; what it sends on a dead wire is gone."""
        if self.alive:
            self._down.send_nowait(frame)

    def end(self, code: int, reason: str, *, drop: bool = False) -> None:
        """No more from either side; with `drop`, not even what is under way to the client."""
        if self.alive:
            self.alive, self.close_code, self.close_reason = False, code, reason
            self._down.close()
            self._up.close()
            if drop:
                self._from_server.close()

    @property
    def waiting(self) -> int:
        """Frames that the client has not read yet."""
        return self._from_server.statistics().current_buffer_used

    def dispose(self) -> None:
        self.end(1000, "")
        self._from_server.close()
        self.from_client.close()


@define(eq=False)
class Toy:
    """`opener` is for an interpreter. `cut` ends the session there is; what is set below counts from then on.

    `heard` has the sample-frames that each session got; `resumed_s` how long it took after a cut until the next
    session heard sound.
    """

    tasks: TaskGroup
    tells: bool = True
    """Whether it tells where its answers lie."""
    handshake_s: float = 0.05
    boot_s: float = 0.0
    answer_s: float = 0.15
    """From the end of an utterance to its answer."""
    pause_frames: int = RATE * 2 // 5
    """The silence that ends an utterance."""
    down: bool = False
    """Nothing answers at the address."""
    deaf: bool = False
    """Sessions opened now take sound, and never answer."""
    slip_frames: int = 0
    """So much later each session hears an utterance end."""
    refusal: tuple[ErrorEvent | None, int] | None = None
    """What it says instead of being ready, and the close code."""
    asked: Sequence[str] = field(init=False, default=())
    """The modalities that were asked for last."""
    opened: int = field(init=False, default=0)
    heard: list[int] = field(init=False, factory=list)
    resumed_s: list[float] = field(init=False, factory=list)
    wires: list[Wire] = field(init=False, factory=list)
    _cut_at: float | None = field(init=False, default=None)

    @asynccontextmanager
    async def opener(self, url: str, options: SocketOptions) -> AsyncIterator[Socket]:
        await anyio.sleep(0.01)
        self.opened += 1
        if self.down:
            raise ServiceUnreachable("cannot reach the toy")
        wire = Wire()
        wire.deaf = self.deaf
        self.wires.append(wire)
        self.tasks.start_soon(self._serve, wire)
        try:
            yield wire
        finally:
            wire.dispose()
            self.wires.remove(wire)

    def cut(self) -> None:
        """End the connection in use, with what is under way on it."""
        used = [wire for wire in self.wires if wire.used] or self.wires
        for wire in used[:1]:
            wire.end(1006, "cut", drop=True)
        if self._cut_at is None:
            self._cut_at = anyio.current_time()

    def deafen(self) -> None:
        """From now on no session answers, not even the one there is."""
        self.deaf = True
        for wire in self.wires:
            wire.deaf = True

    async def _serve(self, wire: Wire) -> None:
        protocol = ServerProtocol()
        numbers, answers = anyio.create_memory_object_stream[Heard](math.inf)
        try:
            with numbers:
                self.tasks.start_soon(self._answer, wire, answers)
                await self._listen(wire, protocol, numbers)
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            pass

    async def _listen(
        self,
        wire: Wire,
        protocol: ServerProtocol,
        utterances: anyio.abc.ObjectSendStream[Heard],
    ) -> None:
        protocol.receive(await wire.from_client.receive())
        await anyio.sleep(self.handshake_s)
        assert protocol.config is not None
        self.asked = protocol.config.output_modalities
        if self.refusal is not None:
            error, code = self.refusal
            if error is not None:
                wire.tell(protocol.send(error))
            wire.end(code, "")
        if self.boot_s:
            wire.tell(protocol.send(SessionStarting()))
            await anyio.sleep(self.boot_s)
        wire.tell(protocol.send(SessionCreated("toy", protocol.config)))
        wire.tell(protocol.send(SessionUpdated(protocol.config)))
        ear, number = Ear(self.pause_frames), len(self.heard)
        self.heard.append(0)
        while True:
            message = protocol.receive(await wire.from_client.receive())
            assert isinstance(message, Append)
            wire.used = True
            if self._cut_at is not None and wire.alive:
                self.resumed_s.append(anyio.current_time() - self._cut_at)
                self._cut_at = None
            self.heard[number] += len(message.audio) // 2
            for utterance in ear.hear(np.frombuffer(message.audio, "<i2").reshape(-1, 1)):
                await utterances.send(utterance)

    async def _answer(self, wire: Wire, utterances: anyio.abc.ObjectReceiveStream[Heard]) -> None:
        with utterances:
            async for heard in utterances:
                await anyio.sleep(self.answer_s)
                told = answers_to(heard, self.asked, tells=self.tells, slip_frames=self.slip_frames)
                for payload in [] if wire.deaf else told:
                    wire.tell(dump_server(payload))
                    await anyio.lowlevel.checkpoint()


def answers_to(heard: Heard, asked: Sequence[str], *, tells: bool = True, slip_frames: int = 0) -> list[Payload]:
    """What a session says of an utterance; with `tells`, where it lies."""
    start, end, samples = heard
    first, last = said_at(int(samples[0, 0])), said_at(int(samples[-1, 0]))
    said = f"from {first} to {last}"
    place = (start, end + slip_frames) if tells else (None, None)
    frames = [samples[begin : begin + FRAME] for begin in range(0, len(samples), FRAME)]
    told: list[Payload] = [
        TranscriptDelta("from "),
        TranscriptCompleted(said, start_frame=place[0], end_frame=place[1]),
        TextDelta("de "),
        TextDone(said.replace("from", "de").replace("to", "a"), *place),
        *(AudioDelta(frame.astype("<i2").tobytes()) for frame in frames),
        AudioDone(),
    ]
    left_out = {TextDelta, TextDone} if "text" not in asked else set()
    left_out |= {AudioDelta, AudioDone} if "audio" not in asked else set()
    return [payload for payload in told if type(payload) not in left_out]


@define
class Ear:
    """Utterances in what one session hears: each ends where `pause_frames` of silence follow."""

    pause_frames: int
    _position: int = field(init=False, default=0)
    _start: int = field(init=False, default=0)
    _held: list[Samples] = field(init=False, factory=list)
    _silent: int = field(init=False, default=0)

    @property
    def hears_speech(self) -> bool:
        """Whether an utterance is going on."""
        return bool(self._held)

    def begin(self, position: int) -> None:
        """What it hears first lies there."""
        self._position = position

    def hear(self, samples: Samples) -> list[Heard]:
        found: list[Heard] = []
        for begin in range(0, len(samples), STEP):
            found += self._hear(samples[begin : begin + STEP])
        return found

    def _hear(self, samples: Samples) -> list[Heard]:
        spoken = samples[samples[:, 0] != 0]
        if len(spoken):
            if not self._held:
                self._start = self._position + int(np.argmax(samples[:, 0] != 0))
            self._held.append(spoken)
            self._silent = 0
        self._position += len(samples)
        if len(spoken) or not self._held:
            return []
        self._silent += len(samples)
        if self._silent < self.pause_frames:
            return []
        utterance, self._held = np.concatenate(self._held), []
        return [(self._start, self._position - self._silent, utterance)]
