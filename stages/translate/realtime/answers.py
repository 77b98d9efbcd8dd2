"""From a service's events to what is handed on: which sound an answer is about, and what was given before.

An answer is what a service says about one utterance: a transcript, and a response of text and speech. Its parts
do not name each other. They are put together by the order that the protocol promises: responses do not
interleave. So a second text (or speech) opens the next answer, and closes the one before.

Where an answer lies. Our own server tells (`start_frame`, `end_frame`, in the frames of its session). Of others
it is an estimate: from the next sound behind the last answer to the end of that stretch, or to the end of a
later one that is old enough to be answered. It errs to the early side, and what is kept to be sent again reaches
back one answer more: what is believed unanswered is said twice at worst, what is believed answered is lost.

After a cut the next session hears again what was not answered whole. Its answers are matched with what the
last one said: by their places where both are known, else by their words, else by their order. Until that is
settled an answer is held; then texts that were given are passed over, and speech goes on at the sample where it
stopped. What matches nothing is new.

What comes before there is a target language is only transcribed. The sound of that is kept, as far as the window
reaches, and once there is one the session is sent it again (`say_again`): to it that is speech like any other,
and here it is heard again as after a cut.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from pipeline.items import Mark, MarkKind
from stages.translate.realtime.answer import Answer, Given, alike
from stages.translate.realtime.events import (
    SAMPLE_RATE_HZ,
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

__all__ = ["PORTS", "AnswerPart", "Answers"]

AnswerPart = TranscriptDelta | TranscriptCompleted | TextDelta | TextDone | AudioDelta | AudioDone

PORTS = ("audio", "text", "transcript")
NEAR_FRAMES = SAMPLE_RATE_HZ // 2
"""Two sessions, which began in different places, may hear the end of one utterance so far apart."""
MARGIN_FRAMES = SAMPLE_RATE_HZ // 4
"""What is sent again begins so much before the first word."""
RECENT = 8
"""Answers without places that a session may give again: an estimate can lag behind by a few."""
HELD_BYTES, HELD_EVENTS = 60 * SAMPLE_RATE_HZ * 2, 10_000
"""Speech, and events, held at most while it is not known which answer they are of."""


@define
class Answers:
    """`begin` a session, `take` its events, `cut` it; at the end of all, `finish`. Each gives what to hand on.

    A session that was cut may turn out not to be over: then `go_on` with it instead.

    `wanted` says which parts of a response were asked for (`text`, `audio`); with neither, a transcript alone is
    an answer. What is answered is covered in `replay`.
    """

    replay: Replay
    hearing: Hearing
    source_language: str
    target_language: str
    wanted: frozenset[str]
    translated_from: int = 0
    """Utterances that begin before this position are only transcribed: there was no target language yet."""
    untranslated: int = field(init=False, default=0)
    """How many of those nobody will translate, as things are."""
    _early: list[Answer] = field(init=False, factory=list)
    """Those that can still be sent again to this session."""
    repeated: int = field(init=False, default=0)
    unfinished: int = field(init=False, default=0)
    exact: bool = field(init=False, default=False)
    """Whether the service tells where its answers lie."""
    _offset: int = field(init=False, default=0)
    _settled: int = field(init=False, default=0)
    utterances: int = field(init=False, default=0)
    _open: list[Answer] = field(init=False, factory=list)
    _earlier: list[Answer] = field(init=False, factory=list)
    """What the sessions before said of the sound that this one hears again."""
    _recent: deque[Answer] = field(init=False, factory=lambda: deque(maxlen=RECENT))
    """Closed in this session."""
    _overlap: int = field(init=False, default=0)
    """The position up to which the sessions before had been sent sound."""
    _seen: set[str] = field(init=False, factory=set)
    _never: frozenset[str] = field(init=False, default=frozenset())
    """Parts that were asked for, and that no response had: some services leave text out."""
    _watermark: int = field(init=False, default=0)
    _out: list[Given] = field(init=False, factory=list)
    _cut: bool = field(init=False, default=False)
    """The last session was lost, and it is not known yet whether it is over."""
    _reached: int = field(init=False, default=0)
    """The position up to which that one had been sent sound."""

    @property
    def outstanding(self) -> bool:
        """Whether an answer has begun that is not complete."""
        return bool(self._open) or not all(self._is_given(answer) for answer in self._earlier)

    def begin(self) -> list[Given]:
        """A session begins, which will be sent what the window holds. Gives a gap for what is lost."""
        if self._cut:
            self._put_back()
        self._give_up(len(self._early))  # unless this session hears them again
        lost_from, lost_to = self.replay.resume()
        self._offset = self.replay.begin
        if lost_to > lost_from:
            self._forget_all([answer for answer in self._earlier if answer.place and _end(answer) <= lost_to])
            gap = Mark(MarkKind.GAP, self.replay.source(lost_from), SAMPLE_RATE_HZ, lost_to - lost_from)
            self._out += [(port, gap) for port in PORTS]
            self._mark()
        return self._taken()

    def take(self, payload: Payload, settled: int) -> list[Given]:
        """An event came. All that was sent before the position `settled` is old enough to be answered."""
        self._settled = settled
        self._drop_early()
        if self._earlier and settled >= self._overlap:
            self._forget_all([answer for answer in self._earlier if not answer.exact])
        match payload:
            case TranscriptDelta() | TranscriptCompleted():
                self._hear(self._transcribed(), payload)
            case TextDelta() | TextDone() if "text" in self.wanted:
                self._hear(self._responding("text", payload), payload)
            case AudioDelta() | AudioDone() if "audio" in self.wanted:
                self._hear(self._responding("audio", payload), payload)
            case SourceLanguageChanged(language):
                self.source_language = language.lower()
        while self._open and self._has_come(self._open[0]):
            self._close(self._open[0])
        return self._taken()

    def rest(self, position: int) -> list[Given]:
        """Nothing sounds before `position` that was not answered."""
        if not self.outstanding and position > self.replay.answered:
            # One whose place is known is not put back by mistake, and its transcript may still come.
            self._recent = deque((answer for answer in self._recent if answer.exact), RECENT)
            self._earlier = [answer for answer in self._earlier if answer.exact]
            self._cover(position, position)
            self._mark()
        return self._taken()

    def cut(self) -> None:
        """The session is lost: what is held has to be sent again, as far as it has not got it."""
        if self._early and not self.exact:  # only by their places are many of them surely known again
            keep = _begin(self._early[-1])
            self._give_up(len(self._early))
            self._cover(self.replay.answered, keep)
        self._cut, self._reached = True, self.replay.sent
        self.replay.rewind()

    def go_on(self, received: int) -> bool:
        """The session that was cut goes on; it has got so many frames. False where what follows is gone."""
        position = self._offset + received
        if not self._cut or position < self.replay.begin:
            return False
        self._cut = False
        self.replay.go_on(position)
        return True

    @property
    def can_say_again(self) -> bool:
        """Whether something was only transcribed and may be sent again now: all that was sent is answered."""
        self._drop_early()
        quiet = not self.hearing.sounding(self.replay.answered, self.replay.sent)
        return bool(self._early) and quiet and not self.outstanding

    def say_again(self, tail: int) -> None:
        """The session, which got `tail` frames beside the window's, is sent again what was only transcribed."""
        got = self.replay.sent - self._offset + tail
        self._reached = self.replay.sent
        self._put_back()
        self.replay.go_on(max(self.replay.begin, _begin(self._early[0]) - MARGIN_FRAMES))
        self._offset = self.replay.sent - got
        self._give_up(len(self._early))  # until they are answered
        self.translated_from = 0

    def _put_back(self) -> None:
        """The next session says again what the last one began, and what is not known to be over."""
        self._cut = False
        self._overlap = max(self._overlap, self._reached)
        begun = [answer for answer in self._open if answer.held is None and answer.begun]
        begun += [answer for answer in self._recent if not answer.exact or _end(answer) > self.replay.begin]
        begun += [answer for answer in self._early if answer not in self._recent]
        for answer in begun:
            answer.again()
        self._earlier = sorted([*self._earlier, *begun], key=lambda answer: answer.number)
        self._open = []
        self._recent.clear()

    def finish(self) -> list[Given]:
        """Nothing more will come."""
        if self._cut:
            self._put_back()
        for answer in [*self._earlier, *self._open]:
            self._forget(answer)
        self._open, self._earlier = [], []
        self._give_up(len(self._early))
        return self._taken()

    # --- which answer a part belongs to

    def _transcribed(self) -> Answer:
        """The first answer without a transcript; one that comes behind its response finds that closed."""
        last = self._recent[-1] if self._recent else None
        if not self._open and last is not None and "transcript" not in last.came | last.given:
            return last
        return next((answer for answer in self._open if "transcript" not in answer.came), None) or self._new()

    def _responding(self, kind: str, payload: Payload) -> Answer:
        """The answer whose response this is a part of; those before it are over."""
        self._seen.add(kind)
        told = self._told(payload)
        there = next((answer for answer in self._open if _is_at(answer, told)), None)
        for answer in [answer for answer in self._open if not answer.passthrough]:
            if kind not in answer.came and there in (None, answer):
                return answer
            self._close(answer)
        return self._translated_after_all(told) or self._new()

    def _translated_after_all(self, told: tuple[int, int] | None) -> Answer | None:
        """The one that a response at `told` is about, where it was taken for one that is only transcribed.

        So it was when the service was behind: it had the target language before it came to that sound.
        """
        known = (early for early in reversed(self._early) if _is_at(early, told))
        answer = next(known, None) if told else next(reversed(self._early), None)
        if answer is None or not self.target_language:
            return None
        self._early.remove(answer)
        self._recent = deque((recent for recent in self._recent if recent is not answer), RECENT)
        self.translated_from = min(self.translated_from, _begin(answer))
        self._open.append(answer)
        return answer

    def _new(self) -> Answer:
        answer = Answer(held=[] if self._earlier else None)
        if answer.held is None:
            self._number(answer)
        self._open.append(answer)
        return answer

    def _number(self, answer: Answer) -> None:
        self.utterances += 1
        answer.number = self.utterances

    # --- whether it was given before

    def _hear(self, answer: Answer, payload: Payload) -> None:
        if answer.held is None:
            self._give(answer, payload)
            return
        answer.held.append(payload)
        known, twin = self._find_twin(answer, payload)
        if known:
            self._settle(answer, twin)

    def _find_twin(self, answer: Answer, payload: Payload) -> tuple[bool, Answer | None]:
        """Whether `payload` tells if this is an answer given before, and which."""
        told = self._told(payload)
        if told is not None:
            near = (earlier for earlier in self._earlier if _is_at(earlier, told))
            return True, next(near, None) or self._first_without_place()
        match payload:
            case TranscriptCompleted(transcript=text):
                return True, self._alike("transcript", text)
            case TextDone(text=text):
                return True, self._alike("text", text)
            case AudioDone():
                return True, next(iter(self._earlier), None)
            case AudioDelta():
                held = sum(len(each.data) for each in answer.held or () if isinstance(each, AudioDelta))
                return held > HELD_BYTES, None
        return len(answer.held or ()) > HELD_EVENTS, None

    def _alike(self, kind: str, text: str) -> Answer | None:
        """The last that said about the same, else the first that did not come so far."""
        told = (earlier for earlier in reversed(self._earlier) if kind in earlier.given)
        same = next((earlier for earlier in told if alike(earlier.said(kind).text, text)), None)
        return same or next((earlier for earlier in self._earlier if kind not in earlier.given), None)

    def _first_without_place(self) -> Answer | None:
        return next((earlier for earlier in self._earlier if not earlier.exact), None)

    def _settle(self, answer: Answer, twin: Answer | None) -> Answer:
        """`answer` is what `twin` was, or it is new; give what was held of it. Returns what takes its place."""
        held, answer.held = answer.held or [], None
        if twin is None:
            self._number(answer)
        else:
            self._forget_all(self._earlier[: self._earlier.index(twin)])
            self._earlier.remove(twin)
            self.repeated += self._is_given(twin)
            self._open[self._open.index(answer)] = answer = twin
        for payload in held:
            self._give(answer, payload)
        return answer

    # --- handing on

    def _give(self, answer: Answer, payload: Payload) -> None:
        """Hand on what is new in `payload`."""
        match payload:
            case TranscriptDelta(delta):
                self._out += answer.partial("transcript", delta, self._span(answer), self.source_language)
            case TextDelta(delta):
                self._out += answer.partial("text", delta, self._span(answer), self.target_language)
            case TranscriptCompleted():
                self._place(answer, payload)
                self._complete(answer, payload)
            case TextDone(text=text):
                self._place(answer, payload)
                answer.came.add("text")
                self._out += answer.final("text", text, self._span(answer), self.target_language)
            case AudioDelta(data):
                self._place(answer, payload)
                self._silence_others(answer)
                self._out += answer.speech(data, self._span(answer)[0])
            case AudioDone():
                answer.came.add("audio")
                self._out += answer.hush()

    def _complete(self, answer: Answer, payload: TranscriptCompleted) -> None:
        """A transcript; one that needs no translation is its own."""
        answer.came.add("transcript")
        language = (payload.language or self.source_language).lower()
        self._out += answer.final("transcript", payload.transcript, self._span(answer), language)
        answer.passthrough = payload.passthrough
        if payload.passthrough:
            self._out += answer.final("text", payload.transcript, self._span(answer), language)

    def _silence_others(self, speaker: Answer) -> None:
        """One speaks at a time: who was cut off, and is not taken up again, has ended."""
        for answer in [*self._earlier, *self._open]:
            if answer.speaking and answer is not speaker:
                self.unfinished += 1
                self._out += answer.hush()

    def _span(self, answer: Answer) -> tuple[int, int]:
        """The frames of the source's clock between which it lies, as far as is known yet."""
        begin, end = answer.place or (self.hearing.next_sound(self._before(answer)), self.replay.sent)
        start = max(self.replay.source(begin), self._watermark)
        return start, max(start, self.replay.source_end(end))

    # --- where it lies

    def _told(self, payload: Payload) -> tuple[int, int] | None:
        """The place that the service itself tells; no further than it was sent anything."""
        if not isinstance(payload, TranscriptCompleted | TextDone):
            return None
        if payload.start_frame is None or payload.end_frame is None:
            return None
        start, end = (min(max(frame, 0) + self._offset, self.replay.sent) for frame in _range(payload))
        return start, max(start, end)

    def _place(self, answer: Answer, payload: Payload) -> None:
        told = self._told(payload)
        if told is not None:
            answer.place, answer.exact, self.exact = told, True, True
        elif answer.place is None:
            answer.place = self._estimate(self._before(answer))

    def _estimate(self, after: int) -> tuple[int, int]:
        end = max(self.hearing.end(after, by=self.replay.sent), self.hearing.last_over(by=self._settled))
        return min(self.hearing.next_sound(after), end), end

    def _before(self, answer: Answer) -> int:
        """Where the answers before it end."""
        ends = [self.replay.answered]
        for other in self._open:
            if other is answer:
                break
            ends.append(_end(other))
        return max(ends)

    # --- what is over

    def _has_come(self, answer: Answer) -> bool:
        """Whether all of it has come that will."""
        if answer.held is not None:
            return False
        if self._is_transcript_alone(answer):
            return "transcript" in answer.came
        return self.wanted - (self._never - self._seen) <= answer.came

    def _is_given(self, answer: Answer) -> bool:
        wanted = {"transcript"} if self._is_transcript_alone(answer) else self.wanted
        return wanted <= answer.given

    def _is_transcript_alone(self, answer: Answer) -> bool:
        """Whether no response is to be expected for it."""
        early = answer.place is not None and answer.place[0] < self.translated_from
        return answer.passthrough or not self.wanted or early

    def _close(self, answer: Answer) -> None:
        """It is over; what it was about is answered."""
        if answer.held is not None:
            answer = self._settle(answer, next(iter(self._earlier), None))
        self._open.remove(answer)
        self._forget(answer)
        if answer.came & self.wanted:
            self._never = self.wanted - self._seen
        before = self.replay.answered
        answer.place = answer.place or self._estimate(before)
        self.untranslated -= answer.untranslated
        answer.untranslated = False
        alone = bool(self.wanted) and not answer.passthrough and not answer.given & self.wanted
        if alone and self._is_transcript_alone(answer):
            self._early.append(answer)
        end = answer.place[1]
        self._cover(end, end if answer.exact else min(before, end))
        self._recent.append(answer)
        new = end >= self._overlap
        self._forget_all([each for each in self._earlier if (_end(each) <= end if each.exact else new)])
        self._mark()

    def _cover(self, end: int, keep: int) -> None:
        """What lies before `end` is answered. Hold on to what comes after `keep`, or may be sent again."""
        self.replay.cover(end, min([keep, *(_begin(answer) - MARGIN_FRAMES for answer in self._early[:1])]))

    def _drop_early(self) -> None:
        """Do without those whose sound the window has let go."""
        self._give_up(sum(_begin(answer) < self.replay.begin for answer in self._early))

    def _give_up(self, many: int) -> None:
        """The first so many of those that are only transcribed stay so, unless they are answered once more."""
        for answer in self._early[:many]:
            answer.untranslated = True
        self.untranslated += many
        del self._early[:many]

    def _forget(self, answer: Answer) -> None:
        """Nothing more will come of it."""
        self.unfinished += not self._is_given(answer)
        if answer.speaking:
            self._out += answer.hush()

    def _forget_all(self, answers: list[Answer]) -> None:
        for answer in answers:
            self._earlier.remove(answer)
            self._forget(answer)

    def _mark(self) -> None:
        """Tell how far all is answered, between two utterances."""
        waiting = [
            answer for answer in [*self._earlier, *self._open] if answer.begun and not self._is_given(answer)
        ]
        if any(answer.speaking for answer in waiting):
            return
        starts = [answer.place[0] for answer in waiting if answer.place]
        frame = self.replay.source(min([self.replay.answered, *starts]))
        if frame > self._watermark:
            self._watermark = frame
            self._out += [(port, Mark(MarkKind.WATERMARK, frame, SAMPLE_RATE_HZ)) for port in PORTS]

    def _taken(self) -> list[Given]:
        out, self._out = self._out, []
        return out


def _begin(answer: Answer) -> int:
    return answer.place[0] if answer.place else 0


def _end(answer: Answer) -> int:
    return answer.place[1] if answer.place else 0


def _is_at(answer: Answer, told: tuple[int, int] | None) -> bool:
    return told is not None and answer.exact and abs(_end(answer) - told[1]) <= NEAR_FRAMES


def _range(payload: TranscriptCompleted | TextDone) -> tuple[int, int]:
    return payload.start_frame or 0, payload.end_frame or 0
