"""The system's Chromium, driven by Playwright, with a recording for its microphone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from playwright.sync_api import Browser, BrowserType, ConsoleMessage, Page, expect, sync_playwright

from tests.needed import lacking

__all__ = ["PATIENCE_MS", "chromium", "launched", "microphone_wav", "opened"]

PATIENCE_MS = 30_000
"""How long a condition may take on a machine that has other things to do."""
MICROPHONE_HZ = 48_000
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--autoplay-policy=user-gesture-required",
)


@contextmanager
def chromium(microphone: Path | None = None) -> Iterator[Browser]:
    """A headless browser whose microphone is the WAV file `microphone`, over and over."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright, launched(playwright.chromium, microphone) as browser:
        yield browser


@contextmanager
def launched(kind: BrowserType, microphone: Path | None = None, *, allowed: bool = True) -> Iterator[Browser]:
    """As `chromium`, where Playwright runs already. `allowed`: what they answer who are asked for it."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        lacking("needs a Chromium: apt-get install chromium")
    arguments = [*QUIET, "--use-fake-device-for-media-stream"]
    arguments.append("--use-fake-ui-for-media-stream" + ("" if allowed else "=deny"))
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}")
    browser = kind.launch(executable_path=program, args=arguments)
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def opened(
    browser: Browser, url: str, *, script: str = "", complains: bool | None = False, **context: Any
) -> Iterator[Page]:
    """A page in a context of its own. It fails if it `complains` in the console, unless it should, or may (None).

    `script` runs before the page's own; `context` is for the browser's (`locale`, `color_scheme`, `viewport`).
    """
    complaints = list[str]()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    held = browser.new_context(**{"viewport": {"width": 390, "height": 844}, "locale": "en-US", **context})
    try:
        held.set_default_timeout(PATIENCE_MS)
        page = held.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(error.stack or error.message))
        if script:
            page.add_init_script(script)
        page.goto(url)
        yield page
        assert complains is None or bool(complaints) == complains, complaints
    finally:
        held.close()


def microphone_wav(recording: Path, to: Path) -> Path:
    """`recording` as Chromium wants its fake microphone."""
    samples, rate = soundfile.read(recording, dtype="float32", always_2d=True)
    sound = soxr.resample(samples[:, 0], rate, MICROPHONE_HZ)
    soundfile.write(to, np.clip(sound, -1, 1), MICROPHONE_HZ, subtype="PCM_16")
    return to
