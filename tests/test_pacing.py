from __future__ import annotations

import anyio
import pytest

from pipeline.testing import noise
from stages.pacing import Pacer, spans
from tests.simulated import in_simulated_time


async def _check_times(realtime: bool) -> None:
    begun = anyio.current_time()
    pacer = Pacer(realtime)
    for number in range(6_000):
        block = noise(441, 4410, start=10**9 + number * 441)
        await pacer.wait_for(block)
        expected = (number + 1) / 10 if realtime else 0
        assert anyio.current_time() - begun == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("realtime", [True, False])
def test_ten_minutes_are_paced_without_drift(realtime: bool) -> None:
    in_simulated_time(_check_times, realtime)


def test_who_was_held_up_catches_up() -> None:
    async def run() -> None:
        begun = anyio.current_time()
        pacer = Pacer(True)
        await pacer.wait_for(noise(800, 8000))
        await anyio.sleep(1)
        for number in range(1, 20):
            await pacer.wait_for(noise(800, 8000, start=800 * number))
            assert anyio.current_time() - begun == pytest.approx(max(1.1, (number + 1) / 10))

    in_simulated_time(run)


def test_spans_cover_everything_once() -> None:
    assert list(spans(1, 11025, 20)) == [(at, min(220, 11025 - at)) for at in range(0, 11025, 220)]
    assert list(spans(0, 8000, 100)) == []
