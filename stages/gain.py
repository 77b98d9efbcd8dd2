"""Louder or softer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
from attrs import define, field

from pipeline.caps import AUDIO, Caps, Port
from pipeline.items import Audio
from pipeline.stage import between, option

__all__ = ["Gain"]


@define(kw_only=True)
class Gain:
    """Make audio louder or softer by `db` decibels. What would leave full scale is limited to it, and counted."""

    db: float = option(
        help="decibels; 6 doubles the amplitude, -6 halves it", check=between(-96, 48, "dB"), example=-6
    )
    _limited: int = field(init=False, default=0)

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": caps["in"]}

    def feed(self, item: Audio) -> Iterable[Audio]:
        scaled = np.rint(item.samples * 10 ** (self.db / 20))
        limited = np.clip(scaled, -32768, 32767)
        self._limited += int(np.count_nonzero(scaled != limited))
        yield Audio(limited.astype(np.int16), item.start, item.rate)

    def flush(self) -> Iterable[Audio]:
        return ()

    def counts(self) -> Mapping[str, int]:
        return {"samples limited to full scale": self._limited}
