"""Kinds of stage whose options are of every type, for the tests of loading. None of them can run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from attrs import define

from pipeline.caps import AUDIO, TEXT, AudioCaps, Caps, Port
from pipeline.stage import Duration, between, option
from pipeline.testing import Collect, Playlist
from stages import KINDS, LazyKinds

MONO_24K = AudioCaps(24000, 1)


@define(kw_only=True)
class File:
    """A recording, whose rate nobody knows before it is opened."""

    path: Path = option(help="the recording", opens="reads")

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AUDIO}


@define(kw_only=True)
class Translate:
    """An interpreter."""

    source_language: str = option(help="what is spoken", example="en-us")
    target_language: str = option(help="what is wanted", example="pt-br")
    engine: Literal["local", "echo"] = option("local", help="what translates")

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(MONO_24K)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"audio": MONO_24K, "text": TEXT, "transcript": TEXT}


@define(kw_only=True)
class Live:
    """A microphone: it cannot wait."""

    live: bool = option(True, help="whether it is live")

    hears: ClassVar[bool] = True
    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AudioCaps(48000, 2)}


@define(kw_only=True)
class Remote:
    """A service with a secret, one input and two outputs."""

    url: str = option(help="where it is", example="wss://example.org")
    api_key: str | None = option(None, help="who pays", secret=True)
    pin: str | None = option(
        None, help="a secret by declaration only", secret=True, check=lambda pin: _check_pin(pin)
    )
    language: Literal["en", "no", "pt-br"] = option("en", help="what is spoken")
    timeout: Duration = option(Duration(10), help="how long to wait", check=between(0.1, 60, "s"))

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(MONO_24K)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"audio": MONO_24K, "text": TEXT}


def _check_pin(pin: str) -> str | None:
    return None if "x" not in pin else "a pin without an x"


@define(kw_only=True)
class Typed:
    """A source with an option of every type."""

    text: str = option("", help="a text")
    whole: int = option(0, help="a whole number")
    number: float = option(0.0, help="a number")
    truth: bool = option(False, help="true or false")
    path: Path | None = option(None, help="a path", opens="reads")
    choice: Literal["one", "two", "no"] = option("one", help="one of three")
    time: Duration | None = option(None, help="a time")
    texts: list[str] = option([], help="texts")
    numbers: tuple[float, ...] = option((), help="numbers", check=lambda many: None if len(many) < 4 else "three")
    names: dict[str, int] = option({}, help="numbers by name")
    either: int | Literal["all"] | None = option(None, help="how many")

    accepts: ClassVar[Mapping[str, Port]] = {}

    def __attrs_post_init__(self) -> None:
        if self.whole == 13:
            raise ValueError("whole: wanted luck, came 13")
        if self.whole == 14:
            raise ValueError("no luck today")

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"out": AUDIO}


@define(kw_only=True)
class Write:
    """A sink that writes a file."""

    path: Path = option(help="the file", opens="writes")

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}


@define(kw_only=True)
class Wary:
    """A sink that must know another stage, one that hears."""

    of: str = option(help="a stage that hears", names_stage="hears")

    accepts: ClassVar[Mapping[str, Port]] = {"in": Port(AUDIO)}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {}


@define
class NoOptions:
    """A class with a field that must be given and is no option."""

    thing: Any


TEST_KINDS: LazyKinds = KINDS | {
    "file": File,
    "translate": Translate,
    "live": Live,
    "remote": Remote,
    "typed": Typed,
    "write": Write,
    "wary": Wary,
    "odd": NoOptions,
    "playlist": Playlist,
    "collect": Collect,
}
