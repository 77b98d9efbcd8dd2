"""Time for sources that play as if somebody were speaking now."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
from attrs import define, field

from pipeline.items import Audio
from stages.chunk import block_frames

__all__ = ["Pacer", "spans"]


@define
class Pacer:
    """Holds a block back until a live speaker would have spoken its last frame; not at all unless `realtime`.

    Every time is reckoned from the first block and a position, never from the block before: nothing drifts,
    and a source that was held up catches up.
    """

    realtime: bool
    _begun: float | None = field(init=False, default=None)
    _origin: int = field(init=False, default=0)

    async def wait_for(self, block: Audio) -> None:
        """Return when `block` may go."""
        if not self.realtime:
            return
        if self._begun is None:
            self._begun, self._origin = anyio.current_time(), block.start
        await anyio.sleep_until(self._begun + (block.end - self._origin) / block.rate)


def spans(duration_s: float, rate: int, block_ms: float) -> Iterator[tuple[int, int]]:
    """`duration_s` of sound at `rate` Hz as (start, frames) of blocks of `block_ms`, the last one shorter.

    >>> list(spans(0.25, 8000, 100))
    [(0, 800), (800, 800), (1600, 400)]
    """
    frames, size = round(duration_s * rate), block_frames(block_ms, rate)
    for start in range(0, frames, size):
        yield start, min(size, frames - start)
