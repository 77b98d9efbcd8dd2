"""The session's state machine for both roles, with no socket in it: frames in, events out, and what may be sent.

The states go one way only. A client: `new` (nothing sent) to `opening` (the first message is out) to `starting`
(the service boots) to `ready` to `closed`. A server: `new` to `opening` (the first message is in) and so on.
Only a `ready` session takes audio. Socket shells call these and do what comes back.
"""

from __future__ import annotations

from typing import Literal

from attrs import define, evolve, field

from stages.translate.realtime.codec import dump_client, dump_server, parse_client, parse_server
from stages.translate.realtime.events import (
    TOLD,
    Acknowledge,
    Append,
    ClientMessage,
    Closed,
    ErrorEvent,
    Event,
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
)

__all__ = ["ClientProtocol", "ServerProtocol", "State"]

State = Literal["new", "opening", "starting", "ready", "closed"]


@define
class ClientProtocol:
    """A client's side. `config` is what was asked for, then what the server says is in force.

    With `resume` it asks to go on with a session that was lost; the server may begin another all the same.
    """

    config: SessionConfig
    resume: Resume | None = None
    state: State = field(init=False, default="new")
    session_id: str = field(init=False, default="")
    refused: ErrorEvent | None = field(init=False, default=None)
    """The error that came before the session was ready: the likely reason of a close that follows."""
    resumption: Resumption | None = field(init=False, default=None)
    """How to go on after a cut, where the server offers it."""
    told: int = field(init=False, default=0)
    """Events that came of the session's audio, over all its connections."""
    _acknowledged: int | None = field(init=False, default=None)

    def open(self, api_key: str | None) -> str:
        """The first frame to send, once. Raises LocalProtocolError the second time."""
        if self.state != "new":
            raise LocalProtocolError("the session has been opened already")
        self.state = "opening"
        return dump_client(SessionUpdate(opening=self.config, api_key=api_key, resume=self.resume))

    def acknowledge(self) -> str | None:
        """The frame that says how much has come, to a server that wants to know; None where it knows."""
        if self.resumption is None or self._acknowledged == self.told or self.state != "ready":
            return None
        self._acknowledged = self.told
        return dump_client(Acknowledge(self.told))

    def lost(self) -> Resume | None:
        """What to ask for, over the next connection, in order to go on with this session."""
        if self.resumption is None or self._acknowledged is None:
            return None
        return Resume(self.resumption.token, self.told)

    def send(self, message: ClientMessage) -> str:
        """The frame for `message`. Raises LocalProtocolError where the session cannot take it (now)."""
        if self.state == "closed":
            raise LocalProtocolError("the session is closed")
        if self.state != "ready":
            raise LocalProtocolError("the session is not ready: the service throws away what comes before")
        if isinstance(message, SessionUpdate) and message.opening is not None:
            raise LocalProtocolError("a session is configured once; later only its languages change")
        return dump_client(message)

    def receive(self, frame: str | bytes) -> Event:
        """The event in `frame`. Never raises; an event out of its time is taken as it is."""
        event = parse_server(frame)
        if type(event.payload) in TOLD:
            self.told += 1
        match event.payload:
            case SessionStarting() if self.state == "opening":
                self.state = "starting"
            case SessionCreated(id=name, session=session, resume=resumption) if self.state != "closed":
                self.session_id, self.config, self.state = name, session, "ready"
                self._found(resumption)
            case SessionUpdated(session):
                self.config = session
            case SourceLanguageChanged(language) if self.config.source_language != "auto":
                self.config = evolve(self.config, source_language=language)
            case ErrorEvent() if self.state in ("opening", "starting"):
                self.refused = event.payload
        return event

    def _found(self, resumption: Resumption | None) -> None:
        """Go on counting where a session goes on; a server that goes on knows what has come."""
        self.resumption = resumption
        if resumption is not None and resumption.received is not None and self.resume is not None:
            self.told = self._acknowledged = self.resume.events

    def closed(self, code: int, reason: str) -> Event | None:
        """The event for a socket that has closed; None where it was told already."""
        if self.state == "closed":
            return None
        self.state = "closed"
        return Event(ServerEventType.CLOSED, Closed(code, reason))


@define
class ServerProtocol:
    """A server's side. `config` is None until the first message has come."""

    state: State = field(init=False, default="new")
    config: SessionConfig | None = field(init=False, default=None)

    def receive(self, frame: str | bytes) -> ClientMessage | None:
        """The message in `frame`, or None for one that is to be ignored (binary ones are no part of the protocol).

        Raises: RemoteProtocolError. Before the session is ready that is a refusal, and the socket closes with
        1008; later the session goes on.
        """
        message = parse_client(frame, opening=self.state == "new")
        if message is None:
            if self.state == "new":
                raise RemoteProtocolError("the first message must be session.update", "session_not_started")
            return None
        if self.state == "new":
            assert isinstance(message, SessionUpdate)
            self.config, self.state = message.opening, "opening"
        elif self.state != "ready":
            what = "audio" if isinstance(message, Append) else "the message"
            raise RemoteProtocolError(f"{what} came before session.created", "session_not_ready")
        return message

    def send(self, payload: Payload) -> str | bytes:
        """The frame for `payload`. Raises LocalProtocolError where it has no place in this state."""
        match payload:
            case SessionStarting() if self.state == "opening":
                self.state = "starting"
            case SessionCreated() if self.state in ("opening", "starting"):
                self.state, self.config = "ready", payload.session
            case SessionUpdated() if self.state == "ready":
                self.config = payload.session
            case ErrorEvent() if self.state != "closed":
                pass
            case SessionStarting() | SessionCreated() | SessionUpdated():
                raise LocalProtocolError(
                    f"{type(payload).__name__} has no place in a session that is {self.state}"
                )
            case _ if self.state != "ready":
                raise LocalProtocolError(f"the session is {self.state}: only errors can be sent")
        return dump_server(payload)

    def closed(self) -> None:
        """The socket has closed."""
        self.state = "closed"
