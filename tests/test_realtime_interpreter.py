"""The interpreter against a service in memory, in virtual time: what is cut, and what comes out all the same."""

from __future__ import annotations

import random
import statistics
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import numpy as np
import pytest
from attrs import define
from trio.testing import MockClock

from pipeline.graph import Graph
from pipeline.items import Audio, Item, Mark, MarkKind, Samples, Text
from pipeline.ledger import Report
from pipeline.runner import Execution
from pipeline.stage import StageError
from pipeline.testing import Collect, Playlist
from stages.subtitles import Subtitles
from stages.translate.realtime.codec import dump_server
from stages.translate.realtime.events import ErrorEvent, Payload, TextDelta, TranscriptDelta
from stages.translate.realtime.interpreter import Interpreter
from tests.cue_checker import parse_srt
from tests.fakes import FakeInbox, FakeOutbox
from tests.toy_service import RATE, Toy, blocks, talk

T = TypeVar("T")


def in_virtual_time(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives; an error as it was before the test's own task groups wrapped it."""
    try:
        return anyio.run(work, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})
    except ExceptionGroup as wrapped:
        error: Exception = wrapped
        while isinstance(error, ExceptionGroup):
            (error,) = error.exceptions
        raise error from None


def utterances(seconds: float, seed: int = 1) -> list[tuple[int, int]]:
    """Utterances of 0.8 to 4 s with pauses of 0.8 to 2 s, up to a second before the end."""
    dice, found, position = random.Random(seed), [], RATE
    while position < (seconds - 6) * RATE:
        frames = round(dice.uniform(0.8, 4) * RATE)
        found.append((position, position + frames))
        position += frames + round(dice.uniform(0.8, 2) * RATE)
    return found


@define
class SlowOutbox(FakeOutbox):
    """Takes `read_s` for every block of speech."""

    read_s: float = 0.0

    async def send(self, item: Item, port: str | None = None) -> None:
        if isinstance(item, Audio):
            await anyio.sleep(self.read_s)
        await super().send(item, port)


@define
class Run:
    """What came of a recording that was interpreted."""

    spans: Sequence[tuple[int, int]]
    sound: Samples
    stage: Interpreter
    toy: Toy
    outbox: FakeOutbox
    seconds: float = 0.0

    def items(self, port: str) -> list[Item]:
        return self.outbox.items(port)

    def texts(self, port: str) -> list[Text]:
        return [item for item in self.items(port) if isinstance(item, Text) and item.final]

    def speech(self) -> Samples:
        found = [item.samples for item in self.items("audio") if isinstance(item, Audio)]
        return np.concatenate([np.zeros((0, 1), np.int16), *found])

    def marks(self, kind: MarkKind, port: str = "audio") -> list[Mark]:
        return [item for item in self.items(port) if isinstance(item, Mark) and item.kind is kind]

    def assert_whole(self, near_ms: int = 40, gaps: Sequence[Mark] = ()) -> None:
        """Every utterance once as transcript, text and speech, at its time; nothing else."""
        said = [f"from {start // 240} to {(end - 1) // 240}" for start, end in self.spans]
        assert [text.text for text in self.texts("transcript")] == said
        assert [text.text for text in self.texts("text")] == [
            words.replace("from", "de").replace("to", "a") for words in said
        ]
        spoken = np.concatenate([self.sound[start:end] for start, end in self.spans])
        assert np.array_equal(self.speech(), spoken), "speech is what was said, sample by sample"
        assert sum(self.stage.losses().values()) == 0
        assert self.marks(MarkKind.GAP) == list(gaps)
        for text, (start, end) in zip(self.texts("text"), self.spans, strict=True):
            assert abs(text.start_ms - start // 24) <= near_ms
            assert abs(text.end_ms - end // 24) <= near_ms


async def interpret(
    seconds: float,
    plan: Callable[[Toy], Awaitable[None]] | None = None,
    spans: Sequence[tuple[int, int]] | None = None,
    toy: dict[str, Any] | None = None,
    items: Sequence[Item] | None = None,
    unread: Iterable[str] = (),
    read_s: float = 0.0,
    made: list[Interpreter] | None = None,
    **options: Any,
) -> Run:
    """`seconds` of talk through an interpreter, while `plan` does things to the service.

    `items` come in instead of the talk; `unread` ports nobody reads; a block of speech takes `read_s` to read. The
    interpreter is put into `made`, for those that end in a fault.
    """
    spans = utterances(seconds) if spans is None else spans
    sound = talk(spans, round(seconds * RATE))
    async with anyio.create_task_group() as tasks:
        service = Toy(tasks, **(toy or {}))
        stage = Interpreter(
            source_language="en-us",
            target_language="pt-br",
            api_key="k-canary-0123",
            open=service.opener,
            dice=random.Random(7).random,
            **options,
        )
        if made is not None:
            made.append(stage)
        run = Run(spans, sound, stage, service, SlowOutbox(unread=frozenset(unread), read_s=read_s))
        async with anyio.create_task_group() as disturbing:
            if plan is not None:
                disturbing.start_soon(plan, service)
            begun = anyio.current_time()
            await stage.run(FakeInbox(blocks(sound) if items is None else items), run.outbox)
            run.seconds = anyio.current_time() - begun
            disturbing.cancel_scope.cancel()
        tasks.cancel_scope.cancel()
    return run


def every(period_s: float) -> Callable[[Toy], Awaitable[None]]:
    async def plan(toy: Toy) -> None:
        while True:
            await anyio.sleep(period_s)
            toy.cut()

    return plan


def test_without_trouble_everything_comes_once_and_in_its_time() -> None:
    run = in_virtual_time(lambda: interpret(60))
    run.assert_whole()
    assert run.toy.opened == 1
    assert run.stage.status == "all is answered"
    assert 59 < run.seconds < 63, "a file is sent at the pace of speech"
    for mark, (_, end) in zip(run.marks(MarkKind.UTTERANCE_END), run.spans, strict=True):
        assert mark.start == end
    assert run.marks(MarkKind.WATERMARK)[-1].start > run.spans[-1][1]


def p95(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


@pytest.mark.parametrize(
    ("tells", "period_s"),
    [(True, 0.5), (True, 1), (True, 2.9), (True, 7), (True, 30), (False, 0.5), (False, 7)],
)
def test_ten_minutes_with_a_cut_every_so_often(tells: bool, period_s: float) -> None:
    run = in_virtual_time(lambda: interpret(600, every(period_s), toy={"tells": tells}))
    resumed = run.toy.resumed_s
    print(
        f"\ncut every {period_s} s: resumed {len(resumed)} times after {p95(resumed):.2f} s (p95, with 0.06 s to "
        f"open a session), {sum(run.toy.heard) / len(run.sound):.1f} times the sound sent"
    )
    run.assert_whole()
    assert p95(resumed) < 1
    assert run.seconds < 610


@pytest.mark.parametrize("seed", range(4))
def test_cuts_whenever_they_come_and_sessions_that_hear_ends_elsewhere(seed: int) -> None:
    dice = random.Random(seed)

    async def plan(toy: Toy) -> None:
        while True:
            await anyio.sleep(dice.expovariate(1 / 3))
            toy.cut()
            toy.slip_frames = dice.randrange(0, RATE // 5, 240)

    run = in_virtual_time(lambda: interpret(120, plan, toy={"answer_s": 0.9}))
    run.assert_whole(near_ms=240)


@pytest.mark.parametrize(("tells", "period_s"), [(True, 2.9), (True, 7), (False, 30)])
def test_what_we_take_for_several_utterances_the_service_may_take_for_one(tells: bool, period_s: float) -> None:
    toy = {"tells": tells, "pause_frames": RATE * 6 // 5, "answer_s": 2.5 if period_s > 5 else 0.2}
    run = in_virtual_time(lambda: interpret(300, every(period_s), toy=toy))
    assert len(run.texts("text")) < len(run.spans)
    assert np.array_equal(run.speech(), np.concatenate([run.sound[start:end] for start, end in run.spans]))
    assert sum(run.stage.losses().values()) == 0


# --- outages ------------------------------------------------------------------------------------------------


def outage(begin_s: float, seconds: float) -> Callable[[Toy], Awaitable[None]]:
    async def plan(toy: Toy) -> None:
        await anyio.sleep(begin_s)
        toy.down = True
        toy.cut()
        await anyio.sleep(seconds)
        toy.down = False

    return plan


@pytest.mark.parametrize("begin_s", [3.0, 20.7, 31.4])
def test_an_outage_that_fits_the_window_costs_nothing(begin_s: float) -> None:
    run = in_virtual_time(lambda: interpret(90, outage(begin_s, 12)))
    run.assert_whole()
    assert "reconnecting" not in run.stage.status


def test_a_longer_outage_costs_what_is_counted_and_no_sample_more() -> None:
    run = in_virtual_time(lambda: interpret(180, outage(20, 60)))
    (gap,) = run.marks(MarkKind.GAP)
    lost = gap.start, gap.start + gap.frames
    assert run.stage.losses() == {"outage longer than the replay window": gap.frames}
    assert 25 * RATE < gap.frames < 60 * RATE
    assert run.marks(MarkKind.GAP, "text") == run.marks(MarkKind.GAP, "transcript") == [gap]
    heard = [(max(start, lost[1]) if end > lost[0] else start, end) for start, end in run.spans]
    kept = [(start, end) for start, end in heard if end <= lost[0] or start < end]
    assert np.array_equal(run.speech(), np.concatenate([run.sound[start:end] for start, end in kept]))
    order = [item for item in run.items("text") if item == gap or (isinstance(item, Text) and item.final)]
    before = order[: order.index(gap)]
    assert [text.start_ms < gap.start_ms for text in order if isinstance(text, Text)] == [
        number < len(before) for number in range(len(order) - 1)
    ]


def test_a_file_waits_out_an_outage_where_it_may_block() -> None:
    run = in_virtual_time(lambda: interpret(120, outage(20, 60), when_full="block"))
    run.assert_whole()
    assert 140 < run.seconds < 200


def test_the_service_is_given_up_after_a_while() -> None:
    made: list[Interpreter] = []
    with pytest.raises(StageError, match=r"out of reach for 3\d s and \d+ tries: cannot reach the toy") as caught:
        in_virtual_time(lambda: interpret(120, outage(20, 1000), give_up_s=30, made=made))
    assert caught.value.code == 69
    sounding = made[0].losses()["sound without an answer when the run broke off"]
    assert 5 * RATE < sounding < 35 * RATE, "what it had in hand is lost, and it says so"


def test_where_nothing_answers_from_the_beginning_nobody_waits() -> None:
    with pytest.raises(StageError, match="cannot reach the toy") as caught:
        in_virtual_time(lambda: interpret(10, toy={"down": True}))
    assert caught.value.code == 69


def test_without_a_key_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMB_API_KEY", raising=False)
    with pytest.raises(StageError, match="no API key"):
        Interpreter(source_language="en-us", target_language="pt-br").probe()


def test_a_quick_close_loop_is_not_fed() -> None:
    opened: list[int] = []

    async def plan(toy: Toy) -> None:
        await anyio.sleep(10)
        while True:
            await anyio.sleep(0.01)
            opened.append(toy.opened)
            for wire in toy.wires:
                wire.end(1011, "no")

    with pytest.raises(StageError, match="out of reach"):
        in_virtual_time(lambda: interpret(120, plan, give_up_s=60))
    assert max(opened) < 25


def test_a_silent_service_is_left_for_another_session() -> None:
    async def plan(toy: Toy) -> None:
        await anyio.sleep(15)
        toy.deafen()
        await anyio.sleep(20)
        toy.deaf = False

    run = in_virtual_time(lambda: interpret(90, plan, silent_after_s=8))
    run.assert_whole()
    assert 2 <= run.toy.opened <= 5


def test_silence_is_no_reason_to_leave() -> None:
    spans = [(RATE, 3 * RATE), (200 * RATE, 202 * RATE)]
    for tells in (True, False):
        run = in_virtual_time(lambda: interpret(240, spans=spans, toy={"tells": tells}))  # noqa: B023
        run.assert_whole()
        assert run.toy.opened == 1
        assert max(mark.start for mark in run.marks(MarkKind.WATERMARK)) > 202 * RATE


# --- the beginning and the end ------------------------------------------------------------------------------


def test_nothing_is_lost_while_the_service_boots() -> None:
    run = in_virtual_time(lambda: interpret(60, toy={"boot_s": 45}, mode="slow"))
    run.assert_whole()
    assert run.seconds < 85, "what waited in the window goes out at once"


def test_a_spare_session_saves_the_boot() -> None:
    told = {"toy": {"boot_s": 30}, "mode": "slow", "replay_s": 45}
    cold = in_virtual_time(lambda: interpret(240, every(80), **told))
    warm = in_virtual_time(lambda: interpret(240, every(80), spare=True, **told))
    for run in (cold, warm):
        run.assert_whole()
    print(f"\nresumed after {max(cold.toy.resumed_s):.1f} s cold, {max(warm.toy.resumed_s):.2f} s with a spare")
    assert min(cold.toy.resumed_s) > 30
    assert max(warm.toy.resumed_s) < 1
    assert warm.stage.counts()["spare sessions used"] == len(warm.toy.resumed_s)


def test_the_end_is_told_where_all_is_answered_and_where_not() -> None:
    async def plan(toy: Toy) -> None:
        await anyio.sleep(9)
        toy.deafen()

    run = in_virtual_time(lambda: interpret(24, plan, deadline_s=15, quiet_s=3))
    assert run.stage.status == "answers were owed at the deadline"
    assert run.stage.counts()["ended: answers were owed at the deadline"] == 1
    assert 38 <= run.seconds < 41
    silent = [(start, end) for start, end in run.spans if start > run.spans[len(run.texts("text")) - 1][1]]
    assert silent
    unanswered = run.stage.losses()["sound without an answer at the deadline"]
    assert unanswered == pytest.approx(sum(end - start for start, end in silent), rel=0.3)  # and short pauses


@pytest.mark.parametrize("tells", [True, False], ids=["places told", "places guessed"])
def test_the_tail_is_waited_for_though_the_file_ends_with_the_last_word(tells: bool) -> None:
    spans = [(RATE, 3 * RATE), (4 * RATE, 6 * RATE)]
    run = in_virtual_time(lambda: interpret(6, spans=spans, toy={"tells": tells, "answer_s": 4}))
    run.assert_whole()
    assert run.stage.status == "all is answered"


def test_a_file_without_a_word_ends_soon() -> None:
    run = in_virtual_time(lambda: interpret(3, spans=[]))
    assert run.stage.status == "all is answered"
    assert run.seconds < 10
    assert run.outbox.items("text") == run.outbox.items("transcript")


def test_what_nobody_reads_is_not_asked_for() -> None:
    for unread, asked in (({"audio"}, ("text",)), ({"text"}, ("audio",)), ({"audio", "text"}, ("text",))):
        run = in_virtual_time(lambda: interpret(12, unread=unread))  # noqa: B023
        assert run.toy.asked == asked
        assert run.stage.status == "all is answered"
        for port in {"audio", "text", "transcript"} - unread:
            assert any(not isinstance(item, Mark) for item in run.items(port))


def test_a_hole_in_the_input_is_told_in_its_place_and_times_stay_true() -> None:
    hole = Mark(MarkKind.GAP, 10 * RATE, RATE, 50 * RATE)
    early, late = (RATE, 3 * RATE), (62 * RATE, 64 * RATE)
    sound = talk([early, late], 66 * RATE)
    items: list[Item] = [*blocks(sound[: 10 * RATE]), hole]
    items += [Audio(block.samples, block.start + 60 * RATE, RATE) for block in blocks(sound[60 * RATE :])]
    run = in_virtual_time(lambda: interpret(66, spans=[early, late], items=items))
    run.assert_whole(gaps=[hole])
    order = [item for item in run.items("text") if isinstance(item, Text) or item.kind is MarkKind.GAP]
    assert [isinstance(item, Mark) for item in order if not isinstance(item, Text) or item.final] == [
        False,
        True,
        False,
    ]
    for port in ("audio", "text", "transcript"):
        assert [item for item in run.items(port) if item == hole] == [hole]


def test_a_slow_reader_does_not_stop_the_reading_of_the_socket() -> None:
    waiting: list[int] = []

    async def plan(toy: Toy) -> None:
        while True:
            await anyio.sleep(1)
            waiting.append(max((wire.waiting for wire in toy.wires), default=0))

    run = in_virtual_time(lambda: interpret(60, plan, read_s=0.25))
    run.assert_whole()
    assert max(waiting) < 10


def test_what_the_service_says_against_it_is_shown_and_counted() -> None:
    async def plan(toy: Toy) -> None:
        await anyio.sleep(5)
        toy.wires[0].tell(dump_server(ErrorEvent("too\nloud: k-canary-0123", "noise")))

    run = in_virtual_time(lambda: interpret(12, plan))
    run.assert_whole()
    assert run.stage.status == "all is answered; the service says: too loud: ***"
    assert run.stage.counts()["errors from the service"] == 1


@pytest.mark.parametrize(
    ("error", "close", "code", "shown"),
    [
        (ErrorEvent("who are you", "invalid_api_key", "authentication_error"), 1008, 69, "who are you"),
        (
            ErrorEvent("no", "unsupported_language", "server_error", "session.target_language"),
            1008,
            2,
            "target_language",
        ),
        (None, 1008, 69, "1008"),
        (ErrorEvent("full", "too_many_sessions", "server_error"), 1013, 69, "full"),
    ],
)
def test_a_refusal_is_told_in_one_line(error: ErrorEvent | None, close: int, code: int, shown: str) -> None:
    with pytest.raises(StageError, match=shown) as caught:
        in_virtual_time(lambda: interpret(5, toy={"refusal": (error, close)}))
    assert caught.value.code == code


def test_a_service_that_is_full_for_a_while_is_waited_for_once_it_was_there() -> None:
    async def plan(toy: Toy) -> None:
        await anyio.sleep(8)
        toy.refusal = (ErrorEvent("full", "too_many_sessions", "server_error"), 1013)
        toy.cut()
        await anyio.sleep(6)
        toy.refusal = None

    in_virtual_time(lambda: interpret(30, plan)).assert_whole()


def test_credit_that_runs_out_is_not_asked_for_again() -> None:
    async def plan(toy: Toy) -> None:
        await anyio.sleep(8)
        toy.wires[0].tell(dump_server(ErrorEvent("no credit", "insufficient_credits")))
        toy.wires[0].end(1008, "")

    with pytest.raises(StageError, match="no credit"):
        in_virtual_time(lambda: interpret(30, plan))


# --- in a graph ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_s", [None, 20])
def test_in_a_graph_the_ledger_balances_and_a_stop_lets_the_last_words_out(stop_s: float | None) -> None:
    spans = utterances(40)
    captions, speech = Collect(), Collect()

    async def work() -> tuple[Report, Interpreter]:
        async with anyio.create_task_group() as tasks:
            toy = Toy(tasks)
            stage = Interpreter(
                source_language="en-us", target_language="pt-br", api_key="k-canary-0123", open=toy.opener
            )
            graph = Graph().add("talk", Playlist(items=blocks(talk(spans, 40 * RATE))))
            graph.add("interpreter", stage, "talk")
            graph.add("captions", captions, "interpreter.text").add("speech", speech, "interpreter.audio")
            execution = Execution(graph)
            tasks.start_soon(disturb, toy, execution)
            report = await execution.run()
            tasks.cancel_scope.cancel()
            return report, stage

    async def disturb(toy: Toy, execution: Execution) -> None:
        while not toy.opened:  # noqa: ASYNC110 - a run begins with threads, which simulated time does not wait for
            await anyio.sleep(0.001)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(every(7), toy)
            if stop_s is not None:
                tasks.start_soon(stop_after, stop_s, execution)

    async def stop_after(seconds: float, execution: Execution) -> None:
        await anyio.sleep(seconds)
        execution.stop()

    report, stage = in_virtual_time(work)
    assert report.balanced
    assert not report.lost
    assert stage.status == "all is answered"
    spoken = [(start, end) for start, end in spans if stop_s is None or end < stop_s * RATE]
    said = [f"de {start // 240} a {(end - 1) // 240}" for start, end in spoken]
    texts = [item.text for item in captions.items if isinstance(item, Text) and item.final]
    assert texts[: len(said)] == said
    assert speech.frames >= sum(end - start for start, end in spoken)


@pytest.mark.parametrize(
    "said", [[TextDelta("de ")], [TranscriptDelta("from "), TextDelta("de "), TextDelta("0")]]
)
def test_cut_off_in_an_outage_a_partial_text_is_no_caption(said: Sequence[Payload], tmp_path: Path) -> None:
    """The last words had begun to come when the service went away, and then the run was ended."""
    spans = [(RATE, 3 * RATE), (5 * RATE, 9 * RATE)]
    texts, path = Collect(), tmp_path / "x.srt"

    async def work() -> tuple[Report, Interpreter]:
        async with anyio.create_task_group() as tasks:
            toy = Toy(tasks)
            stage = Interpreter(source_language="en-us", target_language="pt-br", api_key="k", open=toy.opener)
            graph = Graph().add("talk", Playlist(items=blocks(talk(spans, 20 * RATE)))).add("i", stage, "talk")
            graph.add("captions", Subtitles(path=path), "i.text").add("texts", texts, "i.text")
            execution = Execution(graph, drain_s=5)
            tasks.start_soon(disturb, toy, execution)
            report = await execution.run()
            tasks.cancel_scope.cancel()
            return report, stage

    async def disturb(toy: Toy, execution: Execution) -> None:
        while not toy.heard or toy.heard[0] < 7 * RATE:  # noqa: ASYNC110 - by what it has got
            await anyio.sleep(0.1)
        for payload in said:
            toy.wires[0].tell(dump_server(payload))
        await anyio.sleep(0.1)
        toy.down = True
        toy.cut()
        await anyio.sleep(1)
        execution.stop()

    report, stage = in_virtual_time(work)
    assert any(isinstance(item, Text) and not item.final and item.utterance == 2 for item in texts.items)
    assert [cue.lines for cue in parse_srt(path.read_text())] == [("de 100 a 299",)]
    assert stage.counts()["utterances answered in part"] == 1
    assert report.balanced
    sounding = report.lost["i: sound without an answer when the run broke off"]
    assert sounding == 4 * RATE, "the second one, all of it"


def test_what_nobody_had_taken_when_the_run_broke_off_is_counted() -> None:
    """A reader as slow as a loudspeaker: what was said, and is not handed on, is lost."""
    spans = [(RATE, 3 * RATE), (5 * RATE, 9 * RATE), (11 * RATE, 13 * RATE)]
    made: list[Interpreter] = []
    outbox = SlowOutbox(read_s=2.0)

    async def work() -> None:
        async with anyio.create_task_group() as tasks:
            made.append(
                Interpreter(source_language="en-us", target_language="pt-br", api_key="k", open=Toy(tasks).opener)
            )
            with anyio.move_on_after(16):
                await made[0].run(FakeInbox(blocks(talk(spans, 60 * RATE))), outbox)
            tasks.cancel_scope.cancel()

    in_virtual_time(work)
    taken = sum(item.frames for item in outbox.items("audio") if isinstance(item, Audio))
    lost = made[0].losses()
    said = sum(end - start for start, end in spans)
    assert 0 < taken < said / 2
    in_hand = RATE // 5
    assert taken + in_hand + lost["speech not handed on when the run broke off"] == said
    assert lost["not handed on when the run broke off, texts"] == 2 * len(spans) - 2
    assert "sound without an answer when the run broke off" not in lost


# --- what is asked for --------------------------------------------------------------------------------------


def test_options_are_checked_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="source_language"):
        Interpreter(source_language="xx-yy", target_language="pt-br")
    with pytest.raises(ValueError, match="wanted an address"):
        Interpreter(source_language="en-us", target_language="pt-br", base_url="nowhere")
    given = Interpreter(source_language="auto", target_language="pt-br", mode="slow").gives({})
    assert list(given) == ["audio", "text", "transcript"]


def test_a_missing_key_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMB_API_KEY", raising=False)
    stage = Interpreter(source_language="en-us", target_language="pt-br")
    with pytest.raises(StageError, match="CAMB_API_KEY") as caught:
        anyio.run(stage.run, FakeInbox([]), FakeOutbox())
    assert caught.value.code == 2
