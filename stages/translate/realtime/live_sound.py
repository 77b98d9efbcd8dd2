"""A microphone for a session, and a speaker for what it speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from itertools import chain
from types import TracebackType
from typing import Any, cast

import anyio
import numpy as np
from anyio import to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind
from pipeline.stage import Duration, StageError
from stages.chunk import Chunk, block_frames
from stages.devices.device import Device
from stages.devices.intake import Piece
from stages.devices.listening import Listening, listening
from stages.devices.opened import INPUT_LATENCY_MS, DeviceLost
from stages.devices.portaudio import check, find
from stages.resample import Resample
from stages.speaker import Speaker
from stages.translate.realtime.events import SAMPLE_RATE_HZ, AudioDelta, AudioDone
from stages.translate.realtime.sound import silence

__all__ = ["MicrophoneAudio", "SpeakerAudio"]

_WAITING = 4096
"""Chunks that may wait for the speaker to take them; it takes them at once, unless its device is away."""


@define
class MicrophoneAudio:
    """What a microphone hears, as PCM16 mono at 24 kHz in chunks of 100 ms, for `stream_audio`, which closes it.

    `device` is a number or a part of a name, as `dragoman devices` tells them; None for the default. It is opened
    with the first chunk. What is lost where nobody takes it for two seconds comes as silence, and is counted in
    `lost` (frames at the device's rate).

    Raises: StageError on iterating where there is no such device, it will not open, or it goes away.
    """

    device: str | int | None = None
    chunk_ms: float = 100.0
    lost: int = field(init=False, default=0)
    _ear: Listening | None = field(init=False, default=None)
    _device: Device | None = field(init=False, default=None)
    _ready: Iterator[bytes] = field(init=False, factory=lambda: iter(()))
    """What was heard and not yet taken; it is made as it is taken."""
    _resample: Resample = field(init=False, factory=lambda: Resample(rate=SAMPLE_RATE_HZ, channels=1))
    _chunk: Chunk = field(init=False)
    _open: AsyncExitStack = field(init=False, factory=AsyncExitStack)
    _closed: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._chunk = Chunk(ms=self.chunk_ms)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._closed:
            if (chunk := next(self._ready, None)) is not None:
                return chunk
            ear = self._ear or await self._opened()
            try:
                self._ready = self._heard(await ear.pieces(block_frames(self.chunk_ms / 2, ear.rate)), ear.rate)
            except DeviceLost as lost:
                if not self._closed:  # else another task has closed it meanwhile
                    assert self._device is not None
                    raise StageError(f"the microphone {self._device.name!r} is lost: {lost}") from None
        await self._open.aclose()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Close the device, and end the iteration: from any task, and also after an error or a cancellation."""
        self._closed, self._ear, self._ready = True, None, iter(())
        await self._open.aclose()

    @property
    def is_closed(self) -> bool:
        return self._closed

    async def _opened(self) -> Listening:
        self._device = device = await to_thread.run_sync(find, self.device, "input")
        await to_thread.run_sync(check, device, "input", device.rate_hz, 1)
        opening = listening(device, device.rate_hz, 1, INPUT_LATENCY_MS / 1000)
        self._ear = ear = await self._open.enter_async_context(opening)
        return ear

    def _heard(self, pieces: Sequence[Piece], rate: int) -> Iterator[bytes]:
        """The chunks of `pieces`. What was lost is counted now, and its silence made when it is asked for."""
        self.lost += sum(piece.lost for piece in pieces)
        return chain.from_iterable(self._chunks(piece, rate) for piece in pieces)

    def _chunks(self, piece: Piece, rate: int) -> Iterator[bytes]:
        """Positions stay true: the service counts what it hears."""
        missing = silence(piece.start - piece.lost, piece.start, rate)
        for sound in chain(missing, [Audio(piece.samples, piece.start, rate)] if len(piece.samples) else ()):
            for resampled in self._resample.feed(sound):
                for chunk in self._chunk.feed(resampled):
                    yield chunk.samples.astype("<i2", copy=False).tobytes()


@define
class SpeakerAudio:
    """A speaker for what a session speaks.

        async with SpeakerAudio() as speaker:
            session.on(ServerEventType.AUDIO_DELTA, speaker.write)
            session.on(ServerEventType.AUDIO_DONE, speaker.write)

    On leaving it plays to the end what it has. Speech that would come more than `max_lag_s` late is hurried, and
    then skipped; None never skips. `lost` counts the frames of speech that were not played.

    Raises: StageError on entering where there is no such device; later, out of the block, where it goes away.
    """

    device: str | int | None = None
    volume_db: float = 0.0
    max_lag_s: float | None = 8.0
    frames: int = field(init=False, default=0)
    """What was written so far, at 24 kHz."""
    _refused: int = field(init=False, default=0)
    _half_sample: bytes = field(init=False, default=b"")
    _speaker: Speaker = field(init=False)
    _inbox: MemoryObjectSendStream[Item] | None = field(init=False, default=None)
    _tasks: TaskGroup | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        max_lag = None if self.max_lag_s is None else Duration(self.max_lag_s)
        self._speaker = Speaker(device=self.device, volume_db=self.volume_db, max_lag=max_lag)

    @property
    def lost(self) -> int:
        return self._refused + sum(self._speaker.losses().values())

    async def __aenter__(self) -> SpeakerAudio:
        await to_thread.run_sync(self._speaker.probe)
        self._inbox, receive = anyio.create_memory_object_stream[Item](_WAITING)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()

        async def play() -> None:
            with receive:
                await self._speaker.run(cast(Any, receive), cast(Any, None))

        self._tasks.start_soon(play)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        assert self._inbox is not None
        self._inbox.close()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None

    def write(self, speech: AudioDelta | AudioDone | bytes) -> None:
        """Put `speech`, PCM16 mono at 24 kHz, behind the rest; half a sample waits for its other half.

        An `AudioDone` ends an utterance. What finds no room, while the device is away, and what comes
        when the block is being left, is counted in `lost`.
        """
        if isinstance(speech, AudioDone):
            self._put(Mark(MarkKind.UTTERANCE_END, self.frames, SAMPLE_RATE_HZ))
            return
        data = self._half_sample + (speech.data if isinstance(speech, AudioDelta) else speech)
        whole = len(data) - len(data) % 2
        self._half_sample = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.int16).reshape(-1, 1)
        if not whole or self._put(Audio(samples, self.frames, SAMPLE_RATE_HZ)):
            self.frames += len(samples)
        else:
            self._refused += len(samples)

    def _put(self, item: Item) -> bool:
        assert self._inbox is not None, "open it first: `async with SpeakerAudio() as speaker:`"
        try:
            self._inbox.send_nowait(item)
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
            # It is full, the device has gone, or the block is being left while the session still speaks.
            return False
        return True
