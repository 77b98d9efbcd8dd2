"""Sound from files for a session, and a session's speech into one."""

from __future__ import annotations

import base64
import json
import wave
from collections.abc import Callable
from pathlib import Path

import anyio
import numpy as np
import pytest

from pipeline.stage import StageError
from stages.translate.realtime import ErrorEvent, FileAudio, ServerEventType, SpeechFile, connect
from stages.translate.realtime.events import AudioDelta, AudioDone, TextDelta, TextDone
from tests.realtime_server import Peer, scripted

pytestmark = pytest.mark.anyio


def written(path: Path, rate: int, channels: int, frames: int) -> None:
    tone = 8000 * np.sin(np.arange(frames) * 2 * np.pi * 300 / rate)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(np.repeat(tone.astype("<i2"), channels).tobytes())


@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (44100, 2), (8000, 1)])
async def test_a_file_of_any_kind_comes_as_the_service_wants_it(tmp_path: Path, rate: int, channels: int) -> None:
    written(tmp_path / "talk.wav", rate, channels, rate * 5 // 4)
    chunks = [chunk async for chunk in FileAudio(tmp_path / "talk.wav", silence_s=0.5)]
    assert {len(chunk) for chunk in chunks[:-1]} == {4800}
    sound = np.frombuffer(b"".join(chunks), "<i2")
    assert len(sound) == 24000 * 7 // 4
    assert abs(sound[2000:20000]).max() in range(7900, 8100)
    assert not sound[30100:].any()


async def test_a_file_can_be_stopped(tmp_path: Path) -> None:
    written(tmp_path / "talk.wav", 24000, 1, 24000)
    source = FileAudio(tmp_path / "talk.wav")
    chunks = []
    async for chunk in source:
        chunks.append(chunk)
        await source.close()
    assert len(chunks) == 1


async def test_what_is_damaged_in_a_file_is_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions stay true: the service counts what it hears."""
    from pipeline.testing import noise

    pieces = [noise(1000), noise(500, start=1700), noise(10, start=50_000)]
    monkeypatch.setattr("stages.translate.realtime.sound.decode", lambda path: iter(pieces))
    sound = np.frombuffer(b"".join([chunk async for chunk in FileAudio("talk.flac", silence_s=0)]), "<i2")
    wanted = np.zeros(50_010, np.int16)
    for piece in pieces:
        wanted[piece.start : piece.end] = piece.samples[:, 0]
    assert np.array_equal(sound, wanted)


async def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no such file"):
        await anext(aiter(FileAudio(tmp_path / "talk.wav")))


async def test_a_file_can_come_as_slowly_as_it_was_spoken(tmp_path: Path) -> None:
    written(tmp_path / "talk.wav", 24000, 1, 4800)
    began = anyio.current_time()
    assert len([chunk async for chunk in FileAudio(tmp_path / "talk.wav", realtime=True, silence_s=0)]) == 2
    assert anyio.current_time() - began >= 0.2


def test_speech_is_whole_whatever_its_chunks(tmp_path: Path) -> None:
    with SpeechFile(tmp_path / "speech.wav") as speech:
        for chunk in (b"\1", b"\2\3", b"", b"\4\5\6\7"):
            speech.write(AudioDelta(chunk))
    with wave.open(str(tmp_path / "speech.wav")) as file:
        assert file.readframes(99) == b"\1\2\3\4\5\6"


async def test_from_file_to_file(tmp_path: Path) -> None:
    """The quickstart of the README."""

    async def script(peer: Peer) -> None:
        await peer.ready()
        sound = await peer.heard(2 * 24000 * 3)
        await peer.send(TextDelta("Olá"), TextDone("Olá."))
        for begin in range(0, len(sound), 9999):  # odd chunks, as JSON, must come out whole
            await peer.send(as_json(sound[begin : begin + 9999]))
        await peer.send(AudioDone())

    written(tmp_path / "talk.wav", 16000, 1, 16000)
    lines: list[str] = []
    async with scripted(script) as service:
        await file_to_file(service.url, tmp_path / "talk.wav", tmp_path / "translated.wav", lines.append)
    assert lines == ["Olá."]
    with wave.open(str(tmp_path / "translated.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (24000, 1, 72000)


def as_json(data: bytes) -> str:

    return json.dumps({"type": "response.audio.delta", "delta": base64.b64encode(data).decode()})


async def file_to_file(url: str, talk: Path, translated: Path, say: Callable[[str], None]) -> None:
    session = await connect(source_language="en-us", target_language="pt-br", api_key="k", base_url=url)

    @session.on(ServerEventType.TEXT_DONE)
    def show(event: TextDone) -> None:
        say(event.text)

    @session.on(ServerEventType.ERROR)
    def complain(event: ErrorEvent) -> None:
        say(f"{event.code}: {event.message}")

    with SpeechFile(translated) as speech:
        session.on(ServerEventType.AUDIO_DELTA, speech.write)
        async with session:
            await session.wait_until_ready()
            await session.stream_audio(FileAudio(talk))
            await session.wait_until_quiet(0.5)
