"""Translation by the realtime service as a stage: one input, one session at a time, and no word lost on the way.

Tasks, and what is between them. One takes what comes in, at the pace of speech, into the replay window; one sends
from the window to the session there is; `run` itself opens session after session and listens. What it hears goes
through `Answers` to a task that hands it on, so that a reader who plays speech in real time does not stop the
reading of the socket.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import ClassVar, Literal

import anyio
from anyio.abc import ObjectSendStream
from anyio.streams.memory import MemoryObjectReceiveStream
from attrs import define, field

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.items import Audio, Mark, MarkKind, Text
from pipeline.stage import Duration, Inbox, Outbox, StageError, between, option
from stages.languages import checked, checked_or_auto
from stages.translate.realtime.answer import Given
from stages.translate.realtime.answers import PORTS, AnswerPart, Answers
from stages.translate.realtime.backoff import Backoff, Pace
from stages.translate.realtime.config import AUTO, api_key_or_env, session_config
from stages.translate.realtime.events import (
    SAMPLE_RATE_HZ,
    Closed,
    ErrorEvent,
    Payload,
    Resume,
    SessionConfig,
    SessionCreated,
)
from stages.translate.realtime.hearing import Hearing
from stages.translate.realtime.line import Interrupted, Line, Opener, Refused, open_line
from stages.translate.realtime.lines import Lines
from stages.translate.realtime.replay import Replay
from stages.translate.realtime.transport import DEFAULT_BASE_URL, SocketOptions, open_socket, service_url
from stages.translate.realtime.waiting import LATE_S, Ending, Waiting

__all__ = ["Interpreter", "check_address"]

KEEP_ALIVE = SocketOptions(ping_interval_s=4, ping_timeout_s=5, close_timeout_s=1)
"""A half-open connection is noticed within 9 s."""
MESSAGE_FRAMES = SAMPLE_RATE_HZ // 10
"""What the vendor's clients send at once."""
CREDIT_S = 5.0
MODALITIES = ("text", "audio")
TICK_S = 0.2
BASE_S, CAP_S = 0.2, 20.0
OUT_ITEMS = 512
"""Between listening and handing on, in blocks of at most 200 ms: a minute and a half of speech."""
SHOWN_CHARS = 300
NEVER = 1 << 62
"""A position beyond all."""


def check_address(address: str) -> str | None:
    """What was wanted where `address` is none, else None: the check of an option."""
    try:
        service_url(address, "fast")
    except ValueError:
        return f"an address such as {DEFAULT_BASE_URL}"
    return None


@define(kw_only=True)
class Interpreter:
    """Translate speech by a realtime service: `audio` is the spoken translation, `text` its words, and
    `transcript` what was said. All carry times of the source.

    Sound is kept until it is answered. When the connection is cut, hangs, or the service falls silent, another
    session is opened and gets what was not answered; what was given already is not given again.
    """

    source_language: str = option(
        help="the language spoken; auto lets the service find out, which needs `mode: slow`",
        check=checked_or_auto,
        example="en-us",
    )
    target_language: str = option(help="the language to translate into", check=checked, example="pt-br")
    mode: Literal["fast", "slow"] = option(
        "fast", help="fast is ready at once, for fewer languages; slow boots for half a minute and knows all"
    )
    voice_id: int | None = option(None, help="the number of a cloned voice; without it, a built-in one")
    api_key: str | None = option(None, help="the key of your account; without it, CAMB_API_KEY", secret=True)
    base_url: str = option(
        DEFAULT_BASE_URL, help="the address of the service, such as ws://127.0.0.1:8765", check=check_address
    )
    lead_s: float = option(
        0.5, help="how far ahead of real time a file is sent; services expect speech", check=between(0, 30, "s")
    )
    replay_s: float = option(
        30.0, help="how much unanswered sound is kept, to send it again after a cut", check=between(1, 300, "s")
    )
    when_full: Literal["drop_oldest", "block"] = option(
        "drop_oldest",
        help="in an outage longer than `replay_s`: drop_oldest loses, and counts, what a live speaker said first; "
        "block makes a file wait, and loses nothing",
    )
    silent_after_s: float = option(
        20.0, help="speech that nothing answers for so long: open another session", check=between(1, 600, "s")
    )
    ready_within_s: Duration = option(
        Duration(180), help="how long a session may boot; a cloned voice takes minutes when it is first used"
    )
    give_up_s: Duration = option(Duration(300), help="how long to try for another session before the run fails")
    quiet_s: float = option(
        5.0, help="at the end of input: so long nothing came, and no answer is owed", check=between(0, 600, "s")
    )
    deadline_s: float = option(
        30.0, help="at the end of input: how long to wait for answers that are owed", check=between(0, 3600, "s")
    )
    spare: bool = option(False, help="keep a second session ready, so that in `mode: slow` a cut costs no boot")

    _open: Opener = field(default=open_socket, repr=False)
    _dice: Callable[[], float] = field(factory=lambda: random.Random().random, repr=False)
    _speaker_setup: str | None = None
    _candidates: Sequence[str] = ()
    """What the service chooses from, where it has to find out what is spoken."""
    _told: Callable[[Payload], None] = field(default=lambda payload: None, repr=False)
    """Hears of a session's languages, and when it is lost: as events, of which `Closed` is one."""
    _target: str = field(init=False, default="")
    """The target language; none while it is not known, which only a call puts up with (see `translate_into`)."""
    _key: str = field(init=False, default="", repr=False)
    _replay: Replay = field(init=False, repr=False)
    _hearing: Hearing = field(init=False, factory=Hearing, repr=False)
    _answers: Answers = field(init=False, repr=False)
    _waiting: Waiting = field(init=False, repr=False)
    _lines: Lines = field(init=False, repr=False)
    _line: Line | None = field(init=False, default=None, repr=False)
    """The session that is sent to."""
    _changed: anyio.Event = field(init=False, factory=anyio.Event, repr=False)
    _marks: deque[tuple[int, Mark]] = field(init=False, factory=deque, repr=False)
    """What came between the sound and is handed on, with the position that must be answered before."""
    _tail: int = field(init=False, default=0)
    """Frames of silence sent in this session behind the end of input."""
    _errors: int = field(init=False, default=0)
    _said: str = field(init=False, default="")
    """The last error that this session's service told."""
    _ending: Ending | None = field(init=False, default=None)
    _broken_off: bool = field(init=False, default=False)
    """The run ended, and not by itself: no service, or cancelled."""
    _lost: Resume | None = field(init=False, default=None, repr=False)
    """The session that was cut, where the service may still have it."""
    _resumed: int = field(init=False, default=0)
    _unheard: int = field(init=False, default=0)
    """Frames of speech that came, and that nobody had taken when the run broke off; `_untold`: final texts."""
    _untold: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AudioCaps(SAMPLE_RATE_HZ, 1))}

    def __attrs_post_init__(self) -> None:
        self._target = (self.target_language or "").lower()
        self._replay = Replay(round(self.replay_s * SAMPLE_RATE_HZ))
        self._expect(frozenset())
        self._lines = Lines(self._fresh_line, self._new_backoff(), self.give_up_s, _shown)

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Audio and two texts. Raises ValueError for what the service cannot do."""
        self._configuration(frozenset(MODALITIES))
        return {"audio": AudioCaps(SAMPLE_RATE_HZ, 1), "text": TEXT, "transcript": TEXT}

    # --- what it tells

    @property
    def status(self) -> str:
        status = self._ending or self._lines.status
        if status == "ready" and self._waiting.ended_s is not None:
            status = "waiting for the last answers"
        return f"{status}; the service says: {self._said}" if self._said else status

    def losses(self) -> Mapping[str, int]:
        lost = {
            "outage longer than the replay window": self._replay.lost,
            "said before it was known into which language to translate, texts": self._answers.untranslated,
            "speech not handed on when the run broke off": self._unheard,
            "not handed on when the run broke off, texts": self._untold,
        }
        if self._ending == "answers were owed at the deadline":
            lost["sound without an answer at the deadline"] = self._waiting.unanswered
        if self._broken_off:
            held = max(self._replay.answered, self._replay.begin)
            lost["sound without an answer when the run broke off"] = self._hearing.sounding(held, self._replay.end)
        return {why: count for why, count in lost.items() if count}

    def counts(self) -> Mapping[str, int]:
        told = {
            "sessions": self._lines.sessions,
            "times that a session went on after a cut": self._resumed,
            "spare sessions used": self._lines.spares_used,
            "utterances": self._answers.utterances,
            "utterances answered in part": self._answers.unfinished,
            "answers given before, passed over": self._answers.repeated,
            "errors from the service": self._errors,
            f"ended: {self._ending}": self._ending is not None,
        }
        return {what: int(count) for what, count in told.items() if count}

    # --- the work

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        """Raises: StageError where there is no session to be had: 2 for what was asked for, 69 for the service."""
        self._prepare(outbox)
        give, given = anyio.create_memory_object_stream[Given](OUT_ITEMS)
        try:
            async with anyio.create_task_group() as tasks:
                handed_on = anyio.Event()
                tasks.start_soon(self._hand_on, given, outbox, handed_on)
                tasks.start_soon(self._take, inbox)
                tasks.start_soon(self._send)
                if self.spare:
                    tasks.start_soon(self._lines.keep_spare, tasks, self._new_backoff())
                async with give:
                    await self._converse(give)
                await handed_on.wait()
                tasks.cancel_scope.cancel()
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
        finally:
            if self._ending is None:
                self._broken_off = True
                self._answers.finish()  # what has begun is answered in part, and stays so

    def probe(self) -> None:
        """Without a key nothing is opened. Raises: StageError."""
        self._api_key()

    def _api_key(self) -> str:
        try:
            return api_key_or_env(self.api_key)
        except ValueError as wrong:
            raise StageError(str(wrong), code=2) from wrong

    def _prepare(self, outbox: Outbox) -> None:
        wanted = frozenset(port for port in MODALITIES if outbox.wanted(port))
        self._expect(wanted)
        self._key = self._api_key()
        try:
            self._configuration(wanted)
        except ValueError as wrong:
            raise StageError(str(wrong), code=2) from wrong

    def _configuration(self, wanted: frozenset[str]) -> SessionConfig:
        return session_config(
            source_language=self.source_language,
            target_language=self._target,
            output_modalities=[modality for modality in MODALITIES if modality in wanted] or ["text"],
            mode=self.mode,
            voice_id=self.voice_id,
            speaker_setup=self._speaker_setup,
            source_language_candidates=self._candidates,
        )

    def _expect(self, wanted: frozenset[str]) -> None:
        source = "" if self.source_language.lower() == AUTO else self.source_language.lower()
        self._answers = Answers(self._replay, self._hearing, source, self._target, wanted)
        limits = (self.silent_after_s, self.quiet_s, self.deadline_s)
        self._waiting = Waiting(self._answers, self._replay, self._hearing, *limits)

    def _new_backoff(self) -> Backoff:
        return Backoff(BASE_S, CAP_S, self._dice)

    def _fresh_line(
        self, starting: Callable[[], None], resume: Resume | None
    ) -> AbstractAsyncContextManager[Line]:
        config, url = self._configuration(self._answers.wanted), service_url(self.base_url, self.mode)
        return open_line(self._open, url, KEEP_ALIVE, config, self._key, self.ready_within_s, starting, resume)

    def translate_into(self, language: str) -> None:
        """Have another target language, from the next utterance on, in this session and in those that follow."""
        self._target = language.lower()
        self._tell()

    def _tell(self) -> None:
        """Wake who waits for the window or for a session."""
        self._changed.set()
        self._changed = anyio.Event()

    # --- what comes in

    async def _take(self, inbox: Inbox) -> None:
        """Fill the window, no faster than speech is spoken."""
        pace = Pace(SAMPLE_RATE_HZ, self.lead_s, CREDIT_S)
        async for item in inbox:
            if isinstance(item, Audio):
                for piece in _pieces(item):
                    await anyio.sleep(pace.wait_s(piece.frames, anyio.current_time()))
                    await self._room_for(piece.frames)
                    self._replay.add(piece)
                    self._hearing.feed(piece.samples)
                    self._hearing.forget(self._replay.begin - self._replay.window_frames)
                    self._tell()
            elif isinstance(item, Mark) and item.kind in (MarkKind.GAP, MarkKind.FLUSH):
                self._marks.append((self._replay.end, item))
        self._waiting.ended(anyio.current_time())
        self._tell()

    async def _room_for(self, frames: int) -> None:
        """Wait while the window is full of what no session has got; in an outage, as `when_full` says."""
        while self._replay.room < frames:
            outage = self._line is None and self._lines.sessions > 0
            if outage and self.when_full == "drop_oldest":
                return
            await self._changed.wait()

    # --- what goes to the service

    async def _send(self) -> None:
        """Send what the window holds to the session there is; for ever."""
        while True:
            line = self._line
            if line is None or not (self._replay.unsent or self._waiting.ended_s is not None):
                await self._changed.wait()
                continue
            try:
                await self._send_next(line)
            except (Refused, Interrupted):  # who listens to this line learns it as well, and looks for another
                while self._line is line:
                    await self._changed.wait()

    async def _send_next(self, line: Line) -> None:
        """The next piece of sound; behind the end of input silence, as from a microphone that is left on."""
        over = not self._replay.unsent
        await anyio.sleep(MESSAGE_FRAMES / SAMPLE_RATE_HZ if over else line.wait_s(MESSAGE_FRAMES))
        if line is not self._line:
            return
        if line.target != self._target:
            self._aim(self._target, self._replay.sent)
            await line.translate_into(self._target)
        if line.target and self._answers.can_say_again:
            self._answers.say_again(self._tail)
            self._tail = 0
            line.say_again()
        pcm = self._replay.take(MESSAGE_FRAMES)
        await line.send(pcm or bytes(2 * MESSAGE_FRAMES), self._replay.sent)
        self._tail += 0 if pcm else MESSAGE_FRAMES
        self._tell()

    def _aim(self, target: str, position: int) -> None:
        """What begins from `position` on is translated into `target`, if that is any."""
        if not self._answers.target_language or not target:
            self._answers.translated_from = position if target else NEVER
        self._answers.target_language = target

    # --- sessions

    async def _converse(self, give: ObjectSendStream[Given]) -> None:
        """Session after session, until all is answered or nobody hopes for it any more. Raises StageError."""
        while self._ending is None:
            try:
                async with self._lines.next(self._lost) as line:
                    await self._talk(line, give)
            except Refused as refused:
                raise self._lines.refuse(refused) from None
            except Interrupted as interrupted:
                await self._lines.wait(interrupted)
        await self._give(give, self._answers.finish())
        await self._give_marks(give, self._replay.end)

    async def _talk(self, line: Line, give: ObjectSendStream[Given]) -> None:
        """Have a session, to the end of all or its own. Raises Refused, Interrupted."""
        await self._begin(line, give)
        self._waiting.begun()
        self._line, self._said = line, ""
        self._tell()
        try:
            while self._ending is None:
                await self._listen(line, give)
                self._ending = self._waiting.ending(anyio.current_time())
        except Interrupted as interrupted:
            self._lost = None if interrupted.silent else line.protocol.lost()
            raise
        finally:
            self._line = None
            self._answers.cut()
            self._told(Closed(1006))
            self._tell()

    async def _begin(self, line: Line, give: ObjectSendStream[Given]) -> None:
        """Go on with the session that was lost, or begin another. Raises Interrupted."""
        self._lost = None
        if line.received is None:
            self._tail = 0
            await self._give(give, self._answers.begin())
            self._answers.target_language = ""
            self._aim(line.target, 0)
        elif self._answers.go_on(line.received):
            self._resumed += 1
        else:
            raise Interrupted("the outage was longer than what is kept: the session cannot go on")
        self._told(SessionCreated(line.protocol.session_id, line.protocol.config))

    async def _listen(self, line: Line, give: ObjectSendStream[Given]) -> None:
        """Hand on what comes next, and see now and then what does not come. Raises Refused, Interrupted."""
        payload = None
        with anyio.move_on_after(TICK_S):
            payload = await line.receive()
        if isinstance(payload, ErrorEvent):
            self._errors += 1
            self._said = _shown(payload.message)
            if payload.param == "session.target_language":
                self._miss(line)
        elif payload is not None:
            await self._hear(payload, line, give)
        self._lines.is_well(answered=isinstance(payload, AnswerPart))
        await self._give(give, self._answers.rest(self._waiting.quiet_until(line.settled(LATE_S))))
        if (silent_s := self._waiting.silent_s(anyio.current_time(), self._tail)) is not None:
            raise Interrupted(f"the service has been silent for {silent_s:.0f} s", silent=True)

    def _miss(self, line: Line) -> None:
        """The service cannot translate into what it was asked for: it goes on as it was."""
        self._target = line.target = line.protocol.config.target_language
        self._aim(self._target, 0)

    async def _hear(self, payload: Payload, line: Line, give: ObjectSendStream[Given]) -> None:
        given = self._answers.take(payload, line.settled(LATE_S))
        if isinstance(payload, AnswerPart):
            news = any(not isinstance(item, Mark) for _, item in given)
            self._waiting.heard(anyio.current_time(), news=news)
        else:
            self._told(payload)
        await self._give(give, given)

    # --- handing on

    async def _give(self, give: ObjectSendStream[Given], items: Iterable[Given]) -> None:
        for port, item in items:
            if isinstance(item, Mark) and item.kind is MarkKind.WATERMARK:
                await self._give_marks(give, self._replay.answered)
            await give.send((port, item))

    async def _give_marks(self, give: ObjectSendStream[Given], answered: int) -> None:
        """Hand on the marks that came in before the position `answered`."""
        while self._marks and self._marks[0][0] <= answered:
            mark = self._marks.popleft()[1]
            for port in PORTS:
                await give.send((port, mark))

    async def _hand_on(self, given: MemoryObjectReceiveStream[Given], outbox: Outbox, done: anyio.Event) -> None:
        """Hand on what is `given`; what is left where the run breaks off is counted."""
        async with given:
            try:
                async for port, item in given:
                    await outbox.send(item, port)
            finally:
                self._count_left(given)
        done.set()

    def _count_left(self, given: MemoryObjectReceiveStream[Given]) -> None:
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            while True:
                _, item = given.receive_nowait()
                self._unheard += item.frames if isinstance(item, Audio) else 0
                self._untold += isinstance(item, Text) and item.final


def _shown(said: str) -> str:
    """What a service says, in one line that is not too long."""
    line = " ".join(said.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS]}..."


def _pieces(audio: Audio) -> Iterator[Audio]:
    """`audio` in pieces of one message."""
    for begin in range(0, audio.frames, MESSAGE_FRAMES):
        yield Audio(audio.samples[begin : begin + MESSAGE_FRAMES], audio.start + begin, audio.rate)
