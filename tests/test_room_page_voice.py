"""The interpreter's voice in a real browser: what it plays, sample by sample, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import opened
from tests.page_server import Peer, Rooms, joined, room

RATE_HZ = 24000
LOUDEST = 0.5


@pytest.fixture(scope="module")
def bench(browser: Browser, house: Rooms) -> Iterator[Page]:
    """A page that opens no socket, for it has no key: to try the parts on."""
    with opened(browser, f"{house.url}/r/bench/watch") as page:
        yield page


PLAY = """async ([script, seconds]) => {
  const {Voice, RATE_HZ} = await import("/room-assets/voice.js");
  const context = new OfflineAudioContext(1, seconds * RATE_HZ, RATE_HZ);
  const voice = new Voice(context);
  let phase = 0;
  const tone = ms => {
    const samples = new Int16Array(ms * RATE_HZ / 1000);
    samples.forEach((_, i) => { samples[i] = 16384 * Math.sin(2 * Math.PI * 440 * phase++ / RATE_HZ); });
    return samples.buffer;
  };
  const act = {
    begin: () => voice.begin(), end: () => voice.end(), cut: () => voice.cut(), push: ms => voice.push(tone(ms)),
    wait: () => {},
  };
  const moments = Map.groupBy(script, ([at]) => at);
  for (const [at, steps] of moments) {
    const run = () => steps.forEach(([, what, ms]) => act[what](ms));
    if (at === 0) run();
    else context.suspend(at).then(async () => {
      await new Promise(done => setTimeout(done, 5)); // what has ended is told meanwhile
      run();
      context.resume();
    });
  }
  const rendered = await context.startRendering();
  for (let i = 0; i < 3 || (i < 100 && voice.sounding); i += 1) await new Promise(done => setTimeout(done, 20));
  const {playedMs, droppedMs, hiccups, heldMs} = voice;
  return {samples: Array.from(rendered.getChannelData(0)), playedMs, droppedMs, hiccups, heldMs};
}"""


def played(bench: Page, script: list[list[Any]], seconds: float = 2.0) -> dict[str, Any]:
    """What the voice gives for `script`: at which second what happens, with how many ms of a tone."""
    found: dict[str, Any] = bench.evaluate(PLAY, [script, seconds])
    found["samples"] = np.array(found["samples"])
    steps = np.abs(np.diff(found["samples"]))
    assert steps.max() < 2 * np.pi * 440 / RATE_HZ * LOUDEST * 1.2, "a click"
    return found


def sounding(samples: np.ndarray[Any, Any]) -> list[tuple[float, float]]:
    """From when to when there is sound, in seconds; silences under 3 ms are within a tone."""
    loud = np.flatnonzero(np.abs(samples) > 1e-4)
    if not len(loud):
        return []
    ends = np.flatnonzero(np.diff(loud) > 0.003 * RATE_HZ)
    starts, stops = [loud[0], *loud[ends + 1]], [*loud[ends], loud[-1]]
    return [(round(a / RATE_HZ, 2), round(b / RATE_HZ, 2)) for a, b in zip(starts, stops, strict=True)]


def test_blocks_of_an_utterance_are_joined_to_the_sample(bench: Page) -> None:
    blocks = [[0, "push", 100], [0, "push", 150], [0, "push", 20], [0.1, "push", 230], [0.3, "push", 100]]
    found = played(bench, [[0, "begin", 0], *blocks, [0.3, "end", 0]])
    ((begin, end),) = sounding(found["samples"])
    assert end - begin == pytest.approx(0.6, abs=0.02)
    inside = found["samples"][int((begin + 0.02) * RATE_HZ) : int((end - 0.02) * RATE_HZ)]
    spectrum = np.abs(np.fft.rfft(inside * np.hanning(len(inside))))
    peak = int(spectrum.argmax())
    assert spectrum[peak + 20 :].max() < spectrum[peak] / 1000  # one pure tone: no seam is heard
    assert found["hiccups"] == 0
    assert found["playedMs"] == pytest.approx(600)


def test_nothing_plays_before_there_is_a_cushion(bench: Page) -> None:
    found = played(bench, [[0, "begin", 0], [0, "push", 100], [0.5, "push", 150]])
    assert sounding(found["samples"])[0][0] >= 0.5
    short = played(bench, [[0, "begin", 0], [0, "push", 100], [0, "end", 0]])
    assert sounding(short["samples"])[0][0] < 0.1  # it is whole: nothing to wait for


def test_after_a_hiccup_it_waits_for_more(bench: Page) -> None:
    late = [[0.8, "push", 250], [1.2, "push", 250], [1.2, "end", 0]]
    found = played(bench, [[0, "begin", 0], [0, "push", 300], *late])
    first, second = sounding(found["samples"])
    assert first[1] - first[0] == pytest.approx(0.3, abs=0.02)
    assert second[0] >= 1.2  # 250 ms were enough at first: no longer
    assert second[1] - second[0] == pytest.approx(0.5, abs=0.02)
    assert found["hiccups"] == 1
    assert found["playedMs"] == pytest.approx(800)


def test_utterances_that_wait_are_played_one_behind_the_other(bench: Page) -> None:
    blocks = [[0, "push", 200] for _ in range(11)]
    script = [[0, "begin", 0], *blocks, [0, "end", 0], [0, "begin", 0], *blocks, [0, "end", 0]]
    found = played(bench, [*script, *([at / 10, "wait", 0] for at in range(1, 50))], 5.0)
    first, second = sounding(found["samples"])
    assert first[1] - first[0] == pytest.approx(2.2, abs=0.02)
    assert second[1] - second[0] == pytest.approx(2.2, abs=0.02)
    assert second[0] - first[1] < 0.05
    assert found["playedMs"] == pytest.approx(4400)


def test_a_cut_is_soft_and_final(bench: Page) -> None:
    found = played(bench, [[0, "begin", 0], [0, "push", 1500], [0.5, "cut", 0]])
    ((_, end),) = sounding(found["samples"])
    assert 0.5 < end < 0.54


def test_what_is_too_much_is_dropped_and_counted(bench: Page) -> None:
    seconds = 30
    found = played(bench, [[0, "begin", 0], *([0, "push", 400] for _ in range(seconds * 5 // 2))], 0.5)
    assert found["droppedMs"] > 0
    assert found["heldMs"] <= 20_000
    assert found["droppedMs"] + found["heldMs"] <= seconds * 1000
    assert found["droppedMs"] + found["heldMs"] >= seconds * 1000 - 2500  # the rest is under way


# --- on the page


def voice_of(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("() => window.dragoman.voice ?? {}")
    return found


def speak(peer: Peer, ms: int, utterance: int = 1, **begin: Any) -> None:
    tone = (8000 * np.sin(np.arange(ms * 24) * 0.1)).astype("<i2").tobytes()
    event = {"type": "voice", "language": "pt-br", "utterance": utterance}
    peer.say({**event, "event": "begin", **begin})
    peer.say(*(tone[at : at + 9600] for at in range(0, len(tone), 9600)))
    peer.say({**event, "event": "end"})


def test_the_voice_is_asked_for_by_a_tap_and_plays(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/voice", locale="pt-BR") as page:
        peer = joined(page, server)
        assert voice_of(page) == {}
        page.locator("#voice").click()
        assert peer.wait_for("choose")["voice"] == "pt-br"
        expect(page.locator("#voice")).to_have_attribute("aria-pressed", "true")
        speak(peer, 900)
        expect(page.locator("#voice")).to_have_attribute("data-sounding", "true")
        page.wait_for_function("() => window.dragoman.voice.playedMs >= 899")
        expect(page.locator("#voice")).to_have_attribute("data-sounding", "false")
        assert voice_of(page)["hiccups"] == 0
        peer.say({"type": "voice", "language": "pt-br", "event": "dropped", "ms": 1200})
        expect(page.locator("#status")).to_have_text("Fala omitida: 1.2 s")
        page.locator("#voice").click()
        assert peer.wait_for("choose")["voice"] is None
        before = voice_of(page)
        speak(peer, 300, 2)
        peer.say({"type": "preparing", "language": "pt-br"})
        expect(page.locator("#status")).to_have_text("Preparando a tradução…")
        assert voice_of(page) == before


def test_the_voice_comes_back_with_the_connection(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/again", locale="pt-BR") as page:
        peer = joined(page, server)
        page.locator("#voice").click()
        assert peer.wait_for("choose")["voice"] == "pt-br"
        peer.cut()
        peer = server.peer()
        assert peer.hear()["voice"] == "pt-br"
        peer.say(room())
        speak(peer, 400)
        page.wait_for_function("() => window.dragoman.voice.playedMs >= 399")


def test_a_language_without_a_voice_says_so(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/mute", locale="es-ES") as page:
        peer = joined(page, server)
        expect(page.locator("#voice")).to_have_attribute("aria-disabled", "true")
        page.locator("#voice").click(force=True)
        expect(page.locator("#status")).to_have_text("Aún no hay voz para este idioma")
        page.locator("#language").select_option("pt-br")
        assert peer.wait_for("choose")["voice"] is None
        expect(page.locator("#voice")).to_have_attribute("aria-disabled", "false")


def test_how_late_the_voice_is_is_said_where_it_is_late(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/late", locale="pt-BR") as page:
        peer = joined(page, server)
        page.locator("#voice").click()
        expect(page.locator("#status")).to_have_text("A voz começa na próxima frase.")
        assert peer.wait_for("choose")["voice"] == "pt-br"
        speak(peer, 300, 1, behind_ms=900)
        page.wait_for_function("() => window.dragoman.voice.playedMs >= 299")
        late = page.locator("#late")
        expect(late).to_be_hidden()
        speak(peer, 3000, 2, behind_ms=9100)
        expect(late).to_have_text("Voz com 9 s de atraso")
        speak(peer, 100, 3, behind_ms=2000)  # three seconds that are still to be heard come before it
        expect(late).to_have_text("Voz com 5 s de atraso")
        page.wait_for_function("() => window.dragoman.voice.playedMs >= 3399")
        speak(peer, 100, 4, behind_ms=2000)
        expect(late).to_be_hidden()
        speak(peer, 100, 5)  # how late, the room does not know
        expect(late).to_be_hidden()
        speak(peer, 100, 6, behind_ms=30_000)
        expect(late).to_have_text("Voz com 30 s de atraso")
        peer.close(1001)
        expect(late).to_be_hidden()
        peer = server.peer()
        peer.say(room())
        expect(page.locator("#state")).to_have_text("Ao vivo")
        expect(late).to_be_hidden()
        speak(peer, 100, 7, behind_ms=30_000)
        expect(late).to_have_text("Voz com 30 s de atraso")
        page.locator("#voice").click()
        expect(late).to_be_hidden()


KEEP = """
const Real = window.AudioContext;
window.contexts = [];
window.AudioContext = class extends Real { constructor(...all) { super(...all); window.contexts.push(this); } };
"""


def test_a_voice_that_the_phone_has_put_to_sleep_is_woken_by_a_tap(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/asleep", locale="pt-BR", script=KEEP) as page:
        peer = joined(page, server)
        page.locator("#voice").click()
        assert peer.wait_for("choose")["voice"] == "pt-br"
        speak(peer, 300)
        page.wait_for_function("() => window.dragoman.voice.playedMs >= 299")
        page.evaluate("() => window.contexts[0].suspend()")
        speak(peer, 500, 2)
        page.wait_for_function("() => window.dragoman.voice.heldMs > 0 || window.dragoman.voice.sounding")
        page.evaluate(
            "now => { const real = performance.now.bind(performance); performance.now = () => real() + now }", 3000
        )
        speak(peer, 700, 3)
        expect(page.locator("#status")).to_have_text("Toque para ouvir a voz de novo")
        assert voice_of(page)["asleep"]
        page.locator("#captions").click()
        expect(page.locator("#status")).to_have_text(re.compile("Fala omitida"))
        speak(peer, 400, 4)
        page.wait_for_function("() => window.dragoman.voice.playedMs >= 399")
        found = voice_of(page)
        assert not found["asleep"]
        assert 700 <= found["droppedMs"] <= 1200  # all that came while it slept, and nothing else
        page.wait_for_function("() => window.contexts[0].state === 'closed'")
        assert page.evaluate("() => window.contexts.length") == 2
