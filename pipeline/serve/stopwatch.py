"""How long a client waits: from the end of an utterance, as it came, to the first that is told of it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

__all__ = ["Stopwatch"]


@define
class Stopwatch:
    """Told what begins and what is over, by utterance, in any order; tells `seconds` as soon as both are known."""

    came_at: Callable[[int], float | None]
    """When the audio up to a frame had come; None where that is forgotten."""
    seconds: Callable[[str, float], None]
    _began: dict[tuple[str, int], float] = field(init=False, factory=dict)
    _ended: dict[int, int] = field(init=False, factory=dict)

    def begun(self, modality: str, utterance: int, now: float) -> None:
        self._began[modality, utterance] = now
        self._tell(modality, utterance)

    def over(self, utterance: int, frame: int) -> None:
        self._ended[utterance] = frame
        for modality in ("text", "audio"):
            self._tell(modality, utterance)

    def _tell(self, modality: str, utterance: int) -> None:
        """What began before its utterance was over took no time."""
        if utterance not in self._ended or (modality, utterance) not in self._began:
            return
        came, began = self.came_at(self._ended[utterance]), self._began.pop((modality, utterance))
        if came is not None:
            self.seconds(modality, max(0.0, began - came))
