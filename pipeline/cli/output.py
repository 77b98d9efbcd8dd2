"""Writing what a command makes: to standard output, or to a file."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.cli.exits import Exit, refuse

__all__ = ["write"]


def write(text: str, path: Path | None) -> None:
    """`text` to the file `path`, or where there is none to standard output. Exits where it cannot be written."""
    if path is None or str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as wrong:
        raise refuse(f"{path}: {(wrong.strerror or str(wrong)).lower()}", Exit.FAILED) from None
    print(f"wrote {path}", file=sys.stderr)
