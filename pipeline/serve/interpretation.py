"""The graphs of a session, one after the other: each for one pair of languages, on the same stream of audio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import anyio
from attrs import define, field

from pipeline.graph import Graph
from pipeline.runner import Execution
from pipeline.serve.detection import Detection
from pipeline.serve.intake import Ears, Intake
from pipeline.serve.responses import Responses
from pipeline.serve.service import Service
from pipeline.serve.stopwatch import Stopwatch
from pipeline.serve.turns import Seat
from pipeline.serve.voice import Voice
from stages.translate.realtime.config import AUTO
from stages.translate.realtime.events import SAMPLE_RATE_HZ, Payload, SessionConfig, SourceLanguageChanged

__all__ = ["Interpretation", "Lay", "seated"]

Lay = Callable[[Graph, SessionConfig], Mapping[str, str]]
"""Adds stages behind `ears`, and answers what to read for `transcript`, `text` and `audio`, where there are."""


@define(eq=False)
class Interpretation:
    """Runs graphs on what `intake` gets, and tells what comes out of them by `tell`; `name` is the session's."""

    service: Service
    config: SessionConfig
    tell: Callable[[Payload], Awaitable[None]]
    name: str = "session"
    lay: Lay | None = None
    """Puts other stages into a graph than the engine's interpreter."""
    intake: Intake = field(factory=Intake)
    seat: Seat = field(init=False)
    _detection: Detection | None = field(init=False, default=None)
    _utterances: int = field(init=False, default=0)
    execution: Execution | None = field(init=False, default=None)
    """The graph that runs, or has run last."""

    def __attrs_post_init__(self) -> None:
        self.seat = self.service.turns.seat(self)

    async def run(self) -> None:
        """Until the intake is closed and all that it held is told. Raises what a stage raises."""
        going_on = True
        while going_on:
            self.intake.turning = False
            config = self.config
            await self.service.engine.load(config)
            await self._interpret(config)
            going_on = self.intake.turning

    def change(self, config: SessionConfig) -> Iterator[Payload]:
        """Have other languages from the next utterance on. What is to be told of it at once."""
        source, before = config.source_language, self.language
        self.config = config
        self.intake.turn()
        if source not in (AUTO, before):
            if self._detection is not None:
                yield from self._detection.switch(source)
            else:
                yield SourceLanguageChanged(source, before)

    @property
    def language(self) -> str | None:
        """What is spoken, as far as it is known."""
        if self._detection is not None:
            return self._detection.language
        return None if self.config.source_language == AUTO else self.config.source_language

    def ignore(self, item_id: str) -> None:
        """Do not count the utterance for the detection of a language."""
        if self._detection is not None:
            self._detection.ignore(item_id)

    def close(self) -> None:
        """Nothing more comes from the client."""
        self.intake.close()

    @property
    def heard_s(self) -> float:
        """Seconds of audio that a graph has got."""
        return self.intake.position / SAMPLE_RATE_HZ

    @property
    def busy_s(self) -> float:
        """How long the engine worked for it."""
        return self.seat.busy_s

    @property
    def dropped_s(self) -> float:
        """Seconds of audio that were taken from the client, and no graph has got."""
        return self.intake.held_s + self.intake.unheard_s

    async def _interpret(self, config: SessionConfig) -> None:
        """Run one graph to its end."""
        self._detection = self._detect(config)
        self.execution = seated(Execution(self._graph(config)), self.seat)
        with self.service.watched.running(self.name, self.execution):
            await self.execution.run()

    def _graph(self, config: SessionConfig) -> Graph:
        ears = Ears(intake=self.intake, silence_s=self.service.silence_s, ongoing=self._speaking)
        graph = Graph("session").add("ears", ears)
        outputs = (self.lay or self._lay)(graph, config)
        watch = Stopwatch(self.intake.came_at, self._waited)
        responses = Responses(
            frozenset(config.output_modalities),
            self._detection,
            marked=self.service.engine.marks,
            item_id=self._next_item,
            begun=lambda modality, utterance: watch.begun(modality, utterance, anyio.current_time()),
            over=watch.over,
        )
        lock = anyio.Lock(fast_acquire=True)
        for port, output in outputs.items():
            voice = Voice(port=port, responses=responses, send=self.tell, lock=lock)
            graph.add(port, voice, reads=output)
        return graph

    def _lay(self, graph: Graph, config: SessionConfig) -> Mapping[str, str]:
        graph.add("interpreter", self.service.engine.interpreter(config), reads="ears")
        return {port: f"interpreter.{port}" for port in _ports(config)}

    def _detect(self, config: SessionConfig) -> Detection | None:
        if config.source_language != AUTO:
            return None
        setup = config.speaker_setup or "changing_speakers"
        return Detection(setup, config.source_language_candidates, config.target_language, self.language)

    def _speaking(self) -> bool:
        if self.execution is None:
            return False
        return any(getattr(node.stage, "speaking", False) for node in self.execution.plan.nodes.values())

    def _next_item(self) -> str:
        self._utterances += 1
        return f"item_{self._utterances}"

    def _waited(self, modality: str, seconds: float) -> None:
        self.service.metrics.first[modality].observe(seconds)


def seated(execution: Execution, seat: Seat) -> Execution:
    """`execution`, whose stages wait for the engine at `seat`."""
    for node in execution.plan.nodes.values():
        stage: Any = node.stage
        if hasattr(stage, "limiter"):
            stage.limiter = seat
    return execution


def _ports(config: SessionConfig) -> Iterator[str]:
    """What is read. The text is even where it is not told: it says what the sound belongs to."""
    yield "transcript"
    if config.target_language:
        yield "text"
        if "audio" in config.output_modalities:
            yield "audio"
