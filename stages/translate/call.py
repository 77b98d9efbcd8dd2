"""Both sides of a call, each into the language that the other is heard to speak: two realtime sessions, one stage.

Each side's sound goes to a session of its own, with all that `realtime` does against cuts. What one session finds
to be spoken becomes the other's target (`Targets`), so nobody has to say who speaks what. Until the first
utterance of the other side has been heard, there is nothing to translate into. What is said before that is
transcribed, and its sound kept for two minutes: once there is something, the session is sent it again, and
translates it. What had to be let go by then is lost, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import anyio
from attrs import define, field, frozen

from pipeline.caps import AudioCaps, Caps, Port
from pipeline.items import Item
from pipeline.stage import Inbox, Outbox, option
from stages.languages import canonical, checked, checked_or_auto
from stages.translate.realtime.config import AUTO, CANDIDATES_LIMIT
from stages.translate.realtime.events import SAMPLE_RATE_HZ, Payload
from stages.translate.realtime.interpreter import Interpreter, check_address
from stages.translate.realtime.line import Opener
from stages.translate.realtime.pair import Side, Targets
from stages.translate.realtime.transport import DEFAULT_BASE_URL, open_socket

__all__ = ["Call"]

PORTS: Mapping[Side, Mapping[str, str]] = {
    "local": {"audio": "audio_there", "text": "text_there", "transcript": "transcript_here"},
    "other": {"audio": "audio_here", "text": "text_here", "transcript": "transcript_there"},
}
"""What each side's session gives, and the port of the call that it goes to."""
NAMES: Mapping[Side, str] = {"local": "here", "other": "there"}
SETUPS: Mapping[Side, str] = {"local": "single_known_speaker", "other": "changing_speakers"}
"""Through the loudspeaker here the other side may be heard as well, so a language only switches after a while."""
KEPT_S = 120.0
"""Long enough for two people to have spoken: an utterance may last half a minute."""


def _check_languages(tags: list[str]) -> str | None:
    wrong = next((wanted for tag in tags if (wanted := checked(tag)) is not None), None)
    if wrong is None and not 2 <= len(tags) <= CANDIDATES_LIMIT:
        return f"from 2 to {CANDIDATES_LIMIT} languages"
    return wrong


@define(kw_only=True)
class Call:
    """Interpret a call: each side hears the other one in its own language.

    What is said `here` comes out as `audio_there` and `text_there`, in the language that is spoken there, and the
    other way round; `transcript_here` and `transcript_there` are what was said.
    Which languages are spoken is found out, unless they are given; what is said before both are known is
    translated then. By a realtime service, hosted or `dragoman serve`.
    """

    here_language: str = option("auto", help="the language spoken here; auto finds it out", check=checked_or_auto)
    there_language: str = option("auto", help="the language spoken there; auto", check=checked_or_auto)
    languages: list[str] | None = option(
        None,
        help="the languages that may be spoken at all: between few it is surer which one it is",
        check=_check_languages,
        example=["en-us", "pt-br"],
    )
    mode: Literal["fast", "slow"] = option("slow", help="the hosted service finds languages out in `slow` only")
    api_key: str | None = option(None, help="the key of your account; without it, CAMB_API_KEY", secret=True)
    base_url: str = option(
        DEFAULT_BASE_URL, help="the address of the service, such as ws://127.0.0.1:8765", check=check_address
    )

    _open: Opener = field(default=open_socket, repr=False)
    _targets: Targets = field(init=False, factory=Targets, repr=False)
    _sides: Mapping[Side, Interpreter] = field(init=False, repr=False)

    accepts: ClassVar[Mapping[str, Port]] = {
        name: Port(AudioCaps(SAMPLE_RATE_HZ, 1)) for name in ("here", "there")
    }

    def __attrs_post_init__(self) -> None:
        given: Mapping[Side, str] = {"local": self.here_language, "other": self.there_language}
        self._sides = {
            "local": self._interpreter("local", given["local"], given["other"]),
            "other": self._interpreter("other", given["other"], given["local"]),
        }

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """Audio and texts for either side. Raises ValueError for what the service cannot do."""
        kinds = [(PORTS[side], each.gives({})) for side, each in self._sides.items()]
        return {ports[port]: kind for ports, given in kinds for port, kind in given.items()}

    # --- what it tells

    @property
    def status(self) -> str:
        return "; ".join(f"{NAMES[side]}: {each.status}" for side, each in self._sides.items() if each.status)

    def losses(self) -> Mapping[str, int]:
        return self._by_side(Interpreter.losses)

    def counts(self) -> Mapping[str, int]:
        return self._by_side(Interpreter.counts)

    def _by_side(self, told: Callable[[Interpreter], Mapping[str, int]]) -> Mapping[str, int]:
        return {
            f"{NAMES[side]}: {what}": count
            for side, each in self._sides.items()
            for what, count in told(each).items()
        }

    # --- the work

    def probe(self) -> None:
        """Without a key nothing is opened. Raises: StageError."""
        for each in self._sides.values():
            each.probe()

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        """Raises: StageError as `realtime`: where one side cannot be had, there is no call."""
        try:
            async with anyio.create_task_group() as tasks:
                for side, each in self._sides.items():
                    tasks.start_soon(each.run, inbox[NAMES[side]], _SideOutbox(outbox, PORTS[side]))
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None

    def _interpreter(self, side: Side, spoken: str, heard: str) -> Interpreter:
        """The session of `side`, where `spoken` is the language and the other side hears `heard`, or else auto.

        There is no session with a source and no target. So without one a language that is given is found out as
        well, as the only candidate.
        """
        found_out = AUTO in (spoken, heard)
        candidates = [spoken] if spoken != AUTO else self.languages or []
        target: Any = None if heard == AUTO else heard
        return Interpreter(
            source_language=AUTO if found_out else spoken,
            target_language=target,
            mode=self.mode,
            api_key=self.api_key,
            base_url=self.base_url,
            replay_s=KEPT_S,
            open=self._open,
            speaker_setup=SETUPS[side] if found_out else None,
            candidates=[canonical(tag) for tag in candidates] if found_out else [],
            told=lambda payload: self._hear(side, payload),
        )

    def _hear(self, side: Side, payload: Payload) -> None:
        for listening, language in self._targets.hear(side, payload):
            self._sides[listening].translate_into(language)


@frozen
class _SideOutbox:
    """The ports of one side's session as ports of the call."""

    outbox: Outbox
    ports: Mapping[str, str]

    async def send(self, item: Item, port: str | None = None) -> None:
        assert port is not None, "a session names its ports"
        await self.outbox.send(item, self.ports[port])

    def wanted(self, port: str) -> bool:
        return self.outbox.wanted(self.ports[port])
