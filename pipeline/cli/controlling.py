"""Opening a control socket for a command that runs graphs: on by default, and never a reason to fail."""

from __future__ import annotations

import os
from pathlib import Path

from anyio.abc import TaskGroup

from pipeline.cli.exits import say_warning
from pipeline.control.places import NoControl, control_folder, supported
from pipeline.control.server import ControlSocket
from pipeline.watched import Watched

__all__ = ["control_folder_of", "listen"]


def control_folder_of(wanted: bool) -> Path | None:
    """Where to open the socket; None where none is wanted, or this platform has none."""
    return control_folder(os.environ) if wanted and supported() else None


async def listen(watched: Watched, folder: Path | None, tasks: TaskGroup, command: str) -> ControlSocket | None:
    """A socket that shows `watched`, served by `tasks`: `close` it before they are cancelled.

    `command` is what runs here, such as `serve`. None where there is no `folder`, or where it cannot be opened:
    then a warning says why.
    """
    if folder is None:
        return None
    try:
        control = await ControlSocket.open(watched, folder, command)
    except NoControl as why:
        say_warning(f"`dragoman top` cannot look in: {why}")
        return None
    tasks.start_soon(control.serve)
    return control
