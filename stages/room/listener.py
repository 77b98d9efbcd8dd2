"""One listener: a bounded edge behind which a phone may be as slow as it likes. Pure; asked for the next frame.

Captions are not queued: a listener is a place in each log that it reads, so what it has not got yet costs
nothing, and what it misses is known by number. Sound is queued, up to a bound; beyond that the oldest goes,
counted and told. Where an utterance begins and ends is reckoned from what is sent: no loss can upset that.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator

from attrs import define, field, frozen

from stages.room.board import Board
from stages.room.captions import Captions
from stages.room.wire import Fault, VoiceEvent, Wish, dump

__all__ = ["BYTES_A_MS", "FRAME_BYTES", "Listener", "Piece"]

BYTES_A_MS = 48
"""PCM16, mono, 24 kHz."""
FRAME_BYTES = 400 * BYTES_A_MS
"""The most that one binary message carries."""
SOUND_LIMIT_MS = 10_000
FAULTS_LIMIT = 8


@frozen(eq=False)
class Piece:
    """Sound of an utterance, at most 400 ms of it, or (empty) its end; one object for all who hear it.

    `sent` is called for each listener that has got it. `spoken_at`: when the last of the words was that it
    translates, if that is known.
    """

    language: str
    utterance: int
    data: bytes
    sent: Callable[[], None] | None = None
    spoken_at: float | None = None


@define
class _Place:
    """How far a listener is in one log."""

    log: Captions
    seq: int
    version: int = 0
    growing: bool = False
    """Whether the page shows a growing line."""


@define(eq=False)
class Listener:
    """What one listener has got and still gets. `ring` is called when there is something new for it."""

    board: Board
    ring: Callable[[], None] = lambda: None
    sound_limit_ms: int = SOUND_LIMIT_MS
    wish: Wish = field(init=False, factory=Wish)
    _version: int = field(init=False, default=0)
    _places: dict[str, _Place] = field(init=False, factory=dict)
    _progress: dict[str, str] = field(init=False, factory=dict)
    _faults: deque[str] = field(init=False, factory=deque)
    _sound: deque[Piece] = field(init=False, factory=deque)
    _bytes: int = field(init=False, default=0)
    _open: tuple[str, int] | None = field(init=False, default=None)
    """The utterance whose sound the page is getting."""
    lost: Counter[str] = field(init=False, factory=Counter)
    """Bytes of sound lost at this edge, in all, by language."""
    _losing: str = field(init=False, default="")
    """The language of which some was lost last."""
    _told_ms: int = field(init=False, default=0)
    """How much of what was lost has been told."""
    _cut: bool = field(init=False, default=False)
    """The end of the open utterance was dropped, or is no longer wanted."""

    @property
    def dropped_ms(self) -> int:
        """Sound lost at this edge, in all."""
        return self.lost.total() // BYTES_A_MS

    # --- what it wants

    def choose(self, wish: Wish, now: float) -> None:
        """Want this from now on. What the room does not know is refused, by a frame; the rest is honoured."""
        known = [tag for tag in wish.languages if self._knows(tag)]
        voice = wish.voice if wish.voice is None or self._speaks(wish.voice) else None
        if voice != self.wish.voice:
            self._sound.clear()
            self._bytes, self._cut = 0, self._open is not None
        after = wish.after if wish.life in (None, self.board.life) else {}
        self._places = {tag: self._place(tag, after.get(tag), now) for tag in known}
        self._progress = {tag: told for tag, told in self._progress.items() if tag in known}
        self.wish = Wish(tuple(known), voice)
        self.ring()

    def complain(self, code: str, message: str) -> None:
        """Tell it of a mistake; where it makes more than it reads, of the newest."""
        self._faults.append(dump(Fault(code, message)))
        if len(self._faults) > FAULTS_LIMIT:
            self._faults.popleft()
        self.ring()

    def _knows(self, tag: str) -> bool:
        if self.board.knows(tag):
            return True
        self.complain("unknown_language", f"this room has no {tag[:40]!r}")
        return False

    def _speaks(self, tag: str) -> bool:
        if any(offer.tag == tag and offer.voice for offer in self.board.languages):
            return True
        self.complain("unknown_voice", f"nobody speaks {tag[:40]!r} in this room")
        return False

    def _place(self, tag: str, after: int | None, now: float) -> _Place:
        """Where to read on: where it says it is, else where it is, else at the newest lines."""
        log = self.board.log(tag)
        if after is not None and after <= log.seq:
            return _Place(log, after)
        if after is None and tag in self._places:
            return self._places[tag]
        return _Place(log, log.first(now))

    # --- what comes

    def hear(self, piece: Piece) -> None:
        """Queue sound that it wants; beyond the bound the oldest goes."""
        self._sound.append(piece)
        self._bytes += len(piece.data)
        while self._bytes > self.sound_limit_ms * BYTES_A_MS:
            self._drop(self._sound.popleft())

    def _drop(self, piece: Piece) -> None:
        self._bytes -= len(piece.data)
        self.lost[piece.language] += len(piece.data)
        self._losing = piece.language
        if not piece.data and (piece.language, piece.utterance) == self._open:
            self._cut = True

    # --- what goes

    def next(self, now: float) -> str | bytes | None:
        """The next frame to send; None where it has everything. Call again once that is sent."""
        if self._version != self.board.version:
            self._version = self.board.version
            return self.board.frame
        if self._faults:
            return self._faults.popleft()
        for tag in self.wish.languages:
            if (frame := self._next_of(tag, now)) is not None:
                return frame
        return self._next_sound(now)

    def _next_of(self, tag: str, now: float) -> str | None:
        told = self.board.progress.get(tag)
        if told is not None and self._progress.get(tag) != told:
            self._progress[tag] = told
            return told
        place = self._places[tag]
        log = place.log
        if (line := log.after(place.seq, now)) is not None:
            place.growing = False
            frame, place.seq = line
            return frame
        if log.growing is not None and place.version != log.version:
            place.version, place.growing = log.version, True
            return log.growing
        if log.growing is None and place.growing:
            place.growing = False
            return log.cleared()
        return None

    def _next_sound(self, now: float) -> str | bytes | None:
        if self._cut:
            return self._end()
        if self.dropped_ms > self._told_ms:
            return self._tell_loss()
        if not self._sound:
            return None
        piece = self._sound[0]
        belongs = (piece.language, piece.utterance)
        if self._open != belongs:
            if self._open is not None:
                return self._end()
            if piece.data:
                self._open = belongs
                behind_ms = None if piece.spoken_at is None else max(0, round(1000 * (now - piece.spoken_at)))
                return dump(VoiceEvent(piece.language, "begin", piece.utterance, behind_ms=behind_ms))
        if not piece.data:
            self._sound.popleft()
            return self._end() if self._open == belongs else self._next_sound(now)
        return b"".join(self._together(belongs))

    def _together(self, belongs: tuple[str, int]) -> Iterator[bytes]:
        """The sound at the front that is of one utterance, as much as fits into one frame."""
        size = 0
        while self._sound and (piece := self._sound[0]).data and (piece.language, piece.utterance) == belongs:
            size += len(piece.data)
            if size > FRAME_BYTES:
                return
            self._sound.popleft()
            self._bytes -= len(piece.data)
            if piece.sent is not None:
                piece.sent()
            yield piece.data

    def _end(self) -> str:
        assert self._open is not None
        language, utterance = self._open
        self._open, self._cut = None, False
        return dump(VoiceEvent(language, "end", utterance))

    def _tell_loss(self) -> str:
        ms, self._told_ms = self.dropped_ms - self._told_ms, self.dropped_ms
        return dump(VoiceEvent(self._losing, "dropped", ms=ms))
