"""Sound for a session from a file, and a session's speech into one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from anyio import to_thread
from attrs import define, field

from pipeline.items import Audio
from stages.chunk import Chunk
from stages.decode import decode
from stages.pacing import Pacer
from stages.resample import Resample
from stages.sound_file import SoundWriter, sound_writer
from stages.translate.realtime.events import SAMPLE_RATE_HZ, AudioDelta

__all__ = ["FileAudio", "SpeechFile", "silence"]


@define
class FileAudio:
    """The sound of any file as PCM16 mono at 24 kHz, in chunks of 100 ms, for `stream_audio`.

    What is damaged in the file comes as silence, so that positions stay true. `silence_s` of silence follow at
    the end: the service ends the last utterance at a pause. With `realtime` it comes as slowly as it was spoken.

    Raises: StageError on iterating where there is no such file, or no sound in it.
    """

    path: Path = field(converter=Path)
    realtime: bool = False
    silence_s: float = 2.0
    chunk_ms: float = 100.0
    _closed: bool = field(init=False, default=False)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Chunks(self, _blocks(self.path, self.silence_s, self.chunk_ms), Pacer(self.realtime))

    async def close(self) -> None:
        """End the iterations."""
        self._closed = True

    @property
    def is_closed(self) -> bool:
        return self._closed


@define
class _Chunks:
    _file: FileAudio
    _blocks: Iterator[Audio]
    _pacer: Pacer

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        block = None if self._file.is_closed else await self._next()
        if block is None:
            raise StopAsyncIteration
        await self._pacer.wait_for(block)
        return block.samples.astype("<i2", copy=False).tobytes()

    async def _next(self) -> Audio | None:
        # Nothing here closes the file: when this is cancelled, the thread may still be reading.
        return await to_thread.run_sync(next, self._blocks, None, abandon_on_cancel=True)


def _blocks(path: Path, silence_s: float, chunk_ms: float) -> Iterator[Audio]:
    """The file in blocks without a gap, the last one shorter."""
    chunk = Chunk(ms=chunk_ms)
    end = 0
    for sound in _resampled(path):
        for filled in (*silence(end, sound.start), sound):
            yield from chunk.feed(filled)
        end = sound.end
    for filled in silence(end, end + round(silence_s * SAMPLE_RATE_HZ)):
        yield from chunk.feed(filled)
    yield from chunk.flush()


def _resampled(path: Path) -> Iterator[Audio]:
    resample = Resample(rate=SAMPLE_RATE_HZ, channels=1)
    for piece in decode(path):
        yield from resample.feed(piece)
    yield from resample.flush()


def silence(start: int, end: int, rate: int = SAMPLE_RATE_HZ) -> Iterator[Audio]:
    """Zeros from frame `start` to `end`, mono at `rate` Hz, a second at a time."""
    for begin in range(start, end, rate):
        yield Audio(np.zeros((min(rate, end - begin), 1), np.int16), begin, rate)


@define
class SpeechFile:
    """A sound file, of any format that the `wav` stage writes, for what a session speaks.

        with SpeechFile("translated.wav") as speech:
            session.on(ServerEventType.AUDIO_DELTA, speech.write)

    The file is whole after every write. Raises StageError where it cannot be written.
    """

    path: Path = field(converter=Path)
    frames: int = field(init=False, default=0)
    _half_sample: bytes = field(init=False, default=b"")
    _writer: SoundWriter | None = field(init=False, default=None)
    _open: ExitStack = field(init=False, factory=ExitStack)

    def __enter__(self) -> SpeechFile:
        self._writer = self._open.enter_context(sound_writer(self.path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._open.__exit__(kind, error, trace)

    def write(self, speech: AudioDelta | bytes) -> None:
        """Put `speech` behind the rest; half a sample waits for its other half."""
        data = self._half_sample + (speech.data if isinstance(speech, AudioDelta) else speech)
        whole = len(data) - len(data) % 2
        self._half_sample = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.int16).reshape(-1, 1)
        assert self._writer is not None, "open it first: `with SpeechFile(path) as speech:`"
        self._writer.write(Audio(samples, self.frames, SAMPLE_RATE_HZ))
        self.frames += len(samples)
