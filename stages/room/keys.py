"""A room's name and keys, kept in a file so that its links are the same next time. Nobody else is shown them."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from attrs import field, frozen

from stages.out_file import keep_file
from stages.room.pages import NAME_LIMIT, is_name

__all__ = ["RoomKeys", "default_path", "found_keys", "keep_keys", "kept_keys", "read_rooms"]

_SUFFIX_BYTES = 6
_KEY_BYTES = 18


@frozen
class RoomKeys:
    """The name under which a room is reached, and who may speak in it and watch it."""

    name: str
    speaker: str = field(repr=False)
    operator: str = field(repr=False)

    def may_speak(self, key: str | None) -> bool:
        return _is(self.speaker, key)

    def may_watch(self, key: str | None) -> bool:
        return _is(self.operator, key)

    @classmethod
    def new(cls, wish: str, *, is_open: bool) -> RoomKeys:
        """For a room called `wish`: with a suffix that nobody can guess, unless it `is_open` on purpose."""
        suffix = "" if is_open else f"-{secrets.token_hex(_SUFFIX_BYTES)}"
        name = f"{wish[: NAME_LIMIT - len(suffix)]}{suffix}"
        return cls(name, secrets.token_urlsafe(_KEY_BYTES), secrets.token_urlsafe(_KEY_BYTES))


def default_path() -> Path:
    """Where rooms are kept if no other file is named: in the user's settings folder."""
    return Path(click.get_app_dir("dragoman")) / "rooms.json"


def kept_keys(path: Path, wish: str, *, is_open: bool) -> RoomKeys:
    """The keys of the room called `wish` in the file `path`, made and kept there where it has none.

    Raises: ValueError, in one line, where the file is none of ours, or cannot be read or written.
    """
    keys = found_keys(path, wish, is_open=is_open)
    keep_keys(path, wish, keys, is_open=is_open)
    return keys


def found_keys(path: Path, wish: str, *, is_open: bool) -> RoomKeys:
    """As `kept_keys`, but new ones are not kept yet: `keep_keys` does."""
    return read_rooms(path).get(_entry(wish, is_open)) or RoomKeys.new(wish, is_open=is_open)


def keep_keys(path: Path, wish: str, keys: RoomKeys, *, is_open: bool) -> None:
    """Keep `keys` in the file `path` for the next time. Raises as `kept_keys`."""
    rooms, entry = read_rooms(path), _entry(wish, is_open)
    if rooms.get(entry) == keys:
        return
    try:
        _write(path, {**rooms, entry: keys})
    except OSError as error:
        raise _trouble(path, error) from None


def read_rooms(path: Path) -> dict[str, RoomKeys]:
    """The rooms in the file `path`, by what was wished for; none where there is no file. Raises as `kept_keys`."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError(f"{path}: this is no file of rooms; move it away, or name another") from None
    except OSError as error:
        raise _trouble(path, error) from None
    try:
        return {str(wish): _room(entry) for wish, entry in raw["rooms"].items()}
    except (KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{path}: a room in it lacks its name or a key; move the file away to begin anew"
        ) from None


def _entry(wish: str, is_open: bool) -> str:
    return f"{wish} (open)" if is_open else wish


def _is(key: str, presented: str | None) -> bool:
    return hmac.compare_digest(key.encode(), (presented or "").encode("utf-8", "replace"))


def _trouble(path: Path, error: OSError) -> ValueError:
    return ValueError(f"{path}: {(error.strerror or str(error)).lower()}; name a file that can be written")


def _room(entry: Mapping[str, Any]) -> RoomKeys:
    room = RoomKeys(entry["name"], entry["speaker"], entry["operator"])
    if not all(isinstance(each, str) and each for each in (room.name, room.speaker, room.operator)):
        raise TypeError
    if not is_name(room.name):
        raise TypeError
    return room


def _write(path: Path, rooms: Mapping[str, RoomKeys]) -> None:
    body = {
        wish: {"name": room.name, "speaker": room.speaker, "operator": room.operator}
        for wish, room in rooms.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    keep_file(path, json.dumps({"rooms": body}, indent=2).encode())
