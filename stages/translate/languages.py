"""Which language pairs the offline engine can do, by which route, and how well: shown by `dragoman languages`.

A route is what recognises, what translates and what speaks. The quality is what was measured: `good`, `fair`
(understandable, with errors), `experimental` (it runs; often wrong, or not verified).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from stages.languages import LANGUAGES, base, canonical
from stages.models.bergamot import DIRECTIONS
from stages.models.speakers import BEST

__all__ = ["Quality", "Route", "route", "table"]

Quality = Literal["good", "fair", "experimental", "as good as the model"]
Task = Literal["transcribe", "translate"]


@frozen
class Route:
    """How `source` becomes `target`.

    `task`: what the recogniser does, `translate` being Whisper's own translation into English. `pivot`: the
    language that `mt` then translates from; None where nothing is left to translate.
    """

    source: str
    target: str
    task: Task
    pivot: str | None
    quality: Quality
    voice: str

    @property
    def steps(self) -> str:
        """The route in words, such as `Whisper → Bergamot en-pt → voice pf_dora`."""
        heard = "Whisper" if self.task == "transcribe" else "Whisper's translation"
        mt = [] if self.pivot is None else [f"{base(self.pivot)}-{base(self.target)} translation"]
        return " → ".join([heard, *mt, f"voice {self.voice}"])

    @property
    def extras(self) -> Sequence[str]:
        """The parts of dragoman that it needs."""
        return ("local",) if self.voice == "heart" else ("local", "voices")

    @property
    def install(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'dragoman[{','.join(self.extras)}]'"


# Measured on recordings: chrF of es-en 47, of fr-en 39 through Whisper's own translation; English and Portuguese
# judged good, sentence by sentence. The others run, and were often wrong; Arabic and Korean are not verified.
_QUALITY: dict[tuple[str, str], Quality] = {
    ("en", "pt"): "good",
    ("pt", "en"): "good",
    ("es", "en"): "fair",
    ("fr", "en"): "fair",
    ("es", "pt"): "fair",
}


def route(source: str, target: str, *, own_translation: bool = False) -> Route:
    """How to get from `source` (a tag, or `auto`) to `target`; `own_translation`: with a model of the user's.

    Raises: ValueError for an unknown tag, and for a pair without a route, with the pairs that there are.
    """
    comes_from = "auto" if source.strip().lower() == "auto" else canonical(source)
    goes_to = canonical(target)
    if own_translation and comes_from == "auto":
        raise ValueError(
            "a translation model of your own needs to know the language: source_language: auto will not do"
        )
    if own_translation:
        voice = BEST.get(base(goes_to), "espeak")
        return Route(comes_from, goes_to, "transcribe", comes_from, "as good as the model", voice)
    found = _packaged(comes_from, goes_to)
    if found is None:
        raise ValueError(_refusal(comes_from, goes_to))
    return found


def table() -> Sequence[Route]:
    """Every pair of the fourteen languages that can be done, the best first."""
    pairs = [(source, target) for source in LANGUAGES for target in LANGUAGES if base(source) != base(target)]
    found = [way for pair in pairs if (way := _packaged(*pair)) is not None]
    order: Sequence[Quality] = ("good", "fair", "experimental")
    return sorted(found, key=lambda way: order.index(way.quality))


def _packaged(source: str, target: str) -> Route | None:
    """The route by the models that come in packages, for tags in their usual form; None where there is none."""
    pair = base(source), base(target)
    voice = BEST.get(pair[1], "espeak")
    if pair[0] == pair[1]:
        return Route(source, target, "transcribe", None, "good", voice)
    quality = _QUALITY.get(pair, "experimental")
    if pair in DIRECTIONS:
        return Route(source, target, "transcribe", source, quality, voice)
    if pair[1] == "en":
        return Route(source, target, "translate", None, quality, voice)
    if ("en", pair[1]) in DIRECTIONS:
        return Route(source, target, "translate", "en-us", quality, voice)
    return None


def _refusal(source: str, target: str) -> str:
    sure = [way for way in table() if way.quality != "experimental"]
    told = dict.fromkeys(f"{base(way.source)} to {base(way.target)} ({way.quality})" for way in sure)
    pairs = ", ".join(told)
    return (
        f"no route from {source} to {target}: there is {pairs}; experimental: any language to en-us, en-gb or "
        "pt-br; for any other pair give `mt_model`, the folder of a CTranslate2 translation model"
    )
