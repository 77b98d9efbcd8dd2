"""One language of a room at work: a small graph that is fed with what was said, started when somebody wants it."""

from __future__ import annotations

import logging

import anyio
from attrs import define, field

from pipeline.channels import Channel
from pipeline.graph import Graph
from pipeline.items import Text
from pipeline.runner import Execution
from pipeline.serve.interpretation import seated
from pipeline.serve.room.figures import GRAPHS
from pipeline.serve.room.floor import Feed, Floor
from pipeline.serve.room.parts import Fed, Note, Shown, Spoken
from pipeline.serve.room.tongues import Key, Tongues
from pipeline.serve.service import Service
from pipeline.stage import StageError
from stages.room.order import Order

__all__ = ["Translation"]

log = logging.getLogger(__name__)

RETRY_S = 10.0
RETRY_MOST_S = 300.0
"""A language that could not be started is tried again after ten seconds, then after twice as long, up to this."""
LEFT_OUT = "[…]"
"""Stands for texts that were dropped. When those were said is not known, so it has no duration."""


@define(eq=False)
class Translation:
    """Captions of a language, or its voice. What comes from when it is made on is waiting when it has loaded."""

    key: Key
    floor: Floor
    tongues: Tongues
    service: Service
    failures: int = 0
    """How often it has failed before."""
    idle_since: float | None = field(init=False, default=None)
    execution: Execution | None = field(init=False, default=None)
    over: bool = field(init=False, default=False)
    retry_at: float = field(init=False, default=0.0)
    _ready_at: float | None = field(init=False, default=None)
    _feed: Feed = field(init=False)
    _channel: Channel = field(init=False)
    _before: int = field(init=False)
    """The utterances there were when it began to listen, where it counts for itself."""

    def __attrs_post_init__(self) -> None:
        language, caps = self.tongues.reads(self.key)
        self._feed = self.floor.sound if language is None else self.floor.texts(language)
        self._channel = self._feed.open(str(self.key), caps)
        self._before = self.floor.utterance if language is None else 0

    @property
    def ending(self) -> bool:
        return self._channel not in self._feed.channels

    def end(self) -> None:
        """Nothing more comes for it: what it has is still told."""
        self._feed.close(self._channel)

    async def run(self) -> None:
        """Until it is ended and all is told. Raises nothing but cancellation: a failure is told."""
        try:
            self.floor.tell(self.key, "preparing")
            await self.service.engine.load(self.tongues.session(self.key))
            self.execution = seated(Execution(self._graph()), self.service.turns.seat(self))
            self._ready_at = anyio.current_time()
            self.floor.tell(self.key, "ready")
            with self.service.watched.running(f"{GRAPHS}{self.key}", self.execution):
                await self.execution.run()
        except StageError as error:
            log.error("%s: %s", self.key, error)
            self._fail()
        except Exception:
            log.exception("%s failed", self.key)
            self._fail()
        finally:
            self.over = True
            self.end()
            self._channel.dispose()

    def _graph(self) -> Graph:
        graph, order = Graph(str(self.key)), Order(finals=self.tongues.apart)
        graph.add("fed", Fed(channel=self._channel, missed=self._missed))
        if self.key.kind == "voice":
            graph.add("noted", Note(order=order), reads="fed")
        outputs = self.tongues.make(graph, self.key)
        if "text" in outputs:
            shown = Shown(floor=self.floor, language=self.key.language, order=order, before=self._before)
            graph.add("shown", shown, reads=outputs["text"])
        if "audio" in outputs:
            spoken = Spoken(floor=self.floor, language=self.key.language, order=order)
            graph.add("spoken", spoken, reads=outputs["audio"])
        return graph

    def _fail(self) -> None:
        """Try again later. Why it failed is for the log alone: it may name folders of this machine."""
        now = anyio.current_time()
        if self._ready_at is not None and now >= self._ready_at + RETRY_MOST_S:
            self.failures = 0  # it went well for long: what was before that is forgiven
        self.failures += 1
        self.retry_at = now + min(RETRY_MOST_S, RETRY_S * 2 ** (self.failures - 1))
        self.floor.tell(self.key, "failed")

    def _missed(self, count: int) -> None:
        """What this was too far behind to translate is shown as left out."""
        if self.key.kind == "captions":
            log.warning("%s: %d texts left out, too far behind", self.key, count)
            self.floor.show(self.key.language, Text(LEFT_OUT, 0, 0, self.key.language, self.floor.utterance))
