"""What every command has: options under headings, exit codes in its help, and one line for wrong usage."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import click
from click.exceptions import NoArgsIsHelpError

from pipeline.cli.exits import EXIT_CODES, Exit, refuse, unwritable

__all__ = ["Command", "Commands", "Time", "option", "time_option", "titled"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Option(click.Option):
    """An option under a heading of its command's help, which does not show the range that a number must be in."""

    def __init__(self, *declared: Any, heading: str = "Options", **more: Any) -> None:
        super().__init__(*declared, **more)
        self.heading = heading

    def get_help_extra(self, ctx: click.Context) -> Any:
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


def option(*declared: str, heading: str = "Options", **more: Any) -> Callable[[Decorated], Decorated]:
    """`click.option`, under a `heading` of the help."""
    return click.option(*declared, cls=Option, heading=heading, **more)


def titled(heading: str) -> Callable[..., Callable[[Decorated], Decorated]]:
    """`option` for those under `heading`."""
    return partial(option, heading=heading)


class Time(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.5
    """A time as in a graph: `30`, `1.5s`, `500ms`, `2m`. Gives seconds."""

    name = "time"

    def __init__(self, least_s: float = 0.0) -> None:
        self._least_s = least_s

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from pipeline.stage import parse_duration

        try:
            seconds = float(parse_duration(str(value)))
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)
        if seconds < self._least_s:
            self.fail(f"wanted {self._least_s:g} s or more, came {value}", param, ctx)
        return seconds


def time_option(*declared: str, least_s: float = 0.0, **more: Any) -> Callable[[Decorated], Decorated]:
    """`option` for a time, whose default is shown."""
    return option(*declared, metavar="TIME", type=Time(least_s), show_default=True, **more)


class Command(click.Command):
    """A command whose help ends with the exit codes `exits`, and whose wrong usage is told in one line."""

    def __init__(self, *given: Any, exits: Sequence[Exit] | Mapping[Exit, str] = (), **more: Any) -> None:
        super().__init__(*given, **more)
        self._exits = exits if isinstance(exits, Mapping) else {code: EXIT_CODES[code] for code in exits}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _told_in_one_line(f"{parent.command_path} {info_name}" if parent else info_name or ""):
            return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Under its heading each, those without one first; `--help` is the last of these."""
        found: dict[str, list[tuple[str, str]]] = {"Options": []}
        for each in self.get_params(ctx):
            if isinstance(each, click.Option) and (record := each.get_help_record(ctx)) is not None:
                found.setdefault(getattr(each, "heading", "Options"), []).append(record)
        for heading, records in found.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self._exits:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code.value), meaning) for code, meaning in self._exits.items()])


class Commands(Command, click.Group):
    """Commands under the headings by which they were added."""

    command_class = Command

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.headings: dict[str, list[str]] = {}

    def add_under(self, heading: str, *commands: click.Command) -> None:
        self.headings.setdefault(heading, []).extend(command.name or "" for command in commands)
        for command in commands:
            self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in self.headings.values() for name in names]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        for heading, names in self.headings.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(f"{name:<10}", self.commands[name].get_short_help_str(100)) for name in names]
                )

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing and args[0][:1] != "-":
            from pipeline.problems import did_you_mean

            hint = did_you_mean(args[0], self.commands) or f"see {ctx.command_path} --help"
            raise refuse(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _told_in_one_line(ctx.command_path):
            return super().invoke(ctx)


@contextmanager
def _told_in_one_line(path: str) -> Iterator[None]:
    """Wrong usage of the command `path`, and a full standard output, as one line; Ctrl-C as its exit code."""
    try:
        yield
    except NoArgsIsHelpError:
        raise
    except click.UsageError as wrong:
        path = wrong.ctx.command_path if wrong.ctx else path
        command = path.partition(" ")[2]
        raise refuse(f"{command}{': ' if command else ''}{_in_one_line(wrong, path)}") from None
    except (KeyboardInterrupt, click.Abort):
        raise click.exceptions.Exit(Exit.INTERRUPTED) from None
    except OSError as wrong:
        if wrong.filename is not None or wrong.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            raise
        raise unwritable(wrong) from None


def _in_one_line(wrong: click.UsageError, path: str) -> str:
    """What is wrong, and what to do about it."""
    text = " ".join(wrong.format_message().split()).rstrip(".")
    hint = f"see {path} --help"
    if isinstance(wrong, click.NoSuchOption):
        from pipeline.problems import did_you_mean

        known = [name for each in wrong.ctx.command.params for name in each.opts] if wrong.ctx else ()
        return f"no such option {wrong.option_name}; {did_you_mean(wrong.option_name, known) or hint}"
    if type(wrong) is click.BadParameter and wrong.param is not None:
        name = wrong.param.opts[-1] if isinstance(wrong.param, click.Option) else wrong.param.human_readable_name
        return f"{name}: {wrong.message.rstrip('.')}"
    return f"{text[:1].lower()}{text[1:]}; {hint}"
