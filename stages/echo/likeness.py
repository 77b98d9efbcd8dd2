"""How much what was heard is like what was played: the envelopes of both, whatever the delay and the level."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from stages.echo.bands import BANDS, HOPS_PER_S, Energies

__all__ = ["AHEAD_S", "LATEST_S", "Likeness", "likeness", "unexplained"]

LATEST_S = 0.6
"""So much later than it was said to sound, our own speech may be heard: latencies that no device tells of."""
AHEAD_S = 0.1
"""And so much earlier, where a device tells of more latency than there is."""
_DEPTH = 0.01
"""What is 20 dB below a band's loudest moment is as good as silence: there, rooms and noise make the envelope."""
_SILENCE = 1e-10
_DECAY = 10 ** (-6 / HOPS_PER_S / 0.5)
"""A room that lets a sound die away by 60 dB in half a second."""
_MARGIN = 10**0.8
_LIKE_PEAK = 10**-1.5


@frozen
class Likeness:
    """`score` from -1 to 1, where 1 is the same envelope in every band; `lag` in frames behind the earliest."""

    score: float
    lag: int


def likeness(heard: Energies, played: Energies) -> Likeness:
    """The normalised cross-correlation of the bands' logarithmic envelopes, at the delay where it is highest.

    `played` begins earlier than `heard` and ends later, by what a delay may be. Each band is measured from its
    own mean, so that neither a level nor the colour of a loudspeaker counts.
    """
    length = len(heard)
    if length < 2 or len(played) < length:
        return Likeness(0.0, 0)
    ours, theirs = _envelope(heard), _envelope(played)
    ours -= ours.mean(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(theirs, length, axis=0)
    centred = windows - windows.mean(axis=2, keepdims=True)
    together = np.einsum("lbt,tb->l", centred, ours)
    powers = np.square(centred).sum(axis=(1, 2)) * np.square(ours).sum()
    scores = together / np.sqrt(np.maximum(powers, 1e-9))
    best = int(np.argmax(scores))
    return Likeness(float(scores[best]), best)


def unexplained(heard: Energies, played: Energies, lag: int) -> NDArray[np.bool_]:
    """In which frames of `heard` there is more than what was played, at this lag, can have caused: somebody else.

    Both as for `likeness`. How loud a band of ours is heard is the middle of what it is where we are loud; more
    than 8 dB above that, in half of the bands, and the room's noise, is somebody else.
    """
    before = played[: lag + len(heard)]
    sounding = _dying_away(before)[-len(heard) :]
    direct = before[-len(heard) :]
    gains = np.zeros(BANDS, np.float32)
    for band in range(BANDS):
        loud = direct[:, band] > max(direct[:, band].max() * _LIKE_PEAK, _SILENCE)
        gains[band] = np.median(heard[loud, band] / direct[loud, band]) if loud.any() else 0
    noise = 4 * np.percentile(heard, 10, axis=0) + _SILENCE
    more = heard > _MARGIN * (gains * sounding) + noise
    return np.asarray(more.sum(axis=1) >= BANDS // 2)


def _envelope(energies: Energies) -> NDArray[np.float32]:
    floor = energies.max(axis=0) * _DEPTH + _SILENCE
    return np.asarray(np.log10(energies + floor), np.float32)


def _dying_away(energies: Energies) -> Energies:
    """What a room makes of it: the loudest of three frames, then slowly less."""
    out = np.maximum(energies, np.maximum(np.roll(energies, 1, axis=0), np.roll(energies, -1, axis=0)))
    for frame in range(1, len(out)):
        out[frame] = np.maximum(out[frame], out[frame - 1] * np.float32(_DECAY))
    return out
