"""`dragoman translate`: the graph behind the shortcut."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from pipeline.cli.exits import refuse, say_error
from pipeline.cli.preflight import preflight
from pipeline.cli.problems import in_one_line
from pipeline.cli.sketch import Sketch, SketchedStage, literal
from pipeline.graph import Graph
from pipeline.load import load
from stages import KINDS

__all__ = ["Shortcut", "ready_to_run"]


def ready_to_run(sketch: Sketch, command: str) -> Graph:
    """The graph that `command` has sketched. Tells what is wrong with what was asked for, and exits with 2."""
    loaded = load(sketch.as_yaml(), command, KINDS)
    problems = loaded.errors or preflight(loaded.graph)
    for problem in problems[:-1]:
        say_error(in_one_line(problem))
    if problems:
        raise refuse(in_one_line(problems[-1]))
    # Places in a text that nobody has written would only puzzle.
    nodes = {name: evolve(node, where=None) for name, node in loaded.graph.nodes.items()}
    return Graph(loaded.graph.name, nodes)


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
        sketch.add_stage("talk", SketchedStage("file", (), {"path": literal(wanted.recording)}))
        sketch.add_stage("pcm", SketchedStage("resample", ("talk",), {"rate": "24000", "channels": "1"}))
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
        return ready_to_run(self.sketch(), "translate")

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
