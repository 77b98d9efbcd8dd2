"""What a service has begun to answer and not finished, by the events that came. No clock here, and no socket.

A response may come as text, as speech, or as both, in any order; an utterance may come without a transcript. So
nothing is owed before something was told of it, and a response is answered with whichever of the two ends first.
"""

from __future__ import annotations

from attrs import define, field

from stages.translate.realtime.events import (
    AudioDelta,
    AudioDone,
    Event,
    SessionConfig,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
)

__all__ = ["Outstanding"]


@define
class Outstanding:
    """Tell it of every event; it is true while an end is owed: of a transcript, a text, or their speech."""

    _begun: set[str] = field(init=False, factory=set)
    """What came in part."""
    _transcribed: list[int | None] = field(init=False, factory=list)
    """Where utterances end, as far as the service tells, that were written down and have no response yet."""
    _unspoken: int = field(init=False, default=0)
    """Texts that came before their speech; less than zero: speech that came before its text, or without."""

    def __bool__(self) -> bool:
        return bool(self._begun or self._transcribed) or self._unspoken > 0

    def hear(self, event: Event, config: SessionConfig) -> None:
        """`config` is the one in force."""
        match event.payload:
            case TranscriptDelta():
                self._begun.add("transcript")
            case TextDelta():
                self._begun.add("text")
            case AudioDelta():
                self._begun.add("audio")
            case TranscriptCompleted() as said:
                self._begun.discard("transcript")
                if said.transcript.strip() and config.target_language and not said.passthrough:
                    self._transcribed.append(said.end_frame)
            case TextDone(text, end_frame=end):
                self._begun.discard("text")
                if self._unspoken >= 0:
                    self._answered(end)
                self._unspoken += bool(text.strip()) and "audio" in config.output_modalities
            case AudioDone():
                self._begun.discard("audio")
                if self._unspoken <= 0:
                    self._answered(None)
                self._unspoken -= 1

    def _answered(self, end: int | None) -> None:
        """The oldest utterance has its response; where places are told, so have all up to `end`, or never will."""
        if end is None or None in self._transcribed:
            del self._transcribed[:1]
        else:
            self._transcribed = [each for each in self._transcribed if each is not None and each > end]
