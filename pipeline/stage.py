"""The contracts between a stage and the runner: transforms, joins, actors and assemblies. Nothing to inherit.

A stage is an attrs class. Its public fields are its YAML options, declared with `option`; private
`init=False` fields are its state. Constructing one does no I/O. What a stage *may* also tell (`losses`,
`counts`, `status`, `progress`), and what it may be told (`meet`, `oversee`), goes by name and may be left out.

Which contract a stage fulfils is decided by whether it waits:

- A `Transform` never waits. It is synchronous, needs no event loop, and a run of them costs function calls.
- A `Join` is a transform with several inputs, told apart by lane.
- An `Actor` touches the world: files, devices, networks, models.
- An `Assembly` is made of other stages; the graph puts its parts in its place.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NewType, Protocol, runtime_checkable

import attrs
from attrs import frozen

from pipeline.caps import Caps, Port
from pipeline.items import Item, Mark

__all__ = [
    "REQUIRED",
    "Actor",
    "Assembly",
    "Counting",
    "Duration",
    "Hosting",
    "Inbox",
    "Join",
    "Kinds",
    "Lossy",
    "Meeting",
    "Nature",
    "Out",
    "Outbox",
    "Overflow",
    "Overseeing",
    "Part",
    "Parts",
    "Pausable",
    "Probing",
    "Progressing",
    "Reporting",
    "Run",
    "Stage",
    "StageError",
    "Transform",
    "between",
    "marks_of",
    "nature_of",
    "option",
    "parse_duration",
]


class StageError(Exception):
    """What a stage could not do, in one line for the person who runs the graph: no traceback is shown.

    `code` is the command's exit code: 1 failed, 2 asked for the impossible, 69 a service is out of reach.
    """

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@frozen
class Out:
    """An item for the output port `port`, from a transform that has several. A bare item goes to `out`."""

    port: str
    item: Item


@runtime_checkable
class Stage(Protocol):
    """What every stage answers before anything runs."""

    @property
    def accepts(self) -> Mapping[str, Port]:
        """The input ports, the main one (usually `in`) first; empty for a source."""

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        """The output ports for these inputs, the main one (usually `out`) first; empty for a sink."""


@runtime_checkable
class Transform(Stage, Protocol):
    """A stage with one input that never waits.

    The runner calls `feed` for every Audio or Text, and `flush` at the end of the stream and before every
    mark, so that no mark is passed by audio; then the mark goes on. So `flush` gives the tail and leaves
    the stage ready for more, and a second `flush` gives nothing. A stage that has something better to do
    with a mark has a method `mark(mark) -> Iterable[Item]`, which then answers for it altogether.
    Both may be generators: what they give is taken one by one, under backpressure.
    """

    def feed(self, item: Any) -> Iterable[Item | Out]: ...

    def flush(self) -> Iterable[Item | Out]: ...


@runtime_checkable
class Join(Stage, Protocol):
    """A transform with several inputs. A lane is one incoming edge, named `port` or, for many, `port.0`, `port.1`.

    Order of calls: `open` once; `feed` for every item, marks too; `end` when a lane brings no more; `flush`
    when all have ended.
    """

    def open(self, lanes: Sequence[str]) -> None: ...

    def feed(self, item: Any, lane: str) -> Iterable[Item | Out]: ...

    def end(self, lane: str) -> Iterable[Item | Out]: ...

    def flush(self) -> Iterable[Item | Out]: ...


class Inbox(Protocol):
    """An actor's inputs. Iterating gives the items of all of them as they come, each edge's own in order."""

    def __aiter__(self) -> AsyncIterator[Item]: ...

    def with_outputs(self) -> AsyncIterator[tuple[str, Item]]:
        """The same, each item with the output that it comes from, as `stage.port`."""

    def __getitem__(self, port: str) -> Inbox:
        """Only what comes in at `port`; iterate each port, or the whole, but not both."""

    @property
    def ports(self) -> Sequence[str]:
        """The ports that something is connected to."""

    @property
    def stopped(self) -> bool:
        """Whether the run was told to stop, or failed somewhere: then the end that comes may be an early one."""


class Outbox(Protocol):
    """An actor's outputs."""

    async def send(self, item: Item, port: str | None = None) -> None:
        """Hand on `item` to every reader of `port` (None: the main one), waiting while one is full.

        A port that nobody reads takes everything. Cancelled, the item is still delivered: the runner
        finishes what was begun.
        """

    def wanted(self, port: str) -> bool:
        """Whether anybody reads `port`: what nobody reads need not be made."""


@runtime_checkable
class Actor(Stage, Protocol):
    """A stage that waits: a source, a sink, or one that does blocking work in a thread.

    `run` returns when its inputs have ended and all has been sent; the runner closes its outputs. On stopping,
    a source is cancelled and everything behind it sees the end of its input. An actor hands on the marks
    that come to it, in order, where it has an output.
    """

    async def run(self, inbox: Inbox, outbox: Outbox) -> None: ...


@frozen
class Part:
    """One stage of an assembly, and what it reads: names of its siblings, as `stage` or `stage.port`."""

    stage: Stage
    reads: Sequence[str] = ()


@frozen
class Parts:
    """What stands in an assembly's place.

    `inputs` says which part an input port feeds; `outputs` which part's port an output port is.
    """

    parts: Mapping[str, Part]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@runtime_checkable
class Assembly(Stage, Protocol):
    """A stage made of stages. Parts that feed only ports nobody reads are left out."""

    def parts(self) -> Parts: ...


# --- options -------------------------------------------------------------------------------------------

REQUIRED: Any = attrs.NOTHING


def option(
    default: Any = REQUIRED,
    *,
    help: str,  # noqa: A002 - the word the reader of a stage looks for
    check: Callable[[Any], str | None] | None = None,
    secret: bool = False,
    example: object = None,
    opens: Literal["reads", "writes"] | None = None,
    names_stage: str | None = None,
) -> Any:
    """A field that is a YAML option: the one source for parsing, checking, `--help` and the JSON Schema.

    `check` answers what was wanted where a value will not do ("a rate from 8000 to 192000"), else None.
    A `secret` never shows its value. `example` stands in the stage's generated example where a required
    option needs a value. `opens` marks the path of a file or folder (a string becomes a Path), so that a graph
    that would write over what it reads is refused.
    """

    def validate(_instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if check is not None and value is not None and (wanted := check(value)) is not None:
            shown = "***" if secret else repr(value)
            raise ValueError(f"{attribute.name}: wanted {wanted}, came {shown}")

    metadata = {
        "help": help,
        "check": check,
        "secret": secret,
        "example": example,
        "opens": opens,
        "names_stage": names_stage,
    }
    converter = attrs.converters.optional(Path) if opens else None
    return attrs.field(
        default=default, converter=converter, validator=validate, repr=not secret, metadata=metadata
    )


def between(low: float, high: float, unit: str = "") -> Callable[[float], str | None]:
    """A check for numbers from `low` to `high`, both allowed."""
    wanted = f"a number from {low:g} to {high:g}{' ' + unit if unit else ''}"
    return lambda value: None if low <= value <= high else wanted


Duration = NewType("Duration", float)
"""Seconds, written in YAML as a number of seconds or as `500ms`, `1.5s`, `2m30s`, `1h`, `1:30`, `1:02:03.5`."""

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_WITH_UNITS = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|h|m|s))+")
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")


def parse_duration(text: str) -> Duration:
    """Seconds from `500ms`, `1.5s`, `2m30s`, `1:30`, `90`. Raises ValueError for anything else."""
    text = text.strip()
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return Duration(int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds))
    if len(text) <= 64 and _WITH_UNITS.fullmatch(text):
        found = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
        return Duration(sum(float(number) * _UNITS[unit] for number, unit in found))
    if re.fullmatch(r"\d{1,12}(?:\.\d+)?", text):
        return Duration(float(text))
    raise ValueError(f"wanted a time such as 500ms, 1.5s or 1:30, came {text!r}")


# --- what a stage may also tell -------------------------------------------------------------------------


@runtime_checkable
class Lossy(Protocol):
    """A stage that can lose sound or texts of its own: an overrun microphone, a truncated file, a dead service."""

    def losses(self) -> Mapping[str, int]:
        """Sample-frames lost so far, by reason; a reason that ends in `, texts` counts texts."""


@runtime_checkable
class Probing(Protocol):
    """A stage that can find out that it cannot, before any sink has opened its file: a missing recording."""

    def probe(self) -> None:
        """Look, and change nothing. Called in a thread before the run. Raises: StageError."""


@runtime_checkable
class Meeting(Protocol):
    """A stage that must know others of its graph: an echo guard the speaker, since a graph has no circles."""

    def meet(self, stages: Mapping[str, Stage]) -> None:
        """All stages of the run by name, itself too, an assembly's parts in its place (`interpreter/tts`).

        Called once, before `probe` and before anything runs. What is asked of another stage later is asked in
        the event loop. Raises: StageError where somebody who is needed is not there.
        """


class Run(Protocol):
    """The run of a graph, as a stage in it may look at it: in the event loop, at any time until the stage ends."""

    def looks(self) -> Iterator[Mapping[str, Any]]:
        """Snapshots as plain data, each taken when it is asked for; rates are since the one before."""

    def ledger(self) -> Mapping[str, Any]:
        """What became of everything so far, as plain data."""

    def behind_s(self, end_ms: int) -> float | None:
        """How far the source has got past `end_ms`; None where there is no sound, or several sources."""


@runtime_checkable
class Overseeing(Protocol):
    """A stage that shows others the graph it is a part of, as a room does to its operator."""

    def oversee(self, run: Run) -> None:
        """Called once, before `probe` and before anything runs."""


@runtime_checkable
class Hosting(Protocol):
    """A stage with an audience, such as a room."""

    def figures(self) -> Mapping[str, Any]:
        """Plain data: its `title`, `state` and number of `people`; by language `listeners`, each with `count`,
        `voices` and `dropped_s`; and `lag`, until `shown` and `heard`, each with `n`, `p50_s` and `p95_s`.
        """


@runtime_checkable
class Pausable(Protocol):
    """A source that can be paused: a microphone."""

    paused: bool
    when_changed: Callable[[], None] | None
    """Called whenever `paused` has changed, or the device is lost or back."""

    @property
    def lost(self) -> str:
        """What is lost, and why; empty while it is there."""


@runtime_checkable
class Counting(Protocol):
    """A stage with figures for the report: utterances, captions too fast to read, seconds skipped."""

    def counts(self) -> Mapping[str, int]: ...


@runtime_checkable
class Reporting(Protocol):
    """A stage that may take a while: `loading whisper base`, `reconnecting`, or an empty string."""

    @property
    def status(self) -> str: ...


@runtime_checkable
class Progressing(Protocol):
    """A source that knows how far it is."""

    def progress(self) -> tuple[float, float | None]:
        """Seconds done, and seconds in all where that is known."""


Kinds = Mapping[str, type[Any]]
"""From a YAML `use:` name to the stage's class."""

Overflow = Literal["block", "drop_oldest", "drop_newest"]
"""What a full edge does: wait, drop what has waited longest, or drop what comes."""


Nature = Literal["source", "actor", "transform", "join", "assembly"]
"""What a stage is, by what it can do. A sink is an actor that gives nothing."""


def nature_of(stage: Stage) -> Nature:
    """Which contract `stage` fulfils. Raises TypeError, with what is missing, where it fulfils none."""
    if hasattr(stage, "parts"):
        return "assembly"
    if hasattr(stage, "run"):
        return "actor" if stage.accepts else "source"
    if hasattr(stage, "feed") and hasattr(stage, "flush"):
        return "join" if hasattr(stage, "open") and hasattr(stage, "end") else "transform"
    raise TypeError(f"{type(stage).__name__} is no stage: it has neither `feed` and `flush` nor `run`")


def marks_of(stage: Transform) -> Callable[[Mark], Iterable[Item | Out]]:
    """What `stage` does with a mark: its own `mark` method, else flush and hand the mark on."""
    own: Callable[[Mark], Iterable[Item | Out]] | None = getattr(stage, "mark", None)
    if own is not None:
        return own

    def seam(mark: Mark) -> Iterable[Item | Out]:
        yield from stage.flush()
        yield mark

    return seam
