"""A microphone of this machine speaks in a room. See `tests/pulse.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import numpy as np
import pytest

from tests.pulse import MIC, RATE, Pulse, needs_devices, pulse
from tests.room_people import Listener
from tests.serve_client import client

pytestmark = pytest.mark.anyio

LINK = re.compile(r"listeners: http(://\S+)/r/(\S+)")


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
