"""What a port carries: audio (rate, channels, block size), text, or either; and how to tell that two do not fit.

`None` in a field means "any" where a stage accepts, and "not known before it runs" where a stage gives.
Accepting a fixed value from a producer that cannot promise one is a mismatch: it would only be found out late.
"""

from __future__ import annotations

from attrs import frozen

__all__ = ["ANY", "AUDIO", "TEXT", "AnyCaps", "AudioCaps", "Caps", "Mismatch", "Port", "TextCaps", "mismatch"]


@frozen
class AudioCaps:
    """Audio at `rate_hz` with `channels`, in blocks of `block_frames`."""

    rate_hz: int | None = None
    channels: int | None = None
    block_frames: int | None = None

    def __str__(self) -> str:
        rate = f"{self.rate_hz} Hz" if self.rate_hz else "any rate"
        channels = {None: "any channels", 1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        blocks = f", blocks of {self.block_frames} frames" if self.block_frames else ""
        return f"audio ({rate}, {channels}{blocks})"


@frozen
class TextCaps:
    """Transcripts or translations."""

    def __str__(self) -> str:
        return "text"


@frozen
class AnyCaps:
    """Audio or text alike."""

    def __str__(self) -> str:
        return "audio or text"


Caps = AudioCaps | TextCaps | AnyCaps
AUDIO = AudioCaps()
TEXT = TextCaps()
ANY = AnyCaps()


@frozen
class Port:
    """An input: what it takes, whether it must be fed (`optional`), and whether `many` edges may end in it."""

    caps: Caps
    many: bool = False
    optional: bool = False


@frozen
class Mismatch:
    """Why an edge cannot be: what was wanted, what came, and what to do about it."""

    wanted: str
    came: str
    remedy: str


def mismatch(wanted: Caps, came: Caps) -> Mismatch | None:
    """None where `came` can flow into a port that takes `wanted`, else the reason."""
    if isinstance(wanted, AnyCaps) or isinstance(came, AnyCaps) or wanted == came:
        return None
    if isinstance(wanted, TextCaps) or isinstance(came, TextCaps):
        return Mismatch(str(wanted), str(came), _other_kind(wanted))
    return _audio_mismatch(wanted, came)


def _other_kind(wanted: Caps) -> str:
    if isinstance(wanted, TextCaps):
        return "read a port that gives text (such as `asr`, or `translate`'s `.text`)"
    return "read a port that gives audio (such as `translate`'s `.audio`, or put a `tts` between them)"


def _audio_mismatch(wanted: AudioCaps, came: AudioCaps) -> Mismatch | None:
    options = []
    if wanted.rate_hz is not None and wanted.rate_hz != came.rate_hz:
        options.append(f"rate: {wanted.rate_hz}")
    if wanted.channels is not None and wanted.channels != came.channels:
        options.append(f"channels: {wanted.channels}")
    if options:
        came_text = str(came).replace("any ", "unknown ")
        return Mismatch(
            str(wanted), came_text, f"put a `resample` between them: {{use: resample, {', '.join(options)}}}"
        )
    if wanted.block_frames is not None and wanted.block_frames != came.block_frames:
        remedy = f"put a `chunk` between them: {{use: chunk, frames: {wanted.block_frames}}}"
        return Mismatch(str(wanted), str(came), remedy)
    return None
