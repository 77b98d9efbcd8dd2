"""The pages of a room in Firefox, driven by WebDriver BiDi: another engine of the web reads, hears and speaks."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from attrs import define, field
from websockets.sync.client import ClientConnection, connect

from tests.needed import lacking
from tests.page_server import Rooms, caption, partial
from tests.page_server import room as told
from tests.pulse import Pulse
from tests.test_room_page_speak import APPEND, CREATED, arrived
from tests.test_room_page_voice import speak
from tests.test_room_page_watch import snapshot

PATIENCE_S = 60.0
"""How long anything may take on a machine that has other things to do."""
PREFERENCES = {
    "intl.accept_languages": "pt-BR",
    "media.navigator.streams.fake": True,  # the microphone gives a tone
    "media.navigator.permission.disabled": True,
    "datareporting.policy.dataSubmissionEnabled": False,
}


@define(eq=False)
class Firefox:
    """A Firefox, seen through its socket."""

    socket: ClientConnection
    complaints: list[str] = field(factory=list)
    _ids: Iterator[int] = field(factory=lambda: itertools.count(1))

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=PATIENCE_S))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] in ("error", "warn"):
                self.complaints.append(message["params"]["text"])
            if message.get("id") == number:
                assert message["type"] == "success", message
                result: dict[str, Any] = message["result"]
                return result


@define(eq=False)
class Tab:
    """One page."""

    firefox: Firefox
    context: str

    def ask(self, script: str) -> Any:
        """What `script`, an expression or a promise, comes to."""
        wrapped = f"(async () => JSON.stringify((await ({script})) ?? null))()"
        found = self.firefox.do(
            "script.evaluate", expression=wrapped, target={"context": self.context}, awaitPromise=True
        )
        assert found["type"] == "success", found["exceptionDetails"]["text"]
        return json.loads(found["result"]["value"])

    def wait(self, condition: str) -> None:
        """Until `condition` is true in the page."""
        look = f"const look = () => ({condition}) ? done(true) : setTimeout(look, 20); look()"
        assert self.ask(f"new Promise(done => {{ {look} }})")

    def text(self, selector: str) -> str:
        return str(self.ask(f"document.querySelector({json.dumps(selector)}).textContent"))

    def click(self, selector: str) -> None:
        """As a person does: sound may only begin so."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        middle = f"(box => [box.x + box.width / 2, box.y + box.height / 2])({box})"
        x, y = (round(place) for place in self.ask(middle))
        steps: list[dict[str, Any]] = [{"type": "pointerMove", "x": x, "y": y}]
        steps += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._act({"type": "pointer", "id": "hand", "actions": steps})

    def press(self, key: str) -> None:
        self._act(
            {"type": "key", "id": "keys", "actions": [{"type": how, "value": key} for how in ("keyDown", "keyUp")]}
        )

    def _act(self, what: dict[str, Any]) -> None:
        self.firefox.do("input.performActions", context=self.context, actions=[what])


@pytest.fixture(scope="module")
def firefox(room: Pulse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """A headless Firefox with a profile of its own, and PulseAudio: it needs a sound card even to listen."""
    program = next((found for name in ("firefox-esr", "firefox") if (found := shutil.which(name))), None)
    if program is None:
        lacking("needs a Firefox: apt-get install firefox-esr")
    home = tmp_path_factory.mktemp("firefox")
    wishes = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
    (home / "user.js").write_text("".join(wishes))
    command = [program, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(home)]
    env = {**room.env, "HOME": str(home)}
    with (
        subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process,
        ThreadPoolExecutor(1) as threads,
    ):
        assert process.stderr is not None
        try:
            found = (re.search(r"BiDi listening on (ws://\S+)", line) for line in process.stderr)
            address = next(match[1] for match in found if match)
            threads.submit(process.stderr.read)  # so that it never waits for somebody to read what it says
            with connect(f"{address}/session", max_size=None, open_timeout=PATIENCE_S) as socket:
                driven = Firefox(socket)
                driven.do("session.new", capabilities={})
                driven.do("session.subscribe", events=["log.entryAdded"])
                yield driven
        finally:
            process.terminate()


@pytest.fixture
def tab(firefox: Firefox) -> Iterator[Tab]:
    """A page as wide as a phone's. It fails if it complains in the console."""
    firefox.complaints.clear()
    context = firefox.do("browsingContext.create", type="tab")["context"]
    firefox.do("browsingContext.setViewport", context=context, viewport={"width": 390, "height": 844})
    yield Tab(firefox, context)
    firefox.do("browsingContext.close", context=context)
    assert firefox.complaints == []


def opened(tab: Tab, url: str) -> None:
    tab.firefox.do("browsingContext.navigate", context=tab.context, url=url, wait="complete")


def test_it_reads_and_hears(tab: Tab, server: Rooms) -> None:
    opened(tab, f"{server.url}/r/firefox")
    peer = server.peer()
    peer.wait_for("hello")
    peer.say(told())
    assert peer.wait_for("choose")["languages"] == ["pt-br"]
    peer.say(*(caption(n, f"Linha {n}.") for n in range(1, 30)), partial(30, "Era uma vez"))
    tab.wait("document.querySelector('.growing')?.textContent === 'Era uma vez'")
    assert tab.text("#state") == "Ao vivo"
    end = "document.querySelector('{}').getBoundingClientRect().bottom"
    tab.wait(f"{end.format('.newest')} <= {end.format('#captions')}")
    assert tab.ask("document.documentElement.scrollWidth <= innerWidth")
    tab.click("#voice")
    assert peer.wait_for("choose")["voice"] == "pt-br"
    speak(peer, 900, behind_ms=6000)
    tab.wait("dragoman.voice.playedMs >= 899")
    assert tab.text("#late") == "Voz com 6 s de atraso"
    peer.cut()
    peer = server.peer()
    assert peer.wait_for("hello")["after"] == {"pt-br": 29}


def test_it_speaks(tab: Tab, server: Rooms) -> None:
    opened(tab, f"{server.url}/r/firefox/speak?key=k")
    arrived(server)
    tab.wait("document.querySelector('#number').textContent === '3'")
    tab.click("#talk")
    peer = server.peer()
    assert peer.hear()["type"] == "session.update"
    peer.say(CREATED)
    blocks = [base64.b64decode(peer.wait_for(APPEND)["audio"]) for _ in range(10)]
    assert {len(block) for block in blocks} == {4800}
    samples = np.frombuffer(b"".join(blocks[2:]), "<i2") / 32768
    assert np.abs(samples).max() > 0.01
    assert tab.text("#state") == "Live"
    tab.ask("document.activeElement.blur()")
    tab.press(" ")
    assert peer.wait_for("room.pause")["paused"] is True
    tab.wait("document.querySelector('#state').textContent === 'Paused'")
    assert peer.heard.empty()


def test_it_watches(tab: Tab, server: Rooms) -> None:
    opened(tab, f"{server.url}/r/firefox/watch?key=operator")
    peer = server.peer()
    peer.wait_for("hello")
    peer.say(snapshot())
    tab.wait("document.querySelectorAll('.stage').length === 3")
    assert tab.text("#state") == "Live"
    assert tab.ask("document.querySelector('.graph svg').getBoundingClientRect().width") > 200
