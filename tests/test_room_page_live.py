"""A room as people use it: `dragoman serve --room`, one who speaks into a browser, others who listen in theirs."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen
from playwright.sync_api import Browser, Page, expect

from tests.browser import PATIENCE_MS, opened
from tests.engine import needs_models

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "graphs" / "samples" / "en_demo.flac"
TITLE = "<b>Sunday</b> & friends"
LINK = re.compile(r"^(?:dragoman:|room sunday,) (listeners|speaker|operator): +(http\S+)$")
DESKTOP = {"width": 1366, "height": 768}
MODELS_PATIENCE_MS = 240_000
"""The first time, models are loaded, by a machine that has other things to do."""


@frozen
class House:
    """A process with a room, and its links."""

    process: subprocess.Popen[str]
    listeners: str
    operator: str
    speaker: str = ""


@contextmanager
def house(folder: Path, engine: str, *options: str) -> Iterator[House]:
    command = ["serve", "--engine", engine, "--port", "0", "--room", "sunday"]
    kept = ["--rooms-file", str(folder / "rooms.json"), "--room-source", "en-us", "--room-title", TITLE]
    with started(*command, *kept, *options, links=3) as server:
        yield server


@contextmanager
def started(*arguments: str, links: int) -> Iterator[House]:
    """A command that tells so many links."""
    command = [sys.executable, "-m", "pipeline", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found, said = dict[str, str](), list[str]()
        for line in process.stdout:
            said.append(line)
            if (told := LINK.match(line.rstrip())) is not None:
                found[told[1]] = told[2]
            if len(found) == links:
                break
        assert len(found) == links, "".join(said)
        yield House(process, **found)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house"), "echo") as house_of_echoes:
        yield house_of_echoes


def speak(page: Page) -> None:
    page.locator("#talk").click()
    expect(page.locator("#state")).to_have_text("Live")


def lines(page: Page) -> list[str]:
    return page.locator("#lines .main .settled").all_inner_texts()


def wait_for_lines(page: Page, count: int, patience_ms: int = PATIENCE_MS) -> None:
    page.wait_for_function("count => window.dragoman.received >= count", arg=count, timeout=patience_ms)


def numbers(page: Page) -> list[int]:
    return [int(seq) for seq in page.locator(".settled").evaluate_all("all => all.map(each => each.dataset.seq)")]


def test_a_talk_is_read_and_heard_in_two_languages(browser: Browser, echo: House) -> None:
    with (
        opened(browser, echo.listeners, locale="pt-BR") as maria,
        opened(browser, echo.listeners, locale="es-ES", complains=None) as juan,
        opened(browser, echo.listeners, locale="en-US") as ann,
        opened(browser, echo.speaker, viewport=DESKTOP) as pastor,
        opened(browser, echo.operator, viewport=DESKTOP) as operator,
    ):
        expect(maria.locator("#title")).to_have_text(TITLE)
        expect(maria.locator("#state")).to_have_text("Aguardando")
        for listener in (maria, juan):
            expect(listener.locator("#voice")).to_be_enabled()
            listener.locator("#voice").click()
        speak(pastor)
        expect(maria.locator("#state")).to_have_text("Ao vivo")
        for listener, tag in ((maria, "[pt-br]"), (juan, "[es-es]")):
            wait_for_lines(listener, 1)
            assert lines(listener)[-1].startswith(f"{tag} utterance")
            listener.wait_for_function("() => window.dragoman.voice.playedMs > 1000")
        expect(pastor.locator("#number")).to_have_text("3")
        expect(pastor.locator("#transcript")).to_contain_text("utterance 1")
        expect(operator.locator(".graph")).to_have_count(3)
        expect(operator.locator("#languages")).to_contain_text("Português (Brasil)")

        # Somebody's page stalls, somebody else's network goes away: nobody else notices, and nothing is missed.
        before = maria.evaluate("() => window.dragoman.received")
        juan.context.set_offline(True)
        expect(juan.locator("#state")).to_have_text("Reconectando…")
        ann.evaluate("() => setTimeout(() => { const end = Date.now() + 3000; while (Date.now() < end); })")
        wait_for_lines(maria, before + 2)
        juan.context.set_offline(False)
        expect(juan.locator("#state")).to_have_text("En directo")
        juan.wait_for_function(
            "last => Number([...document.querySelectorAll('.settled')].at(-1)?.dataset.seq) >= last",
            arg=before + 2,
        )
        wait_for_lines(ann, before + 2)
        for listener in (maria, juan, ann):
            found = numbers(listener)
            assert found == list(range(found[0], found[0] + len(found)))
            assert listener.evaluate("() => window.dragoman.missed") == []
        assert maria.evaluate("() => window.dragoman.voice.droppedMs") == 0
        expect(operator.locator("#state")).to_have_text("Live")

        pastor.locator("#talk").click()
        expect(maria.locator("#state")).to_have_text("Em pausa")
        sent = pastor.evaluate("() => window.dragoman.outgoing.sentMs")
        pastor.wait_for_timeout(2500)
        assert pastor.evaluate("() => window.dragoman.outgoing.sentMs") == sent
        pastor.locator("#talk").click()
        expect(maria.locator("#state")).to_have_text("Ao vivo")
        known = maria.evaluate("() => window.dragoman.received")
        wait_for_lines(maria, known + 1)


def test_whoever_comes_late_gets_the_last_lines(browser: Browser, echo: House) -> None:
    with opened(browser, echo.speaker, viewport=DESKTOP) as pastor, opened(browser, echo.listeners) as reader:
        speak(pastor)
        wait_for_lines(reader, 2)
        with opened(browser, echo.listeners) as late:
            wait_for_lines(late, 2)
            assert lines(late)[:2] == lines(reader)[:2]


def test_the_microphone_goes_to_who_asks_last(browser: Browser, echo: House) -> None:
    with (
        opened(browser, echo.speaker, viewport=DESKTOP) as first,
        opened(browser, echo.speaker, viewport=DESKTOP) as second,
    ):
        speak(first)
        speak(second)
        expect(first.locator("#notices")).to_contain_text("Somebody else speaks now")
        expect(second.locator("#state")).to_have_text("Live")


def test_who_may_not_is_told(browser: Browser, echo: House) -> None:
    with opened(browser, f"{echo.listeners}/speak?key=wrong") as page:
        expect(page.locator("#notices")).to_contain_text("This is not the speaker's link")
    with opened(browser, echo.speaker.replace("/speak?", "/watch?")) as page:
        expect(page.locator("#notices")).to_contain_text("This is not the operator's link")
    with opened(browser, f"{echo.listeners}x", complains=True) as page:
        expect(page.get_by_role("heading")).to_have_text("There is no room at this address")


def test_the_room_of_a_graph_is_watched_while_it_runs_and_at_its_end(browser: Browser, tmp_path: Path) -> None:
    recording = ["-p", f"input={SAMPLE}", "-s", "talk.duration=6s", "-p", "engine=echo", "-p", "port=0"]
    room = ["-s", "room.name=sunday", "-s", f"room.rooms_file={tmp_path / 'rooms.json'}"]
    with (
        started("run", "room", *recording, *room, links=2) as graph,
        opened(browser, graph.listeners, locale="pt-BR", complains=None) as maria,
        opened(browser, graph.operator, viewport=DESKTOP, complains=None) as operator,
    ):
        expect(operator.locator("#state")).to_have_text("Live")
        expect(operator.locator("figcaption")).to_contain_text("room")
        expect(operator.locator("#languages")).to_contain_text("Português (Brasil)")
        expect(operator.locator("#speakers")).to_have_text("What the graph below hears.")
        wait_for_lines(maria, 1)
        expect(operator.locator("#card-shown .small")).to_contain_text("95 of 100")
        expect(operator.locator("#ledgers")).to_contain_text("all of it is accounted for · nothing is lost")
        expect(operator.locator("#notices")).to_contain_text("The room has ended")
        expect(operator.locator("#state")).to_have_text("Ended")
        assert graph.process.wait(30) == 0


def test_when_the_server_ends_everybody_is_told(browser: Browser, tmp_path: Path) -> None:
    with house(tmp_path, "echo") as ending, opened(browser, ending.listeners, complains=None) as reader:
        expect(reader.locator("#state")).to_have_text("Waiting")
        ending.process.send_signal(signal.SIGTERM)
        expect(reader.locator("#state")).to_have_text("Ended")
        assert ending.process.wait(30) == 0
        reader.wait_for_function("() => window.dragoman.link === 'reconnecting'")
        expect(reader.locator("#state")).to_have_text("Ended")
        expect(reader.locator("#status")).to_have_text("")


@pytest.mark.models
@needs_models
def test_english_into_a_microphone_is_portuguese_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    with (
        house(tmp_path, "local", "--load", "en-us:pt-br") as real,
        opened(browser, real.listeners, locale="pt-BR") as maria,
        opened(browser, real.speaker, viewport=DESKTOP) as pastor,
    ):
        expect(maria.locator("#voice")).to_be_enabled(timeout=MODELS_PATIENCE_MS)
        maria.locator("#voice").click()
        pastor.locator("#talk").click()
        expect(pastor.locator("#state")).to_have_text("Live", timeout=MODELS_PATIENCE_MS)
        maria.wait_for_function(
            "() => /código aberto/.test(document.querySelector('#lines').textContent)", timeout=MODELS_PATIENCE_MS
        )
        maria.wait_for_function("() => window.dragoman.voice.playedMs > 2000", timeout=MODELS_PATIENCE_MS)
        assert "código aberto" in maria.locator("#lines").inner_text()
        assert "successfully" in pastor.locator("#transcript").inner_text()
        assert maria.evaluate("() => window.dragoman.missed") == []
