"""Texts that are our own speech, recognised: where its sound alone could not be told for certain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Protocol

from attrs import define, field

from pipeline.caps import TEXT, Caps, Port
from pipeline.items import Text
from pipeline.stage import Stage
from stages.echo.said import Said

__all__ = ["OwnWords"]

_SHARE = 0.7
"""So many of a text's letters were said. What people say comes to 0.5 of what others said, and not more."""
_LIKENESS = 0.45
"""And it sounds like it: unrelated speech as long as a sentence comes to 0.4."""
_LEAST_LETTERS = 8
"""What is shorter than `bom dia!` anybody may say."""


class _Compares(Protocol):
    def likeness(self, start_ms: int, end_ms: int) -> float: ...


@define(kw_only=True)
class OwnWords:
    """Leave out texts that the voices of this graph said of late, if what was heard sounds like what we played.

    The second line behind an `echo_guard`, whose ears it uses. A recogniser that is told to expect another
    language than we speak may give back what we translated, so that what passed here counts as said too.
    """

    guard: _Compares
    _voices: list[Said] = field(init=False, factory=list)
    _passed: Said = field(init=False, factory=Said)
    _left_out: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(TEXT)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": TEXT}

    def meet(self, stages: Mapping[str, Stage]) -> None:
        self._voices = [
            said for stage in stages.values() if isinstance(said := getattr(stage, "said", None), Said)
        ]

    def counts(self) -> Mapping[str, int]:
        return {"texts left out that were our own speech": self._left_out}

    def feed(self, item: Text) -> Iterator[Text]:
        if self._is_ours(item):
            self._left_out += item.final
            return
        if item.final:
            self._passed.note(item.text)
        yield item

    def flush(self) -> Iterator[Text]:
        yield from ()

    def _is_ours(self, item: Text) -> bool:
        if len(item.text) < _LEAST_LETTERS:
            return False
        said = max(each.share(item.text) for each in (self._passed, *self._voices))
        return said >= _SHARE and self.guard.likeness(item.start_ms, item.end_ms) >= _LIKENESS
