"""What the two sides of the realtime protocol say to each other: typed values, no wire and no socket.

Adding a server event takes one member of `ServerEventType`, one payload here, and one line in `codec.PARSERS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import field, frozen

__all__ = [
    "SAMPLE_RATE_HZ",
    "TOLD",
    "Acknowledge",
    "Append",
    "AudioDelta",
    "AudioDone",
    "ClientMessage",
    "Closed",
    "ErrorEvent",
    "Event",
    "IgnoreForDetection",
    "LocalProtocolError",
    "Payload",
    "RemoteProtocolError",
    "Resume",
    "Resumption",
    "ServerEventType",
    "SessionConfig",
    "SessionCreated",
    "SessionStarting",
    "SessionUpdate",
    "SessionUpdated",
    "SourceLanguageChanged",
    "SwitchConfirmationRequested",
    "TextDelta",
    "TextDone",
    "TranscriptCompleted",
    "TranscriptDelta",
]

SAMPLE_RATE_HZ = 24000
"""PCM16 little-endian mono, both ways."""


class LocalProtocolError(Exception):
    """What we were asked to send is against the protocol."""


class RemoteProtocolError(Exception):
    """What the other side sent is against the protocol: `code` to branch on, `param` the field at fault."""

    def __init__(self, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


# --- a server's events ------------------------------------------------------------


class ServerEventType(StrEnum):
    """What a server tells, by its name on the wire."""

    SESSION_STARTING = "session.starting"
    SESSION_CREATED = "session.created"
    SESSION_UPDATED = "session.updated"
    TRANSCRIPT_DELTA = "conversation.item.input_audio_transcription.delta"
    TRANSCRIPT_COMPLETED = "conversation.item.input_audio_transcription.completed"
    TEXT_DELTA = "response.text.delta"
    TEXT_DONE = "response.text.done"
    AUDIO_DELTA = "response.audio.delta"
    AUDIO_DONE = "response.audio.done"
    SOURCE_LANGUAGE_CHANGED = "session.source_language_changed"
    SWITCH_CONFIRMATION_REQUESTED = "session.source_language_switch_confirmation_requested"
    ERROR = "error"
    CLOSED = "Closed"
    """Made up by a client when its socket closes; never sent, and ignored if it comes."""


@frozen
class SessionConfig:
    """The configuration of a session. `target_language` is empty while an automatic session has none."""

    source_language: str
    target_language: str = ""
    output_modalities: Sequence[str] = ("text", "audio")
    mode: str = "fast"
    voice_id: int | None = None
    speaker_setup: str | None = None
    source_language_candidates: Sequence[str] = ()


@frozen
class SessionStarting:
    """The service boots; audio has to wait."""


@frozen
class Resumption:
    """What our own server offers, and other clients ignore: to go on after a cut.

    Who comes back with `token` before long gets the session that was lost. `received` is then how many frames
    the server has got of it; None in a session that begins.
    """

    token: str = field(repr=False)
    received: int | None = None


@frozen
class SessionCreated:
    """Authorised, and ready for audio."""

    id: str
    session: SessionConfig
    resume: Resumption | None = None


@frozen
class SessionUpdated:
    """The whole configuration that is in force."""

    session: SessionConfig


@frozen
class TranscriptDelta:
    """More of what is being said; deltas add up until the utterance's `TranscriptCompleted`."""

    delta: str


@frozen
class TranscriptCompleted:
    """What was said. The positions, in frames at 24 kHz, come from our own server only.

    `item_id`, `language` (None: too short to tell) and `passthrough` (it was in the target language already,
    and is neither translated nor spoken) come in automatic sessions only.
    """

    transcript: str
    item_id: str | None = None
    language: str | None = None
    passthrough: bool = False
    start_frame: int | None = None
    end_frame: int | None = None


@frozen
class TextDelta:
    """More of the translation; deltas add up within a response."""

    delta: str


@frozen
class TextDone:
    """The whole translation of one response. The positions come from our own server only."""

    text: str
    start_frame: int | None = None
    end_frame: int | None = None


@frozen
class AudioDelta:
    """Spoken translation as PCM bytes; a chunk may be odd, so carry the last byte over."""

    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")


@frozen
class AudioDone:
    """All of one response has been spoken."""


@frozen
class SourceLanguageChanged:
    """What is spoken was detected, has switched, or was set."""

    language: str
    previous_language: str | None = None


@frozen
class SwitchConfirmationRequested:
    """A known speaker seems to speak the target language: `update_languages(source_language=...)` confirms it."""

    language: str


@frozen
class ErrorEvent:
    """What went wrong: `code` to branch on (None from a client's own handler), `message` to show."""

    message: str
    code: str | None = None
    error_type: str | None = None
    param: str | None = None


@frozen
class Closed:
    """The socket is closed."""

    code: int
    reason: str = ""


Payload = (
    SessionStarting
    | SessionCreated
    | SessionUpdated
    | TranscriptDelta
    | TranscriptCompleted
    | TextDelta
    | TextDone
    | AudioDelta
    | AudioDone
    | SourceLanguageChanged
    | SwitchConfirmationRequested
    | ErrorEvent
    | Closed
)


@frozen
class Event:
    """One message of a server. `type` is a plain string, and `payload` the raw object, where we do not know it."""

    type: ServerEventType | str
    payload: Payload | Mapping[str, Any]


TOLD: frozenset[type] = frozenset(
    {
        TranscriptDelta,
        TranscriptCompleted,
        TextDelta,
        TextDone,
        AudioDelta,
        AudioDone,
        SourceLanguageChanged,
        SwitchConfirmationRequested,
    }
)
"""What comes of a session's audio: the events that both sides count, so that after a cut none comes twice."""


# --- a client's messages ----------------------------------------------------------


@frozen
class Resume:
    """To go on with the session of `token`, of which the client has got so many `events`."""

    token: str = field(repr=False)
    events: int


@frozen
class SessionUpdate:
    """Opens a session (`opening`: with its whole configuration), or changes languages later (None: as it is).

    `resume` only where our own server has offered it: it goes on with a lost session, or else opens this one.
    """

    source_language: str | None = None
    target_language: str | None = None
    opening: SessionConfig | None = None
    api_key: str | None = field(default=None, repr=lambda key: "None" if key is None else "***")
    resume: Resume | None = None


@frozen
class Append:
    """More audio: PCM16 little-endian mono at 24 kHz."""

    audio: bytes = field(repr=lambda data: f"<{len(data)} bytes>")


@frozen
class IgnoreForDetection:
    """Do not count the utterance `item_id` towards a change of the source language."""

    item_id: str


@frozen
class Acknowledge:
    """So many `events` have come. Our own server keeps a lost session only for those who send this."""

    events: int


ClientMessage = SessionUpdate | Append | IgnoreForDetection | Acknowledge
