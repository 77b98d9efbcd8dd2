"""How patient a server is with whoever connects to it. Counting only: no clock, no socket."""

from __future__ import annotations

from attrs import define, field, frozen

__all__ = ["Manners", "Patience"]


@frozen(kw_only=True)
class Patience:
    """What is borne with. Seconds by the event loop's clock."""

    first_message_s: float = 10.0
    """The vendor's (its reference)."""
    send_s: float = 30.0
    """How long a client may take to read what is sent to it."""
    mistakes: int = 100
    """Messages in error that a client may be ahead of its good ones."""


@define
class Manners:
    """Forgives mistakes, but not without end: every good message makes up for one bad one."""

    limit: int
    _owed: int = field(init=False, default=0)

    def good(self) -> None:
        self._owed = max(0, self._owed - 1)

    def bad(self) -> bool:
        """Count one; whether that was too many."""
        self._owed += 1
        return self._owed > self.limit
