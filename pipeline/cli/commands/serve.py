"""`dragoman serve`: its options. What they start is in `serving`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pipeline.cli.command import Command, option, time_option, titled
from pipeline.cli.commands.room_options import RoomOptions, room_options
from pipeline.cli.exits import Exit, refuse
from pipeline.cli.options import ENGINES, backend_option, control_option, partials_option

__all__ = ["LIMITS", "serve"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
FOLDER = click.Path(file_okay=False, exists=True, path_type=Path)
LIMITS = (
    ("--max-sessions", "sessions", 32, "Sessions in all."),
    ("--max-sessions-per-key", "sessions_per_key", 8, "Sessions with the same key."),
    ("--max-sessions-per-address", "sessions_per_address", 16, "Sessions from the same address."),
    ("--max-opening", "opening", 128, "Connections that have not said who they are."),
    ("--max-ahead", "ahead_s", 60.0, "How far audio may be ahead of real time."),
    ("--max-idle", "idle_s", 300.0, "How long a session may say nothing."),
    ("--max-length", "session_s", 14400.0, "How long a session may be."),
    (
        "--resume-for",
        "resume_s",
        30.0,
        "How long the session of a client that was cut off is kept.",
    ),
    ("--drain", "drain_s", 10.0, "How long sessions may take to end when the server stops."),
)
"""Option, field of `Limits`, its default there (which would take long to import), and what it is."""


def limit_options(command: Decorated) -> Decorated:
    """The options for LIMITS."""
    for flag, name, default, about in reversed(LIMITS):
        what: dict[str, Any] = {"heading": "Limits", "help": about}
        if isinstance(default, int):
            number = click.IntRange(min=1)
            add = option(flag, name, metavar="N", type=number, default=default, show_default=True, **what)
        else:
            add = time_option(flag, name, default=_shown(default), least_s=0.1, **what)
        command = add(command)
    return command


def _shown(time_s: float) -> str:
    """`4h`, `5m`, `30s`."""
    for unit, unit_s in (("h", 3600), ("m", 60)):
        if time_s % unit_s == 0:
            return f"{time_s / unit_s:g}{unit}"
    return f"{time_s:g}s"


@click.command(
    cls=Command,
    exits=(Exit.OK, Exit.FAILED, Exit.USAGE),
    short_help="Serve the realtime protocol, and with --room a room.",
)
@option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0: any free one.",
)
@option(
    "--engine",
    type=click.Choice(ENGINES),
    default="local",
    show_default=True,
    help="What translates: this machine's models; another service; what gives back what it hears.",
)
@option("--relay-to", metavar="URL", help="realtime: that service, else the hosted one. Key: CAMB_API_KEY.")
@option("--api-key-file", metavar="FILE", type=FILE, help="Who may connect: a key a line, or NAME:KEY.")
@option("--open", "is_open", is_flag=True, help="Without keys, listen to other machines too.")
@option("--tls-cert", metavar="FILE", type=FILE, help="Encrypt, with this certificate (PEM).")
@option("--tls-key", metavar="FILE", type=FILE, help="Its private key (PEM), if it is in another file.")
@option("--load", "pairs", multiple=True, metavar="FROM:TO", help="Load the models of a pair at once.")
@option("--asr-model", metavar="FOLDER", type=FOLDER, help="Another CTranslate2 Whisper model.")
@option("--mt-model", metavar="FOLDER", type=FOLDER, help="A CTranslate2 translation model, for any pair.")
@partials_option
@room_options
@limit_options
@titled("Running")(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="How much the engine does at a time; else one a core.",
)
@backend_option
@control_option
@titled("Running")(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="What to log on standard error; keys never are.",
)
def serve(
    host: str,
    port: int,
    engine: str,
    relay_to: str | None,
    api_key_file: Path | None,
    is_open: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    pairs: Sequence[str],
    asr_model: Path | None,
    mt_model: Path | None,
    partials_s: float,
    workers: int | None,
    control: bool,
    backend: str,
    log_level: str,
    room: RoomOptions | None,
    **limits: Any,
) -> None:
    """Serve the realtime protocol at ws://HOST:PORT/v1/realtime, to any client that speaks it.

    With --room, also a room: one speaks into a browser, many read captions in theirs, each in its own language,
    and hear the interpreter's voice. The links, and a QR code of the listeners' one, are told on start.

    Figures are at /metrics, for Prometheus; /healthz tells whether it takes sessions. The first Ctrl-C, or
    SIGTERM, lets sessions end in good order; the second ends them at once.
    """
    try:
        from pipeline.cli import serving
    except ImportError as missing:
        raise refuse(f"serving needs {missing.name}: pip install 'dragoman[serve]'", Exit.FAILED) from missing
    keys = serving.keys_of(api_key_file)
    if keys is None and not is_open and not serving.is_loopback(host):
        if room is None:
            raise refuse(f"--host {host} without keys lets anybody in: give --api-key-file FILE, or --open")
        keys = serving.NOBODY  # there is only the room, which has keys of its own
    asked = click.get_current_context().get_parameter_source("opening") is not ParameterSource.DEFAULT
    if room is not None and not asked:
        limits["opening"] = max(limits["opening"], room.max_listeners)  # all of them load the page at once
    models = serving.Local(asr_model, mt_model, partials_s or None)
    service = serving.service_of(serving.engine_of(engine, relay_to, models), keys, workers, limits)
    place = serving.Place(host, port, serving.encryption_of(tls_cert, tls_key))
    loaded = serving.sessions_of(pairs, service.engine)
    plan = None if room is None else serving.room_of(room, service.engine)
    serving.serve(service, place, loaded, backend, log_level, serving.control_folder_of(control), plan)
