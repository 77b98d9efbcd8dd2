from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stages.playout.faster import FASTEST
from stages.playout.lag import Bound


def done(lag_s: float) -> tuple[bool, float, bool]:
    bound = Bound(8.0)
    return bound.trims(lag_s), round(bound.speed(lag_s), 4), bound.skips(lag_s)


def test_each_measure_has_its_turn() -> None:
    assert done(0) == done(2) == (False, 1.0, False)
    assert done(3) == done(4) == (True, 1.0, False)
    assert done(5) == (True, 1.125, False)
    assert done(6) == done(8) == (True, FASTEST, False)
    assert done(8.1) == (True, FASTEST, True)


@given(max_lag_s=st.floats(0.1, 100), lags=st.tuples(st.floats(0, 200), st.floats(0, 200)))
def test_more_lag_never_means_less_haste(max_lag_s: float, lags: tuple[float, float]) -> None:
    bound, (less, more) = Bound(max_lag_s), sorted(lags)
    assert bound.trims(less) <= bound.trims(more)
    assert 1 <= bound.speed(less) <= bound.speed(more) <= FASTEST
    assert bound.skips(less) <= bound.skips(more)
