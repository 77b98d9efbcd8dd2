from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Audio
from pipeline.stage import StageError
from pipeline.testing import noise
from stages.out_file import out_file
from stages.sound_file import SoundWriter, rate_problem, sound_writer, wav_header
from tests.fakes import small_disk

FULL = Path("/dev/full")


def tone(frames: int, rate: int = 24000, channels: int = 1, start: int = 0) -> Audio:
    """A sound that every encoder can do, different in each place."""
    wave = 8000 * np.sin(np.arange(start, start + frames) / 9)
    return Audio(np.repeat(wave.astype(np.int16)[:, np.newaxis], channels, axis=1), start, rate)


def write(path: Path, blocks: Iterable[Audio]) -> None:
    with sound_writer(path) as writer:
        for block in blocks:
            writer.write(block)


def read(path: Path) -> Audio:
    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    return Audio(samples, 0, rate)


@given(
    blocks=st.lists(st.integers(0, 3000), max_size=8),
    rate=st.sampled_from([8000, 22050, 24000, 48000, 192000]),
    channels=st.integers(1, 8),
)
@settings(max_examples=60, deadline=None)
def test_after_every_block_a_wav_holds_exactly_what_was_written(
    blocks: list[int], rate: int, channels: int
) -> None:
    sound = noise(sum(blocks), rate, channels)
    with tempfile.TemporaryDirectory() as folder:
        path, done = Path(folder) / "x.wav", 0
        with sound_writer(path) as writer:
            for frames in blocks:
                writer.write(Audio(sound.samples[done : done + frames], done, rate))
                done += frames
                assert read(path) == Audio(sound.samples[:done], 0, rate)
        assert writer.frames == done
        assert read(path).frames == done


@pytest.mark.parametrize("frames", [2**31 - 60, 2**31, 2**32, 2**35])
def test_a_wav_over_4_gib_is_rf64(tmp_path: Path, frames: int) -> None:
    header = wav_header(frames, 48000, 2)
    assert len(header) == 80
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(header)
        try:
            file.truncate(80 + frames * 4)  # sparse: no disk is used
        except OSError:
            pytest.skip("this file system has no files of that size")
    info = soundfile.info(path)
    assert (info.frames, info.samplerate, info.channels) == (frames, 48000, 2)
    assert info.format == "RF64"


def test_the_last_riff_and_the_first_rf64() -> None:
    most = (0xFFFFFFFF - 1 - 72) // 2
    assert wav_header(most, 24000, 1)[:4] == b"RIFF"
    assert wav_header(most + 1, 24000, 1)[:4] == b"RF64"


def test_a_growing_file_becomes_rf64_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with out_file(path) as file:
        writer = SoundWriter(file)
        writer.write(tone(10))
        before = 2**31 - 40
        os.truncate(path, 80 + 2 * before)
        file.size, writer._encoder._frames = 80 + 2 * before, before  # type: ignore[union-attr]
        file.replace(0, b"")
        for start in range(0, 100, 10):
            writer.write(tone(10, start=start))
            assert soundfile.info(path).frames == before + start + 10
    with soundfile.SoundFile(path) as sound:
        assert sound.format == "RF64"
        sound.seek(before)
        assert sound.read(dtype="int16").tolist() == tone(100).samples[:, 0].tolist()


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_holds_all_that_was_written(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"x{suffix}"
    write(path, [tone(2400, channels=channels, start=start) for start in range(0, 36000, 2400)])
    sound = read(path)
    assert (sound.frames, sound.rate, sound.channels) == (36000, 24000, channels)
    wanted = tone(36000, channels=channels).samples
    apart = np.abs(sound.samples.astype(int) - wanted)[2400:-2400].max()
    assert apart <= (0 if suffix == ".flac" else 1000)


@pytest.mark.parametrize(
    ("suffix", "most_lost"), [(".wav", 0), (".flac", 4096), (".mp3", 2400), (".opus", 30000), (".ogg", 72000)]
)
def test_a_file_cut_short_by_a_kill_can_be_read(tmp_path: Path, suffix: str, most_lost: int) -> None:
    """What stands in the file after each second, before anything is closed."""
    path = tmp_path / f"x{suffix}"
    sound = noise(240000)
    with sound_writer(path) as writer:
        for start in range(0, 240000, 2400):
            writer.write(Audio(sound.samples[start : start + 2400], start, 24000))
            if writer.frames % 24000 == 0 and writer.frames > most_lost:
                assert writer.frames - most_lost <= read(path).frames <= writer.frames


@given(blocks=st.lists(st.integers(1, 9000), min_size=1, max_size=6), channels=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_a_growing_flac_says_truly_how_much_it_holds(blocks: list[int], channels: int) -> None:
    sound = tone(sum(blocks), channels=channels)
    with tempfile.TemporaryDirectory() as folder:
        path, done = Path(folder) / "x.flac", 0
        with sound_writer(path) as writer:
            for frames in blocks:
                writer.write(Audio(sound.samples[done : done + frames], done, 24000))
                done += frames
                if done > 4096:
                    so_far = read(path)
                    assert done - 4096 <= so_far.frames
                    assert np.array_equal(so_far.samples, sound.samples[: so_far.frames])
        assert np.array_equal(read(path).samples, sound.samples)


@pytest.mark.parametrize(("suffix", "frames"), [(".wav", 0), (".flac", 1), (".ogg", 1), (".opus", 1), (".mp3", 1)])
def test_nothing_written_is_a_file_all_the_same(tmp_path: Path, suffix: str, frames: int) -> None:
    path = tmp_path / f"x{suffix}"
    with sound_writer(path):
        pass
    sound = read(path)
    assert (sound.frames, sound.rate, sound.channels) == (frames, 24000, 1)
    assert not sound.samples.any()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_long_block_at_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    write(path, [tone(24000 * 60)])
    assert soundfile.info(path).frames == 24000 * 60


@pytest.mark.parametrize(
    ("suffix", "audio", "says"),
    [
        (".opus", tone(10, 44100), r"8000, 12000, 16000, 24000, 48000 Hz, this is 44100 Hz: put a `resample`"),
        (".mp3", tone(10, 96000), "put a `resample`"),
        (".ogg", tone(10, 250000), "8000 to 192000"),
        (".mp3", tone(10, 24000, 3), "at most 2 channels"),
        (".flac", tone(10, 24000, 9), "at most 8 channels"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, suffix: str, audio: Audio, says: str) -> None:
    with pytest.raises(StageError, match=says) as raised:
        write(tmp_path / f"x{suffix}", [audio])
    assert raised.value.code == 2


def test_the_problem_of_a_rate_is_known_before() -> None:
    assert rate_problem(Path("x.opus"), 24000) is None
    assert rate_problem(Path("x.opus"), None) is None
    assert "resample" in str(rate_problem(Path("x.opus"), 22050))
    assert rate_problem(Path("x.wav"), 12345) is None


@pytest.mark.parametrize("changed", [tone(10, 16000), tone(10, channels=2)])
def test_a_change_midway_is_refused_and_what_was_written_is_whole(tmp_path: Path, changed: Audio) -> None:
    path = tmp_path / "x.wav"
    with pytest.raises(StageError, match="put a `resample` before it"):
        write(path, [tone(10), changed])
    assert read(path) == tone(10)


@pytest.mark.parametrize(("suffix", "most_lost"), [(".wav", 2400), (".flac", 8192)])
def test_what_was_written_before_the_disk_was_full_is_whole(tmp_path: Path, suffix: str, most_lost: int) -> None:
    path, sound = tmp_path / f"x{suffix}", noise(240000)
    blocks = [Audio(sound.samples[at : at + 2400], at, 24000) for at in range(0, 240000, 2400)]
    with small_disk(100_000), pytest.raises(StageError, match="cannot write"):
        write(path, blocks)
    kept = read(path)
    assert kept.frames >= (100_000 - 80) // 2 - most_lost
    assert np.array_equal(kept.samples, sound.samples[: kept.frames])


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_a_full_disk_ends_in_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"full{suffix}"
    path.symlink_to(FULL)
    with pytest.raises(StageError, match="the disk is full"):
        write(path, [tone(2400, start=start) for start in range(0, 240000, 2400)])
