"""The stages there are, read off their classes: what each does, its ports and options, and an example."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, frozen

from pipeline.caps import ANY
from pipeline.cli.columns import room_on
from pipeline.cli.exits import refuse
from pipeline.cli.paint import paint
from pipeline.load import load
from pipeline.loading.kinds import NoKind, look_up
from pipeline.loading.options import Option, example
from pipeline.problems import did_you_mean, one_of
from pipeline.stage import Stage
from stages import KINDS

__all__ = ["Entry", "catalogue", "show_json", "show_long", "show_markdown", "show_short"]


@frozen
class Setting:
    """An option as it is shown; `default` is empty where one must be given."""

    name: str
    type: str
    default: str
    required: bool
    help: str


@frozen
class Entry:
    """A kind of stage. Ports are `name: what it carries`; `missing` says why it cannot be used here."""

    name: str
    about: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    options: Sequence[Setting]
    example: str
    missing: str = ""


def catalogue(names: Sequence[str]) -> list[Entry]:
    """The kinds `names`, or all. Exits where there is no such kind."""
    for name in names:
        if name not in KINDS:
            hint = did_you_mean(name, KINDS) or f"wanted {one_of(KINDS, most=40)}"
            raise refuse(f"{name!r} is no kind of stage; {hint}")
    return [_entry(name) for name in names or KINDS]


def _entry(name: str) -> Entry:
    kind = look_up(name, KINDS)
    if isinstance(kind, NoKind):
        return Entry(name, "", {}, {}, (), "", missing=kind.what)
    line = example(name, kind.make)
    stage = load(f"stages: {{example: {line}}}", "example", KINDS).graph.nodes["example"].stage
    inputs = (
        {port: _port(each.caps, each.many, each.optional) for port, each in stage.accepts.items()} if stage else {}
    )
    settings = [_setting(option) for option in kind.options.values()]
    return Entry(name, kind.about, inputs, _outputs(stage) if stage else {}, settings, line)


def _port(caps: object, many: bool, optional: bool) -> str:
    extra = [word for word, holds in (("several", many), ("optional", optional)) if holds]
    return f"{caps}{', ' + ', '.join(extra) if extra else ''}"


def _outputs(stage: Stage) -> dict[str, str]:
    """What it gives where nothing is known of what it gets but what it asks for."""
    known = {
        name: port.caps if port.caps != ANY else ANY for name, port in stage.accepts.items() if not port.optional
    }
    return {port: str(caps) for port, caps in stage.gives(known).items()}


def _setting(option: Option) -> Setting:
    return Setting(option.name, option.wanted, option.default_text, option.required, option.help)


# --- showing


def show_json(entries: Sequence[Entry]) -> None:
    """All of it, as one JSON array."""
    print(json.dumps([asdict(entry) for entry in entries], indent=2, ensure_ascii=False))


def show_short(entries: Sequence[Entry]) -> None:
    """A line each."""
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        print(f"{paint(f'{entry.name:<{width}}', 'bold', sys.stdout)}  {entry.missing or entry.about}")


def show_long(entries: Sequence[Entry]) -> None:
    """Everything, to be read."""
    for number, entry in enumerate(entries):
        if number:
            print()
        _show(entry)


def _show(entry: Entry) -> None:
    heading = paint(entry.name, "bold green", sys.stdout)
    print(_wrapped(f"{heading}  ", len(entry.name) + 2, entry.missing or entry.about))
    if entry.missing:
        return
    for label, ports in (("in", entry.inputs), ("out", entry.outputs)):
        for port, told in ports.items():
            name = "" if list(ports) == [label] else f"{port}: "
            print(f"  {paint(f'{label:<4}', 'dim', sys.stdout)}{name}{told}")
    width = max((len(option.name) for option in entry.options), default=0)
    for option in entry.options:
        told = f"{option.type}; {'required' if option.required else f'default {option.default}'}"
        print(_wrapped(f"  {paint(f'{option.name:<{width}}', 'bold', sys.stdout)}  ", width + 4, option.help))
        print(_wrapped(" " * (width + 4), width + 4, told, "dim"))
    print(f"  {paint(entry.example, 'cyan', sys.stdout)}")


def _wrapped(start: str, indent: int, text: str, style: str = "") -> str:
    """`text` after `start`, which takes `indent` cells; on a terminal, broken to fit it."""
    lines = textwrap.wrap(text, max((room_on(sys.stdout) or 10_000) - indent, 20))
    return start + f"\n{' ' * indent}".join(paint(line, style, sys.stdout) for line in lines)


def show_markdown(entries: Sequence[Entry]) -> None:
    """A table for a README."""
    print("| stage | what it does | in | out | options |")
    print("| --- | --- | --- | --- | --- |")
    for entry in entries:
        cells = (
            f"`{entry.name}`",
            entry.missing or entry.about,
            _cell(entry.inputs),
            _cell(entry.outputs),
            ", ".join(f"**{o.name}**" if o.required else o.name for o in entry.options),
        )
        print(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")


def _cell(ports: Mapping[str, Any]) -> str:
    return ", ".join(ports)
