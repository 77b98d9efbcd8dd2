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
from pipeline.serve.spans import Span, Spans, joined
from pipeline.serve.stopwatch import Stopwatch
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


# --- utterances ---------------------------------------------------------------------------------------------


def spans(items: Sequence[Text | Mark], *, marked: bool = True) -> list[str | Span]:
    finder = Spans(marked)
    return [span for item in items for span in finder.feed(item)] + list(finder.end())


def test_marks_give_the_exact_frames_and_sentences_add_up() -> None:
    items = [mark("START", 513), said("A b.", 32, 900), said("C.", 900, 1999, "en-us"), mark("END", 32001)]
    assert spans(items) == ["A b.", " C.", Span("A b. C.", "en-us", 770, 48002, 2)]


def test_what_is_told_before_a_sentence_is_settled_is_not_told_again_behind_it() -> None:
    guesses = [said("A b. C", final=False), said("A b. C d", final=False), said("A b. C d", final=False)]
    settled = [said("A b."), said("C d", final=False), said("C d e", final=False), said("C d e.")]
    items = [mark("START", 0), *guesses, *settled, mark("END", 16000)]
    assert spans(items) == ["A b. C", " d", " e.", Span("A b. C d e.", "", 0, 24000, 2)]


def test_without_a_mark_it_begins_with_the_text_and_never_before_the_last_one_ended() -> None:
    items = [said("A", 0, 1000), mark("END", 24010, 24000), said("B", 1000, 2000)]
    assert spans(items) == ["A", Span("A", "", 0, 24010, 1), "B", Span("B", "", 24010, 48000, 1)]


def test_where_no_marks_come_every_text_is_an_utterance() -> None:
    items = [said("A", 0, 1000), said("B", 1000, 2000)]
    assert spans(items, marked=False) == ["A", Span("A", "", 0, 24000, 1), "B", Span("B", "", 24000, 48000, 1)]


def test_an_utterance_without_text_is_a_blank_span() -> None:
    items = [mark("START", 16000), mark("END", 32000), said(" "), mark("END", 48000)]
    assert spans(items) == [Span("", "", 24000, 48000, 0), Span("", "", 48000, 72000, 0)]


def test_sentences_are_joined_as_their_script_does() -> None:
    assert joined(["A.", "B.", "你好。", "再见。", "C."]) == "A. B. 你好。再见。C."


# --- order --------------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.integers(0, 2**32),
    st.sampled_from([BOTH, BOTH - {"audio"}, BOTH - {"text"}]),
)
def test_however_the_ports_interleave_each_response_is_told_whole(
    sentences: list[int], seed: int, modalities: frozenset[str]
) -> None:
    queues: dict[str, list[Item]] = {"transcript": [], "text": [], "audio": []}
    wanted: list[Payload] = []
    for n, count in enumerate(sentences, start=1):
        words = [f"t{n}{k}" for k in range(count)]
        for port in ("transcript", "text"):
            queues[port] += [mark("START", 16 * n), *map(said, words), mark("END", 16 * n + 16)]
        for _ in words:
            queues["audio"] += [sound(n, n), sound(n, n), mark("END", n, 24000)]
        if count and "text" in modalities:
            wanted += [TextDelta(word if k == 0 else f" {word}") for k, word in enumerate(words)]
            wanted.append(TextDone(" ".join(words), 24 * n, 24 * n + 24))
        if count and "audio" in modalities:
            wanted += [*[AudioDelta(bytes([n, 0]) * n)] * 2 * count, AudioDone()]
    dice, items = random.Random(seed), []
    while any(queues.values()):
        port = dice.choice([name for name, queue in queues.items() if queue])
        items.append((port, queues[port].pop(0)))
    events = told(Responses(modalities), items)
    assert [event for event in events if not isinstance(event, TranscriptDelta | TranscriptCompleted)] == wanted
    transcripts = [event for event in events if isinstance(event, TranscriptCompleted)]
    assert [bool(event.transcript) for event in transcripts] == [count > 0 for count in sentences]


def test_sound_waits_for_its_text_and_the_next_response_for_the_sound() -> None:
    responses = Responses(BOTH)
    assert list(responses.feed("audio", sound(1))) == []
    assert list(responses.feed("text", said("one"))) == [TextDelta("one")]
    assert list(responses.feed("text", mark("END", 0))) == [TextDone("one", 0, 0), AudioDelta(b"\1\0")]
    assert list(responses.feed("text", said("two"))) == []
    assert list(responses.feed("audio", mark("END", 0))) == [AudioDone(), TextDelta("two")]


def test_a_blank_text_is_no_response() -> None:
    items = [("text", said(" ")), ("text", mark("END", 0)), ("text", said("A")), ("audio", sound(1))]
    assert told(Responses(BOTH), items) == [
        TextDelta("A"),
        TextDone("A", 0, 0),
        AudioDelta(b"\1\0"),
        AudioDone(),
    ]


def test_sound_without_any_text_is_told_in_the_end() -> None:
    items = [("audio", sound(1)), ("audio", mark("END", 0)), ("audio", sound(2))]
    assert told(Responses(BOTH), items) == [
        AudioDelta(b"\1\0"),
        AudioDone(),
        AudioDelta(b"\1\0\1\0"),
        AudioDone(),
    ]


def test_nothing_heard_is_told_as_an_empty_transcript() -> None:
    items = [("transcript", mark("START", 0)), ("transcript", mark("END", 16000))]
    assert told(Responses(BOTH), items) == [TranscriptCompleted("", start_frame=0, end_frame=24000)]


# --- hypotheses ---------------------------------------------------------------------------------------------


def test_hypotheses_are_told_as_far_as_they_agree_and_never_taken_back() -> None:
    hypotheses = ["Good", "Good morning", "Good mourning all", "Good morning, all of"]
    items: list[tuple[str, Item]] = [("text", mark("START", 0))]
    items += [("text", said(text, final=False)) for text in hypotheses]
    items += [("text", said("Good morning, all of you.")), ("text", said("Well.")), ("text", mark("END", 16000))]
    events = told(Responses(frozenset(["text"])), items)
    deltas = [event.delta for event in events if isinstance(event, TextDelta)]
    assert deltas == ["Good", " morning, all of you.", " Well."]
    assert events[-1] == TextDone("Good morning, all of you. Well.", 0, 24000)


def test_a_hypothesis_that_comes_to_nothing_is_still_ended() -> None:
    items: list[tuple[str, Item]] = [("text", said("Hm", final=False))] * 2 + [("text", mark("END", 16000))]
    items += [("text", said("Yes")), ("audio", sound(1)), ("audio", mark("END", 0))]
    events = told(Responses(BOTH), items)
    assert [type(event) for event in events] == [TextDelta, TextDone, TextDelta, TextDone, AudioDelta, AudioDone]
    assert [event.text for event in events if isinstance(event, TextDone)] == ["Hm", "Yes"]


def test_cut_off_a_hypothesis_is_not_told_as_final() -> None:
    """As where the service behind a server goes away, and then the server ends."""
    heard = ("a", "a b", "a b c")
    items: list[tuple[str, Item]] = []
    for port in ("transcript", "text"):
        items += [(port, said(words, final=False)) for words in heard]
    assert told(Responses(BOTH, marked=False), items) == [
        TranscriptDelta("a"),
        TranscriptDelta(" b"),
        TextDelta("a"),
        TextDelta(" b"),
    ]
    whole = told(Responses(BOTH, marked=False), [*items, ("transcript", said("a b c")), ("text", said("a b d"))])
    assert TranscriptCompleted("a b c", start_frame=0, end_frame=0) in whole
    assert TextDone("a b d", 0, 0) in whole


def test_a_client_waits_from_the_end_of_speech_to_the_first_of_each_kind() -> None:
    waited: list[tuple[str, float]] = []
    watch = Stopwatch({24000: 10.0, 48000: 20.0}.get, lambda *each: waited.append(each))
    watch.begun("text", 0, 9.0)
    watch.over(0, 24000)
    watch.begun("audio", 0, 12.0)
    watch.over(1, 48000)
    watch.begun("text", 1, 20.5)
    watch.over(2, 72000)  # nobody knows when that came
    watch.begun("text", 2, 99.0)
    assert waited == [("text", 0.0), ("audio", 2.0), ("text", 0.5)]


def test_what_begins_and_what_is_over_is_noted_by_utterance() -> None:
    noted: list[tuple[object, int]] = []
    responses = Responses(BOTH, begun=lambda *each: noted.append(each), over=lambda *each: noted.append(each))
    items = [("text", said("A")), ("text", said("B")), ("text", mark("END", 16000))]
    told(responses, [*items, ("audio", sound(1)), ("text", said("C")), ("audio", mark("END", 0))])
    assert noted == [("text", 0), (0, 24000), ("audio", 0), (1, 24000), ("text", 1)]


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
