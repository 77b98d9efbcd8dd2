"""A microphone of this machine speaks in a room. See `tests/pulse.py`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from stages.room.qr import qr_code
from tests.pulse import MIC, RATE, Pulse, needs_devices, pulse, wait_until
from tests.room_people import Listener
from tests.serve_client import client
from tests.terminals import Terminal, on_a_terminal

pytestmark = pytest.mark.anyio

LINK = re.compile(r"listeners: http(://\S+)/r/(\S+)")
OPERATOR = re.compile(r"operator: +\S+/watch\?key=(\S+)\n")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Pulse]:
    needs_devices()
    with pulse(tmp_path, MIC) as daemon:
        yield daemon


async def test_what_a_microphone_hears_is_read(stage: Pulse, tmp_path: Path) -> None:
    stage.play(MIC, np.full((RATE * 5, 1), 1000, np.int16))
    options = ["--engine", "echo", "--port", "0", "--rooms-file", str(tmp_path / "rooms"), "--room-source", "en"]
    command = stage.dragoman("serve", *options, "--room", "--room-microphone", "room_mic")
    assert command.stderr is not None
    said = ""
    while (found := LINK.search(said)) is None:
        line = command.stderr.readline()
        assert line, said
        said += line
    with anyio.fail_after(60):
        async with client(f"ws{found[1]}", f"/r/{found[2]}/listen-socket") as connected:
            phone = Listener(connected.connection)
            await phone.say(languages=["en-us"])
            await phone.has("room", state="live")
            assert (await phone.find("caption"))["text"] == "utterance 1, 2.0 s"
    command.terminate()
    assert command.wait() == 0


def test_links_stand_whole_above_the_screen_of_a_run_with_a_microphone(stage: Pulse, tmp_path: Path) -> None:
    """Also while the microphone is opened, when what libraries write on standard error is put aside."""
    graph = tmp_path / "live.yaml"
    graph.write_text(
        "name: live\nstages:\n"
        "  mic: {use: microphone, device: room_mic}\n"
        "  pcm: {use: resample, from: {stage: mic, when_full: drop_oldest}, rate: 24000, channels: 1}\n"
        "  translated: {use: translate, from: pcm, engine: echo, source_language: en, target_language: pt}\n"
        f"  room: {{use: room, from: [translated.text], port: 0, rooms_file: {tmp_path / 'rooms'}}}\n"
    )
    with on_a_terminal(stage, "run", str(graph), "--no-control") as terminal:
        wait_until(lambda: terminal.shown.count("q ends") > 20, 60)
        terminal.press("q")
        assert terminal.process.wait(60) in (0, 130)
    lines = terminal.shown.splitlines()
    link = next(line.partition("listeners: ")[2] for line in lines if line.startswith("room room, listeners: "))
    assert any(line.startswith(f"room room, operator:  {link}/watch?key=") for line in lines)
    assert set(qr_code(link).splitlines()) <= set(lines), "it is still known to be a terminal"
    assert {line.partition("q ends")[2] for line in lines if "q ends" in line} == {""}


async def comes_true(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110 - another process takes its real time
        await anyio.sleep(0.01)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_is_paused_at_the_terminal_and_by_the_operator(stage: Pulse, tmp_path: Path, backend: str) -> None:
    options = ["--engine", "echo", "--port", "0", "--rooms-file", str(tmp_path / "rooms"), "--room-source", "en"]
    options += ["--room", "--room-microphone", "room_mic", "--no-qr", "--backend", backend]
    with on_a_terminal(stage, "serve", *options) as terminal:
        anyio.run(paused_both_ways, stage, terminal)


async def paused_both_ways(stage: Pulse, terminal: Terminal) -> None:
    def said(what: str) -> int:
        return terminal.shown.count(f"dragoman: {what}")

    with anyio.fail_after(90):
        await comes_true(lambda: said("space pauses the microphone"))
        address, key = LINK.search(terminal.shown), OPERATOR.search(terminal.shown)
        assert address is not None
        assert key is not None
        base, place = f"ws{address[1]}", f"/r/{address[2]}"
        async with (
            client(base, f"{place}/listen-socket") as listening,
            client(base, f"{place}/watch-socket") as watching,
        ):
            phone, operator = Listener(listening.connection), Listener(watching.connection)
            await phone.say(languages=["en-us"])
            await operator.say(key=key[1])
            await phone.has("room", state="live")
            await operator.find("snapshot", microphone={"paused": False, "lost": ""}, state="live")
            terminal.press(" ")
            await operator.find("snapshot", microphone={"paused": True, "lost": ""}, state="paused")
            await phone.has("room", state="paused")
            await comes_true(lambda: said("paused: the microphone hears nothing (space goes on)") == 1)
            heard_s = captured_s(await operator.find("snapshot"))
            loud = stage.play(MIC, np.full((RATE * 2, 1), 1000, np.int16))
            await comes_true(lambda: loud.poll() is not None)
            assert captured_s(await operator.find("snapshot")) == heard_s
            await operator.say("pause", paused=False)
            await phone.find("room", state="live")
            await comes_true(lambda: said("listening again (space pauses)") == 1)
            stage.play(MIC, np.full((RATE * 5, 1), 1000, np.int16))
            assert (await phone.find("caption"))["text"] == "utterance 1, 2.0 s"
            await operator.say("pause", paused=True)
            await phone.find("room", state="paused")
            await comes_true(lambda: said("paused: the microphone hears nothing (space goes on)") == 2)
            terminal.press("p")
            await phone.find("room", state="live")
            assert unheard(await operator.find("snapshot", state="live")) > RATE
            terminal.press("\x03")
            assert await phone.closed() == 1001
        await comes_true(lambda: terminal.process.poll() is not None)
        assert terminal.process.wait() == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_loses_it_is_told(stage: Pulse, tmp_path: Path, backend: str) -> None:
    options = ["--engine", "echo", "--port", "0", "--rooms-file", str(tmp_path / "rooms"), "--room-source", "en"]
    options += ["--room", "--room-microphone", "room_mic", "--no-qr", "--backend", backend]
    with on_a_terminal(stage, "serve", *options) as terminal:
        anyio.run(lost_and_back, stage, terminal)


async def lost_and_back(stage: Pulse, terminal: Terminal) -> None:
    with anyio.fail_after(90):
        await comes_true(lambda: OPERATOR.search(terminal.shown))
        address, key = LINK.search(terminal.shown), OPERATOR.search(terminal.shown)
        assert address is not None
        assert key is not None
        base, place = f"ws{address[1]}", f"/r/{address[2]}"
        async with (
            client(base, f"{place}/listen-socket") as listening,
            client(base, f"{place}/watch-socket") as watching,
        ):
            phone, operator = Listener(listening.connection), Listener(watching.connection)
            await phone.say(languages=["en-us"])
            await operator.say(key=key[1])
            await phone.has("room", state="live")
            await operator.find("snapshot", state="live")
            while not captured_s(await operator.find("snapshot")):
                pass
            stage.unplug(MIC)
            await phone.find("room", state="paused")
            while not (await operator.find("snapshot"))["microphone"]["lost"].startswith("lost the microphone"):
                pass
            await comes_true(lambda: "dragoman: lost the microphone" in terminal.shown)
            stage.plug(MIC)
            await phone.find("room", state="live")
            await operator.find("snapshot", microphone={"paused": False, "lost": ""})
            await comes_true(lambda: "dragoman: the microphone is back" in terminal.shown)
            assert terminal.shown.count("dragoman: lost the microphone") == 1
            terminal.press("\x03")
        await comes_true(lambda: terminal.process.poll() is not None)


def speaking(snapshot: Mapping[str, Any]) -> Mapping[str, Any]:
    """The graph whose source the microphone is."""
    found: Mapping[str, Any] = next(graph for graph in snapshot["graphs"] if graph["name"] == "speaker")
    return found


def captured_s(snapshot: Mapping[str, Any]) -> float:
    """Seconds of sound that have left the microphone."""
    return float(next(edge["sent_s"] for edge in speaking(snapshot)["edges"] if edge["producer"] == "source"))


def unheard(snapshot: Mapping[str, Any]) -> int:
    stages = speaking(snapshot)["stages"]
    counts = next(each["counts"] for each in stages if each["name"] == "source")
    return int(counts["frames not heard while paused"])
