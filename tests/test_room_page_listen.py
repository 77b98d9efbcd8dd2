"""The listener's page in a real browser, against a server that does what the test says."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import opened
from tests.page_server import HOSTILE, PAGE, Rooms, caption, joined, partial, room


def boxes(page: Page) -> list[Any]:
    """Where the lines stand, and how large they are."""
    return [line.bounding_box() for line in page.locator("#lines > li").all()]


# --- captions


def test_the_language_is_guessed_and_remembered(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/one", locale="pt-PT") as page:
        peer = server.peer()
        assert peer.hear() == {"type": "hello", "languages": [], "voice": None, "after": {}, "life": None}
        peer.say(room())
        assert peer.hear()["languages"] == ["pt-br"]
        expect(page.locator("#state")).to_have_text("Ao vivo")
        expect(page.locator("html")).to_have_attribute("lang", "pt")
        page.locator("#language").select_option("es-es")
        assert peer.hear()["languages"] == ["es-es"]
        page.reload()
        assert server.peer().hear()["languages"] == ["es-es"]
        expect(page.locator("html")).to_have_attribute("lang", "es")


def test_a_language_that_the_room_lacks_is_guessed_anew(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/two?lang=ko-kr", locale="fi-FI"):
        peer = server.peer()
        assert peer.hear()["languages"] == ["ko-kr"]
        peer.say(room())
        assert peer.hear()["languages"] == ["en-us"]  # nothing that the reader knows: the original


def test_a_choice_is_kept_while_the_room_does_not_have_it(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/kept", locale="de-DE") as page:
        peer = joined(page, server)
        page.locator("#language").select_option("es-es")
        assert peer.wait_for("choose")["languages"] == ["es-es"]
        peer.say(room(languages=room()["languages"][:2]))  # another language is spoken now: this one cannot be had
        assert peer.wait_for("choose")["languages"] == ["en-us"]
        peer.say(room())
        assert peer.wait_for("choose")["languages"] == ["es-es"]
        expect(page.locator("#language")).to_have_value("es-es")


def test_lines_grow_and_settle_where_they_stand(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/three", locale="pt-BR") as page:
        peer = joined(page, server)
        peer.say(*(caption(n, f"Linha {n}.") for n in range(1, 6)), partial(6, "Era"))
        expect(page.locator(".growing")).to_have_text("Era")
        page.wait_for_function("() => !document.getAnimations().some(each => each.effect.target.id === 'lines')")
        before = boxes(page)
        for text in ("Era uma", "Era uma vez", "Era uma vez um homem que esperava a chuva"):
            peer.say(partial(6, text))
            expect(page.locator(".growing")).to_have_text(text)
            assert boxes(page) == before
        peer.say(caption(6, "Era uma vez um homem que esperava a chuva."))
        expect(page.locator(".growing")).to_have_count(0)
        assert boxes(page) == before
        newest = page.locator("#lines > li.newest .main")
        expect(newest).to_have_text("Era uma vez um homem que esperava a chuva.")
        expect(newest).to_have_attribute("lang", "pt-br")
        expect(newest).to_have_attribute("dir", "ltr")
        peer.say(partial(7, "Nada"), partial(7, ""))
        expect(page.locator("#lines > li")).to_have_count(6)


def test_what_is_said_never_becomes_markup(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/four") as page:
        peer = joined(page, server, title=HOSTILE)
        languages = [{**each, "name": HOSTILE} for each in room()["languages"]]
        peer.say(room(title=HOSTILE, languages=languages))
        peer.say(caption(1, HOSTILE, "en-us"), partial(2, HOSTILE, "en-us"))
        peer.say(
            {"type": "failed", "language": "en-us", "message": HOSTILE},
            {"type": "error", "code": "x", "message": HOSTILE},
        )
        expect(page.locator("#status")).to_have_text(re.compile("onerror"))
        assert page.locator(".settled").text_content() == HOSTILE
        assert page.locator("#title").text_content() == HOSTILE
        assert page.locator("img").count() == 0
        assert page.evaluate("() => window.broken") is None


def test_only_settled_lines_are_read_aloud(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/five", locale="pt-BR") as page:
        peer = joined(page, server)
        peer.say(*(caption(n, f"Linha {n}.") for n in range(1, 21)))
        announcer = page.locator("#announcer")
        expect(announcer.locator("p")).to_have_text(["Linha 20."])  # what was there before is not read out
        expect(announcer.locator("p")).to_have_attribute("lang", "pt-br")
        peer.say(partial(21, "Ainda"))
        expect(page.locator(".growing")).to_have_text("Ainda")
        peer.say(caption(21, "Ainda não."))
        expect(announcer.locator("p")).to_have_text(["Linha 20.", "Ainda não."])
        assert page.locator("[aria-live]").evaluate_all("all => all.map(each => each.id)") == ["announcer"]


def test_the_newest_line_stays_in_view_by_itself(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/follow", locale="pt-BR") as page:
        peer = joined(page, server)
        peer.say(*(caption(n, f"Linha {n}.") for n in range(1, 21)))
        for n in range(21, 25):
            peer.say(partial(n, "Uma linha"))
            expect(page.locator(".growing")).to_have_text("Uma linha")
            peer.say(
                caption(n, "Uma linha que é tão comprida que precisa de mais lugar do que havia para ela. " * 2)
            )
            expect(page.locator("#lines > li")).to_have_count(n)
            page.wait_for_function(
                "() => !document.getAnimations().some(each => each.effect.target.id === 'lines')"
            )
            box = page.locator(".newest").bounding_box()
            room_for_it = page.locator("#captions").bounding_box()
            assert box is not None
            assert room_for_it is not None
            assert box["y"] + box["height"] <= room_for_it["y"] + room_for_it["height"]
            expect(page.locator("#newest")).to_be_hidden()


def test_a_reader_who_scrolled_up_is_left_there(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/six", locale="pt-BR") as page:
        peer = joined(page, server)
        peer.say(*(caption(n, f"Linha {n}, que é um pouco mais comprida.") for n in range(1, 21)))
        expect(page.locator("#lines > li").nth(19)).to_be_in_viewport()
        expect(page.locator("#newest")).to_be_hidden()
        page.locator("#captions").evaluate("box => { box.scrollTop = 300 }")
        expect(page.locator("#newest")).to_be_visible()
        peer.say(caption(21, "Mais uma."), partial(22, "E outra"))
        expect(page.locator(".growing")).to_have_text("E outra")
        assert page.locator("#captions").evaluate("box => box.scrollTop") == 300
        page.locator("#newest").click()
        expect(page.locator(".growing")).to_be_in_viewport()
        expect(page.locator("#newest")).to_be_hidden()


def test_arabic_runs_from_right_to_left(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/seven", locale="ar-EG") as page:
        peer = joined(page, server)
        peer.say(caption(1, "صباح الخير جميعًا.", "ar-sa"))
        line = page.locator(".main").first
        expect(line).to_have_attribute("dir", "rtl")
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        chooser, more = page.locator("#language").bounding_box(), page.locator("#more").bounding_box()
        assert chooser is not None
        assert more is not None
        assert chooser["x"] > more["x"]  # the whole page is mirrored
        assert line.evaluate("line => getComputedStyle(line).textAlign") == "start"


def test_the_original_stands_beneath_its_translation(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/eight", locale="pt-BR") as page:
        peer = joined(page, server)
        peer.say(caption(1, "Um."), caption(2, "Dois."))
        page.locator("#more").click()
        page.locator("#original").click()
        wish = peer.wait_for("choose")
        assert wish["languages"] == ["pt-br", "en-us"]
        assert wish["after"] == {"pt-br": 2}
        peer.say(caption(1, "One.", "en-us"), caption(2, "Two.", "en-us"), caption(3, "Three.", "en-us"))
        peer.say(partial(4, "Four", "en-us"), caption(3, "Três."))
        expect(page.locator("#lines > li")).to_have_text(["Um.One.", "Dois.Two.", "Três.Three.", "Four"])
        expect(page.locator(".original").nth(2)).to_have_attribute("lang", "en-us")
        page.locator("#original").click()
        assert peer.wait_for("choose")["languages"] == ["pt-br"]
        expect(page.locator("#lines > li")).to_have_text(["Um.", "Dois.", "Três."])


# --- coming back


def test_a_page_that_comes_back_misses_nothing_and_repeats_nothing(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/nine", locale="pt-BR") as page:
        peer = joined(page, server)
        peer.say(caption(1, "Um."), caption(2, "Dois."), partial(3, "Tr"))
        expect(page.locator(".growing")).to_have_text("Tr")
        peer.cut()
        expect(page.locator("#state")).to_have_attribute("data-state", re.compile("reconnecting|live"))
        peer = server.peer()
        hello = peer.hear()
        assert hello["after"] == {"pt-br": 2}
        assert hello["life"] == "a"
        peer.say(room(), caption(2, "Dois."), caption(3, "Três."), caption(4, "Quatro."))
        expect(page.locator("#lines .main")).to_have_text(["Um.", "Dois.", "Três.", "Quatro."])
        expect(page.locator("#state")).to_have_text("Ao vivo")
        assert page.evaluate("() => window.dragoman.missed") == []


def test_a_server_that_was_restarted_begins_to_count_anew(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/ten", locale="pt-BR") as page:
        peer = joined(page, server)
        peer.say(caption(1, "Um.", utterance=7), caption(2, "Dois.", utterance=8))
        expect(page.locator("#lines .main")).to_have_count(2)
        peer.say(room(state="ended"))
        peer.close(1001)
        peer = server.peer()
        peer.hear()
        expect(page.locator("#state")).to_have_text("Encerrado")  # until the room says how it is now
        expect(page.locator("#status")).to_have_text("")
        peer.say(room(life="b"), caption(1, "Outra vez.", utterance=1))
        expect(page.locator("#lines .main")).to_have_text(["Um.", "Dois.", "Outra vez."])
        expect(page.locator("#status")).to_have_text("")
        assert page.evaluate("() => window.dragoman.missed") == []


def test_lines_that_are_gone_leave_a_line(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/eleven", locale="pt-BR") as page:
        peer = joined(page, server)
        peer.say(
            caption(1, "Um."), {"type": "missed", "language": "pt-br", "from": 2, "to": 11}, caption(12, "Doze.")
        )
        expect(page.locator("#lines > li")).to_have_text(["Um.", re.compile(r"não puderam.*\(10\)"), "Doze."])
        peer.say(caption(14, "Catorze."))  # unannounced: not in silence either
        expect(page.locator("#lines > li").nth(3)).to_have_text(re.compile(r"\(1\)"))
        assert page.evaluate("() => window.dragoman.missed.length") == 2


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        (1008, "refused", "refused this page"),
        (1013, "reconnecting", "room is full"),
        (1001, "reconnecting", "restarting"),
    ],
)
def test_why_a_socket_closed_is_said(browser: Browser, server: Rooms, code: int, state: str, words: str) -> None:
    with opened(browser, f"{server.url}/r/twelve-{code}") as page:
        joined(page, server).close(code)
        expect(page.locator("#state")).to_have_attribute("data-state", state)
        expect(page.locator("#status")).to_have_text(re.compile(words))


def test_offline_is_noticed_at_once(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/off", complains=None) as page:
        joined(page, server)
        page.context.set_offline(True)
        expect(page.locator("#state")).to_have_text("Reconnecting…")
        page.context.set_offline(False)
        peer = server.peer()
        assert peer.hear()["languages"] == ["en-us"]
        peer.say(room())
        expect(page.locator("#state")).to_have_text("Live")


def test_a_phone_that_slept_asks_anew(browser: Browser, server: Rooms) -> None:
    wake = "window.locks = 0; navigator.wakeLock.request = async () => { window.locks += 1 }"
    with opened(browser, f"{server.url}/r/sleep", script=wake) as page:
        peer = joined(page, server)
        peer.say(caption(1, "One.", "en-us"))
        expect(page.locator(".settled")).to_have_count(1)
        page.evaluate(SEEN_AGAIN, 1_000)
        page.evaluate(SEEN_AGAIN, 20_000)  # silent for so long, the socket may be dead without knowing it
        hello = server.peer().hear()
        assert hello["after"] == {"en-us": 1}
        assert page.evaluate("() => window.locks") == 3  # the screen stays on, again after each sleep


SEEN_AGAIN = """ms => {
  const now = performance.now();
  performance.now = () => now + ms;
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_screen_that_may_be_kept_on_only_in_a_tap_is_kept_on_by_the_first(
    browser: Browser, server: Rooms
) -> None:
    safari = """
      window.locks = [];
      navigator.wakeLock.request = async () => {
        if (!navigator.userActivation.isActive) throw new DOMException("Permission was denied", "NotAllowedError");
        window.locks.push({released: false});
        return window.locks.at(-1);
      };
    """
    with opened(browser, f"{server.url}/r/tap", script=safari) as page:
        joined(page, server)
        assert page.evaluate("() => window.locks.length") == 0
        page.locator("#captions").click()
        page.wait_for_function("() => window.locks.length === 1")
        page.locator("#more").click()
        page.locator("#more").click()
        assert page.evaluate("() => window.locks.length") == 1
        page.evaluate("() => { window.locks[0].released = true }")  # the page was hidden
        page.locator("#more").click()
        page.wait_for_function("() => window.locks.length === 2")


def test_states_and_preparations_are_told(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/thirteen") as page:
        peer = joined(page, server, state="waiting")
        expect(page.locator("#state")).to_have_text("Waiting")
        expect(page.locator("#welcome")).to_be_visible()
        peer.say({"type": "preparing", "language": "en-us"})
        expect(page.locator("#status")).to_have_text("Preparing the translation…")
        peer.say({"type": "failed", "language": "en-us", "message": "no model for this pair"})
        expect(page.locator("#status")).to_have_text("no model for this pair")
        peer.say({"type": "ready", "language": "en-us"}, room(state="paused"))
        expect(page.locator("#status")).to_have_text("")
        expect(page.locator("#state")).to_have_text("Paused")
        expect(page.locator("#welcome")).to_have_text("The speaker has paused. It goes on here by itself.")
        peer.say(caption(1, "One.", "en-us"))
        expect(page.locator("#empty")).to_be_hidden()
        expect(page.locator("#status")).to_have_text("The speaker has paused. It goes on here by itself.")
        peer.say(room(state="ended"))
        expect(page.locator("#status")).to_have_text("")
        expect(page.locator("#state")).to_have_text("Ended")


# --- overlay, keyboard, colours


def test_the_overlay_is_transparent_and_rolls_up(browser: Browser, server: Rooms) -> None:
    url = f"{server.url}/r/fourteen?overlay=1&lines=2&lang=pt-br"
    with opened(browser, url, color_scheme="dark", viewport={"width": 1280, "height": 720}) as page:
        peer = server.peer()
        assert peer.hear()["languages"] == ["pt-br"]
        peer.say(room(), caption(1, "Longe."), caption(2, "Perto."), partial(3, "Aqui"))
        expect(page.locator(".growing")).to_be_in_viewport()
        for hidden in ("#head", "#controls", "#newest"):
            expect(page.locator(hidden)).to_be_hidden()
        picture = base64.b64encode(page.screenshot(omit_background=True)).decode()
        alphas = page.evaluate(ALPHAS, f"data:image/png;base64,{picture}")
        assert alphas["rest"] == 0
        assert alphas["band"] > 0.02  # where the text is
        inside = page.locator("#captions").bounding_box()
        lines = [each.bounding_box() for each in page.locator("#lines > li").all()]
        assert inside is not None
        assert all(lines)
        assert [line["y"] >= inside["y"] - 1 for line in lines if line] == [False, True, True]  # the last two
        peer.say(caption(3, "Aqui."))
        expect(page.locator(".settled").last).to_have_text("Aqui.")


ALPHAS = """async url => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  pen.drawImage(image, 0, 0);
  const share = (from, to) => {
    const data = pen.getImageData(0, from, image.width, to - from).data;
    let seen = 0;
    for (let i = 3; i < data.length; i += 4) seen += data[i] > 0;
    return seen / (data.length / 4);
  };
  return {rest: share(0, 540), band: share(540, 720)};
}"""


def test_everything_is_reached_by_keyboard(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/fifteen", viewport={"width": 1366, "height": 768}) as page:
        peer = joined(page, server)
        peer.say(caption(1, "One.", "en-us"))
        reached = list[str]()
        for _ in range(6):
            page.keyboard.press("Tab")
            name, seen = page.evaluate(
                "() => { const at = document.activeElement, style = getComputedStyle(at);"
                " return [at.id, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2] }"
            )
            assert seen or not name, f"{name} has no visible focus"
            reached.append(name)
        assert reached == ["captions", "language", "voice", "smaller", "larger", "full"]
        unnamed = page.evaluate(
            "() => [...document.querySelectorAll('button, select, input')]"
            ".filter(each => !(each.labels?.[0] ?? each).textContent.trim()).map(each => each.id)"
        )
        assert unnamed == []
        page.locator("#language").focus()
        page.keyboard.type("Por")
        assert peer.wait_for("choose")["languages"] == ["pt-br"]
        before = page.locator("#captions").evaluate("box => parseFloat(getComputedStyle(box).fontSize)")
        page.locator("#larger").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Space")
        after = page.locator("#captions").evaluate("box => parseFloat(getComputedStyle(box).fontSize)")
        assert after > 1.4 * before
        page.reload()
        joined(page, server)
        assert page.locator("#captions").evaluate("box => parseFloat(getComputedStyle(box).fontSize)") == after


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Browser, server: Rooms, scheme: Any) -> None:
    with opened(browser, f"{server.url}/r/{scheme}", color_scheme=scheme) as page:
        peer = joined(page, server)
        peer.say(caption(1, "One.", "en-us"), caption(2, "Two.", "en-us"), partial(3, "Thr", "en-us"))
        expect(page.locator(".growing")).to_be_visible()
        page.wait_for_function("() => !document.getAnimations().some(each => each instanceof CSSTransition)")
        grounds = page.evaluate(CONTRAST, "body, #controls")
        assert (grounds["html"] < 0.1) == (scheme == "dark")
        for selector in ("#lines > li:first-child", ".newest", "#title", "#state", "#voice", "#language"):
            assert page.evaluate(CONTRAST, selector)["ratio"] >= 4.5, selector


CONTRAST = """selector => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(part => {
      const x = part / 255;
      return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return light(colour);
    }
  };
  const element = document.querySelector(selector);
  const [a, b] = [light(getComputedStyle(element).color), ground(element)].sort((x, y) => y - x);
  return {ratio: (a + 0.05) / (b + 0.05), html: ground(document.documentElement)};
}"""


def test_who_wants_no_motion_gets_none(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/still", reduced_motion="reduce") as page:
        peer = joined(page, server)
        peer.say(*(caption(n, "One.", "en-us") for n in range(1, 4)))
        expect(page.locator("#lines > li")).to_have_count(3)
        assert page.evaluate("() => document.getAnimations().length") == 0


# --- words, and browsers that cannot


def test_every_language_has_all_words(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/words") as page:
        found = page.evaluate(
            "async () => { const {TONGUES, WORDS, TABLE_OF_WORDS} = await import('/room-assets/words.js');"
            " return {tongues: TONGUES, lacking: TONGUES.filter(tongue => TABLE_OF_WORDS[tongue].length"
            " !== WORDS.length || TABLE_OF_WORDS[tongue].some(word => !word.trim()))} }"
        )
        assert sorted(found["tongues"]) == sorted(["en", "pt", "es", "fr", "de", "ar", "hi", "ja", "ko", "zh"])
        assert found["lacking"] == []


@pytest.mark.parametrize("name", ["listen.html", "speak.html", "watch.html"])
def test_without_javascript_the_page_says_what_to_do(name: str) -> None:
    page = (PAGE / name).read_text(encoding="utf-8")
    told = page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert "allow JavaScript" in told


@pytest.mark.parametrize("lacks", ["WebSocket", "AudioContext"])
def test_an_old_browser_is_told(browser: Browser, server: Rooms, lacks: str) -> None:
    script = f"delete window.{lacks}; delete window.webkitAudioContext"
    with opened(browser, f"{server.url}/r/old", script=script, complains=lacks == "WebSocket") as page:
        expect(page.locator("#old")).to_be_visible()
        expect(page.locator("#old")).to_have_attribute("data-lacking", lacks)


def test_a_room_that_is_not_there_says_what_to_do(browser: Browser, server: Rooms) -> None:
    with opened(browser, f"{server.url}/r/missing", complains=True) as page:
        expect(page.get_by_role("heading")).to_have_text("There is no room at this address")
        expect(page.get_by_text("Scan the QR code again")).to_be_visible()
