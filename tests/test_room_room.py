"""A room and its listeners: whatever they do, each gets every line once or is told, and none holds up another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Audio, Text
from stages.room.board import Board, original, translated
from stages.room.listener import FRAME_BYTES, Listener
from stages.room.room import Room
from stages.room.wire import Progress, Wish


def room(replay_s: float = 600.0) -> Room:
    languages = [
        original("en-us"),
        translated("pt-br", "good", voice=True),
        translated("es-es", "good", voice=True),
    ]
    return Room(Board("Sunday", source="en-us", languages=languages, replay_s=replay_s))


def said(text: str, utterance: int = 1, *, final: bool = True) -> Text:
    return Text(text, 0, 1000, "pt-br", utterance, final)


def sound(frames: int, value: int = 1) -> Audio:
    return Audio(np.full((frames, 1), value, np.int16), 0, 24000)


@define(eq=False)
class Phone:
    """A listener, and the page that it shows."""

    room: Room
    wish: Wish = field(factory=lambda: Wish(("pt-br",)))
    sound_limit_ms: int = 10_000
    rings: int = 0
    last: int | None = None
    seen: list[int] = field(factory=list)
    missed: list[int] = field(factory=list)
    growing: str = ""
    told: list[Mapping[str, Any]] = field(factory=list)
    playing: int | None = None
    played: bytearray = field(factory=bytearray)
    listener: Listener = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.connect(0.0)

    def connect(self, now: float) -> None:
        """As a page does: what it has already is told."""
        self.listener = Listener(self.room.board, self.ring, self.sound_limit_ms)
        after = {} if self.last is None else {"pt-br": self.last}
        self.playing, self.growing = None, ""
        self.listener.choose(Wish(self.wish.languages, self.wish.voice, after, self.room.board.life), now)
        self.room.join(self.listener)

    def disconnect(self) -> None:
        self.room.leave(self.listener)

    def ring(self) -> None:
        self.rings += 1

    def read(self, now: float, most: int = 1_000_000) -> None:
        """Take up to `most` frames."""
        while most and (frame := self.listener.next(now)) is not None:
            most -= 1
            if isinstance(frame, bytes):
                assert self.playing is not None
                assert 0 < len(frame) <= FRAME_BYTES
                self.played += frame
            else:
                self.take(json.loads(frame))

    def take(self, message: Mapping[str, Any]) -> None:
        self.told.append(message)
        match message["type"]:
            case "caption":
                assert self.last is None or message["seq"] == self.last + 1
                self.last = message["seq"]
                self.seen.append(self.last)
                self.growing = ""
            case "missed":
                assert self.last is None or message["from"] == self.last + 1
                self.missed += range(message["from"], message["to"] + 1)
                self.last = message["to"]
            case "partial":
                self.growing = message["text"]
            case "voice" if message["event"] == "begin":
                assert self.playing is None
                self.playing = message["utterance"]
            case "voice" if message["event"] == "end":
                assert self.playing == message["utterance"]
                self.playing = None

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.told]


# --- captions


def test_a_line_grows_by_what_two_hypotheses_agree_on_and_settles() -> None:
    hall = room()
    phone = Phone(hall)
    phone.read(0.0)
    assert phone.kinds() == ["room"]
    hall.publish("pt-br", said("Bom tia a", final=False), 0.0)
    assert hall.listeners
    phone.read(0.0)
    assert phone.growing == ""
    hall.publish("pt-br", said("Bom dia a todos", final=False), 0.0)
    phone.read(0.0)
    assert phone.growing == "Bom"
    hall.publish("pt-br", said("Bom dia a todos."), 0.0)
    phone.read(0.0)
    assert (phone.growing, phone.seen) == ("", [1])
    assert phone.told[-1]["text"] == "Bom dia a todos."


def test_a_growing_line_that_comes_to_nothing_is_taken_back() -> None:
    hall = room()
    phone = Phone(hall)
    for ends in (lambda: hall.over("pt-br"), lambda: hall.publish("pt-br", said("\x1b "), 0.0)):
        for _ in range(2):
            hall.publish("pt-br", said("Hm", final=False), 0.0)
        phone.read(0.0)
        assert phone.growing == "Hm"
        ends()
        phone.read(0.0)
        assert phone.growing == ""
    assert phone.seen == []


def test_nothing_of_what_is_said_is_a_control_character() -> None:
    hall = room()
    phone = Phone(hall)
    hall.publish("pt-br", said("<b>\x1b[31m\u202eolá\ud800\n</b>"), 0.0)
    phone.read(0.0)
    assert phone.told[-1]["text"] == "<b>[31molá\ufffd </b>"


def test_only_what_is_wanted_is_told_and_only_those_are_rung() -> None:
    hall = room()
    maria, juan = Phone(hall), Phone(hall, Wish(("es-es",)))
    maria.read(0.0)
    juan.read(0.0)
    maria.rings = juan.rings = 0
    hall.publish("pt-br", said("Olá."), 0.0)
    assert (maria.rings, juan.rings) == (1, 0)
    juan.read(0.0)
    assert juan.kinds() == ["room"]


def test_somebody_who_chooses_again_loses_nothing_and_gets_nothing_twice() -> None:
    hall = room()
    phone = Phone(hall)
    hall.publish("pt-br", said("Um."), 0.0)
    phone.read(0.0)
    hall.publish("pt-br", said("Dois."), 0.0)
    phone.listener.choose(Wish(("pt-br", "es-es"), "es-es"), 0.0)
    phone.read(0.0)
    assert phone.seen == [1, 2]


def test_what_was_counted_in_another_life_of_the_room_is_not_taken_for_this_one() -> None:
    hall = room()
    for _ in range(3):
        hall.publish("pt-br", said("Olá."), 0.0)
    listener = Listener(hall.board)
    listener.choose(Wish(("pt-br",), after={"pt-br": 2}, life="another"), 0.0)
    assert listener.next(0.0) == hall.board.frame
    frames = [listener.next(0.0) for _ in range(4)]
    assert [json.loads(str(frame))["seq"] for frame in frames[:3]] == [1, 2, 3]
    assert frames[3] is None


def test_what_the_room_does_not_have_is_refused_and_the_rest_honoured() -> None:
    hall = room()
    phone = Phone(hall, Wish(("xx-yy\ud800", "pt-br"), "en-us"))
    phone.read(0.0)
    assert [message.get("code") for message in phone.told] == [None, "unknown_language", "unknown_voice"]
    assert phone.listener.wish == Wish(("pt-br",), None)
    hall.publish("pt-br", said("Olá."), 0.0)
    phone.read(0.0)
    assert phone.seen == [1]


def test_how_a_translation_comes_on_is_told_to_its_readers() -> None:
    hall = room()
    maria, juan = Phone(hall), Phone(hall, Wish(("es-es",)))
    hall.tell(Progress("pt-br", "preparing"))
    maria.read(0.0)
    hall.tell(Progress("pt-br", "ready"))
    late = Phone(hall)
    for phone in (maria, juan, late):
        phone.read(0.0)
    assert maria.kinds() == ["room", "preparing", "ready"]
    assert juan.kinds() == ["room"]
    assert late.kinds() == ["room", "ready"]


STEPS = st.one_of(
    st.tuples(st.just("settle"), st.floats(0, 20)),
    st.tuples(st.just("grow"), st.floats(0, 5)),
    st.tuples(st.just("read"), st.integers(0, 2), st.integers(0, 5)),
    st.tuples(st.just("cut"), st.integers(0, 2)),
    st.tuples(st.just("return"), st.integers(0, 2)),
    st.tuples(st.just("speak"), st.integers(1, 30_000)),
)


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=80))
def test_whatever_happens_every_listener_gets_each_line_once_or_is_told(steps: list[Any]) -> None:
    hall, now, here = room(replay_s=40.0), 0.0, {0, 1, 2}
    phones = [Phone(hall, Wish(("pt-br",), "pt-br"), sound_limit_ms=1000) for _ in range(3)]
    for number, step in enumerate(steps):
        match step:
            case ("settle", took):
                now += took
                hall.publish("pt-br", said(f"line {number}.", number), now)
            case ("grow", took):
                now += took
                hall.publish("pt-br", said("line", number, final=False), now)
            case ("read", who, most) if who in here:
                phones[who].read(now, most)
            case ("cut", who) if who in here:
                here.remove(who)
                phones[who].disconnect()
            case ("return", who) if who not in here:
                here.add(who)
                phones[who].connect(now)
            case ("speak", frames):
                hall.sound("pt-br", number, sound(frames), None)
                hall.silence("pt-br", number)
    for who in {0, 1, 2} - here:
        phones[who].connect(now)
    newest = hall.board.log("pt-br").seq
    for phone in phones:
        phone.read(now)
        assert (phone.last or newest) == newest
        told = sorted(phone.seen + phone.missed)
        assert told == list(range(newest - len(told) + 1, newest + 1))
        assert phone.playing is None
        log = hall.board.log("pt-br")
        assert phone.growing == ("" if log.growing is None else json.loads(log.growing)["text"])


# --- sound


def test_sound_comes_in_frames_between_its_beginning_and_its_end() -> None:
    hall = room()
    phone, deaf = Phone(hall, Wish((), "pt-br")), Phone(hall, Wish(("pt-br",)))
    for part in (2400, 2400, 20_000):
        hall.sound("pt-br", 7, sound(part))
    hall.silence("pt-br", 7)
    phone.read(0.0)
    deaf.read(0.0)
    assert [message.get("event") for message in phone.told] == [None, "begin", "end"]
    assert phone.played == sound(24_800).samples.tobytes()
    assert deaf.kinds() == ["room"]


def test_a_stalled_listener_loses_its_own_oldest_sound_counted_and_told() -> None:
    hall = room()
    stalled, other = Phone(hall, Wish((), "pt-br"), sound_limit_ms=1000), Phone(hall, Wish((), "pt-br"))
    for utterance in range(5):
        hall.sound("pt-br", utterance, sound(12_000, utterance))
        hall.silence("pt-br", utterance)
        other.read(0.0)
    stalled.read(0.0)
    lost = [message["ms"] for message in stalled.told if message.get("event") == "dropped"]
    assert sum(lost) == 2500 - len(stalled.played) // 48
    assert 800 <= len(stalled.played) // 48 <= 1000
    assert stalled.listener.dropped_ms == sum(lost)
    assert hall.dropped_ms()["pt-br"] == sum(lost)
    assert len(other.played) == 2500 * 48
    assert other.listener.dropped_ms == 0


def test_what_was_lost_stays_counted_for_its_language_whatever_the_listener_does_then() -> None:
    hall = room()
    phone = Phone(hall, Wish((), "pt-br"), sound_limit_ms=400)
    hall.sound("pt-br", 1, sound(24_000))
    phone.listener.choose(Wish((), "es-es"), 0.0)
    phone.read(0.0)
    told = [(each["language"], each["ms"]) for each in phone.told if each.get("event") == "dropped"]
    assert told == [("pt-br", 800)]
    assert hall.dropped_ms() == {"pt-br": 800}
    phone.listener.choose(Wish((), None), 0.0)
    assert hall.dropped_ms() == {"pt-br": 800}
    phone.disconnect()
    assert hall.dropped_ms() == {"pt-br": 800}


def test_an_utterance_that_is_cut_off_by_a_loss_has_an_end_all_the_same() -> None:
    hall = room()
    phone = Phone(hall, Wish((), "pt-br"), sound_limit_ms=500)
    hall.sound("pt-br", 1, sound(9600))
    phone.read(0.0, most=3)
    assert phone.playing == 1
    hall.silence("pt-br", 1)
    hall.sound("pt-br", 2, sound(12_000))
    phone.read(0.0)
    assert [
        (message["event"], message.get("utterance")) for message in phone.told if message["type"] == "voice"
    ] == [
        ("begin", 1),
        ("end", 1),
        ("begin", 2),
    ]


def test_another_voice_begins_afresh() -> None:
    hall = room()
    phone = Phone(hall, Wish((), "pt-br"))
    hall.sound("pt-br", 1, sound(9600))
    phone.read(0.0, most=3)
    hall.sound("pt-br", 1, sound(9600))
    phone.listener.choose(Wish((), "es-es"), 0.0)
    hall.sound("pt-br", 1, sound(9600))
    hall.sound("es-es", 1, sound(100, 5))
    phone.read(0.0)
    assert len(phone.played) == 2 * 9600 + 200
    assert phone.listener.dropped_ms == 0


def test_it_is_known_when_a_stretch_was_handed_over() -> None:
    hall, sent = room(), list[str]()
    phone = Phone(hall, Wish((), "pt-br"))
    hall.sound("pt-br", 1, sound(30_000), lambda: sent.append("sent"))
    assert sent == []
    phone.read(0.0)
    assert sent == ["sent"]


@pytest.mark.parametrize("listeners", [300])
def test_publishing_costs_no_more_for_one_who_stalls(listeners: int) -> None:
    hall = room()
    phones = [Phone(hall, Wish(("pt-br",), "pt-br")) for _ in range(listeners)]
    for utterance in range(200):
        hall.publish("pt-br", said("Olá.", utterance), 0.0)
        hall.sound("pt-br", utterance, sound(9600))
    held = [phone.listener._bytes for phone in phones]
    assert max(held) <= 10_000 * 48
