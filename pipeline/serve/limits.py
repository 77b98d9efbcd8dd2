"""How much the server gives to whom, and what it says to those who want more. Counting only: no clock, no socket.

Every limit has its own code. Where the server is full a client may come back later (it closes with 1013);
where a client does what it may not, coming back would not help (1008).
"""

from __future__ import annotations

from collections import Counter

from attrs import define, field, frozen

from stages.patience import Patience
from stages.translate.realtime.events import SAMPLE_RATE_HZ, ErrorEvent

__all__ = ["GOING_AWAY", "LATER", "POLICY", "Admission", "Limits", "Pace", "Refusal"]

POLICY = 1008
"""Close code: against the rules (RFC 6455, 7.4.1)."""
LATER = 1013
"""Close code: try again later (IANA's registry of close codes)."""
GOING_AWAY = 1001
"""Close code: the server ends, or ends this session for its own reasons."""


@frozen(kw_only=True)
class Limits(Patience):
    """The limits of a server. Times by the event loop's clock."""

    sessions: int = 32
    sessions_per_key: int = 8
    sessions_per_address: int = 16
    opening: int = 128
    """Connections that have not said who they are yet."""
    idle_s: float = 300.0
    """A client whose reader died goes on answering pings and says nothing any more."""
    session_s: float = 4 * 3600.0
    ahead_s: float = 60.0
    """Audio faster than real time: twice the replay window that a client re-sends at once after a cut."""
    behind_s: float = 30.0
    """Audio that waits for the engine, before the socket is read no more."""
    patience_s: float = 15.0
    """How long that may last: a client that gets no pong for 20 s gives up by itself."""
    drain_s: float = 10.0
    """How long what is under way may take when a session or the server ends."""
    resume_s: float = 30.0
    """How long the session of a client that was cut off is kept for it; meanwhile it counts as one."""
    resume_bytes: int = 4 << 20
    """How much that it was told, or is to be told, is kept: a minute and a half of speech."""


@frozen
class Refusal(Exception):
    """Why a session cannot be, or cannot go on: the last event that it gets, and its socket's close code."""

    event: ErrorEvent
    close_code: int = POLICY

    def __str__(self) -> str:
        return f"{self.event.code}: {self.event.message}"

    @classmethod
    def of(cls, code: str, message: str, param: str | None = None) -> Refusal:
        """The refusal of what a client may not do."""
        return cls(ErrorEvent(message, code, "invalid_request_error", param))


def full(code: str, message: str) -> Refusal:
    """The refusal of a server that has no room now."""
    return Refusal(ErrorEvent(message, code, "server_error"), LATER)


@define
class Admission:
    """Counts sessions by whose they are. `admit` one, and `leave` with the same names when it is over."""

    limits: Limits
    sessions: int = field(init=False, default=0)
    _keys: Counter[str] = field(init=False, factory=Counter)
    _addresses: Counter[str] = field(init=False, factory=Counter)

    def admit(self, key: str | None, address: str) -> None:
        """Count a session of `key` (None: the server asks for none) from `address`. Raises: Refusal."""
        limits = self.limits
        if self.sessions >= limits.sessions:
            raise full("too_many_sessions", f"all {limits.sessions} sessions of this server are taken")
        if key is not None and self._keys[key] >= limits.sessions_per_key:
            raise full("too_many_sessions_for_key", f"this key has {limits.sessions_per_key} sessions already")
        if self._addresses[address] >= limits.sessions_per_address:
            raise full(
                "too_many_sessions_for_address", f"this address has {limits.sessions_per_address} sessions already"
            )
        self.sessions += 1
        if key is not None:
            self._keys[key] += 1
        self._addresses[address] += 1

    def leave(self, key: str | None, address: str) -> None:
        self.sessions -= 1
        for counter, name in ((self._keys, key), (self._addresses, address)):
            if name is not None:
                counter[name] -= 1
                if not counter[name]:
                    del counter[name]


@define
class Pace:
    """How far the audio of a session is ahead of the clock."""

    limit_s: float
    _begun: float | None = field(init=False, default=None)
    _frames: float = field(init=False, default=0.0)

    def add(self, frames: float, now: float) -> float:
        """Count `frames` at 24 kHz that have come `now`; the seconds that they are ahead. Raises: Refusal.

        Half a sample counts as well, else a flood of them would be none.

        A client that pauses does not save up: it is never more than nothing behind.
        """
        if self._begun is None or now - self._begun > self._frames / SAMPLE_RATE_HZ:
            self._begun, self._frames = now, 0
        self._frames += frames
        ahead_s = self._frames / SAMPLE_RATE_HZ - (now - self._begun)
        if ahead_s > self.limit_s:
            raise Refusal.of(
                "audio_too_fast",
                f"audio came more than {self.limit_s:g} s faster than real time; "
                f"is it PCM16, mono, at {SAMPLE_RATE_HZ} Hz?",
                "audio",
            )
        return ahead_s
