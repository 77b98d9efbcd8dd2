"""What a client keeps, what it takes for answered, and what it hands on, whatever is cut and wherever."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from stages.translate.realtime.answer import Given, alike
from stages.translate.realtime.answers import Answers
from stages.translate.realtime.backoff import Backoff, Pace
from stages.translate.realtime.events import (
    AudioDelta,
    AudioDone,
    Payload,
    SourceLanguageChanged,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
)
from stages.translate.realtime.hearing import Hearing
from stages.translate.realtime.replay import Replay

RATE = 24000
TENTH = RATE // 10
BOTH = frozenset({"text", "audio"})


def sound(start: int, frames: int, level: int = 0) -> Audio:
    return Audio(np.full((frames, 1), level, np.int16), start, RATE)


# --- the window ---------------------------------------------------------------------------------------------


@given(
    window=st.integers(1, 60),
    steps=st.lists(st.tuples(st.sampled_from(["add", "take", "cover", "cut", "begin"]), st.integers(0, 50))),
)
def test_a_window_is_bounded_and_every_frame_is_held_answered_or_lost(
    window: int, steps: list[tuple[str, int]]
) -> None:
    replay = Replay(window)
    lost, connected = 0, True
    for what, number in steps:
        if what == "add":
            frames = number if not connected else min(number, replay.room)
            replay.add(
                Audio(np.arange(replay.end, replay.end + frames, dtype=np.int16)[:, None], replay.end, RATE)
            )
        elif what == "take" and connected:
            begin = replay.sent
            pcm = np.frombuffer(replay.take(number), "<i2")
            assert pcm.tolist() == list(range(begin, replay.sent)), "what is sent is what came, in order"
        elif what == "cover" and connected:
            replay.cover(number * replay.sent // 50)
        elif what == "cut":
            connected = False
            replay.rewind()
        elif what == "begin":
            connected = True
            lost_from, lost_to = replay.resume()
            lost += lost_to - lost_from
            assert replay.lost == lost
        assert replay.end - replay.begin <= window
        assert replay.begin <= replay.sent <= replay.end
        assert lost <= replay.lost
    replay.rewind()
    replay.resume()
    assert replay.begin <= replay.answered, "what is neither held nor answered is lost, and counted"


def test_positions_know_their_place_on_the_source_clock() -> None:
    replay = Replay(1000)
    assert replay.source(7) == 0
    for start in (50, 150, 900):
        replay.add(sound(start, 100))
    assert [replay.source(position) for position in (0, 99, 100, 199, 200, 299)] == [50, 149, 150, 249, 900, 999]
    assert (replay.source_end(200), replay.source_end(300)) == (250, 1000)


# --- what is heard ------------------------------------------------------------------------------------------


def wave(frames: int, level: int) -> np.ndarray:
    dice = np.random.default_rng(frames)
    return dice.integers(-level, level + 1, (frames, 1)).astype(np.int16)


def heard(*parts: tuple[float, int]) -> Hearing:
    hearing = Hearing()
    for seconds, level in parts:
        for _ in range(round(seconds * 10)):
            hearing.feed(wave(TENTH, level))
    return hearing


def test_stretches_of_sound_are_parted_by_pauses() -> None:
    hearing = heard((1, 0), (1, 8000), (0.3, 0), (1, 8000), (1, 0), (1, 8000), (0.2, 0))
    assert hearing.next_sound(0) == RATE
    assert hearing.end(0, by=hearing.heard) == 3.3 * RATE
    assert (hearing.end(0, by=2 * RATE), hearing.end(0, by=RATE)) == (2 * RATE, 0), "it had not come so far"
    assert hearing.end(int(3.3 * RATE), by=hearing.heard) == 5.3 * RATE
    assert (hearing.last_over(by=hearing.heard), hearing.last_over(by=RATE)) == (3.3 * RATE, 0)
    assert hearing.sounding(int(3.3 * RATE), int(4.3 * RATE)) == 0
    assert hearing.sounding(2 * RATE, 5 * RATE) == 2 * RATE
    hearing.forget(4 * RATE)
    assert hearing.next_sound(0) == 4.3 * RATE
    assert hearing.next_sound(int(5.4 * RATE)) == hearing.heard


def test_what_is_quieter_than_minus_60_decibels_does_not_sound_and_a_room_is_got_used_to() -> None:
    assert heard((2, 40)).next_sound(0) == 2 * RATE
    assert heard((2, 80)).next_sound(0) == 0
    room = heard((30, 200), (1, 4000), (1, 200))
    room.forget(29 * RATE)
    assert room.next_sound(29 * RATE) == 30 * RATE


def test_a_window_of_hearing_may_come_in_any_pieces() -> None:
    whole, pieces = Hearing(), Hearing()
    samples = np.concatenate([wave(RATE, 0), wave(RATE, 5000), wave(RATE, 0)])
    whole.feed(samples)
    for begin in range(0, len(samples), 1001):
        pieces.feed(samples[begin : begin + 1001])
    assert whole.end(0, by=whole.heard) == pieces.end(0, by=pieces.heard) == 2 * RATE


# --- an interpreter and a service, without a loop -----------------------------------------------------------

Span = tuple[int, int]


def said(number: int) -> str:
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    return " ".join(names[int(digit)] for digit in f"{number:03d}") + "."


def spoken(number: int, frames: int) -> list[int]:
    return [number * 100 + place for place in range(frames)]


@define
class Service:
    """Gives every utterance that it has heard a transcript, a text and speech; `tells` where they lie, or not."""

    utterances: Sequence[Span]
    tells: bool
    speech_frames: int = 10
    order: Sequence[str] = ("transcript", "text", "audio")

    def events(self, offset: int, number: int) -> Iterator[Payload]:
        start, end = self.utterances[number]
        place = (max(0, start - offset), end - offset) if self.tells else (None, None)
        pcm = np.array(spoken(number, self.speech_frames), "<i2").tobytes()
        for part in self.order:
            if part == "transcript":
                yield TranscriptDelta(said(number)[:3])
                yield TranscriptCompleted(said(number), start_frame=place[0], end_frame=place[1])
            elif part == "text":
                yield TextDelta(said(number)[:3])
                yield TextDone(said(number).upper(), *place)
            else:
                yield AudioDelta(pcm[:7])
                yield AudioDelta(pcm[7:])
                yield AudioDone()


@define
class Call:
    """A client's pure parts, and a service; cut as the test says."""

    service: Service
    window_frames: int
    frames: int
    replay: Replay = field(init=False)
    hearing: Hearing = field(init=False, factory=Hearing)
    answers: Answers = field(init=False)
    out: list[Given] = field(init=False, factory=list)
    _pending: list[Payload] = field(init=False, factory=list)
    _next: int = field(init=False, default=0)
    _offset: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.replay = Replay(self.window_frames)
        self.answers = Answers(self.replay, self.hearing, "en-us", "pt-br", BOTH)

    def begin(self) -> None:
        self.out += self.answers.begin()
        self._offset, self._pending = self.replay.begin, []
        ends = [end for _, end in self.service.utterances]
        self._next = sum(end <= self._offset for end in ends)

    def come(self, frames: int) -> None:
        """So much more comes in, with sound where there are utterances."""
        start = self.replay.end
        for begin in range(start, min(start + frames, self.frames), TENTH):
            talking = any(first <= begin < last for first, last in self.service.utterances)
            audio = sound(begin, min(TENTH, self.frames - begin), 9000 if talking else 0)
            self.replay.add(audio)
            self.hearing.feed(audio.samples)

    def send(self, frames: int) -> None:
        self.replay.take(frames)
        heard = self.replay.sent if self.replay.sent < self.frames else self.frames + RATE
        while self._next < len(self.service.utterances) and self.service.utterances[self._next][1] < heard:
            self._pending += self.service.events(self._offset, self._next)
            self._next += 1

    def hear(self, number: int) -> None:
        for payload in self._pending[:number]:
            self.out += self.answers.take(payload, settled=0)
        del self._pending[:number]

    def cut(self) -> None:
        self.answers.cut()

    def items(self, port: str) -> list[Item]:
        return [item for to, item in self.out if to == port]

    def finals(self, port: str) -> list[Text]:
        return [item for item in self.items(port) if isinstance(item, Text) and item.final]

    def samples(self) -> list[int]:
        blocks = [item.samples for item in self.items("audio") if isinstance(item, Audio)]
        return np.concatenate(blocks)[:, 0].tolist() if blocks else []

    def gaps(self) -> list[Span]:
        marks = [item for item in self.items("audio") if isinstance(item, Mark) and item.kind is MarkKind.GAP]
        return [(mark.start, mark.start + mark.frames) for mark in marks]


@st.composite
def speech(draw: st.DrawFn) -> list[Span]:
    """Some utterances of a second or two, with pauses of a second or two."""
    spans, position = [], 0
    for _ in range(draw(st.integers(1, 6))):
        position += draw(st.integers(8, 20)) * TENTH
        frames = draw(st.integers(8, 25)) * TENTH
        spans.append((position, position + frames))
        position += frames
    return spans


STEPS = st.lists(st.tuples(st.sampled_from(["come", "send", "hear", "cut"]), st.integers(0, 30)), max_size=60)
ORDERS = st.sampled_from(
    [("transcript", "text", "audio"), ("transcript", "audio", "text"), ("text", "transcript", "audio")]
)


def play(call: Call, steps: Sequence[tuple[str, int]]) -> None:
    """What `steps` say, and then a session that is not cut."""
    call.begin()
    for what, number in steps:
        if what == "come":
            call.come(number * TENTH)
            call.send(number * TENTH // 2)
        elif what == "send":
            call.send(number * TENTH)
        elif what == "hear":
            call.hear(number)
        else:
            call.cut()
            call.come(number * TENTH)
            call.begin()
    while call.replay.end < call.frames or call.replay.unsent:
        call.come(5 * TENTH)
        call.send(10 * TENTH)
        call.hear(1000)
    call.hear(1000)
    call.out += call.answers.finish()


@given(utterances=speech(), steps=STEPS, order=ORDERS, tells=st.booleans())
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_and_nothing_given_twice_wherever_it_is_cut(
    utterances: list[Span], steps: list[tuple[str, int]], order: Sequence[str], tells: bool
) -> None:
    call = Call(Service(utterances, tells, order=order), 60 * RATE, utterances[-1][1] + RATE)
    play(call, steps)
    numbers = range(len(utterances))
    assert [text.text for text in call.finals("transcript")] == [said(number) for number in numbers]
    assert [text.text for text in call.finals("text")] == [said(number).upper() for number in numbers]
    assert call.samples() == [value for number in numbers for value in spoken(number, 10)]
    assert [text.utterance for text in call.finals("text")] == [number + 1 for number in numbers]
    assert (call.replay.lost, call.gaps(), call.answers.unfinished) == (0, [], 0)
    for text, (start, end) in zip(call.finals("text"), utterances, strict=True):
        assert abs(text.start_ms - start // 24) <= 20
        assert abs(text.end_ms - end // 24) <= 20
    assert_in_order(call)


@given(utterances=speech(), steps=STEPS, window=st.integers(10, 60))
@settings(max_examples=150, deadline=None)
def test_with_a_short_window_everything_is_answered_or_counted_lost(
    utterances: list[Span], steps: list[tuple[str, int]], window: int
) -> None:
    call = Call(Service(utterances, tells=True), window * TENTH, utterances[-1][1] + RATE)
    play(call, steps)
    gaps = call.gaps()
    assert call.replay.lost == sum(end - start for start, end in gaps)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(gaps)), "each once, in order"
    times = Counter(text.text for text in call.finals("text"))
    assert set(times.values()) <= {1}
    for number, (start, end) in enumerate(utterances):
        hurt = any(lost_from < end and start < lost_to for lost_from, lost_to in gaps)
        assert times[said(number).upper()] == 1 or hurt
    assert_in_order(call)


def assert_in_order(call: Call) -> None:
    """Revisions rise until a final one; speech of an utterance is one piece; no watermark is overtaken."""
    for port in ("transcript", "text"):
        revisions: dict[int, tuple[int, bool]] = {}
        for text in [item for item in call.items(port) if isinstance(item, Text)]:
            revision, final = revisions.get(text.utterance, (-1, False))
            assert text.revision > revision
            assert not final
            revisions[text.utterance] = (text.revision, text.final)
    watermark, end = 0, None
    for item in call.items("audio"):
        if isinstance(item, Audio):
            assert item.start == end if end is not None else item.start >= watermark
            end = item.end
        elif isinstance(item, Mark) and item.kind is MarkKind.UTTERANCE_END:
            assert item.start == end
            end = None
        elif isinstance(item, Mark) and item.kind is MarkKind.WATERMARK:
            assert item.start > watermark
            assert end is None
            watermark = item.start


# --- single cases -------------------------------------------------------------------------------------------


def answers(wanted: frozenset[str] = BOTH, seconds: float = 10) -> Answers:
    """A session that has been sent `seconds` of sound."""
    replay, hearing = Replay(60 * RATE), Hearing()
    fresh = Answers(replay, hearing, "EN-us".lower(), "pt-br", wanted)
    fresh.begin()
    for number in range(round(seconds * 10)):
        audio = sound(number * TENTH, TENTH, 9000)
        replay.add(audio)
        hearing.feed(audio.samples)
    replay.take(replay.end)
    return fresh


def take(to: Answers, *payloads: Payload) -> list[Given]:
    return [given for payload in payloads for given in to.take(payload, settled=0)]


def texts(out: Sequence[Given], port: str) -> list[tuple[str, bool, int]]:
    return [(item.text, item.final, item.utterance) for to, item in out if to == port and isinstance(item, Text)]


def test_parts_of_answers_are_put_together_by_their_order() -> None:
    to = answers()
    out = take(to, TranscriptCompleted("A."), TranscriptCompleted("B."), TextDone("a"), AudioDelta(b"\1\0"))
    out += take(to, AudioDone(), TextDone("b"), TextDone("c"), AudioDone(), TranscriptCompleted("C."))
    assert texts(out, "transcript") == [("A.", True, 1), ("B.", True, 2), ("C.", True, 3)]
    assert texts(out, "text") == [("a", True, 1), ("b", True, 2), ("c", True, 3)]
    assert not to.outstanding
    assert to.unfinished == 1, "b was never spoken"


def test_a_transcript_with_no_response_is_passed_over_when_places_tell() -> None:
    to = answers()
    out = take(to, TranscriptCompleted("Er.", start_frame=0, end_frame=20000))
    out += take(to, TranscriptCompleted("Yes.", start_frame=30000, end_frame=60000))
    out += take(to, TextDone("Sim.", 30000, 60000), AudioDone())
    assert texts(out, "text") == [("Sim.", True, 2)]
    assert not to.outstanding
    assert to.replay.answered == 60000


def test_what_was_said_in_the_target_language_already_is_its_own_translation() -> None:
    to = answers()
    out = take(to, TranscriptCompleted("Sim.", "item_1", "PT-br", passthrough=True))
    assert texts(out, "text") == texts(out, "transcript") == [("Sim.", True, 1)]
    assert {item.language for _, item in out if isinstance(item, Text)} == {"pt-br"}
    assert not to.outstanding


def test_only_what_was_asked_for_counts() -> None:
    to = answers(frozenset({"text"}))
    out = take(to, TextDone("a"), AudioDelta(b"\1\0"), AudioDone(), TextDone("b"))
    assert [port for port, item in out if not isinstance(item, Mark)] == ["text", "text"]
    assert not to.outstanding
    silent = answers(frozenset())
    take(silent, SourceLanguageChanged("DE-de"))
    out = take(silent, TranscriptCompleted("Ja."))
    assert texts(out, "transcript") == [("Ja.", True, 1)]
    assert silent.source_language == "de-de"
    assert not silent.outstanding


def test_a_service_that_never_sends_texts_is_not_waited_for() -> None:
    to = answers()
    take(to, AudioDelta(b"\1\0"), AudioDone())
    assert to.outstanding
    take(to, AudioDelta(b"\1\0"), AudioDone(), AudioDelta(b"\1\0"), AudioDone())
    assert not to.outstanding


def test_a_sample_may_be_cut_in_two() -> None:
    to = answers()
    out = take(to, *(AudioDelta(bytes([byte])) for byte in (1, 0, 2, 0, 3)), AudioDone())
    blocks = [item.samples[:, 0].tolist() for _, item in out if isinstance(item, Audio)]
    assert [value for block in blocks for value in block] == [1, 2]


def test_places_beyond_what_was_sent_are_not_believed() -> None:
    to = answers(seconds=1)
    out = take(to, TextDone("a", 5, 1 << 60), AudioDone())
    assert to.replay.answered == RATE
    assert texts(out, "text") == [("a", True, 1)]
    out = take(to, TextDone("b", -3, -1), AudioDone())
    assert texts(out, "text") == [("b", True, 2)]
    assert to.replay.answered == RATE


def test_speech_that_is_not_taken_up_again_has_ended() -> None:
    to = answers()
    out = take(to, TextDone("one two three", 0, 20000), AudioDelta(b"\1\0"))
    to.cut()
    out += to.begin()
    to.replay.take(to.replay.end)
    out += take(to, TextDone("quite another", 0, 120000), AudioDelta(b"\2\0"), AudioDone())
    items = [item for port, item in out if port == "audio"]
    kinds = [item.kind.value if isinstance(item, Mark) else type(item).__name__ for item in items]
    assert kinds == ["Audio", "utterance_end", "Audio", "utterance_end", "watermark"]
    assert to.unfinished == 1


def test_without_words_or_places_answers_match_by_their_order() -> None:
    to = answers(frozenset({"audio"}))
    out = take(to, AudioDelta(bytes([1, 0, 2, 0])))
    to.cut()
    out += to.begin()
    to.replay.take(to.replay.end)
    out += take(to, AudioDelta(bytes([1, 0, 2, 0, 3])), AudioDelta(bytes([0, 4, 0])), AudioDone())
    assert [item.samples[:, 0].tolist() for _, item in out if isinstance(item, Audio)] == [[1, 2], [3, 4]]


def test_rest_moves_the_watermark_through_silence() -> None:
    to = answers()
    assert not take(to, SourceLanguageChanged("de-de"))
    out = to.rest(RATE)
    assert [item.start for port, item in out if port == "text" and isinstance(item, Mark)] == [RATE]
    take(to, TranscriptDelta("so"))
    assert to.rest(2 * RATE) == []
    assert to.replay.answered == RATE


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Bom dia.", "bom dia", True),
        ("I have a dream today", "I had a dream today.", True),
        ("我们今天很高兴。", "我们今天高兴", True),
        ("Yes.", "No.", False),
        ("utterance eleven", "utterance twelve", False),
        ("", "...", True),
    ],
)
def test_alike_is_the_same_but_for_a_few_letters(one: str, other: str, same: bool) -> None:
    assert alike(one, other) is same


# --- waiting ------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=80))
def test_a_backoff_is_anything_below_a_bound_that_doubles(throws: list[float]) -> None:
    dice = iter(throws)
    backoff = Backoff(0.25, 20, lambda: next(dice))
    for number, throw in enumerate(throws):
        assert backoff.next_s() == throw * min(20, 0.25 * 2**number)
    backoff.succeeded()
    assert backoff.failures == 0


def test_a_pace_lets_a_little_go_ahead_and_makes_up_for_a_pause() -> None:
    pace = Pace(RATE, lead_s=0.25, credit_s=0.5)
    waits = [pace.wait_s(TENTH, now_s=0.0) for _ in range(5)]
    assert waits == pytest.approx([0, 0, 0, 0.05, 0.15])
    waits = [pace.wait_s(TENTH, now_s=100.0) for _ in range(10)]
    assert waits == pytest.approx([0, 0, 0, 0, 0, 0, 0, 0, 0.05, 0.15])
