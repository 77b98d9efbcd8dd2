"""What went wrong in a run, one line each, with the stage and its place in the graph."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence

from attrs import frozen

from pipeline.cli.exits import Exit
from pipeline.stage import StageError

__all__ = ["Told", "tell"]

_NOTE = re.compile(r"in stage '(?P<stage>[^']+)'(?: \((?P<place>.+)\))?")
"""What the runner notes on a stage's exception."""


@frozen
class Told:
    """A fault for the user: one `line`, the exit `code`, and the traceback for whoever mends the stage."""

    line: str
    code: int
    traceback: str


def tell(fault: Exception) -> Told:
    """What to say of an exception that a run raised.

    A StageError says it itself, an OSError and a missing package are the world's doing; anything else is a
    mistake in the stage.
    """
    stage, place = _origin(getattr(fault, "__notes__", ()))
    what, code = _what(fault)
    line = ": ".join(part for part in (stage, what) if part) + (f" ({place})" if place else "")
    if not isinstance(fault, StageError | OSError | ModuleNotFoundError):
        line += f"; this is a bug in {f'the stage {stage}' if stage else 'dragoman'}: --traceback shows it"
    return Told(line, code, "".join(traceback.format_exception(fault)))


def _origin(notes: Sequence[str]) -> tuple[str, str]:
    for note in notes:
        if match := _NOTE.fullmatch(note):
            return match["stage"], match["place"] or ""
    return "", ""


def _what(fault: Exception) -> tuple[str, int]:
    if isinstance(fault, StageError):
        return str(fault), fault.code
    if isinstance(fault, OSError) and fault.strerror:
        file = f"{fault.filename}: " if fault.filename else ""
        return f"{file}{fault.strerror.lower()}", Exit.FAILED
    if isinstance(fault, ModuleNotFoundError):
        return f"the package {fault.name} is not installed: `dragoman doctor` says what to install", Exit.FAILED
    text = " ".join(str(fault).split())
    return f"{type(fault).__name__}{': ' if text else ''}{text}", Exit.FAILED
