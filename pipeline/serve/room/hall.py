"""A room at work: its speaker is recognised once, and each language is made while somebody wants it.

Everything that goes on here runs in one task group, and outlives the sockets: a speaker who loses the connection
goes on where the audio stopped, a listener who does comes back to the same captions.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence

import anyio
from anyio.abc import TaskGroup, TaskStatus
from attrs import define, field, frozen

from pipeline.graph import Graph
from pipeline.runner import Execution
from pipeline.serve.intake import Intake
from pipeline.serve.interpretation import Interpretation
from pipeline.serve.room.booths import Booths
from pipeline.serve.room.figures import GRAPHS, Watching
from pipeline.serve.room.floor import Floor
from pipeline.serve.room.local import Into, speaking
from pipeline.serve.room.parts import Heard, Overheard
from pipeline.serve.room.speaker import Speaker, speaker_session
from pipeline.serve.room.tongues import Tongues, tongues_of
from pipeline.serve.room.translation import Translation
from pipeline.serve.room.wings import Wings
from pipeline.serve.service import Service
from pipeline.serve.session import Session
from pipeline.stage import Pausable, Stage, StageError
from stages.room.audience import Audience, AudienceLimits
from stages.room.board import ORIGINAL, Board, original
from stages.room.keys import RoomKeys
from stages.room.operators import Operators
from stages.room.pages import answer, place_of
from stages.room.room import Room
from stages.room.wire import Offer, State
from stages.sockets import Answer, Socket
from stages.translate.realtime.config import AUTO
from stages.translate.realtime.events import Payload, SessionConfig, TranscriptCompleted

__all__ = ["Hall", "Settings"]

log = logging.getLogger(__name__)

RETRY_S = 10.0
"""When recognition has failed, so long a source of this machine is not listened to; a person may try at once."""


@frozen(kw_only=True)
class Settings:
    """What a room is like. `source` None: its speaker says. `languages` empty: all that can be done well."""

    title: str = ""
    source: str | None = None
    languages: Sequence[str] = ()
    grace_s: float = 60.0
    """How long a translation goes on that nobody listens to any more."""
    linger_s: float = 300.0
    """How long the room listens for a speaker who has gone."""
    replay_s: float = 600.0
    audience: AudienceLimits = field(factory=AudienceLimits)


@define(eq=False)
class Hall:
    """A room of `service`. `run` it; meanwhile its listeners, speaker and operators come and go."""

    service: Service
    keys: RoomKeys
    settings: Settings = field(factory=Settings)
    tongues: Tongues = field(init=False)
    room: Room = field(init=False)
    floor: Floor = field(init=False)
    audience: Audience = field(init=False)
    operators: Operators = field(init=False)
    wings: Wings = field(init=False)
    intake: Intake = field(init=False, factory=Intake)
    speaker: Speaker | None = field(init=False, default=None)
    microphone: Pausable | None = field(init=False, default=None)
    """What speaks here without a browser, where that can be paused."""
    source: str | None = field(init=False)
    """The language that is spoken; `auto` where each utterance tells; None while nobody has said."""
    hearing: Interpretation | None = field(init=False, default=None)
    booths: Booths = field(init=False)
    changed: anyio.Event = field(init=False, factory=anyio.Event)
    """Set, and replaced, whenever something changes."""
    _local: Execution | None = field(init=False, default=None)
    """What speaks here without a browser."""
    _local_config: SessionConfig = field(init=False, factory=lambda: SessionConfig(AUTO))
    _failed_at: float | None = field(init=False, default=None)
    """When recognition failed last."""
    link: str = field(init=False, default="")
    """Where listeners come in, from other machines too, as far as the server knows."""
    _left_at: float | None = field(init=False, default=None)
    """When the last speaker left."""
    _ended: bool = field(init=False, default=False)
    _finished: anyio.Event = field(init=False, factory=anyio.Event)
    _tasks: TaskGroup | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.tongues = tongues_of(self.service.engine)
        self.source = self.settings.source
        board = Board(self.settings.title or self.keys.name, replay_s=self.settings.replay_s)
        self.room = Room(board, self.notice)
        self.floor = Floor(self.room)
        grace_s = self.settings.grace_s
        self.booths = Booths(self.floor, self.tongues, self.service, grace_s, self._start)
        self.audience = Audience(self.room, self.settings.audience)
        self.operators = Operators(Watching(self), self.service.limits)
        self.wings = Wings(self)
        self._speak_of(self.source)

    # --- running

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until it is stopped, and everything is told."""
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            while True:
                changed = self.changed
                wait_s = self._tend(anyio.current_time())
                if self._ended and self.hearing is None and not self.booths.running:
                    break
                with anyio.move_on_after(wait_s):
                    await changed.wait()
        self._finished.set()

    async def stop(self) -> None:
        """Let come to its end what is under way, and then send the listeners home."""
        self._ended = True
        self.intake.close()
        if self._local is not None:
            self._local.stop()
        self.notice()
        await self._finished.wait()
        self.wings.cut()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.audience.close)
            tasks.start_soon(self.operators.close)

    def cut(self) -> None:
        """End everything that still goes on."""
        self._ended = True
        self.audience.cut()
        self.operators.cut()
        self.wings.cut()
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    # --- who comes

    def answer(self, path: str) -> Answer | None:
        """The page at `path`; None for a socket, which is to be upgraded."""
        return answer(path, [self.keys.name])

    def speaking(self, socket: Socket) -> Session | None:
        """A speaker's session, where that is what `socket` was opened for."""
        place = place_of(socket.path, [self.keys.name])
        return speaker_session(socket, self) if place is not None and place.part == "speak" else None

    async def serve(self, socket: Socket) -> int:
        """A listener, an operator, or who waits to speak, to its end; the close code."""
        place = place_of(socket.path, [self.keys.name])
        match None if place is None else place.part:
            case "watch":
                return await self.operators.serve(socket)
            case "meet":
                return await self.wings.serve(socket)
            case _:
                return await self.audience.serve(socket)

    # --- the speaker

    def take(self, speaker: Speaker) -> None:
        """`speaker` has the floor; whoever had it before has not."""
        before, self.speaker = self.speaker, speaker
        if before is not None:
            before.taken_over()
        elif self._local is not None:
            self.intake.part()
        self.notice()

    def release(self, speaker: Speaker) -> None:
        if self.speaker is speaker:
            self.speaker, self._left_at = None, anyio.current_time()
            if self._local is not None:
                self.intake.part()
            self.notice()

    @property
    def paused(self) -> bool:
        """Whether there is a pause of whoever has the floor."""
        if self.speaker is not None:
            return self.speaker.paused
        return self.microphone is not None and self.microphone.paused

    def pause_microphone(self, paused: bool) -> None:
        """Have the microphone of this machine, if one speaks, hear nothing, or hear again."""
        if self.microphone is not None:
            self.microphone.paused = paused

    async def let_speak(self, stage: Stage) -> None:
        """Let a source of this machine speak in the room's source language, to its end, while nobody else does.

        It begins when the models are loaded, as a browser's speaker does: else all its first words would be late.
        Raises what loading and the stage raise.
        """
        assert self.source is not None, "nobody says what a local source speaks"
        behind_s, taken_s = self.service.limits.behind_s, self.service.metrics.audio_s.inc
        into = Into(intake=self._local_intake, behind_s=behind_s, taken_s=taken_s)
        self._local = execution = Execution(speaking(stage, into))
        self._local_config = SessionConfig(self.source, output_modalities=("text",))
        if isinstance(stage, Pausable):
            self.microphone, stage.when_changed = stage, self.notice
        self.notice()
        try:
            await self.service.engine.load(self._local_config)
            self._local_intake()  # it is listened to from now on, even if it is silent at first
            with self.service.watched.running(f"{GRAPHS}speaker", execution):
                await execution.run()
        finally:
            self._local, self.microphone, self._left_at = None, None, anyio.current_time()
            self.notice()

    def _local_intake(self) -> Intake | None:
        """Where a local source's audio goes now."""
        if self.speaker is not None or self._ended:
            return None
        if self._failed_at is not None and anyio.current_time() < self._failed_at + RETRY_S:
            return None
        self.hear(self._local_config)
        return self.intake

    def hear(self, config: SessionConfig) -> None:
        """Recognise what comes to `intake` from now on, in the language of `config`."""
        assert self._tasks is not None
        if self._ended:
            return
        if self.hearing is None or self.intake.closed:
            before, self.intake = self.intake, Intake()
            self.intake.position = before.end
            self.floor.came_at = self.intake.came_at
            name = f"{GRAPHS}recognition"
            self.hearing = Interpretation(self.service, config, self._tell, name, self._lay, self.intake)
            self._tasks.start_soon(self._hear, self.hearing)
            self.notice()
        elif config.source_language != self.hearing.config.source_language:
            for payload in self.hearing.change(config):
                if self.speaker is not None:
                    self.speaker.told(payload)

    def change(self, config: SessionConfig) -> Iterator[Payload]:
        """Another language is spoken from the next utterance on."""
        if self.hearing is not None:
            yield from self.hearing.change(config)

    def ignore(self, item_id: str) -> None:
        if self.hearing is not None:
            self.hearing.ignore(item_id)

    def status(self) -> dict[str, object]:
        """What a speaker is told of the room."""
        return {
            "state": self.room.board.state,
            "listeners": len(self.room.listeners),
            "by_language": dict(sorted(self.room.readers().items())),
            "paused": self.paused,
            "link": self.link,
        }

    async def _hear(self, hearing: Interpretation) -> None:
        """Recognise until the intake is closed. Raises nothing but cancellation."""
        try:
            await hearing.run()
        except StageError as error:
            log.error("the room: %s", error)
            self._fail()
        except Exception:
            log.exception("the room: recognition failed")
            self._fail()
        finally:
            hearing.intake.close()
            if hearing.dropped_s:
                self.service.metrics.dropped_s.labels("room ended").inc(hearing.dropped_s)
            if self.hearing is hearing:
                self.hearing = None
            self.notice()

    def _fail(self) -> None:
        self._failed_at = anyio.current_time()
        if self.speaker is not None:
            self.speaker.failed()

    async def _tell(self, payload: Payload) -> None:
        if self.speaker is not None:
            self.speaker.told(payload)  # whose session counts utterances
        elif isinstance(payload, TranscriptCompleted):
            self.service.metrics.utterances.inc()

    def _lay(self, graph: Graph, config: SessionConfig) -> Mapping[str, str]:
        """The graph that recognises."""
        self._speak_of(config.source_language)
        transcript, sound = self.tongues.hear(graph, config.source_language)
        heard = Heard(floor=self.floor, language=config.source_language)
        graph.add("heard", heard, reads=transcript)
        graph.add("overheard", Overheard(feed=self.floor.sound), reads=sound)
        return {"transcript": transcript}

    # --- languages

    def _speak_of(self, source: str | None) -> None:
        """From now on `source` is spoken: offer what can be made of it."""
        self.source = source
        spoken = ORIGINAL if source is None else source
        offers = [original(spoken), *self._offers(spoken)]
        self.room.change(source=None if spoken == AUTO else spoken, languages=offers)
        self.notice()

    def _offers(self, source: str) -> Sequence[Offer]:
        if not self.settings.languages:
            return self.tongues.all(source)
        wished = [tag for tag in self.settings.languages if tag != source]
        return [offer for tag in wished if (offer := self._offer(source, tag)) is not None]

    def _offer(self, source: str, tag: str) -> Offer | None:
        try:
            return self.tongues.offer(source, tag)
        except ValueError as wrong:
            log.warning("the room: %s", wrong)
            return None

    # --- what runs

    def _tend(self, now: float) -> float:
        """Let run what has to; in how many seconds to look again, if nothing changes."""
        if self._ended and self.hearing is not None:
            return math.inf  # what is said last is still translated
        look = self.booths.tend(self.source, now, ended=self._ended)
        if self._deserted_at is not None and now >= self._deserted_at:
            self.intake.close()
        return max(0.0, min(look, math.inf if self._deserted_at is None else self._deserted_at) - now)

    def _start(self, translation: Translation) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(self._translate, translation)

    async def _translate(self, translation: Translation) -> None:
        await translation.run()
        self.notice()

    @property
    def _deserted_at(self) -> float | None:
        """When it has been long enough without a speaker; None where there is one, or nobody is listened to."""
        if self.hearing is None or self.intake.closed or self._left_at is None:
            return None
        if self.speaker is not None or self._local is not None:
            return None
        return self._left_at + self.settings.linger_s

    def notice(self) -> None:
        """Something has changed."""
        self.room.change(state=self._state())
        self.changed.set()
        self.changed = anyio.Event()

    def _state(self) -> State:
        if self._ended:
            return "ended"
        if self.speaker is None and self._local is None:
            return "waiting"
        if self.paused or (self.speaker is None and self.microphone is not None and self.microphone.lost):
            return "paused"  # a lost microphone is waited for
        return "waiting" if self.hearing is None else "live"  # nobody is heard while models are loaded
