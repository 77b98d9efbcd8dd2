"""A graph as text, put together piece by piece: what `new` and `translate` write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from pipeline.loading.options import render

__all__ = ["Sketch", "SketchedParam", "SketchedStage", "literal"]

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def literal(value: object) -> str:
    """`value` as the YAML of an option or a default: a `$` in it refers to nothing, a number needs no quotes."""
    text = str(value)
    return text if _NUMBER.fullmatch(text) else render(value).replace("$", "$$")


@frozen
class SketchedParam:
    """A param; `default` is a plain text, empty for none."""

    default: str
    help: str


@frozen
class SketchedStage:
    """A stage: its kind, what it reads and its options. Reads and options are YAML already."""

    use: str
    reads: Sequence[str] = ()
    options: Mapping[str, str] = field(factory=dict)

    def as_yaml(self) -> str:
        """On one line."""
        parts = [f"use: {self.use}"]
        if self.reads:
            parts.append(f"from: {self.reads[0]}" if len(self.reads) == 1 else f"from: [{', '.join(self.reads)}]")
        parts += [f"{name}: {value}" for name, value in self.options.items()]
        return f"{{{', '.join(parts)}}}"


@define
class Sketch:
    """A graph file in the making, in the order in which it is to be read."""

    name: str
    help: str = ""
    params: dict[str, SketchedParam] = field(factory=dict)
    stages: dict[str, SketchedStage] = field(factory=dict)

    def add_stage(self, wish: str, stage: SketchedStage) -> str:
        """Put `stage` in as `wish`, or as `wish-2` where there is one already; the name it got."""
        name = _free(wish, self.stages)
        self.stages[name] = stage
        return name

    def add_param(self, wish: str, param: SketchedParam) -> str:
        """Put `param` in, and give the reference to it."""
        name = _free(wish, self.params)
        self.params[name] = param
        return f"${{{name}}}"

    def as_yaml(self) -> str:
        """The whole file."""
        lines = [f"name: {render(self.name)}"]
        if self.help:
            lines.append(f"help: {render(self.help)}")
        if self.params:
            lines += ["params:", *_column({name: _param(param) for name, param in self.params.items()})]
        lines += ["stages:", *_column({name: stage.as_yaml() for name, stage in self.stages.items()})]
        return "\n".join(lines) + "\n"


def _free(wish: str, taken: Mapping[str, object]) -> str:
    name, number = wish, 1
    while name in taken:
        number += 1
        name = f"{wish}-{number}"
    return name


def _param(param: SketchedParam) -> str:
    default = [f"default: {literal(param.default)}"] if param.default else []
    return f"{{{', '.join([*default, f'help: {render(param.help)}'])}}}"


def _column(entries: Mapping[str, str]) -> list[str]:
    width = max(len(name) for name in entries) + 1
    return [f"  {name + ':':<{width}} {value}" for name, value in entries.items()]
