"""What `dragoman serve` does: from its options to the last goodbye."""

from __future__ import annotations

import errno
import logging
import signal
import ssl as tls
import sys
from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import anyio
from attrs import frozen

from pipeline.cli.controlling import control_folder_of, listen
from pipeline.cli.exits import Exit, refuse
from pipeline.cli.keyboard import keyboard, pausing
from pipeline.cli.room import Plan, links, room_of
from pipeline.cli.room_microphone import HINT, obey_keys, tell_losses
from pipeline.cli.words import plural
from pipeline.control.server import ControlSocket
from pipeline.serve.engine import Echo, Engine, Local, Relay
from pipeline.serve.keys import Keys, read_keys
from pipeline.serve.limits import Limits, Refusal
from pipeline.serve.listener import Server, room_address, serving
from pipeline.serve.opening import opened
from pipeline.serve.room.hall import Hall
from pipeline.serve.service import Service
from pipeline.stage import StageError
from stages.room.qr import qr_code
from stages.sockets import bound, is_loopback
from stages.tls import server_context
from stages.translate.realtime.config import api_key_or_env
from stages.translate.realtime.events import SessionConfig
from stages.translate.realtime.transport import DEFAULT_BASE_URL, service_url

__all__ = [
    "NOBODY",
    "Local",
    "Place",
    "control_folder_of",
    "encryption_of",
    "engine_of",
    "is_loopback",
    "keys_of",
    "room_of",
    "serve",
    "service_of",
    "sessions_of",
]


@frozen
class Place:
    """Where to listen, and how to encrypt."""

    host: str
    port: int
    ssl: tls.SSLContext | None


log = logging.getLogger(__name__)

NOBODY = Keys({})
"""For a server whose sessions are nobody's."""


def serve(
    service: Service,
    place: Place,
    loaded: Sequence[SessionConfig],
    backend: str,
    log_level: str,
    control: Path | None = None,
    room: Plan | None = None,
) -> None:
    """Serve until a signal comes. `loaded`: what models are loaded for before that.

    By a socket in the folder `control` others may look in; without one, none.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    anyio.run(_serve, service, place, loaded, control, room, backend=backend)


async def _serve(
    service: Service,
    place: Place,
    loaded: Sequence[SessionConfig],
    control: Path | None,
    room: Plan | None,
) -> None:
    """Load the models of the sessions `loaded`, and listen until a signal comes."""
    try:
        for session in loaded:
            await service.engine.load(session)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            hall = None
            if room is not None:
                _keep(room, place)
                hall = room.hall(service)
            async with serving(service, host=place.host, port=place.port, ssl=place.ssl, hall=hall) as server:
                _say_serving(server)
                if room is None or hall is None:
                    await _until_stopped(server, signals, control)
                    return
                _say_room(room, server)
                with keyboard() if pausing([room.speaker]) else nullcontext() as keys:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(_let_speak, hall, room)
                        tasks.start_soon(tell_losses, hall, _say)
                        if keys is not None:
                            _say(HINT)
                            tasks.start_soon(obey_keys, keys, hall, _say)
                        await _until_stopped(server, signals, control)
                        tasks.cancel_scope.cancel()
    except StageError as error:
        raise refuse(str(error), error.code) from error
    except OSError as error:
        why = (error.strerror or str(error)).lower().partition(" (while")[0]
        taken = "; --port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        raise refuse(f"cannot listen at {place.host}:{place.port}: {why}{taken}", Exit.FAILED) from error


def _say_serving(server: Server) -> None:
    keys = server.service.keys
    who = "open" if keys is None else plural(len(keys.names), "key") if keys.names else "for the room only"
    _say(f"serving {server.url} (engine {server.service.engine.name}, {who})")


def _keep(room: Plan, place: Place) -> None:
    """Let the room's links be the same next time, where it can begin. Raises: OSError, where it cannot listen."""
    with bound(place.host, place.port):
        pass
    try:
        room.keep()
    except ValueError as wrong:
        raise refuse(f"--rooms-file {wrong}") from None


def _say_room(room: Plan, server: Server) -> None:
    """The links are for the terminal alone: they hold keys, and are never logged."""
    for line in links(room, server.base_url):
        _say(line)
    if room.speaker is not None:
        _say("what speaks on this machine begins when the models are loaded")
    if room.qr:
        print(qr_code(room_address(server.base_url, room.keys.name)), file=sys.stderr, flush=True)


async def _let_speak(hall: Hall, room: Plan) -> None:
    """Let what is there on this machine speak. What happens to it does not end the room."""
    if room.speaker is None:
        return
    try:
        await hall.let_speak(room.speaker)
    except StageError as error:
        _say(f"nobody speaks any more: {error}")
    except Exception:
        log.exception("what speaks on this machine has failed")
        _say("nobody speaks any more: something went wrong")
    else:
        if hall.room.board.state != "ended":
            _say("the recording is over; the room stays open")


async def _until_stopped(server: Server, signals: AsyncIterable[object], control: Path | None) -> None:
    async with anyio.create_task_group() as tasks:
        socket = await listen(server.service.watched, control, tasks, "serve")
        async for _ in signals:
            if server.stopping:
                server.cut()
            else:
                tasks.start_soon(_stop, server, socket, tasks.cancel_scope)


async def _stop(server: Server, socket: ControlSocket | None, scope: anyio.CancelScope) -> None:
    if server.sessions or server.hall is not None:
        ending = plural(server.sessions, "session") if server.hall is None else "the room and its speaker"
        _say(f"stopping: {ending} may end; Ctrl-C again ends them at once")
    await server.stop()
    if socket is not None:
        await socket.close()
    scope.cancel()


def _say(line: str) -> None:
    print(f"dragoman: {line}", file=sys.stderr, flush=True)


# --- options, made into what they stand for


def engine_of(name: str, relay_to: str | None, models: Local) -> Engine:
    if name != "realtime":
        return Echo() if name == "echo" else models
    try:
        service_url(relay_to or DEFAULT_BASE_URL, "fast")
        api_key_or_env(None)
    except ValueError as wrong:
        raise refuse(f"--engine realtime: {wrong}") from None
    return Relay(relay_to or DEFAULT_BASE_URL)


def service_of(engine: Engine, keys: Keys | None, workers: int | None, limits: Mapping[str, Any]) -> Service:
    return Service(engine, keys, Limits(**limits), **({} if workers is None else {"workers": workers}))


def keys_of(path: Path | None) -> Keys | None:
    if path is None:
        return None
    try:
        return read_keys(path)
    except UnicodeDecodeError as wrong:
        raise refuse(f"{path}: not UTF-8 at byte {wrong.start}") from None
    except (ValueError, OSError) as wrong:
        raise refuse(str(wrong)) from None


def encryption_of(cert: Path | None, key: Path | None) -> tls.SSLContext | None:
    if cert is None:
        if key is not None:
            raise refuse("--tls-key needs --tls-cert")
        return None
    try:
        return server_context(cert, key)
    except ValueError as wrong:
        raise refuse(str(wrong)) from None


def sessions_of(pairs: Sequence[str], engine: Engine) -> Sequence[SessionConfig]:
    """What `--load` asks for."""
    found = []
    for pair in pairs:
        source, colon, target = pair.partition(":")
        if not colon or not target:
            raise refuse(f"--load {pair}: wanted FROM:TO, such as en-us:pt-br")
        try:
            found.append(opened(SessionConfig(source, target), engine))
        except Refusal as refusal:
            raise refuse(f"--load {pair}: {refusal.event.message}") from None
    return found
