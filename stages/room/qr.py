"""A link as a QR code: what a phone's camera reads off a terminal."""

from __future__ import annotations

import io
from importlib.util import find_spec

__all__ = ["MISSING", "can_draw", "qr_code"]

MISSING = "drawing a QR code needs segno: pip install 'dragoman[serve]'"


def can_draw() -> bool:
    """Whether what draws it is installed."""
    return find_spec("segno") is not None


def qr_code(link: str) -> str:
    """`link` as a QR code of half blocks."""
    import segno

    drawn = io.StringIO()
    segno.make(link, error="m", micro=False).terminal(out=drawn, compact=True)
    return drawn.getvalue()
