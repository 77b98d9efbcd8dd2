"""A room's name and keys: the same next time, shown to nobody, and nobody's guess."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from stages.room.keys import RoomKeys, kept_keys
from stages.room.pages import is_name


def test_they_are_made_once_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rooms.json"
    keys = kept_keys(path, "sunday", is_open=False)
    assert kept_keys(path, "sunday", is_open=False) == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert is_name(keys.name)
    assert keys.name.startswith("sunday-")
    assert len(keys.name) >= len("sunday-") + 12
    assert len({keys.speaker, keys.operator, keys.name}) == 3
    other = kept_keys(path, "monday", is_open=False)
    assert other.speaker != keys.speaker
    assert kept_keys(path, "sunday", is_open=False) == keys


@pytest.mark.parametrize("is_open", [True, False])
def test_those_of_a_room_with_the_longest_name_can_be_read_again(tmp_path: Path, is_open: bool) -> None:
    path, wish = tmp_path / "rooms.json", "a" * 80
    keys = kept_keys(path, wish, is_open=is_open)
    assert is_name(keys.name)
    assert kept_keys(path, wish, is_open=is_open) == keys


def test_an_open_room_has_its_bare_name_and_keys_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rooms.json"
    private, public = (kept_keys(path, "sunday", is_open=each) for each in (False, True))
    assert public.name == "sunday"
    assert public.speaker != private.speaker


def test_each_key_is_good_for_one_thing() -> None:
    keys = RoomKeys("sunday", "canary-s", "canary-o")
    assert keys.may_speak("canary-s")
    assert keys.may_watch("canary-o")
    for other in ("canary-o", "", None, "canary-s ", "\ud800"):
        assert not keys.may_speak(other)
    assert not keys.may_watch("canary-s")
    assert "canary" not in repr(keys)


@pytest.mark.parametrize(
    "content",
    [
        "nonsense",
        "[]",
        '{"rooms": []}',
        '{"rooms": {"a": {}}}',
        '{"rooms": {"a": {"name": "a", "speaker": "", "operator": "canary"}}}',
        '{"rooms": {"a": {"name": "../a", "speaker": "canary", "operator": "canary"}}}',
        '{"rooms": {"a": {"name": "a", "speaker": 7, "operator": "canary"}}}',
        "\xff",
    ],
)
def test_a_file_that_is_none_of_ours_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rooms.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"rooms\.json") as wrong:
        kept_keys(path, "sunday", is_open=False)
    assert "canary" not in str(wrong.value)
    assert path.read_bytes() == content.encode("latin-1")


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"rooms\.json: .*; name a file that can be written"):
        kept_keys(tmp_path / "file" / "rooms.json", "sunday", is_open=False)


def test_what_else_stands_in_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "rooms.json"
    first = kept_keys(path, "a", is_open=False)
    kept_keys(path, "b", is_open=False)
    assert set(json.loads(path.read_text())["rooms"]) == {"a", "b"}
    assert kept_keys(path, "a", is_open=False) == first
