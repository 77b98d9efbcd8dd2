"""What the sessions of a server share, and what it costs them."""

from __future__ import annotations

import os
import secrets

import anyio
from attrs import define, field

from pipeline.serve.engine import Engine
from pipeline.serve.keys import Keys
from pipeline.serve.limits import Admission, Limits, Refusal, full
from pipeline.serve.metrics import Metrics
from pipeline.serve.turns import Turns
from pipeline.serve.wires import Kept
from pipeline.watched import Watched
from stages.translate.realtime.events import ErrorEvent

__all__ = ["Service"]

SILENCE_S = 0.8
"""Twice the pause that ends an utterance in the audio, since a network pauses too."""
BUSY = 0.9
"""A share of the workers' time past which another session would be at the cost of those that there are."""
BUSY_WAIT_S = 2.0
"""Work that has waited so long says so too: a client hears its translation that much later."""


@define(eq=False)
class Service:
    """One engine, and who may use it. `keys` None: anybody. A client silent for `silence_s` ends its utterance."""

    engine: Engine
    keys: Keys | None = None
    limits: Limits = field(factory=Limits)
    workers: int = field(factory=lambda: os.cpu_count() or 1)
    silence_s: float = SILENCE_S
    metrics: Metrics = field(init=False, factory=Metrics)
    admission: Admission = field(init=False)
    turns: Turns = field(init=False)
    watched: Watched = field(init=False, factory=Watched)
    """The graphs of its sessions, by the sessions' names, for whoever looks on."""
    kept: Kept = field(init=False, factory=Kept)

    def __attrs_post_init__(self) -> None:
        self.admission = Admission(self.limits)
        self.turns = Turns(self.workers, self.metrics.queue_s.observe)

    def name_of(self, presented: str | None) -> str | None:
        """Whose API key it is; None where no keys are asked for. Raises: Refusal."""
        if self.keys is None:
            return None
        if not presented:
            raise _unknown("missing_api_key", "an API key is needed: auth.api_key or the x-api-key header")
        if (name := self.keys.name_of(presented)) is None:
            raise _unknown("invalid_api_key", "this API key is not valid")
        return name

    def spare(self) -> None:
        """Raises: Refusal where the engine cannot keep up with one more session."""
        now = anyio.current_time()
        if self.turns.load.fraction(now) > BUSY or self.turns.longest_wait_s > BUSY_WAIT_S:
            raise full("server_busy", "the engine is busy with other sessions; try again later")

    def complain(self, error: ErrorEvent) -> ErrorEvent:
        """Count an error that is about to be told."""
        self.metrics.errors.labels(error.code or "").inc()
        return error

    @staticmethod
    def new_id() -> str:
        """A name for a session, that nobody can guess."""
        return f"s-{secrets.token_hex(8)}"


def _unknown(code: str, message: str) -> Refusal:
    return Refusal(ErrorEvent(message, code, "authentication_error", "auth.api_key"))
