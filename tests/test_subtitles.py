from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.caps import TEXT
from pipeline.items import Item, Mark, MarkKind, Text
from pipeline.stage import Duration, StageError
from stages.subtitles import Subtitles
from tests.cue_checker import check, parse_srt, parse_vtt
from tests.cue_texts import SAMPLES
from tests.fakes import FakeInbox, FakeOutbox, small_disk

pytestmark = pytest.mark.anyio


def speech(language: str = "en-us", many: int = 5) -> list[Text]:
    sample = SAMPLES[language]
    return [Text(sample, 9000 * at, 9000 * at + 8000, language, at) for at in range(many)]


async def run(path: Path, items: Iterable[Item], **options: Any) -> Subtitles:
    stage = Subtitles(path=path, **options)
    await stage.run(FakeInbox(items), FakeOutbox())
    return stage


@pytest.mark.parametrize("language", SAMPLES)
async def test_srt_and_vtt_hold_the_same_captions(tmp_path: Path, language: str) -> None:
    for name in ("x.srt", "x.VTT"):
        await run(tmp_path / name, speech(language))
    from_srt = parse_srt((tmp_path / "x.srt").read_text("utf-8"))
    from_vtt = parse_vtt((tmp_path / "x.VTT").read_text("utf-8"))
    assert from_srt == from_vtt
    assert len(from_srt) >= 5
    check(from_srt, language)


async def test_what_is_written_is_whole_after_every_text(tmp_path: Path) -> None:
    path, found = tmp_path / "x.srt", []

    class Peeking(FakeInbox):
        async def __anext__(self) -> Item:
            found.append(len(parse_srt(path.read_text("utf-8"))))
            return await super().__anext__()

    await Subtitles(path=path).run(Peeking(speech(many=4)), FakeOutbox())
    cues = len(parse_srt(path.read_text("utf-8"))) // 4
    assert found == [0, 0, cues, 2 * cues, 3 * cues], "the last text waits for the next"


async def test_a_watermark_lets_the_last_text_go(tmp_path: Path) -> None:
    path = tmp_path / "x.vtt"
    counts: list[int] = []

    class Peeking(FakeInbox):
        async def __anext__(self) -> Item:
            counts.append(len(parse_vtt(path.read_text("utf-8"))))
            return await super().__anext__()

    items = [Text("Yes, of course.", 0, 1000, "en"), Mark(MarkKind.WATERMARK, 48000, 24000)]
    await Subtitles(path=path).run(Peeking(items), FakeOutbox())
    assert counts == [0, 0, 1]


async def test_cut_off_the_last_text_is_written_all_the_same(tmp_path: Path) -> None:
    class Broken(FakeInbox):
        async def __anext__(self) -> Item:
            try:
                return await super().__anext__()
            except StopAsyncIteration:
                raise StageError("something else broke") from None

    path = tmp_path / "x.srt"
    with pytest.raises(StageError, match="something else"):
        await Subtitles(path=path).run(Broken([Text("Yes, of course.", 0, 1000, "en")]), FakeOutbox())
    assert [cue.lines for cue in parse_srt(path.read_text("utf-8"))] == [("Yes, of course.",)]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class Watched(FakeInbox):
    """Reads `path` whenever the stage asks for the next item; what it saw is in `seen`."""

    def __init__(self, path: Path, items: Iterable[Item]) -> None:
        super().__init__(items)
        self.path, self.seen = path, list[str]()

    async def __anext__(self) -> Item:
        self.seen.append(self.path.read_text("utf-8"))
        return await super().__anext__()


async def test_a_live_vtt_can_be_followed(tmp_path: Path) -> None:
    path = tmp_path / "x.vtt"
    watched = Watched(path, speech())
    await Subtitles(path=path).run(watched, FakeOutbox())
    seen = [*watched.seen, path.read_text("utf-8")]
    assert seen[0] == "WEBVTT\n\n", "the header is there before anybody speaks"
    for before, after in itertools.pairwise(seen):
        assert after.startswith(before)
    for text in seen:
        assert text.endswith("\n\n")
        parse_vtt(text)


@pytest.mark.parametrize("name", ["x.vtt", "x.srt"])
async def test_only_the_last_captions_are_kept_where_that_is_wanted(tmp_path: Path, name: str) -> None:
    all_of_it, path = tmp_path / f"all-{name}", tmp_path / name
    parse = parse_vtt if name == "x.vtt" else parse_srt
    await run(all_of_it, speech(many=20))
    path.write_text("of an earlier run")
    path.chmod(0o644)
    watched = Watched(path, speech(many=20))
    await Subtitles(path=path, keep=Duration(20)).run(watched, FakeOutbox())
    first = watched.seen.index(next(text for text in watched.seen if text != "of an earlier run"))
    cues = parse(all_of_it.read_text("utf-8"))
    for text in [*watched.seen[first:], path.read_text("utf-8")]:
        if kept := parse(text):
            last = cues.index(kept[-1]) + 1
            assert kept == [cue for cue in cues[:last] if cue.end_ms >= kept[-1].end_ms - 20_000]
            assert len(kept) < 10
    assert kept[-1] == cues[-1]
    assert names(tmp_path) == {all_of_it.name, path.name}


async def test_what_is_no_file_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.vtt").mkdir()
    with pytest.raises(StageError, match="only a file can be replaced"):
        await run(tmp_path / "x.vtt", speech(), keep=Duration(20))
    with pytest.raises(StageError, match="there is no folder"):
        await run(tmp_path / "no" / "x.vtt", speech(), keep=Duration(20))


async def test_on_a_full_disk_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.vtt"
    with small_disk(600), pytest.raises(StageError, match="cannot write"):
        await run(path, speech(many=20), keep=Duration(60))
    assert parse_vtt(path.read_text("utf-8"))
    assert names(tmp_path) == {"x.vtt"}


async def test_no_text_is_an_empty_file(tmp_path: Path) -> None:
    await run(tmp_path / "x.srt", [])
    await run(tmp_path / "x.vtt", [])
    assert (tmp_path / "x.srt").read_text() == ""
    assert (tmp_path / "x.vtt").read_text() == "WEBVTT\n\n"


async def test_options_reach_the_captions(tmp_path: Path) -> None:
    stage = await run(tmp_path / "x.srt", speech(), max_line_chars=20, max_lines=1, max_cps=8, max_ms=4000)
    cues = parse_srt((tmp_path / "x.srt").read_text("utf-8"))
    check(cues, "en", 20, 1)
    assert max(cue.ms for cue in cues) <= 4000
    assert stage.counts()["cues"] == len(cues)


async def test_an_unwritable_path_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="there is no folder"):
        await run(tmp_path / "no" / "x.srt", [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
async def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.srt").symlink_to("/dev/full")
    with pytest.raises(StageError, match="the disk is full"):
        await run(tmp_path / "x.srt", speech())


def test_options_are_checked_and_nothing_is_done_yet(tmp_path: Path) -> None:
    stage = Subtitles(path=tmp_path / "x.srt")
    assert stage.gives({"in": TEXT}) == {}
    assert stage.counts() == {}
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"ends in .srt or .vtt"):
        Subtitles(path=Path("x.txt"))
    with pytest.raises(ValueError, match="max_lines: wanted a number from 1 to 3"):
        Subtitles(path=Path("x.srt"), max_lines=0)
