"""The graphs that ship: each is right, and each runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
import soundfile

from pipeline.graph import Graph
from pipeline.ledger import Report
from pipeline.load import load_file
from pipeline.plan import make_plan
from pipeline.runner import run
from pipeline.stage import StageError
from stages import KINDS
from stages.translate.realtime.interpreter import Interpreter
from tests.caption_service import CANARY, caption_service
from tests.cue_checker import Seen, parse_srt, parse_vtt
from tests.engine import needs_models
from tests.room_people import Listener
from tests.serve_client import client
from tests.serve_server import server, wait_until
from tests.wer import error_rate

GRAPHS = Path(__file__).parents[1] / "graphs"
EN_DEMO, ES_DEMO = GRAPHS / "samples" / "en_demo.flac", GRAPHS / "samples" / "es_demo.flac"


def loaded(name: str, **params: object) -> Graph:
    told = {key: str(value) for key, value in params.items()}
    result = load_file(GRAPHS / f"{name}.yaml", KINDS, params=told, env={})
    assert result.problems == ()
    return result.graph


def go(graph: Graph, backend: str = "asyncio") -> Report:
    report = anyio.run(run, graph, backend=backend)
    assert report.balanced
    assert not report.lost
    return report


@pytest.mark.parametrize("path", sorted(GRAPHS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_is_right_and_says_what_it_is_for(path: Path) -> None:
    result = load_file(path, KINDS, complete=False, env={})
    assert result.problems == ()
    assert result.help
    assert result.name == path.stem
    assert all(param.help for param in result.params.values())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_file_to_file_with_the_echo_engine(tmp_path: Path, backend: str) -> None:
    speech, captions = tmp_path / "speech.wav", tmp_path / "captions.srt"
    report = go(loaded("file-to-file", input=EN_DEMO, engine="echo", speech=speech, subtitles=captions), backend)
    assert report.media_s == pytest.approx(30.277, abs=0.01)
    assert soundfile.info(speech).samplerate == 24000
    assert parse(captions)


def test_subtitles_with_the_echo_engine(tmp_path: Path) -> None:
    go(loaded("subtitles", input=EN_DEMO, engine="echo", output=tmp_path / "out"))
    srt, vtt = parse(tmp_path / "out.srt"), parse(tmp_path / "out.vtt")
    assert [cue.lines for cue in srt] == [cue.lines for cue in vtt]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["type"] for line in lines} >= {"text"}


def test_dub_lays_the_voice_over_all_of_the_original(tmp_path: Path) -> None:
    output = tmp_path / "dubbed.wav"
    go(loaded("dub", input=EN_DEMO, engine="echo", output=output))
    assert soundfile.info(output).duration >= soundfile.info(EN_DEMO).duration


def test_tap_copies_what_the_translator_hears(tmp_path: Path) -> None:
    heard, log = tmp_path / "heard.wav", tmp_path / "log.jsonl"
    graph = loaded("tap", input=EN_DEMO, engine="echo", output=tmp_path / "out.wav", heard=heard, log=log)
    report = go(graph)
    taps = [edge for edge in report.edges if edge.tap]
    assert len(taps) == 2
    assert soundfile.info(heard).duration == pytest.approx(30.277, abs=0.01)
    assert log.read_text(encoding="utf-8").count('"text"') > 0


def test_a_recording_that_cannot_be_read_costs_nobody_an_earlier_result(tmp_path: Path) -> None:
    speech, captions, broken = tmp_path / "speech.wav", tmp_path / "captions.srt", tmp_path / "broken.wav"
    broken.write_text("no sound")
    for earlier in (speech, captions):
        earlier.write_text("of an earlier run")
    for recording in (tmp_path / "nothing.wav", broken):
        graph = loaded("file-to-file", input=recording, engine="echo", speech=speech, subtitles=captions)
        with pytest.raises(StageError, match="cannot read") as caught:
            anyio.run(run, graph)
        assert caught.value.__notes__[0].startswith("in stage 'talk'")
    assert speech.read_text() == captions.read_text() == "of an earlier run"


def test_call_translates_both_ways(tmp_path: Path) -> None:
    here, there = tmp_path / "here.wav", tmp_path / "there.wav"
    report = go(loaded("call", here=EN_DEMO, there=ES_DEMO, engine="echo", heard_here=here, heard_there=there))
    assert soundfile.info(there).duration == pytest.approx(30.3, abs=2)
    assert soundfile.info(here).duration == pytest.approx(39.2, abs=2)
    assert report.media_s == pytest.approx(39.2, abs=0.1)


def test_live_captions_are_posted_and_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    short, live = tmp_path / "short.wav", tmp_path / "live.vtt"
    soundfile.write(short, soundfile.read(EN_DEMO, frames=40000, dtype="int16")[0], 16000)
    with caption_service() as service:
        options = {"input": short, "url": service.address, "subtitles": live, "engine": "echo"}
        report = go(loaded("live-captions", **options))
    assert [post.body.partition("\n")[2] for post in service.posts()] == [
        "[pt-br] utterance 1, 2.0 s\n",
        "[pt-br] utterance 2, 0.5 s\n",
    ]
    assert [post.number for post in service.posts()] == [1, 2]
    assert [cue.lines for cue in parse(live)] == [("[pt-br] utterance 1, 2.0 s",), ("[pt-br] utterance 2, 0.5 s",)]
    assert CANARY not in repr(report)


def test_in_a_call_between_rooms_each_side_is_guarded_against_what_is_played_there() -> None:
    devices = {"mic_here": 1, "speaker_here": 2, "mic_there": 3, "speaker_there": 4}
    stages: dict[str, Any] = {
        name: node.stage for name, node in make_plan(loaded("live-call", **devices, engine="echo")).nodes.items()
    }
    for side, other in (("here", "there"), ("there", "here")):
        guard = stages[f"to-{other}/guard"]
        guard.meet(stages)
        assert (guard.speaker, guard.microphone) == (f"speaker-{side}", f"mic-{side}")
        assert stages[f"speaker-{side}"].played is guard._gate.played


@pytest.mark.anyio
async def test_a_room_is_shown_captions_in_both_languages_and_the_voice(
    anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds and a half of a recording, at the pace of speech, and a phone that listens from the start."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    short = tmp_path / "short.wav"
    soundfile.write(short, soundfile.read(EN_DEMO, frames=40000, dtype="int16")[0], 16000)
    graph = loaded("room", input=short, engine="echo", port=0)
    sink: Any = graph.nodes["room"].stage
    reports = list[Report]()

    async def play() -> None:
        reports.append(await run(graph))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play)
            await wait_until(lambda: bool(sink.address))
            base, _, path = sink.address.partition("/r/")
            async with client(base.replace("http", "ws"), f"/r/{path}/listen-socket") as connected:
                phone = Listener(connected.connection)
                await phone.say(languages=["en-us", "pt-br"], voice="pt-br")
                assert await phone.closed() == 1001
    assert [line["text"] for line in phone.captions("en-us")] == ["utterance 1, 2.0 s", "utterance 2, 0.5 s"]
    assert [line["text"] for line in phone.captions("pt-br")] == [
        "[pt-br] utterance 1, 2.0 s",
        "[pt-br] utterance 2, 0.5 s",
    ]
    assert phone.sound
    assert reports[0].balanced
    assert not reports[0].lost


@pytest.mark.anyio
async def test_realtime_against_our_own_server(
    anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds of a recording, at the pace of speech, through sockets and back."""
    monkeypatch.setenv("CAMB_API_KEY", "any")
    short = tmp_path / "short.wav"
    soundfile.write(short, soundfile.read(EN_DEMO, frames=32000, dtype="int16")[0], 16000)
    speech, captions = tmp_path / "speech.wav", tmp_path / "captions.srt"
    async with server(silence_s=1.0) as running:
        graph = loaded("realtime", input=short, service=running.base_url, speech=speech, subtitles=captions)
        report = await run(graph)
    assert not report.lost
    assert parse(captions)
    assert soundfile.info(speech).duration >= 2


def test_what_realtime_does_in_an_outage_can_be_set() -> None:
    told = {"interpreter.give_up_s": "5s", "interpreter.spare": "true"}
    graph = load_file(GRAPHS / "realtime.yaml", KINDS, params={"input": "x.wav"}, options=told, env={}).graph
    stage = graph.nodes["interpreter"].stage
    assert isinstance(stage, Interpreter)
    assert (stage.give_up_s, stage.spare, stage.when_full) == (5, True, "block")


@pytest.mark.anyio
async def test_a_call_that_follows_languages_against_our_own_server(
    anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The echo hears English on both sides: so both hear their own words, which need no translation."""
    monkeypatch.setenv("CAMB_API_KEY", "any")
    short, said = tmp_path / "short.wav", tmp_path / "said.jsonl"
    soundfile.write(short, soundfile.read(EN_DEMO, frames=32000, dtype="int16")[0], 16000)
    told = {"here": short, "there": short, "said": said}
    files = {f"heard_{side}": tmp_path / f"{side}.wav" for side in ("here", "there")}
    async with server(silence_s=1.0) as running:
        await run(loaded("call-auto", service=running.base_url, **told, **files))
        lines = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
        assert {line["language"] for line in lines if line["type"] == "text" and line["final"]} == {"en-us"}
        await run(loaded("call-auto", service=running.base_url, ours="en-us", theirs="pt-br", **told, **files))
    lines = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    words = {(line["output"], line["text"]) for line in lines if line["type"] == "text" and line["final"]}
    assert words >= {
        ("call.transcript_here", "utterance 1, 2.0 s"),
        ("call.text_there", "[pt-br] utterance 1, 2.0 s"),
        ("call.transcript_there", "utterance 1, 2.0 s"),
        ("call.text_here", "[en-us] utterance 1, 2.0 s"),
    }
    assert all(soundfile.info(path).duration >= 2 for path in files.values())


@needs_models
def test_transcribe_writes_down_what_is_said(tmp_path: Path) -> None:
    output = tmp_path / "transcript.srt"
    go(loaded("transcribe", input=EN_DEMO, output=output))
    heard = " ".join(line for cue in parse(output) for line in cue.lines)
    assert error_rate(said("en_demo.flac"), heard) < 0.1


@needs_models
def test_two_languages_from_one_recognition(tmp_path: Path) -> None:
    english, portuguese = tmp_path / "en.wav", tmp_path / "pt.wav"
    report = go(loaded("two-languages", input=ES_DEMO, english=english, portuguese=portuguese))
    assert sum(stage.name == "english" for stage in report.stages) == 1
    assert soundfile.info(english).duration > 10
    assert soundfile.info(portuguese).duration > 10


def parse(path: Path) -> list[Seen]:
    text = path.read_text(encoding="utf-8")
    return parse_srt(text) if path.suffix == ".srt" else parse_vtt(text)


def said(name: str) -> str:
    """What the README of the samples says is said in `name`."""
    text = (GRAPHS / "samples" / "README.md").read_text(encoding="utf-8")
    after = text.split(f"- `{name}`: ")[1]
    return " ".join(after.split("\n- ")[0].split())
