"""Messages of the realtime protocol to typed events and back, for both roles. No socket, no clock, no state.

Be liberal in what is taken and strict in what is sent. Reading a server's message never raises: a known event
that cannot be parsed becomes an `ErrorEvent`, an unknown one keeps its raw form, and the session goes on.
Reading a client's raises `RemoteProtocolError` with the code and the field, for the server to answer with.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from stages.translate.realtime.events import (
    Acknowledge,
    Append,
    AudioDelta,
    AudioDone,
    ClientMessage,
    Closed,
    ErrorEvent,
    Event,
    IgnoreForDetection,
    LocalProtocolError,
    Payload,
    RemoteProtocolError,
    Resume,
    Resumption,
    ServerEventType,
    SessionConfig,
    SessionCreated,
    SessionStarting,
    SessionUpdate,
    SessionUpdated,
    SourceLanguageChanged,
    SwitchConfirmationRequested,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
)

__all__ = [
    "APPEND_LIMIT_BYTES",
    "MESSAGE_LIMIT_BYTES",
    "dump_client",
    "dump_server",
    "parse_client",
    "parse_server",
]

MESSAGE_LIMIT_BYTES = 1 << 20
"""The most that a text message may hold (the vendor's reference)."""
APPEND_LIMIT_BYTES = 256 << 10
"""The most decoded audio in one append (the vendor's reference)."""
RETIRED_MODES = {"iris": "fast", "lilac": "slow", "violet": "slow", "orchid": "slow"}
"""Codenames of the time before modes; clients of that time still send them."""


# --- reading fields ---------------------------------------------------------------------------------------


class _Fields:
    """An object of a message, read field by field; what is missing or of another type is said with its path."""

    def __init__(self, raw: Mapping[str, Any], path: str = "") -> None:
        self.raw = raw
        self.path = path

    def text(self, name: str, default: str | None = None) -> str:
        value = self.raw.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self._wrong(name, "a string", value)
        return _without_surrogates(value)

    def maybe_text(self, name: str) -> str | None:
        return None if self.raw.get(name) is None else self.text(name)

    def maybe_int(self, name: str) -> int | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number", value)
        return value

    def whole(self, name: str) -> int:
        value = self.maybe_int(name)
        if value is None:
            raise self._wrong(name, "a whole number", None)
        return value

    def flag(self, name: str) -> bool:
        value = self.raw.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return bool(value)

    def texts(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        value = self.raw.get(name)
        if value is None:
            return tuple(default)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(name, "a list of strings", value)
        return tuple(_without_surrogates(each) for each in value)

    def inner(self, name: str) -> _Fields:
        value = self.raw.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return _Fields(value, self._full(name))

    def _full(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _wrong(self, name: str, wanted: str, came: object) -> RemoteProtocolError:
        kind = "nothing" if came is None else type(came).__name__
        code = "missing_field" if came is None else "invalid_type"
        return RemoteProtocolError(f"{self._full(name)} must be {wanted}, not {kind}", code, self._full(name))


def _without_surrogates(text: str) -> str:
    """JSON can carry half a surrogate pair; no encoder takes it, so it becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _load(text: str) -> Mapping[str, Any]:
    """The object in `text`. Raises RemoteProtocolError for whatever else is in it."""
    if len(text) > MESSAGE_LIMIT_BYTES:
        raise RemoteProtocolError(f"a message holds at most {MESSAGE_LIMIT_BYTES} bytes", "message_too_large")
    try:
        raw = _JSON.decode(text)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("the message is not JSON", "invalid_json") from None
    if not isinstance(raw, dict):
        raise RemoteProtocolError("the message is not a JSON object", "invalid_message")
    return raw


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)
"""One for all messages: `json.loads` with an argument makes one for each."""


# --- the server's messages, read and written -----------------------------------------------------------------


def _session(fields: _Fields) -> SessionConfig:
    voice = fields.raw.get("voice")
    mode = fields.text("mode", "") or fields.text("model", "") or "fast"
    return SessionConfig(
        source_language=fields.text("source_language"),
        target_language=fields.text("target_language", ""),
        output_modalities=fields.texts("output_modalities", ("text", "audio")),
        mode=RETIRED_MODES.get(mode, mode),
        voice_id=_Fields(voice, "session.voice").maybe_int("voice_id") if isinstance(voice, dict) else None,
        speaker_setup=fields.maybe_text("speaker_setup"),
        source_language_candidates=fields.texts("source_language_candidates"),
    )


def _resumption(raw: Mapping[str, Any]) -> Resumption | None:
    """The offer to go on after a cut. What another service may mean by this name is none."""
    match raw.get("resume"):
        case {"token": str(token), "received": int(received)} if received >= 0:
            return Resumption(token, received)
        case {"token": str(token)}:
            return Resumption(token)
    return None


def _error(fields: _Fields) -> ErrorEvent:
    """Whatever an error looks like, something of it is shown: it may be all that the user learns."""
    raw = fields.raw.get("error")
    inner = raw if isinstance(raw, dict) else {"message": raw if isinstance(raw, str) else "unknown error"}
    told = {name: _without_surrogates(str(inner[name])) for name in _ERROR_FIELDS if inner.get(name) is not None}
    return ErrorEvent(told.get("message", "unknown error"), told.get("code"), told.get("type"), told.get("param"))


_ERROR_FIELDS = ("message", "code", "type", "param")


def _audio(fields: _Fields) -> AudioDelta:
    encoded = fields.text("delta", "") or fields.text("audio", "")
    return AudioDelta(_decode(encoded, "delta"))


def _decode(encoded: str, param: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError(f"{param} must be base64", "invalid_audio", param) from None


def _completed(fields: _Fields) -> TranscriptCompleted:
    return TranscriptCompleted(
        transcript=fields.text("transcript"),
        item_id=fields.maybe_text("item_id"),
        language=fields.maybe_text("language"),
        passthrough=fields.flag("passthrough"),
        start_frame=fields.maybe_int("start_frame"),
        end_frame=fields.maybe_int("end_frame"),
    )


PARSERS: Mapping[ServerEventType, Callable[[_Fields], Payload]] = {
    ServerEventType.SESSION_STARTING: lambda fields: SessionStarting(),
    ServerEventType.SESSION_CREATED: lambda fields: SessionCreated(
        fields.inner("session").text("id", ""), _session(fields.inner("session")), _resumption(fields.raw)
    ),
    ServerEventType.SESSION_UPDATED: lambda fields: SessionUpdated(_session(fields.inner("session"))),
    ServerEventType.TRANSCRIPT_DELTA: lambda fields: TranscriptDelta(fields.text("delta")),
    ServerEventType.TRANSCRIPT_COMPLETED: _completed,
    ServerEventType.TEXT_DELTA: lambda fields: TextDelta(fields.text("delta")),
    ServerEventType.TEXT_DONE: lambda fields: TextDone(
        fields.text("text"), fields.maybe_int("start_frame"), fields.maybe_int("end_frame")
    ),
    ServerEventType.AUDIO_DELTA: _audio,
    ServerEventType.AUDIO_DONE: lambda fields: AudioDone(),
    ServerEventType.SOURCE_LANGUAGE_CHANGED: lambda fields: SourceLanguageChanged(
        fields.text("language"), fields.maybe_text("previous_language")
    ),
    ServerEventType.SWITCH_CONFIRMATION_REQUESTED: lambda fields: SwitchConfirmationRequested(
        fields.text("language")
    ),
    ServerEventType.ERROR: _error,
}
TYPES: Mapping[type, ServerEventType] = {
    SessionStarting: ServerEventType.SESSION_STARTING,
    SessionCreated: ServerEventType.SESSION_CREATED,
    SessionUpdated: ServerEventType.SESSION_UPDATED,
    TranscriptDelta: ServerEventType.TRANSCRIPT_DELTA,
    TranscriptCompleted: ServerEventType.TRANSCRIPT_COMPLETED,
    TextDelta: ServerEventType.TEXT_DELTA,
    TextDone: ServerEventType.TEXT_DONE,
    AudioDelta: ServerEventType.AUDIO_DELTA,
    AudioDone: ServerEventType.AUDIO_DONE,
    SourceLanguageChanged: ServerEventType.SOURCE_LANGUAGE_CHANGED,
    SwitchConfirmationRequested: ServerEventType.SWITCH_CONFIRMATION_REQUESTED,
    ErrorEvent: ServerEventType.ERROR,
    Closed: ServerEventType.CLOSED,
}


def parse_server(frame: str | bytes) -> Event:
    """The event in a server's frame, text or binary. Never raises: what cannot be read is an `ErrorEvent`."""
    if isinstance(frame, bytes):
        return Event(ServerEventType.AUDIO_DELTA, AudioDelta(frame))
    try:
        raw = _load(frame)
        name = raw.get("type")
        known = _PARSERS_BY_NAME.get(name) if isinstance(name, str) else None
        if known is None:
            return Event(_without_surrogates(name) if isinstance(name, str) else "", raw)
        kind, parser = known
        return Event(kind, parser(_Fields(raw)))
    except RemoteProtocolError as wrong:
        return Event(ServerEventType.ERROR, ErrorEvent(str(wrong), wrong.code, "protocol_error", wrong.param))


_PARSERS_BY_NAME = {kind.value: (kind, parser) for kind, parser in PARSERS.items()}


def dump_server(payload: Payload) -> str | bytes:
    """The frame that carries `payload`: binary for audio, else JSON. Raises LocalProtocolError for `Closed`."""
    match payload:
        case Closed():
            raise LocalProtocolError("closing is no message: close the socket")
        case AudioDelta(data):
            if len(data) % 2:
                raise LocalProtocolError("a frame of audio must hold whole samples")
            return data
        case SessionCreated(id=name, session=session):
            # Clients of the time before modes need `model`.
            body: dict[str, Any] = {"session": {"id": name, **_session_json(session), "model": session.mode}}
            if payload.resume is not None:
                body["resume"] = {"token": payload.resume.token}
                if payload.resume.received is not None:
                    body["resume"]["received"] = payload.resume.received
        case SessionUpdated(session):
            body = {"session": _session_json(session)}
        case ErrorEvent():
            which = {"type": payload.error_type or "server_error", "code": payload.code or "internal_error"}
            body = {"error": {**which, "message": payload.message, "param": payload.param}}
        case _:
            named = ((name, getattr(payload, name)) for name in _FIELDS[type(payload)])
            body = {name: value for name, value in named if value is not None}
            if body.get("passthrough") is False and "item_id" not in body:
                del body["passthrough"]
    return _TO_JSON.encode({"type": TYPES[type(payload)].value, **body})


_FIELDS = {payload: [each.name for each in attrs.fields(payload)] for payload in TYPES}
_TO_JSON = json.JSONEncoder(ensure_ascii=False)


def _session_json(session: SessionConfig) -> dict[str, Any]:
    """A session on the wire; what is not set is left out."""
    body: dict[str, Any] = {
        "mode": session.mode,
        "source_language": session.source_language,
        "target_language": session.target_language,
        "output_modalities": list(session.output_modalities),
    }
    if session.speaker_setup is not None:
        body["speaker_setup"] = session.speaker_setup
    if session.source_language_candidates:
        body["source_language_candidates"] = list(session.source_language_candidates)
    if session.voice_id is not None:
        body["voice"] = {"type": "cloned", "voice_id": session.voice_id}
    return body


# --- the client's messages -----------------------------------------------------------------------------------


def dump_client(message: ClientMessage) -> str:
    """The text frame that carries `message`. Raises LocalProtocolError where it says nothing."""
    match message:
        case Append(audio):
            # Put together by hand: base64 needs no escaping, and this is sent ten times a second.
            return f'{{"type":"input_audio_buffer.append","audio":"{base64.b64encode(audio).decode("ascii")}"}}'
        case IgnoreForDetection(item_id):
            return json.dumps({"type": "input_audio_buffer.ignore_for_language_detection", "item_id": item_id})
        case Acknowledge(events):
            return f'{{"type":"session.acknowledge","events":{events}}}'
        case SessionUpdate(opening=None):
            changes = {
                name: value
                for name in ("source_language", "target_language")
                if (value := getattr(message, name)) is not None
            }
            if not changes:
                raise LocalProtocolError("pass source_language, target_language, or both")
            return json.dumps({"type": "session.update", "session": changes})
        case SessionUpdate(opening=session, api_key=key, resume=resume):
            assert session is not None
            body = _session_json(session)
            if not session.target_language:
                del body["target_language"]
            auth = {"auth": {"api_key": key}} if key is not None else {}
            wish = {"resume": {"token": resume.token, "events": resume.events}} if resume is not None else {}
            return json.dumps({"type": "session.update", "session": body, **auth, **wish})


def parse_client(frame: str | bytes, *, opening: bool = False) -> ClientMessage | None:
    """The message in a client's frame; None for a binary frame, which the protocol has none of from a client.

    With `opening`, the first message: it must be a `session.update` with a whole configuration.
    Raises: RemoteProtocolError with the code and the field for what cannot be taken.
    """
    if isinstance(frame, bytes):
        return None
    if not opening and (append := _plain_append(frame)) is not None:
        return append
    fields = _Fields(_load(frame))
    name = fields.text("type")
    if name == "session.update":
        return _opening(fields) if opening else _change(fields.inner("session"))
    if opening:
        raise RemoteProtocolError("the first message must be session.update", "session_not_started", "type")
    if name == "input_audio_buffer.append":
        return _append(fields)
    if name == "input_audio_buffer.ignore_for_language_detection":
        return IgnoreForDetection(fields.text("item_id"))
    if name == "session.acknowledge":
        return Acknowledge(fields.whole("events"))
    raise RemoteProtocolError(f"{name[:100]!r} is no message of a client", "unknown_message", "type")


def _opening(fields: _Fields) -> SessionUpdate:
    auth = fields.inner("auth") if "auth" in fields.raw else _Fields({})
    session = _session(fields.inner("session"))
    return SessionUpdate(opening=session, api_key=auth.maybe_text("api_key"), resume=_resume(fields.raw))


def _resume(raw: Mapping[str, Any]) -> Resume | None:
    """The wish to go on with a lost session; one that is not understood opens a fresh one, as a wrong one does."""
    match raw.get("resume"):
        case {"token": str(token), "events": int(events)} if events >= 0:
            return Resume(token, events)
    return None


def _change(fields: _Fields) -> SessionUpdate:
    change = SessionUpdate(fields.maybe_text("source_language"), fields.maybe_text("target_language"))
    if change.source_language is None and change.target_language is None:
        raise RemoteProtocolError(
            "session must hold source_language or target_language", "missing_field", "session"
        )
    return change


def _plain_append(frame: str) -> Append | None:
    """The commonest message without a detour over JSON; None for whatever is anything else, or wrong.

    Strict base64 has no quote and no backslash, so between this head and this tail nothing else can hide.
    """
    for head in _APPEND_HEADS:
        if frame.startswith(head) and frame.endswith('"}') and len(head) + 2 <= len(frame) <= MESSAGE_LIMIT_BYTES:
            try:
                audio = binascii.a2b_base64(frame[len(head) : -2], strict_mode=True)
            except ValueError:
                return None
            return Append(audio) if len(audio) <= APPEND_LIMIT_BYTES else None
    return None


_APPEND_HEADS = (
    '{"type": "input_audio_buffer.append", "audio": "',
    '{"type":"input_audio_buffer.append","audio":"',
)
"""As the encoders of Python and of JavaScript write it."""


def _append(fields: _Fields) -> Append:
    audio = _decode(fields.text("audio"), "audio")
    if len(audio) > APPEND_LIMIT_BYTES:
        raise RemoteProtocolError(
            f"an append holds at most {APPEND_LIMIT_BYTES} bytes of audio", "append_too_large", "audio"
        )
    return Append(audio)
