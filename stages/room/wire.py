"""What a room and its listeners say to each other: typed values, to JSON and back. No socket, no state.

Be strict in what is sent and patient with what comes: a listener's message that cannot be read raises WireError
with a code to answer with, and its connection goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
from attrs import field, frozen

__all__ = [
    "Caption",
    "Fault",
    "Missed",
    "Offer",
    "Partial",
    "Preparation",
    "Progress",
    "RoomInfo",
    "State",
    "Told",
    "VoiceEvent",
    "WireError",
    "Wish",
    "dump",
    "parse_wish",
]

MESSAGE_LIMIT = 16_384
"""Characters; a wish for every language there is takes a tenth."""
LANGUAGES_LIMIT = 8
"""How many languages one listener may ask for at once."""
TAG_LIMIT = 40

State = Literal["waiting", "live", "paused", "ended"]
"""Of a room: no speaker yet, somebody speaks, a pause, nothing more comes."""

Preparation = Literal["preparing", "ready", "failed"]
"""How a translation comes on."""


class WireError(Exception):
    """What is wrong with a listener's message: `code` to branch on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# --- what a listener says -----------------------------------------------------------------------------------


@frozen
class Wish:
    """What a listener wants: captions in `languages`, the sound of `voice`, from behind the lines `after`.

    `after` has the last `seq` of each language that it has already, counted in the room's life `life`.
    """

    languages: Sequence[str] = ()
    voice: str | None = None
    after: Mapping[str, int] = field(factory=dict)
    life: str | None = None


def parse_wish(frame: str | bytes) -> Wish:
    """The wish in a listener's `hello` or `choose`. Raises: WireError."""
    raw = _object(frame)
    kind = raw.get("type")
    if kind not in ("hello", "choose"):
        shown = repr(kind[:40]) if isinstance(kind, str) else "a message without a type"
        raise WireError("unknown_message", f"wanted hello or choose, came {shown}")
    voice, life = raw.get("voice"), raw.get("life")
    if voice is not None and not isinstance(voice, str):
        raise WireError("invalid_type", "voice must be a string or null")
    return Wish(
        languages=_languages(raw.get("languages")),
        voice=voice,
        after=_after(raw.get("after")),
        life=life if isinstance(life, str) else None,
    )


def _object(frame: str | bytes) -> Mapping[str, Any]:
    if isinstance(frame, bytes):
        raise WireError("unknown_message", "a listener sends text only")
    if len(frame) > MESSAGE_LIMIT:
        raise WireError("message_too_large", f"a message holds at most {MESSAGE_LIMIT} characters")
    try:
        raw = json.loads(frame)
    except (ValueError, RecursionError):
        raise WireError("invalid_json", "the message is not JSON") from None
    if not isinstance(raw, dict):
        raise WireError("invalid_message", "the message is not a JSON object")
    return raw


def _languages(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise WireError("invalid_type", "languages must be a list of strings")
    if len(value) > LANGUAGES_LIMIT:
        raise WireError("too_many_languages", f"a listener may ask for {LANGUAGES_LIMIT} languages at once")
    return tuple(dict.fromkeys(value))


def _after(value: object) -> Mapping[str, int]:
    """The numbers that are numbers: a page may have kept something odd, and still gets the newest lines."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WireError("invalid_type", "after must be an object of numbers")
    return {
        tag: seq
        for tag, seq in list(value.items())[:LANGUAGES_LIMIT]
        if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 2**53
    }


# --- what a room says ---------------------------------------------------------------------------------------


@frozen
class Offer:
    """A language that a listener may choose. `quality` is "original" for what is spoken."""

    tag: str
    name: str
    dir: Literal["ltr", "rtl"]
    quality: str
    voice: bool


@frozen
class RoomInfo:
    """The room itself: told first, and whenever anything of it changes."""

    title: str
    source: str | None
    languages: Sequence[Offer]
    state: State
    replay_s: float
    life: str
    """A name for this life of the room: what was numbered in another one means nothing in this."""


@frozen
class Caption:
    """A settled line. `seq` grows by exactly 1 a language, from 1 on."""

    language: str
    seq: int
    utterance: int
    text: str
    start_ms: int
    end_ms: int


@frozen
class Partial:
    """The line that is growing; the next one replaces it, and so does a caption. Empty: there is none."""

    language: str
    utterance: int
    text: str


@frozen
class Missed:
    """The lines `first` to `last` are not kept any more."""

    language: str
    first: int
    last: int


@frozen
class Progress:
    """A translation is being started, runs, or could not be started."""

    language: str
    stage: Preparation
    message: str = ""


@frozen
class VoiceEvent:
    """Where the sound of an utterance begins or ends, or how much of it this listener has lost."""

    language: str
    event: Literal["begin", "end", "dropped"]
    utterance: int | None = None
    ms: int | None = None


@frozen
class Fault:
    """What was wrong with a listener's message, or why its connection ends."""

    code: str
    message: str


Told = RoomInfo | Caption | Partial | Missed | Progress | VoiceEvent | Fault


def dump(told: Told) -> str:
    """The text frame that carries `told`."""
    match told:
        case RoomInfo():
            body = {"type": "room", **attrs.asdict(told)}
        case Missed(language, first, last):
            body = {"type": "missed", "language": language, "from": first, "to": last}
        case Progress(language, stage, message):
            body = {"type": stage, "language": language, **({"message": message} if message else {})}
        case _:
            present = {name: value for name, value in attrs.asdict(told).items() if value is not None}
            body = {"type": _TYPES[type(told)], **present}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


_TYPES: Mapping[type, str] = {Caption: "caption", Partial: "partial", VoiceEvent: "voice", Fault: "error"}
