"""`dragoman listen`: the graph behind it."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from pipeline.cli.exits import refuse
from pipeline.cli.shortcut import TRANSLATION_FLAGS, ready_to_run
from pipeline.cli.sketch import Sketch, SketchedStage, literal
from pipeline.graph import Graph

__all__ = ["Listen"]

_HELD = "30s"
"""Of what was heard, so much may wait for the translation; after that the oldest is lost, and counted."""


_FLAGS = {
    **TRANSLATION_FLAGS,
    "interpreter.partials_s": "--partials",
    "mic.device": "--microphone",
    "speaker.device": "--speaker",
    "speaker.max_lag": "--max-lag",
    "saved.path": "--save",
    "subtitles.path": "--subtitles",
}


@frozen(kw_only=True)
class Listen:
    """What the command line asks for: a microphone, a translation, captions, and a speaker, if `speech` is on."""

    source: str = "en-us"
    target: str = "pt-br"
    microphone: str | None = None
    speaker: str | None = None
    engine: str = "local"
    base_url: str | None = None
    voice: str | None = None
    max_lag_s: float = 8.0
    partials_s: float = 1.0
    """After so much more of speech captions grow, and sentences are settled; 0: only in pauses."""
    half_duplex: bool = False
    speech: bool = True
    save: Path | None = None
    subtitles: Path | None = None

    def sketch(self) -> Sketch:
        """The graph as text."""
        sketch = Sketch(f"listen {self.source} to {self.target}")
        sketch.add_stage("mic", SketchedStage("microphone", (), _device(self.microphone)))
        heard = f"{{stage: mic, buffer: {_HELD}, when_full: drop_oldest}}"
        sketch.add_stage("pcm", SketchedStage("resample", (heard,), {"rate": "24000", "channels": "1"}))
        sketch.add_stage("interpreter", SketchedStage("translate", ("pcm",), self._translation()))
        if self.speech:
            options = {**_device(self.speaker), "max_lag": f"{self.max_lag_s:g}s"}
            sketch.add_stage("speaker", SketchedStage("speaker", ("interpreter.audio",), options))
        sketch.add_stage("captions", SketchedStage("console", ("interpreter.transcript", "interpreter.text")))
        if self.save is not None:
            options = {"path": literal(self.save), "layout": "timeline"}
            sketch.add_stage("saved", SketchedStage("wav", ("interpreter.audio",), options))
        if self.subtitles is not None:
            options = {"path": literal(self.subtitles)}
            sketch.add_stage("subtitles", SketchedStage("subtitles", ("interpreter.text",), options))
        return sketch

    def graph(self) -> Graph:
        """The graph, ready to run. Tells what is wrong with what was asked for, and exits with 2."""
        return ready_to_run(self.sketch(), "listen", _FLAGS)

    def _translation(self) -> dict[str, str]:
        options = {
            "engine": literal(self.engine),
            "source_language": literal(self.source),
            "target_language": literal(self.target),
        }
        for name, value in (("voice", self.voice), ("base_url", self.base_url)):
            if value is not None:
                options[name] = literal(value)
        if self.engine == "local" and self.partials_s:
            options["partials_s"] = f"{self.partials_s:g}"
        if self.speech:
            options["echo_guard"] = "speaker"
        if self.half_duplex:
            options["half_duplex"] = "true"
        return options

    def __attrs_post_init__(self) -> None:
        if self.half_duplex and not self.speech:
            raise refuse("--half-duplex is for when speech is played: it cannot go with --no-speech")
        if self.base_url is not None and self.engine != "realtime":
            raise refuse("--base-url is the address of a service: it needs --engine realtime")


def _device(name: str | None) -> dict[str, str]:
    """The options of a device: where it is unplugged, a talk goes on once it is back."""
    options = {} if name is None else {"device": literal(name)}
    return {**options, "when_lost": "reopen"}
