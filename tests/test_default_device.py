"""Where no device is named, and the system's default changes: PulseAudio takes the streams along by itself.

So does PipeWire, in its place. PortAudio notices nothing of it, and need not.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.pulse import MIC, RATE, SPEAKER, Pulse, pulse, wait_until
from tests.test_microphone import found_in, listener, noise, play_out
from tests.test_speaker import graph, report_of

OTHER = "other"


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulse]:
    """Three, and as the default device the one that PulseAudio has for its own, as it is on a desktop."""
    home = tmp_path_factory.mktemp("rooms")
    with pulse(home, MIC, SPEAKER, OTHER) as daemon:
        alsa = home / "asound.conf"
        server = f'type pulse server "{daemon.env["PULSE_SERVER"]}"'
        alsa.write_text(re.sub(r"(?<=pcm.!default \{ ).*(?= \})", server, alsa.read_text()))
        yield daemon


def test_a_microphone_goes_along_with_the_default(rooms: Pulse, tmp_path: Path) -> None:
    first, second = noise(0.3, seed=1), noise(0.3, seed=2)
    rooms.control("set-default-source", f"{MIC}.monitor")
    ear = listener(rooms, tmp_path / "heard.npz", device=None)
    play_out(rooms.play(MIC, first))
    rooms.control("set-default-source", f"{OTHER}.monitor")
    play_out(rooms.play(OTHER, np.concatenate([np.zeros(RATE, np.int16), second])))
    report, heard = ear.stop()
    assert -1 < found_in(heard["sound"], first) < found_in(heard["sound"], second)
    assert report["losses"] == {}
    assert report["counts"]["times the device was lost"] == 0


def test_a_speaker_goes_along_with_the_default(rooms: Pulse, tmp_path: Path) -> None:
    rooms.control("set-default-source", f"{MIC}.monitor")  # else it would go along, and whoever records with it
    rooms.control("set-default-sink", SPEAKER)
    path = graph(tmp_path, noise(5, seed=3), RATE, device=None)
    with rooms.recorded(SPEAKER) as before, rooms.recorded(OTHER) as after:
        running = rooms.dragoman("run", str(path), "--format", "json")
        wait_until(lambda: before().any(), 30)
        assert not after().any()
        rooms.control("set-default-sink", OTHER)
        changed = time.monotonic()
        wait_until(lambda: after().any(), 2)
        assert time.monotonic() - changed < 1
        report = report_of(running)
        sounded = np.count_nonzero(before()) + np.count_nonzero(after())
    assert sounded > 4 * RATE
    assert report["stages"][1]["counts"]["times the device was lost"] == 0
    assert (report["balanced"], report["lost"]) == (True, {})
