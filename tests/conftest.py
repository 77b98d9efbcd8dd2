from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.pulse import MIC, SPEAKER, Pulse, pulse

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.page_server import Rooms

settings.register_profile("dragoman", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dragoman")  # a busy machine is no mistake


SPEECH = Path(__file__).parents[2] / "shared" / "speech"
SAMPLE = Path(__file__).parents[1] / "graphs" / "samples" / "en_demo.flac"


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs on both; module-scoped, as Hypothesis needs it."""
    return str(request.param)


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real speech recordings, where there is one."""
    if not SPEECH.is_dir():
        pytest.skip(f"no recordings at {SPEECH}")
    return SPEECH


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulse]:
    """A microphone's room and a speaker's, for all who leave them plugged in: to have them takes some seconds."""
    with pulse(tmp_path_factory.mktemp("room"), MIC, SPEAKER) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose microphone hears a recording."""
    from tests.browser import chromium, microphone_wav

    with chromium(microphone_wav(SAMPLE, tmp_path_factory.mktemp("microphone") / "talk.wav")) as browser:
        yield browser


@pytest.fixture(scope="module")
def house() -> Iterator[Rooms]:
    """Rooms that do what a test says."""
    from tests.page_server import rooms

    with rooms() as house:
        yield house


@pytest.fixture
def server(house: Rooms) -> Rooms:
    """The rooms, which nobody has entered yet."""
    house.forget()
    return house


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-messages", type=int, default=200_000, help="how many mutated messages to try, each way"
    )
