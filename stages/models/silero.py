"""Silero's voice activity detector: how likely 32 ms of sound are speech."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from stages.models.weights import SILERO, shared

__all__ = ["RATE", "WINDOW", "Silero", "SpeechSense"]

RATE = 16000
WINDOW = 512
_CONTEXT = 64
"""Samples of the last window that the model hears again."""
_MEMORY = (1, 1, 128)


@define
class Silero:
    """The loaded model, without memory. One thread: a window costs 0.14 ms, and a second thread buys nothing."""

    _session: Any

    @classmethod
    def load(cls) -> Silero:
        return shared("silero", cls._load)

    @classmethod
    def _load(cls) -> Silero:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        return cls(onnxruntime.InferenceSession(SILERO.read(), options, providers=["CPUExecutionProvider"]))

    def run(
        self, sound: NDArray[np.float32], hidden: NDArray[np.float32], cell: NDArray[np.float32]
    ) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
        """The probability for `sound` (context and window), and the memory after it."""
        probability, hidden, cell = self._session.run(None, {"input": sound[None], "h": hidden, "c": cell})
        return float(np.ravel(probability)[0]), hidden, cell


@define
class SpeechSense:
    """The detector with its memory of one stream. Windows are heard one by one, in order."""

    _model: Silero
    _hidden: NDArray[np.float32] = field(init=False, factory=lambda: np.zeros(_MEMORY, np.float32))
    _cell: NDArray[np.float32] = field(init=False, factory=lambda: np.zeros(_MEMORY, np.float32))
    _context: NDArray[np.float32] = field(init=False, factory=lambda: np.zeros(_CONTEXT, np.float32))

    def __call__(self, window: NDArray[np.int16]) -> float:
        """How likely `window` (512 samples at 16 kHz) is speech, from 0 to 1."""
        sound = window.astype(np.float32) / np.float32(32768)
        heard = np.concatenate([self._context, sound])
        probability, self._hidden, self._cell = self._model.run(heard, self._hidden, self._cell)
        self._context = sound[-_CONTEXT:]
        return probability
