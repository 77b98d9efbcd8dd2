"""A microphone and a speaker for a session, in a room without a sound card. See `tests/pulse.py`."""

from __future__ import annotations

import re
import signal
import threading

import anyio
import numpy as np
import pytest
from anyio import from_thread
from attrs import define

from pipeline.stage import StageError
from stages.devices.device import Device
from stages.devices.intake import Piece
from stages.translate.realtime import MicrophoneAudio, SpeakerAudio
from stages.translate.realtime.events import AudioDelta, AudioDone
from tests.pulse import MIC, RATE, SPEAKER, Pulse, wait_until
from tests.readme import blocks
from tests.simulated import in_simulated_time
from tests.test_speaker import likeness, noise

QUICKSTART = next(block for block in blocks("python") if "MicrophoneAudio" in block)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_from_the_microphone_through_the_service_to_the_speaker(room: Pulse, backend: str) -> None:
    """The server's echo engine gives back what it hears, two seconds at a time."""
    server = room.dragoman("serve", "--engine", "echo", "--port", "0")
    assert server.stderr is not None
    found = re.search(r"ws://127\.0\.0\.1:\d+", server.stderr.readline())
    assert found is not None
    code = QUICKSTART.replace("ws://127.0.0.1:8765", found[0]).replace("(main)", f"(main, backend={backend!r})")
    said = noise(1.0, seed=1)
    with room.recorded(SPEAKER) as heard:
        client = room.python(code)
        assert client.stdout is not None
        first = client.stdout.readline()
        assert first.startswith("[pt-br] utterance 1")
        room.play(MIC, np.concatenate([np.zeros(RATE // 10, np.int16), said]))
        threading.Thread(target=client.stdout.read, daemon=True).start()
        wait_until(lambda: len(np.trim_zeros(heard())) > RATE // 2 and not heard()[-RATE // 2 :].any(), 15)
        sound = heard()
        client.send_signal(signal.SIGINT)
        assert client.wait(10) == 0, client.stderr.read() if client.stderr else ""
    server.send_signal(signal.SIGINT)
    server.wait(10)
    # An utterance may end within what was said: its halves are then apart by the fades between them.
    assert max(likeness(sound, said[: RATE // 3])[1], likeness(sound, said[-RATE // 3 :])[1]) > 0.97


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("SpeakerAudio()", "SpeakerAudio('usb')", "no speaker 'usb'; .*"),
        ("MicrophoneAudio()", "MicrophoneAudio('usb')", "no microphone 'usb'; .*"),
        ("", "", "cannot reach .*"),
    ],
)
def test_the_readmes_client_says_in_a_line_what_is_wrong(
    room: Pulse, backend: str, right: str, wrong: str, line: str
) -> None:
    server = room.dragoman("serve", "--engine", "echo", "--port", "0")
    assert server.stderr is not None
    found = re.search(r"ws://127\.0\.0\.1:\d+", server.stderr.readline())
    assert found is not None
    code = QUICKSTART.replace("ws://127.0.0.1:8765", found[0] if wrong else "ws://127.0.0.1:1")
    code = code.replace("(main)", f"(main, backend={backend!r})").replace(right, wrong)
    out, error = room.python(code).communicate(timeout=30)
    server.send_signal(signal.SIGINT)
    server.wait(10)
    assert re.fullmatch(line + "\n", out), out
    assert error == ""


def test_without_a_device_it_is_one_line(room: Pulse) -> None:
    code = """
import anyio
from pipeline.stage import StageError
from stages.translate.realtime import MicrophoneAudio, SpeakerAudio

async def main():
    microphone = MicrophoneAudio("usb")
    try:
        await anext(microphone)
    except StageError as wrong:
        print(wrong)
    await microphone.close()
    print(microphone.is_closed)
    try:
        async with SpeakerAudio("usb"):
            pass
    except StageError as wrong:
        print(wrong)

anyio.run(main)
"""
    out, error = room.python(code).communicate(timeout=20)
    lines = out.splitlines()
    assert [line.partition(";")[0] for line in lines] == ["no microphone 'usb'", "True", "no speaker 'usb'"], error


@pytest.mark.anyio
async def test_a_closed_microphone_gives_nothing() -> None:
    microphone = MicrophoneAudio()
    await microphone.close()
    assert [chunk async for chunk in microphone] == []


@define
class Silent:
    """The stream of a device that is open and gives nothing."""

    active: bool = True
    latency_s: float = 0.1

    def close(self) -> None:
        self.active = False


@pytest.mark.parametrize("after_s", [None, 0.13])
def test_a_microphone_that_another_task_closes_ends_and_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, after_s: float | None
) -> None:
    """While it listens, or in the middle of being opened."""
    stream, device = Silent(), Device(0, "x", "y", 1, 0, 48000)
    microphone, chunks = MicrophoneAudio(), list[bytes]()

    def open_stream(*settings: object) -> Silent:
        if after_s is None:
            from_thread.run(microphone.close)
        return stream

    async def listen() -> None:
        async with anyio.create_task_group() as tasks:
            if after_s is not None:
                tasks.start_soon(close_after, after_s)
            chunks.extend([chunk async for chunk in microphone])

    async def close_after(seconds: float) -> None:
        await anyio.sleep(seconds)
        await microphone.close()

    monkeypatch.setattr("stages.devices.opened.open_stream", open_stream)
    monkeypatch.setattr("stages.translate.realtime.live_sound.find", lambda *asked: device)
    monkeypatch.setattr("stages.translate.realtime.live_sound.check", lambda *asked: None)
    in_simulated_time(listen)
    wait_until(lambda: not stream.active)  # a thread closes it, which no simulated time waits for
    assert chunks == []


def test_what_was_lost_is_silence_for_the_service_and_counted() -> None:
    microphone = MicrophoneAudio(chunk_ms=10)
    ones = np.full((240, 1), 7, np.int16)
    chunks = microphone._heard([Piece(ones, 0), Piece(ones, 480, lost=240)], 24000)
    assert [np.frombuffer(chunk, "<i2").any() for chunk in chunks] == [True, False, True]
    assert microphone.lost == 240


def test_a_speaker_that_is_not_open_says_so() -> None:
    with pytest.raises(AssertionError, match="open it first"):
        SpeakerAudio().write(b"\0\0")


@pytest.mark.anyio
async def test_speech_is_whole_whatever_its_chunks_and_none_is_lost_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A speaker whose device takes nothing: what finds no room is counted."""
    from stages.speaker import Speaker
    from stages.translate.realtime import live_sound

    came: list[object] = []

    async def run(self: Speaker, inbox: object, outbox: object) -> None:
        came.extend([item async for item in inbox])  # type: ignore[attr-defined]

    monkeypatch.setattr(Speaker, "probe", lambda self: None)
    monkeypatch.setattr(Speaker, "run", run)
    monkeypatch.setattr(live_sound, "_WAITING", 3)
    async with SpeakerAudio() as speaker:
        for chunk in (b"\1", b"\0\2", b"\0\3\0"):
            speaker.write(AudioDelta(chunk))
        speaker.write(AudioDone())
        speaker.write(b"\4\0" * 5)
        assert (speaker.frames, speaker.lost) == (3, 5)
        await anyio.lowlevel.checkpoint()
    assert [getattr(item, "start", None) for item in came] == [0, 1, 3]
    speaker.write(b"\5\0")  # the session may still speak when the block is left
    assert speaker.lost == 6


@pytest.mark.anyio
async def test_a_speaker_that_goes_away_ends_the_block_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.speaker import Speaker

    async def run(self: Speaker, inbox: object, outbox: object) -> None:
        raise StageError("the speaker 'x' is lost: it has stopped")

    monkeypatch.setattr(Speaker, "probe", lambda self: None)
    monkeypatch.setattr(Speaker, "run", run)
    with pytest.raises(StageError, match="is lost: it has stopped"):
        async with SpeakerAudio():
            await anyio.sleep_forever()
