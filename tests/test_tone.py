from __future__ import annotations

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.caps import AudioCaps
from pipeline.items import Audio
from pipeline.stage import Duration
from pipeline.testing import joined
from stages.tone import Tone
from tests.fakes import FakeInbox, FakeOutbox
from tests.simulated import TimedOutbox, in_simulated_time


def sounding(tone: Tone) -> Audio:
    (out,) = joined(tone.blocks())
    assert isinstance(out, Audio)
    return out


@given(hz=st.floats(1, 4000), block_ms=st.floats(1, 300))
def test_how_it_is_cut_is_not_heard(hz: float, block_ms: float) -> None:
    one, other = (Tone(hz=hz, duration=Duration(0.5), rate=8000, block_ms=ms) for ms in (block_ms, 2000))
    assert sounding(one) == sounding(other)


def test_it_is_a_sine_of_the_pitch_and_level_asked_for() -> None:
    samples = sounding(Tone(hz=1000, db=-6, duration=Duration(1), rate=48000, channels=2)).samples
    wave = 32767 * 10 ** (-6 / 20) * np.sin(2 * np.pi * np.arange(48000) / 48)
    assert np.abs(samples[:, 0] - wave).max() <= 0.5001
    assert (samples[:, 0] == samples[:, 1]).all()


def test_its_phase_is_exact_after_ten_days() -> None:
    tone = Tone(hz=999.999, db=0, duration=Duration(864_000), rate=48000)
    far = tone._block(48_000_000 * 800, 4800)  # a whole number of periods of the thousandth of a Hz
    assert far.samples.tolist() == tone._block(0, 4800).samples.tolist()


@pytest.mark.anyio
async def test_it_sends_its_blocks_and_tells_how_far_it_is() -> None:
    stage, outbox = Tone(duration=Duration(0.25)), FakeOutbox()
    await stage.run(FakeInbox([]), outbox)
    assert [getattr(item, "frames", 0) for item in outbox.items()] == [2400, 2400, 1200]
    assert stage.progress() == (0.25, 0.25)
    assert stage.gives({}) == {"out": AudioCaps(24000, 1)}
    assert not stage.live


def test_in_real_time_it_takes_as_long_as_it_lasts() -> None:
    async def run() -> None:
        stage, outbox, begun = Tone(duration=Duration(1), realtime=True), TimedOutbox(), anyio.current_time()
        assert stage.live
        await stage.run(FakeInbox([]), outbox)
        assert [time - begun for time in outbox.times] == pytest.approx([n / 10 for n in range(1, 11)])

    in_simulated_time(run)


def test_a_pitch_that_the_rate_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="wanted at most half of the rate, which is 8000 Hz, came 5000"):
        Tone(hz=5000, rate=8000, duration=Duration(1))
