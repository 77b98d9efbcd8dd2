"""The offline engine on real speech: how fast it is against real time, and how many words it gets wrong.

For every recording of a manifest (a JSON file with `speech: [{file, language, transcript}]`), or else for the
sample that ships: the words wrong of the recogniser, and the times real time of recognising alone and of the whole
way to spoken Portuguese. The models are loaded before the clock runs.

    python -m benchmarks.engine [--json] [--speech FOLDER] [--language en]
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from attrs import frozen

from benchmarks.measure import show
from pipeline.graph import Graph
from pipeline.items import Text
from pipeline.ledger import Report
from pipeline.runner import Execution, run
from pipeline.testing import Collect
from stages.asr import Asr
from stages.file import File
from stages.resample import Resample
from stages.subtitles import Subtitles
from stages.translate import Translate
from stages.vad import Vad
from stages.wav import Wav
from tests.test_graphs import EN_DEMO, said
from tests.wer import error_rate, words


@frozen
class Recording:
    """A recording with what is said in it."""

    path: Path
    language: str
    transcript: str


def recordings(folder: Path | None, language: str) -> list[Recording]:
    if folder is None:
        return [Recording(EN_DEMO, "en", said(EN_DEMO.name))]
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["speech"]
    chosen = [entry for entry in entries if entry["language"] == language]
    return [Recording(folder / entry["file"], language, entry["transcript"]) for entry in chosen]


def recognise(recording: Recording) -> tuple[Report, str]:
    texts = Collect()
    graph = Graph().add("talk", File(path=recording.path)).add("pcm", Resample(rate=16000, channels=1), "talk")
    graph.add("speech", Vad(), "pcm").add("asr", Asr(language=recording.language), "speech").add(
        "all", texts, "asr"
    )
    report = anyio.run(run, graph)
    return report, " ".join(item.text for item in texts.items if isinstance(item, Text))


def whole_way(recording: Recording, folder: Path) -> Graph:
    graph = Graph().add("talk", File(path=recording.path)).add("pcm", Resample(rate=24000, channels=1), "talk")
    interpreter = Translate(source_language=recording.language, target_language="pt-br")
    graph.add("interpreter", interpreter, "pcm")
    graph.add("speech", Wav(path=folder / "speech.wav"), "interpreter.audio")
    return graph.add("captions", Subtitles(path=folder / "captions.srt"), "interpreter.text")


def measure(recording: Recording, folder: Path) -> dict[str, Any]:
    heard, text = recognise(recording)
    spoken = anyio.run(run, whole_way(recording, folder))
    return {
        "recording": recording.path.name,
        "seconds": heard.media_s,
        "words": len(words(recording.transcript)),
        "words wrong": error_rate(recording.transcript, text),
        "recognised in s": heard.wall_s,
        "spoken in s": spoken.wall_s,
    }


def together(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All recordings as one."""
    sums = {name: sum(row[name] for row in rows) for name in rows[0] if name not in ("recording", "words wrong")}
    wrong = sum(row["words wrong"] * row["words"] for row in rows) / sums["words"]
    return {"recording": "all", **sums, "words wrong": wrong}


def with_speeds(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "recording": row["recording"],
        "seconds": round(row["seconds"], 1),
        "words wrong": row["words wrong"],
        "recognised, x": row["seconds"] / row["recognised in s"],
        "spoken, x": row["seconds"] / row["spoken in s"],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--language", default="en")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = recordings(options.speech, options.language)
    with tempfile.TemporaryDirectory() as folder:
        first = Execution(whole_way(chosen[0], Path(folder)))
        anyio.run(first.run)  # loads the models, which live as long as a stage has them
        rows = [measure(recording, Path(folder)) for recording in chosen]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    show(f"engine (peak {peak_mb} MB)", [with_speeds(row) for row in [*rows, together(rows)]])


if __name__ == "__main__":
    main()
