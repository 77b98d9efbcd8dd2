from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Audio
from pipeline.testing import check_transform, feed_all, noise
from stages.gain import Gain


@given(db=st.floats(-96, 48), frames=st.integers(0, 300), channels=st.integers(1, 3))
def test_gain_obeys_the_laws_of_a_transform(db: float, frames: int, channels: int) -> None:
    out = check_transform(lambda: Gain(db=db), [noise(frames, channels=channels)])
    assert sum(item.frames for item in out if isinstance(item, Audio)) == frames


def test_zero_decibels_changes_nothing() -> None:
    sound = noise(1000)
    assert feed_all(Gain(db=0), [sound]) == [sound]


def test_what_would_overflow_is_limited_and_counted() -> None:
    loud = Audio(np.array([[20000], [-20000], [100]], np.int16), 0, 8000)
    gain = Gain(db=12)
    (out,) = feed_all(gain, [loud])
    assert isinstance(out, Audio)
    assert out.samples[:, 0].tolist() == [32767, -32768, 398]
    assert gain.counts() == {"samples limited to full scale": 2}
