"""`dragoman listen`: its graph, and the whole of it in rooms of PulseAudio."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner

from pipeline.cli.listen import Listen
from pipeline.cli.main import cli
from pipeline.items import Samples
from tests.engine import needs_models
from tests.pulse import MIC, RATE, ROOT, SPEAKER, Pulse, pulse, wait_until
from tests.terminals import on_a_terminal
from tests.wer import error_rate

ROOMS = ["--microphone", "room_mic", "--speaker", "room_speaker"]


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["listen", *arguments])


# --- the graph


def test_it_is_the_graph_that_ships_unless_more_is_asked_for() -> None:
    shipped = (ROOT / "graphs" / "listen.yaml").read_text(encoding="utf-8")
    stages = Listen().graph().nodes
    assert re.findall(r"^  ([\w-]+):  +\{use|^  ([\w-]+):$", shipped, re.MULTILINE)
    assert list(stages) == ["mic", "pcm", "interpreter", "speaker", "captions"]
    assert all(f"\n  {name}:" in shipped for name in stages)
    interpreter: Any = stages["interpreter"].stage
    assert interpreter.echo_guard == "speaker"
    (read,) = stages["pcm"].reads
    assert (str(read.buffer), read.when_full) == ("30000ms", "drop_oldest")


def test_all_that_can_be_asked_for_is_in_the_graph() -> None:
    told = invoke(
        *("--from", "es-es", "--to", "en-us", "--microphone", "3", "--speaker", "USB", "--max-lag", "5s"),
        *("--half-duplex", "--engine", "realtime", "--base-url", "ws://127.0.0.1:8765"),
        *("--save", "x.wav", "--subtitles", "x.srt", "--show-graph"),
    )
    assert told.exit_code == 0
    for part in (
        "{use: microphone, device: 3, when_lost: reopen}",
        "{use: speaker, from: interpreter.audio, device: USB, when_lost: reopen, max_lag: 5s}",
        "source_language: es-es, target_language: en-us",
        "base_url: 'ws://127.0.0.1:8765'",
        "echo_guard: speaker, half_duplex: true",
        "{use: wav, from: interpreter.audio, path: x.wav, layout: timeline}",
        "{use: subtitles, from: interpreter.text, path: x.srt}",
    ):
        assert part in told.stdout


def test_captions_grow_unless_they_shall_not() -> None:
    told = [invoke("--show-graph", *more).stdout for more in ([], ["--partials", "2.5"], ["--partials", "0"])]
    assert ["partials_s: 1," in told[0], "partials_s: 2.5," in told[1], "partials_s" in told[2]] == [
        True,
        True,
        False,
    ]


def test_captions_only_need_no_speaker_no_voice_and_no_guard() -> None:
    nodes = Listen(speech=False).graph().nodes
    assert list(nodes) == ["mic", "pcm", "interpreter", "captions"]
    interpreter: Any = nodes["interpreter"].stage
    assert interpreter.echo_guard is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--no-speech", "--half-duplex"], "--half-duplex is for when speech is played"),
        (["--base-url", "ws://x"], "it needs --engine realtime"),
        (["--max-lag", "soon"], "listen: --max-lag: wanted a time such as 500ms, 1.5s or 1:30, came 'soon'"),
        (["--partials", "0.1"], "error: --partials cannot be '0.1'"),
        (["--engine", "magic"], "--engine: 'magic' is not one of 'local'"),
        (["--from", "xx"], "error: --from cannot be 'xx'"),
        (["--to", "de-de"], "error: no route from en-us to de-de"),
        (["--save", "x.doc"], "error: --save cannot be 'x.doc'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments: Sequence[str], said: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


# --- in rooms


def recording(path: Path) -> Samples:
    samples, rate = soundfile.read(path, dtype="int16")
    return np.asarray(soxr.resample(samples, rate, RATE), np.int16)


def transcript(speech: Path, name: str) -> str:
    told = json.loads((speech / "manifest.json").read_text(encoding="utf-8"))["speech"]
    return str(next(entry["transcript"] for entry in told if entry["file"] == name))


def sounding_s(samples: Samples, rate: int) -> float:
    """Seconds of mono `samples` that are no silence, in steps of 20 ms."""
    step = rate // 50
    loudest = np.abs(samples[: len(samples) // step * step].reshape(-1, step)).max(axis=1)
    return float(np.count_nonzero(loudest > 300)) / 50


@pytest.mark.models
@needs_models
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_space_pauses_and_what_is_said_meanwhile_appears_nowhere(
    tmp_path: Path, speech: Path, backend: str
) -> None:
    heard, unheard = "en_ls_1272_quilter.flac", "en_ls_7902_cutter.flac"
    saved, lines, report = tmp_path / "saved.wav", tmp_path / "lines.srt", tmp_path / "report.json"
    home = tmp_path / "home"
    home.mkdir()
    with pulse(home, MIC, SPEAKER) as room:
        out = ["--save", str(saved), "--subtitles", str(lines), "--report", str(report), "--backend", backend]
        with on_a_terminal(room, "listen", *ROOMS, *out) as terminal, room.recorded(SPEAKER) as played:
            wait_until(lambda: "room_speaker" in terminal.shown and "loading" in terminal.shown, 60)
            terminal.press(" ")
            wait_until(lambda: "paused, nothing is heard" in terminal.shown, 10)
            room.play(MIC, recording(speech / unheard)).wait(30)
            terminal.press("p")
            wait_until(lambda: "listening again" in terminal.shown, 10)
            room.play(MIC, recording(speech / heard)).wait(30)
            wait_until(lambda: "] pt-br:" in terminal.shown, 60)
            wait_until(lambda: np.abs(played()[-RATE:]).max() > 300, 60)
            terminal.press("\x03")
            assert terminal.process.wait(60) == 130
    shown = [line for line in terminal.shown.splitlines() if line.startswith("[")]
    assert len(shown) >= 2
    assert error_rate(transcript(speech, heard), shown[0].partition("] ")[2]) < 0.25
    told = report_in(tmp_path)
    assert counted(told, "mic")["frames not heard while paused"] > 2 * RATE
    assert counted(told, "interpreter/vad")["utterances"] == 1
    text = lines.read_text(encoding="utf-8")
    assert "Quilter" in text
    assert text.count("-->") <= 2
    speech_s = sounding_s(*soundfile.read(saved, dtype="int16"))
    assert speech_s > 2
    assert sounding_s(played(), RATE) > 0.9 * speech_s, "what was under way is played to its end"


def counted(report: Mapping[str, Any], stage: str) -> Mapping[str, int]:
    found: Mapping[str, int] = next(each["counts"] for each in report["stages"] if each["name"] == stage)
    return found


@contextmanager
def looped_back(room: Pulse, volume: str) -> Iterator[None]:
    """What is played into the one room is heard in the other, a moment later and quieter."""
    room.control("load-module", "module-loopback", f"source={SPEAKER}.monitor", f"sink={MIC}", "latency_msec=80")
    (stream,) = json.loads(room.control("--format=json", "list", "sink-inputs"))
    room.control("set-sink-input-volume", str(stream["index"]), volume)
    yield


@contextmanager
def running(room: Pulse, graph: str, folder: Path) -> Iterator[list[Mapping[str, Any]]]:
    """A graph that listens, until the end of the block: what it hears is in the list, once it is settled."""
    path, texts = folder / "graph.yaml", list[Mapping[str, Any]]()
    path.write_text(graph, encoding="utf-8")
    run = room.dragoman("run", str(path), "--format", "json", "--report", str(folder / "report.json"))
    assert run.stdout is not None
    assert any(json.loads(line).get("done_s", 0) > 0 for line in run.stdout), "the microphone hears"
    reader = threading.Thread(target=lambda: texts.extend(_transcripts(run)))
    reader.start()
    yield texts
    run.send_signal(signal.SIGINT)
    run.wait(60)
    reader.join(10)


def _transcripts(run: subprocess.Popen[str]) -> Iterator[Mapping[str, Any]]:
    assert run.stdout is not None
    for line in run.stdout:
        told = json.loads(line)
        if told["type"] == "text" and told["output"].endswith(".transcript") and told["final"]:
            yield told


def sounds(samples: Samples) -> bool:
    return len(samples) > 0 and int(np.abs(samples.astype(np.int32)).max()) > 1000


LISTENING = Listen(microphone="room_mic", speaker="room_speaker", max_lag_s=30).sketch().as_yaml()


@pytest.mark.models
@needs_models
@pytest.mark.parametrize("guarded", [False, True])
def test_what_the_speaker_said_is_translated_again_unless_it_is_guarded(
    tmp_path: Path, speech: Path, guarded: bool
) -> None:
    assert ", echo_guard: speaker" in LISTENING
    graph = LISTENING if guarded else LISTENING.replace(", echo_guard: speaker", "")
    home = tmp_path / "home"
    home.mkdir()
    with (
        pulse(home, MIC, SPEAKER) as room,
        looped_back(room, "-12dB"),
        running(room, graph, tmp_path) as texts,
        room.recorded(SPEAKER) as played,
    ):
        room.play(MIC, recording(speech / "en_ls_1272_quilter.flac"))
        wait_until(lambda: sounds(played()), 90)
        wait_until(lambda: not sounds(played()[-2 * RATE :]), 60)
        if not guarded:
            wait_until(lambda: sounds(played()[-RATE:]), 60)  # it begins again
    told = report_in(tmp_path)
    spoken = counted(told, "interpreter/tts")["utterances spoken"]
    if guarded:
        assert spoken == len(texts) == 1
        guard = counted(told, "interpreter/guard")
        assert guard["times our own speech was heard and silenced"] >= 1
        assert guard["ms of it"] > 3000
    else:
        assert spoken >= 2


@pytest.mark.models
@needs_models
def test_who_talks_over_the_speaker_is_translated_too(tmp_path: Path, speech: Path) -> None:
    over, home = "en_austen_0870.flac", tmp_path / "home"
    home.mkdir()
    with (
        pulse(home, MIC, SPEAKER) as room,
        looped_back(room, "-12dB"),
        running(room, LISTENING, tmp_path) as texts,
        room.recorded(SPEAKER) as played,
    ):
        room.play(MIC, recording(speech / "en_ls_1272_quilter.flac"))
        wait_until(lambda: sounds(played()), 90)
        room.play(MIC, recording(speech / over)).wait(30)
        wait_until(lambda: len(texts) >= 2, 60)
        wait_until(lambda: not sounds(played()[-2 * RATE :]), 60)
    report_in(tmp_path)
    said = " ".join(str(text["text"]) for text in texts[1:])
    assert error_rate(transcript(speech, over), said) < 0.5, said


def report_in(folder: Path) -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert told["balanced"]
    assert told["lost"].keys() <= {"mic: overrun"}, "nothing, but where this machine is too busy to listen"
    return told
