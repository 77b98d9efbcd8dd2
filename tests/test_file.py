from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path

import anyio
import numpy as np
import pytest
import soundfile

from pipeline.caps import AUDIO
from pipeline.items import Audio, Item, Mark, MarkKind
from pipeline.stage import Duration, StageError
from pipeline.testing import joined, noise
from stages.file import File
from tests.fakes import FakeInbox, FakeOutbox
from tests.simulated import TimedOutbox, in_simulated_time


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Twenty seconds of stereo noise at 44.1 kHz: four pieces."""
    path = tmp_path / "talk.wav"
    soundfile.write(path, noise(20 * 44_100, channels=2).samples, 44_100)
    return path


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    path.write_bytes(data)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def played(stage: File) -> list[Item]:
    outbox = FakeOutbox()
    await stage.run(FakeInbox([]), outbox)
    return outbox.items()


@pytest.mark.anyio
async def test_it_gives_the_whole_file_in_blocks(talk: Path) -> None:
    stage = File(path=talk)
    out = await played(stage)
    assert [getattr(item, "frames", 0) for item in out] == [4410] * 200
    assert joined(out) == [Audio(noise(20 * 44_100, channels=2).samples, 0, 44_100)]
    assert stage.progress() == (20, 20)
    assert stage.losses() == {}
    assert stage.counts() == {"samples limited to full scale": 0, "samples not finite": 0}
    assert not stage.live


@pytest.mark.anyio
async def test_positions_of_an_excerpt_count_from_the_beginning_of_the_file(talk: Path) -> None:
    stage = File(path=talk, start=Duration(12.5), duration=Duration(0.25))
    out = await played(stage)
    assert [(item.start, item.frames) for item in out if isinstance(item, Audio)] == [
        (551_250, 4410),
        (555_660, 4410),
        (560_070, 2205),
    ]
    assert stage.progress() == (0.25, 0.25)


@pytest.mark.anyio
async def test_of_a_cut_file_what_is_there_is_given_and_what_lacks_is_told(talk: Path) -> None:
    cut(talk, 44 + 4 * 441_000)
    stage = File(path=talk)
    assert sum(item.frames for item in await played(stage) if isinstance(item, Audio)) == 441_000
    assert stage.losses() == {"truncated": 441_000}


@pytest.mark.anyio
async def test_a_gap_stands_where_a_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "talk.flac"
    sound = noise(100_000)
    soundfile.write(path, sound.samples, 24_000)
    damage(path)
    stage = File(path=path)
    before, gap, after = joined(await played(stage))
    assert isinstance(before, Audio)
    assert isinstance(after, Audio)
    assert gap == Mark(MarkKind.GAP, before.end, 24_000, after.start - before.end)
    assert stage.losses() == {"damaged": after.start - before.end}
    assert np.array_equal(before.samples, sound.samples[: before.end])
    assert np.array_equal(after.samples, sound.samples[after.start :])


@pytest.mark.anyio
async def test_what_was_mended_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.array([0.1, np.nan, 2.0]), 24_000, subtype="FLOAT")
    stage = File(path=path)
    await played(stage)
    assert stage.counts() == {"samples limited to full scale": 1, "samples not finite": 1}


@pytest.mark.anyio
async def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"cannot read .*none.wav.: no such file or directory"):
        await played(File(path=tmp_path / "none.wav"))


@pytest.mark.anyio
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
async def test_cancelled_it_leaves_no_file_open(talk: Path) -> None:
    before = open_files()

    class Stop(FakeOutbox):
        async def send(self, item: Item, port: str | None = None) -> None:
            assert open_files() == before + 1
            scope.cancel()
            await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await File(path=talk).run(FakeInbox([]), Stop())
    assert scope.cancelled_caught
    assert open_files() == before


@pytest.mark.anyio
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
async def test_cancelled_while_a_thread_reads_it_leaves_that_to_the_thread(
    talk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> Generator[Audio]:
        with talk.open("rb"):
            reading.set()
            go_on.wait(10)
            yield noise(100)

    async def cancel_while_reading() -> None:
        await anyio.to_thread.run_sync(reading.wait)
        tasks.cancel_scope.cancel()

    monkeypatch.setattr("stages.file.decode", slow)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel_while_reading)
        tasks.start_soon(File(path=talk).run, FakeInbox([]), FakeOutbox())
    go_on.set()


def test_in_real_time_it_takes_as_long_as_it_lasts(talk: Path) -> None:
    async def run() -> None:
        outbox = TimedOutbox()
        stage = File(path=talk, start=Duration(5), realtime=True)
        assert stage.live
        await stage.run(FakeInbox([]), outbox)
        begun = outbox.times[0] - 0.1
        assert [time - begun for time in outbox.times] == pytest.approx([n / 10 for n in range(1, 151)])

    in_simulated_time(run)


def test_what_it_gives_is_not_known_before_and_nothing_is_opened(tmp_path: Path) -> None:
    stage = File(path=tmp_path / "none.wav")
    assert stage.gives({}) == {"out": AUDIO}
    assert stage.progress() == (0, None)
