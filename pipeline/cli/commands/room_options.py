"""The options of `dragoman serve` that are about a room. What they start is in `room`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from pipeline.cli.command import time_option, titled
from pipeline.cli.exits import refuse
from pipeline.cli.options import FILE, complete_language

__all__ = ["RoomOptions", "room_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_NAME = "room"
DEFAULT_DEVICE = ""
COUNT = click.IntRange(min=1)
RECORDING = click.Path(dir_okay=False, exists=True, path_type=Path)


class RoomOptions(NamedTuple):
    """What was asked for, as it was written. No attrs class: `--help` imports nothing of that weight."""

    room: str
    room_title: str
    room_open: bool
    room_source: str | None
    room_languages: str
    rooms_file: Path | None
    room_file: Path | None
    room_microphone: str | None
    max_listeners: int
    max_listeners_per_address: int
    grace_s: float
    qr: bool | None


_room = titled("Room")

OPTIONS = (
    _room(
        "--room",
        metavar="[NAME]",
        is_flag=False,
        flag_value=DEFAULT_NAME,
        help="Also open a room: one speaks, many read and listen in a browser. Small letters, digits and hyphens.",
    ),
    _room("--room-title", metavar="TEXT", default="", help="What listeners see above the captions."),
    _room("--room-open", is_flag=True, help="Let its address be the bare name, which anybody can guess."),
    _room(
        "--room-source",
        metavar="LANGUAGE",
        shell_complete=complete_language,
        help="What is spoken, until the speaker says otherwise.",
    ),
    _room(
        "--room-languages",
        metavar="TAG,TAG",
        default="",
        help="What listeners may choose; else all that the engine does well.",
    ),
    _room(
        "--rooms-file",
        metavar="FILE",
        type=FILE,
        help="Where rooms' names and keys are kept, so that links stay the same; else in your settings folder.",
    ),
    _room("--room-file", metavar="RECORDING", type=RECORDING, help="Let a recording speak, for a rehearsal."),
    _room(
        "--room-microphone",
        metavar="[DEVICE]",
        is_flag=False,
        flag_value=DEFAULT_DEVICE,
        help="Let a microphone of this machine speak, instead of a browser: a number or a part of its name.",
    ),
    _room("--max-listeners", metavar="N", type=COUNT, default=500, show_default=True, help="In the room."),
    _room(
        "--max-listeners-per-address",
        metavar="N",
        type=COUNT,
        default=500,
        show_default=True,
        help="From the same address.",
    ),
    time_option(
        "--room-grace",
        "grace_s",
        heading="Room",
        default="1m",
        help="How long a language is still translated when its last listener has gone.",
    ),
    _room("--qr/--no-qr", default=None, help="Draw the QR code; else on a terminal only."),
)


def room_options(command: Command) -> Command:
    """The options for a room; `command` gets them as `room`, None where no room was asked for."""

    @wraps(command)
    def gathered(**options: Any) -> Any:
        values = {name: options.pop(name) for name in RoomOptions._fields}
        if values["room"] is None and (flag := _given()) is not None:
            raise refuse(f"{flag} needs a room: give --room too")
        return command(room=None if values["room"] is None else RoomOptions(**values), **options)

    decorated: Any = gathered
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _given() -> str | None:
    """The first option about a room that was given; None where all are as they are left out."""
    context = click.get_current_context()
    about = [option for option in context.command.params if option.name in RoomOptions._fields]
    given = (option.opts[0] for option in about if _is_given(context, option))
    return next(given, None)


def _is_given(context: click.Context, option: click.Parameter) -> bool:
    return context.get_parameter_source(option.name or "") is not ParameterSource.DEFAULT
