"""Commands that run graphs: `translate`, `listen`, `run`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.cli.command import Command, option, time_option
from pipeline.cli.exits import Exit, refuse
from pipeline.cli.options import (
    FILE,
    deny_option,
    engine_option,
    graph_argument,
    language_option,
    partials_option,
    running_options,
    setting_options,
    settings,
    show_graph_option,
    voice_option,
)

__all__ = ["listen", "run", "translate"]

EXITS = tuple(Exit)
"""A run may end in any way."""


@click.command(cls=Command, exits=EXITS)
@click.argument("recording", metavar="IN", type=FILE)
@option("-o", "--output", "speech", metavar="FILE", type=FILE, help="The speech: .wav, .flac, .ogg or .mp3.")
@option("--subtitles", metavar="FILE", type=FILE, help="Its subtitles: .srt or .vtt.")
@option("--transcript", metavar="FILE", type=FILE, help="Subtitles of what was said: .srt or .vtt.")
@language_option("--from", "source", "en-us", "Spoken in IN; `dragoman languages` has them all.")
@language_option("--to", "target", "pt-br", "To translate into.")
@option(
    "--layout",
    type=click.Choice(["append", "timeline"]),
    help="append: the speech in a row; timeline: each sentence at its own time, as for a film.",
)
@option("--under", is_flag=True, help="Keep the original under the speech, turned down (and --layout timeline).")
@engine_option
@voice_option
@show_graph_option
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

    Example: dragoman translate talk.flac --from en --to pt -o talk.wav
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


@click.command(cls=Command, exits=EXITS)
@language_option("--from", "source", "en-us", "Spoken; `dragoman languages` has them all.")
@language_option("--to", "target", "pt-br", "To translate into.")
@option("--microphone", metavar="NAME", help="Its number or a part of its name; else the default one.")
@option("--speaker", metavar="NAME", help="Its number or a part of its name; else the default one.")
@option("--no-speech", is_flag=True, help="Captions only.")
@option("--save", metavar="FILE", type=FILE, help="Keep the speech: .wav, .flac, .ogg or .mp3.")
@option("--subtitles", metavar="FILE", type=FILE, help="Keep its subtitles: .srt or .vtt.")
@time_option(
    "--max-lag",
    "max_lag_s",
    default="8s",
    help="How late speech may come: then it is hurried, and at last skipped.",
)
@partials_option
@option("--half-duplex", is_flag=True, help="Hear nothing while speech is played.")
@engine_option
@option("--base-url", metavar="URL", help="--engine realtime: its address; else the hosted one.")
@voice_option
@show_graph_option
@running_options
def listen(
    source: str,
    target: str,
    microphone: str | None,
    speaker: str | None,
    no_speech: bool,
    save: Path | None,
    subtitles: Path | None,
    max_lag_s: float,
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

    Example: dragoman listen --from en --to pt --no-speech
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
        max_lag_s=max_lag_s,
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


@click.command(cls=Command, exits=EXITS)
@graph_argument
@setting_options
@deny_option
@running_options
def run(graph: str, params: Sequence[str], options: Sequence[str], deny_warnings: bool, **wishes: Any) -> None:
    """Run GRAPH until its sources end.

    GRAPH is a file, - for standard input, or the name of a graph that ships with dragoman.
    The first Ctrl-C ends the sources and lets everything that is under way arrive; the second ends at once.
    A run that fails, or is stopped, before it had anything for a file leaves that file as it was.

    Example: dragoman run dub -p input=talk.m4a -s dubbed.duck_db=-20
    """
    from pipeline.cli.graphs import graph_to_run, loaded
    from pipeline.cli.problems import wrong
    from pipeline.cli.running import run_graph, wishes_of
    from pipeline.cli.validating import tell_program

    result = loaded(graph, *settings(params, options))
    if wishes["output_format"] == "json" and wrong(result.problems, deny_warnings):
        tell_program(graph, result.problems, fine=False)
    sys.exit(run_graph(graph_to_run(result, deny_warnings=deny_warnings), wishes_of(**wishes)))
