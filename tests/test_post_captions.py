from __future__ import annotations

import itertools
import json
import logging
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.graph import Graph
from pipeline.items import Item, Mark, MarkKind, Text
from pipeline.load import load
from pipeline.runner import Execution
from pipeline.stage import StageError
from stages import KINDS
from stages.post_captions import PostCaptions
from stages.posting.http import Answer, NoAnswer, Target
from stages.posting.numbers import default_path, fingerprint
from tests.caption_service import CANARY, CaptionService, caption_service
from tests.fakes import FakeInbox, FakeOutbox
from tests.simulated import in_simulated_time

SOON_S = 10.0
START_S = 1_356_307_200.0  # 2012-12-24T00:00:00


def text(at: int, said: str = "", **changes: Any) -> Text:
    return Text(said or f"Line {at}.", 2000 * at, 2000 * at + 1500, "pt-br", at, **changes)


def texts(many: int) -> list[Text]:
    return [text(at) for at in range(1, many + 1)]


def stage(server: CaptionService, tmp_path: Path, **options: Any) -> PostCaptions:
    """A stage that waits for nothing between its tries."""
    return PostCaptions(
        url=server.address,
        dice=lambda: 0.0,
        utc_s=lambda: START_S,
        **{"service": "youtube", "state": tmp_path / "seq.json", "heartbeat_s": 0, **options},
    )


async def run(posting: PostCaptions, items: Iterable[Item]) -> PostCaptions:
    with anyio.fail_after(SOON_S):
        await posting.run(FakeInbox(items), FakeOutbox())
    return posting


def lost(posting: PostCaptions) -> int:
    return sum(posting.losses().values())


# --- what is posted


@pytest.mark.anyio
async def test_youtube_gets_final_texts_once_in_order_and_timed(tmp_path: Path) -> None:
    with caption_service() as service:
        service.time = "2012-12-24T00:00:00.000"
        mark = Mark(MarkKind.UTTERANCE_END, 0, 24000)
        items = [text(1, "growing", final=False), text(1), mark, text(2), text(3, "\n")]
        posting = await run(stage(service, tmp_path, zero="2012-12-24T12:00:00.000", delay_s=0.25), items)
    assert [post.body for post in service.received] == [
        "2012-12-24T12:00:02.250\nLine 1.\n",
        "2012-12-24T12:00:04.250\nLine 2.\n",
    ]
    assert [post.number for post in service.received] == [1, 2]
    assert service.received[0].path.startswith(f"/closedcaption?cid={CANARY}&sparams=id%2Cns&seq=")
    assert posting.counts() == {"texts posted": 2}
    assert lost(posting) == 0
    assert posting.status == ""


@pytest.mark.anyio
async def test_zoom_gets_the_text_alone_and_the_language(tmp_path: Path) -> None:
    with caption_service() as service:
        await run(stage(service, tmp_path, service="zoom", heartbeat_s=30), [text(1)])
        await run(stage(service, tmp_path, service="zoom", language="JA"), [text(2)])
    assert [post.body for post in service.received] == ["Line 1.", "Line 2."]
    assert [post.query["lang"] for post in service.received] == ["pt-BR", "jp-JP"]


@pytest.mark.anyio
async def test_the_clock_of_the_service_is_followed(tmp_path: Path) -> None:
    with caption_service() as service:
        service.time = "2012-12-24T01:00:00.000"  # an hour ahead of ours
        posting = stage(service, tmp_path, heartbeat_s=30)
        await run(posting, texts(2))
    heartbeat, *posts = service.received
    assert (heartbeat.number, heartbeat.body) == (0, "")
    assert [post.body[:17] for post in posts] == ["2012-12-24T01:00:0"[:17]] * 2
    assert posting.counts() == {"texts posted": 2, "heartbeats": 1}


# --- what goes wrong


@pytest.mark.anyio
@pytest.mark.parametrize("how", [500, 503, 429, "hang", "trickle", "garbage", "close"])
async def test_what_may_go_well_next_time_is_tried_again_under_the_same_number(
    tmp_path: Path, how: int | str
) -> None:
    with caption_service(200, how, how) as service:
        posting = await run(stage(service, tmp_path, timeout_s=0.15), texts(3))
    assert [post.number for post in service.received] == [1, 2, 2, 2, 3]
    assert len({post.body for post in service.received}) == 3
    assert posting.counts() == {"texts posted": 3, "tries again": 2}
    assert lost(posting) == 0


@pytest.mark.anyio
async def test_zoom_waits_for_the_meeting(tmp_path: Path) -> None:
    with caption_service(400, 400) as service:
        posting = await run(stage(service, tmp_path, service="zoom"), [text(1)])
    assert [post.number for post in service.received] == [1, 1, 1]
    assert lost(posting) == 0


@pytest.mark.anyio
async def test_what_is_wrong_with_one_text_costs_no_other(tmp_path: Path) -> None:
    with caption_service(422) as service:
        posting = await run(stage(service, tmp_path), texts(2))
    assert [post.number for post in service.received] == [1, 2], "a number is never given to another text"
    assert posting.losses()["refused one by one by the service, texts"] == lost(posting) == 1
    assert posting.status == "texts lost: 1"


@pytest.mark.anyio
@pytest.mark.parametrize("status", [302, 401, 403, 404, 410])
async def test_a_refused_address_ends_the_run_where_that_is_wanted(tmp_path: Path, status: int) -> None:
    with caption_service(status) as service:
        posting = stage(service, tmp_path, when_refused="fail")
        with pytest.raises(StageError) as caught:
            await run(posting, texts(2))
    assert caught.value.code == 69
    assert str(caught.value) == (
        f"captions are refused: http://localhost:{service.port} answers with HTTP {status}: copy it again "
        "for this very stream: YouTube Studio, Create, Go live: in the stream's settings turn on Closed captions, "
        "choose POST captions to URL, and copy the captions ingestion URL"
    )
    assert posting.losses()["not posted by the end, texts"] == 2


@pytest.mark.anyio
async def test_a_refused_address_is_tried_again_otherwise(tmp_path: Path) -> None:
    with caption_service(403, 403) as service:
        posting = await run(stage(service, tmp_path), [text(1)])
    assert posting.counts() == {"texts posted": 1, "tries again": 2}


@pytest.mark.anyio
async def test_a_refused_address_is_told_before_anybody_speaks(tmp_path: Path) -> None:
    with caption_service(403) as service, pytest.raises(StageError, match="HTTP 403"):
        posting = stage(service, tmp_path, when_refused="fail", heartbeat_s=30)
        await run_with(posting, Silent())


@pytest.mark.anyio
async def test_a_redirect_leads_nowhere(tmp_path: Path) -> None:
    with caption_service(302) as service, caption_service() as elsewhere:
        service.location = elsewhere.address
        posting = await run(stage(service, tmp_path), [text(1)])
    assert not elsewhere.received
    assert posting.counts()["tries again"] == 1


class Silent(FakeInbox):
    """Nobody says anything, for ever."""

    def __init__(self) -> None:
        super().__init__([])

    async def __anext__(self) -> Item:
        await anyio.sleep_forever()
        raise AssertionError


async def run_with(posting: PostCaptions, inbox: FakeInbox) -> None:
    with anyio.fail_after(SOON_S):
        await posting.run(inbox, FakeOutbox())


# --- numbers


@pytest.mark.anyio
async def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    with caption_service(200, 500) as service:
        await run(stage(service, tmp_path), texts(2))
        await run(stage(service, tmp_path), texts(2))
    assert [post.number for post in service.received] == [1, 2, 2, 3, 4]


@pytest.mark.anyio
async def test_without_a_name_the_state_is_kept_for_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    with caption_service() as service:
        for _ in range(2):
            await run(stage(service, tmp_path, state=None), [text(1)])
    assert [post.number for post in service.received] == [1, 2]
    kept = default_path(fingerprint(service.address))
    assert kept.is_relative_to(tmp_path)
    assert CANARY not in kept.read_text() + str(kept)


@pytest.mark.anyio
async def test_a_state_that_cannot_be_read_is_told_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "seq.json").write_text("garbage")
    with caption_service() as service:
        with pytest.raises(StageError, match="holds no number of a post"):
            stage(service, tmp_path).probe()
        with pytest.raises(StageError, match="holds no number of a post"):
            await run(stage(service, tmp_path), [text(1)])
    assert not service.received


class Service:
    """Answers as `outcomes` say (a status, or 0 for no answer), and takes everything behind them. No sockets."""

    def __init__(self, outcomes: Iterable[int] = ()) -> None:
        self.outcomes = iter(outcomes)
        self.posts: list[tuple[int, bytes]] = []
        self.taken: list[int] = []
        self.times: list[float] = []

    async def __call__(self, target: Target, added: Sequence[str], body: bytes, timeout_s: float) -> Answer:
        await anyio.lowlevel.checkpoint()
        number = int(added[0].removeprefix("seq="))
        self.posts.append((number, body))
        self.times.append(anyio.current_time())
        status = next(self.outcomes, 200)
        if status == 0:
            raise NoAnswer("nobody there")
        if status == 200:
            self.taken.append(number)
        return Answer(status, b"")


outcomes = st.lists(st.sampled_from([200, 200, 0, 403, 422, 500]), max_size=30)


@given(st.lists(st.tuples(st.integers(0, 6), outcomes), min_size=1, max_size=3), st.integers(1, 4))
def test_each_text_has_its_number_for_good_over_retries_and_restarts(
    runs: list[tuple[int, list[int]]], most_waiting: int
) -> None:
    bodies: dict[int, bytes] = {}
    everything: list[int] = []
    with TemporaryDirectory() as folder:
        for many, script in runs:
            service = Service(script)
            posting = PostCaptions(
                url="http://here/",
                service="zoom",
                state=Path(folder) / "seq.json",
                most_waiting=most_waiting,
                post=service,
                dice=lambda: 0.0,
            )
            items = [text(at, f"Line {len(everything)}, {at}.") for at in range(many)]
            anyio.run(run, posting, items)
            for number, body in service.posts:
                assert bodies.setdefault(number, body) == body
            everything += [number for number, _ in service.posts]
            assert len(set(service.taken)) == len(service.taken) == posting.counts().get("texts posted", 0)
            assert many == len(service.taken) + lost(posting)
    assert everything == sorted(everything)
    assert set(everything) == set(range(1, len(set(everything)) + 1))


# --- time


async def at_once(work: Callable[[], object], **_: object) -> object:
    """A thread's work takes no time, where time is simulated."""
    return work()


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)


class Timed(FakeInbox):
    """Each item when its time has come; the end `rest_s` behind the last."""

    def __init__(self, items: Iterable[tuple[float, Item]], rest_s: float = 0.0) -> None:
        self._timed, self._rest_s = iter(items), rest_s
        super().__init__([])

    async def __anext__(self) -> Item:
        for at_s, item in self._timed:
            await anyio.sleep_until(at_s)
            return item
        await anyio.sleep(self._rest_s)
        raise StopAsyncIteration


def posted(tmp_path: Path, service: Service, inbox: Callable[[], FakeInbox], **options: Any) -> PostCaptions:
    """The stage after a run in simulated time that begins at 0."""
    settings = {"url": "http://here/", "service": "youtube", "heartbeat_s": 0, "utc_s": lambda: START_S, **options}
    posting = PostCaptions(state=tmp_path / "seq.json", post=service, **settings)

    async def go() -> None:
        await posting.run(inbox(), FakeOutbox())

    in_simulated_time(go)
    return posting


@pytest.mark.usefixtures("no_threads")
def test_a_text_is_given_up_when_it_would_come_too_late(tmp_path: Path) -> None:
    service = Service([0] * 1000)
    inbox = lambda: Timed([(0.0, text(1)), (100.0, text(2)), (200.0, text(3))], 100)  # noqa: E731
    posting = posted(tmp_path, service, inbox, give_up_s=30, dice=lambda: 0.99)
    assert posting.losses()["given up, because it was too late for them, texts"] == 3
    assert posting.status == "trying again: nobody there; texts lost: 3"
    first = [at for at, (number, _) in zip(service.times, service.posts, strict=True) if number == 1]
    waits = [after - before for before, after in itertools.pairwise(first)]
    assert max(first) - min(first) <= 30
    assert waits == sorted(waits)
    assert len(waits) < 10


@pytest.mark.usefixtures("no_threads")
def test_heartbeats_show_that_we_are_there(tmp_path: Path) -> None:
    service = Service()
    inbox = lambda: Timed([(45.0, text(1))], 40)  # noqa: E731
    posting = posted(tmp_path, service, inbox, heartbeat_s=30)
    beats = [(at, number) for at, (number, body) in zip(service.times, service.posts, strict=True) if not body]
    assert [number for _, number in beats] == [0, 0, 1], "nothing new, so no new number"
    assert [round(at - service.times[0]) for at, _ in beats] == [0, 30, 75]
    assert posting.counts() == {"texts posted": 1, "heartbeats": 3}


@pytest.mark.usefixtures("no_threads")
def test_the_time_of_day_is_read_once_and_runs_on_with_the_source(tmp_path: Path) -> None:
    service, asked = Service(), []

    def utc_s() -> float:
        asked.append(START_S)
        return START_S

    inbox = lambda: Timed([(at, text(round(at / 2))) for at in (2.0, 3600.0)])  # noqa: E731
    posted(tmp_path, service, inbox, utc_s=utc_s)
    assert len(asked) == 1
    assert [body[:23] for _, body in service.posts] == [b"2012-12-24T00:00:02.000", b"2012-12-24T01:00:00.000"]


@pytest.mark.usefixtures("no_threads")
def test_what_waits_at_the_end_has_a_deadline(tmp_path: Path) -> None:
    service = Service([0] * 1000)
    started: list[float] = []

    class Ended(Timed):
        async def __anext__(self) -> Item:
            started.append(anyio.current_time())
            return await super().__anext__()

    posting = posted(
        tmp_path, service, lambda: Ended([(0.0, each) for each in texts(5)]), deadline_s=10, give_up_s=300
    )
    assert posting.losses()["not posted by the end, texts"] == lost(posting) == 5
    assert max(service.times) - started[-1] <= 10


@pytest.mark.anyio
async def test_a_dead_service_never_slows_the_graph(tmp_path: Path) -> None:
    with caption_service(*["hang"] * 5) as service:
        posting = stage(service, tmp_path, most_waiting=8, timeout_s=60.0, deadline_s=0.05)
        begin = anyio.current_time()
        await run(posting, texts(2000))
        assert anyio.current_time() - begin < SOON_S / 2
    assert posting.losses() == {
        "dropped for newer ones while the service did not take them, texts": 1991,
        "given up, because it was too late for them, texts": 0,
        "refused one by one by the service, texts": 0,
        "not posted by the end, texts": 9,
    }
    assert posting.status == "texts lost: 1991"


# --- the secret


@pytest.mark.anyio
async def test_the_address_is_in_no_output(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with caption_service(404, "garbage", "close", "hang", 302, 500, 422, 200, 200, 403) as service:
        service.location = service.address
        for when_refused in ("go_on", "fail"):
            posting = stage(service, tmp_path, timeout_s=0.15, when_refused=when_refused)
            graph = Graph("posting")
            graph.add("talk", Talk(texts(3)))
            graph.add("posting", posting, reads="talk")
            execution = Execution(graph)
            try:
                await execution.run()
            except StageError as error:
                said += [*traceback.format_exception(error), repr(error)]
            said += [
                repr(posting),
                posting.status,
                json.dumps(execution.report().as_json()),
                repr(execution.report()),
            ]
    assert "HTTP 403" in "".join(said)
    assert "refused one by one" in "".join(said)
    said += [caplog.text, *capfd.readouterr(), (tmp_path / "seq.json").read_text()]
    assert CANARY not in "".join(said)


class Talk:
    """A source of texts."""

    accepts: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, said: Sequence[Text]) -> None:
        self.said = said

    def gives(self, caps: object) -> dict[str, Any]:
        from pipeline.caps import TEXT

        return {"out": TEXT}

    async def run(self, inbox: object, outbox: Any) -> None:
        for each in self.said:
            await outbox.send(each)


@pytest.mark.parametrize("wrong", [f"ftp://here/{CANARY}", f"https://{CANARY}@here/", f"https://here/ {CANARY}"])
def test_an_address_that_is_none_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match="url: wanted the address that the service gives") as caught:
        PostCaptions(url=wrong, service="youtube")
    assert CANARY not in str(caught.value)
    graph = f"stages:\n  it: {{use: post_captions, from: x, url: '{wrong}', service: youtube}}\n"
    loaded = load(graph, "g.yaml", KINDS, env={})
    told = "\n".join([*map(str, loaded.problems), repr(loaded)])
    assert "the address that the service gives" in told
    assert CANARY not in told


def test_nothing_is_done_before_the_run(tmp_path: Path) -> None:
    posting = PostCaptions(url="https://here/", service="zoom", state=tmp_path / "seq.json")
    assert posting.gives({}) == {}
    assert posting.status == ""
    assert lost(posting) == 0
    assert not list(tmp_path.iterdir())
