"""The operator's page in a real browser, against a server that does what the test says."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser import opened
from tests.page_server import HOSTILE, Peer, Rooms

DESKTOP = {"width": 1366, "height": 768}


def stage(name: str, **changes: Any) -> dict[str, Any]:
    whole = {"name": name, "kind": "mt", "task": name, "state": "running", "busy": False, "waits_for": "input"}
    return {**whole, "status": "", "counts": {}, "losses": {}, **changes}


def edge(producer: str, consumer: str, **changes: Any) -> dict[str, Any]:
    ends = {"name": f"{producer} -> {consumer}", "producer": producer, "port": "*", "consumer": consumer}
    figures = {"sent_s": 9.0, "queue_s": 0.4, "peak_queue_s": 1.0, "dropped_s": 0.0, "rate_x": 1.0}
    texts = {"texts": 0, "texts_waiting": 0, "texts_dropped": 0}
    return {**ends, **figures, **texts, "policy": "block", "fused": False, "tap": False, **changes}


def snapshot(**changes: Any) -> dict[str, Any]:
    stages = [stage("talk", kind="speaker"), stage("ears", kind="asr", busy=True, waits_for=""), stage("room")]
    edges = [
        edge("talk", "ears", queue_s=2.5, dropped_s=1.5),
        edge("ears", "room", sent_s=0, rate_x=0, queue_s=0, texts=7),
    ]
    graph = {"name": "recognition", "state": "running", "at_s": 65.0, "done_s": 64.0, "total_s": None}
    whole = {
        "at_s": 65.0,
        "life": "a",
        "title": "Sunday & friends",
        "state": "live",
        "people": 40,
        "graphs": [{**graph, "stages": stages, "edges": edges, "texts": []}],
        "lag": {"shown": {"n": 12, "p50_s": 1.23, "p95_s": 2.0}, "heard": {"n": 0, "p50_s": None, "p95_s": None}},
        "listeners": {
            "pt-br": {"count": 30, "voices": 4, "dropped_s": 0.5},
            "en-us": {"count": 10, "voices": 0, "dropped_s": 0},
        },
        "names": {"pt-br": "Português"},
        "sessions": [{"name": "s-1", "state": "live", "since_s": 64.0}],
    }
    return {"type": "snapshot", **whole, **changes}


def watching(page: Page, server: Rooms) -> Peer:
    peer = server.peer()
    assert peer.hear() == {"type": "hello", "key": "operator"}
    return peer


def card(page: Page, name: str) -> str:
    return page.locator(f"#card-{name}").inner_text().replace("\n", " ")


def test_the_graph_is_drawn_and_told_in_words(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/sunday/watch?key=operator", viewport=DESKTOP) as page:
        peer = watching(page, server)
        peer.say(snapshot())
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#title")).to_have_text("Sunday & friends")
        stages = page.locator(".graph .stage")
        expect(stages).to_have_count(3)
        expect(stages.nth(0).locator(".chip")).to_have_text("waiting")
        expect(stages.nth(1).locator(".chip")).to_have_text("at work")
        expect(page.locator(".edge text").nth(0)).to_have_text("2.5 s waiting")
        expect(page.locator(".edge text.lost").nth(0)).to_have_text("dropped 1.5 s")
        expect(page.locator(".edge text").nth(2)).to_have_text("7 texts")
        assert card(page, "shown") == "Captions appear after 1.2 s as a rule · 95 of 100 within 2.0 s"
        assert card(page, "heard") == "The voice follows after – nothing yet"
        assert card(page, "listeners") == "Listeners 40 in 2 languages · 4 hear the voice"
        assert card(page, "lost") == "Lost 2.0 s 1.5 s here, 0.5 s at slow phones"
        expect(page.locator("#languages tr")).to_have_text(
            [re.compile("Language"), re.compile("Português304"), re.compile("en-us10")]
        )
        expect(page.locator("#speakers td")).to_have_text(["Somebody in a browser", "speaks", "1:04 min"])
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        before = stages.nth(1).element_handle()
        after = snapshot()
        after["graphs"][0]["stages"][1] |= {"busy": False, "waits_for": "room"}
        peer.say(after)
        expect(stages.nth(1).locator(".chip")).to_have_text("held up")
        assert before is not None
        assert before.evaluate("element => element.isConnected")  # only its words have changed
        peer.say(snapshot(graphs=[]))
        expect(page.locator(".graph")).to_have_count(0)
        expect(page.locator("#no-graph")).to_be_visible()


def test_what_a_stage_counts_is_told_whole(browser: Browser, server: Rooms) -> None:
    counts = {"utterances": 4, "sounds too short for speech": 12}
    stages = [stage("vad", kind="vad", counts=counts), stage("interpreter/echo", kind="translate"), stage("own")]
    graph = {**snapshot()["graphs"][0], "name": "pt-br captions", "stages": stages, "edges": []}
    with opened(browser, f"{server.url}/r/six/watch?key=operator", viewport=DESKTOP) as page:
        peer = watching(page, server)
        peer.say(snapshot(graphs=[graph]))
        expect(page.locator(".graph figcaption")).to_contain_text("Captions in Português")
        expect(page.locator(".stage .name")).to_have_text(["Finds the speech", "Interprets", "own"])
        told = page.locator(".stage").first.locator(".told").all_text_contents()
        assert " ".join(told) == "utterances 4 · sounds too short for speech 12"
        peer.say(snapshot(graphs=[{**graph, "name": "somebody's own"}]))
        expect(page.locator(".stage .name")).to_have_text(["vad", "interpreter/echo", "own"])  # as its graph says
        known = page.evaluate("async () => Object.keys((await import('/room-assets/plain-words.js')).STAGES)")
        stages = [stage(name, waits_for="room", counts=counts) for name in known]
        peer.say(snapshot(graphs=[{**graph, "stages": stages}]))
        expect(page.locator(".stage")).to_have_count(len(known))
        assert page.evaluate(CROWDED) == []


def test_a_recording_is_not_called_a_microphone(browser: Browser, server: Rooms) -> None:
    graph = {**snapshot()["graphs"][0], "name": "speaker", "edges": []}
    with opened(browser, f"{server.url}/r/eight/watch?key=operator", viewport=DESKTOP) as page:
        peer = watching(page, server)
        for kind, title, does in (
            ("file", "A recording", "Plays a recording"),
            ("microphone", "The microphone of this machine", "Listens here"),
        ):
            stages = [stage("source", kind=kind)]
            peer.say(snapshot(graphs=[]), snapshot(graphs=[{**graph, "stages": stages}], sessions=[]))
            expect(page.locator(".graph figcaption")).to_contain_text(title)
            expect(page.locator(".stage .name")).to_have_text(does)
            expect(page.locator("#speakers td")).to_have_count(3 * (kind == "file"))
        expect(page.locator("#speakers")).to_have_text("What the graph below hears.")
        peer.say(snapshot(graphs=[], sessions=[], state="waiting"))
        expect(page.locator("#speakers")).to_have_text("Nobody speaks.")


def test_on_a_phone_nothing_is_cut_off(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/nine/watch?key=operator") as page:
        watching(page, server).say(snapshot(microphone={"paused": False, "lost": ""}))
        expect(page.locator(".stage")).to_have_count(3)
        assert page.evaluate(CUT) == []


CUT = """() => [...document.querySelectorAll("#languages, #speakers, .graph")].filter(
  place => place.scrollWidth > place.clientWidth).map(place => place.textContent)"""
CROWDED = """() => [...document.querySelectorAll(".stage")].filter(stage => {
  const [name, chip, ...told] = [...stage.querySelectorAll("text")].map(each => each.getBoundingClientRect());
  const edge = stage.querySelector("rect").getBoundingClientRect().right;
  return name.right > chip.left || told.some(each => each.right > edge);
}).map(stage => stage.textContent)"""


def test_a_microphone_of_the_servers_machine_is_paused_here(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/five/watch?key=operator") as page:
        peer, button = watching(page, server), page.locator("#pause")
        peer.say(snapshot(microphone=None))
        expect(page.locator(".stage")).to_have_count(3)
        expect(button).to_be_hidden()
        peer.say(snapshot(microphone={"paused": False}))
        expect(button).to_have_text("Pause the microphone")
        button.press("Enter")
        assert peer.hear() == {"type": "pause", "paused": True}
        expect(button).to_have_text("Pause the microphone")  # until it is
        peer.say(snapshot(microphone={"paused": True}, state="paused"))
        expect(page.locator("#state")).to_have_text("Paused")
        expect(button).to_have_text("Let the microphone hear")
        button.click()
        assert peer.hear() == {"type": "pause", "paused": False}
        peer.close(1001)
        expect(button).to_be_disabled()
        watching(page, server).say(snapshot(microphone={"paused": False}))
        expect(button).to_be_enabled()
        expect(button).to_have_text("Pause the microphone")


def test_a_lost_microphone_is_told_in_red(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/seven/watch?key=operator") as page:
        peer, told = watching(page, server), page.locator("#notices .notice.bad")
        lost = "lost the microphone 'usb': it is not there any more"
        peer.say(snapshot(microphone={"paused": False, "lost": lost}, sessions=[], state="paused"))
        expect(told).to_contain_text(lost)
        expect(page.locator("#speakers td.alarm")).to_have_text("is lost")
        peer.say(snapshot(microphone={"paused": False, "lost": ""}, sessions=[]))
        expect(told).to_have_count(0)
        expect(page.locator("#speakers td").nth(1)).to_have_text("speaks")


def test_the_ledger_is_a_table(browser: Browser, server: Rooms) -> None:
    line = {
        "name": "talk -> ears",
        "sent": 48_000,
        "received": 24_000,
        "dropped": 24_000,
        "declined": 0,
        "in_flight": 0,
    }
    line |= {"rate_hz": 24_000, "texts": 3, "texts_dropped": 0, "peak_queue_s": 1.0, "tap": False}
    report = {
        "media_s": 2.0,
        "wall_s": 2.5,
        "balanced": True,
        "lost": {"talk -> ears: drop_oldest": 24_000, "ears: too late, texts": 2},
        "lost_s": {"talk -> ears: drop_oldest": 1.0},
        "edges": [line],
    }
    with opened(browser, f"{server.url}/r/one/watch?key=operator", viewport=DESKTOP) as page:
        peer = watching(page, server)
        expect(page.locator("#ledger-section")).to_be_hidden()
        peer.say({"type": "ledger", "graph": "recognition", "report": report})
        expect(page.locator(".ledger p")).to_contain_text(
            "all of it is accounted for · lost: talk -> ears: drop_oldest 1.0 s, ears: too late 2 texts"
        )
        peer.say(snapshot(graphs=[], listeners={}))
        expect(page.locator("#card-lost")).to_contain_text("1.0 s, 2 texts here")  # as the ledger says
        peer.say(snapshot(graphs=[], listeners={"pt-br": {"count": 1, "voices": 1, "dropped_s": 0.02}}))
        expect(page.locator("#card-lost .small")).to_have_text("1.0 s, 2 texts here, 20 ms at slow phones")
        lost = {"losses": {"device away": 48_000}, "lost_s": {"device away": 2.0}}
        peer.say(snapshot(graphs=[{**snapshot()["graphs"][0], "stages": [stage("source", **lost)], "edges": []}]))
        expect(page.locator(".stage .told").first).to_have_text("device away 2.0 s")
        expect(page.locator("#card-lost .small")).to_have_text("3.0 s, 2 texts here, 0.5 s at slow phones")
        expect(page.locator(".ledger td")).to_have_text(
            ["talk -> ears", "2.0 s", "1.0 s", "1.0 s", "0.0 s", "0.0 s", "3", "0", "1.0 s"]
        )


def test_names_are_never_markup(browser: Browser, server: Rooms) -> None:
    stages = [stage(HOSTILE, kind=HOSTILE, status=HOSTILE, counts={HOSTILE: 1})]
    graph = {**snapshot()["graphs"][0], "name": HOSTILE, "stages": stages, "edges": []}
    with opened(browser, f"{server.url}/r/two/watch?key=operator", viewport=DESKTOP) as page:
        peer = watching(page, server)
        listeners = {HOSTILE: {"count": 1, "voices": 0, "dropped_s": 0}}
        peer.say(
            snapshot(
                graphs=[graph],
                listeners=listeners,
                title=HOSTILE,
                sessions=[{"name": HOSTILE, "state": HOSTILE, "since_s": 1}],
                names={HOSTILE: HOSTILE},
            )
        )
        expect(page.locator(".stage")).to_have_count(1)
        assert page.locator("#languages td").first.text_content() == HOSTILE
        assert page.locator("#speakers td").nth(1).text_content() == HOSTILE
        assert page.locator("img, foreignObject").count() == 0
        assert page.evaluate("() => window.broken") is None


def test_who_has_another_key_is_told(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/three/watch?key=operator") as page:
        peer = watching(page, server)
        peer.say({"type": "error", "code": "invalid_api_key", "message": "this is not the operator's key"})
        peer.close(1008)
        expect(page.locator("#notices")).to_contain_text("This is not the operator's link")
        expect(page.locator("#title")).to_have_text("Operator")  # and not the room's name, which is a secret
        expect(page.locator("main")).to_be_hidden()
    with opened(browser, f"{server.url}/r/three/watch") as page:
        expect(page.locator("#notices")).to_contain_text("This is not the operator's link")


def test_it_comes_back(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/four/watch?key=operator") as page:
        peer = watching(page, server)
        peer.say(snapshot())
        report = {"media_s": 2.0, "wall_s": 2.5, "balanced": True, "lost": {}, "edges": []}
        peer.say({"type": "ledger", "graph": "recognition", "report": report})
        expect(page.locator(".stage")).to_have_count(3)
        peer.close(1001)
        expect(page.locator("#notices")).to_contain_text("What is shown is from before")
        peer = watching(page, server)
        peer.say(snapshot())
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#notices .notice")).to_have_count(0)
        expect(page.locator(".ledger")).to_have_count(1)
        peer.say(snapshot(life="b", people=0, listeners={"pt-br": {"count": 0, "voices": 0, "dropped_s": 0.5}}))
        expect(page.locator(".ledger")).to_have_count(0)  # it was of a server that is no more
        assert card(page, "listeners") == "Listeners 0 nobody now"


LAYERS = """async () => {
  const {layers, BOX} = await import("/room-assets/layers.js");
  let seed = 7;
  const random = n => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const wrong = [];
  for (let round = 0; round < 400; round += 1) {
    const names = Array.from({length: 1 + random(12)}, (_, i) => `s${i}`);
    const edges = [];
    for (let i = 0; i < random(20); i += 1) {
      const [a, b] = [random(names.length), random(names.length)];
      if (a < b) edges.push([names[a], names[b]]);
    }
    const {width, height, boxes, lines} = layers(names, edges);
    const places = [...boxes.values()];
    const apart = (one, other) => one === other
      || Math.abs(one.y - other.y) >= BOX.height || Math.abs(one.x - other.x) >= BOX.width;
    const inside = ({x, y}) => x >= -0.01 && y >= 0 && x + BOX.width <= width + 0.01 && y + BOX.height <= height;
    const hits = point => places.some(({x, y}) => point.x > x && point.x < x + BOX.width
      && point.y >= y && point.y <= y + BOX.height);
    const joins = (line, [from, to]) => line[0].y === boxes.get(from).y + BOX.height
      && line.at(-1).y === boxes.get(to).y && line.every((point, i) => !i || point.y >= line[i - 1].y);
    const ok = boxes.size === names.length && lines.length === edges.length && places.every(inside)
      && places.every(one => places.every(other => apart(one, other)))
      && lines.every((line, i) => joins(line, edges[i]) && !line.slice(1, -1).some(hits));
    if (!ok) wrong.push({names, edges});
  }
  return wrong;
}"""


def test_boxes_stand_apart_and_below_what_feeds_them(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/five/watch") as page:
        assert page.evaluate(LAYERS) == []
