from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define, field

from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.stage import StageError
from pipeline.testing import noise, split
from stages.asr import Asr
from stages.models.whisper import Heard, Sentence
from tests.fakes import FakeInbox, FakeOutbox

RATE = 16000


@define
class FakeWhisper:
    """Hears what it is told to, one answer an utterance."""

    answers: list[Heard]
    asked: list[tuple[float, str | None, str, int]] = field(factory=list)

    def knows(self, language: str) -> bool:
        return language != "ja"

    def hear(self, sound: Any, language: str | None, task: str, beam: int) -> Heard:
        self.asked.append((len(sound) / RATE, language, task, beam))
        return self.answers.pop(0)


def utterance(start_s: float, end_s: float) -> list[Item]:
    start, end = int(start_s * RATE), int(end_s * RATE)
    return [
        Mark(MarkKind.UTTERANCE_START, start, RATE),
        noise(end - start, RATE, start=start),
        Mark(MarkKind.UTTERANCE_END, end, RATE),
    ]


def heard(
    *sentences: tuple[str, float, float], language: str = "en", why_not: str = "", redone: bool = False
) -> Heard:
    return Heard([Sentence(*sentence) for sentence in sentences], language, why_not, redone)


async def recognise(
    monkeypatch: pytest.MonkeyPatch, asr: Asr, answers: Sequence[Heard], items: Sequence[Item]
) -> tuple[list[Item], FakeWhisper]:
    fake = FakeWhisper(list(answers))
    monkeypatch.setattr("stages.asr.Whisper.load", lambda model, threads: fake)
    outbox = FakeOutbox()
    await asr.run(FakeInbox(items), outbox)
    return outbox.items(), fake


@pytest.mark.anyio
async def test_each_sentence_is_a_text_with_its_own_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = heard(("One.", 0.0, 0.8), ("Two.", 0.8, 2.0))
    later = heard(("Three.", 0.0, 1.0))
    items = [Mark(MarkKind.WATERMARK, 0, RATE), *utterance(1, 3), *utterance(5, 6)]
    out, fake = await recognise(monkeypatch, Asr(language="EN", beam=2), [answer, later], items)
    assert out == [
        Mark(MarkKind.WATERMARK, 0, RATE),
        Mark(MarkKind.UTTERANCE_START, RATE, RATE),
        Text("One.", 1000, 1800, "en-us", 1),
        Text("Two.", 1800, 3000, "en-us", 2),
        Mark(MarkKind.UTTERANCE_END, 3 * RATE, RATE),
        Mark(MarkKind.UTTERANCE_START, 5 * RATE, RATE),
        Text("Three.", 5000, 6000, "en-us", 3),
        Mark(MarkKind.UTTERANCE_END, 6 * RATE, RATE),
    ]
    assert fake.asked == [(2.0, "en", "transcribe", 2), (1.0, "en", "transcribe", 2)]


@pytest.mark.anyio
async def test_one_text_an_utterance_keeps_the_numbers_of_those_without_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [heard(why_not="no speech"), heard(("One.", 0.0, 0.8), ("Two.", 0.8, 2.0), redone=True)]
    asr = Asr(language="fr-fr", task="translate", sentences=False)
    out, _ = await recognise(monkeypatch, asr, answers, [*utterance(0, 1), *utterance(2, 4)])
    assert [item for item in out if isinstance(item, Text)] == [Text("One. Two.", 2000, 4000, "en-us", 2)]
    assert asr.counts() == {
        "utterances": 2,
        "utterances without text (no speech)": 1,
        "utterances decoded twice (repetition)": 1,
    }


def in_blocks(start_s: float, end_s: float, block_s: float = 0.5) -> list[Item]:
    """An utterance whose sound comes bit by bit."""
    first, sound, last = utterance(start_s, end_s)
    assert isinstance(sound, Audio)
    return [first, *split([sound], range(sound.start, sound.end, int(block_s * RATE))), last]


@pytest.mark.anyio
async def test_while_somebody_speaks_it_guesses_as_much_as_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [heard(("One", 0.0, 1.0)), heard(), heard(("One two three", 0.0, 3.0))]
    answers += [heard(("One two three.", 0.0, 3.5)), heard(("Four.", 0.0, 0.5))]
    items = [*in_blocks(1, 4.5), *in_blocks(5, 5.5)]
    monkeypatch.setattr("stages.asr.anyio.current_time", lambda: 0.0)  # so that no guess takes time
    out, fake = await recognise(monkeypatch, Asr(language="en", partials_s=1.0), answers, items)
    assert [item for item in out if isinstance(item, Text)] == [
        Text("One", 1000, 2000, "en-us", 1, final=False),
        Text("One two three", 1000, 4000, "en-us", 1, final=False, revision=1),
        Text("One two three.", 1000, 4500, "en-us", 1),
        Text("Four.", 5000, 5500, "en-us", 2),
    ]
    assert [seconds for seconds, *_ in fake.asked] == [1.0, 2.0, 3.0, 3.5, 0.5]


def spoken_without_a_pause() -> list[Item]:
    """Four seconds from 1 s on, of which a moment at 2.91 s is quiet."""
    samples = noise(4 * RATE, RATE).samples.copy()
    samples[int(1.86 * RATE) : int(1.96 * RATE)] //= 100
    start = Mark(MarkKind.UTTERANCE_START, RATE, RATE)
    end = Mark(MarkKind.UTTERANCE_END, 5 * RATE, RATE)
    return [start, *split([Audio(samples, RATE, RATE)], range(0, 5 * RATE, RATE)), end]


@pytest.mark.anyio
async def test_a_sentence_is_settled_while_somebody_still_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [heard(("We are.", 0.0, 1.0)), heard(("We are here.", 0.0, 2.0))]
    answers += [heard(("We are here.", 0.0, 2.0), ("You", 2.0, 3.0))]
    answers += [heard(("We are here.", 0.0, 2.0), ("You are", 2.0, 4.0))]
    answers += [heard(("You are there.", 0.0, 3.1))]
    monkeypatch.setattr("stages.asr.anyio.current_time", lambda: 0.0)
    places = list[int]()
    asr = Asr(language="en", partials_s=1.0, when_settled=places.append)
    out, fake = await recognise(monkeypatch, asr, answers, spoken_without_a_pause())
    place = int(2.91 * RATE)
    assert out[4:] == [
        Text("We are here.", 1000, 2910, "en-us", 1),
        Text("You are", 2910, 5000, "en-us", 2, final=False),
        Text("You are there.", 2910, 5000, "en-us", 2),
        Mark(MarkKind.UTTERANCE_END, 5 * RATE, RATE),
    ]
    assert [seconds for seconds, *_ in fake.asked] == [1.0, 2.0, 3.0, 4.0, pytest.approx(2.09)]
    assert places == [place]
    assert asr.counts() == {"utterances": 1, "sentences settled while somebody still spoke": 1}


@pytest.mark.anyio
async def test_one_text_an_utterance_is_none_before_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [heard(("One.", 0.0, 1.0), ("Two", 1.0, 2.0))] * 5
    monkeypatch.setattr("stages.asr.anyio.current_time", lambda: 0.0)
    asr = Asr(language="en", partials_s=1.0, sentences=False)
    out, _ = await recognise(monkeypatch, asr, answers, spoken_without_a_pause())
    assert [item.final for item in out if isinstance(item, Text)] == [False] * 4 + [True]


class Busy:
    """A limiter of which others take all there is, but for what cannot wait."""

    available_tokens = 0

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def acquire_on_behalf_of(self, borrower: object) -> None: ...

    def release_on_behalf_of(self, borrower: object) -> None: ...


@pytest.mark.anyio
async def test_it_does_not_guess_while_the_workers_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    asr = Asr(language="en", partials_s=1.0, limiter=Busy())  # type: ignore[arg-type]
    out, fake = await recognise(monkeypatch, asr, [heard(("All.", 0.0, 3.0))], in_blocks(0, 3))
    assert [item.text for item in out if isinstance(item, Text)] == ["All."]
    assert [seconds for seconds, *_ in fake.asked] == [3.0]


@pytest.mark.anyio
async def test_the_language_that_is_heard_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [heard(("Olá.", 0, 1), language="pt"), heard(("Ciao.", 0, 1), language="it")]
    out, fake = await recognise(monkeypatch, Asr(), answers, [*utterance(0, 1), *utterance(2, 3)])
    assert [item.language for item in out if isinstance(item, Text)] == ["pt-br", "it"]
    assert fake.asked[0][1] is None


@pytest.mark.anyio
async def test_a_language_that_the_model_lacks_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StageError, match="whisper base does not know ja-jp") as caught:
        await recognise(monkeypatch, Asr(language="ja-jp"), [], [])
    assert caught.value.code == 2


@pytest.mark.anyio
async def test_a_folder_without_a_model_is_an_error_of_one_line(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    with pytest.raises(StageError, match=f"no CTranslate2 Whisper model in {tmp_path}"):
        await Asr(model=tmp_path).run(FakeInbox([]), FakeOutbox())


@pytest.mark.anyio
async def test_the_loop_is_free_while_a_model_works(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = anyio.Event()
    ticks = 0

    class Slow(FakeWhisper):
        def hear(self, sound: Any, language: str | None, task: str, beam: int) -> Heard:
            anyio.from_thread.run(gate.wait)
            return heard(("Late.", 0, 1))

    monkeypatch.setattr("stages.asr.Whisper.load", lambda model, threads: Slow([]))
    outbox = FakeOutbox()
    async with anyio.create_task_group() as group:
        group.start_soon(Asr(language="en").run, FakeInbox(utterance(0, 1)), outbox)
        while ticks < 20:
            await anyio.lowlevel.checkpoint()
            ticks += 1
        assert not any(isinstance(item, Text) for item in outbox.items())
        gate.set()
    assert any(isinstance(item, Text) for item in outbox.items())


@pytest.mark.anyio
async def test_cancelled_it_does_not_wait_for_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    hearing, done = threading.Event(), threading.Event()

    class Slow(FakeWhisper):
        def hear(self, sound: Any, language: str | None, task: str, beam: int) -> Heard:
            hearing.set()
            done.wait(20)
            return heard()

    monkeypatch.setattr("stages.asr.Whisper.load", lambda model, threads: Slow([]))
    async with anyio.create_task_group() as group:
        group.start_soon(Asr(language="en").run, FakeInbox(utterance(0, 1)), FakeOutbox())
        await anyio.to_thread.run_sync(hearing.wait, 20)
        group.cancel_scope.cancel()
    assert not done.is_set()
    done.set()


def test_a_language_that_there_is_not_is_refused_when_the_graph_is_read() -> None:
    with pytest.raises(ValueError, match=r"language: wanted a language.*en-us.*came 'klingon'"):
        Asr(language="klingon")
