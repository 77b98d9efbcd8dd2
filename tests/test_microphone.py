"""A microphone in a room without a sound card. See `tests/pulse.py`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import anyio
import numpy as np
import pytest
import soundfile
from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind, Samples
from pipeline.stage import StageError
from stages.devices.device import Device
from stages.microphone import Microphone
from tests.fakes import FakeInbox, FakeOutbox
from tests.pulse import MIC, RATE, Pulse, needs_devices, pulse

MS = RATE // 1000


def noise(seconds: float, seed: int, silence_s: float = 0.1) -> Samples:
    """Noise that is like no other, between silence: a sink that wakes up swallows the first milliseconds, and the
    last ones are still on their way when they have been played.
    """
    wave = np.random.default_rng(seed).normal(0, 3000, int(seconds * RATE))
    silence = np.zeros(int(silence_s * RATE))
    return np.concatenate([silence, wave, silence, silence, silence]).round().astype(np.int16)


def found_in(heard: Samples, said: Samples) -> int:
    """Where `said` (without the silence before it) begins in `heard`, sample for sample; -1 where it is not."""
    said = np.trim_zeros(said)
    size = 1 << int(np.ceil(np.log2(len(heard) + len(said))))
    likeness = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)))
    place = int(likeness[: len(heard)].argmax())
    return place if np.array_equal(heard[place : place + len(said)], said) else -1


@define
class Listener:
    """The process of `tests.microphone_run`."""

    process: subprocess.Popen[str]
    out: Path
    _lines: Queue[dict[str, Any]] = field(factory=Queue)
    _passed: list[dict[str, Any]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def wait_for(self, what: str, within_s: float = 15) -> dict[str, Any]:
        """The next line of this kind; the others wait."""
        end = time.monotonic() + within_s
        while True:
            for line in self._passed:
                if line["what"] == what:
                    self._passed.remove(line)
                    return line
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except Empty:
                self.process.kill()
                assert self.process.stderr is not None
                pytest.fail(f"no {what!r} within {within_s} s: {self.process.stderr.read()}")
            self._passed.append(line)

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        self.wait_for("done")

    def stop(self) -> tuple[dict[str, Any], Any]:
        """The report, and what was heard."""
        self.tell("stop")
        report = self.wait_for("report")
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        return report, np.load(self.out)


def listener(room: Pulse, out: Path, backend: str = "asyncio", **options: object) -> Listener:
    options = {"device": "room_mic", "rate": RATE, **options}
    command = [sys.executable, "-m", "tests.microphone_run", backend, str(out), json.dumps(options)]
    started = Listener(room.popen(command), out)
    started.wait_for("up")
    return started


def play_out(player: subprocess.Popen[bytes]) -> None:
    assert player.wait(10) == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_is_said_is_heard_sample_for_sample(room: Pulse, tmp_path: Path, backend: str) -> None:
    said = noise(0.7, seed=1)
    ear = listener(room, tmp_path / "heard.npz", backend)
    play_out(room.play(MIC, said))
    report, heard = ear.stop()
    assert found_in(heard["sound"], said) >= 0
    assert np.array_equal(heard["positions"], np.arange(len(heard["sound"])))
    assert (report["losses"], report["balanced"]) == ({}, True)
    # Told when it was captured: a block of 50 ms and half of the device's 100 ms later it is here.
    assert 0 < np.median(heard["late_s"]) < 0.2


def test_nothing_said_in_a_pause_leaves(room: Pulse, tmp_path: Path) -> None:
    before, secret, after = noise(0.5, seed=2), noise(0.8, seed=3, silence_s=0), noise(0.5, seed=4)
    ear = listener(room, tmp_path / "heard.npz")
    play_out(room.play(MIC, before))
    ear.tell("pause")
    assert ear.wait_for("status")["status"] == "paused"
    play_out(room.play(MIC, secret))
    ear.tell("resume")
    time.sleep(
        0.3
    )  # what is said in the first moment is left out, rather than what was said just before it let in
    play_out(room.play(MIC, after))
    report, heard = ear.stop()
    sound, positions = heard["sound"], heard["positions"]
    place, later = found_in(sound, before), found_in(sound, after)
    assert place >= 0
    assert later > place
    # The room is silent but for what is played: whatever sounds must be one of the two.
    frames = len(np.trim_zeros(before)), len(np.trim_zeros(after))
    others = np.concatenate([sound[:place], sound[place + frames[0] : later], sound[later + frames[1] :]])
    assert not others.any()
    jump = int(np.diff(positions).max())
    assert jump >= 0.8 * RATE
    flush = [start for kind, start, _ in report["marks"] if kind == "flush"]
    assert flush[0] == positions[np.diff(positions).argmax()] + 1
    assert report["losses"] == {}
    assert report["counts"]["frames not heard while paused"] == jump - 1


def test_an_overrun_is_a_gap_in_its_place(room: Pulse, tmp_path: Path) -> None:
    ear = listener(room, tmp_path / "heard.npz", block_ms=100)
    ear.tell("stall")
    said = noise(3, seed=5)
    player = room.play(MIC, said)
    time.sleep(2.5)
    ear.tell("go")
    play_out(player)
    report, heard = ear.stop()
    gaps = [(start, frames) for kind, start, frames in report["marks"] if kind == "gap"]
    assert len(gaps) == 1
    (start, frames) = gaps[0]
    assert report["losses"] == {"overrun": frames}
    assert frames > RATE // 10
    positions = heard["positions"]
    assert start + frames in positions
    assert np.array_equal(np.setdiff1d(np.arange(positions[-1] + 1), positions), np.arange(start, start + frames))
    # Both sides of the hole are where they were said.
    begin = found_in(heard["sound"], said[: int(0.3 * RATE)])
    assert begin >= 0
    whole = np.zeros(positions[-1] + 1, np.int16)
    whole[positions] = heard["sound"]
    after = slice(start + frames, start + frames + RATE // 4)
    said = np.trim_zeros(said)
    assert np.array_equal(whole[after], said[after.start - begin : after.stop - begin])


def test_a_microphone_that_goes_and_comes_again(tmp_path: Path) -> None:
    home = tmp_path / "room"
    home.mkdir()
    with pulse(home, MIC) as room:
        ear = listener(room, tmp_path / "heard.npz", "trio", when_lost="reopen")
        first, second, third = noise(0.3, seed=6), noise(0.3, seed=7), noise(0.3, seed=8)
        play_out(room.play(MIC, first))
        room.unplug(MIC)
        gone = time.monotonic()
        status = ear.wait_for("status")["status"]
        assert time.monotonic() - gone < 1
        assert status.startswith("lost the microphone 'room_mic': it has stopped; trying again every")
        room.plug(MIC)
        while ear.wait_for("status")["status"]:
            pass
        play_out(room.play(MIC, second))
        room.daemon.send_signal(signal.SIGSTOP)  # it is there, and does nothing
        stopped = time.monotonic()
        assert "nothing has come from it for 0.8 s" in ear.wait_for("status")["status"]
        assert time.monotonic() - stopped < 1
        room.daemon.send_signal(signal.SIGCONT)
        while ear.wait_for("status")["status"]:
            pass
        play_out(room.play(MIC, third))
        report, heard = ear.stop()
    places = [found_in(heard["sound"], each) for each in (first, second, third)]
    assert -1 < places[0] < places[1] < places[2]
    gaps = [frames for kind, _, frames in report["marks"] if kind == "gap"]
    assert len(gaps) == 2
    assert report["losses"] == {"device away": sum(gaps)}
    assert report["counts"]["times the device was lost"] == 2
    missing = np.setdiff1d(np.arange(heard["positions"][-1] + 1), heard["positions"])
    assert len(missing) == sum(gaps)


def test_a_microphone_that_goes_ends_the_run_in_one_line(tmp_path: Path) -> None:
    home = tmp_path / "room"
    home.mkdir()
    graph = tmp_path / "g.yaml"
    graph.write_text(
        "stages:\n  talk: {use: microphone, device: room_mic}\n"
        f"  out: {{use: wav, from: talk, path: {tmp_path / 'o.wav'}}}\n"
    )
    with pulse(home, MIC) as room:
        running = room.dragoman("run", str(graph), "-q")
        deadline = time.monotonic() + 20
        while not (tmp_path / "o.wav").exists() or (tmp_path / "o.wav").stat().st_size < 20_000:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        room.unplug(MIC)
        _, error = running.communicate(timeout=10)
        assert running.returncode == 1
        lines = [line for line in error.splitlines() if line.startswith("dragoman")]
        assert len(lines) == 1
        assert "the microphone 'room_mic' is lost: it has stopped" in lines[0]
        assert "Traceback" not in error
        assert soundfile.info(tmp_path / "o.wav").frames > 9000
        # Now there is none at all, and another one is asked for that was never there.
        for wanted, told in (
            ("room_mic", "cannot be used"),
            ("usb", "no microphone 'usb'; there is 0 'room_mic'"),
        ):
            refused = room.dragoman("run", str(graph), "-q", "-s", f"talk.device={wanted}")
            _, error = refused.communicate(timeout=20)
            assert refused.returncode == 2
            assert told in error


@define
class Working:
    """The stream of a device that works."""

    active: bool = True
    latency_s: float = 0.1


@pytest.mark.anyio
@pytest.mark.parametrize("room_for", range(5))
async def test_stopped_at_any_moment_every_frame_is_sent_or_counted(
    monkeypatch: pytest.MonkeyPatch, room_for: int
) -> None:
    """Also those that come while the device is being closed."""
    sent: list[Item] = []
    under_way = anyio.Event()

    @define
    class Full:
        """Delivers what is sent, as the runner does, and waits where it is full."""

        async def send(self, item: Item, port: str | None = None) -> None:
            sent.append(item)
            if len(sent) == min(2, room_for + 1):
                under_way.set()
            if len(sent) > room_for:
                await anyio.sleep_forever()

    @asynccontextmanager
    async def opened(device: Device, *settings: Any) -> AsyncIterator[Any]:
        hear = settings[-1]
        hear(np.zeros((120, 1), np.int16), 0.0, False)
        try:
            yield Working()
        finally:
            hear(np.zeros((30, 1), np.int16), 0.0, False)
            hear(np.zeros((7, 1), np.int16), 0.0, False)

    monkeypatch.setattr("stages.devices.listening.opened", opened)
    monkeypatch.setattr(Microphone, "_found", lambda self: Device(0, "x", "y", 1, 0, 1000))
    microphone = Microphone(block_ms=50)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(microphone.run, FakeInbox([]), Full())
            await under_way.wait()
            scope.cancel()
    frames = sum(item.frames for item in sent if isinstance(item, Audio))
    assert frames + microphone.losses().get("overrun", 0) == 157
    assert (frames == 157) == (room_for >= 1)
    assert (sent[-1] == Mark(MarkKind.FLUSH, 157, 1000)) == (room_for >= 3)


def test_what_it_gives_is_told_honestly() -> None:
    assert str(Microphone().gives({})["out"]) == "audio (any rate, mono)"
    assert str(Microphone(rate=16000, channels=2).gives({})["out"]) == "audio (16000 Hz, stereo)"
    assert Microphone.live


def test_a_pause_may_come_before_the_device_is_open() -> None:
    microphone = Microphone()
    assert not microphone.paused
    microphone.paused = True
    assert microphone.status == "paused"
    assert microphone.time_of(0) is None
    assert microphone.losses() == {}


@pytest.mark.anyio
async def test_what_is_said_after_a_pause_in_the_middle_of_opening_is_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Drivers take their time to open, and the device is at work before they have said so."""
    device = Device(0, "x", "y", 1, 0, 1000)
    microphone, outbox = Microphone(when_lost="fail"), FakeOutbox()

    @asynccontextmanager
    async def opened(device: Device, *settings: Any) -> AsyncIterator[Any]:
        hear = settings[-1]
        hear(np.full((60, 1), 1, np.int16), 0.0, False)
        microphone.paused = True
        hear(np.full((60, 1), 2, np.int16), 0.0, False)
        yield Gone()

    monkeypatch.setattr("stages.devices.listening.opened", opened)
    monkeypatch.setattr(Microphone, "_found", lambda self: device)
    with pytest.raises(StageError, match="the microphone 'x' is lost: it has stopped"):
        await microphone.run(FakeInbox([]), outbox)
    heard = np.concatenate([item.samples for item in outbox.items() if isinstance(item, Audio)])
    assert heard.tolist() == [[1]] * 60
    assert microphone.counts()["frames not heard while paused"] == 60


@define
class Gone:
    """The stream of a device that has stopped."""

    active: bool = False
    latency_s: float = 0.1


def test_without_the_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(StageError, match=r"need sounddevice: pip install 'dragoman\[devices\]'"):
        Microphone().probe()


def test_without_the_library_the_remedy_is_told(tmp_path: Path) -> None:
    """As sounddevice says it where the loader does not find PortAudio."""
    needs_devices()
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from stages.microphone import Microphone as M; M().probe()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "need the library PortAudio: apt-get install libportaudio2" in done.stderr
