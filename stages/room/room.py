"""A room: whoever speaks is published here, and whoever listens is told. Pure: nothing here waits for anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from attrs import define, field

from pipeline.items import Audio, Text
from stages.captions.text import clean
from stages.room.board import Board
from stages.room.listener import BYTES_A_MS, FRAME_BYTES, Listener, Piece
from stages.room.wire import Caption, Offer, Progress, State, Wish
from stages.translate.agreement import Agreement

__all__ = ["Room"]


@define(eq=False)
class Room:
    """The listeners of a room, and what they are told.

    `changed` is called when somebody comes, goes or wants something else.
    """

    board: Board
    changed: Callable[[], None] = lambda: None
    listeners: set[Listener] = field(init=False, factory=set)
    _lost: Counter[str] = field(init=False, factory=Counter)
    """Bytes of sound lost by listeners who have gone, by language."""
    _agreements: dict[str, Agreement] = field(init=False, factory=dict)

    # --- listeners

    def join(self, listener: Listener) -> None:
        self.listeners.add(listener)
        self.changed()

    def leave(self, listener: Listener) -> None:
        self.listeners.discard(listener)
        self._lost += listener.lost
        self.changed()

    def choose(self, listener: Listener, wish: Wish, now: float) -> None:
        listener.choose(wish, now)
        self.changed()

    def readers(self) -> Mapping[str, int]:
        """How many chose each language: who has the original on, too, counts in the one that it stands beneath."""
        return Counter(listener.wish.languages[0] for listener in self.listeners if listener.wish.languages)

    def captions_wanted(self) -> Mapping[str, int]:
        """How many want the captions of each language; one of them may want several."""
        return Counter(tag for listener in self.listeners for tag in listener.wish.languages)

    def voices_wanted(self) -> Mapping[str, int]:
        """How many hear each language."""
        return Counter(listener.wish.voice for listener in self.listeners if listener.wish.voice is not None)

    def dropped_ms(self) -> Mapping[str, int]:
        """Sound that listeners have lost because they stalled, by language."""
        lost = Counter(self._lost)
        for listener in self.listeners:
            lost += listener.lost
        return {tag: size // BYTES_A_MS for tag, size in lost.items()}

    # --- the room itself

    def change(
        self,
        *,
        source: str | Literal[False] | None = False,
        languages: Sequence[Offer] | None = None,
        state: State | None = None,
    ) -> None:
        """Set what is given, and tell everybody."""
        if self.board.change(source=source, languages=languages, state=state):
            self._ring(self.listeners)

    def tell(self, progress: Progress) -> None:
        """How a translation comes on."""
        self.board.tell(progress)
        self._ring(self._readers(progress.language))

    # --- what is said

    def publish(self, language: str, text: Text, now: float) -> Caption | None:
        """Show `text` in `language`: as a line if it is final, which is then given, else as the growing line.

        Of a line that grows only what two hypotheses in a row agree on is shown: nobody reads words that jump.
        """
        shown, log = clean(text.text), self.board.log(language)
        if not text.final:
            agreement = self._agreements.setdefault(language, Agreement())
            agreement.feed(shown)
            if agreement.settled and log.grow(text.utterance, agreement.settled):
                self._ring(self._readers(language))
            return None
        self._agreements.pop(language, None)
        if not shown:
            self.over(language)
            return None
        caption = log.settle(text.utterance, shown, text.start_ms, text.end_ms, now)
        self._ring(self._readers(language))
        return caption

    def over(self, language: str) -> None:
        """An utterance is over: a line that still grows came to nothing."""
        self._agreements.pop(language, None)
        if self.board.log(language).clear():
            self._ring(self._readers(language))

    def sound(
        self,
        language: str,
        utterance: int,
        audio: Audio,
        sent: Callable[[], None] | None = None,
        spoken_at: float | None = None,
    ) -> None:
        """Let those who want it hear `audio`, mono at 24 kHz; `sent` is called for each who gets its beginning.

        `spoken_at`: when the last of the words was spoken that it translates.
        """
        hearers = self._hearers(language)
        if not hearers:
            return
        data = audio.samples.astype("<i2", copy=False).tobytes()
        for begin in range(0, len(data), FRAME_BYTES):
            piece = Piece(
                language, utterance, data[begin : begin + FRAME_BYTES], None if begin else sent, spoken_at
            )
            for listener in hearers:
                listener.hear(piece)
        self._ring(hearers)

    def silence(self, language: str, utterance: int) -> None:
        """The sound of `utterance` is over."""
        hearers = self._hearers(language)
        for listener in hearers:
            listener.hear(Piece(language, utterance, b""))
        self._ring(hearers)

    def _readers(self, language: str) -> Iterator[Listener]:
        return (listener for listener in self.listeners if language in listener.wish.languages)

    def _hearers(self, language: str) -> Sequence[Listener]:
        return [listener for listener in self.listeners if listener.wish.voice == language]

    @staticmethod
    def _ring(listeners: Iterator[Listener] | Sequence[Listener] | set[Listener]) -> None:
        for listener in listeners:
            listener.ring()
