from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-messages", type=int, default=200_000, help="how many mutated messages to try, each way"
    )
