"""The pages of a room, over HTTP: a fixed table of files that come with the package, and where a room's pages lie.

Nothing of a URL becomes a path, and nothing of it comes back in a page: names are only looked up and compared.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from attrs import evolve, frozen

from stages.sockets import Answer

__all__ = ["ASSETS", "NAME_LIMIT", "SOCKETS", "Place", "answer", "is_name", "place_of"]

ASSETS = "/room-assets/"
Part = Literal["listen", "meet", "speak", "watch"]
SOCKETS: Mapping[str, Part] = {f"{part}-socket": part for part in get_args(Part)}
NAME_LIMIT = 80
_PAGES: Mapping[str, Part] = {"": "listen", "speak": "speak", "watch": "watch"}

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "media-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Permissions-Policy": "microphone=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@frozen
class Place:
    """What a path stands for: a `part` of the room `room`, its page or its socket."""

    room: str
    part: Part
    socket: bool


def is_name(name: str) -> bool:
    """Whether `name` can be a room's: small letters, digits and hyphens, so that it is the same in every URL."""
    plain = name.replace("-", "")
    return len(name) <= NAME_LIMIT and plain.isascii() and plain.isalnum() and plain == plain.lower()


def place_of(path: str, rooms: Collection[str]) -> Place | None:
    """What `path` stands for among `rooms`; None where it is nothing, or no room of that name is there."""
    top, _, rest = path.removeprefix("/").partition("/")
    name, _, part = rest.removesuffix("/").partition("/")
    found = [room for room in rooms if hmac.compare_digest(room.encode(), name.encode("utf-8", "replace"))]
    if top != "r" or not found:
        return None
    if part in SOCKETS:
        return Place(found[0], SOCKETS[part], socket=True)
    page = _PAGES.get(part)
    return None if page is None else Place(found[0], page, socket=False)


def answer(path: str, rooms: Collection[str]) -> Answer | None:
    """The page or file at `path`; None for a socket of one of `rooms`, which is to be upgraded."""
    if path.startswith(ASSETS):
        found = _files().get(path.removeprefix(ASSETS))
        return found if found is not None and "html" not in found.content_type else _nothing()
    place = place_of(path, rooms)
    if place is None:
        return _nothing()
    return None if place.socket else _files()[f"{place.part}.html"]


@cache
def _files() -> Mapping[str, Answer]:
    """The files of `page/`, by name. Read once, when somebody first asks."""
    return {
        file.name: Answer(200, content_type, file.read_bytes(), _HEADERS)
        for file in (files("stages.room") / "page").iterdir()
        if (content_type := _TYPES.get(f".{file.name.rpartition('.')[2]}")) is not None
    }


def _nothing() -> Answer:
    """What is there instead of a room that is not there: it says what to do, and nothing about what was asked."""
    page = _files()["missing.html"]
    return evolve(page, status=404)
