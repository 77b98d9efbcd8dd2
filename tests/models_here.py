"""Skips a test, saying so, where the offline engine's packages are missing."""

from __future__ import annotations

import importlib.util

import pytest

__all__ = ["needs"]


def needs(*packages: str) -> None:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: pip install 'dragoman[local,voices]'")
