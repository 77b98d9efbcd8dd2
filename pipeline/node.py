"""The pieces of a graph: nodes, what they read, and resolved edges. Data only."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from pipeline.caps import Caps
from pipeline.problems import Where
from pipeline.stage import Overflow, Stage, parse_duration

__all__ = ["DEFAULT_BUFFER", "TAP_BUFFER", "Buffer", "Edge", "Node", "Read", "parse_buffer"]


@frozen
class Buffer:
    """How much an edge holds: `items`, or `ms` of audio (texts and marks do not count)."""

    items: int | None = None
    ms: int | None = None

    def __str__(self) -> str:
        return f"{self.ms}ms" if self.ms is not None else f"{self.items}"


DEFAULT_BUFFER = Buffer(items=16)
TAP_BUFFER = Buffer(items=256)


def parse_buffer(text: str) -> Buffer:
    """A buffer from `16` (items) or `500ms`, `2s` (audio time). Raises ValueError for anything else."""
    text = text.strip()
    if text.isdecimal() and len(text) <= 6 and int(text) >= 1:
        return Buffer(items=int(text))
    if text.replace(".", "", 1).isdecimal():
        raise ValueError(f"wanted from 1 to 999999 items, or a time such as 500ms, came {text[:20]!r}")
    ms = round(parse_duration(text) * 1000)
    if not 1 <= ms <= 3_600_000:
        raise ValueError(f"wanted a time from 1ms to 1h, came {text!r}")
    return Buffer(ms=ms)


@frozen
class Read:
    """A consumer's wish: the output `port` of `stage` (None: its main one), `into` an input port of its own.

    `buffer` and `when_full` left None get the default: 16 items that block; for a tap 256 that drop the oldest.
    """

    stage: str
    port: str | None = None
    into: str | None = None
    buffer: Buffer | None = None
    when_full: Overflow | None = None
    where: Where | None = None

    @classmethod
    def parse(cls, text: str, where: Where | None = None) -> Read:
        """From `stage` or `stage.port`."""
        stage, dot, port = text.partition(".")
        return cls(stage, port if dot else None, where=where)

    def __str__(self) -> str:
        return self.stage if self.port is None else f"{self.stage}.{self.port}"


@frozen
class Node:
    """A stage with its name, what it reads, and where that was written.

    `stage` is None where it could not be built; `option_where` tells where each of its options stands.
    """

    name: str
    stage: Stage | None
    reads: tuple[Read, ...] = ()
    kind: str = ""
    where: Where | None = None
    option_where: Mapping[str, Where] = field(factory=dict)


@frozen
class Edge:
    """A resolved edge: from `producer`'s `out_port` to `consumer`'s `in_port`, carrying `caps`.

    `lane` names it among the consumer's inputs: the port, or `port.0`, `port.1` where a port takes many.
    `plain` says that the graph asked for no buffer or policy of its own: such an edge may be fused away.
    """

    producer: str
    out_port: str
    consumer: str
    in_port: str
    lane: str
    caps: Caps
    buffer: Buffer = DEFAULT_BUFFER
    when_full: Overflow = "block"
    plain: bool = True
    tap: bool = False

    def __str__(self) -> str:
        """`pcm -> blocks`, `interpreter.audio -> speech`, `talk -> speech.under`: only ports worth naming."""
        out = "" if self.out_port == "out" else f".{self.out_port}"
        lane = "" if self.lane in ("in", "in.0") else f".{self.lane}"
        return f"{self.producer}{out} -> {self.consumer}{lane}"
