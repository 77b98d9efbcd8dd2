"""How late captions and voices are told to be."""

from __future__ import annotations

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Audio
from stages.room.lag import Delays, Hearer, Lag
from stages.room.order import Stretch
from tests.serve_server import SECOND
from tests.simulated import in_simulated_time


def test_lag_is_that_of_the_last_minutes() -> None:
    lag = Lag(window_s=10.0)
    assert lag.summary(0.0) == {"n": 0, "p50_s": None, "p95_s": None}
    for number in range(1, 101):
        lag.add(number / 100, now=0.0)
    assert lag.summary(5.0) == {"n": 100, "p50_s": 0.51, "p95_s": 0.96}
    lag.add(-1.0, now=9.0)
    assert lag.summary(15.0) == {"n": 1, "p50_s": 0.0, "p95_s": 0.0}


SOUNDS = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 30)), max_size=20)
"""After how many seconds each comes, and how long it is."""


@given(SOUNDS)
def test_each_sound_begins_once_it_has_come_and_those_before_it_are_over_and_not_later(
    sounds: list[tuple[float, float]],
) -> None:
    hearer, now, played_at = Hearer(), 0.0, 0.0
    for after_s, seconds in sounds:
        now += after_s
        begins = hearer.hear(seconds, now)
        assert begins == max(now, played_at)
        played_at = begins + seconds


@given(SOUNDS, st.floats(0, 1))
def test_a_sound_that_comes_in_two_blocks_holds_up_the_next_as_long_as_a_whole_one(
    sounds: list[tuple[float, float]], part: float
) -> None:
    whole, cut, now = Hearer(), Hearer(), 0.0
    for after_s, seconds in sounds:
        now += after_s
        assert cut.hear(part * seconds, now) == pytest.approx(whole.hear(seconds, now))
        cut.hear((1 - part) * seconds, now)


def test_a_voice_is_heard_when_what_was_sent_before_it_has_been_played() -> None:
    sentence = Audio(np.zeros((4 * SECOND, 1), np.int16), 0, SECOND)

    def send(delays: Delays, language: str, number: int) -> float | None:
        """How much later it is heard than the fastest of all, as it is sent at once."""
        stretch = Stretch(number, 1000)
        for _ in range(2):
            if (sent := delays.sound(language, sentence, stretch)) is not None:
                sent()
        return delays.heard.summary(anyio.current_time())["p95_s"]

    async def run() -> None:
        delays = Delays(lambda _end_ms: 2.0)
        assert send(delays, "pt-br", 1) == 2.0
        assert send(delays, "es-es", 1) == 2.0, "who hears another language does not wait for this one"
        assert send(delays, "pt-br", 2) == 10.0
        await anyio.sleep(5.0)
        assert send(delays, "pt-br", 3) == 13.0
        assert delays.heard.summary(anyio.current_time())["n"] == 4, "each is measured once"

    in_simulated_time(run)
