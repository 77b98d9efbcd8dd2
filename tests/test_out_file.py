from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from pipeline.stage import StageError
from stages.out_file import line_writer, named, out_file, print_line, probe_file
from tests.fakes import small_disk


def test_appends_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with out_file(path) as file:
        file.append(b"hello ")
        file.append(b"world")
        file.replace(0, b"J")
        file.append(b"!")
        assert path.read_bytes() == b"Jello world!", "nothing waits in a buffer"
        assert file.size == 12


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("new", ""),
        ("old", ""),
        ("folder", "it is a folder"),
        ("none/new", "there is no folder"),
        ("old/new", "there is no folder"),
    ],
)
def test_a_probe_says_what_opening_would_and_touches_nothing(tmp_path: Path, name: str, wrong: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "old").write_text("of old")
    before = sorted(tmp_path.rglob("*"))
    path = tmp_path / name
    if wrong:
        with pytest.raises(StageError, match=wrong) as probed:
            probe_file(path)
        with pytest.raises(StageError) as opened, out_file(path):
            pass
        assert str(probed.value) == str(opened.value)
    else:
        probe_file(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "old").read_text() == "of old"


def test_a_probe_finds_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(StageError, match="permission denied"):
        probe_file(tmp_path / "new")


def test_a_probe_leaves_standard_output_and_devices_alone() -> None:
    probe_file(Path("-"))
    probe_file(Path("/dev/null"))


def test_what_it_held_stays_until_something_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("of old")
    with out_file(path, header=b"head ") as file:
        assert path.read_bytes() == b"of old"
        file.append(b"new")
        assert path.read_bytes() == b"head new"


def test_nothing_to_write_is_a_result_too(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("of old")
    with out_file(path, header=b"head "):
        pass
    assert path.read_bytes() == b"head "


def test_a_new_file_has_its_header_at_once(tmp_path: Path) -> None:
    with out_file(tmp_path / "x", header=b"head"):
        assert (tmp_path / "x").read_bytes() == b"head"


def test_what_fails_before_it_writes_leaves_what_was_there(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("of old")
    for path in (old, new):
        with pytest.raises(ZeroDivisionError), out_file(path, header=b"head"):
            raise ZeroDivisionError
    assert old.read_bytes() == b"of old"
    assert not new.exists()


def test_what_fails_later_keeps_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("of old")
    with pytest.raises(ZeroDivisionError), out_file(path) as file:
        file.append(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"new"


def test_a_link_is_written_through_and_stays(tmp_path: Path) -> None:
    link = tmp_path / "x"
    link.symlink_to(tmp_path / "there")
    with pytest.raises(ZeroDivisionError), out_file(link):
        raise ZeroDivisionError
    with out_file(link) as file:
        file.append(b"new")
    assert (tmp_path / "there").read_bytes() == b"new"
    assert link.is_symlink()


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
    path = tmp_path / "x"
    with small_disk(1000), out_file(path) as file:
        file.append(bytes(600))
        with pytest.raises(StageError, match="cannot write"):
            file.append(bytes(600))
    assert path.stat().st_size == 600


def test_the_check_of_a_name() -> None:
    check = named(".srt", ".vtt")
    assert check(Path("a.srt")) is None
    assert check(Path("A.VTT")) is None
    assert check(Path("a.txt")) == "a file name that ends in .srt or .vtt"
    assert check(Path("a\0.srt")) is not None
    assert named()(Path("anything")) is None
    assert named()(Path("/")) is not None


def test_lines_are_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with line_writer(path) as write:
        write("één")
        assert path.read_text("utf-8") == "één\n"
        write("lone \ud800")
    assert path.read_bytes().endswith(b"lone \\ud800\n")


def test_lines_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with line_writer(Path("-")) as write:
        write("hello")
    assert capsys.readouterr().out == "hello\n"


def test_what_a_terminal_cannot_show_is_escaped() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")
    print_line(stream, "naïve 月")
    assert buffer.getvalue() == b"na\\xefve \\u6708\n"


class Gone(io.StringIO):
    name = "<stdout>"

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_reader_that_has_gone_is_said_in_one_line() -> None:
    with pytest.raises(StageError, match="cannot write '<stdout>': whoever read it has gone"):
        print_line(Gone(), "x")
