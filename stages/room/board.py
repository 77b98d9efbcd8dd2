"""What everybody in a room can see: the room, the captions of each language, how translations come on. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import define, evolve, field

from stages.captions.text import clean
from stages.languages import base, spoken_name
from stages.room.captions import Captions
from stages.room.wire import Offer, Progress, RoomInfo, State, dump

__all__ = ["ORIGINAL", "Board", "original", "translated"]

ORIGINAL = "auto"
"""The tag of what is spoken where nobody has said which language that is."""

_RIGHT_TO_LEFT = frozenset(["ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"])
_OWN_NAMES: Mapping[str, str] = {
    "ar-ae": "العربية (الإمارات)", "ar-eg": "العربية (مصر)", "ar-sa": "العربية", "de-de": "Deutsch",
    "en-gb": "English (UK)", "en-us": "English (US)", "es-es": "Español", "fr-ca": "Français (Canada)",
    "fr-fr": "Français", "hi-in": "हिन्दी", "ja-jp": "日本語", "ko-kr": "한국어", "pt-br": "Português (Brasil)",
    "zh-cn": "中文",
}  # fmt: skip
"""As those write them who speak them: the list is for listeners, not for the operator."""


def translated(tag: str, quality: str, *, voice: bool) -> Offer:
    """A language that is translated into."""
    name = _OWN_NAMES.get(tag) or spoken_name(tag)
    return Offer(tag, name, "rtl" if base(tag) in _RIGHT_TO_LEFT else "ltr", quality, voice)


def original(tag: str) -> Offer:
    """What is spoken, in its own language; ORIGINAL where that is not known."""
    offer = translated(tag, "original", voice=False)
    return evolve(offer, name="Original") if tag == ORIGINAL else offer


@define(eq=False)
class Board:
    """The state that listeners are brought up to. `version` grows with every change of the room itself."""

    title: str = field(converter=clean)
    source: str | None = None
    languages: Sequence[Offer] = ()
    state: State = "waiting"
    replay_s: float = 600.0
    life: str = field(factory=lambda: secrets.token_hex(4))
    logs: dict[str, Captions] = field(init=False, factory=dict)
    progress: dict[str, str] = field(init=False, factory=dict)
    """The last frame about each language's translation."""
    version: int = field(init=False, default=1)
    frame: str = field(init=False, default="")
    """The room, for the wire."""

    def __attrs_post_init__(self) -> None:
        self._write()

    def change(
        self,
        *,
        source: str | Literal[False] | None = False,
        languages: Sequence[Offer] | None = None,
        state: State | None = None,
    ) -> bool:
        """Set what is given (a source of False is none given); whether anything changed."""
        wish = (
            self.source if source is False else source,
            self.languages if languages is None else languages,
            self.state if state is None else state,
        )
        if wish == (self.source, self.languages, self.state):
            return False
        self.source, self.languages, self.state = wish
        self.version += 1
        self._write()
        return True

    def knows(self, tag: str) -> bool:
        """Whether a listener may ask for `tag`."""
        return any(offer.tag == tag for offer in self.languages)

    def log(self, tag: str) -> Captions:
        """The captions in `tag`, empty at first. Only for tags that are known, or published."""
        if tag not in self.logs:
            self.logs[tag] = Captions(tag, self.replay_s)
        return self.logs[tag]

    def tell(self, progress: Progress) -> None:
        self.progress[progress.language] = dump(progress)

    def _write(self) -> None:
        info = RoomInfo(self.title, self.source, self.languages, self.state, self.replay_s, self.life)
        self.frame = dump(info)
