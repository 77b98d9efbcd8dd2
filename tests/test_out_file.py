from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.stage import StageError
from stages.out_file import named, out_file


def test_appends_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with out_file(path) as file:
        file.append(b"hello ")
        file.append(b"world")
        file.replace(0, b"J")
        file.append(b"!")
        assert path.read_bytes() == b"Jello world!", "nothing waits in a buffer"
        assert file.size == 12


def test_begins_empty(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("of old")
    with out_file(path):
        assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("missing/x.wav", "there is no folder"),
        (".", "it is a folder"),
        ("file/x.wav", "there is no folder"),
        ("x" * 300, "file name too long"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_line(tmp_path: Path, path: str, says: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StageError, match=says) as raised, out_file(tmp_path / path):
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")  # noqa: PTH110
def test_a_full_disk_is_said_in_one_line() -> None:
    with pytest.raises(StageError, match="the disk is full: make room"), out_file(Path("/dev/full")) as file:
        file.append(b"x")


def test_a_write_that_is_only_half_done_is_taken_back(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    path = tmp_path / "x"
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, kept[1]))
    try:
        with out_file(path) as file:
            file.append(bytes(600))
            with pytest.raises(StageError, match="cannot write"):
                file.append(bytes(600))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, old)
    assert path.stat().st_size == 600


def test_the_check_of_a_name() -> None:
    check = named(".srt", ".vtt")
    assert check(Path("a.srt")) is None
    assert check(Path("A.VTT")) is None
    assert check(Path("a.txt")) == "a file name that ends in .srt or .vtt"
    assert check(Path("a\0.srt")) is not None
    assert named()(Path("anything")) is None
    assert named()(Path("/")) is not None
