"""How the languages of a room are made: by which way, from what, and for how long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import get_args

import anyio
import numpy as np
import pytest
from attrs import define, field

from pipeline.caps import TEXT, AudioCaps
from pipeline.graph import Graph
from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.serve.engine import Echo, Local, Relay
from pipeline.serve.room.booths import Booths
from pipeline.serve.room.floor import Floor
from pipeline.serve.room.parts import Fed, Note
from pipeline.serve.room.tongues import Key, Kind, tongues_of
from pipeline.serve.room.translation import Translation
from pipeline.serve.service import Service
from pipeline.stage import Inbox, Outbox, StageError
from stages.asr import Asr
from stages.room.board import Board, original, translated
from stages.room.listener import Listener
from stages.room.order import Order, voice
from stages.room.room import Room
from stages.room.wire import Preparation, Wish
from stages.vad import Vad
from tests.fakes import FakeInbox, FakeOutbox
from tests.serve_server import Engine
from tests.simulated import in_simulated_time

# --- the ways there are


def test_what_the_models_do_well_is_offered() -> None:
    tongues = tongues_of(Local())
    assert [(offer.tag, offer.quality) for offer in tongues.all("en-us")] == [("pt-br", "good")]
    assert [offer.tag for offer in tongues.all("es-es")] == ["en-gb", "en-us", "pt-br"]
    assert {offer.quality for offer in tongues.all("ja-jp")} == {"experimental"}, "rather than nothing at all"
    assert [offer.tag for offer in tongues_of(Echo()).all("en-us")][:3] == ["ar-ae", "ar-eg", "ar-sa"]


@pytest.mark.parametrize(
    ("source", "target", "made"),
    [
        ("en-us", "pt-br", {"pt-br captions": "en-us"}),
        ("pt-br", "en-us", {"en-us captions": "pt-br"}),
        ("es-es", "en-us", {"en-us captions": "sound"}),
        ("es-es", "pt-br", {"pt-br captions": "en-us", "en-us captions": "sound"}),
        ("auto", "pt-br", {"pt-br captions": "en-us", "en-us captions": "sound"}),
    ],
)
def test_what_a_language_is_made_from(source: str, target: str, made: Mapping[str, str]) -> None:
    tongues = tongues_of(Local())
    key: Key | None = Key(source, target, "voice")
    assert tongues.reads(Key(source, target, "voice")) == (target, TEXT)
    found = {}
    while key is not None and (key := tongues.needs(key)) is not None:
        language, caps = tongues.reads(key)
        assert caps == (TEXT if language else AudioCaps(16000, 1))
        found[str(key)] = language or "sound"
    assert found == made


def test_what_a_room_has_settled_counts_no_more_for_its_vad() -> None:
    graph = Graph("x")
    assert tongues_of(Local()).hear(graph, "en-us") == ("asr", "vad")
    vad, asr = graph.nodes["vad"].stage, graph.nodes["asr"].stage
    assert isinstance(vad, Vad)
    assert isinstance(asr, Asr)
    assert (asr.sentences, asr.partials_s, asr.when_settled) == (True, 1.0, vad.begin_anew)


def test_other_engines_hear_for_themselves() -> None:
    for engine in (Echo(), Relay()):
        tongues = tongues_of(engine)
        key = Key("en-us", "pt-br", "captions")
        assert tongues.needs(key) is None
        assert tongues.reads(key) == (None, AudioCaps(24000, 1))
        assert not tongues.apart
        graph = Graph("x")
        assert set(tongues.make(graph, key)) == {"text", "audio"}
        assert tongues.hear(Graph("y"), "en-us") == ("interpreter.transcript", "ears")


def test_a_pair_without_a_way_is_refused() -> None:
    with pytest.raises(ValueError, match="no route"):
        tongues_of(Local()).offer("en-us", "ko-kr")


# --- which of them run


@define(eq=False)
class Bench:
    """Booths whose translations are only noted as started."""

    started: list[Translation] = field(factory=list)
    booths: Booths = field(init=False)
    room: Room = field(init=False)

    def __attrs_post_init__(self) -> None:
        offers = [original("es-es"), *(translated(tag, "fair", voice=True) for tag in ("en-us", "pt-br"))]
        self.room = Room(Board("x", source="es-es", languages=offers))
        engine = Local()
        self.booths = Booths(Floor(self.room), tongues_of(engine), Service(engine), 60.0, self.start)

    def start(self, translation: Translation) -> None:
        self.started.append(translation)

    def close(self) -> None:
        for translation in self.started:
            translation.end()
            translation._channel.dispose()

    def listener(self, *languages: str, voice: str | None = None) -> Listener:
        one = Listener(self.room.board)
        one.choose(Wish(languages, voice), 0.0)
        self.room.join(one)
        return one

    def running(self) -> set[str]:
        return {str(key) for key, each in self.booths.running.items() if not each.ending}

    def finish(self) -> None:
        """Let come to their end those that are ending."""
        for each in self.booths.running.values():
            each.over = each.ending


async def wanted_while_somebody_listens() -> None:
    bench = Bench()
    assert bench.booths.tend("es-es", 0.0, ended=False) == float("inf")
    reader = bench.listener("pt-br", "es-es")
    bench.booths.tend("es-es", 1.0, ended=False)
    assert bench.running() == {"pt-br captions", "en-us captions"}
    hearer = bench.listener("pt-br", voice="pt-br")
    bench.booths.tend("es-es", 2.0, ended=False)
    assert bench.running() == {"pt-br captions", "en-us captions", "pt-br voice"}
    bench.room.leave(hearer)
    assert bench.booths.tend("es-es", 10.0, ended=False) == 70.0
    bench.room.leave(reader)
    bench.booths.tend("es-es", 20.0, ended=False)
    bench.booths.tend("es-es", 69.0, ended=False)
    assert len(bench.running()) == 3
    back = bench.listener("pt-br")
    bench.booths.tend("es-es", 75.0, ended=False)
    assert bench.running() == {"pt-br captions", "en-us captions"}
    bench.room.leave(back)
    bench.finish()
    bench.booths.tend("es-es", 80.0, ended=False)
    for _ in range(3):  # what others are made from comes to its end first
        bench.booths.tend("es-es", 200.0, ended=False)
        bench.finish()
    bench.booths.tend("es-es", 200.0, ended=False)
    assert not bench.booths.running
    assert len(bench.started) == 3
    bench.close()


def test_a_language_runs_while_it_is_wanted_with_what_it_is_made_from() -> None:
    in_simulated_time(wanted_while_somebody_listens)


async def ends_from_the_front() -> None:
    bench = Bench()
    bench.listener("pt-br", voice="pt-br")
    bench.booths.tend("es-es", 0.0, ended=False)
    ended = []
    while bench.booths.running:
        before = bench.running()
        bench.booths.tend("es-es", 1.0, ended=True)
        ended += sorted(before - bench.running())
        bench.finish()
    assert ended == ["en-us captions", "pt-br captions", "pt-br voice"]
    bench.close()


def test_when_the_room_ends_what_others_are_made_from_ends_first() -> None:
    in_simulated_time(ends_from_the_front)


async def back_while_it_ends() -> None:
    bench = Bench()
    reader = bench.listener("en-us")
    bench.booths.tend("es-es", 0.0, ended=False)
    bench.room.leave(reader)
    bench.booths.tend("es-es", 1.0, ended=False)
    bench.booths.tend("es-es", 62.0, ended=False)
    (first,) = bench.started
    assert first.ending
    assert not first.over
    bench.listener("en-us")
    bench.booths.tend("es-es", 62.5, ended=False)
    assert bench.running() == {"en-us captions"}, "what is said from now on has somebody who hears it"
    assert len(bench.started) == 2
    bench.started[1].end()
    bench.booths.tend("es-es", 63.0, ended=False)
    assert len(bench.started) == 2, "but no more than two at a time, however they come and go"
    first.over = True
    bench.booths.tend("es-es", 64.0, ended=False)
    assert len(bench.started) == 3
    bench.close()


def test_who_comes_back_while_a_language_comes_to_its_end_misses_nothing() -> None:
    in_simulated_time(back_while_it_ends)


async def fails_again_and_again() -> None:
    bench = Bench()
    bench.listener("en-us")
    looks = list[float]()
    for now in (0.0, 10.0, 30.0):
        bench.booths.tend("es-es", now, ended=False)
        failed = bench.started[-1]
        failed.end()
        failed.over, failed.failures = True, failed.failures + 1
        failed.retry_at = now + 10.0 * 2 ** (failed.failures - 1)
        looks.append(bench.booths.tend("es-es", now, ended=False))
        assert bench.started[-1] is failed, "it is not tried again before its time"
    assert looks == [10.0, 30.0, 70.0]
    bench.close()


def test_what_fails_is_tried_again_only_when_it_is_time() -> None:
    in_simulated_time(fails_again_and_again)


@pytest.mark.parametrize(("lasts_s", "failures", "wait_s"), [(1.0, 4, 80.0), (299.0, 4, 80.0), (3600.0, 1, 10.0)])
def test_failures_of_long_ago_are_forgiven(lasts_s: float, failures: int, wait_s: float) -> None:
    async def breaks(inbox: Inbox, outbox: Outbox) -> None:
        await anyio.sleep(lasts_s)
        raise StageError("gone")

    async def fail() -> None:
        engine = Engine(breaks)
        floor = Floor(Room(Board("x")))
        key = Key("en-us", "pt-br", "captions")
        translation = Translation(key, floor, tongues_of(engine), Service(engine), failures=3)
        await translation.run()
        assert translation.failures == failures
        assert translation.retry_at == pytest.approx(anyio.current_time() + wait_s)
        assert told_of(floor, "pt-br") == "failed"

    in_simulated_time(fail)


def told_of(floor: Floor, language: str) -> str | None:
    """What its readers are told of it."""
    frame = floor.room.board.progress.get(language)
    return None if frame is None else json.loads(frame)["type"]


def test_a_voice_that_is_ready_first_does_not_make_its_captions_ready() -> None:
    floor = Floor(Room(Board("x")))
    captions, voice_of = (Key("en-us", "pt-br", kind) for kind in get_args(Kind))
    before = Key("es-es", "pt-br", "captions")
    told: list[tuple[Key, Preparation | None, str | None]] = [
        (before, "ready", "ready"),
        (captions, "preparing", "preparing"),
        (voice_of, "preparing", "preparing"),
        (voice_of, "ready", "preparing"),
        (before, None, "preparing"),
        (captions, "ready", "ready"),
        (voice_of, "failed", "failed"),
        (voice_of, "preparing", "ready"),
        (voice_of, "failed", "failed"),
        (voice_of, None, "ready"),
        (captions, None, None),
    ]
    for key, preparation, shown in told:
        floor.tell(key, preparation)
        assert told_of(floor, "pt-br") == shown


async def another_source() -> None:
    bench = Bench()
    bench.listener("pt-br")
    bench.booths.tend("es-es", 0.0, ended=False)
    bench.booths.tend("en-us", 1.0, ended=False)
    assert {key for key, each in bench.booths.running.items() if not each.ending} >= {
        Key("en-us", "pt-br", "captions")
    }
    assert bench.booths.running[Key("es-es", "en-us", "captions")].ending
    bench.close()


def test_what_was_made_of_another_language_ends_at_once() -> None:
    in_simulated_time(another_source)


# --- what they are made of


def text(utterance: int, *, final: bool = True, words: str = "x") -> Text:
    return Text(words, utterance * 1000, utterance * 1000 + 500, "pt-br", utterance, final)


async def sound_in_order() -> None:
    order = Order()
    for item in (text(1, final=False), text(1), text(2, words=" "), text(3)):
        order.note(item)
    assert [(await order.next()).utterance for _ in range(2)] == [1, 3]
    guessed = Order(finals=False)
    for item in (text(1, final=False), text(1), text(2, final=False)):
        guessed.note(item)
    assert [(await guessed.next()).utterance for _ in range(2)] == [1, 2]
    begun = anyio.current_time()
    assert (await guessed.next()).utterance == 2, "sound without a text is more of the last"
    assert anyio.current_time() - begun == 1.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_note_later, guessed)
        assert (await guessed.next()).utterance == 3


async def silent_between() -> None:
    order, heard, over = Order(), list[int](), list[int]()
    for number in (1, 2, 3):
        order.note(text(number))
    end = Mark(MarkKind.UTTERANCE_END, 0, 24000)
    block = Audio(np.zeros((240, 1), np.int16), 0, 24000)
    inbox = FakeInbox([block, block, end, end, block, end])
    await voice(inbox, order, lambda _, stretch: heard.append(stretch.utterance), over.append)
    assert (heard, over) == ([1, 1, 3], [1, 3])


def test_a_text_of_which_nothing_sounds_does_not_shift_the_voice_of_all_that_follow() -> None:
    in_simulated_time(silent_between)


def test_texts_that_nobody_speaks_are_not_kept_for_ever() -> None:
    order = Order()
    for number in range(10_000):
        order.note(text(number))
    assert len(order._waiting) == 500


async def _note_later(order: Order) -> None:
    await anyio.sleep(0.5)
    order.note(text(3))


def test_each_stretch_of_sound_belongs_to_a_text() -> None:
    in_simulated_time(sound_in_order)


@pytest.mark.anyio
async def test_a_translation_that_is_far_behind_leaves_out_guesses_and_says_what_else_it_left_out() -> None:
    floor = Floor(Room(Board("x")))
    feed, left_out = floor.texts("en-us"), list[int]()
    fed = Fed(channel=feed.open("pt-br captions", TEXT), missed=left_out.append)
    for number in range(600):
        feed.put(text(number))
    feed.put(text(600, final=False))
    feed.put(text(600))
    feed.close(fed.channel)
    outbox = FakeOutbox()
    await fed.run(FakeInbox([]), outbox)
    fed.channel.dispose()
    came = [item.utterance for item in outbox.items() if isinstance(item, Text)]
    assert came == list(range(602 - 500, 601))
    assert sum(left_out) == 102
    assert fed.counts() == {"guesses passed over": 1, "texts dropped, too far behind": 102}
    assert not fed.losses()


async def left_out() -> None:
    await anyio.sleep(100)
    floor, order = Floor(Room(Board("x")), came_at=lambda _: 1.0), Order()
    gap = Text("[…]", 0, 0, "pt-br", 4)
    floor.show("pt-br", gap)
    assert floor.room.board.log("pt-br").seq == 1
    assert floor.delays.summary(anyio.current_time())["shown"]["n"] == 0, "nobody knows when that was said"
    floor.show("pt-br", text(5))
    assert floor.delays.summary(anyio.current_time())["shown"]["n"] == 1
    note = Note(order=order)
    assert [item for each in (gap, text(5)) for item in note.feed(each)] == [text(5)]
    assert (await order.next()).utterance == 5


def test_what_stands_for_texts_left_out_is_neither_measured_nor_spoken() -> None:
    in_simulated_time(left_out)


@pytest.mark.anyio
async def test_sound_that_nobody_reads_in_time_is_counted() -> None:
    floor = Floor(Room(Board("x")))
    fed = Fed(channel=floor.sound.open("en-us captions", AudioCaps(16000, 1)))
    for second in range(61):
        floor.sound.put(Audio(np.zeros((16000, 1), np.int16), second * 16000, 16000))
    assert fed.losses() == {"too far behind": 16000}
    floor.sound.close(fed.channel)
    fed.channel.dispose()
