"""What listeners say is read patiently, and what a room says is exactly what the page expects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.room.board import Board, original, translated
from stages.room.wire import Fault, Missed, Progress, VoiceEvent, WireError, Wish, dump, parse_wish


def test_a_wish() -> None:
    frame = (
        '{"type":"hello","languages":["pt-br","en-us","pt-br"],"voice":"pt-br","after":{"pt-br":41},"life":"a1"}'
    )
    assert parse_wish(frame) == Wish(("pt-br", "en-us"), "pt-br", {"pt-br": 41}, "a1")
    assert parse_wish('{"type":"choose","languages":[],"voice":null}') == Wish()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x00\x01", "unknown_message"),
        ("nonsense", "invalid_json"),
        ("[" * 10_000, "invalid_json"),
        ('{"type":"hello","languages":["' + "x" * 20_000 + '"]}', "message_too_large"),
        ("[]", "invalid_message"),
        ("{}", "unknown_message"),
        ('{"type":7}', "unknown_message"),
        ('{"type":"shout","languages":[]}', "unknown_message"),
        ('{"type":"hello"}', "invalid_type"),
        ('{"type":"hello","languages":"pt-br"}', "invalid_type"),
        ('{"type":"hello","languages":[1]}', "invalid_type"),
        ('{"type":"hello","languages":["a","b","c","d","e","f","g","h","i"]}', "too_many_languages"),
        ('{"type":"hello","languages":[],"voice":3}', "invalid_type"),
        ('{"type":"hello","languages":[],"after":[1]}', "invalid_type"),
    ],
)
def test_what_is_wrong_has_a_code(frame: str | bytes, code: str) -> None:
    with pytest.raises(WireError) as wrong:
        parse_wish(frame)
    assert wrong.value.code == code
    assert len(str(wrong.value)) < 200


def test_odd_numbers_are_no_numbers() -> None:
    after = '{"a":true,"b":-1,"c":1.5,"d":"2","e":9e99,"f":3}'
    assert parse_wish(f'{{"type":"hello","languages":[],"after":{after}}}').after == {"f": 3}


@given(
    st.text()
    | st.binary()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps)
)
def test_nothing_but_wire_errors_comes_of_hostile_input(frame: str | bytes) -> None:
    try:
        parse_wish(frame)
    except WireError as wrong:
        json.dumps(str(wrong)).encode()


@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["hello", "choose"])},
        optional={
            name: st.recursive(
                st.none() | st.integers() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            )
            for name in ("languages", "voice", "after", "life")
        },
    )
)
def test_whatever_stands_in_a_wish_is_a_wish_or_a_wire_error(message: dict[str, object]) -> None:
    try:
        wish = parse_wish(json.dumps(message))
    except WireError:
        return
    assert all(isinstance(seq, int) and seq >= 0 for seq in wish.after.values())


def test_what_a_room_says() -> None:
    said = [Missed("pt-br", 10, 20), Progress("pt-br", "preparing"), Progress("pt-br", "failed", "no model")]
    said += [VoiceEvent("pt-br", "begin", 7), VoiceEvent("pt-br", "dropped", ms=1200), Fault("room_full", "later")]
    assert [json.loads(dump(each)) for each in said] == [
        {"type": "missed", "language": "pt-br", "from": 10, "to": 20},
        {"type": "preparing", "language": "pt-br"},
        {"type": "failed", "language": "pt-br", "message": "no model"},
        {"type": "voice", "language": "pt-br", "event": "begin", "utterance": 7},
        {"type": "voice", "language": "pt-br", "event": "dropped", "ms": 1200},
        {"type": "error", "code": "room_full", "message": "later"},
    ]


def test_a_room_and_its_languages() -> None:
    board = Board(
        "Sunday\x1b[0m", source="en-us", languages=[original("en-us"), translated("ar-sa", "fair", voice=True)]
    )
    told = json.loads(board.frame)
    assert told == {
        "type": "room",
        "title": "Sunday[0m",
        "source": "en-us",
        "languages": [
            {"tag": "en-us", "name": "English (US)", "dir": "ltr", "quality": "original", "voice": False},
            {"tag": "ar-sa", "name": "العربية", "dir": "rtl", "quality": "fair", "voice": True},
        ],
        "state": "waiting",
        "replay_s": 600.0,
        "life": board.life,
    }
    assert not board.change(state="waiting")
    assert board.change(state="live")
    assert json.loads(board.frame)["state"] == "live"
