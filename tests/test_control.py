"""Looking into a process by its control socket: real sockets, hostile clients, on both backends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from anyio import wait_all_tasks_blocked
from attrs import define
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.control import messages
from pipeline.control.client import Refused, connected, processes, readable
from pipeline.control.messages import AskGraphs, AskLedger, AskSet, AskTap, AskWatch, BadRequest, parse
from pipeline.control.places import NoControl, control_folder, new_socket, sockets
from pipeline.control.server import CLIENTS, GRAPHS_SHOWN, MISTAKES, ControlSocket
from pipeline.graph import Graph
from pipeline.items import Item, Text
from pipeline.node import Buffer, Read
from pipeline.runner import Execution
from pipeline.testing import Collect, Playlist, noise
from pipeline.watched import KEPT, Watched
from stages.jsonl import as_json
from tests.stages_for_tests import Blocked, Endless, Pass

pytestmark = pytest.mark.anyio
SOON_S = 20.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the name of a socket has little room."""
    with TemporaryDirectory(prefix="dgm") as short:
        yield Path(short) / "control"


def blocks(count: int) -> list[Item]:
    return [noise(100, rate=1000, start=number * 100, seed=number) for number in range(count)]


@define(kw_only=True)
class Pausable(Blocked):
    paused: bool = False


def held(name: str = "held", sink: Blocked | None = None) -> Execution:
    graph = Graph(name).add("a", Endless()).add("b", Pass(), "a")
    return Execution(graph.add("c", sink or Blocked(first=3), Read("b", buffer=Buffer(4))))


@asynccontextmanager
async def listening(watched: Watched, folder: Path) -> AsyncIterator[ControlSocket]:
    with anyio.fail_after(SOON_S):
        control = await ControlSocket.open(watched, folder, "run")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(control.serve)
            yield control
            await control.close()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def running(folder: Path, *executions: Execution) -> AsyncIterator[ControlSocket]:
    """The graphs run until the test is over; then they are cut off."""
    watched = Watched()

    async def run(name: str, execution: Execution) -> None:
        await execution.run()
        watched.remove(name)

    async with listening(watched, folder) as control, anyio.create_task_group() as tasks:
        for execution in executions:
            tasks.start_soon(run, watched.add(execution.graph.name, execution), execution)
        await wait_all_tasks_blocked()
        yield control
        for execution in executions:
            execution.cancel()


# --- requests


@pytest.mark.parametrize(
    ("told", "request_"),
    [
        ({"do": "graphs"}, AskGraphs()),
        ({"do": "graphs", "edge": "a>b"}, AskGraphs("a>b")),
        ({"do": "watch"}, AskWatch(0.5, None)),
        ({"do": "watch", "every_s": 1, "graph": "g"}, AskWatch(1.0, "g")),
        ({"do": "tap", "edge": "a>b"}, AskTap("a>b")),
        ({"do": "ledger", "graph": None}, AskLedger()),
        ({"do": "set", "stage": "a", "attribute": "paused", "value": True}, AskSet("a", "paused", True)),
    ],
)
def test_requests(told: dict[str, Any], request_: object) -> None:
    assert parse(json.dumps(told).encode()) == request_


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "wanted a line of JSON"),
        (b"\xff\xfe", "wanted a line of JSON"),
        (b"[" * 16000, "wanted a line of JSON"),
        (b"9" * 10000, "wanted a line of JSON"),
        (b"[]", "wanted a JSON object, came list"),
        (b"{}", "do: wanted one of graphs, watch, tap, ledger, set, came nothing"),
        (b'{"do": {}}', "do: wanted one of"),
        (b'{"do": "tap"}', "edge: wanted a text, came nothing"),
        (b'{"do": "tap", "edge": 1}', "edge: wanted a text, came 1"),
        (b'{"do": "ledger", "graph": []}', "graph: wanted a text"),
        (b'{"do": "watch", "every_s": true}', "every_s: wanted seconds from 0.05 to 60, came True"),
        (b'{"do": "watch", "every_s": NaN}', "every_s: wanted seconds"),
        (b'{"do": "watch", "every_s": 0}', "every_s: wanted seconds"),
        (b'{"do": "watch", "every_s": 1e400}', "every_s: wanted seconds"),
    ],
)
def test_what_is_no_request(text: bytes, why: str) -> None:
    with pytest.raises(BadRequest) as wrong:
        parse(text)
    assert str(wrong.value).startswith(why)
    assert len(str(wrong.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
FIELDS = st.sampled_from(["do", "edge", "graph", "every_s", "stage", "attribute", "value"])


ANY_LINE = st.binary() | st.dictionaries(FIELDS, JSON | st.sampled_from(messages.KINDS)).map(
    lambda told: json.dumps(told).encode()
)
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # its tables of characters


@patiently
@given(ANY_LINE)
def test_whatever_comes_is_a_request_or_a_bad_one(text: bytes) -> None:
    with suppress(BadRequest):
        parse(text)


@patiently
@given(st.text())
def test_no_text_breaks_a_line(text: str) -> None:
    """Surrogates, line ends and control characters come through as they are, in ASCII on one line."""
    line = messages.line("x", text=text)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"type": "x", "text": text}


def test_numbers_of_numpy_are_numbers() -> None:
    told = {"count": np.int64(3), "level": np.float32(0.5), "path": Path("a")}
    assert json.loads(messages.line("x", **told)) == {"type": "x", "count": 3, "level": 0.5, "path": "a"}


def test_what_is_shown_on_a_terminal_has_no_control_characters() -> None:
    told = {"te\x1b[31mxt": ["a\x9b2J", {"b": "\u202eevil\ud800"}], "n": 1.5}
    assert readable(told) == {"te[31mxt": ["a2J", {"b": "evil\ufffd"}], "n": 1.5}


# --- places


def test_the_folder_is_in_the_runtime_folder_where_that_is_ours(tmp_path: Path) -> None:
    uid = os.getuid()
    assert control_folder({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "dragoman"
    for environ in ({}, {"XDG_RUNTIME_DIR": "run"}, {"XDG_RUNTIME_DIR": str(tmp_path / "none")}):
        assert control_folder({"TMPDIR": "/tmp", **environ}) == Path(f"/tmp/dragoman-{uid}")


def test_the_folder_is_made_private(folder: Path) -> None:
    path = new_socket(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert path.name.startswith(f"{os.getpid()}-")


def test_a_folder_that_others_may_enter_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    for use in (new_socket, sockets):
        with pytest.raises(NoControl, match="others may enter it: chmod 700"):
            use(folder)


def test_a_link_in_its_place_is_refused(folder: Path) -> None:
    (folder.parent / "real").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "real")
    with pytest.raises(NoControl, match="wanted a folder"):
        new_socket(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(NoControl, match="belongs to somebody else"):
        new_socket(folder)


@pytest.mark.parametrize(
    ("name", "why"), [("x" * 100, "too long for the name of a socket"), ("no/no", "no such file")]
)
def test_where_no_socket_can_be(folder: Path, name: str, why: str) -> None:
    with pytest.raises(NoControl, match=why):
        new_socket(folder / name)


def test_what_dead_processes_have_left_is_removed_and_nothing_else(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with subprocess.Popen(["true"]) as process:
        gone = process.pid
    with (
        socket.socket(socket.AF_UNIX) as dead,
        socket.socket(socket.AF_UNIX) as alive,
        socket.socket(socket.AF_UNIX) as begins,
    ):
        dead.bind(str(folder / f"{gone}-00aa11.sock"))
        alive.bind(str(folder / "7-00aa11.sock"))
        alive.listen()
        begins.bind(str(folder / f"{os.getpid()}-00aa11.sock"))
        dead.close()
        (folder / "notes.txt").touch()
        (folder / "0-00aa11.sock").touch()
        assert [place.pid for place in sockets(folder)] == [7]
    kept = {"0-00aa11.sock", "7-00aa11.sock", f"{os.getpid()}-00aa11.sock", "notes.txt"}
    assert {path.name for path in folder.iterdir()} == kept, "one that begins does not listen yet"


def test_without_a_folder_nobody_listens(folder: Path) -> None:
    assert sockets(folder) == []


# --- who runs what


async def test_graphs_are_found_and_gone_when_they_are_over(anyio_backend: str, folder: Path) -> None:
    async with running(folder, held("one"), held("two")):
        (process,) = await processes(folder)
        assert (process.place.pid, process.command, process.names) == (os.getpid(), "run", ["one", "two"])
        assert process.graphs[0]["edges"] == ["b -> c", "a -> b"]
        assert process.graphs[0]["pausable"] == []
    assert await processes(folder) == []
    assert [path async for path in anyio.Path(folder).iterdir()] == []


async def test_two_graphs_of_the_same_name_are_told_apart(anyio_backend: str) -> None:
    watched, one, two = Watched(), held(), held()
    with watched.running("g", one) as first, watched.running("g", two) as second:
        assert (first, second) == ("g", "g 2")
        assert watched.graphs == {"g": one, "g 2": two}
    assert [(each.number, each.name) for each in watched.ended_since(0)] == [(1, "g 2"), (2, "g")]
    for execution in (one, two):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(execution.run)
            await wait_all_tasks_blocked()
            execution.cancel()


# --- watching


async def test_a_watcher_sees_snapshots_and_then_the_ledger(anyio_backend: str, folder: Path) -> None:
    sink = Blocked(first=3)
    execution = held(sink=sink)
    kinds = []
    async with running(folder, execution) as control, connected(control.path) as watcher:
        await watcher.say("watch", every_s=0.05)
        for _ in range(3):
            shot = await watcher.next()
            assert shot is not None
            (graph,) = shot["graphs"]
            assert (graph["name"], graph["state"], shot["more"]) == ("held", "running", 0)
            assert graph["edges"][0]["queue_s"] == pytest.approx(4 * 10 / 8000, abs=0.001)
        execution.stop()
        sink.gate.set()
        while (message := await watcher.next()) is not None and message["type"] != "ledger":
            kinds.append(message["type"])
    assert set(kinds) <= {"snapshot"}
    assert message is not None
    assert (message["graph"], message["state"]) == ("held", "done")
    assert message["report"]["balanced"]
    assert message["report"]["edges"] == json.loads(json.dumps(execution.report().as_json()))["edges"]


async def test_a_watcher_is_told_of_rooms_wherever_they_are(anyio_backend: str, folder: Path) -> None:
    @define(kw_only=True)
    class Hall(Blocked):
        def figures(self) -> dict[str, Any]:
            return {"title": "Sunday", "people": 7}

    async with running(folder, held("one", Hall(first=3)), held("two")) as control:
        control.watched.audiences["room"] = lambda: {"title": "Monday", "people": 3}
        rooms = [{"name": "room", "title": "Monday", "people": 3}, {"name": "c", "title": "Sunday", "people": 7}]
        for graph, told in ((None, rooms), ("one", rooms), ("two", rooms[:1])):
            async with connected(control.path) as watcher:
                await watcher.say("watch", graph=graph)
                assert (await watcher.next() or {})["rooms"] == told


async def test_closing_tells_the_last_and_says_that_it_is_over(anyio_backend: str, folder: Path) -> None:
    watched = Watched()
    async with listening(watched, folder) as control, connected(control.path) as watcher:
        await watcher.say("watch", every_s=60)
        assert (await watcher.next() or {})["graphs"] == []
        execution = Execution(Graph("short").add("a", Playlist(items=blocks(3))).add("b", Collect(), "a"))
        with watched.running("short", execution):
            await execution.run()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(control.close)
            told = [message async for message in watcher]
    assert [message["type"] for message in told] == ["snapshot", "ledger", "over"]
    assert told[1]["report"]["media_s"] == pytest.approx(0.3)


async def test_of_many_graphs_that_ended_at_once_the_last_are_told(anyio_backend: str, folder: Path) -> None:
    watched = Watched()
    async with listening(watched, folder) as control, connected(control.path) as watcher:
        await watcher.say("watch", every_s=60)
        await watcher.next()
        for number in range(KEPT + 3):
            execution = Execution(Graph().add("a", Playlist(items=[])).add("b", Collect(), "a"))
            with watched.running(str(number), execution):
                await execution.run()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(control.close)
            told = [message async for message in watcher]
    assert told[1] == {"type": "missed", "ledgers": 3}
    assert [message["graph"] for message in told[2:-1]] == [str(number) for number in range(3, KEPT + 3)]


async def test_of_very_many_graphs_the_first_are_shown(anyio_backend: str, folder: Path) -> None:
    watched = Watched()
    execution = held()
    for number in range(GRAPHS_SHOWN + 2):
        watched.add(str(number), execution)
    async with listening(watched, folder) as control, connected(control.path) as watcher:
        await watcher.say("watch")
        shot = await watcher.next()
        assert shot is not None
        assert (len(shot["graphs"]), shot["more"]) == (GRAPHS_SHOWN, 2)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(execution.run)
        await wait_all_tasks_blocked()
        execution.cancel()


async def test_a_ledger_can_be_asked_for_at_any_time(anyio_backend: str, folder: Path) -> None:
    async with running(folder, held("one"), held("two")) as control, connected(control.path) as other:
        told = await other.ask("ledger", graph="two")
        assert (told["graph"], told["state"], told["report"]["balanced"]) == ("two", "running", True)
        with pytest.raises(Refused, match="graph: several run; there is one of: one, two"):
            await other.ask("ledger")
        with pytest.raises(Refused, match="no 'tow' runs here; did you mean 'two'"):
            await other.ask("ledger", graph="tow")


# --- taps


@pytest.mark.parametrize("edge", ["a", "b -> c"])
async def test_a_tap_gives_the_items_as_jsonl_writes_them(anyio_backend: str, folder: Path, edge: str) -> None:
    items = [*blocks(5), Text("Olá\n\x1b", 0, 500, "pt-br", 3)]
    begin = anyio.Event()

    class Later(Playlist):
        async def run(self, inbox: Any, outbox: Any) -> None:
            await begin.wait()
            await super().run(inbox, outbox)

    sink = Collect()
    execution = Execution(Graph("g").add("a", Later(items=items)).add("b", Pass(), "a").add("c", sink, "b"))
    async with running(folder, execution) as control, connected(control.path) as watcher:
        await watcher.say("tap", edge=edge)
        first = await watcher.next()
        assert first is not None
        assert first["graph"] == "g"
        begin.set()
        told = [message async for message in watcher]
    assert [message["item"] for message in told[:-1]] == [as_json(item) for item in items]
    assert told[-1] == {"type": "ended", "missed": {"frames": 0, "audio_s": 0.0, "texts": 0}}
    assert sink.items == items


async def test_a_tap_that_is_not_read_misses_and_says_how_much(anyio_backend: str, folder: Path) -> None:
    """The graph goes on at its own pace, whoever stalls; when the client reads again, the counts are exact."""
    source, sink = Endless(), Collect()
    execution = Execution(Graph("g").add("a", source).add("b", sink, "a"))
    async with running_free(folder, execution) as control, connected(control.path) as watcher:
        await watcher.say("tap", edge="a")
        assert (await watcher.next() or {})["type"] == "tapping"
        at = source.sent
        while source.sent < at + 20_000:
            await anyio.lowlevel.checkpoint()
        execution.stop()
        frames = gaps = 0
        last: dict[str, Any] = {}
        async for message in watcher:
            last = dict(message)
            if message["type"] == "item":
                frames += message["item"]["frames"] if message["item"]["type"] == "audio" else 0
                gaps += message["item"]["frames"] if message["item"]["type"] == "mark" else 0
    assert last["type"] == "ended"
    assert gaps == last["missed"]["frames"] > 0
    assert 19_000 * 10 < frames + gaps <= sink.frames


@asynccontextmanager
async def running_free(folder: Path, execution: Execution) -> AsyncIterator[ControlSocket]:
    watched = Watched()
    async with listening(watched, folder) as control, anyio.create_task_group() as tasks:
        with watched.running(execution.graph.name, execution):
            tasks.start_soon(execution.run)
            yield control
            execution.cancel()


async def test_who_hangs_up_is_forgotten(anyio_backend: str, folder: Path) -> None:
    execution = held()
    async with running(folder, execution) as control:
        async with connected(control.path) as watcher:
            await watcher.say("tap", edge="a")
            await watcher.next()
        async with connected(control.path) as watcher:
            await watcher.say("watch", every_s=0.05)
            await watcher.next()
        await wait_until(lambda: control._clients == 0)
        assert execution.state == "running"


async def wait_until(true: Any) -> None:
    while not true():
        await anyio.lowlevel.checkpoint()


# --- setting


async def test_a_stage_that_can_be_paused_is(anyio_backend: str, folder: Path) -> None:
    stage = Pausable(first=3)
    async with running(folder, held(sink=stage)) as control, connected(control.path) as other:
        told = await other.ask("set", stage="c", attribute="paused", value=True)
        assert told == {"type": "set", "graph": "held", "stage": "c", "attribute": "paused", "value": True}
        assert stage.paused
        for wrong, why in (
            ({"stage": "a"}, "stage: no 'a' can be paused, only one of: c"),
            ({"attribute": "gate"}, "attribute: wanted one of paused, came 'gate'"),
            ({"attribute": "__class__"}, "attribute: wanted one of paused"),
            ({"value": 1}, "value: wanted bool, came 1"),
        ):
            with pytest.raises(Refused, match=why):
                await other.ask("set", **{"stage": "c", "attribute": "paused", "value": False, **wrong})
    assert stage.paused


# --- bad clients


async def test_a_bad_line_is_answered_and_ten_are_enough(anyio_backend: str, folder: Path) -> None:
    execution = held()
    async with running(folder, execution) as control, await anyio.connect_unix(control.path) as stream:
        await stream.send(b"\x00\xff\n" * (MISTAKES + 5))
        told = b""
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                told += await stream.receive()
        assert told == messages.line("error", message="wanted a line of JSON") * MISTAKES
        async with connected(control.path) as other:
            with pytest.raises(Refused, match="did you mean 'b -> c'"):
                await other.ask("tap", edge="b -> d")
            assert (await other.ask("graphs"))["pid"] == os.getpid()
        assert execution.state == "running"


async def test_an_endless_line_is_cut_off(anyio_backend: str, folder: Path) -> None:
    async with running(folder, held()) as control, await anyio.connect_unix(control.path) as stream:
        with suppress(anyio.BrokenResourceError):
            for _ in range(100):
                await stream.send(b"x" * 1000)
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            assert b"at most 16384 bytes a line" in await stream.receive()
        assert len(await processes(folder)) == 1


async def test_too_many_clients_are_told_so(anyio_backend: str, folder: Path) -> None:
    async with running(folder, held()) as control:
        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(sit, control.path)
            await wait_until(lambda: control._clients == CLIENTS)
            async with connected(control.path) as one_more:
                with pytest.raises(Refused, match="16 others look on already"):
                    await one_more.ask("graphs")
            tasks.cancel_scope.cancel()
        await wait_until(lambda: control._clients == 0)
        async with connected(control.path) as other:
            await other.ask("graphs")


async def sit(path: Path) -> None:
    async with await anyio.connect_unix(path):
        await anyio.sleep_forever()


async def test_a_client_that_stalls_does_not_keep_the_process(anyio_backend: str, folder: Path) -> None:
    """It reads nothing, though it is told much: closing waits a second for it, and no longer."""
    execution = Execution(Graph("g").add("a", Endless()).add("b", Collect(), "a"))
    async with running_free(folder, execution) as control, await anyio.connect_unix(control.path) as stream:
        await stream.send(b'{"do": "tap", "edge": "a"}\n')
        await stream.receive(1)
        while execution.report().edges[0].sent < 500_000:
            await anyio.lowlevel.checkpoint()
        execution.cancel()
        began = anyio.current_time()
        await control.close()
        assert anyio.current_time() - began < 10


async def test_a_stage_whose_figures_fail_breaks_the_look_and_not_the_run(
    anyio_backend: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Liar(Blocked):
        def counts(self) -> Any:
            raise RuntimeError("no figures")

    liar = Liar(first=3)
    watched, execution = Watched(), held(sink=liar)
    async with listening(watched, folder) as control, anyio.create_task_group() as tasks:
        watched.add("held", execution)
        with suppress(RuntimeError):
            tasks.start_soon(run_and_fail, execution)
            await wait_all_tasks_blocked()
            async with connected(control.path) as watcher:
                await watcher.say("watch")
                assert await watcher.next() is None
            assert execution.state == "running"
            execution.cancel()
    assert "could not be answered" in caplog.text


async def run_and_fail(execution: Execution) -> None:
    with suppress(RuntimeError):
        await execution.run()


async def test_without_room_for_a_socket_there_is_none(anyio_backend: str, folder: Path) -> None:
    with pytest.raises(NoControl):
        await ControlSocket.open(Watched(), folder / ("x" * 100), "run")
