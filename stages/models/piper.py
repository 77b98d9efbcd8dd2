"""A Piper voice of the user's own: an .onnx file with its .onnx.json beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define
from numpy.typing import NDArray

from pipeline.stage import StageError
from stages.models.weights import shared

__all__ = ["Piper"]


@define
class Piper:
    """The loaded voice. `speak` blocks and may be called from any thread."""

    _voice: Any
    rate: int

    @classmethod
    def load(cls, path: Path) -> Piper:
        """Raises StageError where `path` is no Piper voice, or the package is missing."""
        return shared(("piper", path), lambda: cls._load(path))

    @classmethod
    def _load(cls, path: Path) -> Piper:
        try:
            import piper
        except ImportError as missing:
            raise StageError("a Piper voice needs piper-tts: pip install 'dragoman[piper]'") from missing
        if not path.with_name(path.name + ".json").is_file():
            raise StageError(f"the Piper voice {path} has no {path.name}.json beside it")
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        broken = (state.InvalidProtobuf, state.InvalidGraph, state.Fail, ValueError, KeyError)
        try:
            voice = piper.PiperVoice.load(str(path))
        except broken as error:
            raise StageError(f"no Piper voice in {path}: {str(error).splitlines()[0]}") from error
        return cls(voice, int(voice.config.sample_rate))

    def speak(self, text: str, speed: float) -> Iterator[NDArray[np.float32]]:
        """`text` as sound at `rate` (full scale 1.0), a sentence at a time."""
        from piper import SynthesisConfig

        for chunk in self._voice.synthesize(text, SynthesisConfig(length_scale=1 / speed)):
            yield np.asarray(chunk.audio_float_array, np.float32)
