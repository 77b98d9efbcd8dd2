from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from pipeline.stage import StageError
from stages.posting.numbers import Numbers, default_path, fingerprint
from tests.caption_service import CANARY

STREAM = fingerprint(f"https://here/?cid={CANARY}")


def numbers(path: Path, stream: str = STREAM) -> Numbers:
    kept = Numbers(path, stream)
    kept.load()
    return kept


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "seq.json"
    first = numbers(path)
    assert [first.take(), first.take()] == [1, 2]
    again = numbers(path)
    assert again.last == 2
    assert again.take() == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_number_is_kept_before_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "seq.json"
    taken = numbers(path).take()
    assert numbers(path).take() == taken + 1, "the first process was killed before it posted"


def test_another_stream_begins_at_one(tmp_path: Path) -> None:
    path = tmp_path / "seq.json"
    numbers(path).take()
    assert numbers(path, fingerprint("another")).take() == 1


def test_looking_changes_nothing(tmp_path: Path) -> None:
    numbers(tmp_path / "seq.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"seq": 1}', '{"stream": "x", "seq": "1"}', '{"stream": "x", "seq": -1}',
             '{"stream": "x", "seq": true}', '{"stream": "x", "seq": 1e400}', "\udcff"],
)  # fmt: skip
def test_a_file_that_is_none_of_ours_is_not_touched(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seq.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(StageError, match="holds no number of a post: name another file, or delete it"):
        numbers(path)
    assert path.read_bytes() == text.encode(errors="surrogateescape")


def test_a_folder_that_is_missing_or_closed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there is no folder"):
        numbers(tmp_path / "no" / "seq.json")
    with pytest.raises(StageError, match="is a directory"):
        numbers(tmp_path)
    kept = numbers(tmp_path / "seq.json")
    kept.path = tmp_path / "gone" / "seq.json"
    with pytest.raises(StageError, match=r"cannot keep the number .* no such file"):
        kept.take()
    assert kept.last == 0


def test_the_default_place_is_of_the_user_and_of_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "state"))
    path = default_path(STREAM)
    assert path == tmp_path / "state" / "dragoman" / "captions" / f"{STREAM}.json"
    kept = Numbers(path, STREAM, makes_folder=True)
    kept.load()
    assert not path.parent.exists()
    assert kept.take() == 1
    assert CANARY not in path.read_text() + str(path)
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    if sys.platform != "win32":
        assert default_path(STREAM).is_relative_to(tmp_path / ".local" / "state")
