from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Audio, Item, Mark, MarkKind
from pipeline.testing import noise, split
from stages.utterances import Speech, Utterances, quietest

RATE = 1000


def collect(items: list[Item], most_s: float = 3) -> list[Speech | Mark]:
    cut = Utterances(most_s)
    out = [piece for item in items if not hasattr(item, "text") for piece in cut.feed(item)]  # type: ignore[arg-type]
    return [*out, *cut.flush()]


def mark(kind: MarkKind, at: int) -> Mark:
    return Mark(kind, at, RATE)


def spans(pieces: list[Speech | Mark]) -> list[tuple[int, int]]:
    return [(piece.start, piece.start + len(piece.samples)) for piece in pieces if isinstance(piece, Speech)]


def sound(start: int, end: int) -> Audio:
    return noise(end - start, RATE, start=start, seed=start)


def test_speech_is_what_lies_between_the_marks_and_a_little_after() -> None:
    items: list[Item] = [
        mark(MarkKind.WATERMARK, 0),
        sound(0, 500),
        mark(MarkKind.UTTERANCE_START, 500),
        sound(500, 2000),
        mark(MarkKind.UTTERANCE_END, 1600),
        sound(2000, 2500),
    ]
    out = collect(items)
    assert spans(out) == [(500, 1800)]
    kinds = [piece.kind.name if isinstance(piece, Mark) else "speech" for piece in out]
    assert kinds == ["WATERMARK", "UTTERANCE_START", "speech", "UTTERANCE_END"]


@settings(max_examples=50)
@given(frames=st.integers(1, 20000), cuts=st.lists(st.integers(0, 20000), max_size=8))
def test_without_marks_everything_is_speech_in_pieces_that_fit(frames: int, cuts: list[int]) -> None:
    whole = sound(0, frames)
    out = collect(split([whole], cuts))
    places = spans(out)
    assert [begin for begin, _ in places] == [0, *(end for _, end in places[:-1])]
    assert places[-1][1] == frames
    assert all(end - begin <= 3 * RATE for begin, end in places)


def test_a_long_stretch_is_cut_at_its_quietest_place() -> None:
    samples = noise(5000, RATE).samples.copy()
    samples[2400:2500] //= 100
    out = collect([Audio(samples, 0, RATE)])
    assert spans(out)[0] == (0, 2450)
    assert quietest(samples[:, 0], 2000, 3000, RATE) == 2450


def test_silence_is_not_given_to_a_recogniser() -> None:
    quiet = Audio(np.zeros((10000, 1), np.int16), 0, RATE)
    assert spans(collect([quiet])) == []


def test_a_hole_in_the_stream_parts_what_is_before_it_from_what_is_after() -> None:
    assert spans(collect([sound(0, 500), sound(700, 900)])) == [(0, 500), (700, 900)]
    gap = Mark(MarkKind.GAP, 500, RATE, 200)
    assert spans(collect([sound(0, 500), gap, sound(700, 900)])) == [(0, 500), (700, 900)]


def test_a_flush_lets_go_of_an_utterance_that_goes_on() -> None:
    items: list[Item] = [
        mark(MarkKind.UTTERANCE_START, 0),
        sound(0, 500),
        mark(MarkKind.FLUSH, 500),
        sound(500, 900),
        mark(MarkKind.UTTERANCE_END, 900),
    ]
    assert spans(collect(items)) == [(0, 500), (500, 900)]


def test_what_has_come_of_an_utterance_can_be_looked_at() -> None:
    cut = Utterances(3)
    told = []
    for item in (sound(0, 100), mark(MarkKind.UTTERANCE_START, 100), sound(100, 200), sound(200, 300)):
        list(cut.feed(item))
        told.append(cut.going_on)
    assert told == [None, None, (100, 200), (100, 300)]
    assert (cut.so_far().start, len(cut.so_far().samples)) == (100, 200)
    list(cut.feed(mark(MarkKind.UTTERANCE_END, 300)))
    assert cut.going_on is None


def test_what_has_been_dealt_with_can_be_let_go() -> None:
    cut = Utterances(3)
    for item in (mark(MarkKind.UTTERANCE_START, 100), sound(100, 200), sound(200, 400)):
        list(cut.feed(item))
    before = cut.so_far()
    cut.let_go(250)
    assert cut.going_on == (250, 400)
    assert np.array_equal(cut.so_far().samples, before.samples[150:])
    assert spans([*cut.feed(mark(MarkKind.UTTERANCE_END, 400))]) == [(250, 400)]


def test_times_are_those_of_the_source() -> None:
    (piece,) = collect([sound(250, 1250)])
    assert isinstance(piece, Speech)
    assert (piece.start_ms, piece.end_ms) == (250, 1250)
    assert piece.floats.dtype == np.float32
    assert np.abs(piece.floats).max() <= 1
