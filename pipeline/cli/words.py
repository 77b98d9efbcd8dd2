"""Numbers as a person reads them."""

from __future__ import annotations

__all__ = ["clock", "plural", "seconds", "times"]


def clock(seconds: float) -> str:
    """`0:34`, `1:02:03`."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def seconds(value: float) -> str:
    """`0.250 s`, `3.2 s`, `12 s`, `5:12`: three digits that matter."""
    if value >= 60:
        return clock(value)
    return f"{value:.3f} s" if value < 1 else f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def times(value: float) -> str:
    """`5.2x`, `130x`."""
    return f"{value:.0f}x" if value >= 100 else f"{value:.1f}x" if value >= 0.1 else f"{value:.2f}x"


def plural(count: int, word: str) -> str:
    """`1 text`, `3 texts`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
