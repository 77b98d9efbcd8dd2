"""Sound into a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import anyio
from attrs import define, field

from pipeline.caps import AUDIO, AudioCaps, Caps, Port
from pipeline.stage import Inbox, Outbox, between, option
from stages.out_file import probe_file
from stages.sound_file import SoundWriter, rate_problem, sound_name, sound_writer
from stages.timeline import Append, Timeline

__all__ = ["Wav"]


@define(kw_only=True)
class Wav:
    """Write speech into a sound file that is whole at any moment, and, if you like, another sound `under` it.

    Missing audio becomes silence. What a killed process leaves, format by format, stands in `stages.sound_file`.
    """

    path: Path = option(
        help="the file, which is overwritten; its folder must exist. The suffix says the format: "
        ".wav, .flac, .ogg (Vorbis), .opus or .mp3",
        check=sound_name,
        example="translated.wav",
        opens="writes",
    )
    layout: Literal["append", "timeline"] = option(
        "append",
        help="`append`: the speech back to back. `timeline`: each utterance at the time it was spoken, so that it "
        "fits the picture; late ones are pushed, none is overlapped or cut",
    )
    duck_db: float = option(
        -12.0,
        help="how many decibels louder or softer `under` is while there is speech",
        check=between(-96, 0, "dB"),
    )
    _layout: Append | Timeline | None = field(init=False, default=None)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO), "under": Port(AUDIO, optional=True)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        speech, bed = caps.get("in"), caps.get("under")
        if isinstance(speech, AudioCaps) and (problem := rate_problem(self.path, speech.rate_hz)):
            raise ValueError(problem)
        if bed is not None and self.layout != "timeline":
            raise ValueError("`under` lies under speech at its own time: set `layout: timeline`")
        if isinstance(speech, AudioCaps) and isinstance(bed, AudioCaps):
            _check_fit(speech, bed)
        return {}

    def probe(self) -> None:
        """Raises: StageError where the file cannot be written."""
        probe_file(self.path)

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        with sound_writer(self.path, inbox) as sound:
            if self.layout == "append":
                self._layout = append = Append()
                async for item in inbox["in"]:
                    await sound.write_all(append.feed(item))
                await sound.write_all(append.flush())
            else:
                self._layout = timeline = Timeline("under" in inbox.ports, self.duck_db)
                await _mix(inbox, timeline, sound)

    def counts(self) -> Mapping[str, int]:
        return self._layout.counts() if self._layout else {}


async def _mix(inbox: Inbox, timeline: Timeline, sound: SoundWriter) -> None:
    """Speech and bed in a task each: a source that feeds both must never wait for one because of the other."""

    async def bed() -> None:
        async for item in inbox["under"]:
            await sound.write_all(timeline.feed_bed(item))
        await sound.write_all(timeline.end_bed())

    try:
        async with anyio.create_task_group() as tasks:
            if timeline.with_bed:
                tasks.start_soon(bed)
            async for item in inbox["in"]:
                await sound.write_all(timeline.feed(item))
            await sound.write_all(timeline.end_speech())
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None


def _check_fit(speech: AudioCaps, bed: AudioCaps) -> None:
    """Raises: ValueError where `speech` cannot lie over `bed`."""
    if speech.rate_hz and bed.rate_hz and speech.rate_hz != bed.rate_hz:
        raise ValueError(
            f"`in` and `under` must have the same rate, not {speech.rate_hz} and {bed.rate_hz} Hz: "
            f"put a `resample` before `under`: {{use: resample, rate: {speech.rate_hz}}}"
        )
    if speech.channels and bed.channels and speech.channels not in (1, bed.channels):
        raise ValueError(
            f"`in` must be mono, or have the {bed.channels} channels of `under`, not {speech.channels}: "
            f"put a `resample` before `under`: {{use: resample, channels: {speech.channels}}}"
        )
