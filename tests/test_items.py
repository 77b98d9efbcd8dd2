from __future__ import annotations

import attrs
import numpy as np
import pytest

from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.testing import noise


def test_audio_counts_in_frames_and_tells_milliseconds() -> None:
    sound = Audio(np.zeros((480, 2), np.int16), 24000, 24000)
    assert (sound.frames, sound.channels, sound.end) == (480, 2, 24480)
    assert (sound.start_ms, sound.end_ms) == (1000, 1020)


def test_audio_is_equal_by_content() -> None:
    assert noise(10) == noise(10)
    assert hash(noise(10)) == hash(noise(10))
    assert noise(10) != noise(10, seed=1)
    assert noise(10) != noise(10, start=1)
    assert noise(10) != "noise"


def test_nobody_can_write_through_an_audio() -> None:
    samples = np.zeros((4, 1), np.int16)
    sound = Audio(samples, 0, 8000)
    with pytest.raises(ValueError, match="read-only"):
        sound.samples[0] = 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        sound.start = 3
    samples[0] = 1  # the maker's own array stays its own


@pytest.mark.parametrize("samples", [np.zeros(4, np.int16), np.zeros((4, 1), np.float32)])
def test_audio_refuses_other_samples(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"int16 of shape \(frames, channels\)"):
        Audio(samples, 0, 8000)


def test_text_and_mark_are_values() -> None:
    assert Text("so", 0, 10) == Text("so", 0, 10)
    assert Mark(MarkKind.GAP, 4800, 24000, 10).start_ms == 200
