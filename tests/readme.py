"""The README, for those who try what it shows."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["README", "blocks"]

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Its examples in `language`, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
