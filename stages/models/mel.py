"""Whisper's log-mel spectrogram in numpy.

The constants are those of Whisper's published front end (openai/whisper, `whisper/audio.py`): 16 kHz, a Hann
window of 400 samples every 160, mel bands on Slaney's scale with Slaney's normalisation, 8 decades of range.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FRAMES_PER_SECOND", "RATE", "log_mel", "mel_filters"]

RATE = 16000
WINDOW = 400
HOP = 160
FRAMES_PER_SECOND = RATE // HOP

Floats = NDArray[np.float32]


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale: linear to 1 kHz (15 mel), then 27 mel for each factor of 6.4."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def mel_filters(bands: int) -> Floats:
    """Triangular filters of equal area, shape (bands, 201), from 0 to 8 kHz."""
    top = 15 + 27 * np.log(8) / np.log(6.4)
    corners = _hz(np.linspace(0, top, bands + 2))
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    area = 2 / (corners[2:] - corners[:-2])
    return (np.maximum(0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32)


def log_mel(sound: Floats, filters: Floats) -> Floats:
    """The spectrogram of mono `sound` (full scale 1.0, at least 201 samples): (bands, len(sound) // 160)."""
    padded = np.pad(sound.astype(np.float32, copy=False), WINDOW // 2, mode="reflect")
    hann = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(sound) // HOP]
    power = np.abs(np.fft.rfft(frames * hann)).astype(np.float32) ** 2
    decades = np.log10(np.maximum(filters @ power.T, 1e-10))
    limited = np.maximum(decades, decades.max() - 8)
    return np.ascontiguousarray((limited + 4) / 4, dtype=np.float32)
