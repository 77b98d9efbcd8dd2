from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.posting.wall import WallClock, check_utc, utc_ms

NOON_MS = 1_356_350_400_000  # 2012-12-24T12:00:00
NOON = "2012-12-24T12:00:00.000"


def clock(**changes: object) -> WallClock:
    settings = {"zero_ms": NOON_MS, "start_ms": NOON_MS, "start_s": 100.0, **changes}
    return WallClock(**settings)  # type: ignore[arg-type]


def test_positions_are_times_of_day() -> None:
    assert clock().stamp(0) == NOON
    assert clock().stamp(61_007) == "2012-12-24T12:01:01.007"
    assert clock(delay_ms=-1500).stamp(2000) == "2012-12-24T12:00:00.500"


@given(st.integers(), st.integers())
def test_every_position_has_a_time(zero_ms: int, position_ms: int) -> None:
    stamp = clock(zero_ms=zero_ms).stamp(position_ms)
    assert len(stamp) == 23
    datetime.fromisoformat(stamp)


@given(st.integers(0, 4_000_000_000_000))
def test_a_stamp_reads_back(ms: int) -> None:
    assert utc_ms(clock(zero_ms=0).stamp(ms)) == ms


def test_the_quickest_exchange_is_believed() -> None:
    told = clock()
    told.exchanged(100.0, 104.0, b"2012-12-24T12:00:03.000\n")  # half-way it was 12:00:02 here
    assert told.offset_ms == 1000
    told.exchanged(110.0, 110.2, b"2012-12-24T12:00:10.600\r\n")
    assert told.offset_ms == 500
    told.exchanged(120.0, 123.0, b"2012-12-24T12:00:30.000")
    assert told.offset_ms == 500
    assert told.stamp(0) == "2012-12-24T12:00:00.500"


@pytest.mark.parametrize("answer", [b"", b"<html>", b"2012-13-24T12:00:00.000", b"\xff" * 2000, b"20:00"])
def test_an_answer_without_a_time_teaches_nothing(answer: bytes) -> None:
    told = clock()
    told.exchanged(100.0, 100.1, answer)
    assert told.offset_ms == 0


def test_a_time_given_from_outside_is_not_set_right() -> None:
    told = clock(follows=False)
    told.exchanged(100.0, 100.1, b"2012-12-24T13:00:00.000")
    assert told.stamp(0) == NOON


def test_what_is_a_time() -> None:
    assert utc_ms(NOON) == utc_ms("2012-12-24T12:00:00Z") == NOON_MS
    assert utc_ms("2012-12-24 12:00") is None
    assert check_utc(NOON) is None
    assert check_utc("noon") == "a time in UTC such as 2012-12-24T00:00:06.873"
