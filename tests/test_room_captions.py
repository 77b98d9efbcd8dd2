"""The captions of a language: numbered without a hole, kept for a while, and never missed in silence."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from stages.room.captions import FIRST_LINES, Captions


def told(captions: Captions, seq: int, now: float = 0.0) -> list[dict[str, object]]:
    """Everything behind line `seq`."""
    found = []
    while (following := captions.after(seq, now)) is not None:
        frame, seq = following
        found.append(json.loads(frame))
    return found


def test_lines_are_numbered_from_one() -> None:
    captions = Captions("pt-br")
    first = captions.settle(7, "Bom dia.", 0, 1500, now=0.0)
    captions.settle(8, "Sentem-se.", 1600, 2500, now=1.0)
    assert first.seq == 1
    assert told(captions, 0)[0] == {
        "type": "caption",
        "language": "pt-br",
        "seq": 1,
        "utterance": 7,
        "text": "Bom dia.",
        "start_ms": 0,
        "end_ms": 1500,
    }
    assert [line["seq"] for line in told(captions, 1)] == [2]
    assert told(captions, 2) == []


def test_what_is_no_longer_kept_is_told_as_missed() -> None:
    captions = Captions("pt-br", replay_s=10.0)
    for at in (0.0, 1.0, 20.0):
        captions.settle(1, "x", 0, 0, now=at)
    assert told(captions, 0, now=20.0)[0] == {"type": "missed", "language": "pt-br", "from": 1, "to": 2}
    assert [line["seq"] for line in told(captions, 0, now=20.0)[1:]] == [3]
    assert told(captions, 0, now=100.0) == [{"type": "missed", "language": "pt-br", "from": 1, "to": 3}]


def test_a_newcomer_begins_with_the_last_lines() -> None:
    captions = Captions("pt-br", replay_s=10.0)
    assert captions.first(0.0) == 0
    for number in range(50):
        captions.settle(number, "x", 0, 0, now=float(number) / 10)
    assert captions.first(5.0) == 50 - FIRST_LINES
    assert captions.first(14.5) == 45  # older ones are not kept, and nobody has missed them who was not there


def test_a_growing_line_is_news_when_it_changes_and_over_when_it_settles() -> None:
    captions = Captions("pt-br")
    assert captions.grow(1, "Bom")
    assert not captions.grow(1, "Bom")
    assert captions.grow(1, "Bom dia")
    captions.settle(1, "Bom dia.", 0, 1, now=0.0)
    assert captions.growing is None
    assert not captions.clear()
    captions.grow(2, "E")
    assert captions.clear()
    assert json.loads(captions.cleared()) == {"type": "partial", "language": "pt-br", "utterance": 2, "text": ""}


@given(
    gaps=st.lists(st.floats(0, 20), max_size=60),
    limit=st.integers(1, 30),
    since=st.integers(0, 60),
    later=st.floats(0, 30),
)
def test_every_line_is_given_or_told_as_missed(gaps: list[float], limit: int, since: int, later: float) -> None:
    captions, now = Captions("en-us", replay_s=30.0, limit=limit), 0.0
    for gap in gaps:
        now += gap
        captions.settle(1, "x", 0, 0, now)
    expected = since
    for each in told(captions, since, now + later):
        if each["type"] == "missed":
            assert each["from"] == expected + 1
            expected = each["to"]  # type: ignore[assignment]
        else:
            assert each["seq"] == expected + 1
            expected += 1
    assert expected == max(since, len(gaps))
