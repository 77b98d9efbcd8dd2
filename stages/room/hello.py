"""The hello of those who come to a room with a key: `{"type":"hello","key":...}` before anything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import anyio

from stages.room.visits import Excluded
from stages.sockets import Socket

__all__ = ["message", "presented"]

MESSAGE_LIMIT = 1000


async def presented(socket: Socket, may: Callable[[str | None], bool], whose: str, within_s: float) -> None:
    """Return once whoever is at `socket` has shown a key with which it `may` come in.

    Raises: SocketGone, and Excluded where it shows none, another than `whose`, or comes from another site.
    """
    if socket.foreign:
        raise Excluded("foreign_origin", f"another site has opened this: open the {whose}'s link itself")
    with anyio.move_on_after(within_s):
        key = message("hello", await socket.receive()).get("key")
        if not may(key if isinstance(key, str) else None):
            told = f"this is not the {whose}'s key of this room: open the {whose}'s link again"
            raise Excluded("invalid_api_key", told)
        return
    raise Excluded("no_hello", f"no hello came within {within_s:g} s")


def message(kind: str, frame: str | bytes) -> Mapping[str, object]:
    """What is said in `frame`, if that is of this type; else nothing."""
    if isinstance(frame, bytes) or len(frame) > MESSAGE_LIMIT:
        return {}
    try:
        raw = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) and raw.get("type") == kind else {}
