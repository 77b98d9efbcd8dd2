from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Mark, MarkKind, Text
from stages.captions.cues import READING_CPS, Cue, Cues, srt, vtt
from stages.captions.text import clean
from tests.cue_checker import Seen, characters_a_second, check, parse_srt, parse_vtt
from tests.cue_texts import SAMPLES, streams


def made(items: list[Text], **options: Any) -> tuple[list[Cue], Cues]:
    cues = Cues(**options)
    return [*(cue for item in items for cue in cues.feed(item)), *cues.flush()], cues


def as_srt(cues: list[Cue]) -> str:
    return "".join(srt(cue, number) for number, cue in enumerate(cues, 1))


def as_vtt(cues: list[Cue]) -> str:
    return "WEBVTT\n\n" + "".join(map(vtt, cues))


@given(streams())
@settings(deadline=None, max_examples=150)
def test_whatever_comes_the_file_keeps_the_rules(stream: tuple[str, list[Text]]) -> None:
    language, items = stream
    out, cues = made(items)
    for seen in (parse_srt(as_srt(out)), parse_vtt(as_vtt(out))):
        assert [(cue.start_ms, cue.end_ms) for cue in seen] == [(cue.start_ms, cue.end_ms) for cue in out]
        check(seen, language)
    said = "".join(clean(item.text) for item in items if item.final).replace(" ", "")
    shown = parse_vtt(as_vtt(out))
    assert "".join(itertools.chain(*(cue.lines for cue in shown))).replace(" ", "") == said
    most = READING_CPS.get(language[:2].lower(), 17)
    too_fast = sum(characters_a_second(cue, language) > most for cue in shown)
    assert cues.counts()["cues too fast to read"] == too_fast
    assert cues.counts()["cues"] == len(out)


@given(streams(), st.integers(8, 60), st.integers(1, 3), st.integers(0, 500), st.integers(1, 30))
@settings(deadline=None)
def test_the_rules_may_be_others(
    stream: tuple[str, list[Text]], chars: int, lines: int, gap: int, cps: int
) -> None:
    language, items = stream
    out, _ = made(items, max_line_chars=chars, max_lines=lines, gap_ms=max(84, gap), max_cps=cps)
    check(parse_vtt(as_vtt(out)), language, chars, lines)
    assert all(two.start_ms - one.end_ms >= gap for one, two in itertools.pairwise(out))


@given(streams())
@settings(deadline=None, max_examples=50)
def test_no_cue_is_seen_before_it_is_spoken(stream: tuple[str, list[Text]]) -> None:
    cues = Cues()
    held: Text | None = None
    for item in [*stream[1], None]:
        given_now = list(cues.feed(item)) if item else list(cues.flush())
        assert not given_now or (held is not None and given_now[0].start_ms >= max(0, held.start_ms))
        if item and item.final:
            held = item if clean(item.text) else None
        elif item:
            held = None


@pytest.mark.parametrize("language", SAMPLES)
def test_unhurried_speech_is_in_time_and_can_be_read(language: str) -> None:
    """Twelve characters a second of Latin script, half of what may be read of the others; pauses between."""
    cps = READING_CPS.get(language[:2], 17) * 0.6
    items, now = [], 1000
    for number in range(5):
        span = int(len(SAMPLES[language]) / cps * 1000)
        items.append(Text(SAMPLES[language], now, now + span, language, number))
        now += span + 1500
    out, cues = made(items)
    check(parse_srt(as_srt(out)), language)
    assert cues.counts() == {"cues": len(out), "cues too fast to read": 0, "cues pushed later": 0}
    starts = {cue.start_ms for cue in out}
    assert all(item.start_ms in starts for item in items)
    ends = [max(cue.end_ms for cue in out if cue.start_ms < item.end_ms) for item in items]
    assert all(item.end_ms - 1000 <= end <= item.end_ms + 1000 for item, end in zip(items, ends, strict=True))


def text(words: str, start: int, end: int, **more: Any) -> Text:
    return Text(words, start, end, "en", **more)


def test_a_cue_lasts_as_long_as_it_must_to_be_read() -> None:
    out, _ = made([text("Forty characters that take two seconds!!", 1000, 1100)])
    assert out == [Cue(1000, 3000, ("Forty characters that take two seconds!!",))]


def test_but_no_longer_than_the_next_lets_it() -> None:
    out, cues = made([text("Forty characters that take two seconds!!", 1000, 1100), text("Yes.", 2500, 4000)])
    assert [(cue.start_ms, cue.end_ms) for cue in out] == [(1000, 2416), (2500, 4000)]
    assert cues.counts()["cues too fast to read"] == 1


def test_a_short_word_is_seen_long_enough_and_the_next_is_pushed() -> None:
    out, cues = made([text("Yes.", 0, 200), text("No.", 400, 600)])
    assert [(cue.start_ms, cue.end_ms) for cue in out] == [(0, 834), (918, 1752)]
    assert cues.counts()["cues pushed later"] == 1


def test_long_speech_of_few_words_is_cut_after_seven_seconds() -> None:
    out, _ = made([text("Well, well.", 0, 20000)])
    assert out == [Cue(0, 7000, ("Well, well.",))]


def test_captions_share_the_time_by_their_length() -> None:
    words = "This is a sentence of some fifty characters, in all. " * 3
    out, _ = made([text(words, 0, 15000)])
    assert len(out) >= 2
    for cue in out:
        share = sum(map(len, cue.lines)) / len(words.replace("  ", " "))
        assert abs((cue.end_ms - cue.start_ms) / 15000 - share) < 0.06


def test_partial_texts_give_no_cues_but_say_when_the_next_begins() -> None:
    cues = Cues()
    assert not list(cues.feed(text("Yes", 0, 500, final=False)))
    assert not list(cues.feed(text("Yes.", 0, 900)))
    assert [cue.end_ms for cue in cues.feed(text("And", 950, 1000, utterance=1, final=False))] == [866]
    assert not list(cues.flush())


@pytest.mark.parametrize(
    ("mark", "given_now"),
    [
        (Mark(MarkKind.WATERMARK, 983, 1000), False),
        (Mark(MarkKind.WATERMARK, 984, 1000), True),
        (Mark(MarkKind.WATERMARK, 48 * 984, 48000), True),
        (Mark(MarkKind.UTTERANCE_START, 950, 1000), True),
        (Mark(MarkKind.FLUSH, 0, 1000), True),
        (Mark(MarkKind.UTTERANCE_END, 5000, 1000), False),
    ],
)
def test_marks_let_go_of_a_cue_that_nothing_can_change(mark: Mark, given_now: bool) -> None:
    cues = Cues()
    list(cues.feed(text("Yes.", 0, 900)))
    assert bool(list(cues.feed(mark))) == given_now


def test_a_late_text_is_pushed_behind_what_was_given() -> None:
    out, cues = made([text("The second of two.", 10000, 12000), text("The first of two.", 1000, 3000)])
    assert [cue.start_ms for cue in out] == [10000, 12084]
    assert cues.counts()["cues pushed later"] == 1


def test_signs_that_mean_something_to_players() -> None:
    cue = Cue(0, 1000, ("<b>R&D</b> {\\an8}",))
    assert srt(cue, 1) == "1\n00:00:00,000 --> 00:00:01,000\n‹b›R&D‹/b› (\\an8)\n\n"
    assert vtt(cue) == "00:00:00.000 --> 00:00:01.000\n&lt;b&gt;R&amp;D&lt;/b&gt; {\\an8}\n\n"


def test_times_of_many_hours() -> None:
    assert srt(Cue(360_000_000, 363_661_001, ("x",)), 7).startswith("7\n100:00:00,000 --> 101:01:01,001\n")


def test_other_programs_read_the_same() -> None:
    """A second opinion on the format, where these packages are installed."""
    srt_library, vtt_library = pytest.importorskip("srt"), pytest.importorskip("webvtt")
    items = [
        Text(sample, 5000 * at, 5000 * at + 4500, name, at) for at, (name, sample) in enumerate(SAMPLES.items())
    ]
    out, ms = made(items)[0], timedelta(milliseconds=1)
    theirs = [
        Seen(each.start // ms, each.end // ms, tuple(each.content.split("\n")))
        for each in srt_library.parse(as_srt(out))
    ]
    assert theirs == parse_srt(as_srt(out))
    captions = vtt_library.from_string(as_vtt(out))
    assert [tuple(each.lines) for each in captions] == [cue.lines for cue in parse_vtt(as_vtt(out))]
