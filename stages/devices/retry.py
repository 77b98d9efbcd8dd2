"""When to try a device again that went away, and what to say of it meanwhile. Pure."""

from __future__ import annotations

from attrs import define, field

__all__ = ["Retry"]

_FIRST_S = 0.25
_LONGEST_S = 4.0
"""Soon enough for somebody who has just plugged it in again."""


@define
class Retry:
    """Delays that grow from a quarter of a second to four, and a `status` to show; empty while all is well."""

    status: str = field(init=False, default="")
    _what: str = field(init=False, default="")
    _delay_s: float = field(init=False, default=_FIRST_S)

    @property
    def trying(self) -> bool:
        """Whether it is lost, and not back yet."""
        return bool(self._what)

    def begin(self, what: str, why: str) -> None:
        """`what` was lost."""
        if not self.trying:
            self._delay_s = _FIRST_S
        self._what = what
        self.failed(why)

    def failed(self, why: str) -> None:
        """It cannot be opened."""
        self.status = f"lost the {self._what}: {why}; trying again every {self._delay_s:g} s"

    def next_delay_s(self) -> float:
        """How long to wait now."""
        delay_s, self._delay_s = self._delay_s, min(2 * self._delay_s, _LONGEST_S)
        return delay_s

    def end(self) -> None:
        """It is back."""
        self._what = self.status = ""
