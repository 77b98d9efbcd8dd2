"""What a server tells Prometheus, in a registry of its own. No key, no address and no text is ever in it."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.sessions = Gauge("dragoman_sessions", "Sessions that are open now.", registry=registry)
        self.opening = Gauge("dragoman_opening", "Connections without a session yet.", registry=registry)
        self.ended = Counter(
            "dragoman_sessions_ended", "Sessions that are over, by close code.", ["code"], registry=registry
        )
        self.resumed = Counter(
            "dragoman_sessions_resumed", "Times that a session went on after a cut.", registry=registry
        )
        self.audio_s = Counter("dragoman_audio_seconds", "Audio that was taken, in seconds.", registry=registry)
        self.utterances = Counter("dragoman_utterances", "Utterances that were transcribed.", registry=registry)
        self.first = {
            "text": Histogram(
                "dragoman_first_text_seconds",
                "From the arrival of the end of speech to the first text of its translation; 0: before it.",
                buckets=_SECONDS,
                registry=registry,
            ),
            "audio": Histogram(
                "dragoman_first_audio_seconds",
                "From the arrival of the end of speech to the first sound of its translation.",
                buckets=_SECONDS,
                registry=registry,
            ),
        }
        self.queue_s = Histogram(
            "dragoman_queue_seconds",
            "How long work for the engine waited for its turn.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.load = Gauge("dragoman_engine_load", "How busy the engine's workers are, 0 to 1.", registry=registry)
        self.realtime = Histogram(
            "dragoman_realtime_factor",
            "Seconds that the engine worked for a session, per second of its audio.",
            buckets=(0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0),
            registry=registry,
        )
        self.dropped_s = Counter(
            "dragoman_dropped_seconds",
            "Audio taken and not translated, by reason.",
            ["why"],
            registry=registry,
        )
        self.room_listeners = Gauge(
            "dragoman_room_listeners",
            "Who listens in the room, by the language they chose.",
            ["language"],
            registry=registry,
        )
        self.room_lag_s = Gauge(
            "dragoman_room_lag_seconds",
            "From the arrival of the end of speech to its caption (shown) and its sound on the phone (heard).",
            ["until", "quantile"],
            registry=registry,
        )
        self.room_dropped_s = Gauge(
            "dragoman_room_dropped_seconds",
            "Sound that listeners of a room lost because they stalled, in seconds, by language.",
            ["language"],
            registry=registry,
        )
        self.errors = Counter("dragoman_errors", "Errors told to clients, by code.", ["code"], registry=registry)

    def text(self) -> str:
        """All of it, as Prometheus reads it."""
        return generate_latest(_WithoutBirths(self.registry)).decode()


@frozen
class _WithoutBirths(Collector):
    """A registry without the times at which its figures were created: for one alone there is no such option."""

    registry: CollectorRegistry

    def collect(self) -> Iterator[Metric]:
        for metric in self.registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
