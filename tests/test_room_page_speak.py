"""The speaker's page in a real browser with a recording for its microphone, against a scripted server."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import launched, opened
from tests.page_server import HOSTILE, Peer, Rooms, room

CREATED = {"type": "session.created", "session": {"id": "s", "mode": "fast", "source_language": "en-us"}}
APPEND = "input_audio_buffer.append"


def arrived(server: Rooms, key: str = "k", **changes: Any) -> Peer:
    """The page has shown its key, and knows what the room is."""
    waits = server.peer()
    assert waits.path.endswith("/meet-socket")
    assert waits.hear() == {"type": "hello", "key": key}
    waits.say(room(**{"state": "waiting", **changes}), status(3))
    return waits


def status(listeners: int, **languages: int) -> dict[str, Any]:
    return {"type": "room.status", "state": "waiting", "listeners": listeners, "by_language": languages}


def started(page: Page, server: Rooms) -> Peer:
    """The page's session, open."""
    arrived(server)
    page.locator("#talk").click()
    peer = server.peer()
    assert peer.hear()["type"] == "session.update"
    peer.say(CREATED)
    expect(page.locator("#state")).to_have_text("Live")
    return peer


def error(code: str, message: str = "no") -> dict[str, Any]:
    return {"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": message}}


# --- speaking


def test_nothing_is_sent_before_the_session_is_open_and_then_all_is(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/one/speak?key=k-1") as page:
        arrived(server, "k-1", title="Sunday")
        expect(page.locator("#title")).to_have_text("Sunday")
        page.locator("#talk").click()
        peer = server.peer()
        opening = peer.hear()
        assert opening["type"] == "session.update"
        assert opening["auth"] == {"api_key": "k-1"}
        assert opening["session"]["source_language"] == "en-us"
        peer.say({"type": "session.starting"})
        page.wait_for_timeout(400)
        assert peer.heard.empty()
        peer.say(CREATED)
        sound = [peer.hear() for _ in range(15)]
        assert {message["type"] for message in sound} == {APPEND}
        blocks = [base64.b64decode(message["audio"], validate=True) for message in sound]
        assert {len(block) for block in blocks} == {4800}
        samples = np.frombuffer(b"".join(blocks), "<i2")
        assert 300 < np.abs(samples.astype(int)).max() <= 32768  # the recording is there
        meter = page.get_by_role("meter")
        page.wait_for_function(
            "() => Number(document.querySelector('#meter').getAttribute('aria-valuenow')) > -50"
        )
        expect(meter).to_have_attribute("aria-valuetext", re.compile("decibels"))
        assert page.evaluate("() => window.dragoman.contextRate") == 24000


def test_a_pause_sends_nothing_and_takes_nothing_up(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/two/speak?key=k") as page:
        sent = list[str]()
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
        server.peer()  # of the page as it was before anybody watched its frames
        page.reload()
        peer = started(page, server)
        peer.wait_for(APPEND)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Space")
        expect(page.locator("#state")).to_have_text("Paused")
        expect(page.locator("#sentence")).to_have_text("Paused. Nothing leaves this device.")
        pause = peer.wait_for("room.pause")
        assert pause["paused"] is True
        count, blocks = len(sent), page.evaluate("() => window.dragoman.blocks")
        page.wait_for_timeout(1000)
        assert peer.heard.empty()
        assert len(sent) == count
        assert APPEND not in sent[-1]
        assert page.evaluate("() => window.dragoman.blocks") == blocks
        assert page.get_by_role("meter").get_attribute("aria-valuenow") == "-60"
        page.locator("#talk").click()
        assert peer.hear() == {"type": "room.pause", "paused": False}
        assert peer.hear()["type"] == APPEND
        page.locator("#talk").focus()
        page.keyboard.press("Space")  # the button's own space: once, not twice
        assert peer.wait_for("room.pause")["paused"] is True
        page.locator("#stop").click()
        expect(page.locator("#state")).to_have_text("Stopped")
        arrived(server)


def test_what_is_said_while_the_network_is_away_is_kept(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/three/speak?key=k") as page:
        peer = started(page, server)
        peer.wait_for(APPEND)
        peer.cut()
        expect(page.locator("#state")).to_have_text("Reconnecting…")
        peer = server.peer()
        assert peer.hear()["type"] == "session.update"
        page.wait_for_function("() => window.dragoman.outgoing.heldMs >= 500")
        expect(page.locator("#sentence")).to_have_text("Not connected: nobody hears you now.")
        expect(page.locator("#hint")).not_to_have_text(re.compile("wait here"))  # the network is not slow
        assert peer.heard.empty()
        peer.say(CREATED)
        page.wait_for_function("() => window.dragoman.outgoing.heldMs <= 100")
        assert page.evaluate("() => window.dragoman.outgoing.droppedMs") == 0
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#sentence")).to_have_text(re.compile("You are live"))
        expect(page.locator("#notices .notice")).to_have_count(0)
        page.evaluate("Object.defineProperty(WebSocket.prototype, 'bufferedAmount', {get: () => 1e6})")
        expect(page.locator("#hint")).to_have_text(re.compile("The network is slow: .* wait here"))


def test_a_pause_outlives_the_connection(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/four/speak?key=k") as page:
        peer = started(page, server)
        page.locator("#talk").click()
        peer.wait_for("room.pause")
        peer.cut()
        peer = server.peer()
        assert peer.hear() == {"type": "room.pause", "paused": True}  # at once: nobody is to see "live" meanwhile
        assert peer.hear()["type"] == "session.update"
        peer.say(CREATED)
        expect(page.locator("#state")).to_have_text("Paused")
        page.wait_for_timeout(300)
        assert peer.heard.empty()


def test_what_is_understood_and_who_listens_is_shown(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/five/speak?key=k") as page:
        peer = started(page, server)
        part = "conversation.item.input_audio_transcription"
        peer.say({"type": f"{part}.delta", "delta": "Good "}, {"type": f"{part}.delta", "delta": "morning"})
        expect(page.locator("#transcript .growing")).to_have_text("Good morning")
        peer.say({"type": f"{part}.completed", "transcript": "Good morning."})
        peer.say({"type": f"{part}.completed", "transcript": HOSTILE})
        expect(page.locator("#transcript p").first).to_have_text("Good morning.")
        assert page.locator("#transcript p").nth(1).text_content() == HOSTILE
        assert page.locator("#transcript img").count() == 0
        languages = {"pt-br": 31, "en-us": 5, HOSTILE: 1}
        peer.say(
            {
                "type": "room.status",
                "state": "live",
                "listeners": 37,
                "by_language": languages,
                "paused": False,
                "link": "http://192.168.1.20:8765/r/five",
            }
        )
        expect(page.locator("#number")).to_have_text("37")
        expect(page.locator("#by-language li").first).to_have_text("Português (Brasil) 31")
        page.locator("#language").select_option("pt-br")
        assert peer.wait_for("session.update") == {
            "type": "session.update",
            "session": {"source_language": "pt-br"},
        }
        link = page.locator("#link").input_value()
        assert link == "http://192.168.1.20:8765/r/five", "what this machine goes by is of no use to phones"
        assert page.evaluate("() => window.broken") is None


def test_the_newest_line_stays_in_view_when_there_is_less_room(browser: Browser, server: Rooms) -> None:
    below = "() => { const box = document.querySelector('#transcript');"
    below += " return Math.round(box.scrollHeight - box.scrollTop - box.clientHeight) }"
    with opened(browser, f"{server.url}/r/room/speak?key=k", viewport={"width": 1280, "height": 720}) as page:
        peer = started(page, server)
        completed = "conversation.item.input_audio_transcription.completed"
        for number in range(20):
            peer.say({"type": completed, "transcript": f"The sentence with the number {number}."})
        expect(page.locator("#transcript p")).to_have_count(20)
        before = page.locator("#transcript").evaluate("box => box.clientHeight")
        page.locator("#understood").evaluate("place => { place.style.height = '20rem' }")
        assert page.locator("#transcript").evaluate("box => box.clientHeight") < before
        page.wait_for_function(f"() => ({below})() <= 1")
        page.locator("#transcript").evaluate("box => box.scrollTo(0, 0)")
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        page.locator("#understood").evaluate("place => { place.style.height = '18rem' }")
        peer.say({"type": completed, "transcript": "One more."})
        expect(page.locator("#transcript p")).to_have_count(21)
        assert page.evaluate(below) > 100, "who reads further up stays there"


# --- what may go wrong


def test_a_wrong_key_is_told_at_once_and_is_not_tried_again(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/six/speak?key=wrong") as page:
        peer = server.peer()
        assert peer.hear()["key"] == "wrong"
        peer.say({"type": "error", "code": "invalid_api_key", "message": "no"})
        peer.close(1008)
        expect(page.locator("#notices")).to_contain_text("This is not the speaker's link")
        expect(page.locator("#state")).to_have_text("Refused")
        expect(page.locator("#talk")).to_be_disabled()
        expect(page.locator("#number")).to_have_text("–")


def test_a_key_that_has_become_wrong_is_told_when_the_talk_begins(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/six/speak?key=k") as page:
        arrived(server)
        page.locator("#talk").click()
        peer = server.peer()
        peer.hear()
        peer.say(error("invalid_api_key"))
        peer.close(1008)
        expect(page.locator("#notices")).to_contain_text("This is not the speaker's link")
        expect(page.locator("#talk")).to_be_disabled()


def test_who_waits_sees_who_listens_and_who_speaks(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/wait/speak?key=k") as page:
        expect(page.locator("#number")).to_have_text("–")  # nobody has told yet
        waits = arrived(server)
        expect(page.locator("#number")).to_have_text("3")
        waits.say(status(4, **{"pt-br": 4}), room(state="live"))
        expect(page.locator("#by-language")).to_have_text("Português (Brasil) 4")
        expect(page.locator("#notices")).to_contain_text("Somebody is speaking in this room now")
        waits.say(room(state="waiting"))
        expect(page.locator("#notices .notice")).to_have_count(0)
        waits.cut()
        waits = arrived(server)  # it comes back by itself
        expect(page.locator("#number")).to_have_text("3")
        page.locator("#talk").click()
        peer = server.peer()
        assert peer.path.endswith("/speak-socket")
        peer.say(CREATED)
        expect(page.locator("#number")).to_have_text("–")
        peer.say(status(5))
        expect(page.locator("#number")).to_have_text("5")
        page.locator("#stop").click()
        arrived(server)
        expect(page.locator("#number")).to_have_text("3")


def test_a_room_that_is_not_ready_is_waited_for(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/full/speak?key=k") as page:
        arrived(server)
        page.locator("#talk").click()
        peer = server.peer()
        peer.hear()
        peer.say(error("too_many_sessions", "there are too many sessions"))
        peer.close(1013)
        expect(page.locator("#notices")).to_contain_text(
            "there are too many sessions This page tries again by itself."
        )
        page.locator("#stop").click()
        expect(page.locator("#state")).to_have_text("Stopped")
        arrived(server)
        page.locator("#talk").click()
        peer = server.peer()
        peer.hear()
        peer.say({"type": "session.starting"})
        expect(page.locator("#sentence")).to_contain_text("models are being loaded")
        peer.say(CREATED)
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#notices .notice")).to_have_count(0)


def test_no_key_is_noticed_before_anything_is_opened(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/seven/speak") as page:
        expect(page.locator("#notices")).to_contain_text("lacks its key")
        expect(page.locator("#talk")).to_be_disabled()


def test_who_is_taken_over_stops_and_stays_away(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/eight/speak?key=k") as page:
        peer = started(page, server)
        peer.say(error("taken_over"))
        peer.close(1000)
        expect(page.locator("#state")).to_have_text("Taken over")
        expect(page.locator("#notices")).to_contain_text("Somebody else speaks now")
        expect(page.locator("#talk")).to_have_text("Start speaking")
        arrived(server)
        page.locator("#talk").click()
        assert server.peer().hear()["type"] == "session.update"


def test_a_microphone_that_is_really_denied(browser: Browser, server: Rooms) -> None:
    with (
        launched(browser.browser_type, allowed=False) as other,
        opened(other, f"{server.url}/r/nine/speak?key=k") as page,
    ):
        arrived(server)
        page.locator("#talk").click()
        expect(page.locator("#notices")).to_contain_text("The microphone is not allowed")
        expect(page.locator("#talk")).to_have_text("Start speaking")
        arrived(server)


def test_who_stops_while_the_browser_asks_has_no_microphone_open(browser: Browser, server: Rooms) -> None:
    slow = """
      const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      const answered = new Promise(done => { window.answer = done; });
      navigator.mediaDevices.getUserMedia = async wish => {
        await answered;
        return (window.stream = await get(wish));
      };
    """
    with opened(browser, f"{server.url}/r/asks/speak?key=k", script=slow) as page:
        arrived(server)
        page.locator("#talk").click()
        expect(page.locator("#state")).to_have_text("Connecting…")
        page.locator("#stop").click()
        expect(page.locator("#state")).to_have_text("Stopped")
        page.evaluate("() => window.answer()")
        page.wait_for_function("() => window.stream?.getAudioTracks()[0].readyState === 'ended'")
        arrived(server)
        expect(page.locator("#state")).to_have_text("Stopped")


REFUSING = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('why', '%s') }"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (REFUSING % "NotFoundError", "No microphone was found"),
        (REFUSING % "NotReadableError", "Another program is probably using it"),
        (REFUSING % "UnknownError", "The browser says: why"),
        ("Object.defineProperty(window, 'isSecureContext', {value: false})", "only to pages opened with https://"),
    ],
)
def test_why_there_is_no_microphone_is_said(browser: Browser, server: Rooms, script: str, words: str) -> None:
    with opened(browser, f"{server.url}/r/ten/speak?key=k", script=script) as page:
        arrived(server)
        page.locator("#talk").click()
        expect(page.locator("#notices")).to_contain_text(words)
        arrived(server)  # it waits again


def test_a_microphone_that_goes_is_missed(browser: Browser, server: Rooms) -> None:
    keep = (
        "const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async wish => (window.stream = await get(wish))"
    )
    with opened(browser, f"{server.url}/r/gone/speak?key=k", script=keep) as page:
        peer = started(page, server)
        peer.wait_for(APPEND)
        page.evaluate("() => window.stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
        expect(page.locator("#notices")).to_contain_text("The microphone has gone")
        page.evaluate("() => navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
        expect(page.locator("#notices .notice")).to_have_count(0)
        while not peer.heard.empty():
            peer.hear()
        peer.wait_for(APPEND)


def test_a_microphone_that_gives_nothing_is_missed(browser: Browser, server: Rooms) -> None:
    keep = """
      const Real = window.AudioContext;
      window.AudioContext = class extends Real { constructor(...all) { super(...all); window.context = this; } };
    """
    with opened(browser, f"{server.url}/r/still/speak?key=k", script=keep) as page:
        peer = started(page, server)
        peer.wait_for(APPEND)
        page.evaluate("() => window.context.suspend()")  # as a phone does when somebody calls
        expect(page.locator("#notices")).to_contain_text("No sound comes from the microphone")
        page.locator("#notices .notice").click()
        expect(page.locator("#notices .notice")).to_have_count(0)
        while not peer.heard.empty():
            peer.hear()
        peer.wait_for(APPEND)


def test_a_microphone_that_the_system_mutes_is_told_until_it_is_back(browser: Browser, server: Rooms) -> None:
    keep = (
        "const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async wish => (window.stream = await get(wish))"
    )
    with opened(browser, f"{server.url}/r/muted/speak?key=k", script=keep) as page:
        started(page, server).wait_for(APPEND)
        page.evaluate("() => window.stream.getAudioTracks()[0].dispatchEvent(new Event('mute'))")
        expect(page.locator("#notices")).to_contain_text("The microphone was muted")
        page.evaluate("() => window.stream.getAudioTracks()[0].dispatchEvent(new Event('unmute'))")
        expect(page.locator("#notices .notice")).to_have_count(0)


# --- the parts


@pytest.fixture(scope="module")
def bench(browser: Browser, house: Rooms) -> Iterator[Page]:
    """A page that opens no socket, for it has no key: to try the parts on."""
    with opened(browser, f"{house.url}/r/bench/speak") as page:
        yield page


def test_what_waits_is_bounded_and_what_is_lost_counted(bench: Page) -> None:
    found = bench.evaluate(
        """async () => {
          const {Outgoing, base64} = await import("/room-assets/outgoing.js");
          const sent = [];
          const link = {waiting: 0, send(message) { sent.push(message); this.waiting += 6500; return true; }};
          const outgoing = new Outgoing(link);
          const steps = [];
          const note = () => steps.push([sent.length, outgoing.heldMs, outgoing.droppedMs, outgoing.sentMs]);
          const block = i => new Uint8Array(4800).fill(i).buffer;
          const put = n => { for (let i = 0; i < n; i += 1) outgoing.put(block(i)); };
          put(3); note();                       // closed: it waits
          outgoing.open = true; note();         // all goes
          put(130); note();                     // the network takes 15, 10 s wait, the rest is lost
          link.waiting = 0; outgoing.flush(); note();
          outgoing.clear(); note();             // a pause
          return {steps, first: sent[0].audio === base64(block(0))};
        }"""
    )
    closed, opened_, full, flushed, cleared = found["steps"]
    assert closed == [0, 300, 0, 0]
    assert opened_ == [3, 0, 0, 300]
    assert full == [15, 10_000, 1_800, 1_500]
    assert flushed == [30, 8_500, 1_800, 3_000]
    assert cleared == [30, 0, 10_300, 3_000]
    assert all(sent + held + dropped == 13_300 for _, held, dropped, sent in (full, flushed, cleared))
    assert found["first"]


WHOLE_BLOCKS = 9
"""Of a second, what a resampler has for certain: the last 100 ms wait for what comes after them."""
RESAMPLE = """async ([rate, hz, wanted]) => {
  const context = new OfflineAudioContext(1, rate, rate);
  await context.audioWorklet.addModule("/room-assets/microphone-worklet.js");
  const node = new AudioWorkletNode(context, "microphone");
  const blocks = [];
  node.port.onmessage = ({data}) => blocks.push(data);
  node.port.postMessage({paused: false});
  await new Promise(done => setTimeout(done, 100));
  const tone = new OscillatorNode(context, {frequency: hz});
  tone.connect(new GainNode(context, {gain: 0.5})).connect(node).connect(context.destination);
  tone.start();
  await context.startRendering();
  const awhile = () => new Promise(done => setTimeout(done, 20));
  for (let i = 0; i < 5 || (i < 500 && blocks.length < wanted); i += 1) await awhile();
  const pcm = blocks.flatMap(({pcm}) => Array.from(new Int16Array(pcm)));
  return {pcm, levels: blocks.map(({peak, rms}) => [peak, rms])};
}"""


@pytest.mark.parametrize("rate", [24_000, 48_000, 44_100, 16_000])
def test_any_rate_becomes_24_khz(bench: Page, rate: int) -> None:
    found = bench.evaluate(RESAMPLE, [rate, 1000, WHOLE_BLOCKS])
    above = bench.evaluate(RESAMPLE, [rate, 16_000, WHOLE_BLOCKS]) if rate > 32_000 else None
    samples = np.array(found["pcm"][4800:]) / 32768
    assert len(found["pcm"]) in (21_600, 24_000)  # whole blocks; the tail waits for its block
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) / len(samples) * 4
    peak = int(spectrum.argmax())
    assert peak * 24_000 / len(samples) == pytest.approx(1000, abs=2)
    assert spectrum[peak] == pytest.approx(0.5, rel=0.02)
    spectrum[peak - 8 : peak + 9] = 0
    assert spectrum.max() < 0.5 / 1000  # 60 dB below
    assert found["levels"][3] == [pytest.approx(0.5, rel=0.02), pytest.approx(0.5 / 2**0.5, rel=0.02)]
    if above is not None:  # what 24 kHz cannot hold is not folded into it
        assert np.abs(above["pcm"][4800:]).max() < 32768 * 0.5 / 1000


def test_a_stopped_worklet_posts_nothing(bench: Page) -> None:
    paused = RESAMPLE.replace("{paused: false}", "{paused: true}")
    assert bench.evaluate(paused, [48_000, 1000, 0])["pcm"] == []
