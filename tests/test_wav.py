from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipeline.caps import AudioCaps
from pipeline.items import Audio, Item, Mark, MarkKind
from pipeline.stage import StageError
from pipeline.testing import noise
from stages.wav import Wav
from tests.fakes import FakeInbox, FakeOutbox

pytestmark = pytest.mark.anyio


def sound(start: int, frames: int, value: int = 1000, channels: int = 1, rate: int = 8000) -> Audio:
    return Audio(np.full((frames, channels), value, np.int16), start, rate)


def end(start: int) -> Mark:
    return Mark(MarkKind.UTTERANCE_END, start, 8000)


async def written(wav: Wav, items: Iterable[Item] | Mapping[str, Iterable[Item]]) -> Audio:
    await wav.run(FakeInbox(items), FakeOutbox())
    samples, rate = soundfile.read(wav.path, dtype="int16", always_2d=True)
    return Audio(samples, 0, rate)


async def test_append_is_back_to_back_with_silence_for_what_is_missing(tmp_path: Path) -> None:
    wav = Wav(path=tmp_path / "x.wav")
    items = [sound(50, 4, 1), end(54), sound(90, 2, 2), Mark(MarkKind.GAP, 92, 8000, 3), sound(95, 1, 3)]
    out = await written(wav, items)
    assert out.samples[:, 0].tolist() == [1, 1, 1, 1, 2, 2, 0, 0, 0, 3]
    assert wav.counts() == {"frames of silence for missing audio": 3}


async def test_timeline_places_utterances_and_pushes_late_ones(tmp_path: Path) -> None:
    wav = Wav(path=tmp_path / "x.wav", layout="timeline")
    out = await written(wav, [sound(2, 3, 1), end(5), sound(4, 2, 2), end(6), sound(9, 1, 3)])
    assert out.samples[:, 0].tolist() == [0, 0, 1, 1, 1, 2, 2, 0, 0, 3]
    assert wav.counts()["utterances pushed later"] == 1


async def test_timeline_over_a_bed(tmp_path: Path) -> None:
    wav = Wav(path=tmp_path / "x.wav", layout="timeline", duck_db=0)
    bed = [sound(start, 100, 10) for start in range(0, 1000, 100)]
    out = await written(wav, {"in": [sound(150, 100, 5), end(250)], "under": bed})
    assert out.samples[:, 0].tolist() == [10] * 150 + [15] * 100 + [10] * 750


async def test_a_connected_bed_that_is_empty(tmp_path: Path) -> None:
    wav = Wav(path=tmp_path / "x.wav", layout="timeline")
    out = await written(wav, {"in": [sound(2, 3, 1)], "under": []})
    assert out.samples[:, 0].tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("layout", ["append", "timeline"])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
async def test_every_suffix_and_layout(tmp_path: Path, layout: Any, suffix: str) -> None:
    wav = Wav(path=tmp_path / f"x{suffix}", layout=layout)
    blocks = [noise(2400, start=start) for start in range(0, 24000, 2400)]
    out = await written(wav, blocks)
    assert (out.frames, out.rate) == (24000, 24000)


async def test_nothing_at_all_is_an_empty_file(tmp_path: Path) -> None:
    out = await written(Wav(path=tmp_path / "x.wav"), [])
    assert (out.frames, out.rate, out.channels) == (0, 24000, 1)


async def test_a_fault_leaves_what_was_written_whole(tmp_path: Path) -> None:
    wav = Wav(path=tmp_path / "x.wav")
    with pytest.raises(StageError, match="put a `resample` before it"):
        await wav.run(FakeInbox([sound(0, 10), sound(10, 10, rate=16000)]), FakeOutbox())
    assert soundfile.info(wav.path).frames == 10


async def test_a_fault_of_the_bed_comes_out_bare(tmp_path: Path) -> None:
    wav = Wav(path=tmp_path / "x.wav", layout="timeline")
    items = {"in": [sound(0, 10)], "under": [sound(0, 10, rate=16000)]}
    with pytest.raises(StageError, match=r"Hz was wanted, (8|16)000 Hz came"):
        await wav.run(FakeInbox(items), FakeOutbox())


async def test_an_unwritable_path_is_said_before_anything_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there is no folder"):
        await Wav(path=tmp_path / "no" / "x.wav").run(FakeInbox([]), FakeOutbox())


def test_constructing_does_nothing(tmp_path: Path) -> None:
    assert Wav(path=tmp_path / "no" / "x.wav").counts() == {}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.txt", "x", "x.m4a"])
def test_a_suffix_that_is_no_format_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="path: wanted a file name that ends in"):
        Wav(path=Path(name))


@pytest.mark.parametrize(
    ("options", "caps", "says"),
    [
        ({}, {"in": AudioCaps(24000, 1), "under": AudioCaps(24000, 1)}, "set `layout: timeline`"),
        ({"layout": "timeline"}, {"in": AudioCaps(24000, 1), "under": AudioCaps(48000, 1)}, "rate: 24000"),
        ({"layout": "timeline"}, {"in": AudioCaps(24000, 2), "under": AudioCaps(24000, 1)}, "channels: 2"),
        ({"path": Path("x.opus")}, {"in": AudioCaps(22050, 1)}, "put a `resample`"),
    ],
)
def test_what_does_not_fit_is_found_when_the_graph_is_checked(
    options: dict[str, Any], caps: dict[str, AudioCaps], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Wav(**{"path": Path("x.wav"), **options}).gives(caps)


@pytest.mark.parametrize(
    "caps",
    [
        {"in": AudioCaps()},
        {"in": AudioCaps(24000, 1), "under": AudioCaps(24000, 2)},
        {"in": AudioCaps(24000, 1), "under": AudioCaps()},
    ],
)
def test_what_fits_or_is_not_known_passes(caps: dict[str, AudioCaps]) -> None:
    assert Wav(path=Path("x.wav"), layout="timeline").gives(caps) == {}
