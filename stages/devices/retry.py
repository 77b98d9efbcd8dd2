"""When to try a device again that went away, and what to say of it meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

__all__ = ["Retry"]

_FIRST_S = 0.25
_LONGEST_S = 4.0
"""Soon enough for somebody who has just plugged it in again."""


@define
class Retry:
    """Delays that grow from a quarter of a second to four, and a `status` to show; empty while all is well.

    `changed` is called when it is lost, and when it is back.
    """

    changed: Callable[[], None] = field(default=lambda: None, repr=False, eq=False)
    status: str = field(init=False, default="")
    lost: str = field(init=False, default="")
    """What is lost, and why, without when it is tried again."""
    _what: str = field(init=False, default="")
    _delay_s: float = field(init=False, default=_FIRST_S)

    @property
    def trying(self) -> bool:
        """Whether it is lost, and not back yet."""
        return bool(self._what)

    def begin(self, what: str, why: str) -> None:
        """`what` was lost."""
        known = self.trying
        if not known:
            self._delay_s = _FIRST_S
        self._what = what
        self.failed(why)
        if not known:
            self.changed()

    def failed(self, why: str) -> None:
        """It cannot be opened."""
        self.lost = f"lost the {self._what}: {why}"
        self.status = f"{self.lost}; trying again every {self._delay_s:g} s"

    def next_delay_s(self) -> float:
        """How long to wait now."""
        delay_s, self._delay_s = self._delay_s, min(2 * self._delay_s, _LONGEST_S)
        return delay_s

    def end(self) -> None:
        """It is back."""
        if self.trying:
            self._what = self.lost = self.status = ""
            self.changed()
