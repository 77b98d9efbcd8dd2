from __future__ import annotations

import anyio
import numpy as np
import pytest

from pipeline.caps import AudioCaps
from pipeline.stage import Duration
from pipeline.testing import joined
from stages.silence import Silence
from tests.fakes import FakeInbox, FakeOutbox
from tests.simulated import TimedOutbox, in_simulated_time


def test_it_is_as_long_as_asked_for_and_silent() -> None:
    (out,) = joined(Silence(duration=Duration(1.23), rate=11025, channels=2, block_ms=20).blocks())
    assert (out.start, out.frames, out.rate, out.channels) == (0, 13561, 11025, 2)  # type: ignore[union-attr]
    assert not out.samples.any()  # type: ignore[union-attr]


def test_an_hour_of_it_is_one_small_array() -> None:
    blocks = list(Silence(duration=Duration(3600)).blocks())
    assert len(blocks) == 36_000
    assert all(np.shares_memory(block.samples, blocks[0].samples) for block in blocks[:100])


@pytest.mark.anyio
async def test_it_sends_its_blocks_and_tells_how_far_it_is() -> None:
    stage, outbox = Silence(duration=Duration(0.25)), FakeOutbox()
    await stage.run(FakeInbox([]), outbox)
    assert [getattr(item, "frames", 0) for item in outbox.items()] == [2400, 2400, 1200]
    assert stage.progress() == (0.25, 0.25)
    assert stage.gives({}) == {"out": AudioCaps(24000, 1)}
    assert not stage.live


def test_in_real_time_it_takes_as_long_as_it_lasts() -> None:
    async def run() -> None:
        stage, outbox, begun = Silence(duration=Duration(60), realtime=True), TimedOutbox(), anyio.current_time()
        assert stage.live
        await stage.run(FakeInbox([]), outbox)
        assert [time - begun for time in outbox.times] == pytest.approx([n / 10 for n in range(1, 601)])

    in_simulated_time(run)
