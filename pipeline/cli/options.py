"""Arguments and options that several commands have, and how a shell completes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from pipeline.cli.command import option, time_option, titled
from pipeline.cli.exits import refuse

__all__ = [
    "ENGINES",
    "FILE",
    "backend_option",
    "beginning",
    "complete_edge",
    "complete_kind",
    "complete_language",
    "complete_running",
    "control_option",
    "deny_option",
    "engine_option",
    "format_option",
    "graph_argument",
    "graph_arguments",
    "json_option",
    "language_option",
    "output_option",
    "partials_option",
    "running_options",
    "setting_options",
    "settings",
    "show_graph_option",
    "voice_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)


# --- completion


def _complete_graph(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from pipeline.cli.graphs import shipped

    return [*beginning(incomplete, shipped()), CompletionItem(incomplete, type="file")]


def complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The stages there are."""
    from stages import KINDS

    return beginning(incomplete, KINDS)


def complete_running(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The graphs that run."""
    from pipeline.cli.looking import running_names

    return beginning(incomplete, running_names())


def complete_edge(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The outputs that are read in the graphs that run."""
    from pipeline.cli.looking import running_outputs

    return beginning(incomplete, running_outputs())


def complete_language(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The languages that have a tag."""
    from stages.languages import LANGUAGES

    return beginning(incomplete.lower(), LANGUAGES)


def beginning(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    """Those of `words` that begin so."""
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


# --- what is given

ENGINES = ("local", "realtime", "echo")

_running = titled("Running")

graph_argument = click.argument("graph", metavar="GRAPH", shell_complete=_complete_graph)
graph_arguments = click.argument(
    "graphs", metavar="GRAPH...", nargs=-1, required=True, shell_complete=_complete_graph
)
deny_option = option("--deny-warnings", is_flag=True, help="Take warnings for errors.")
output_option = option("-o", "--output", metavar="FILE", type=FILE, help="Write to FILE, not to the screen.")
json_option = option("--json", "as_json", is_flag=True, help="As JSON.")
backend_option = _running(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    default="asyncio",
    show_default=True,
    help="The event loop to run on.",
)
control_option = _running(
    "--no-control",
    "control",
    flag_value=False,
    default=True,
    help="No socket by which `dragoman top`, `tap` and `pause` reach it.",
)
engine_option = option(
    "--engine",
    type=click.Choice(ENGINES),
    default="local",
    show_default=True,
    help="What translates: this machine's models; a service; what gives back what it hears.",
)
voice_option = option("--voice", metavar="VOICE", help="A voice by name, or the path of a Piper voice.")
show_graph_option = option("--show-graph", is_flag=True, help="Only print the graph that would run.")
partials_option = time_option(
    "--partials",
    "partials_s",
    default="1s",
    help="Guess after so much more speech: captions grow, sentences are settled before a pause; 0: no.",
)


def format_option(heading: str = "Options") -> Callable[[Command], Command]:
    """Whether a person or a program reads."""
    return option(
        "--format",
        "output_format",
        heading=heading,
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json: JSON Lines on standard output, and nothing else there.",
    )


def language_option(flag: str, name: str, default: str, about: str) -> Callable[[Command], Command]:
    """A language, such as `en-us`, or `en` for the usual one."""
    return option(
        flag,
        name,
        metavar="LANGUAGE",
        default=default,
        show_default=True,
        shell_complete=complete_language,
        help=about,
    )


def setting_options(command: Command) -> Command:
    """`-p` and `-s`."""
    param = option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Set a param of GRAPH.")
    setting = option(
        "-s", "--set", "options", multiple=True, metavar="STAGE.OPTION=VALUE", help="Set any option of any stage."
    )
    return param(setting(command))


def settings(params: Sequence[str], options: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What `-p` and `-s` set. Exits where one is none, or comes twice."""
    return _pairs(params, "-p", "NAME=VALUE"), _pairs(options, "-s", "STAGE.OPTION=VALUE")


def _pairs(texts: Sequence[str], flag: str, shape: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise refuse(f"{flag} {text!r} is no {shape}")
        if name in found:
            raise refuse(f"{flag} {name} is given twice")
        found[name] = value
    return found


def running_options(command: Command) -> Command:
    """How to run, for `run`, `translate` and `listen`; they come as keywords of `wishes_of`."""
    for each in (
        _running("--traceback", is_flag=True, help="Show where in the code a stage failed."),
        _running("-q", "--quiet", is_flag=True, help="No progress and no summary."),
        control_option,
        time_option(
            "--drain",
            "drain_s",
            heading="Running",
            default="30s",
            help="How long a stopped run may take to finish what is under way.",
        ),
        _running("--report", metavar="FILE", type=FILE, help="Write to FILE what became of all sound, as JSON."),
        format_option("Running"),
        backend_option,
    ):
        command = each(command)
    return command
