"""The kinds of stage that a graph can use, by the name after `use:`.

`KINDS` is a mapping that imports a stage's module when it is asked for, and none before. Other packages add
kinds through the entry point group `dragoman.stages`, and an embedder with `KINDS | {"mine": Mine}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from pipeline.stage import StageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["BUILT_IN", "GROUP", "KINDS", "LazyKinds"]

GROUP = "dragoman.stages"
"""The entry point group in which other packages offer their stages: `name = "package.module:Class"`."""

BUILT_IN: Mapping[str, str] = {
    "file": "stages.file:File",
    "microphone": "stages.microphone:Microphone",
    "silence": "stages.silence:Silence",
    "tone": "stages.tone:Tone",
    "resample": "stages.resample:Resample",
    "chunk": "stages.chunk:Chunk",
    "gain": "stages.gain:Gain",
    "mix": "stages.mix:Mix",
    "echo_guard": "stages.echo_guard:EchoGuard",
    "vad": "stages.vad:Vad",
    "asr": "stages.asr:Asr",
    "mt": "stages.mt:Mt",
    "tts": "stages.tts:Tts",
    "translate": "stages.translate:Translate",
    "realtime": "stages.translate.realtime.interpreter:Interpreter",
    "call": "stages.translate.call:Call",
    "speaker": "stages.speaker:Speaker",
    "wav": "stages.wav:Wav",
    "subtitles": "stages.subtitles:Subtitles",
    "post_captions": "stages.post_captions:PostCaptions",
    "jsonl": "stages.jsonl:Jsonl",
    "console": "stages.console:Console",
    "room": "stages.room.sink:RoomSink",
    "tap": "stages.tap:Tap",
}


@frozen(eq=False)
class LazyKinds(Mapping[str, type[Any]]):
    """Stage classes by name, imported when asked for: those of this package, then those of entry points.

    `kinds[name]` raises KeyError where there is no such name, and StageError, naming the package, where what
    is promised cannot be imported.
    """

    built_in: Mapping[str, str]
    group: str = GROUP
    own: Mapping[str, type[Any]] = field(factory=dict)

    def __getitem__(self, name: str) -> type[Any]:
        if name in self.own:
            return self.own[name]
        if name in self.built_in:
            return _built_in(name, self.built_in[name])
        offers = [point for point in self._offers() if point.name == name]
        if not offers:
            raise KeyError(name)
        if len(offers) > 1:
            packages = " and ".join(sorted(_package(point) for point in offers))
            raise StageError(f"{packages} both offer a stage named {name!r}: uninstall one of them", code=2)
        return _imported(offers[0])

    def __contains__(self, name: object) -> bool:
        # Mapping's own would import the stage to find out.
        return name in self.own or name in self.built_in or any(point.name == name for point in self._offers())

    def __iter__(self) -> Iterator[str]:
        offered = sorted(point.name for point in self._offers())
        return iter(dict.fromkeys([*self.built_in, *self.own, *offered]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __or__(self, more: Mapping[str, type[Any]]) -> LazyKinds:
        """These kinds and `more`, which go before those of the same name. Nothing is imported."""
        return LazyKinds(self.built_in, self.group, {**self.own, **more})

    def _offers(self) -> Iterator[EntryPoint]:
        # Imported late: it takes longer than all of a graph's loading, and is rarely needed.
        from importlib.metadata import entry_points

        return iter(entry_points(group=self.group))


def _built_in(name: str, path: str) -> type[Any]:
    module, _, attribute = path.partition(":")
    try:
        return _as_class(getattr(import_module(module), attribute), name)
    except ImportError as broken:
        raise StageError(f"the stage {name!r} cannot be imported: {broken}", code=2) from broken


def _imported(point: EntryPoint) -> type[Any]:
    try:
        found = point.load()
    except Exception as broken:
        # Importing is running somebody's code: whatever it raises is theirs, and is told with their name.
        reason = f"{type(broken).__name__}: {broken}"
        message = f"the stage {point.name!r} of the package {_package(point)} cannot be imported: {reason}"
        raise StageError(message, code=2) from broken
    return _as_class(found, f"{point.name} of the package {_package(point)}")


def _as_class(found: object, name: str) -> type[Any]:
    if not isinstance(found, type):
        raise StageError(f"the stage {name} is no class", code=2)
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value.partition(":")[0].partition(".")[0]


KINDS = LazyKinds(BUILT_IN)
