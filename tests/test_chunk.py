from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.caps import AUDIO, AudioCaps
from pipeline.items import Audio, Mark, MarkKind
from pipeline.testing import check_transform, feed_all, noise
from stages.chunk import Chunk, block_frames


@given(
    frames=st.integers(0, 400),
    size=st.integers(1, 150),
    start=st.integers(-1000, 10**12),
    channels=st.integers(1, 3),
)
def test_every_block_but_the_last_is_whole(frames: int, size: int, start: int, channels: int) -> None:
    sound = noise(frames, channels=channels, start=start)
    out = check_transform(lambda: Chunk(frames=size), [sound])
    assert out == ([sound] if frames else [])
    blocks = feed_all(Chunk(frames=size), [sound])
    lengths = [block.frames for block in blocks if isinstance(block, Audio)]
    assert lengths == [size] * (frames // size) + ([frames % size] if frames % size else [])


@given(frames=st.integers(0, 400), size=st.integers(1, 150))
def test_padding_makes_the_last_one_whole_with_silence(frames: int, size: int) -> None:
    sound = noise(frames)
    stage = Chunk(frames=size, tail="pad")
    blocks = [block for block in feed_all(stage, [sound]) if isinstance(block, Audio)]
    padded = -frames % size
    assert all(block.frames == size for block in blocks)
    assert sum(block.frames for block in blocks) == frames + padded
    assert stage.counts() == {"frames padded": padded}
    assert not padded or not blocks[-1].samples[-padded:].any()
    check_transform(lambda: Chunk(frames=size, tail="pad"), [sound], tries=2)


@given(held=st.integers(0, 99), frames=st.integers(0, 300))
def test_less_than_one_block_is_held(held: int, frames: int) -> None:
    stage = Chunk(frames=100)
    out = [*stage.feed(noise(held)), *stage.feed(noise(frames, start=held))]
    assert 0 <= held + frames - sum(block.frames for block in out) < 100


def test_blocks_within_one_item_share_its_memory() -> None:
    sound = noise(1000)
    assert all(np.shares_memory(block.samples, sound.samples) for block in Chunk(frames=100).feed(sound))


@pytest.mark.parametrize("kind", MarkKind)
@pytest.mark.parametrize("tail", ["keep", "pad"])
def test_no_mark_is_passed_by_audio_and_none_is_padded(kind: MarkKind, tail: str) -> None:
    stage = Chunk(frames=100, tail=tail)  # type: ignore[arg-type]
    before, mark, after = noise(130), Mark(kind, 130, 24000), noise(100, start=130)
    out = feed_all(stage, [before, mark, after])
    assert [getattr(item, "frames", None) for item in out] == [100, 30, 0, 100]
    assert out[2] == mark
    assert stage.counts() == {"frames padded": 0}


@pytest.mark.parametrize(
    "other",
    [noise(70, start=500), noise(70, start=10), noise(70, 8000, start=50), noise(70, channels=2, start=50)],
    ids=["jump forward", "jump back", "another rate", "other channels"],
)
def test_an_interruption_cuts_a_block_short(other: Audio) -> None:
    first = noise(50)
    assert feed_all(Chunk(frames=100), [first, other]) == [first, other]


def test_blocks_in_milliseconds_are_whole_frames_rounded_down() -> None:
    assert block_frames(20, 11025) == 220
    assert block_frames(29, 100_000) == 2900
    assert block_frames(1, 300) == 1
    assert all(block_frames(ms, rate) == ms * rate // 1000 for ms in range(1, 1001) for rate in (8000, 44100))
    out = list(Chunk(ms=20).feed(noise(661, 11025)))
    assert [(block.start, block.frames) for block in out] == [(0, 220), (220, 220), (440, 220)]


@pytest.mark.parametrize(
    ("chunk", "came", "block"),
    [
        (Chunk(ms=100), AudioCaps(24000, 1), None),
        (Chunk(ms=100, tail="pad"), AudioCaps(24000, 1, 77), 2400),
        (Chunk(ms=100, tail="pad"), AUDIO, None),
        (Chunk(frames=512, tail="pad"), AUDIO, 512),
    ],
)
def test_blocks_are_promised_where_they_are_sure(chunk: Chunk, came: AudioCaps, block: int | None) -> None:
    assert chunk.gives({"in": came}) == {"out": AudioCaps(came.rate_hz, came.channels, block)}


@pytest.mark.parametrize("options", [{}, {"ms": 100.0, "frames": 2400}, {"ms": 0}, {"frames": 0}])
def test_one_length_is_wanted(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Chunk(**options)  # type: ignore[arg-type]
