"""A room for `dragoman serve`: from its options to the links that are told on start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

from attrs import frozen

from pipeline.cli.commands.room_options import RoomOptions
from pipeline.cli.exits import refuse
from pipeline.serve.engine import Engine
from pipeline.serve.listener import room_address
from pipeline.serve.room.hall import Hall, Settings
from pipeline.serve.room.tongues import tongues_of
from pipeline.serve.service import Service
from pipeline.stage import Stage, StageError
from stages.file import File
from stages.languages import canonical
from stages.microphone import Microphone
from stages.room.audience import AudienceLimits
from stages.room.keys import RoomKeys, default_path, found_keys, keep_keys
from stages.room.pages import is_name
from stages.sockets import is_loopback
from stages.translate.realtime.config import AUTO

__all__ = ["Plan", "links", "room_of"]


@frozen
class Plan:
    """A room that is to be: what it takes to make its Hall, once an event loop runs."""

    keys: RoomKeys
    settings: Settings
    speaker: Stage | None
    """What speaks on this machine, instead of somebody with a browser."""
    qr: bool
    keep: Callable[[], None] = lambda: None
    """Keeps new keys for the next time. Raises: ValueError, in one line."""

    def hall(self, service: Service) -> Hall:
        return Hall(service, self.keys, self.settings)


def room_of(wish: RoomOptions, engine: Engine) -> Plan:
    """The room that `wish` asks for. Refuses what cannot be."""
    if not is_name(wish.room):
        raise refuse(f"--room {wish.room[:80]!r}: a room's name has small letters, digits and hyphens, 80 at most")
    source = None if wish.room_source is None else _language("--room-source", wish.room_source, auto=True)
    languages = [_language("--room-languages", tag) for tag in wish.room_languages.split(",") if tag.strip()]
    if source is not None:
        _check(engine, source, languages)
    path = wish.rooms_file or default_path()
    try:
        keys = found_keys(path, wish.room, is_open=wish.room_open)
    except ValueError as wrong:
        raise refuse(f"--rooms-file {wrong}") from None
    settings = Settings(
        title=wish.room_title or wish.room,
        source=source,
        languages=tuple(dict.fromkeys(languages)),
        grace_s=wish.grace_s,
        audience=AudienceLimits(
            listeners=wish.max_listeners, listeners_per_address=wish.max_listeners_per_address
        ),
    )
    speaker = _speaker(wish, source)
    keep = partial(keep_keys, path, wish.room, keys, is_open=wish.room_open)
    return Plan(keys, settings, speaker, sys.stderr.isatty() if wish.qr is None else wish.qr, keep)


def _speaker(wish: RoomOptions, source: str | None) -> Stage | None:
    """What speaks on this machine. Refuses what cannot: no recording, no microphone."""
    flag, stage = _local_source(wish)
    if stage is None:
        return None
    if source is None:
        raise refuse(f"{flag}: nobody says what is spoken: give --room-source LANGUAGE, or --room-source auto")
    try:
        stage.probe()
    except StageError as error:
        raise refuse(f"{flag}: {error}", error.code) from None
    return stage


def _local_source(wish: RoomOptions) -> tuple[str, Microphone | File | None]:
    if wish.room_file is not None and wish.room_microphone is not None:
        raise refuse("--room-file and --room-microphone cannot both speak: give one of them")
    if wish.room_file is not None:
        return "--room-file", File(path=wish.room_file, realtime=True)
    if wish.room_microphone is not None:
        name = wish.room_microphone
        device = int(name) if name.isdecimal() else name or None
        return "--room-microphone", Microphone(device=device, when_lost="reopen")
    return "", None


def _language(flag: str, tag: str, *, auto: bool = False) -> str:
    if auto and tag.strip().lower() == AUTO:
        return AUTO
    try:
        return canonical(tag)
    except ValueError as wrong:
        raise refuse(f"{flag} {tag}: {wrong}") from None


def _check(engine: Engine, source: str, languages: list[str]) -> None:
    """Refuse a language that cannot be made of the one that is spoken."""
    tongues = tongues_of(engine)
    for tag in languages:
        if tag == source:
            continue
        try:
            tongues.offer(source, tag)
        except ValueError as wrong:
            raise refuse(f"--room-languages {tag}: {wrong}") from None


# --- what is told on start


def links(plan: Plan, base_url: str) -> Iterator[str]:
    """The lines that tell of the room, which is served at `base_url` (ws or wss)."""
    room = room_address(base_url, plan.keys.name)
    host = urlsplit(room).hostname or ""
    yield f"listeners: {room}"
    yield f"speaker:   {room}/speak?key={plan.keys.speaker}"
    yield f"operator:  {room}/watch?key={plan.keys.operator}"
    if is_loopback(host):
        yield "only this machine can open them: for the phones in the room give --host 0.0.0.0"
    elif room.startswith("http://") and plan.speaker is None:
        yield (
            "a browser gives its microphone to https pages and to http://localhost only: to speak from another "
            "machine, give --tls-cert FILE, or put a proxy with https in front"
        )
