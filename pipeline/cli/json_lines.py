"""JSON Lines: what a program reads of a command."""

from __future__ import annotations

import json
from typing import Any, TextIO

from attrs import define

__all__ = ["JsonLines"]


@define
class JsonLines:
    """One JSON object a line, on `stream`; a stream that is not UTF-8 gets escapes."""

    stream: TextIO

    def write(self, kind: str, **told: Any) -> None:
        escape = (self.stream.encoding or "").lower().replace("-", "") != "utf8"
        self.stream.write(json.dumps({"type": kind, **told}, ensure_ascii=escape, default=str) + "\n")
        self.stream.flush()
