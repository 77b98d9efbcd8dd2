"""A graph from a few words: `talk.wav//translate:pt-br//out.wav//out.srt`.

Each word reads the nearest stage before it that gives what it takes; so a sink reads what the stage before
the last sink gives. Where only the rate, the channels or the blocks do not fit, a stage that mends it is put in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import define, evolve
from click.exceptions import Exit

from pipeline.caps import TEXT, AudioCaps, Caps, Port, mismatch
from pipeline.check import Check
from pipeline.cli.exits import refuse, say_error
from pipeline.cli.problems import in_one_line
from pipeline.cli.sketch import Sketch, SketchedParam, SketchedStage, literal
from pipeline.load import Loaded, load
from pipeline.loading.kinds import Kind, look_up
from pipeline.loading.options import Option
from pipeline.problems import did_you_mean, one_of
from pipeline.stage import Stage, nature_of
from stages import KINDS

__all__ = ["graph_from"]

_SINKS = {
    "wav": ".wav .flac .ogg .opus .mp3",
    "subtitles": ".srt .vtt",
    "jsonl": ".jsonl",
}
"""Which stage writes a file, by its suffix."""

_MAIN = {"translate": "target_language", "mt": "target_language"}
"""The option that `kind:value` sets where it is not the first that needs a value."""

_PATHS = {"file": "talk.wav", "wav": "translated.wav", "subtitles": "translated.srt", "jsonl": "items.jsonl"}
"""What a file is called that nobody has named."""

_PARAMS = {"source_language": "source", "target_language": "target"}
"""Params that have a name of their own, by the option."""


def graph_from(words: str) -> Sketch:
    """The graph that `words`, with `//` between them, describe. Exits where they make none."""
    kinds = [word.strip() for word in words.split("//")]
    if not all(kinds):
        raise refuse(f"{words!r} has an empty word: wanted stages or files with // between, as in file//wav")
    writer = _Writer(Sketch(Path(kinds[0].partition(":")[0]).stem or "graph"))
    for number, word in enumerate(kinds):
        writer.add(word, first=number == 0)
    return writer.finished()


@define
class _Writer:
    sketch: Sketch

    def add(self, word: str, *, first: bool) -> None:
        """Put the stage that `word` means into the sketch, and before it what must stand between."""
        kind, given = _read(word, first)
        wish = kind.name
        name = self.sketch.add_stage(wish, SketchedStage(kind.name, (), self._options(kind, given, wish)))
        stage = self._stage(name)
        if stage.accepts:
            drawn = self.sketch.stages.pop(name)
            reads = self._reads(name, stage)
            self.sketch.stages[name] = evolve(drawn, reads=reads)

    def finished(self) -> Sketch:
        """The sketch. Exits where the graph is not right as a whole."""
        loaded = self._load()
        if not loaded.ok:
            raise _refused(loaded)
        return self.sketch

    # --- options

    def _options(self, kind: Kind, given: Mapping[str, str], stage: str) -> dict[str, str]:
        """What the word says, and what must be said or is better said."""
        found = {}
        for option in kind.options.values():
            value = given.get(option.name)
            if option.opens and (value is not None or option.required):
                wish = "input" if option.opens == "reads" else stage
                default = value if value is not None else _PATHS.get(kind.name, option.example_text)
                found[option.name] = self.sketch.add_param(wish, SketchedParam(default, _brief(option)))
            elif value is not None:
                found[option.name] = literal(value)
            elif option.required:
                wish = _PARAMS.get(option.name, option.name)
                found[option.name] = self.sketch.add_param(
                    wish, SketchedParam(option.example_text, _brief(option))
                )
            elif option.example is not None and not given:
                found[option.name] = option.example_text
        return found

    # --- what it reads

    def _reads(self, name: str, stage: Stage) -> list[str]:
        port = next(iter(stage.accepts.values()))
        outputs = list(self._outputs())
        if nature_of(stage) == "join":
            fitting = [
                (read, caps) for read, caps in outputs if self._unread(read) and _mends(port, caps) is not None
            ]
            if fitting:
                return [self._mended(read, port, caps) for read, caps in fitting]
        for read, caps in reversed(outputs):
            if _mends(port, caps) is not None:
                return [self._mended(read, port, caps)]
        remedy = "a translate or an asr" if port.caps == TEXT else "a file, or another stage that gives sound,"
        raise refuse(f"{name} cannot stand there: nothing before it gives {port.caps}; put {remedy} before it")

    def _outputs(self) -> Iterator[tuple[str, Caps]]:
        """What the stages so far give, as `from:` names it; of one stage the main port last: it is the nearest."""
        if not self.sketch.stages:
            return
        check = Check(self._load().graph.nodes)
        check.problems()
        for name in self.sketch.stages:
            for number, (port, caps) in reversed(list(enumerate(check.outputs.get(name, {}).items()))):
                yield (f"{name}.{port}" if number or len(check.outputs[name]) > 1 else name), caps

    def _unread(self, read: str) -> bool:
        return all(read not in stage.reads for stage in self.sketch.stages.values())

    def _mended(self, read: str, port: Port, caps: Caps) -> str:
        """What to read so that `caps` fit into `port`: `read` itself, or what is put between."""
        for kind, options in _mends(port, caps) or ():
            read = self.sketch.add_stage(kind, SketchedStage(kind, (read,), options))
        return read

    # --- trying it

    def _load(self) -> Loaded:
        return load(self.sketch.as_yaml(), "new", KINDS)

    def _stage(self, name: str) -> Stage:
        """The stage, built. Exits where its options are wrong."""
        loaded = self._load()
        stage = loaded.graph.nodes[name].stage
        if stage is None:
            raise _refused(loaded)
        return stage


def _refused(loaded: Loaded) -> Exit:
    for problem in loaded.errors[:-1]:
        say_error(in_one_line(problem))
    return refuse(in_one_line(loaded.errors[-1]))


def _brief(option: Option) -> str:
    return option.help.partition(";")[0].partition(",")[0]


# --- words


def _read(word: str, first: bool) -> tuple[Kind, dict[str, str]]:
    """The kind of stage that a word means, and the options that it sets."""
    head, colon, rest = word.partition(":")
    if head in KINDS:
        kind = _kind(head)
        return kind, _arguments(kind, rest) if colon else {}
    suffix = Path(word).suffix.lower()
    if first and suffix:
        return _kind("file"), {"path": word}
    for name, suffixes in _SINKS.items():
        if suffix in suffixes.split():
            return _kind(name), {"path": word}
    known = ", ".join(_SINKS.values()).replace(" ", ", ").replace(",,", ",")
    hint = (
        did_you_mean(head, KINDS)
        or f"kinds are {one_of(KINDS, most=40).removeprefix('one of: ')}; files end in {known}"
    )
    raise refuse(f"{word!r} is no kind of stage and no file to write: {hint}")


def _kind(name: str) -> Kind:
    found = look_up(name, KINDS)
    if isinstance(found, Kind):
        return found
    raise refuse(found.what)


def _arguments(kind: Kind, text: str) -> dict[str, str]:
    """Options from `-6`, `ms=100` or `en-us,rate=16000`: a bare value is for the kind's main option."""
    found: dict[str, str] = {}
    for piece in text.split(","):
        name, equals, value = piece.partition("=")
        if not equals:
            name, value = _main_option(kind), piece
        if name not in kind.options:
            hint = did_you_mean(name, kind.options) or one_of(kind.options, most=30)
            raise refuse(f"{kind.name} has no option {name!r}: {hint}")
        if name in found:
            raise refuse(f"{kind.name}:{text} sets {name} twice")
        found[name] = value
    return found


def _main_option(kind: Kind) -> str:
    """What a bare value sets: the first option that needs one, or has an example, or simply the first."""
    ranked = sorted(kind.options.values(), key=lambda option: (not option.required, option.example is None))
    if not ranked:
        raise refuse(f"{kind.name} has no options")
    return _MAIN.get(kind.name, ranked[0].name)


def _mends(port: Port, caps: Caps) -> Sequence[tuple[str, dict[str, str]]] | None:
    """The stages that make `caps` fit into `port`, in order; None where nothing does."""
    wanted = port.caps
    if mismatch(wanted, caps) is None:
        return ()
    if not isinstance(wanted, AudioCaps) or not isinstance(caps, AudioCaps):
        return None
    resample = {}
    if wanted.rate_hz is not None and wanted.rate_hz != caps.rate_hz:
        resample["rate"] = str(wanted.rate_hz)
    if wanted.channels is not None and wanted.channels != caps.channels:
        resample["channels"] = str(wanted.channels)
    mends = [("resample", resample)] if resample else []
    if wanted.block_frames is not None:
        mends.append(("chunk", {"frames": str(wanted.block_frames)}))
    return mends
