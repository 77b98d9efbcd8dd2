"""What became of every sample-frame: counted where it happens, summed up in a report that must balance.

The rule: on every edge, `sent == received + dropped + declined + in_flight`. The five are counted in five
places (writer, reader, policy, a reader that had gone, and what still lies in the channel), so that the sum
can fail to come out, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import asdict, define, field, frozen

from pipeline.items import Audio, Item, Text

__all__ = ["HELD", "TEXTS", "EdgeLine", "Report", "StageLine", "Tally", "is_sound"]

HELD = "what the stages still held when they were cut off"
"""What no ledger can count."""
TEXTS = ", texts"


def is_sound(why: str) -> bool:
    """Whether what a stage has lost for that reason is counted in frames; else in texts, and says so."""
    return not why.endswith(TEXTS)


@define
class Tally:
    """The running count of one edge, in sample-frames of audio; `texts` counts transcripts and translations.

    `end` is the position behind the newest audio: what was paused or left out counts there, and not in `sent`.
    """

    sent: int = 0
    received: int = 0
    dropped: int = 0
    declined: int = 0
    queued: int = 0
    peak_queued: int = 0
    texts_sent: int = 0
    texts_received: int = 0
    texts_dropped: int = 0
    texts_declined: int = 0
    rate_hz: int = 0
    end: int = 0
    newest: Text | None = None

    def count_sent(self, item: Item) -> None:
        if type(item) is Audio:
            frames = len(item.samples)
            self.sent += frames
            self.end = item.start + frames
            self.rate_hz = item.rate
            queued = self.queued = self.queued + frames
            if queued > self.peak_queued:
                self.peak_queued = queued
        elif type(item) is Text:
            self.texts_sent += 1
            self.newest = item

    def count_received(self, item: Item) -> None:
        if type(item) is Audio:
            frames = len(item.samples)
            self.received += frames
            self.queued -= frames
        elif type(item) is Text:
            self.texts_received += 1

    def count_dropped(self, item: Item, *, queued: bool) -> None:
        """By the edge's policy. `queued`: it had been in the channel, else it never got in."""
        if type(item) is Audio:
            frames = len(item.samples)
            self.dropped += frames
            if queued:
                self.queued -= frames
            else:
                self.sent += frames
                self.end = item.start + frames
        elif type(item) is Text:
            self.texts_dropped += 1
            self.texts_sent += not queued

    def count_declined(self, item: Item, *, queued: bool) -> None:
        """By a reader that had gone."""
        if type(item) is Audio:
            frames = len(item.samples)
            self.declined += frames
            if queued:
                self.queued -= frames
            else:
                self.sent += frames
        elif type(item) is Text:
            self.texts_declined += 1
            self.texts_sent += not queued


@frozen
class EdgeLine:
    """One edge in a report. Frames are sample-frames at `rate_hz`."""

    name: str
    producer: str
    port: str
    consumer: str
    sent: int
    received: int
    dropped: int
    declined: int
    in_flight: int
    policy: str
    texts: int
    texts_received: int
    texts_dropped: int
    texts_in_flight: int
    rate_hz: int
    queue_s: float
    peak_queue_s: float
    fused: bool
    tap: bool
    texts_declined: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every frame sent is accounted for."""
        return self.sent == self.received + self.dropped + self.declined + self.in_flight


@frozen
class StageLine:
    """One stage in a report: what came in and went out by port, what it lost itself, and its own figures."""

    name: str
    kind: str
    state: str
    frames_in: int
    frames_out: Mapping[str, int]
    losses: Mapping[str, int] = field(factory=dict)
    counts: Mapping[str, int] = field(factory=dict)
    status: str = ""


@frozen
class Report:
    """What a run did. `media_s` is the longest source's sound; `wall_s` what it took by the loop's clock.

    `live`: a source cannot be hurried, and so the pace says nothing. `cut_off`: stages were ended at once, and
    what they then held, such as sound in a model, is in no figure: nobody can count it.
    """

    graph: str
    stages: tuple[StageLine, ...]
    edges: tuple[EdgeLine, ...]
    media_s: float
    wall_s: float
    stopped: bool = False
    live: bool = False
    cut_off: bool = False

    @property
    def times_realtime(self) -> float:
        return self.media_s / self.wall_s if self.wall_s > 0 else 0.0

    @property
    def balanced(self) -> bool:
        """Whether the ledger comes out on every edge."""
        return all(edge.balanced for edge in self.edges)

    @property
    def failed(self) -> frozenset[str]:
        """The stages that failed; what they had not read when they did is lost."""
        return frozenset(stage.name for stage in self.stages if stage.state == "failed")

    @property
    def lost(self) -> Mapping[str, int]:
        """Sample-frames (and texts) lost, by where and why; what a tap missed is no loss."""
        return {what: count for what, count, _ in self._losses()}

    @property
    def lost_s(self) -> Mapping[str, float]:
        """Of `lost` the sound, in seconds, where its rate is known."""
        return {what: count / rate_hz for what, count, rate_hz in self._losses() if rate_hz}

    def rate_hz_of(self, stage: str) -> int:
        """At which a stage counts what it loses: of what it gives, or else of what comes to it; 0 if unknown."""
        given = (edge.rate_hz for edge in self.edges if edge.producer == stage)
        came = (edge.rate_hz for edge in self.edges if edge.consumer == stage)
        return next(filter(None, (*given, *came)), 0)

    def _losses(self) -> Iterator[tuple[str, int, int]]:
        """Where and why, how much, and of sound the rate in Hz, as far as it is known; else 0."""
        unread = self.failed
        for edge in self.edges:
            if edge.tap:
                continue
            failed = edge.consumer in unread
            for count, why, rate_hz in (
                (edge.dropped, f"{edge.policy}", edge.rate_hz),
                (edge.texts_dropped, f"{edge.policy}, texts", 0),
                (edge.in_flight, "cut off in flight", edge.rate_hz),
                (edge.texts_in_flight, "cut off in flight, texts", 0),
                (edge.declined * failed, "its reader failed", edge.rate_hz),
                (edge.texts_declined * failed, "its reader failed, texts", 0),
            ):
                if count:
                    yield f"{edge.name}: {why}", count, rate_hz
        for stage in self.stages:
            rate_hz = self.rate_hz_of(stage.name)
            for why, count in stage.losses.items():
                if count:
                    yield f"{stage.name}: {why}", count, rate_hz if is_sound(why) else 0

    def as_json(self) -> dict[str, Any]:
        """The report as plain data, with what is derived."""
        return {
            **asdict(self),
            "times_realtime": round(self.times_realtime, 3),
            "balanced": self.balanced,
            "lost": dict(self.lost),
            "lost_s": {what: round(seconds, 3) for what, seconds in self.lost_s.items()},
            "not_counted": [HELD] if self.cut_off else [],
        }
