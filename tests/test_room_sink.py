"""The sink `room`: what a graph gives, in listeners' browsers, on a port of its own."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import anyio
import numpy as np
import pytest
import trustme
from attrs import define

from pipeline.caps import TEXT, AudioCaps, Caps, Port
from pipeline.graph import Graph
from pipeline.items import Audio, Item, Mark, MarkKind, Text
from pipeline.node import Read
from pipeline.problems import GraphError
from pipeline.runner import Execution
from pipeline.stage import Inbox, Outbox, StageError
from pipeline.testing import Collect, Playlist
from stages import sockets
from stages.room.keys import RoomKeys, default_path, kept_keys
from stages.room.qr import qr_code
from stages.room.sink import RoomSink
from tests.fakes import FakeInbox, FakeOutbox
from tests.room_people import Listener
from tests.serve_client import client
from tests.serve_server import SOON_S, wait_until
from tests.test_cli_top import OnATerminal
from tests.test_room_operator import Ear

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rooms are kept, unless a test names a file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


SAMPLE = Path(__file__).parents[1] / "graphs" / "samples" / "en_demo.flac"
TEXTS = [
    Text("Good", 0, 500, "en-us", 1, final=False),
    Text("Good morning.", 0, 1000, "en-us", 1),
    Text("Bom dia.", 0, 1000, "pt-br", 1),
    Mark(MarkKind.UTTERANCE_END, 24000, 24000),
]
SOUND = [Audio(np.full((9600, 1), 7, np.int16), 0, 24000), Mark(MarkKind.UTTERANCE_END, 9600, 24000)]


@define(kw_only=True)
class Talk:
    """Two seconds of a talk; then, once the gate is open, the translation of the first of them."""

    gate: anyio.Event

    accepts: ClassVar[Mapping[str, Port]] = {}

    def gives(self, caps: Mapping[str, Caps]) -> Mapping[str, Caps]:
        return {"floor": AudioCaps(24000, 1), "audio": AudioCaps(24000, 1), "text": TEXT}

    async def run(self, inbox: Inbox, outbox: Outbox) -> None:
        await outbox.send(Audio(np.zeros((48000, 1), np.int16), 0, 24000), "floor")
        await self.gate.wait()
        for port, items in (("text", TEXTS), ("audio", SOUND)):
            for item in items:
                await outbox.send(item, port)


class Gated(FakeInbox):
    """An inbox whose items come when the test says so."""

    def __init__(self, items: Any, gate: anyio.Event) -> None:
        super().__init__(items)
        self._gate = gate

    async def __anext__(self) -> Item:
        await self._gate.wait()
        return await super().__anext__()

    def __getitem__(self, port: str) -> Gated:
        return Gated({port: self._ports.get(port, ())}, self._gate)


@asynccontextmanager
async def running(sink: RoomSink, items: Any) -> AsyncIterator[anyio.Event]:
    """The sink at work; what it gets comes once the event that is given is set."""
    gate = anyio.Event()
    with anyio.fail_after(SOON_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sink.run, Gated(items, gate), FakeOutbox())
            await wait_until(lambda: bool(sink.address))
            yield gate


@asynccontextmanager
async def visit(sink: RoomSink, part: str, **options: Any) -> AsyncIterator[Listener]:
    base, _, path = sink.address.partition("/r/")
    async with client(base.replace("http", "ws"), f"/r/{path}/{part}-socket", **options) as connected:
        yield Listener(connected.connection)


@asynccontextmanager
async def phone(sink: RoomSink, *languages: str, **wish: Any) -> AsyncIterator[Listener]:
    async with visit(sink, "listen") as one:
        await one.say(languages=languages, **wish)
        await one.find("room")
        yield one


async def test_who_listens_everywhere_tells_the_address_that_others_can_reach(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sockets, "_lan_address", lambda: "127.0.0.1")
    sink = RoomSink(name="talk", source_language="en", host="0.0.0.0", port=0)
    async with running(sink, {"text": TEXTS}) as gate, phone(sink, "en-us") as john:
        assert re.search(r"room talk, listeners: http://127\.0\.0\.1:\d+/r/talk-\w+\n", capfd.readouterr().err)
        gate.set()
        await john.find("caption")


@pytest.mark.parametrize(
    ("host", "told"), [("192.168.1.7", "192.168.1.7"), ("talks.example", "talks.example"), ("::1", "[::1]")]
)
def test_an_address_of_this_machine_alone_is_told_as_it_is(host: str, told: str) -> None:
    assert sockets.reachable(host) == told


async def test_texts_and_a_voice_reach_those_who_want_them(capfd: pytest.CaptureFixture[str]) -> None:
    sink = RoomSink(name="talk", title="A talk", source_language="en", language="pt-br", port=0)
    async with (
        running(sink, {"text": TEXTS, "audio": SOUND}) as gate,
        phone(sink, "pt-br", voice="pt-br") as maria,
        phone(sink, "en-us") as john,
    ):
        assert maria.told[0]["title"] == "A talk"
        gate.set()
        assert (await maria.find("caption"))["text"] == "Bom dia."
        await maria.find("voice", event="begin", utterance=1)
        await maria.find("voice", event="end", utterance=1)
        assert maria.sound == SOUND[0].samples.tobytes()  # type: ignore[union-attr]
        assert (await john.find("caption"))["text"] == "Good morning."
        for one in (maria, john):
            await one.has("room", state="ended")
            assert await one.closed() == 1001
    told = capfd.readouterr().err
    assert told.startswith(
        f"room talk, listeners: {sink.address}\nroom talk, operator:  {sink.address}/watch?key="
    )
    assert told.endswith("only this machine can open them: for the phones in the room set host: 0.0.0.0\n")
    assert sink.counts() == {"captions": 2, "listeners at most": 2, "ms of sound that stalled listeners lost": 0}


async def test_a_language_is_offered_once_it_has_come() -> None:
    sink = RoomSink(port=0)
    async with running(sink, {"text": [*TEXTS, Text("?", 0, 1)]}) as gate, phone(sink) as one:
        assert one.told[0]["languages"] == []
        gate.set()
        info = await one.find("room", state="ended")
        assert [each["tag"] for each in info["languages"]] == ["en-us", "pt-br", "und"]


async def test_in_a_graph() -> None:
    sink = RoomSink(port=0, language="pt-br")
    graph = Graph("talk").add("texts", Playlist(items=TEXTS)).add("sound", Playlist(items=SOUND))
    graph.add("room", sink, reads=["texts", Read("sound", into="audio")])
    with anyio.fail_after(SOON_S):
        report = await Execution(graph).run()
    assert report.balanced
    assert sink.counts()["captions"] == 2


def test_sound_in_an_unknown_language_is_refused_before_it_runs() -> None:
    graph = Graph("talk").add("sound", Playlist(items=SOUND))
    graph.add("room", RoomSink(port=0), reads=Read("sound", into="audio"))
    with pytest.raises(GraphError, match="audio needs `language`"):
        Execution(graph)


def test_a_port_in_use_is_said_before_it_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sink = RoomSink(port=taken.getsockname()[1])
        with pytest.raises(StageError, match=r"cannot listen at \S+: address already in use; give another `port`"):
            sink.probe()


@pytest.mark.parametrize("name", ["Sunday Service", "../x", ""])
def test_a_name_that_no_url_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name: wanted small letters"):
        RoomSink(name=name)


async def test_the_links_are_the_same_next_time_and_a_secret_unless_open_on_purpose(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "others.json"
    sinks = [RoomSink(port=0), RoomSink(port=0), RoomSink(port=0, rooms_file=other), RoomSink(port=0, open=True)]
    links = []
    for sink in sinks:
        async with running(sink, {"text": []}) as gate:
            links.append(re.findall(r"/r/(\S+)", capfd.readouterr().err))
            gate.set()
    first, again, elsewhere, public = links
    assert first == again
    assert re.fullmatch(r"room-\w{12}", first[0])
    assert set(first).isdisjoint(elsewhere)
    assert public[0] == "room"
    served = kept_keys(default_path(), "room", is_open=False)
    assert first == [served.name, f"{served.name}/watch?key={served.operator}"], "as `dragoman serve` has them"
    assert served.operator not in repr(sinks[0])


async def test_nobody_speaks_there() -> None:
    sink = RoomSink(port=0, open=True)
    async with running(sink, {"text": []}) as gate:
        for part, status in (("speak", 404), ("speak-socket", 404), ("watch", 200), ("", 200)):
            assert await page(sink, f"/{part}") == status
        gate.set()


async def page(sink: RoomSink, path: str) -> int:
    """The status of the answer to a browser."""
    place = urlsplit(sink.address)
    async with await anyio.connect_tcp(place.hostname or "", place.port or 0) as stream:
        await stream.send(f"GET {place.path}{path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        return int((await stream.receive()).split()[1])


async def test_the_room_is_encrypted_with_a_certificate(tmp_path: Path) -> None:
    authority, files = trustme.CA(), [tmp_path / "cert.pem", tmp_path / "key.pem"]
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(files[0])
    issued.private_key_pem.write_to_path(files[1])
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    sink = RoomSink(port=0, language="pt", tls_cert=files[0], tls_key=files[1])
    async with running(sink, {"text": TEXTS}) as gate, visit(sink, "listen", ssl=trusting) as one:
        assert sink.address.startswith("https://")
        await one.say(languages=["pt-br"])
        await one.find("room")
        gate.set()
        assert (await one.find("caption"))["text"] == "Bom dia."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tls_cert": "BROKEN"}, "tls_cert: no certificate with its key in .*BROKEN"),
        ({"rooms_file": "BROKEN"}, "rooms_file: .*BROKEN: this is no file of rooms"),
        ({"rooms_file": "BROKEN/rooms"}, "rooms_file: .*BROKEN/rooms: not a directory; name a file that can be"),
        ({"qr": True}, r"drawing a QR code needs segno: pip install 'dragoman\[serve\]'"),
    ],
)
def test_what_cannot_be_is_said_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr("stages.room.sink.can_draw", lambda: False)
    (tmp_path / "BROKEN").write_text("canary")
    given = {name: tmp_path / value if isinstance(value, str) else value for name, value in options.items()}
    with pytest.raises(StageError, match=said) as wrong:
        RoomSink(port=0, **given).probe()
    assert "canary" not in str(wrong.value)


async def test_a_qr_code_is_drawn_where_it_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    sink = RoomSink(port=0, qr=True)
    async with running(sink, {"text": []}) as gate:
        assert qr_code(sink.address) in capfd.readouterr().err
        gate.set()


def test_on_a_terminal_links_stay_whole_and_the_qr_code_is_drawn(tmp_path: Path) -> None:
    """Links are longer than this terminal is wide: a line end in them is the terminal's affair, who copies one."""
    keys = kept_keys(tmp_path / "rooms.json", "room", is_open=False)
    told = ["-p", f"input={SAMPLE}", "-p", "engine=echo", "-p", "port=0", "-s", "talk.duration=1s"]
    kept = ["-s", f"room.rooms_file={tmp_path / 'rooms.json'}", "--no-control"]
    with OnATerminal(["run", "room", *told, *kept], tmp_path, 60, 40) as terminal:
        terminal.read_until("nothing")
        link = re.search(r"listeners: (http\S+)\r\n", terminal.plain)
        assert link is not None
        assert f"{link[1]}/watch?key={keys.operator}\r\n" in terminal.plain
        assert all(f"{line}\r\n" in terminal.plain for line in qr_code(link[1]).splitlines())


# --- several interpreters


async def test_each_interpreter_is_heard_by_those_who_want_that_voice() -> None:
    sink = RoomSink(port=0, source_language="en", language="pt", voices=["en"])
    english = [Audio(np.full((9600, 1), 9, np.int16), 0, 24000), Mark(MarkKind.UTTERANCE_END, 9600, 24000)]
    items = {"text": TEXTS, "audio": SOUND, "en-us": english}
    async with (
        running(sink, items) as gate,
        phone(sink, "pt-br", voice="pt-br") as maria,
        phone(sink, "en-us", voice="en-us") as john,
    ):
        offered = {each["tag"]: each["voice"] for each in maria.told[0]["languages"]}
        assert offered == {"en-us": True, "pt-br": True}
        gate.set()
        for one, sound in ((maria, SOUND), (john, english)):
            assert await one.closed() == 1001
            assert one.sound == sound[0].samples.tobytes()  # type: ignore[union-attr]


def test_a_voice_that_nobody_gives_is_said_before_it_runs() -> None:
    graph = Graph("talk").add("texts", Playlist(items=TEXTS)).add("sound", Playlist(items=SOUND))
    graph.add("room", RoomSink(voices=["en", "es"]), reads=["texts", Read("sound", into="en-us")])
    with pytest.raises(GraphError, match="nothing feeds the input 'es-es' of 'room'"):
        Execution(graph)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"voices": ["en", "xx"]}, "voices: wanted a language"),
        ({"voices": ["en", "en-us"]}, "voices: wanted each language once, came en-us, en-us"),
        ({"language": "en", "voices": ["en"]}, "voices: wanted each language once, came en-us, en-us"),
        ({"tls_key": "key.pem"}, "tls_key: wanted `tls_cert` too, came a key alone"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        RoomSink(**options)


# --- the operator


@pytest.fixture
def keys() -> RoomKeys:
    return kept_keys(default_path(), "room", is_open=False)


async def test_an_operator_sees_the_graph_at_work_who_listens_how_late_and_the_ledger(keys: RoomKeys) -> None:
    gate = anyio.Event()
    sink, source = RoomSink(port=0, language="pt-br"), Talk(gate=gate)
    graph = Graph("sunday").add("talk", source).add("floor", Collect(), reads="talk.floor")
    graph.add("room", sink, reads=[Read("talk", "text"), Read("talk", "audio", "audio")])
    with anyio.fail_after(SOON_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Execution(graph).run)
            await wait_until(lambda: bool(sink.address))
            async with visit(sink, "watch") as operator, phone(sink, "pt-br", voice="pt-br"):
                await operator.say(key=keys.operator)
                seen = await operator.find("snapshot", state="live", people=1)
                assert [stage["name"] for stage in seen["graphs"][0]["stages"]] == ["talk", "floor", "room"]
                assert seen["listeners"] == {"pt-br": {"count": 1, "voices": 1, "dropped_s": 0.0}}
                assert seen["lag"]["shown"]["n"] == 0
                assert seen["microphone"] is None
                gate.set()
                assert await operator.closed() == 1001
    ledger, last = operator.told[-2:]
    assert (ledger["type"], ledger["graph"]) == ("ledger", "sunday")
    assert ledger["report"]["balanced"]
    assert not ledger["report"]["lost"]
    assert (last["type"], last["state"]) == ("snapshot", "ended")
    assert last["lag"]["shown"] == {"n": 2, "p50_s": 1.0, "p95_s": 1.0}
    assert last["lag"]["heard"] == {"n": 1, "p50_s": 1.0, "p95_s": 1.0}


async def test_who_has_another_key_sees_nothing(keys: RoomKeys) -> None:
    sink = RoomSink(port=0)
    async with running(sink, {"text": []}) as gate, visit(sink, "watch") as stranger:
        await stranger.say(key=keys.speaker)
        assert await stranger.closed() == 1008
        assert [each["type"] for each in stranger.told] == ["error"]
        gate.set()


async def test_an_operator_pauses_the_microphone_of_the_graph_and_everybody_sees_that(keys: RoomKeys) -> None:
    ear, sinks = Ear(), [RoomSink(port=0, language="en-us"), RoomSink(port=0, language="en-us")]
    graph = Graph("sunday").add("ear", ear)
    for number, sink in enumerate(sinks):
        graph.add(f"room-{number}", sink, reads=Read("ear", into="audio"))
    execution = Execution(graph)
    with anyio.fail_after(SOON_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(execution.run)
            await wait_until(lambda: all(sink.address for sink in sinks))
            async with visit(sinks[0], "watch") as operator, phone(sinks[0]) as maria, phone(sinks[1]) as john:
                await operator.say(key=keys.operator)
                await operator.find("snapshot", state="live", microphone={"paused": False, "lost": ""})
                await operator.say("pause", paused=True)
                await operator.find("snapshot", state="paused", microphone={"paused": True, "lost": ""})
                assert ear.paused
                for one in (maria, john):
                    await one.find("room", state="paused")
                ear.paused = False  # as the terminal does, and `dragoman pause`
                for one in (maria, john):
                    await one.find("room", state="live")
                for lost, state in (("lost the microphone 'usb'", "paused"), ("", "live")):
                    ear.lose(lost)
                    await operator.find("snapshot", state=state, microphone={"paused": False, "lost": lost})
                    for one in (maria, john):
                        await one.find("room", state=state)
                execution.stop()
                assert await maria.closed() == 1001
                assert maria.told[-1]["state"] == "ended"
