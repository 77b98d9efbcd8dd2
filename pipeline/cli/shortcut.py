"""`dragoman translate`: the graph behind the shortcut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, frozen

from pipeline.cli.exits import refuse, say_error
from pipeline.cli.preflight import preflight
from pipeline.cli.problems import in_one_line
from pipeline.cli.sketch import Sketch, SketchedStage, literal
from pipeline.graph import Graph
from pipeline.load import load
from pipeline.problems import Problem
from stages import KINDS

__all__ = ["TRANSLATION_FLAGS", "Shortcut", "ready_to_run"]

TRANSLATION_FLAGS = {
    "interpreter.source_language": "--from",
    "interpreter.target_language": "--to",
    "interpreter.voice": "--voice",
    "interpreter.base_url": "--base-url",
}
"""What the command line calls an option of a stage."""

_FLAGS = {
    **TRANSLATION_FLAGS,
    "recording.path": "IN",
    "speech.path": "--output",
    "subtitles.path": "--subtitles",
    "transcript.path": "--transcript",
}


def ready_to_run(sketch: Sketch, command: str, flags: Mapping[str, str]) -> Graph:
    """The graph that `command` has sketched. Tells what is wrong with what was asked for, and exits with 2.

    `flags`: what `command` calls an option, `stage.option`, that is wrong.
    """
    loaded = load(sketch.as_yaml(), command, KINDS)
    told = [_told(problem, flags) for problem in loaded.errors or preflight(loaded.graph)]
    for line in told[:-1]:
        say_error(line)
    if told:
        raise refuse(told[-1])
    # Places in a text that nobody has written would only puzzle.
    nodes = {name: evolve(node, where=None) for name, node in loaded.graph.nodes.items()}
    return Graph(loaded.graph.name, nodes)


def _told(problem: Problem, flags: Mapping[str, str]) -> str:
    """In the words of the command line: who has given `--from` knows of no stage."""
    line = in_one_line(problem).removeprefix("'interpreter': ")
    for option, flag in flags.items():
        line = line.replace(f"'{option}'", flag)
    return line


@frozen(kw_only=True)
class Shortcut:
    """What the command line asks for. Where it names no output, there are two beside where you are."""

    recording: Path
    speech: Path | None = None
    subtitles: Path | None = None
    transcript: Path | None = None
    source: str = "en-us"
    target: str = "pt-br"
    layout: str = "append"
    under: bool = False
    engine: str = "local"
    voice: str | None = None

    def sketch(self) -> Sketch:
        """The graph as text."""
        wanted = self._with_outputs()
        sketch = Sketch(f"translate {wanted.recording.name}")
        sketch.add_stage("recording", SketchedStage("file", (), {"path": literal(wanted.recording)}))
        sketch.add_stage("pcm", SketchedStage("resample", ("recording",), {"rate": "24000", "channels": "1"}))
        sketch.add_stage("interpreter", SketchedStage("translate", ("pcm",), wanted._translation()))
        if wanted.speech is not None:
            sketch.add_stage("speech", wanted._speech(wanted.speech))
        for name, port, path in (
            ("subtitles", "text", wanted.subtitles),
            ("transcript", "transcript", wanted.transcript),
        ):
            if path is not None:
                stage = SketchedStage("subtitles", (f"interpreter.{port}",), {"path": literal(path)})
                sketch.add_stage(name, stage)
        return sketch

    def graph(self) -> Graph:
        """The graph, ready to run. Tells what is wrong with what was asked for, and exits with 2."""
        return ready_to_run(self.sketch(), "translate", _FLAGS)

    def _with_outputs(self) -> Shortcut:
        if self.speech or self.subtitles or self.transcript:
            return self
        stem = f"{self.recording.stem}.{self.target}"
        return evolve(self, speech=Path(f"{stem}.wav"), subtitles=Path(f"{stem}.srt"))

    def _translation(self) -> dict[str, str]:
        options = {
            "engine": literal(self.engine),
            "source_language": literal(self.source),
            "target_language": literal(self.target),
        }
        return options if self.voice is None else {**options, "voice": literal(self.voice)}

    def _speech(self, path: Path) -> SketchedStage:
        options = {"path": literal(path)}
        if self.layout != "append":
            options["layout"] = self.layout
        reads = ["interpreter.audio"]
        if self.under:
            reads.append("{stage: pcm, into: under}")
            options["duck_db"] = "-15"
        return SketchedStage("wav", reads, options)
