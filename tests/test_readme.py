"""What the README shows is true: its picture, its table, its graphs and its Python."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.load import load
from pipeline.testing import check_transform, noise
from stages import KINDS
from stages.translate.realtime.events import ErrorEvent
from tests.engine import needs_models
from tests.readme import README, blocks
from tests.realtime_server import Peer, Script, refuse, scripted

ROOT = Path(__file__).parents[1]


def command(*words: str) -> str:
    result = CliRunner().invoke(cli, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_of_stages_is_that_of_the_command() -> None:
    table = README.split("<!-- stages -->")[1].split("<!-- /stages -->")[0]
    assert table.strip() == command("list", "--markdown").strip()


def test_the_picture_is_that_of_the_graph(tmp_path: Path) -> None:
    picture = tmp_path / "file-to-file.svg"
    command("graph", str(ROOT / "graphs" / "file-to-file.yaml"), "--as", "svg", "-o", str(picture))
    assert picture.read_text() == (ROOT / "graphs" / "file-to-file.svg").read_text()


def test_the_graph_in_the_text_is_right() -> None:
    (graph,) = blocks("yaml")
    result = load(graph, "README.md", KINDS, params={"input": "talk.wav"}, env={})
    assert result.problems == ()


def test_the_stage_in_the_text_obeys_the_laws_of_a_transform() -> None:
    source = next(block for block in blocks("python") if "class Balance" in block)
    assert len([line for line in source.splitlines() if line.strip()]) <= 15
    names: dict[str, Any] = {"__name__": "readme"}
    exec(source, names)
    (item,) = check_transform(lambda: names["Balance"](left=0), [noise(100, channels=2)])
    assert not item.samples[:, 0].any()
    assert (item.samples[:, 1] == noise(100, channels=2).samples[:, 1]).all()


@needs_models
def test_the_embedding_in_the_text_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = next(block for block in blocks("python") if "anyio.run" in block)
    exec(source.replace("graphs/samples", str(ROOT / "graphs" / "samples")), {"anyio": anyio})
    assert "Asterisk" in (tmp_path / "translated.srt").read_text(encoding="utf-8")


async def wrong_key(peer: Peer) -> None:
    await peer.expect("session.update")
    await peer.send(ErrorEvent("no such key", "invalid_api_key"))
    await peer.close(1008)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "line"),
    [(refuse(403), r".* refused the connection: HTTP 403"), (wrong_key, r".*: no such key \(invalid_api_key\)")],
)
async def test_the_client_in_the_text_says_in_a_line_what_is_wrong(
    script: Script, line: str, tmp_path: Path, anyio_backend_name: str
) -> None:
    source = next(block for block in blocks("python") if "FileAudio" in block)
    async with scripted(script) as service:
        source = source.replace("ws://127.0.0.1:8765", service.url).replace("graphs", f"{ROOT}/graphs")
        source = source.replace("(main)", f"(main, backend={anyio_backend_name!r})")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        client = await anyio.run_process(
            [sys.executable, "-c", source], check=False, cwd=tmp_path, env=environment
        )
    assert client.returncode == 1
    assert re.fullmatch(line + "\n", client.stderr.decode())
