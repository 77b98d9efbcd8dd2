from __future__ import annotations

import builtins
import itertools
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.items import Audio
from pipeline.stage import StageError
from stages.decode import Findings, decode
from stages.decode.header import bytes_missing

SPEECH_LIKE = np.rint(
    6000 * np.sin(np.arange(96_000) * 0.05) * (1 + np.sin(np.arange(96_000) * 0.0003))
    + np.random.default_rng(0).normal(0, 300, 96_000)
).astype(np.int16)


def make(folder: Path, form: str, subtype: str | None = None, frames: int = 96_000, rate: int = 16000) -> Path:
    path = folder / f"sound.{form.lower()}"
    # Into files of floats, libsndfile writes integers as they are.
    samples = SPEECH_LIKE[:frames] / 32768 if subtype in ("FLOAT", "DOUBLE") else SPEECH_LIKE[:frames]
    soundfile.write(path, samples, rate, format=form, subtype=subtype)
    return path


def read(path: Path, **options: Any) -> tuple[list[Audio], Findings]:
    found = Findings()
    return list(decode(path, findings=found, **options)), found


def whole(pieces: list[Audio]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(StageError) as error:
        read(path, **options)
    assert error.value.code == 1
    message = str(error.value)
    assert "\n" not in message
    assert not message.endswith(".")
    return message


def damaged(data: bytes, begin: int, length: int) -> bytes:
    noise = random.Random(begin).randbytes(length)
    return data[:begin] + noise + data[begin + length :]


# --- what is whole


@pytest.mark.parametrize(
    ("form", "subtype", "apart"),
    [
        *[("WAV", subtype, 0) for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")],
        *[("WAV", subtype, apart) for subtype, apart in (("PCM_U8", 256), ("ULAW", 512), ("ALAW", 512))],
        *[(form, "PCM_16", 0) for form in ("AIFF", "CAF", "W64", "RF64", "AU", "FLAC")],
        ("FLAC", "PCM_24", 0),
        ("CAF", "ALAC_16", 0),
    ],
)
def test_formats_are_read_to_the_frame(tmp_path: Path, form: str, subtype: str, apart: int) -> None:
    pieces, found = read(make(tmp_path, form, subtype))
    samples = whole(pieces)[:, 0]
    assert [pieces[0].start, pieces[0].rate, len(samples)] == [0, 16000, 96_000]
    assert np.abs(samples.astype(int) - SPEECH_LIKE).max() <= apart
    assert found == Findings(rate=16000, total=96_000)


@pytest.mark.parametrize(("form", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_formats_are_read_to_the_frame(tmp_path: Path, form: str, subtype: str) -> None:
    pieces, found = read(make(tmp_path, form, subtype))
    assert len(whole(pieces)) == 96_000
    assert np.corrcoef(whole(pieces)[:, 0], SPEECH_LIKE)[0, 1] > 0.97
    assert (found.truncated, found.damaged, found.total) == (0, 0, 96_000)


def test_a_long_file_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.tile(SPEECH_LIKE[:, None], (10, 2)), 16000)
    pieces, _ = read(path)
    assert max(piece.samples.size for piece in pieces) == 2**18
    assert all(one.end == other.start for one, other in itertools.pairwise(pieces))
    assert np.array_equal(whole(pieces), np.tile(SPEECH_LIKE[:, None], (10, 2)))


@pytest.mark.parametrize(
    ("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("CAF", "ALAC_16"), ("WAV", "GSM610")]
)
def test_an_excerpt_is_that_part_of_the_whole(tmp_path: Path, form: str, subtype: str) -> None:
    path = make(tmp_path, form, subtype, rate=8000)
    everything = whole(read(path)[0])
    pieces, found = read(path, start_s=1.5, duration_s=0.75)
    assert (pieces[0].start, found.total, found.truncated) == (12_000, 6000, 0)
    assert np.array_equal(whole(pieces), everything[12_000:18_000])
    assert len(whole(read(path, start_s=11)[0])) == len(everything) - 88_000


def test_an_excerpt_past_the_end_is_what_there_is(tmp_path: Path) -> None:
    path = make(tmp_path, "WAV")
    pieces, found = read(path, start_s=5, duration_s=100)
    assert (len(whole(pieces)), found.total, found.truncated) == (16_000, 16_000, 0)
    assert "start: wanted less than 6.000 s" in refusal(path, start_s=6)


# --- samples


def test_what_is_beyond_all_bounds_is_limited_and_counted(tmp_path: Path) -> None:
    for subtype, most in (("FLOAT", np.finfo(np.float32).max), ("DOUBLE", np.finfo(np.float64).max)):
        soundfile.write(tmp_path / "huge.wav", np.array([[0.5], [most], [-most]]), 8000, subtype)
        pieces, found = read(tmp_path / "huge.wav")
        assert whole(pieces)[:, 0].tolist() == [16384, 32767, -32768]
        assert (found.not_finite, found.limited) == (0, 2)


def test_what_is_not_finite_becomes_silence_and_is_counted(tmp_path: Path) -> None:
    wave = np.array([[0.5], [np.nan], [np.inf], [-np.inf], [-0.25]])
    for subtype in ("FLOAT", "DOUBLE"):
        soundfile.write(tmp_path / "x.wav", wave, 8000, subtype=subtype)
        pieces, found = read(tmp_path / "x.wav")
        assert whole(pieces)[:, 0].tolist() == [16384, 0, 0, 0, -8192]
        assert (found.not_finite, found.limited) == (3, 0)


def test_what_exceeds_full_scale_is_limited_and_counted(tmp_path: Path) -> None:
    wave = np.array([[1.5], [-1e30], [1.0], [-1.0], [1e300], [3e-5]])
    soundfile.write(tmp_path / "x.wav", wave, 8000, subtype="DOUBLE")
    pieces, found = read(tmp_path / "x.wav")
    assert whole(pieces)[:, 0].tolist() == [32767, -32768, 32767, -32768, 32767, 1]
    assert (found.not_finite, found.limited) == (0, 3)


# --- what is cut or damaged


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "MS_ADPCM"),
        ("RF64", "PCM_24"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("MP3", None),
    ],
)
def test_of_a_cut_file_what_is_there_is_given_and_what_lacks_is_counted(
    tmp_path: Path, form: str, subtype: str | None
) -> None:
    path = make(tmp_path, form, subtype)
    length = len(whole(read(path)[0]))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    pieces, found = read(path)
    assert 0.5 * length < len(whole(pieces)) < 0.65 * length
    assert abs(len(whole(pieces)) + found.truncated - length) < 2000  # ADPCM: to the block
    assert found.damaged == 0
    _, excerpt = read(path, duration_s=1)
    assert excerpt.truncated == 0


def test_flac_goes_on_behind_the_damage_with_positions_that_are_true(tmp_path: Path) -> None:
    path = make(tmp_path, "FLAC")
    data = path.read_bytes()
    path.write_bytes(damaged(data, len(data) // 2, 100))
    pieces, found = read(path)
    assert found.damaged in (4096, 8192)
    assert found.truncated == 0
    assert sum(piece.frames for piece in pieces) + found.damaged == 96_000
    for piece in pieces:
        assert np.array_equal(piece.samples[:, 0], SPEECH_LIKE[piece.start : piece.end])


def test_a_flac_of_unstated_length_is_read_to_its_end_or_tells_that_it_broke_off(tmp_path: Path) -> None:
    path = make(tmp_path, "FLAC")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # STREAMINFO's number of samples; 0: unknown
    path.write_bytes(data)
    pieces, found = read(path)
    assert (len(whole(pieces)), found) == (96_000, Findings(rate=16000))
    path.write_bytes(data[: len(data) * 6 // 10])
    pieces, found = read(path)
    assert 0 < len(whole(pieces)) < 96_000
    assert found == Findings(rate=16000, truncated=1)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_what_ogg_skips_is_counted(tmp_path: Path, subtype: str) -> None:
    path = make(tmp_path, "OGG", subtype)
    data = path.read_bytes()
    path.write_bytes(damaged(data, len(data) // 2, 100))
    pieces, found = read(path)
    assert 8000 < found.truncated < 96_000
    assert len(whole(pieces)) + found.truncated == 96_000


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0xFFFFFFDB, 0xFFFF0000, 0x7FFFF000, 0x80000000])
def test_a_streamed_wav_is_read_to_its_end_and_lacks_nothing(tmp_path: Path, size: int) -> None:
    path = make(tmp_path, "WAV")
    data = bytearray(path.read_bytes())
    assert data[36:40] == b"data"
    data[4:8] = data[40:44] = struct.pack("<I", size)
    path.write_bytes(data)
    pieces, found = read(path)
    assert (len(whole(pieces)), found.truncated) == (96_000, 0)


def test_bytes_missing_looks_no_further_than_it_must(tmp_path: Path) -> None:
    path = tmp_path / "x"
    endless = b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 2000 + b"data\xff\0\0\0"
    path.write_bytes(endless)
    assert bytes_missing(path) == (0, 0)
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + b"junk\x01\0\0\0ab" + b"data\x09\0\0\0abcd")
    assert bytes_missing(path) == (4, 5)
    path.write_bytes(b"RIFF\0\0\0\0WAVEda")
    assert bytes_missing(path) == (0, 0)


def test_an_mp3_without_a_tag_only_guesses_its_length(tmp_path: Path) -> None:
    path = make(tmp_path, "MP3")
    data = path.read_bytes()
    tag = max(data.find(b"Xing"), data.find(b"Info"))
    path.write_bytes(data[:tag] + bytes(4) + data[tag + 4 :])
    _, found = read(path)
    assert found.truncated == 0
    with_id3 = b"ID3\4\0\0\0\0\x01\x00" + bytes(128) + data
    path.write_bytes(with_id3[: len(with_id3) * 6 // 10])
    _, found = read(path)
    assert found.truncated > 30_000


# --- what is refused


def test_every_refusal_is_one_line_that_says_what_came(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.wav")
    assert "wanted a sound file, came a folder" in refusal(tmp_path)
    assert "not a directory" in refusal(make(tmp_path, "WAV") / "x.wav")
    assert "came a device or a pipe" in refusal(Path("/dev/zero"))
    assert "null" in refusal(tmp_path / "a\0b.wav")
    (tmp_path / "empty.wav").touch()
    assert "the file is empty" in refusal(tmp_path / "empty.wav")
    assert "no sound in it" in refusal(make(tmp_path, "WAV", frames=0))
    (tmp_path / "text.wav").write_text("This is no sound, whatever it is called.\n" * 50)
    assert "libsndfile: format not recognised" in refusal(tmp_path / "text.wav")


def test_a_name_need_not_be_utf_8(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    make(tmp_path, "WAV").rename(odd)
    assert len(whole(read(odd)[0])) == 96_000
    odd.write_text("no sound")
    assert r"\udcff.wav" in refusal(odd)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "came a device or a pipe" in refusal(tmp_path / "pipe.wav")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path, "WAV")
    path.chmod(0)
    assert "permission denied" in refusal(path)


def test_permission_denied_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = make(tmp_path, "WAV")
    monkeypatch.setattr(Path, "open", deny)
    assert "permission denied" in refusal(path)


@pytest.mark.parametrize(("rate", "channels"), [(999, 1), (768_001, 1), (48000, 65), (2_000_000_000, 2)])
def test_absurd_headers_are_refused(tmp_path: Path, rate: int, channels: int) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.zeros((10, channels), np.int16), rate)
    assert f"came {rate} Hz and {channels}" in refusal(path)


def test_without_the_extra_the_refusal_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_av(name: str, *rest: Any) -> Any:
        if name.endswith("with_av"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_av)
    (tmp_path / "talk.m4a").write_bytes(b"\0\0\0\x18ftypM4A " + bytes(100))
    assert 'pip install "dragoman[media]"' in refusal(tmp_path / "talk.m4a")


# --- FFmpeg


Encode = Callable[..., Path]


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    """Writes six seconds of sound with FFmpeg."""
    av = pytest.importorskip("av")

    def write(name: str, codec: str, form: str, rate: int = 48000, skip: range = range(0)) -> Path:
        if codec not in av.codecs_available:
            pytest.skip(f"this FFmpeg has no {codec}")
        with av.open(str(tmp_path / name), "w", format=form) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.layout = "mono"
            for number in range(280):
                wave = np.sin(np.arange(number * 1024, number * 1024 + 1024) * 0.05).astype(np.float32) / 2
                frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
                frame.rate, frame.pts = rate, number * 1024
                container.mux([packet for packet in stream.encode(frame) if number not in skip])
            container.mux(stream.encode(None))
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("name", "codec", "form"), [("x.m4a", "aac", "mp4"), ("x.aac", "aac", "adts"), ("x.webm", "libopus", "webm")]
)
def test_what_libsndfile_lacks_ffmpeg_reads(encode: Encode, name: str, codec: str, form: str) -> None:
    pieces, found = read(encode(name, codec, form))
    samples = whole(pieces)[:, 0]
    assert abs(len(samples) - 280 * 1024) < 3000
    assert 10_500 < np.sqrt(np.mean(samples[48_000:96_000].astype(float) ** 2)) < 12_500  # 32768 / 2 / sqrt(2)
    assert (found.truncated, found.damaged, found.rate) == (0, 0, 48000)


def test_an_excerpt_from_ffmpeg_is_that_part_of_the_whole(encode: Encode) -> None:
    path = encode("x.m4a", "aac", "mp4")
    everything = whole(read(path)[0]).astype(int)
    pieces, found = read(path, start_s=3, duration_s=1)
    assert (pieces[0].start, len(whole(pieces)), found.total) == (144_000, 48_000, 48_000)
    assert np.abs(whole(pieces) - everything[144_000:192_000]).max() <= 2


def test_where_packets_are_missing_positions_jump(encode: Encode) -> None:
    pieces, found = read(encode("x.webm", "libopus", "webm", skip=range(100, 150)))
    assert abs(found.damaged - 50 * 1024) < 2000
    assert abs(pieces[-1].end - 280 * 1024) < 2000
    assert len(pieces) == 2 or pieces[1].start > pieces[0].end


def test_what_is_cut_off_is_counted_where_the_header_tells(encode: Encode) -> None:
    path = encode("x.webm", "libopus", "webm")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    pieces, found = read(path)
    assert abs(pieces[-1].end + found.truncated - 280 * 1024) < 2000
    assert found.truncated > 90_000


def test_a_playlist_is_no_sound(tmp_path: Path) -> None:
    pytest.importorskip("av")
    make(tmp_path, "WAV")
    (tmp_path / "x.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsound.wav\n#EXT-X-ENDLIST\n")
    (tmp_path / "x.ffconcat").write_text("ffconcat version 1.0\nfile sound.wav\n")
    assert "FFmpeg: invalid" in refusal(tmp_path / "x.m3u8")
    assert "FFmpeg: invalid" in refusal(tmp_path / "x.ffconcat")


# --- hostile and real files


WAYS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", "VORBIS"), ("MP3", None), ("AIFF", None)]


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: "-".join(filter(None, way)))
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("fuzz"), *request.param, frames=12_000)


@given(
    keep=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    head=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_in_a_file_it_is_read_or_refused(
    sound: Path, keep: float, flips: list[tuple[float, int]], head: bool
) -> None:
    data, path = sound.read_bytes(), sound.with_stem("bent")
    bent = bytearray(data[: max(1, round(len(data) * keep))])
    for place, value in flips:
        bent[round((min(len(bent), 100 if head else len(bent)) - 1) * place)] = value
    path.write_bytes(bent)
    try:
        pieces, found = read(path)
    except StageError:
        return
    end = 0
    for piece in pieces:
        assert piece.start >= end
        end = piece.end
    assert min(found.damaged, found.truncated) >= 0


@given(st.binary(max_size=300))
@settings(max_examples=30, deadline=None)
def test_bytes_missing_reads_anything(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    for form in (b"RIFF", b"RF64", b"FORM", b"RIFX", b""):
        path.write_bytes(form + data)
        there, missing = bytes_missing(path)
        assert there >= 0
        assert missing >= 0


ODD = {
    "aac.m4a": 35_840,
    "adpcm_ms.wav": 14_252,
    "alaw_8k.wav": 6400,
    "caf.caf": 12_800,
    "cut_60pct_flac_16k.flac": 4608,
    "dc_offset.wav": 12_800,
    "f32_44k1.wav": 35_280,
    "f64_16k.wav": 4800,
    "flac_16k.flac": 12_800,
    "g722.wav": 12_800,
    "junk_odd_pad.wav": 12_800,
    "mp3_cbr64.mp3": 17_640,
    "mp3_named.wav": 17_640,
    "mulaw_8k.wav": 6400,
    "odd_byte.wav": 12_799,
    "opus_60ms.ogg": 38_400,
    "pcm_u8_8k.wav": 6400,
    "rf64.wav": 12_800,
    "s16_6ch_48k.wav": 9600,
    "s32_16k.wav": 12_800,
    "speex.ogg": 12_800,
    "stream_ffffffff.wav": 12_800,
    "two_data_chunks.wav": 2,
    "vorbis.ogg": 35_280,
    "wav_named.mp3": 12_800,
    **dict.fromkeys(["bad_align.wav", "corrupt.mp3", "corrupt_head.flac"]),
    **dict.fromkeys(["corrupt.opus", "cut_60pct_opus_voip.opus"]),
    **dict.fromkeys(
        [
            "bits_0.wav",
            "channels_65535.wav",
            "fmt_claims_4gb_chunk.wav",
            "header_only.wav",
            "rate_4g.wav",
            "text.wav",
        ],
        0,
    ),
}
"""Frames in each of the odd recordings; 0: must be refused; None: either will do."""


@pytest.mark.parametrize("name", ODD)
def test_odd_recordings_are_read_or_refused(speech: Path, name: str) -> None:
    frames = ODD[name]
    if name in ("aac.m4a", "g722.wav", "speex.ogg", "two_data_chunks.wav"):
        pytest.importorskip("av")
    if frames == 0:
        assert name in refusal(speech / "odd" / name)
        return
    try:
        pieces, found = read(speech / "odd" / name)
    except StageError:
        assert frames is None
        return
    given_frames = sum(piece.frames for piece in pieces)
    assert given_frames == (given_frames if frames is None else frames)
    assert frames is None or "cut" in name or (found.truncated, found.damaged) == (0, 0)
    if name.startswith("cut"):
        assert found.truncated == 12_800 - frames


def test_every_odd_recording_is_known(speech: Path) -> None:
    assert {path.name for path in (speech / "odd").iterdir()} <= set(ODD)


# --- nothing stays open


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_nothing_stays_open(tmp_path: Path, encode: Encode) -> None:
    paths = [make(tmp_path, "WAV"), make(tmp_path, "FLAC"), encode("x.m4a", "aac", "mp4")]
    before = open_files()
    for path in paths:
        read(path)
        half: Iterator[Audio] | None = decode(path)
        assert half is not None
        next(half)
        assert open_files() == before + 1
        half = None
        assert open_files() == before
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    refusal(text)
    assert open_files() == before
