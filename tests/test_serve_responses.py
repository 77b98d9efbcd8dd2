"""From what an engine gives to the events on the wire: whole, in order, and with their places."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.serve.detection import Detection
from pipeline.serve.responses import FRAME_BYTES, Responses, frames_of, undisguised
from pipeline.serve.spans import Span, Spans
from stages.translate.realtime.events import (
    AudioDelta,
    AudioDone,
    Payload,
    SourceLanguageChanged,
    SwitchConfirmationRequested,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
)

BOTH = frozenset(["text", "audio"])


def mark(kind: str, start: int, rate: int = 16000) -> Mark:
    return Mark(MarkKind[f"UTTERANCE_{kind}"], start, rate)


def sound(frames: int, value: int = 1) -> Audio:
    return Audio(np.full((frames, 1), value, np.int16), 0, 24000)


def said(text: str, start_ms: int = 0, end_ms: int = 0, language: str = "", *, final: bool = True) -> Text:
    return Text(text, start_ms, end_ms, language, final=final)


def told(responses: Responses, items: Iterable[tuple[str, Item]]) -> list[Payload]:
    events = [event for port, item in items for event in responses.feed(port, item)]
    return events + [event for port in ("transcript", "text", "audio") for event in responses.end(port)]


# --- places -----------------------------------------------------------------------------------------------------


def spans(items: Sequence[Text | Mark]) -> list[Span | Text]:
    finder = Spans()
    return [span for item in items for span in finder.feed(item)] + list(finder.flush())


def test_marks_give_the_exact_frames() -> None:
    items = [mark("START", 513), said("A.", 32, 900), said("B.", 900, 1999), mark("END", 32001)]
    assert spans(items) == [Span("A.", "", 770, 21600, 0), Span("B.", "", 21600, 48002, 0)]


def test_without_marks_it_is_whole_milliseconds_and_never_backwards() -> None:
    items = [said("A", 0, 1000), mark("END", 24010, 24000), said("B", 1000, 2000)]
    assert spans(items) == [Span("A", "", 0, 24010, 0), Span("B", "", 24010, 48000, 1)]


def test_an_utterance_without_text_is_a_blank_span() -> None:
    items = [mark("START", 16000), mark("END", 32000), mark("END", 48000)]
    assert spans(items) == [Span("", "", 24000, 48000, 0), Span("", "", 48000, 72000, 1)]


# --- order ------------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 5), st.integers(0, 2**32), st.sampled_from([BOTH, frozenset(["text"]), frozenset(["audio"])])
)
def test_however_the_ports_interleave_each_response_is_told_whole(
    count: int, seed: int, modalities: frozenset[str]
) -> None:
    numbers = range(1, count + 1)
    queues: dict[str, list[Item]] = {
        "transcript": [item for n in numbers for item in (said(f"s{n}", n, n), mark("END", 16 * n))],
        "text": [item for n in numbers for item in (said(f"t{n}", n, n), mark("END", 16 * n))],
        "audio": [item for n in numbers for item in (sound(n, n), sound(n, n), mark("END", n, 24000))],
    }
    dice, items = random.Random(seed), []
    while any(queues.values()):
        port = dice.choice([name for name, queue in queues.items() if queue])
        items.append((port, queues[port].pop(0)))
    events = told(Responses(modalities), items)
    wanted: list[Payload] = []
    for n in numbers:
        if "text" in modalities:
            wanted += [TextDelta(f"t{n}"), TextDone(f"t{n}", 24 * n, 24 * n)]
        if "audio" in modalities:
            wanted += [AudioDelta(bytes([n, 0]) * n)] * 2 + [AudioDone()]
    assert [event for event in events if not isinstance(event, TranscriptDelta | TranscriptCompleted)] == wanted
    transcripts = [event for event in events if isinstance(event, TranscriptCompleted)]
    assert [event.transcript for event in transcripts] == [f"s{n}" for n in numbers]


def test_sound_waits_for_its_text_and_the_next_response_for_the_sound() -> None:
    responses = Responses(BOTH)
    assert list(responses.feed("audio", sound(1))) == []
    assert list(responses.feed("text", said("one"))) == []
    assert list(responses.feed("text", said("two"))) == [
        TextDelta("one"),
        TextDone("one", 0, 0),
        AudioDelta(b"\1\0"),
    ]
    assert list(responses.feed("text", mark("END", 0))) == []
    assert list(responses.feed("audio", mark("END", 0))) == [AudioDone(), TextDelta("two"), TextDone("two", 0, 0)]


def test_a_blank_text_is_no_response() -> None:
    events = told(Responses(BOTH), [("text", said(" ")), ("text", said("A")), ("audio", sound(1))])
    assert events == [TextDelta("A"), TextDone("A", 0, 0), AudioDelta(b"\1\0"), AudioDone()]


def test_sound_without_any_text_is_told_in_the_end() -> None:
    assert told(Responses(BOTH), [("audio", sound(1))]) == [AudioDelta(b"\1\0"), AudioDone()]


def test_nothing_heard_is_told_as_an_empty_transcript() -> None:
    items = [("transcript", mark("START", 0)), ("transcript", mark("END", 16000))]
    assert told(Responses(BOTH), items) == [TranscriptCompleted("", start_frame=0, end_frame=24000)]


# --- hypotheses -------------------------------------------------------------------------------------------------


def test_hypotheses_are_told_as_far_as_they_agree_and_never_taken_back() -> None:
    hypotheses = ["Good", "Good morning", "Good mourning all", "Good morning, all of"]
    items: list[tuple[str, Item]] = [("text", mark("START", 0))]
    items += [("text", said(text, final=False)) for text in hypotheses]
    items += [("text", said("Good morning, all of you.")), ("text", mark("END", 16000))]
    events = told(Responses(frozenset(["text"])), items)
    deltas = [event.delta for event in events if isinstance(event, TextDelta)]
    assert deltas == ["Good", " morning, all of you."]
    assert events[-1] == TextDone("Good morning, all of you.", 0, 24000)


def test_a_hypothesis_that_comes_to_nothing_is_still_ended() -> None:
    items: list[tuple[str, Item]] = [("text", said("Hm", final=False))] * 2 + [("text", mark("END", 16000))]
    items += [("text", said("Yes")), ("audio", sound(1)), ("audio", mark("END", 0))]
    events = told(Responses(BOTH), items)
    assert [type(event) for event in events] == [TextDelta, TextDone, TextDelta, TextDone, AudioDelta, AudioDone]
    assert [event.text for event in events if isinstance(event, TextDone)] == ["Hm", "Yes"]


def test_when_a_response_begins_is_noted_with_the_end_of_its_speech() -> None:
    noted: list[tuple[str, int | None]] = []
    responses = Responses(BOTH, first=lambda modality, end: noted.append((modality, end)))
    early: list[tuple[str, Item]] = [("text", said("A b", final=False))] * 2
    told(responses, [*early, ("text", said("A b c", 0, 1000)), ("audio", sound(1)), ("text", said("D", 0, 2000))])
    assert noted == [("text", None), ("audio", 24000), ("text", 48000)]


# --- automatic sessions -----------------------------------------------------------------------------------------


def utterance(number: int, text: str, language: str) -> list[tuple[str, Item]]:
    end = mark("END", number * 16000)
    return [
        ("text", said(f"[{text}]")),
        ("text", end),
        ("audio", sound(1)),
        ("audio", mark("END", 0)),
        ("transcript", said(text, language=language)),
        ("transcript", end),
    ]


def test_what_is_in_the_target_language_already_is_neither_translated_nor_spoken() -> None:
    numbers = iter(range(1, 9))
    responses = Responses(BOTH, Detection(target_language="pt-br"), item_id=lambda: f"item_{next(numbers)}")
    items = [*utterance(1, "hi", "en-us"), *utterance(2, "oi", "pt-br"), *utterance(3, "bye", "en-us")]
    events = told(responses, items)
    assert [event.text for event in events if isinstance(event, TextDone)] == ["[hi]", "[bye]"]
    assert sum(isinstance(event, AudioDone) for event in events) == 2
    completed = [event for event in events if isinstance(event, TranscriptCompleted)]
    assert [(event.item_id, event.language, event.passthrough) for event in completed] == [
        ("item_1", "en-us", False),
        ("item_2", "pt-br", True),
        ("item_3", "en-us", False),
    ]
    changes = [event for event in events if isinstance(event, SourceLanguageChanged)]
    assert changes == [
        SourceLanguageChanged("en-us"),
        SourceLanguageChanged("pt-br", "en-us"),
        SourceLanguageChanged("en-us", "pt-br"),
    ]


def heard(detection: Detection, *languages: str | None) -> list[Payload]:
    return [event for n, each in enumerate(languages) for event in detection.hear(f"item_{n}", each)]


def test_a_known_speaker_switches_only_after_sustained_speech() -> None:
    detection = Detection("single_known_speaker", target_language="pt-br")
    assert heard(detection, "en-us", "es-es", None, "en-us", "es-es") == [SourceLanguageChanged("en-us")]
    assert heard(detection, "es-es") == [SourceLanguageChanged("es-es", "en-us")]


def test_a_known_speaker_is_asked_before_it_speaks_its_own_target_language() -> None:
    detection = Detection("single_known_speaker", target_language="pt-br", language="en-us")
    assert heard(detection, "pt-br", "pt-br", "pt-br") == [SwitchConfirmationRequested("pt-br")]
    assert list(detection.switch("pt-br")) == [SourceLanguageChanged("pt-br", "en-us")]


def test_an_ignored_utterance_does_not_count() -> None:
    detection = Detection("single_known_speaker", language="en-us")
    assert heard(detection, "es-es") == []
    detection.ignore("item_0")
    detection.ignore("unheard of")
    assert list(detection.hear("item_9", "es-es")) == []
    assert detection.language == "en-us"


def test_only_candidates_are_heard() -> None:
    detection = Detection(candidates=("en-gb", "de-de"))
    assert [detection.known(each) for each in ("en-us", "de-de", "fr-fr", "")] == ["en-gb", "de-de", None, None]
    assert Detection().known("") is None


# --- sound on the wire ------------------------------------------------------------------------------------------


@given(st.binary(max_size=3 * FRAME_BYTES).map(lambda data: data[: len(data) // 2 * 2]))
def test_frames_are_even_and_small_and_lose_nothing(data: bytes) -> None:
    frames = list(frames_of(data))
    assert all(len(frame) % 2 == 0 and 0 < len(frame) <= FRAME_BYTES for frame in frames)
    assert sum(map(len, frames)) == len(data)


@given(st.lists(st.sampled_from(b" \t\n\v\f\r{[ax"), max_size=6).map(bytes))
def test_no_frame_looks_like_json(data: bytes) -> None:
    out = undisguised(data)
    assert out.lstrip()[:1] not in (b"{", b"[")
    assert out[1:] == data[1:]
    if data:
        assert abs(out[0] - data[0]) <= 4
    if data.lstrip()[:1] not in (b"{", b"["):
        assert out == data


@pytest.mark.parametrize(("data", "out"), [(b"{\0", b"z\0"), (b"[\0", b"Z\0"), (b" {", b"!{"), (b"\n[", b"\b[")])
def test_only_the_lowest_bits_change(data: bytes, out: bytes) -> None:
    assert undisguised(data) == out
