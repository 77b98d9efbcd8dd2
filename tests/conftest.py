from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.pulse import MIC, SPEAKER, Pulse, pulse

settings.register_profile("dragoman", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dragoman")  # a busy machine is no mistake


SPEECH = Path(__file__).parents[2] / "shared" / "speech"


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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-messages", type=int, default=200_000, help="how many mutated messages to try, each way"
    )
