"""The commands and their options. Each imports what it needs when it is called, so that `--help` comes at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem, get_completion_class

from pipeline.cli.exits import EXIT_CODES, Exit, refuse
from pipeline.cli.serve import control_option, serve

__all__ = ["cli", "main"]

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)


def main() -> None:
    """Run the command line, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 shows `?` instead of failing
    cli(prog_name="dragoman")


class WithExitCodes(click.Command):
    """A command whose help ends with the exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in EXIT_CODES.items()])


class Commands(WithExitCodes, click.Group):
    """The commands in the order in which they are defined, under the headings of `HEADINGS`."""

    HEADINGS: Mapping[str, Sequence[str]] = {
        "Run": ("translate", "listen", "run", "serve", "pause"),
        "Look": ("validate", "graph", "params", "list", "languages", "devices", "doctor", "top", "tap"),
        "Make": ("new", "schema", "completion"),
    }

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, names in self.HEADINGS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(f"{name:<10}", self.commands[name].get_short_help_str(100)) for name in names]
                )


# --- what several commands have


def _complete_graph(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from pipeline.cli.graphs import shipped

    names = [CompletionItem(name) for name in shipped() if name.startswith(incomplete)]
    return [*names, CompletionItem(incomplete, type="file")]


def _complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from stages import KINDS

    return [CompletionItem(name) for name in KINDS if name.startswith(incomplete)]


graph_argument = click.argument("graph", metavar="GRAPH", shell_complete=_complete_graph)
deny_option = click.option("--deny-warnings", is_flag=True, help="Take warnings for errors.")
output_option = click.option("-o", "--output", metavar="FILE", type=FILE, help="Write to FILE, not to the screen.")
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")
format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: JSON Lines on standard output, and nothing else there.",
)


def setting_options(command: Command) -> Command:
    """`-p` and `-s`."""
    param = click.option(
        "-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a param of the graph."
    )
    option = click.option(
        "-s", "--set", "options", multiple=True, metavar="STAGE.OPTION=VALUE", help="Set any option of any stage."
    )
    return param(option(command))


def running_options(command: Command) -> Command:
    """How to run, for `run`, `translate` and `listen`; they come as keywords of `Wishes`."""
    for option in (
        click.option("--traceback", is_flag=True, help="Show where in the code a stage failed."),
        click.option("-q", "--quiet", is_flag=True, help="No progress and no summary."),
        control_option,
        click.option(
            "--drain",
            "drain_s",
            metavar="SECONDS",
            type=click.FloatRange(min=0),
            default=30.0,
            help="How long a stopped run may take to finish what is under way; 30 if not given.",
        ),
        click.option(
            "--report", metavar="FILE", type=FILE, help="Write what became of every sample to FILE, as JSON."
        ),
        format_option,
        click.option(
            "--backend",
            type=click.Choice(["asyncio", "trio"]),
            default="asyncio",
            help="The event loop to run on.",
        ),
    ):
        command = option(command)
    return command


def _settings(params: Sequence[str], options: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    return _pairs(params, "-p", "NAME=VALUE"), _pairs(options, "-s", "STAGE.OPTION=VALUE")


def _pairs(texts: Sequence[str], flag: str, shape: str) -> dict[str, str]:
    """The texts of an option, each `name=value`, as a mapping. Exits where one is none, or comes twice."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise refuse(f"{flag} {text!r} is no {shape}")
        if name in found:
            raise refuse(f"{flag} {name} is given twice")
        found[name] = value
    return found


# --- commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="dragoman", prog_name="dragoman", message="%(prog)s %(version)s")
def cli() -> None:
    """Live speech translation, as a graph of small stages that a person can read aloud.

    Begin with: dragoman translate talk.flac --from en-us --to pt-br
    """


@cli.command(cls=WithExitCodes)
@click.argument("recording", metavar="IN", type=FILE)
@click.option("-o", "--output", "speech", metavar="FILE", type=FILE, help="The speech: .wav, .flac, .ogg or .mp3.")
@click.option("--subtitles", metavar="FILE", type=FILE, help="Its subtitles: .srt or .vtt.")
@click.option("--transcript", metavar="FILE", type=FILE, help="Subtitles of what was said: .srt or .vtt.")
@click.option("--from", "source", metavar="LANGUAGE", default="en-us", show_default=True, help="Spoken in IN.")
@click.option("--to", "target", metavar="LANGUAGE", default="pt-br", show_default=True, help="To translate into.")
@click.option(
    "--layout",
    type=click.Choice(["append", "timeline"]),
    help="append: the speech in a row; timeline: each sentence at its own time, as for a film.",
)
@click.option(
    "--under", is_flag=True, help="Keep the original under the speech, turned down (and --layout timeline)."
)
@click.option("--engine", default="local", show_default=True, help="What translates; echo needs no models.")
@click.option("--voice", metavar="VOICE", help="A voice by name, or the path of a Piper voice.")
@click.option("--show-graph", is_flag=True, help="Only print the graph that would run.")
@running_options
def translate(
    recording: Path,
    speech: Path | None,
    subtitles: Path | None,
    transcript: Path | None,
    source: str,
    target: str,
    layout: str | None,
    under: bool,
    engine: str,
    voice: str | None,
    show_graph: bool,
    **wishes: Any,
) -> None:
    """Translate the recording IN, on this machine.

    Without -o, --subtitles and --transcript, speech and subtitles go into this folder: talk.flac becomes
    talk.pt-br.wav and talk.pt-br.srt.
    """
    from pipeline.cli.running import run_graph, wishes_of
    from pipeline.cli.shortcut import Shortcut

    if under and layout == "append":
        raise refuse("--under lies under speech at its own time: it cannot go with --layout append")
    shortcut = Shortcut(
        recording=recording,
        speech=speech,
        subtitles=subtitles,
        transcript=transcript,
        source=source,
        target=target,
        layout="timeline" if under else layout or "append",
        under=under,
        engine=engine,
        voice=voice,
    )
    if show_graph:
        click.echo(shortcut.sketch().as_yaml(), nl=False)
    else:
        sys.exit(run_graph(shortcut.graph(), wishes_of(**wishes)))


@cli.command(cls=WithExitCodes)
@click.option("--from", "source", metavar="LANGUAGE", default="en-us", show_default=True, help="Spoken.")
@click.option("--to", "target", metavar="LANGUAGE", default="pt-br", show_default=True, help="To translate into.")
@click.option("--microphone", metavar="NAME", help="Its number or a part of its name; else the default one.")
@click.option("--speaker", metavar="NAME", help="Its number or a part of its name; else the default one.")
@click.option("--no-speech", is_flag=True, help="Captions only.")
@click.option("--save", metavar="FILE", type=FILE, help="Keep the speech: .wav, .flac, .ogg or .mp3.")
@click.option("--subtitles", metavar="FILE", type=FILE, help="Keep its subtitles: .srt or .vtt.")
@click.option(
    "--max-lag",
    metavar="TIME",
    default="8s",
    show_default=True,
    help="How late speech may come: then it is hurried, and at last skipped.",
)
@click.option(
    "--partials",
    "partials_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Guess after every so much speech: captions grow, and sentences are settled before you pause; 0: no.",
)
@click.option("--half-duplex", is_flag=True, help="Hear nothing while speech is played.")
@click.option("--engine", default="local", show_default=True, help="What translates: local, realtime, echo.")
@click.option("--base-url", metavar="URL", help="--engine realtime: its address; else the hosted one.")
@click.option("--voice", metavar="VOICE", help="A voice by name, or the path of a Piper voice.")
@click.option("--show-graph", is_flag=True, help="Only print the graph that would run.")
@running_options
def listen(
    source: str,
    target: str,
    microphone: str | None,
    speaker: str | None,
    no_speech: bool,
    save: Path | None,
    subtitles: Path | None,
    max_lag: str,
    partials_s: float,
    half_duplex: bool,
    engine: str,
    base_url: str | None,
    voice: str | None,
    show_graph: bool,
    **wishes: Any,
) -> None:
    """Speak, and be heard in another language.

    On a terminal (but not in Windows' consoles) space pauses the microphone and lets it go on; q and Ctrl-C end,
    when what was said is played. What the microphone hears of the speech that is played is not translated again.
    """
    from pipeline.cli.listen import Listen
    from pipeline.cli.running import run_graph, wishes_of

    listening = Listen(
        source=source,
        target=target,
        microphone=microphone,
        speaker=speaker,
        engine=engine,
        base_url=base_url,
        voice=voice,
        max_lag=max_lag,
        partials_s=partials_s,
        half_duplex=half_duplex,
        speech=not no_speech,
        save=save,
        subtitles=subtitles,
    )
    if show_graph:
        click.echo(listening.sketch().as_yaml(), nl=False)
    else:
        sys.exit(run_graph(listening.graph(), wishes_of(**wishes)))


@cli.command(cls=WithExitCodes)
@graph_argument
@setting_options
@deny_option
@running_options
def run(graph: str, params: Sequence[str], options: Sequence[str], deny_warnings: bool, **wishes: Any) -> None:
    """Run GRAPH until its sources end.

    GRAPH is a file, - for standard input, or the name of a graph that ships with dragoman.
    The first Ctrl-C ends the sources and lets everything that is under way arrive; the second ends at once.
    """
    from pipeline.cli.graphs import graph_to_run, loaded
    from pipeline.cli.running import run_graph, wishes_of

    result = loaded(graph, *_settings(params, options))
    sys.exit(run_graph(graph_to_run(result, deny_warnings=deny_warnings), wishes_of(**wishes)))


@cli.command(cls=WithExitCodes, short_help="Check graphs, and tell every mistake at once.")
@click.argument("graphs", metavar="GRAPH...", nargs=-1, required=True, shell_complete=_complete_graph)
@setting_options
@deny_option
@format_option
def validate(
    graphs: Sequence[str], params: Sequence[str], options: Sequence[str], deny_warnings: bool, output_format: str
) -> None:
    """Check graphs without running them, and tell every mistake at once.

    A param that has no value yet is no mistake.
    """
    from pipeline.cli.validating import validate_all

    good = validate_all(graphs, *_settings(params, options), deny_warnings, output_format == "json")
    sys.exit(Exit.OK if good else Exit.BAD_GRAPH)


@cli.command("graph", short_help="Draw GRAPH as Mermaid, DOT or SVG; or tell how it runs.")
@graph_argument
@click.option(
    "--as",
    "way",
    type=click.Choice(["mermaid", "dot", "svg"]),
    help="The kind of drawing; if not given, by the suffix of -o, else mermaid.",
)
@click.option("--plan", is_flag=True, help="How it runs: which stages share a task. In words, if not drawn.")
@output_option
@setting_options
def draw(
    graph: str, way: str | None, plan: bool, output: Path | None, params: Sequence[str], options: Sequence[str]
) -> None:
    """Draw GRAPH: Mermaid, Graphviz' DOT, or an SVG that is complete in itself."""
    from pipeline.cli.graphs import checked, graph_to_run
    from pipeline.cli.output import write
    from pipeline.cli.pictures import picture_of

    result = checked(graph, *_settings(params, options))
    write(picture_of(graph_to_run(result, tell_warnings=False), way, plan, output), output)


@cli.command()
@graph_argument
def params(graph: str) -> None:
    """What can be set on GRAPH with -p."""
    from pipeline.cli.graphs import checked, show_params

    show_params(checked(graph, {}, {}))


@cli.command("list")
@click.argument("kinds", metavar="[KIND]...", nargs=-1, shell_complete=_complete_kind)
@click.option("--short", is_flag=True, help="One line each.")
@click.option("--markdown", is_flag=True, help="As a Markdown table.")
@json_option
def list_kinds(kinds: Sequence[str], short: bool, markdown: bool, as_json: bool) -> None:
    """The stages there are: ports, options, and an example of each."""
    from pipeline.cli.catalogue import catalogue, show_json, show_long, show_markdown, show_short

    entries = catalogue(kinds)
    (show_json if as_json else show_markdown if markdown else show_short if short else show_long)(entries)


@cli.command(short_help="Which languages the offline engine translates, and how well.")
@json_option
def languages(as_json: bool) -> None:
    """Which languages the offline engine translates, how well, and what to install."""
    from pipeline.cli.languages import show

    show(as_json)


@cli.command(cls=WithExitCodes, short_help="Which microphones and speakers there are; how loud it is at one.")
@click.option("--meter", is_flag=True, help="Show the level at a microphone, until Ctrl-C.")
@click.option("--device", metavar="NAME", help="--meter: its number or a part of its name; else the default.")
@click.option("--seconds", metavar="N", type=click.FloatRange(min=0.1), help="--meter: for so long.")
@json_option
def devices(meter: bool, device: str | None, seconds: float | None, as_json: bool) -> None:
    """Which microphones and speakers there are, the default marked, with the sample rates that each takes.

    With --meter, how loud it is at one of the microphones.
    """
    from pipeline.cli.devices import show, show_meter

    if not meter and (device is not None or seconds is not None):
        raise refuse("--device and --seconds are for --meter")
    if meter:
        show_meter(device, seconds, as_json)
    else:
        show(as_json)


@cli.command(cls=WithExitCodes, short_help="What works on this machine, and how to install the rest.")
@json_option
def doctor(as_json: bool) -> None:
    """What works on this machine, and the commands that install the rest."""
    from pipeline.cli.doctor import examine, show

    findings = examine()
    show(findings, as_json)
    sys.exit(Exit.OK if all(finding.good or not finding.core for finding in findings) else Exit.FAILED)


def _complete_running(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from pipeline.cli.looking import running_names

    return [CompletionItem(name) for name in running_names() if name.startswith(incomplete)]


@cli.command(cls=WithExitCodes, short_help="Pause the microphones of a graph that runs.")
@click.argument("which", metavar="[NAME|PID]", required=False, shell_complete=_complete_running)
@click.option("--off", is_flag=True, help="Listen again.")
def pause(which: str | None, off: bool) -> None:
    """Pause the microphones of a graph that runs in another process, or with --off listen again.

    For a key of the desktop, or a pedal: what is said meanwhile is not heard.

    Example: dragoman pause listen
    """
    from pipeline.cli.pausing import pause as set_paused

    sys.exit(set_paused(which, not off))


@cli.command(cls=WithExitCodes, short_help="Watch graphs that run: queues, drops, the newest captions.")
@click.argument("which", metavar="[NAME|PID]", required=False, shell_complete=_complete_running)
@click.option("--once", is_flag=True, help="One look, as plain lines; so it is anyway where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: a snapshot each half second, then the ledger.")
def top(which: str | None, once: bool, as_json: bool) -> None:
    """Watch the graphs that run: what each stage does, what waits on each edge, the newest captions.

    Another process runs them: `dragoman run`, `translate`, `listen` or `serve`, of the same user. NAME is the
    name of a graph, a part of it, or `serve`. When the graph ends, its ledger says what became of everything.
    Ctrl-C ends the watching, and not the graph.

    Example: dragoman run realtime & dragoman top realtime
    """
    from pipeline.cli.top import top as watch

    sys.exit(watch(which, once, as_json))


@cli.command(cls=WithExitCodes, short_help="Print what passes along an edge of a graph that runs.")
@click.argument("edge", metavar="[EDGE]", required=False)
@click.option("--of", metavar="NAME|PID", help="Of which graph or process.", shell_complete=_complete_running)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, as the stage jsonl writes them.")
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="Only the next N items.")
def tap(edge: str | None, of: str | None, as_json: bool, count: int | None) -> None:
    """Print the items that pass along EDGE, from now on, without slowing the graph that runs.

    An edge goes by the name that reports have for it, `interpreter.text -> captions`, by its ends
    (`talk>pcm`), by its output (`interpreter.text`), or by the name of a stage. Without EDGE: the edges there
    are. Texts and marks are printed as they come, of audio the level in each second. What this end is too slow
    for is left out, and counted.

    Example: dragoman tap interpreter.text --of call
    """
    from pipeline.cli.tap import tap as print_items

    sys.exit(print_items(edge, of, as_json, count))


@cli.command(short_help="Write a graph from a few words: file//translate//wav.")
@click.argument("words", metavar="WORDS")
@output_option
def new(words: str, output: Path | None) -> None:
    """Write a graph from a few words, such as talk.wav//translate:pt-br//out.wav//out.srt.

    A word is a kind of stage (see `dragoman list`), a kind with options (gain:-6, chunk:ms=100), or the name
    of a file. What must stand between two of them, such as a resample, is put in.
    """
    from pipeline.cli.new import graph_from
    from pipeline.cli.output import write

    write(graph_from(words).as_yaml(), output)


@cli.command(short_help="The JSON Schema of graph files, for editors.")
@output_option
def schema(output: Path | None) -> None:
    """The JSON Schema of graph files, for editors to complete and check by."""
    import json

    from pipeline.cli.output import write
    from pipeline.schema import schema as schema_of
    from stages import KINDS

    write(json.dumps(schema_of(KINDS), indent=2) + "\n", output)


@cli.command(short_help="The script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """The script that completes commands in SHELL: eval "$(dragoman completion bash)"."""
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(cli, {}, "dragoman", "_DRAGOMAN_COMPLETE").source())


cli.add_command(serve)
