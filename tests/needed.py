"""Skips a test, saying why, where this machine lacks what it needs. Where CI is set, that is a failure instead."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

__all__ = ["lacking", "needs_programs"]


def lacking(reason: str) -> NoReturn:
    """Skip for `reason`, which says what is missing and how to get it; fail in CI, which must try everything."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has everything, but: {reason}")
    pytest.skip(reason)


def needs_programs(*programs: str, package: str) -> None:
    """Go on where all of `programs` can be run; they come with the system's `package`."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        lacking(f"needs {', '.join(missing)}: apt-get install {package}")
